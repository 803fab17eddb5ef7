// SPDX-License-Identifier: Apache-2.0
//! A response body that knows how far it has come.

use crate::clock::Clock;
use crate::content::Content;
use crate::desk::Desk;
use crate::metrics::{Metric, Timing};
use crate::pieces::Read;
use groundstate_api::boot::BootSighting;
use groundstate_api::boot_session::{BootStep, Via};
use groundstate_api::{Bytes as Size, MacAddr, Millis};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::future::Future as _;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::task::JoinHandle;

/// The shortest time between two progress sightings.
const PROGRESS: Millis = Millis::secs(1);

/// When a connection last moved; shared by the connection's watch and its bodies.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    clock: Clock,
    at: Arc<AtomicU64>,
}

impl Activity {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            at: Arc::new(AtomicU64::new(clock.now().0)),
        }
    }
    pub(crate) fn moved(&self) {
        self.at.store(self.clock.now().0, Ordering::Relaxed);
    }
    pub(crate) fn last(&self) -> Millis {
        Millis(self.at.load(Ordering::Relaxed))
    }
}

/// A whole file on its way to a machine.
pub(crate) struct Told {
    pub(crate) desk: Arc<Desk>,
    pub(crate) peer: IpAddr,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) file: String,
}

/// The body.
pub(crate) struct FileBody {
    content: Content,
    at: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    told: Option<Told>,
    began: Millis,
    told_at: Millis,
    desk: Arc<Desk>,
    activity: Activity,
}

impl FileBody {
    /// The bytes `part` of the content.
    pub(crate) fn new(
        desk: &Arc<Desk>,
        content: Content,
        part: Range<u64>,
        told: Option<Told>,
        activity: Activity,
    ) -> Self {
        let began = activity.clock.now();
        Self {
            content,
            at: part.start,
            end: part.end,
            reading: None,
            told,
            began,
            told_at: began,
            desk: Arc::clone(desk),
            activity,
        }
    }

    fn given(&mut self, piece: &Bytes) {
        self.at += piece.len() as u64;
        self.desk.count(Metric::HttpBytes, piece.len() as u64);
        self.activity.moved();
        self.tell_progress();
    }

    fn tell_progress(&mut self) {
        let now = self.activity.clock.now();
        if now.since(self.told_at) < PROGRESS {
            return;
        }
        if let Some(Told {
            desk,
            mac: Some(mac),
            file,
            ..
        }) = &self.told
        {
            self.told_at = now;
            desk.saw(
                *mac,
                BootSighting::FileProgress {
                    file: file.clone(),
                    done: Size(self.at),
                    length: Size(self.end),
                },
            );
        }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        let read = match self.reading.take() {
            Some(task) => Read::Later(task),
            None => self.desk.pieces.read(&self.content, self.at, self.end),
        };
        let piece = match read {
            Read::Now(piece) => piece,
            Read::Later(mut task) => match Pin::new(&mut task).poll(context) {
                Poll::Pending => {
                    self.reading = Some(task);
                    return Poll::Pending;
                }
                Poll::Ready(done) => done.unwrap_or_else(|error| Err(io::Error::other(error))),
            },
        };
        if let Ok(piece) = &piece {
            self.given(piece);
        }
        Poll::Ready(Some(piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.end
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.end.saturating_sub(self.at))
    }
}

impl Drop for FileBody {
    /// The connection lets go of a body when it has taken all of it, or when it broke.
    fn drop(&mut self) {
        let Some(told) = &self.told else { return };
        let took = self.activity.clock.now().since(self.began);
        if self.at >= self.end {
            told.desk
                .timed(Timing::HttpTransfer, Duration::from_millis(took.0));
            told.desk.file_sent(told.peer, &told.file, self.end, "http");
        }
        let Some(mac) = told.mac else { return };
        let (via, file) = (Via::Http, told.file.clone());
        let step = if self.at >= self.end {
            BootStep::FileSent {
                via,
                file,
                length: Size(self.end),
                took,
                again: 0,
            }
        } else {
            let why = format!(
                "the connection ended after {} of {} bytes",
                self.at, self.end
            );
            BootStep::FileEnded { via, file, why }
        };
        told.desk.step(mac, step);
    }
}
