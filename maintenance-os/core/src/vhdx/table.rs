// SPDX-License-Identifier: Apache-2.0
//! Entries of the block table ([MS-VHDX] 2.5.1): a state and an offset in steps of 1 MiB.

/// What a payload block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Never written: the parent's, or nothing.
    NotPresent,
    /// Its content may be anything.
    Undefined,
    /// Zeros.
    Zero,
    /// Discarded: its content may be anything. 3 by the specification, 5 in files of its drafts.
    Unmapped,
    /// All of it is in the file.
    Full,
    /// Some sectors are in the file, the others in the parent; the sector bitmap says which.
    Partial,
    /// The number is not a state.
    Other(u8),
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(pub(super) u64);

/// Bits 3 to 19, which are reserved.
const RESERVED: u64 = 0xf_fff8;
/// Bits 20 to 63: the offset.
const PLACE: u64 = !0xf_ffff;

const FULL: u64 = 6;
/// A sector bitmap block that is there has the number of a full payload block.
const BITMAP_ABSENT: u64 = 0;

impl Entry {
    pub(super) const fn full(at: u64) -> Self {
        Self(at & PLACE | FULL)
    }

    pub(super) fn state(self) -> State {
        match self.0.to_le_bytes()[0] & 7 {
            0 => State::NotPresent,
            1 => State::Undefined,
            2 => State::Zero,
            3 | 5 => State::Unmapped,
            6 => State::Full,
            7 => State::Partial,
            other => State::Other(other),
        }
    }

    /// Whether a sector bitmap is there; the number where it is not a state of one.
    pub(super) fn bitmap(self) -> Result<bool, u8> {
        match self.0 & 7 {
            BITMAP_ABSENT => Ok(false),
            FULL => Ok(true),
            _ => Err(self.0.to_le_bytes()[0] & 7),
        }
    }

    /// Bytes from the file's start.
    pub(super) const fn at(self) -> u64 {
        self.0 & PLACE
    }

    pub(super) const fn reserved(self) -> u64 {
        self.0 & RESERVED
    }
}
