// SPDX-License-Identifier: Apache-2.0
//! Where images come from: servers with the image URLs, and chunks on this machine.

use groundstate_api::image::Chunk;
use groundstate_api::{Bytes, Millis, Reason};
pub use image_core::deploy::ChunkSet;
use std::fmt;
use std::io;
use std::sync::Arc;

/// An HTTP server with this project's image URLs.
#[derive(Clone)]
pub struct Source {
    base: String,
    /// Where it is now, where it may move.
    now: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Source {
    /// A server that is reached without TLS, for example `http://127.0.0.1:8080`.
    #[must_use]
    pub fn plain(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            now: None,
            tls: None,
        }
    }

    /// A server at `https://address:port`, without a path. The authorities that are trusted, and this machine's own
    /// certificate, are in `tls`.
    #[must_use]
    pub fn with_tls(base: impl Into<String>, tls: Arc<rustls::ClientConfig>) -> Self {
        Self {
            base: base.into(),
            now: None,
            tls: Some(tls),
        }
    }

    /// The same, asked before each connection where it is by now: a site with several provisioners goes on with another one.
    #[must_use]
    pub fn that_moves(self, now: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self {
            now: Some(Arc::new(now)),
            ..self
        }
    }

    /// Where to connect to.
    pub(super) fn now(&self) -> String {
        self.now
            .as_ref()
            .map_or_else(|| self.base.clone(), |now| now())
    }

    /// Its address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    pub(super) const fn tls(&self) -> Option<&Arc<rustls::ClientConfig>> {
        self.tls.as_ref()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Source")
            .field("base", &self.base)
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

/// Chunks on this machine.
pub trait ChunkSource: Send + Sync {
    /// Appends the chunk's stored bytes to `into`.
    ///
    /// # Errors
    /// `NotFound` where it does not have the chunk; whatever else reading gives.
    fn stored(&self, chunk: &Chunk, into: &mut Vec<u8>) -> io::Result<()>;
}

/// Where a source is.
#[derive(Clone)]
pub enum Place {
    /// On the network.
    Http(Source),
    /// On this machine.
    Local(Arc<dyn ChunkSource>),
}

impl fmt::Debug for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(source) => source.fmt(out),
            Self::Local(_) => out.write_str("Local"),
        }
    }
}

/// One who gives chunks.
#[derive(Clone, Debug)]
pub struct SourceEntry {
    /// Its name, for people; no two are the same.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// How many questions it gets side by side, 1 to 4: connections to a server, threads that read a folder.
    pub weight: u32,
    /// It is waited for without end, and never dropped for good: the repository.
    pub last: bool,
    /// Which chunks it is asked for, by their numbers in the manifest; `None` is all. The set may change at any time.
    pub holds: Option<Arc<ChunkSet>>,
}

impl SourceEntry {
    /// The repository, which has everything.
    #[must_use]
    pub fn repository(source: Source) -> Self {
        Self {
            name: source.base().to_owned(),
            place: Place::Http(source),
            weight: 2,
            last: true,
            holds: None,
        }
    }

    /// A repository on this machine.
    #[must_use]
    pub fn local(chunks: Arc<dyn ChunkSource>) -> Self {
        Self {
            name: "this machine".to_owned(),
            place: Place::Local(chunks),
            weight: 1,
            last: true,
            holds: None,
        }
    }
}

/// What became of a source.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is not asked for now, or never again: why, and until when.
    Dropped {
        /// Why.
        reason: Reason,
        /// Until when.
        until: Option<Millis>,
    },
    /// It gives right bytes again.
    Back,
}

/// Calls a deploy: its book is to be opened again at once.
pub type Waker = Box<dyn Fn() + Send + Sync>;

/// Who gives chunks. It is asked about once a second, and may change its mind.
pub trait SourceBook: Sync {
    /// All of them now.
    fn sources(&self) -> Vec<SourceEntry>;
    /// A deploy begins to read the book: `wake` is called whenever the sources, or what they are asked for, have changed.
    fn begins(&self, wake: Waker) {
        drop(wake);
    }
    /// What became of one.
    fn report(&self, name: &str, outcome: &Outcome) {
        let _ = (name, outcome);
    }
    /// A chunk's stored bytes are proved.
    fn proved(&self, index: usize, chunk: &Chunk, stored: &[u8]) {
        let _ = (index, chunk, stored);
    }
    /// A chunk stands on the target.
    fn on_disk(&self, index: usize) {
        let _ = index;
    }
}

/// Sources that do not change.
#[derive(Clone, Debug)]
pub struct Fixed(pub Vec<SourceEntry>);

impl Fixed {
    /// One server.
    #[must_use]
    pub fn one(source: Source) -> Self {
        Self(vec![SourceEntry::repository(source)])
    }

    /// A repository on this machine.
    #[must_use]
    pub fn local(chunks: Arc<dyn ChunkSource>) -> Self {
        Self(vec![SourceEntry::local(chunks)])
    }
}

impl SourceBook for Fixed {
    fn sources(&self) -> Vec<SourceEntry> {
        self.0.clone()
    }
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the image that stand on the target, zero runs included.
    pub done: Bytes,
    /// The image's size.
    pub total: Bytes,
    /// Bytes that came from sources.
    pub fetched: Bytes,
    /// Bytes that stood on the target before.
    pub kept: Bytes,
    /// Bytes that were written to the target.
    pub written: Bytes,
    /// Bytes done in a second, of late.
    pub rate: Bytes,
    /// How long it will take at this rate, once there is one.
    pub left: Option<Millis>,
}
