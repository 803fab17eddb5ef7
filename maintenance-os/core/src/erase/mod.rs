// SPDX-License-Identifier: Apache-2.0
//! Decides how a disk is erased, when it is not waited for any longer, and what counts as proof.
//!
//! It never calls a disk erased because the drive says so: what was there before must be gone when it is read back. It speaks to
//! no drive; the shell sends what [`commands`] spells out and brings the answers.

pub mod commands;
mod facts;
mod judge;
mod ladder;
mod machine;
mod sample;
mod tally;

pub use facts::{AtaFacts, AtaSecurity, DriveFacts, Interface, NvmeFacts, ScsiFacts};
pub use judge::proves;
pub use ladder::{Ladder, Rung, ladder};
pub use machine::{
    Action, Disk, Erase, Event, POLL_EVERY, Poll, READ_MAX, SILENCE_MAX, START_MAX, Start, print,
};
pub use sample::{
    BLOCK, Chance, Content, END, Print, RANDOM_BLOCKS, Range, WHOLE_MAX, plan, witness,
};
pub use tally::WITNESSES;

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]
// A test may panic, and a lie concerns few places.
mod tests;
