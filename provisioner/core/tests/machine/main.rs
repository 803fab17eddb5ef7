// SPDX-License-Identifier: Apache-2.0
//! The node machine, driven as the shell drives it: decide, number, fold.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

mod actions;
mod adopt;
mod allowance;
mod any;
mod boot;
mod boot_rules;
mod earlier;
mod enrolment;
mod healing;
mod host;
mod life;
mod orders;
mod power;
mod resume;
mod run;
mod simulation;
mod snapshots;
mod world;
