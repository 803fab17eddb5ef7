// SPDX-License-Identifier: Apache-2.0
//! One suite, every engine: what the provisioner may rely on, whatever keeps its journal.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

mod engines;
mod etcd_only;
mod guarded;
mod suite;
