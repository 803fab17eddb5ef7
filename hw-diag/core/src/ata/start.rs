// SPDX-License-Identifier: Apache-2.0
//! SMART EXECUTE OFF-LINE IMMEDIATE (ACS-4, 7.48.8): the self-tests that read and never write, in the background.
//!
//! Refuses captive tests: a disk under one answers nobody for hours.

use super::command::smart_without_data;
use crate::disk::facts::SelfTestKind;

/// EXECUTE OFF-LINE IMMEDIATE in the feature register.
const EXECUTE_OFFLINE: u8 = 0xd4;

/// What to tell the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A short self-test: minutes.
    Short,
    /// An extended one: hours, the whole medium.
    Extended,
    /// A conveyance self-test: after transport, minutes.
    Conveyance,
    /// End the one that runs.
    Abort,
}

impl Start {
    /// The command for a kind of self-test; `None` for kinds that are not started from here.
    #[must_use]
    pub const fn of(kind: SelfTestKind) -> Option<Self> {
        match kind {
            SelfTestKind::Short => Some(Self::Short),
            SelfTestKind::Extended => Some(Self::Extended),
            SelfTestKind::Conveyance => Some(Self::Conveyance),
            SelfTestKind::Selective | SelfTestKind::Other => None,
        }
    }
    /// The SCSI command descriptor block.
    #[must_use]
    pub const fn cdb(self) -> [u8; 16] {
        let subcommand = match self {
            Self::Short => 1,
            Self::Extended => 2,
            Self::Conveyance => 3,
            Self::Abort => 0x7f,
        };
        smart_without_data(EXECUTE_OFFLINE, subcommand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_started_in_the_background() {
        assert_eq!(
            Start::Extended.cdb(),
            [
                0x85, 6, 0x20, 0, 0xd4, 0, 0, 0, 2, 0, 0x4f, 0, 0xc2, 0, 0xb0, 0
            ]
        );
        // Captive tests are 81h and more.
        for start in [Start::Short, Start::Conveyance, Start::Abort] {
            assert!(start.cdb()[8] < 0x80);
        }
        assert_eq!(Start::of(SelfTestKind::Selective), None);
    }
}
