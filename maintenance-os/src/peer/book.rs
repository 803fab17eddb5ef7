// SPDX-License-Identifier: Apache-2.0
//! The room in which a node's part of an image is served, and the book of sources that the deploy reads.

use super::again::Again;
use super::ledger::{Ledger, Other};
use super::pace::Pace;
use super::shelf::Shelf;
use super::tls::Identity;
use super::{AGAIN_MAX, SHELF_MAX, ask, serve};
use crate::image::{Outcome, Place, Source, SourceBook, SourceEntry, Waker};
use groundstate_api::fan_out::{
    PeerTrouble, Pieces, SourcesAnswer, SourcesQuestion, Traffic, TroubleKind,
};
use groundstate_api::image::{Chunk, Manifest};
use groundstate_api::{Bytes, Digest, Millis, NodeId, Reason, ReasonCode, RunId};
use rustls::ClientConfig;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the first answer is waited for.
const FIRST_ANSWER: Duration = Duration::from_millis(500);

/// Asks the provisioner; the error says why there is no answer.
pub type Ask = Box<dyn Fn(&SourcesQuestion) -> Result<SourcesAnswer, Reason> + Send>;

/// What a room is made of.
pub struct Setting {
    /// The run.
    pub run: RunId,
    /// The manifest's digest.
    pub image: Digest,
    /// The manifest.
    pub manifest: Arc<Manifest>,
    /// The repository.
    pub repository: Source,
    /// Where the image stands or will; without it, chunks are served from memory only.
    pub target: Option<PathBuf>,
    /// The site's CA, PEM.
    pub ca_pem: String,
    /// This node's certificate, PEM.
    pub certificate_pem: String,
    /// Its key, PEM.
    pub key_pem: String,
    /// How to ask the provisioner.
    pub ask: Ask,
}

/// A room: its server and its plan. It ends with the last [`Book`] on it.
pub struct Room {
    run: RunId,
    image: Digest,
    manifest: Arc<Manifest>,
    /// Numbers of the chunks by digest.
    by_digest: Vec<u32>,
    repository: Source,
    identity: Identity,
    address: SocketAddr,
    began: Instant,
    over: AtomicBool,
    ledger: Mutex<Ledger>,
    changed: Condvar,
    /// Calls the deploy that reads the book.
    wake: Mutex<Option<Waker>>,
    /// How each other node is called; made once.
    calls: Mutex<BTreeMap<NodeId, Arc<ClientConfig>>>,
    shelf: Mutex<Shelf>,
    again: Option<Mutex<Again>>,
    said: Mutex<Option<Reason>>,
    pub(super) pace: Pace,
    pub(super) callers: AtomicUsize,
    pub(super) sent: AtomicU64,
    pub(super) failures: AtomicU64,
}

/// The sources as they are planned, for [`crate::image::deploy`]. Clones are the same one.
#[derive(Clone)]
pub struct Book(Arc<Room>);

/// The room that is open after its deploy.
static STAYING: Mutex<Option<Book>> = Mutex::new(None);

impl Book {
    /// Opens a room on a port of the kernel's choice, and begins to ask.
    ///
    /// # Errors
    /// This node's certificate cannot be used, or there is no port.
    pub fn open(setting: Setting) -> Result<Self, Reason> {
        let identity = Identity::read(&setting.ca_pem, &setting.certificate_pem, &setting.key_pem)?;
        let tls = identity.server()?;
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).map_err(|e| no_port(&e))?;
        let address = listener.local_addr().map_err(|e| no_port(&e))?;
        let manifest = setting.manifest;
        let chunks = u32::try_from(manifest.chunks.len()).unwrap_or(u32::MAX);
        let mut by_digest: Vec<u32> = (0..chunks).collect();
        by_digest.sort_unstable_by_key(|chunk| digest_of(&manifest, *chunk));
        let can_compress = manifest.chunk_size <= AGAIN_MAX;
        let target = setting.target.filter(|_| can_compress);
        let room = Arc::new(Room {
            run: setting.run,
            image: setting.image,
            ledger: Mutex::new(Ledger::new(chunks, manifest.chunk_size)),
            by_digest,
            manifest,
            repository: setting.repository,
            identity,
            address,
            began: Instant::now(),
            over: AtomicBool::new(false),
            changed: Condvar::new(),
            wake: Mutex::default(),
            calls: Mutex::default(),
            shelf: Mutex::default(),
            again: target.map(|target| Mutex::new(Again::new(target))),
            said: Mutex::new(None),
            pace: Pace::new(),
            callers: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        let (serving, asking) = (Arc::downgrade(&room), Arc::downgrade(&room));
        thread::spawn(move || serve::listen(&listener, &serving, &tls));
        let question = setting.ask;
        thread::spawn(move || ask::ask(&asking, &question));
        Ok(Self(room))
    }

    /// Where it serves: the port is the kernel's choice.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.address.port()
    }

