// SPDX-License-Identifier: Apache-2.0
//! The agent against a whole root directory, against power cuts, and against a provisioner that speaks TLS.
#![allow(missing_docs, clippy::unwrap_used)]

mod calls;
mod first_boot;
mod stage;
