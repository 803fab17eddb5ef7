// SPDX-License-Identifier: Apache-2.0
//! `groundstate image` as a person types it, on files: import and export of every format against qemu-img, lists, write with
//! what it refuses, and clearing up.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

mod bucket;
mod customise;
mod help;
mod import;
mod keep;
mod serve;
mod up;
mod world;
mod write;
