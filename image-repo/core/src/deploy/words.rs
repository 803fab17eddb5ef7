// SPDX-License-Identifier: Apache-2.0
//! What happens to a deploy and what it wants done.

use super::set::ChunkSet;
use super::span::Chunks;
use crate::proof::Corrupt;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use groundstate_api::{Bytes, Millis, Reason};

/// One who gives chunks, as the deploy must know it.
#[derive(Clone, Debug)]
pub struct SourceWord {
    /// Its name; no two are the same.
    pub name: String,
    /// How many questions go on side by side, each on a connection of its own.
    pub lanes: usize,
    /// It is waited for without end and never dropped for good: the repository.
    pub last: bool,
    /// Which chunks it is asked for; `None` is all.
    pub holds: Option<Arc<ChunkSet>>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Begin. Sources are told before.
    Start,
    /// Who gives chunks now; who is not among them any more is not asked again.
    Sources(Vec<SourceWord>),
    /// A span was read from the disk, and these of its chunks are right.
    Read {
        /// Which span.
        span: usize,
        /// The right ones.
        kept: Chunks,
    },
    /// A piece of a run of zeros was read from the disk.
    Looked {
        /// Which span.
        span: usize,
        /// Whether every byte of it is zero.
        clear: bool,
    },
    /// A lane brought these chunks of a span whole: all that it was asked for, or what came before it broke.
    Arrived {
        /// From where.
        lane: usize,
        /// Which span.
        span: usize,
        /// What came.
        chunks: Chunks,
    },
    /// The connection failed. What it brought whole was told before; everything else that was asked of it is not coming.
    Lost {
        /// Which lane.
        lane: usize,
        /// What the network said.
        said: String,
    },
    /// The source refuses to give something and will go on refusing.
    Refused {
        /// Which lane.
        lane: usize,
        /// Which chunk was asked for.
        chunk: usize,
        /// Whether it only does not have that chunk.
        lacks: bool,
        /// Why.
        reason: Reason,
    },
    /// Chunks were proved. The right ones are held until they are written.
    Proved {
        /// Which span.
        span: usize,
        /// The right ones.
        good: Chunks,
        /// The wrong ones, and how they differ.
        bad: Vec<(usize, Corrupt)>,
    },
    /// The head of the target reads as zero, for good.
    Shut,
    /// A span's chunks, or a piece of its zeros, were written.
    Wrote {
        /// Which span.
        span: usize,
    },
    /// The disk has everything so far for good.
    Flushed,
    /// The disk has everything for good that was written before [`Action::Settle`].
    Settled,
    /// A piece was read back, and is what the manifest says. One that is not ends the deploy ([`Event::Stopped`]).
    Back {
        /// Which span.
        span: usize,
    },
    /// How many bytes each lane has brought since it was opened, by lane; told when the deadline has come.
    Tick {
        /// Bytes.
        received: Vec<u64>,
    },
    /// The disk failed: it cannot go on.
    Stopped {
        /// Why.
        reason: Reason,
    },
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Open a lane to a source; connect when something is asked for.
    Open {
        /// The lane's number, counted from 0 and never used again.
        lane: usize,
        /// The source's name.
        source: String,
    },
    /// Break a lane's connection off; report [`Event::Lost`] where something was under way.
    Break {
        /// Which lane.
        lane: usize,
    },
    /// A lane is not needed any more.
    Close {
        /// Which lane.
        lane: usize,
    },
    /// Read a span from the disk and compare its chunks; report [`Event::Read`].
    Read {
        /// Which span.
        span: usize,
    },
    /// Read a piece of a run of zeros; report [`Event::Looked`].
    Look {
        /// Which span.
        span: usize,
        /// First byte.
        from: Bytes,
        /// First byte after it.
        to: Bytes,
    },
    /// Read these chunks from other places of the disk and prove them; report [`Event::Proved`].
    Borrow {
        /// Which span.
        span: usize,
        /// Chunk numbers and places.
        from: Vec<(usize, Bytes)>,
    },
    /// Ask a lane for these chunks of a span; report [`Event::Arrived`], [`Event::Lost`] or [`Event::Refused`].
    Get {
        /// Which lane.
        lane: usize,
        /// Which span.
        span: usize,
        /// Which chunks.
        chunks: Chunks,
    },
    /// Prove what a lane brought; report [`Event::Proved`].
    Prove {
        /// Which lane.
        lane: usize,
        /// Which span.
        span: usize,
    },
    /// Forget what a lane brought.
    Discard {
        /// Which lane.
        lane: usize,
        /// Which span.
        span: usize,
    },
    /// Forget the proved chunks of a span: they come again, all together.
    Forget {
        /// Which span.
        span: usize,
    },
    /// Make the head of the target read as zero and flush; report [`Event::Shut`].
    Shut,
    /// Write the proved chunks of a span; report [`Event::Wrote`].
    Write {
        /// Which span.
        span: usize,
        /// Which chunks.
        chunks: Chunks,
        /// Only the blocks that differ from what stands there.
        compare: bool,
    },
    /// Write zeros; report [`Event::Wrote`].
    Clear {
        /// Which span.
        span: usize,
        /// First byte.
        from: Bytes,
        /// First byte after it.
        to: Bytes,
        /// Only the blocks that are not zero.
        compare: bool,
    },
    /// Make it durable; report [`Event::Flushed`].
    Flush,
    /// Make durable what was written so far, while more is being written; report [`Event::Settled`].
    Settle,
    /// Read what was written back from the disk itself and compare it: all of a span, or a piece of a run of zeros; report
    /// [`Event::Back`].
    Back {
        /// Which span.
        span: usize,
        /// First byte.
        from: Bytes,
        /// First byte after it.
        to: Bytes,
    },
    /// These chunks stand on the disk.
    OnDisk {
        /// Which span.
        span: usize,
        /// Which chunks.
        chunks: Chunks,
    },
    /// The disk has so much of the image.
    Progress {
        /// Bytes, zero runs included.
        done: Bytes,
        /// Of these, how many stood there before.
        kept: Bytes,
    },
    /// Nobody gives anything just now.
    Wait(Reason),
    /// Somebody does again.
    GoOn,
    /// A source is not asked for now.
    Drop {
        /// Which.
        source: String,
        /// Why.
        reason: Reason,
        /// When it is asked again; never where it lied too often.
        until: Option<Millis>,
    },
    /// A source that was dropped gives right bytes again.
    Return {
        /// Which.
        source: String,
    },
    /// All of it is on the disk.
    Done,
    /// It cannot go on.
    Fail(Reason),
}
