// SPDX-License-Identifier: Apache-2.0
//! A file's bytes as an HTTP body: one piece in memory at a time, read only when the peer takes it.

use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::fs::File;
use std::future::Future as _;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// What is read at once: large enough for the disk, small enough for a hundred nodes at a time.
const PIECE: u64 = 256 * 1024;

/// The bytes of `file` from `at` to `end`.
pub(crate) struct FileBody {
    file: Arc<File>,
    at: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileBody {
    pub(crate) fn new(file: File, at: u64, end: u64) -> Self {
        Self {
            file: Arc::new(file),
            at,
            end,
            reading: None,
        }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        let (file, at) = (self.file.clone(), self.at);
        let length = PIECE.min(self.end - at);
        let reading = self.reading.get_or_insert_with(|| {
            tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
                file.read_exact_at(&mut bytes, at)?;
                Ok(Bytes::from(bytes))
            })
        });
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let read = read.map_err(io::Error::other).flatten();
        match &read {
            Ok(bytes) => self.at += bytes.len() as u64,
            // The connection breaks off, so that the peer sees that bytes are missing.
            Err(_) => self.at = self.end,
        }
        Poll::Ready(Some(read.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end.saturating_sub(self.at))
    }
}
