// SPDX-License-Identifier: Apache-2.0
//! Writes the image in one pass: one thread fetches, two prove, and this one does what the fetch machine says.

use super::buffer::{Aligned, Pool};
use super::clock::{Clock, seed};
use super::prove::prove;
use super::pull::{Job, pull};
use super::target::{REQUEST_MAX, Target};
use super::{Moved, Source};
use groundstate_api::image::Manifest;
use groundstate_api::limits::CHUNK_SIZE_MAX;
use groundstate_api::{Bytes, Millis, Reason};
use image_core::limits::flight;
use image_core::manifest::{data, digest};
use image_core::{Action, Event, Fetch};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};

/// Threads that prove chunks. Two, because decompression and SHA-256 take as long as all the rest.
const PROVERS: usize = 2;
/// Zero runs are cleared in such pieces, so that progress is seen.
const ZERO_PIECE: Bytes = Bytes::mib(64);

/// What the threads tell the one that acts.
pub(super) enum Message {
    /// As the machine knows it.
    Event(Event),
    /// A chunk is proved and here it is.
    Proved(usize, Aligned),
}

/// Writes the image to `target`, a partition that is at least as large, and makes it durable. `manifest` has come out
/// of [`super::fetch_manifest`]. Returns what is true of it now, a line each.
///
/// # Errors
/// The target is too small (nothing is written then), a chunk is corrupt or missing (nothing from it on is written),
/// the server refuses, or the disk fails. A server that is away is waited for without end, told through `on`.
pub fn write(
    source: &Source,
    manifest: &Manifest,
    target: &Path,
    on: &mut dyn FnMut(Moved),
) -> Result<Vec<String>, Reason> {
    image_core::manifest::check(manifest)
        .map_err(|error| error.reason(&image_core::manifest::title(manifest)))?;
    let target = Target::open(target, manifest, true, REQUEST_MAX)?;
    write_to(target, manifest, on, |pool, wanted, jobs, tell| {
        pull(source, manifest, pool, wanted, jobs, tell);
    })
}

/// The same with the thread that fetches given: it brings the chunks that it is asked for until nobody asks.
pub(super) fn write_to(
    target: Target,
    manifest: &Manifest,
    on: &mut dyn FnMut(Moved),
    fetch: impl FnOnce(&Pool, &Receiver<usize>, &SyncSender<Job>, &Sender<Message>) + Send,
) -> Result<Vec<String>, Reason> {
    let fact = target.fact();
    let pool = Pool::default();
    let clock = Clock::start();
    let (want, wanted) = mpsc::channel();
    let (jobs, job) = mpsc::sync_channel(flight(manifest.chunk_size));
    let (tell, events) = mpsc::channel();
    let job = Mutex::new(job);
    let chunk_size = usize::try_from(manifest.chunk_size.0.min(CHUNK_SIZE_MAX.0)).unwrap_or(0);
    std::thread::scope(|scope| {
        for _ in 0..PROVERS {
            let (tell, pool, job) = (tell.clone(), &pool, &job);
            scope.spawn(move || prove(pool, chunk_size, job, &tell));
        }
        let puller = &pool;
        scope.spawn(move || fetch(puller, &wanted, &jobs, &tell));
        Writer {
            manifest,
            target,
            pool: &pool,
            clock,
            want,
            proved: BTreeMap::new(),
            on,
        }
        .run(&events)
    })?;
    let mut facts = facts(manifest, clock.took(), pool.peak());
    facts.push(fact);
    Ok(facts)
}

fn facts(manifest: &Manifest, took: Millis, peak: u64) -> Vec<String> {
    let stored: u64 = manifest.chunks.iter().map(|c| c.stored_length.0).sum();
    let rate = manifest.size.0.saturating_mul(1_000) / took.0.max(1);
    vec![
        format!(
            "{} of {} written in {took} ({}/s): {} of data in {} chunks ({} fetched), zeros between them",
            manifest.size,
            image_core::manifest::title(manifest),
            Bytes(rate),
            data(manifest),
            manifest.chunks.len(),
            Bytes(stored),
        ),
        format!("manifest {}", digest(manifest)),
        "each chunk's SHA-256 was right before it was written; flushed to the disk".to_string(),
        format!("buffers held at most {peak} bytes"),
    ]
}

