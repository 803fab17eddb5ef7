// SPDX-License-Identifier: Apache-2.0
//! Pieces of files on disk on their way to a connection: read into buffers that are used again.
//!
//! What the page cache holds is read at once by the task that sends it; only what has to come from the disk is read by
//! another thread. Nothing is read ahead of what the connection takes, so a client that takes nothing costs one piece.

use crate::content::Content;
use hyper::body::Bytes;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

/// Bytes read and given to the connection at a time: large enough that the calls cost little beside the copies, small
/// enough that the buffer stays in the processor's cache between them.
pub(crate) const PIECE: usize = 128 << 10;
/// Buffers that are kept for later: 16 MiB.
const KEPT_MAX: usize = 128;

/// Buffers between two uses; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    free: Arc<Mutex<Vec<Box<[u8]>>>>,
}

/// Part of a file, in a buffer that goes back when it was sent.
struct Piece {
    buffer: Box<[u8]>,
    length: usize,
    home: Pieces,
}

/// What became of a read.
pub(crate) enum Read {
    /// The bytes.
    Now(io::Result<Bytes>),
    /// Another thread reads them from the disk.
    Later(JoinHandle<io::Result<Bytes>>),
}

impl Pieces {
    /// The bytes of `content` from `at` to at most `end`, and no more than [`PIECE`]; never none.
    pub(crate) fn read(&self, content: &Content, at: u64, end: u64) -> Read {
        let wanted = usize::try_from(end.saturating_sub(at)).unwrap_or(PIECE);
        let wanted = wanted.min(PIECE);
        match content {
            Content::Memory(bytes) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                let there = bytes.get(from..from.saturating_add(wanted));
                Read::Now(match there {
                    Some(there) => Ok(bytes.slice_ref(there)),
                    None => Err(io::ErrorKind::UnexpectedEof.into()),
                })
            }
            Content::Disk { file, .. } => self.read_file(file, at, wanted),
        }
    }

    fn read_file(&self, file: &Arc<File>, at: u64, wanted: usize) -> Read {
        let mut buffer = self.take();
        let into = buffer.get_mut(..wanted).unwrap_or_default();
        match preadv2(
            file,
            &mut [IoSliceMut::new(into)],
            at,
            ReadWriteFlags::NOWAIT,
        ) {
            Ok(0) => Read::Now(Err(io::ErrorKind::UnexpectedEof.into())),
            Ok(length) => Read::Now(Ok(self.piece(buffer, length))),
            // It is not in memory, or this file system cannot tell.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                let (pieces, content) = (self.clone(), Arc::clone(file));
                Read::Later(tokio::task::spawn_blocking(move || {
                    let into = buffer.get_mut(..wanted).unwrap_or_default();
                    std::os::unix::fs::FileExt::read_exact_at(&*content, into, at)?;
                    Ok(pieces.piece(buffer, wanted))
                }))
            }
            Err(error) => Read::Now(Err(error.into())),
        }
    }

    fn piece(&self, buffer: Box<[u8]>, length: usize) -> Bytes {
        Bytes::from_owner(Piece {
            buffer,
            length,
            home: self.clone(),
        })
    }

    fn take(&self) -> Box<[u8]> {
        let kept = self.free.lock().ok().and_then(|mut free| free.pop());
        kept.unwrap_or_else(|| vec![0; PIECE].into())
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Ok(mut free) = self.home.free.lock()
            && free.len() < KEPT_MAX
        {
            free.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    async fn all(pieces: &Pieces, content: &Content, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let (mut at, mut got) = (from, Vec::new());
        while at < to {
            let piece = match pieces.read(content, at, to) {
                Read::Now(piece) => piece?,
                Read::Later(task) => task.await.unwrap()?,
            };
            assert!(!piece.is_empty() && piece.len() <= PIECE);
            at += piece.len() as u64;
            got.extend_from_slice(&piece);
        }
        Ok(got)
    }

    #[tokio::test]
    async fn every_byte_comes_once_and_buffers_are_used_again() {
        let bytes: Vec<u8> = (0..3 * PIECE + 7)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let disk = Content::of_file(file.try_clone().unwrap()).unwrap();
        let pieces = Pieces::default();
        for content in [&disk, &Content::Memory(bytes.clone().into())] {
            let end = bytes.len() as u64;
            assert_eq!(all(&pieces, content, 0, end).await.unwrap(), bytes);
            assert_eq!(all(&pieces, content, 5, 9).await.unwrap(), &bytes[5..9]);
        }
        assert_eq!(pieces.free.lock().unwrap().len(), 1);
        // A file that is cut short while it is being sent is an error.
        file.set_len(10).unwrap();
        let end = bytes.len() as u64;
        let error = all(&pieces, &disk, 0, end).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
