// SPDX-License-Identifier: Apache-2.0
//! Boot sessions: scripts of steps go in, what a person would be told comes out.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

#[path = "session/any.rs"]
mod any;
#[path = "session/bounds.rs"]
mod bounds;
#[path = "session/play.rs"]
mod play;
#[path = "session/table.rs"]
mod table;
#[path = "session/transcript.rs"]
mod transcript;
