// SPDX-License-Identifier: Apache-2.0
//! A network namespace of a test's own: nothing in it reaches the machine's network, and its ports are all free.

use nix::sched::{CloneFlags, unshare};
use std::process::Command;

/// Runs it in a network of its own, where that can be made; there, nothing is up yet.
pub(crate) fn in_own_network(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(|| {
        if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
            assert!(
                std::env::var_os("CI").is_none(),
                "no network namespace: {error}"
            );
            eprintln!("skipped: no network namespace ({error}); run as root");
            return;
        }
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// `ip` with these words, in the network of the thread that calls. It has to succeed.
pub(crate) fn ip(arguments: &str) {
    let ran = Command::new("ip").args(arguments.split(' ')).status();
    assert!(ran.unwrap().success(), "ip {arguments}");
}
