// SPDX-License-Identifier: Apache-2.0
//! The fold, kept beside the journal, so that a start need not read everything that was ever journalled.
//!
//! The journal is the truth. A snapshot is believed only where it was written by this very build, from this journal, after an
//! event that stands in it still, and where every byte is what was written; in any doubt it is set aside, which is said, and the
//! whole journal is folded. Nothing is lost with it: it may be deleted at any time.

use crate::journal::{JournalError, Reader};
use groundstate_api::event::Event;
use groundstate_api::site::Site;
use groundstate_api::{Digest, Millis, NodeId};
use prov_core::Fleet;
use prov_core::snapshot::{self, Chunk, FOLD, NotRestored, Taken};
use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

/// The file's name in the state directory.
const NAME: &str = "fold.snapshot";
/// What it begins with.
const BEGINS: &[u8] = b"groundstate fold 1\n";
/// Bytes that the disk is given at once: who waits for the journal does not wait behind more of ours.
const AT_ONCE: usize = 4 << 20;
/// The longest piece; 64 nodes with every disk that fits into a rack are far below it.
const PIECE_MAX: u32 = 256 << 20;
/// Threads that open pieces, and pieces that each may be behind.
const OPENERS: usize = 2;
const BEHIND: usize = 2;

/// What stands before the nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// What the build's fold is made of.
    fold: String,
    /// Which journal.
    journal: String,
    /// The event that it was taken after.
    pub(super) newest: u64,
    /// That event's digest.
    event: Digest,
    /// Version and digest of the site in force.
    pub(super) version: u64,
    pub(super) site: Digest,
    /// The site that came with a start last.
    pub(super) of_start: Option<Digest>,
    /// Nodes that the journal speaks of and the site does not.
    pub(super) gone: BTreeSet<NodeId>,
    /// How many pieces of nodes follow.
    pieces: usize,
}

