// SPDX-License-Identifier: Apache-2.0
//! What only prints ends quietly when nobody reads it any more, as `head` and a pager that was left do it.
//!
//! It is for commands without sockets and without programs of their own: there, a broken pipe is an error to be told.
#![allow(unsafe_code)]

use nix::sys::signal::{SigHandler, Signal, signal};

/// Ends this process with its reader.
pub(super) fn end_with_it() {
    // SAFETY: the default action runs no code of ours, and no other thread has been started yet.
    // Where it cannot be set, printing says what went wrong.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
}
