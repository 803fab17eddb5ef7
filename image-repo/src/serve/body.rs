// SPDX-License-Identifier: Apache-2.0
//! A part of a file as an HTTP body. Each piece is asked for, read when its turn comes, and counted until the connection
//! has taken it; what fits one piece is read at once, before the answer's head is made.

use super::buffers::{Buffers, LARGE, SMALL};
use super::desk::Seat;
use super::files::{Files, Opened, read_waiting};
use crate::store::Kind;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A connection that takes a piece within this gets larger ones.
const PROMPT: Duration = Duration::from_secs(1);

/// What is needed to read: shared by all bodies of a server.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) files: Files,
    buffers: Buffers,
}

/// The bytes of a file from `at` to `end`.
pub(super) struct FileBody {
    seat: Arc<Seat>,
    reading: Arc<Reading>,
    kind: Kind,
    opened: Opened,
    at: u64,
    end: u64,
    /// When the piece that is on its way was asked for, and its length.
    asked: Option<(Instant, u64)>,
    /// When the last piece was handed over.
    handed: Option<Instant>,
    waiting: Option<JoinHandle<(Vec<u8>, io::Result<()>)>>,
    first: Option<Bytes>,
}

impl FileBody {
    /// Ready to be sent; what fits one piece has been read.
    pub(super) async fn new(
        seat: Arc<Seat>,
        reading: Arc<Reading>,
        kind: Kind,
        opened: Opened,
        (at, end): (u64, u64),
    ) -> io::Result<Self> {
        let mut body = Self {
            seat,
            reading,
            kind,
            opened,
            at,
            end,
            asked: None,
            handed: None,
            waiting: None,
            first: None,
        };
        if (1..=LARGE as u64).contains(&(end - at)) {
            let bytes = poll_fn(|context| body.poll_piece(context)).await?;
            body.first = Some(bytes);
        }
        Ok(body)
    }

    /// The next piece's length: small until the connection shows that it takes them.
    fn length(&self, now: Instant) -> u64 {
        let left = self.end - self.at;
        let prompt = self.handed.is_some_and(|handed| now - handed < PROMPT);
        if left <= LARGE as u64 || prompt {
            left.min(LARGE as u64)
        } else {
            left.min(SMALL as u64)
        }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.waiting.is_none() {
            let (_, length) = *self.asked.get_or_insert_with(|| (Instant::now(), 0));
            let length = if length == 0 {
                let now = Instant::now();
                let length = self.length(now);
                self.asked = Some((now, length));
                self.seat.want(length);
                length
            } else {
                length
            };
            ready!(self.seat.poll_given(context))?;
            let size = usize::try_from(length).map_err(io::Error::other)?;
            let mut buffer = self.reading.buffers.get(size);
            let piece = buffer.get_mut(..size).unwrap_or_default();
            let (files, metrics) = (&self.reading.files, self.seat.metrics());
            if files.read_now(&self.opened.file, piece, self.at, metrics)? {
                return Poll::Ready(Ok(self.take(buffer, length)));
            }
            let (file, at) = (Arc::clone(&self.opened.file), self.at);
            self.waiting = Some(tokio::task::spawn_blocking(move || {
                let piece = buffer.get_mut(..size).unwrap_or_default();
                let read = read_waiting(&file, piece, at);
                (buffer, read)
            }));
        }
        let Some(waiting) = &mut self.waiting else {
            return Poll::Pending;
        };
        let (buffer, read) = ready!(Pin::new(waiting).poll(context)).map_err(io::Error::other)?;
        self.waiting = None;
        read?;
        let length = self.asked.map_or(0, |(_, length)| length);
        Poll::Ready(Ok(self.take(buffer, length)))
    }

    /// A piece that was read is handed over.
    fn take(&mut self, buffer: Vec<u8>, length: u64) -> Bytes {
        self.asked = None;
        self.handed = Some(Instant::now());
        self.at += length;
        self.seat.metrics().sent(self.kind, length);
        Bytes::from_owner(Held {
            buffer,
            length,
            seat: Arc::clone(&self.seat),
            reading: Arc::clone(&self.reading),
        })
    }
}

/// A piece on its way into a connection. When it is dropped, the connection has taken it.
struct Held {
    buffer: Vec<u8>,
    length: u64,
    seat: Arc<Seat>,
    reading: Arc<Reading>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        let length = usize::try_from(self.length).unwrap_or_default();
        self.buffer.get(..length).unwrap_or_default()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.reading.buffers.put(std::mem::take(&mut self.buffer));
        self.seat.taken(self.length);
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(bytes) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        let piece = ready!(self.poll_piece(context));
        if let Err(error) = &piece {
            tracing::warn!(%error, "an answer breaks off");
            // The connection breaks off too, so that the peer sees that bytes are missing.
            self.at = self.end;
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().map_or(0, |bytes| bytes.len() as u64);
        SizeHint::with_exact(first + self.end.saturating_sub(self.at))
    }
}
