// SPDX-License-Identifier: Apache-2.0
//! A run's log put together from its pieces, the same for every engine.

use crate::LOG_OF_BOOT;
use groundstate_api::headline::ordinal;
use groundstate_api::limits::LOG_PER_RUN_MAX;

/// What is known of a log's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogEnd {
    /// Where the next new byte begins.
    pub(crate) end: u64,
    /// Bytes that are kept.
    pub(crate) kept: u64,
    /// Bytes that came when the log was full.
    pub(crate) lost: u64,
}

/// What a piece adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Added<'a> {
    /// The new end.
    pub(crate) then: LogEnd,
    /// Where the new text begins, and the text; none where the log is full.
    pub(crate) keep: Option<(u64, &'a str)>,
}

/// What is new in a piece; `None` where nothing is.
pub(crate) fn add(end: LogEnd, offset: u64, text: &str) -> Option<Added<'_>> {
    // What lies before the end was sent before.
    let seen = usize::try_from(end.end.saturating_sub(offset)).ok()?;
    let new = text.get(seen..).filter(|new| !new.is_empty())?;
    let start = offset.max(end.end);
    let length = u64::try_from(new.len()).unwrap_or(u64::MAX);
    let fits = length <= LOG_PER_RUN_MAX.0.saturating_sub(end.kept);
    let (kept, lost) = if fits { (length, 0) } else { (0, length) };
    Some(Added {
        then: LogEnd {
            end: start.saturating_add(length),
            kept: end.kept.saturating_add(kept),
            lost: end.lost.saturating_add(lost),
        },
        keep: fits.then_some((start, new)),
    })
}

/// Puts the pieces together, and says where bytes are missing.
#[derive(Default)]
pub(crate) struct Together {
    text: String,
    end: u64,
}

impl Together {
    pub(crate) fn piece(&mut self, start: u64, body: &str) {
        if start / LOG_OF_BOOT > self.end / LOG_OF_BOOT {
            self.end = start - start % LOG_OF_BOOT;
            let boot = ordinal(u32::try_from(self.end / LOG_OF_BOOT + 1).unwrap_or(u32::MAX));
            self.text.push_str(&format!(
                "[the machine came back after power loss: {boot} boot of this run]\n"
            ));
        }
        if start > self.end {
            let missing = start - self.end;
            self.text
                .push_str(&format!("[{missing} bytes of the log are missing here]\n"));
        }
        self.end = start.saturating_add(u64::try_from(body.len()).unwrap_or(u64::MAX));
        self.text.push_str(body);
    }

    pub(crate) fn done(mut self, lost: u64) -> String {
        if lost > 0 {
            self.text
                .push_str(&format!("[{lost} bytes came after the log was full]\n"));
        }
        self.text
    }
}