    /// What came from where, and what was sent.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let mut traffic = self.0.ledger().traffic();
        traffic.to_peers = Bytes(self.0.sent.load(Ordering::Relaxed));
        traffic
    }

    /// The same for people.
    #[must_use]
    pub fn fact(&self) -> String {
        let traffic = self.traffic();
        format!(
            "fetched {} from the repository and {} from other nodes, gave {} to other nodes",
            traffic.from_repository, traffic.from_peers, traffic.to_peers
        )
    }

    /// Serves on until this process ends, or another image is to be served: what comes late is fetched from who is done.
    pub fn stay(self) {
        let mut staying = STAYING.lock().unwrap_or_else(PoisonError::into_inner);
        let before = staying.replace(self);
        drop(staying);
        drop(before);
    }

    /// Why the provisioner did not answer last, where it did not.
    #[must_use]
    pub fn said(&self) -> Option<Reason> {
        self.0
            .said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // The listener wakes up for a caller, sees that it is over, and goes.
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, self.address.port()));
        drop(std::net::TcpStream::connect_timeout(
            &here,
            Duration::from_secs(1),
        ));
    }
}

impl Room {
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn now(&self) -> Millis {
        Millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pieces(&self) -> Pieces {
        self.ledger().pieces
    }

    /// Until something changes, or this is over.
    pub(super) fn sleep(&self, most: Duration) {
        let ledger = self.ledger();
        // Whatever woke it up, it looks again.
        let _woken = self.changed.wait_timeout(ledger, most);
    }

    /// What is to be fetched where has changed.
    pub(super) fn tell(&self) {
        self.changed.notify_all();
        if let Some(wake) = &*self.wake.lock().unwrap_or_else(PoisonError::into_inner) {
            wake();
        }
    }

    pub(super) fn question(&self) -> SourcesQuestion {
        let hot = {
            let pieces = self.pieces();
            self.shelf().whole(pieces)
        };
        let mut ledger = self.ledger();
        ledger.sent(self.sent.load(Ordering::Relaxed));
        let piece = self
            .average()
            .saturating_mul(u64::from(ledger.pieces.length()));
        let shelf = SHELF_MAX.0 / piece.max(1);
        SourcesQuestion {
            run: self.run.clone(),
            image: self.image,
            chunks: u32::try_from(self.manifest.chunks.len()).unwrap_or(u32::MAX),
            chunk_size: self.manifest.chunk_size,
            port: Some(self.address.port()),
            disk: self.serves_from_disk(),
            have: ledger.have().clone(),
            hot,
            shelf: u32::try_from(shelf).unwrap_or(u32::MAX),
            under_way: ledger.under_way(),
            room: ledger.room(),
            troubles: ledger.take_troubles(),
            traffic: ledger.traffic(),
        }
    }

    pub(super) fn unanswered(&self, troubles: Vec<PeerTrouble>, said: Reason) {
        let mut ledger = self.ledger();
        ledger.keep(troubles);
        ledger.unanswered(self.now());
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    }

    /// The frame of the chunk with this digest, where it is here.
    pub(super) fn frame(&self, digest: &Digest) -> Option<Arc<[u8]>> {
        let chunks = &self.by_digest;
        let from = chunks.partition_point(|chunk| digest_of(&self.manifest, *chunk) < *digest);
        let same: Vec<u32> = chunks
            .iter()
            .skip(from)
            .take_while(|chunk| digest_of(&self.manifest, **chunk) == *digest)
            .copied()
            .collect();
        let hot = {
            let shelf = self.shelf();
            same.iter().find_map(|chunk| shelf.get(*chunk))
        };
        if hot.is_some() {
            return hot;
        }
        let stands = {
            let ledger = self.ledger();
            same.into_iter().find(|chunk| ledger.has_chunk(*chunk))?
        };
        let chunk = self.chunk(stands)?;
        let mut again = self
            .again
            .as_ref()?
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // A disk that cannot be read is the deploy's to tell of; here it is a chunk that is not had.
        again.frame(chunk).ok().flatten().map(Arc::from)
    }

    fn chunk(&self, chunk: u32) -> Option<&Chunk> {
        self.manifest.chunks.get(usize::try_from(chunk).ok()?)
    }

    fn serves_from_disk(&self) -> bool {
        let again = self.again.as_ref();
        again.is_some_and(|again| {
            again
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_useful()
        })
    }

    /// The average length of a frame in bytes.
    fn average(&self) -> u64 {
        let all: u64 = self
            .manifest
            .chunks
            .iter()
            .map(|chunk| chunk.stored_length.0)
            .sum();
        let count = u64::try_from(self.manifest.chunks.len()).unwrap_or(u64::MAX);
        all / count.max(1)
    }

    fn call(&self, node: &NodeId) -> Option<Arc<ClientConfig>> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = calls.get(node) {
            return Some(Arc::clone(known));
        }
        // A name that no certificate can have is no node's.
        let tls = self.identity.client(node).ok()?;
        calls.insert(node.clone(), Arc::clone(&tls));
        Some(tls)
    }

