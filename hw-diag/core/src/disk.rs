// SPDX-License-Identifier: Apache-2.0
//! Disks: what was read of one ([`DiskFacts`]), whoever read it, and the verdict on it ([`judge`]).
//!
//! The same facts come from ioctls on a live machine, from `smartctl --json` and from the text of `smartctl -x`; the
//! judgement does not know which. What was not read is `None` or named in `missed`, never a zero.

mod ata;
pub mod facts;
mod figures;
mod judge;
mod meanings;
mod measure;
mod nvme;
mod own_word;
mod rules;
mod scsi;
mod trend;

pub use facts::DiskFacts;
pub use figures::of as figures;
pub use judge::judge;
pub use meanings::{MEANINGS, Meaning, RawLife, ReadAs};
pub use measure::{Measure, Media};
pub use rules::{Rule, all as rules};
pub use trend::{EarlierFigures, findings as growth};

/// The codes of every finding that [`judge`] can give; some stand twice.
pub fn codes() -> impl Iterator<Item = &'static str> {
    rules().map(|rule| rule.code).chain(trend::codes())
}
