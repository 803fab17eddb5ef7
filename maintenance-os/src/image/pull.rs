// SPDX-License-Identifier: Apache-2.0
//! The thread that fetches chunks, one after the other, over one connection that is kept open.

use super::Source;
use super::ask::{Question, Trouble, ask, path};
use super::buffer::Pool;
use super::write::Message;
use groundstate_api::image::{Chunk, Manifest};
use groundstate_api::{Reason, ReasonCode, paths};
use image_core::Event;
use image_core::limits::stored_max;
use std::sync::mpsc::{Receiver, Sender, SyncSender};

/// A chunk's stored bytes on their way to the proof.
pub(super) struct Job {
    pub(super) index: usize,
    pub(super) chunk: Chunk,
    pub(super) stored: Vec<u8>,
}

/// Fetches the chunks that `wanted` names until it is closed.
pub(super) fn pull(
    source: &Source,
    manifest: &Manifest,
    pool: &Pool,
    wanted: &Receiver<usize>,
    jobs: &SyncSender<Job>,
    events: &Sender<Message>,
) {
    // What came of a chunk before the network failed; the next question asks for the rest.
    let mut part: Option<(usize, Vec<u8>)> = None;
    for index in wanted {
        let chunk = manifest.chunks[index];
        let length = usize::try_from(chunk.stored_length.0).unwrap_or(0);
        let mut stored = match part.take_if(|(same, _)| *same == index) {
            Some((_, bytes)) => bytes,
            None => pool.stored(length),
        };
        let what = format!(
            "{} at byte {}",
            image_core::manifest::title(manifest),
            chunk.offset.0
        );
        let question = Question {
            path: path(paths::CHUNK, &chunk.digest),
            digest: chunk.digest,
            what: &what,
            length: Some(chunk.stored_length),
            max: stored_max(chunk.length),
        };
        let event = match ask(source, &question, &mut stored) {
            Ok(()) => {
                // The one who acts has gone when a channel is closed; then there is nothing left to do.
                if events
                    .send(Message::Event(Event::Fetched { chunk: index }))
                    .is_err()
                    || jobs
                        .send(Job {
                            index,
                            chunk,
                            stored,
                        })
                        .is_err()
                {
                    return;
                }
                continue;
            }
            Err(Trouble::Away(said)) => {
                if let Some((_, other)) = part.replace((index, stored)) {
                    pool.stored_back(other);
                }
                Event::Away { chunk: index, said }
            }
            Err(Trouble::Corrupt(fault)) => {
                pool.stored_back(stored);
                Event::Corrupt {
                    chunk: index,
                    fault,
                }
            }
            Err(Trouble::Refused(reason)) => Event::Stopped { reason },
            Err(Trouble::Sink(error)) => Event::Stopped {
                reason: Reason::new(
                    ReasonCode::Internal,
                    format!("there is no memory for {what}"),
                    "see that the machine has the memory that it should have",
                )
                .seen(error.to_string()),
            },
        };
        if events.send(Message::Event(event)).is_err() {
            return;
        }
    }
}