    fn entry(&self, other: &Other) -> Option<SourceEntry> {
        let tls = self.call(&other.node)?;
        Some(SourceEntry {
            name: other.name(),
            place: Place::Http(Source::with_tls(format!("https://{}", other.address), tls)),
            weight: 1,
            last: false,
            holds: Some(Arc::clone(&other.holds)),
        })
    }
}

impl SourceBook for Book {
    fn sources(&self) -> Vec<SourceEntry> {
        let room = &self.0;
        // The deploy opens the book once a second: its first look shall not come a moment too soon.
        if room.ledger().is_new() {
            room.sleep(FIRST_ANSWER);
        }
        let ledger = room.ledger();
        let mut repository = SourceEntry::repository(room.repository.clone());
        repository.holds = Some(Arc::clone(&ledger.repository));
        let others = ledger
            .in_use(room.now())
            .filter_map(|other| room.entry(other));
        std::iter::once(repository).chain(others).collect()
    }

    fn begins(&self, wake: Waker) {
        let mut reader = self.0.wake.lock().unwrap_or_else(PoisonError::into_inner);
        *reader = Some(wake);
    }

    fn report(&self, name: &str, outcome: &Outcome) {
        if let Outcome::Dropped { reason, .. } = outcome {
            let what = match reason.code {
                ReasonCode::ChunkCorrupt => TroubleKind::Lied,
                ReasonCode::ImageMissing => TroubleKind::Gone,
                _ => TroubleKind::Away,
            };
            self.0.ledger().dropped(name, what);
            self.0.changed.notify_all();
        }
    }

    fn proved(&self, index: usize, _chunk: &Chunk, stored: &[u8]) {
        let Ok(chunk) = u32::try_from(index) else {
            return;
        };
        let is_ours = self.0.ledger().came(chunk, stored.len() as u64);
        if is_ours {
            self.0.shelf().put(chunk, stored);
        }
    }

    fn on_disk(&self, index: usize) {
        let Ok(chunk) = u32::try_from(index) else {
            return;
        };
        let mut ledger = self.0.ledger();
        let before = ledger.due();
        ledger.stands(self.0.now(), chunk);
        if ledger.due() < before {
            self.0.changed.notify_all();
        }
    }
}

fn digest_of(manifest: &Manifest, chunk: u32) -> Digest {
    let at = usize::try_from(chunk).unwrap_or(usize::MAX);
    manifest
        .chunks
        .get(at)
        .map_or(Digest([0xff; 32]), |chunk| chunk.digest)
}

fn no_port(error: &std::io::Error) -> Reason {
    Reason::new(
        ReasonCode::Internal,
        "there is no port on which other nodes could fetch from this one",
        "order the run again; set peers = false under [images] in the site file where it stays so",
    )
    .seen(error.to_string())
}
