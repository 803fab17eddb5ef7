// SPDX-License-Identifier: Apache-2.0
//! Standard output and standard error. Nobody has to read them: where a reader has gone, as `head -1` does, what only prints
//! ends quietly, with the status of every program of a pipe whose reader has gone; what works goes on with its work, and ends so
//! afterwards.

use crate::exit::End;
use anyhow::{Context as _, Result};
use std::fmt::{self, Arguments};
use std::io::{ErrorKind, Write as _};
use std::sync::{Mutex, PoisonError};

/// Nobody reads standard output any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NobodyReads;

impl fmt::Display for NobodyReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads standard output any more")
    }
}

impl std::error::Error for NobodyReads {}

/// Why a line could not be written; the first time.
static LOST: Mutex<Option<anyhow::Error>> = Mutex::new(None);

/// Writes the text and has it out.
///
/// # Errors
/// [`NobodyReads`], or what the system says, for example that a disk is full.
pub(crate) fn write(text: &[u8]) -> Result<()> {
    written(&mut std::io::stdout().lock(), text)
}

fn written(out: &mut dyn std::io::Write, text: &[u8]) -> Result<()> {
    let done = out.write_all(text).and_then(|()| out.flush());
    match done {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(NobodyReads.into()),
        other => other.context("standard output"),
    }
}

/// A line of a command that goes on with its work whoever reads; what `println!` means in this program. What could not be
/// written is told by [`ended`].
pub(crate) fn line(text: Arguments<'_>) {
    if let Err(error) = write(format!("{text}\n").as_bytes()) {
        // What a panic left is whole: it is put there at once.
        let mut lost = LOST.lock().unwrap_or_else(PoisonError::into_inner);
        lost.get_or_insert(error);
    }
}

/// A line beside the answer; what `eprintln!` means in this program. Where nobody hears it, there is nobody to tell.
pub(crate) fn beside(text: Arguments<'_>) {
    let _unheard = writeln!(std::io::stderr().lock(), "{text}");
}

/// How a command ended, with what it could not print.
pub(crate) fn ended(done: Result<End>) -> Result<End> {
    let lost = LOST.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (done, lost) {
        (Ok(_), Some(error)) => Err(error),
        (done, _) => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refuses(ErrorKind);

    impl std::io::Write for Refuses {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_is_told_from_a_disk_that_is_full() {
        let gone = written(&mut Refuses(ErrorKind::BrokenPipe), b"x").unwrap_err();
        assert_eq!(gone.downcast_ref::<NobodyReads>(), Some(&NobodyReads));
        let full = written(&mut Refuses(ErrorKind::StorageFull), b"x").unwrap_err();
        assert_eq!(full.downcast_ref::<NobodyReads>(), None);
        assert!(full.to_string().contains("standard output"), "{full}");
        assert!(written(&mut Vec::new(), b"x").is_ok());
    }
}
