// SPDX-License-Identifier: Apache-2.0
//! The faults of the demo, and what each promises.

use crate::rack::Fault;
use groundstate_api::ReasonCode;
use std::fmt;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageFault {
    /// Virtual hardware is broken.
    Hardware(Fault),
    /// One bit of one stored chunk of the image is flipped.
    BadChunk,
    /// All servers are killed while the image is being written, and started again.
    ProvisionerRestart,
}

impl StageFault {
    /// Every fault.
    pub const ALL: [Self; 6] = [
        Self::Hardware(Fault::DimmMissing),
        Self::Hardware(Fault::MemoryShort),
        Self::Hardware(Fault::SmartFailing),
        Self::Hardware(Fault::WrongDisk),
        Self::BadChunk,
        Self::ProvisionerRestart,
    ];

    /// As it stands on a command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hardware(fault) => fault.as_str(),
            Self::BadChunk => "bad-chunk",
            Self::ProvisionerRestart => "provisioner-restart",
        }
    }

    /// The fault of that name.
    ///
    /// # Errors
    /// A sentence that lists the known ones.
    pub fn parse(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|fault| fault.as_str() == name)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|fault| fault.as_str()).collect();
                format!(
                    "no fault is named `{name}`; the known ones are {}",
                    known.join(", ")
                )
            })
    }

    /// The reason for which the node must be held; `None` where it must become Ready all the same.
    #[must_use]
    pub const fn held_for(self) -> Option<ReasonCode> {
        match self {
            Self::Hardware(Fault::DimmMissing) => Some(ReasonCode::DimmMissing),
            Self::Hardware(Fault::MemoryShort) => Some(ReasonCode::MemoryShort),
            Self::Hardware(Fault::SmartFailing) => Some(ReasonCode::DiskFailing),
            Self::Hardware(Fault::WrongDisk) => Some(ReasonCode::WrongDisk),
            Self::BadChunk => Some(ReasonCode::ChunkCorrupt),
            Self::ProvisionerRestart => None,
        }
    }
}

impl fmt::Display for StageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_fault_lists_the_known() {
        for fault in StageFault::ALL {
            assert_eq!(StageFault::parse(fault.as_str()), Ok(fault));
        }
        let error = StageFault::parse("gremlin").unwrap_err();
        assert!(
            error.contains("dimm-missing") && error.contains("provisioner-restart"),
            "{error}"
        );
    }
}
