// SPDX-License-Identifier: Apache-2.0
//! Work that may never come back, because a disk does not answer: it is done on a thread of its own, and waited for no
//! longer than it may take.
//!
//! Nothing ends a thread that the kernel holds. It is left behind with what it holds, and nobody waits for it.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// None came in time.
    Late,
    /// The work ended in a fault of ours.
    Fault,
}

/// What `work` gives, where it gives it within `limit`.
pub(crate) fn answer_within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let (tell, told) = mpsc::sync_channel(1);
    thread::spawn(move || {
        // Nobody listens any more where it took too long.
        let _ = tell.send(work());
    });
    told.recv_timeout(limit).map_err(|error| match error {
        RecvTimeoutError::Timeout => NoAnswer::Late,
        RecvTimeoutError::Disconnected => NoAnswer::Fault,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_a_silence_and_a_fault_are_told_apart() {
        let long = Duration::from_secs(600);
        assert_eq!(answer_within(long, || 7), Ok(7));
        let fault = answer_within(long, || panic!("our fault"));
        assert_eq!(fault, Err::<(), _>(NoAnswer::Fault));
        let (hold, held) = mpsc::channel::<()>();
        let late = answer_within(Duration::from_millis(20), move || held.recv().is_ok());
        assert_eq!(late, Err(NoAnswer::Late));
        drop(hold);
    }
}
