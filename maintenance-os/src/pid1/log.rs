// SPDX-License-Identifier: Apache-2.0
//! PID 1's log: kept in memory, shown on the serial consoles, and sent to the provisioner piece by piece.

use crate::pid1::clock;
use groundstate_api::limits::{LOG_CHUNK_MAX, LOG_PER_RUN_MAX};
use std::fs::File;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// A log that every thread may write to.
#[derive(Clone)]
pub(super) struct Log(Arc<Mutex<Kept>>);

struct Kept {
    text: String,
    consoles: Vec<File>,
    dropped_bytes: u64,
}

impl Log {
    /// A log that is also written, line by line, to these consoles.
    #[must_use]
    pub(super) fn new(consoles: Vec<File>) -> Self {
        Self(Arc::new(Mutex::new(Kept {
            text: String::new(),
            consoles,
            dropped_bytes: 0,
        })))
    }

    /// Adds a line with the time since the kernel started.
    pub(super) fn line(&self, text: &str) {
        let now = clock::now();
        for part in text.lines() {
            self.stamped(&format!(
                "[{:5}.{:03}] {part}",
                now.0 / 1_000,
                now.0 % 1_000
            ));
        }
    }

    fn stamped(&self, line: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for console in &mut kept.consoles {
            // A console that does not take the line cannot be told so; the provisioner gets it all the same.
            drop(console.write_all(format!("{line}\r\n").as_bytes()));
        }
        let length = u64::try_from(kept.text.len() + line.len() + 1).unwrap_or(u64::MAX);
        if length > LOG_PER_RUN_MAX.0 {
            kept.dropped_bytes += u64::try_from(line.len() + 1).unwrap_or(0);
        } else {
            kept.text.push_str(line);
            kept.text.push('\n');
        }
    }

    /// The piece that begins at `offset` bytes: at most [`LOG_CHUNK_MAX`], whole lines, empty when there is no more.
    #[must_use]
    pub(super) fn piece(&self, offset: u64) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most = usize::try_from(LOG_CHUNK_MAX.0).unwrap_or(usize::MAX);
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|from| kept.text.get(from..))
            .unwrap_or_default();
        let mut end = 0;
        for line in rest.split_inclusive('\n') {
            if end + line.len() > most {
                break;
            }
            end += line.len();
        }
        rest.get(..end).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_put_together_are_the_log() {
        let log = Log::new(Vec::new());
        for number in 0..5_000 {
            log.line(&format!("line {number} with some text to fill it"));
        }
        let mut all = String::new();
        loop {
            let piece = log.piece(all.len() as u64);
            if piece.is_empty() {
                break;
            }
            assert!(piece.len() as u64 <= LOG_CHUNK_MAX.0);
            all.push_str(&piece);
        }
        assert_eq!(all.lines().count(), 5_000);
    }
}
