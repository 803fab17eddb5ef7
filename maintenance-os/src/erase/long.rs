// SPDX-License-Identifier: Apache-2.0
//! Work that answers only when it is done: writing zeros, Format NVM, SECURITY ERASE UNIT. It runs on a thread of its own, so that a
//! drive that never answers holds nobody.

use super::drive::PIECE;
use super::ioctl::Aligned;
use mos_core::erase::Poll;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How it ended: the drive's words, or why not.
pub(super) type Ended = Result<String, String>;

#[derive(Default)]
struct Shared {
    done: AtomicU64,
    ended: Mutex<Option<Ended>>,
    told: Condvar,
}

impl Shared {
    fn end(&self, ended: Ended) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        self.told.notify_all();
    }
}

/// Ends the work with a word even where its thread ends in a fault.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        let mut ended = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.is_none() {
            *ended = Some(Err("the work ended without a word".to_owned()));
        }
    }
}

/// Work under way.
pub(super) struct Long {
    shared: Arc<Shared>,
    total: Option<u64>,
}

impl Long {
    /// One command.
    pub(super) fn command(work: impl FnOnce() -> Ended + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        std::thread::spawn(move || {
            let guard = Guard(theirs);
            let ended = work();
            guard.0.end(ended);
        });
        Self {
            shared,
            total: None,
        }
    }

    /// Zeros from end to end.
    pub(super) fn overwrite(file: Arc<File>, size: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        std::thread::spawn(move || {
            let guard = Guard(theirs);
            let ended = zeros(&file, size, &guard.0.done)
                .map(|()| format!("{size} bytes of zeros are written and flushed"))
                .map_err(|error| error.to_string());
            guard.0.end(ended);
        });
        Self {
            shared,
            total: Some(size),
        }
    }

    /// Waits for a moment whether it ends at once, as a command does that is refused.
    pub(super) fn wait(&self, moment: Duration) -> Option<Ended> {
        let ended = self
            .shared
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .shared
            .told
            .wait_timeout_while(ended, moment, |ended| ended.is_none());
        let (ended, _) = waited.unwrap_or_else(PoisonError::into_inner);
        ended.clone()
    }

    pub(super) fn poll(&self) -> Poll {
        match self.wait(Duration::ZERO) {
            Some(Ok(says)) => Poll::Done(says),
            Some(Err(why)) => Poll::Failed(why),
            None => Poll::Running {
                done: self.total.map(|total| {
                    let done = u128::from(self.shared.done.load(Ordering::Relaxed));
                    let share = done * 65_536 / u128::from(total.max(1));
                    u32::try_from(share).unwrap_or(65_536)
                }),
            },
        }
    }
}

/// The write that fails ends it: a sector that takes no zeros keeps what it holds.
fn zeros(file: &File, size: u64, done: &AtomicU64) -> io::Result<()> {
    let memory = Aligned::new(usize::try_from(PIECE).unwrap_or(0));
    let mut at = 0;
    while at < size {
        let length = usize::try_from(PIECE.min(size - at)).unwrap_or(0);
        let bytes = memory.bytes().get(..length).unwrap_or_default();
        file.write_all_at(bytes, at).map_err(|error| {
            io::Error::new(error.kind(), format!("writing zeros at byte {at}: {error}"))
        })?;
        at += length as u64;
        done.store(at, Ordering::Relaxed);
    }
    file.sync_all()
}
