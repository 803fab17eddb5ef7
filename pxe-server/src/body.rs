// SPDX-License-Identifier: Apache-2.0
//! A response body that knows how far it has come.

use crate::clock::Clock;
use crate::desk::Desk;
use groundstate_api::boot::BootSighting;
use groundstate_api::{Bytes as Size, MacAddr, Millis};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// Bytes given to the connection at a time.
const PIECE: usize = 64 << 10;
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
    rest: Bytes,
    length: u64,
    told: Option<Told>,
    told_at: Millis,
    activity: Activity,
}

impl FileBody {
    pub(crate) fn new(bytes: Bytes, told: Option<Told>, activity: Activity) -> Self {
        let length = bytes.len() as u64;
        let told_at = activity.clock.now();
        Self {
            rest: bytes,
            length,
            told,
            told_at,
            activity,
        }
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
            let done = Size(self.length - self.rest.len() as u64);
            desk.saw(
                *mac,
                BootSighting::FileProgress {
                    file: file.clone(),
                    done,
                    length: Size(self.length),
                },
            );
        }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        self.activity.moved();
        self.tell_progress();
        let piece = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(piece);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

impl Drop for FileBody {
    /// The connection lets go of a body when it has taken all of it, or when it broke.
    fn drop(&mut self) {
        if let Some(Told {
            desk, peer, file, ..
        }) = &self.told
            && self.rest.is_empty()
        {
            desk.file_sent(*peer, file, self.length, "http");
        }
    }
}
