// SPDX-License-Identifier: Apache-2.0
//! The threads that prove chunks: stored bytes, decompression into a buffer of exactly the right length, plain bytes.

use super::buffer::Pool;
use super::pull::Job;
use super::write::Message;
use groundstate_api::image::Chunk;
use groundstate_api::{Bytes, Reason, ReasonCode};
use image_core::Event;
use image_core::proof::{self, Corrupt};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Mutex, PoisonError};

/// Proves what `jobs` brings until it is closed. Plain buffers have `chunk_size` bytes.
pub(super) fn prove(
    pool: &Pool,
    chunk_size: usize,
    jobs: &Mutex<Receiver<Job>>,
    events: &Sender<Message>,
) {
    let mut zstd = match zstd::bulk::Decompressor::new() {
        Ok(zstd) => zstd,
        Err(error) => {
            let reason = Reason::new(
                ReasonCode::Internal,
                "the decompressor could not be started",
                "see that the machine has the memory that it should have",
            )
            .seen(error.to_string());
            // A closed channel means that it is over anyway.
            let _ = events.send(Message::Event(Event::Stopped { reason }));
            return;
        }
    };
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job {
            index,
            chunk,
            stored,
        }) = next
        else {
            return;
        };
        let mut buffer = pool.plain(chunk_size);
        let verdict = unpack(&mut zstd, &chunk, &stored, buffer.bytes_mut());
        pool.stored_back(stored);
        let message = match verdict {
            Ok(()) => Message::Proved(index, buffer),
            Err(fault) => {
                pool.plain_back(buffer);
                Message::Event(Event::Corrupt {
                    chunk: index,
                    fault,
                })
            }
        };
        if events.send(message).is_err() {
            return;
        }
    }
}

/// Puts the chunk's plain bytes at the start of `buffer`. Not one byte more than the manifest says is written there.
fn unpack(
    zstd: &mut zstd::bulk::Decompressor<'_>,
    chunk: &Chunk,
    stored: &[u8],
    buffer: &mut [u8],
) -> Result<(), Corrupt> {
    proof::stored(chunk, stored)?;
    let length = usize::try_from(chunk.length.0)
        .unwrap_or(usize::MAX)
        .min(buffer.len());
    let buffer = &mut buffer[..length];
    let found = zstd
        .decompress_to_buffer(stored, buffer)
        .map_err(|error| Corrupt::Decompress {
            length: chunk.length,
            said: error.to_string(),
        })?;
    if found != length {
        return Err(Corrupt::Length {
            expected: chunk.length,
            found: Bytes(found as u64),
        });
    }
    proof::plain(chunk, buffer)
}
