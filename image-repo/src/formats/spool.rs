// SPDX-License-Identifier: Apache-2.0
//! A stream whose format has to be read at any place: it is written to a file that has no name, so that nothing is left
//! behind whatever happens.

use super::counted::read_full;
use super::error::FormatError;
use super::host_file::HostFile;
use groundstate_api::Bytes;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Bytes at once.
const PIECE: usize = 1 << 20;
/// Zeros are left out in steps of this many bytes, so that a sparse file stays sparse.
const STEP: usize = 64 * 1024;

/// Writes all of `head` and `rest` into a file in `folder`. `named` is what the stream is called in errors.
pub(super) fn spool(
    head: &[u8],
    rest: &mut dyn Read,
    folder: &Path,
    named: &Path,
    max: Bytes,
) -> Result<HostFile, FormatError> {
    let file = unnamed(folder)?;
    let mut from = head.chain(rest);
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    loop {
        let read = read_full(&mut from, &mut buffer);
        let count = read.map_err(FormatError::file("read", named))?;
        if count == 0 {
            break;
        }
        for (number, step) in buffer[..count].chunks(STEP).enumerate() {
            if step.iter().any(|byte| *byte != 0) {
                let place = at + (number * STEP) as u64;
                file.write_all_at(step, place)
                    .map_err(|error| written(folder, error))?;
            }
        }
        at += count as u64;
        if at > max.0 {
            let path = named.to_path_buf();
            return Err(FormatError::SpoolTooLarge { path, max });
        }
    }
    file.set_len(at).map_err(|error| written(folder, error))?;
    Ok(HostFile::of(file, named, at))
}

fn written(folder: &Path, source: io::Error) -> FormatError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FormatError::SpoolFull {
            path: folder.to_path_buf(),
            source,
        },
        _ => FormatError::file("written", folder)(source),
    }
}

/// A file without a name; where the file system has none, one that loses it at once.
fn unnamed(folder: &Path) -> Result<File, FormatError> {
    let mode = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags | OFlags::TMPFILE, mode) {
        Ok(file) => return Ok(file.into()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {}
        Err(errno) => return Err(FormatError::file("written", folder)(errno.into())),
    }
    let path = folder.join(format!("spool-{}", std::process::id()));
    let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let file = rustix::fs::open(&path, flags, mode);
    let file = file.map_err(|errno| FormatError::file("made", &path)(errno.into()))?;
    std::fs::remove_file(&path).map_err(FormatError::file("removed", &path))?;
    Ok(file.into())
}
