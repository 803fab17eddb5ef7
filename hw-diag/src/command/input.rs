// SPDX-License-Identifier: Apache-2.0
//! Files that people hand to the command, read up to a limit.

use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use thiserror::Error;

/// How long a pipe may stay without a writer or without an end.
const PIPE_PATIENCE: Duration = Duration::from_secs(60);

/// Why a file could not be used.
#[derive(Debug, Error)]
pub(crate) enum InputError {
    /// It cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is longer than what is read.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// It is not what it should be.
    #[error("{}: {why}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        why: String,
    },
}

impl InputError {
    /// A fault in what the file says.
    pub(crate) fn data(path: &Path, why: impl ToString) -> Self {
        Self::Data {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }
}

/// Reads a whole file of at most `limit` bytes; `-` is standard input.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, InputError> {
    let failed = |error| InputError::Read {
        path: path.to_owned(),
        error,
    };
    let is_pipe = std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo());
    if is_pipe {
        return read_pipe(path, limit);
    }
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(limit + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
    };
    read.map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(InputError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}

/// Reads a pipe, which has no end until its writer closes it, and none at all without a writer.
fn read_pipe(path: &Path, limit: u64) -> Result<Vec<u8>, InputError> {
    let (send, receive) = mpsc::channel();
    let of = path.to_owned();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(&of);
        let read = opened.and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
        // Nobody listens any more when the patience ended.
        let _ = send.send(read.map(|_| bytes));
    });
    let failed = |error| InputError::Read {
        path: path.to_owned(),
        error,
    };
    let late = || {
        std::io::Error::other(format!(
            "nobody wrote into this pipe within {} s",
            PIPE_PATIENCE.as_secs()
        ))
    };
    let bytes = receive
        .recv_timeout(PIPE_PATIENCE)
        .map_err(|_| failed(late()))?
        .map_err(failed)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(InputError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}