/// Why a snapshot is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ignored {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("it does not begin as one, or ends too early")]
    Layout,
    #[error("its digest is not that of its bytes: it is damaged")]
    Damaged,
    #[error("another build of groundstate wrote it")]
    OtherBuild,
    #[error("it is of another journal")]
    OtherJournal,
    #[error("the journal ends at event {newest}, and it was taken after event {taken}")]
    Ahead { newest: u64, taken: u64 },
    #[error("event {0} is another one in the journal than when it was taken")]
    OtherHistory(u64),
    #[error("the journal cannot be asked: {0}")]
    Journal(#[from] JournalError),
    #[error("its header cannot be understood: {0}")]
    Header(#[from] serde_json::Error),
    #[error("it is not of this fleet: {0}")]
    Fleet(#[from] NotRestored),
    #[error("a thread that opens it ended")]
    Thread,
}

/// The snapshot's file.
#[derive(Clone, Debug)]
pub(super) struct SnapshotFile {
    path: PathBuf,
}

/// What a snapshot is taken of, beside the fleet.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) journal: String,
    pub(super) newest: u64,
    pub(super) version: u64,
    pub(super) site: Digest,
    pub(super) of_start: Option<Digest>,
    pub(super) gone: BTreeSet<NodeId>,
}

/// What a snapshot brought.
#[derive(Debug)]
pub(super) struct Restored {
    pub(super) header: Header,
    rest: Vec<u8>,
    chunks: Vec<Chunk>,
}

impl Restored {
    /// The fleet, of the site that was in force.
    pub(super) fn fleet(self, site: &Site, began: Millis) -> Result<Fleet, Ignored> {
        Ok(Fleet::restored(site, began, &self.rest, self.chunks)?)
    }
}

impl SnapshotFile {
    pub(super) fn of(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join(NAME),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads it; `None` where there is none.
    ///
    /// # Errors
    /// Why it is not used.
    pub(super) fn read(
        &self,
        reader: &dyn Reader,
        journal: Option<&str>,
    ) -> Result<Option<Restored>, Ignored> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let header = header_of(&mut BufReader::new(&file))?;
        check(&header, reader, journal)?;
        // All of it is verified before any of it is opened.
        verify(&self.path)?;
        let mut from = BufReader::with_capacity(AT_ONCE, File::open(&self.path)?);
        let header = header_of(&mut from)?;
        let rest = piece(&mut from)?;
        let chunks = open_all(&mut from, header.pieces)?;
        Ok(Some(Restored {
            header,
            rest,
            chunks,
        }))
    }

    /// Writes it in the place of the one before. It takes its time: nobody waits for it.
    ///
    /// # Errors
    /// Where the disk or the journal does not give what it takes; then the one before stays.
    pub(super) fn write(
        &self,
        reader: &dyn Reader,
        moment: Moment,
        taken: &Taken,
    ) -> Result<u64, Ignored> {
        let event = event_digest(reader, moment.newest)?;
        let header = Header {
            fold: FOLD.to_owned(),
            journal: moment.journal,
            newest: moment.newest,
            event: event.ok_or(Ignored::OtherHistory(moment.newest))?,
            version: moment.version,
            site: moment.site,
            of_start: moment.of_start,
            gone: moment.gone,
            pieces: taken.pieces(),
        };
        let new = self.path.with_extension("new");
        let written = Self::write_to(&new, &header, taken);
        if written.is_err() {
            // The journal needs the room: half a snapshot is worth nothing.
            let _ = std::fs::remove_file(&new);
        }
        let length = written?;
        std::fs::rename(&new, &self.path)?;
        Ok(length)
    }

    fn write_to(new: &Path, header: &Header, taken: &Taken) -> Result<u64, Ignored> {
        // The site is in it, with the texts that are placed on hosts: its owner's alone.
        let mut open = OpenOptions::new();
        let file = open.write(true).create(true).truncate(true).mode(0o600);
        let mut to = Out::new(file.open(new)?);
        to.put(BEGINS)?;
        to.piece(&serde_json::to_vec(header)?)?;
        to.piece(&taken.rest()?)?;
        for chunk in taken.chunks() {
            to.piece(&chunk?)?;
        }
        Ok(to.end()?)
    }
}

/// What is written, with its digest.
struct Out {
    to: BufWriter<File>,
    digest: Context,
    length: u64,
    unsynced: usize,
}

impl Out {
    fn new(file: File) -> Self {
        Self {
            to: BufWriter::with_capacity(AT_ONCE / 4, file),
            digest: Context::new(&SHA256),
            length: 0,
            unsynced: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.to.write_all(bytes)?;
        self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.unsynced += bytes.len();
        if self.unsynced >= AT_ONCE {
            self.unsynced = 0;
            self.to.flush()?;
            self.to.get_ref().sync_data()?;
        }
        Ok(())
    }

    fn piece(&mut self, bytes: &[u8]) -> Result<(), Ignored> {
        let length = u32::try_from(bytes.len()).ok();
        let length = length.filter(|length| *length <= PIECE_MAX);
        let length = length.ok_or(Ignored::Layout)?;
        self.put(&length.to_le_bytes())?;
        Ok(self.put(bytes)?)
    }

    fn end(self) -> io::Result<u64> {
        let mut to = self.to;
        to.write_all(self.digest.finish().as_ref())?;
        to.flush()?;
        to.get_ref().sync_all()?;
        Ok(self.length)
    }
}

fn header_of(from: &mut impl Read) -> Result<Header, Ignored> {
    let mut begins = [0; BEGINS.len()];
    exactly(from, &mut begins)?;
    if begins != *BEGINS {
        return Err(Ignored::Layout);
    }
    Ok(serde_json::from_slice(&piece(from)?)?)
}

/// Whether it is of this build, and of this journal as it is now.
fn check(header: &Header, reader: &dyn Reader, journal: Option<&str>) -> Result<(), Ignored> {
    if header.fold != FOLD {
        return Err(Ignored::OtherBuild);
    }
    if journal != Some(header.journal.as_str()) {
        return Err(Ignored::OtherJournal);
    }
    let (newest, taken) = (reader.newest()?, header.newest);
    if newest < taken {
        return Err(Ignored::Ahead { newest, taken });
    }
    match event_digest(reader, taken)? {
        Some(event) if event == header.event => Ok(()),
        Some(_) | None => Err(Ignored::OtherHistory(taken)),
    }
}

/// The digest of an event as the journal has it.
fn event_digest(reader: &dyn Reader, number: u64) -> Result<Option<Digest>, Ignored> {
    let events = reader.read(number.saturating_sub(1), 1, None)?;
    let event: Option<&Event> = events.first().filter(|event| event.number == number);
    let json = event.map(serde_json::to_vec).transpose()?;
    Ok(json.map(|json| Digest::of(&json)))
}

/// Whether the file ends with the digest of what is before it.
fn verify(path: &Path) -> Result<(), Ignored> {
    let mut file = File::open(path)?;
    let tail = u64::try_from(SHA256_OUTPUT_LEN).unwrap_or(u64::MAX);
    let mut left = file
        .metadata()?
        .len()
        .checked_sub(tail)
        .ok_or(Ignored::Layout)?;
    let (mut digest, mut buffer) = (Context::new(&SHA256), vec![0; 1 << 20]);
    while left > 0 {
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let some = buffer.get_mut(..most).ok_or(Ignored::Layout)?;
        exactly(&mut file, some)?;
        digest.update(some);
        left -= u64::try_from(most).unwrap_or(left);
    }
    let mut said = [0; SHA256_OUTPUT_LEN];
    exactly(&mut file, &mut said)?;
    if digest.finish().as_ref() == said {
        Ok(())
    } else {
        Err(Ignored::Damaged)
    }
}

fn exactly(from: &mut impl Read, to: &mut [u8]) -> Result<(), Ignored> {
    from.read_exact(to).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Ignored::Layout,
        _ => Ignored::Unreadable(error),
    })
}

