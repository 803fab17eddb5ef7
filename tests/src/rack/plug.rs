// SPDX-License-Identifier: Apache-2.0
//! The hold on a QEMU process: whether it lives, how it ended, and its end. It refuses to know any other process.

use super::RackError;
use super::parts::{POLL, tail};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

/// How long a QEMU that has closed its monitor may take to end.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(5);

/// A QEMU that is pulled out again unless somebody takes it.
pub(super) struct Plug(pub(super) Option<Child>);

impl Plug {
    pub(super) fn alive(&mut self, node: &str, what: &str, words: &Path) -> Result<(), RackError> {
        self.0
            .as_mut()
            .map_or(Ok(()), |child| ended(child, node, what, words))
    }

    /// Gives QEMU a moment to end, and says how it did. `Ok` when it runs on.
    pub(super) fn last_words(&mut self, node: &str, words: &Path) -> Result<(), RackError> {
        let until = Instant::now() + LAST_WORDS_LIMIT;
        while Instant::now() < until {
            self.alive(node, "its monitor", words)?;
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            kill(child);
        }
    }
}

/// Says how QEMU ended, when it has; `Ok` while it runs.
pub(super) fn ended(
    child: &mut Child,
    node: &str,
    what: &str,
    words: &Path,
) -> Result<(), RackError> {
    match child
        .try_wait()
        .map_err(RackError::file("QEMU's process"))?
    {
        None => Ok(()),
        Some(status) => Err(RackError::QemuEnded {
            node: node.to_owned(),
            status: status.to_string(),
            what: what.to_owned(),
            stderr: tail(words, 5),
        }),
    }
}

/// Kills our own child and takes its status; an error means that it has ended.
pub(super) fn kill(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}
