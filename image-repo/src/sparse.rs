// SPDX-License-Identifier: Apache-2.0
//! Which chunks of a sparse file can hold data: the kernel knows the holes, so that they need not be read.

use rustix::fs::{SeekFrom, seek};
use std::fs::File;
use std::io;

/// The offset of the first chunk at or after `from`, a chunk's offset, that is not a hole as a whole; `None` after the
/// last data. Where the file system knows no holes, that is `from` itself until `length`.
pub(crate) fn next_data(
    file: &File,
    from: u64,
    length: u64,
    chunk_size: u64,
) -> io::Result<Option<u64>> {
    if from >= length {
        return Ok(None);
    }
    match seek(file, SeekFrom::Data(from)) {
        Ok(data) => Ok(Some((data / chunk_size * chunk_size).max(from)).filter(|at| *at < length)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(rustix::io::Errno::INVAL) => Ok(Some(from)),
        Err(error) => Err(error.into()),
    }
}