fn piece(from: &mut impl Read) -> Result<Vec<u8>, Ignored> {
    let mut length = [0; 4];
    exactly(from, &mut length)?;
    let length = u32::from_le_bytes(length);
    if length > PIECE_MAX {
        return Err(Ignored::Layout);
    }
    let mut bytes = Vec::new();
    let read = from.take(u64::from(length)).read_to_end(&mut bytes)?;
    if u32::try_from(read) != Ok(length) {
        return Err(Ignored::Layout);
    }
    Ok(bytes)
}

/// Opens every piece, with two threads, in order.
fn open_all(from: &mut impl Read, pieces: usize) -> Result<Vec<Chunk>, Ignored> {
    std::thread::scope(|scope| {
        let (mut given, mut taken) = (Vec::new(), Vec::new());
        for _ in 0..OPENERS {
            let (give, take) = sync_channel::<Vec<u8>>(BEHIND);
            let opener = scope.spawn(move || open_some(&take));
            given.push(give);
            taken.push(opener);
        }
        for (_, give) in (0..pieces).zip(given.iter().cycle()) {
            // A thread that has failed takes nothing more, and says why below.
            if give.send(piece(from)?).is_err() {
                break;
            }
        }
        drop(given);
        let opened = taken.into_iter().map(|opener| opener.join());
        let opened: Vec<Vec<Chunk>> = opened
            .map(|chunks| chunks.map_err(|_| Ignored::Thread)?)
            .collect::<Result<_, Ignored>>()?;
        let mut turns: Vec<_> = opened.into_iter().map(Vec::into_iter).collect();
        let mut chunks = Vec::new();
        for at in 0..pieces {
            let turn = turns.get_mut(at % OPENERS).and_then(Iterator::next);
            chunks.push(turn.ok_or(Ignored::Layout)?);
        }
        Ok(chunks)
    })
}

fn open_some(take: &Receiver<Vec<u8>>) -> Result<Vec<Chunk>, Ignored> {
    let mut chunks = Vec::new();
    while let Ok(bytes) = take.recv() {
        chunks.push(snapshot::open(&bytes)?);
    }
    Ok(chunks)
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
