// SPDX-License-Identifier: Apache-2.0
//! The command line and the screen as people use them, against the real provisioner over loopback TLS, with nodes whose
//! history was written into its journal. The screen runs in a real terminal (tmux); its picture is kept in
//! `target/groundstate/screenshots/watch.png`.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

mod ask;
mod commands;
mod refused;
mod shells;
mod tmux;
mod watch;
mod world;