struct Writer<'a> {
    manifest: &'a Manifest,
    target: Target,
    pool: &'a Pool,
    clock: Clock,
    want: Sender<usize>,
    proved: BTreeMap<usize, Aligned>,
    on: &'a mut dyn FnMut(Moved),
}

impl Writer<'_> {
    /// Until the end. Its channel to the fetching thread closes with it, which ends the threads.
    fn run(mut self, events: &Receiver<Message>) -> Result<(), Reason> {
        let mut fetch = Fetch::new(self.manifest, seed());
        let mut actions = Vec::new();
        fetch.handle(self.clock.now(), Event::Start, &mut actions);
        loop {
            // What an action brings about is told to the machine at once, and its answer follows what it said before.
            let mut next = 0;
            while next < actions.len() {
                let action = actions[next].clone();
                next += 1;
                if let Some(end) = self.act(action, &mut fetch, &mut actions) {
                    return end;
                }
            }
            actions.clear();
            let event = self.wait(events, fetch.deadline());
            fetch.handle(self.clock.now(), event, &mut actions);
        }
    }

    fn wait(&mut self, events: &Receiver<Message>, deadline: Option<Millis>) -> Event {
        let message = match deadline {
            Some(moment) => events.recv_timeout(self.clock.until(moment)),
            None => events.recv().map_err(RecvTimeoutError::from),
        };
        match message {
            Ok(Message::Event(event)) => event,
            Ok(Message::Proved(chunk, buffer)) => {
                self.proved.insert(chunk, buffer);
                Event::Proved { chunk }
            }
            Err(RecvTimeoutError::Timeout) => Event::Timeout,
            Err(RecvTimeoutError::Disconnected) => Event::Stopped {
                reason: Reason::new(
                    groundstate_api::ReasonCode::Internal,
                    "the threads that fetch the image ended before it was whole",
                    "keep this machine's log and report it, then order the run anew",
                ),
            },
        }
    }

    fn act(
        &mut self,
        action: Action,
        fetch: &mut Fetch,
        out: &mut Vec<Action>,
    ) -> Option<Result<(), Reason>> {
        let done = match action {
            // A closed channel is noticed by `wait`.
            Action::Get { chunk } => {
                let _ = self.want.send(chunk);
                return None;
            }
            Action::Progress { done, total } => {
                (self.on)(Moved::Progress { done, total });
                return None;
            }
            Action::Wait(reason) => {
                (self.on)(Moved::Waiting(reason));
                return None;
            }
            Action::GoOn => {
                (self.on)(Moved::GoingOn);
                return None;
            }
            Action::Done => return Some(Ok(())),
            Action::Fail(reason) => return Some(Err(reason)),
            Action::Zero { from, to } => self.zero(from, to, fetch, out),
            Action::Write { chunk } => self.write(chunk),
            Action::Flush => self.target.flush().map(|()| Event::Flushed),
        };
        let event = done.unwrap_or_else(|reason| Event::Stopped { reason });
        fetch.handle(self.clock.now(), event, out);
        None
    }

    fn zero(
        &mut self,
        from: Bytes,
        to: Bytes,
        fetch: &mut Fetch,
        out: &mut Vec<Action>,
    ) -> Result<Event, Reason> {
        let mut at = from;
        loop {
            let end = Bytes(to.0.min(at.0.saturating_add(ZERO_PIECE.0)));
            self.target.zero(at, end)?;
            if end == to {
                return Ok(Event::Wrote { to });
            }
            fetch.handle(self.clock.now(), Event::Wrote { to: end }, out);
            at = end;
        }
    }

    fn write(&mut self, index: usize) -> Result<Event, Reason> {
        let chunk = self.manifest.chunks[index];
        let buffer = self
            .proved
            .remove(&index)
            .expect("the machine writes only what was proved");
        let length = usize::try_from(chunk.length.0).expect("a chunk is in memory");
        let buffer = self.target.write(buffer, length, chunk.offset)?;
        self.pool.plain_back(buffer);
        Ok(Event::Wrote {
            to: Bytes(chunk.offset.0 + chunk.length.0),
        })
    }
}
