// SPDX-License-Identifier: Apache-2.0
//! What a disk holds, as one digest: a function of its content only, so a hole and written zeros are the same.

use super::RackError;
use groundstate_api::{Bytes, Digest};
use rustix::fs::SeekFrom;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Blocks of this size are hashed when they are not all zero.
const BLOCK: u64 = 64 << 10;

/// The content of one disk: its size, and each non-zero 64 KiB block with its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The disk's size.
    pub size: Bytes,
    /// SHA-256 over the size and, in order, offset and bytes of every non-zero block.
    pub digest: Digest,
}

/// The content of one disk of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFingerprint {
    /// The disk's serial number.
    pub serial: String,
    /// What it holds.
    pub content: Fingerprint,
}

/// How many of the disks in `before` hold the same in `after`, and how many there were.
#[must_use]
pub fn unchanged(before: &[DiskFingerprint], after: &[DiskFingerprint]) -> (usize, usize) {
    let same = before.iter().filter(|disk| after.contains(disk)).count();
    (same, before.len())
}

/// Reads a whole disk file, its holes excepted.
pub(super) fn of_file(path: &Path) -> Result<Fingerprint, RackError> {
    let failed = || RackError::file(path);
    let file = File::open(path).map_err(failed())?;
    let size = file.metadata().map_err(failed())?.len();
    let mut hash = Sha256::new();
    hash.update(size.to_le_bytes());
    let mut buffer = vec![0u8; usize::try_from(BLOCK).unwrap_or_default()];
    let mut at = 0;
    while at < size {
        let data = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
            Ok(data) => data / BLOCK * BLOCK,
            // ENXIO: no data from here to the end.
            Err(Errno::NXIO) => break,
            // A file system that knows no holes: everything is data.
            Err(Errno::INVAL) => at,
            Err(errno) => return Err(failed()(errno.into())),
        };
        // The block of `data` may begin before `at` only when it was hashed already.
        at = data.max(at);
        let length = usize::try_from(BLOCK.min(size - at)).unwrap_or_default();
        let block = &mut buffer[..length];
        file.read_exact_at(block, at).map_err(failed())?;
        if block.iter().any(|byte| *byte != 0) {
            hash.update(at.to_le_bytes());
            hash.update(block);
        }
        at += BLOCK;
    }
    Ok(Fingerprint {
        size: Bytes(size),
        digest: Digest(hash.finalize().into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    /// The same promise with no knowledge of holes.
    fn plain(bytes: &[u8]) -> Digest {
        let mut all = (bytes.len() as u64).to_le_bytes().to_vec();
        for (index, block) in bytes.chunks(65_536).enumerate() {
            if block.iter().any(|b| *b != 0) {
                all.extend((index as u64 * BLOCK).to_le_bytes());
                all.extend(block);
            }
        }
        Digest::of(&all)
    }

    fn of(file: &tempfile::NamedTempFile) -> Fingerprint {
        of_file(file.path()).unwrap()
    }

    #[test]
    fn a_hole_and_written_zeros_are_the_same() {
        let (sparse, dense) = (
            tempfile::NamedTempFile::new().unwrap(),
            tempfile::NamedTempFile::new().unwrap(),
        );
        sparse.as_file().set_len(1_000_000).unwrap();
        fs::write(dense.path(), vec![0; 1_000_000]).unwrap();
        assert_eq!(of(&sparse), of(&dense));
        sparse.as_file().set_len(1_000_001).unwrap();
        assert_ne!(of(&sparse), of(&dense));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_the_plain_digest_wherever_the_holes_are(
            length in 1usize..600_000,
            writes in proptest::collection::vec((0usize..600_000, 1u8..=255, 0usize..5_000), 0..8),
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().set_len(length as u64).unwrap();
            let mut bytes = vec![0u8; length];
            for (at, value, count) in writes {
                let at = at.min(length);
                let end = (at + count).min(length);
                bytes[at..end].fill(value);
                file.as_file().write_all_at(&bytes[at..end], at as u64).unwrap();
            }
            prop_assert_eq!(of(&file).digest, plain(&bytes));
        }
    }

    #[test]
    fn one_changed_bit_is_one_changed_disk() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(200_000).unwrap();
        let disk = |serial: &str| DiskFingerprint {
            serial: serial.to_owned(),
            content: of(&file),
        };
        let before = [disk("A"), disk("B")];
        assert_eq!(unchanged(&before, &before), (2, 2));
        file.as_file().write_all_at(&[1], 199_999).unwrap();
        assert_eq!(unchanged(&before, &[before[0].clone(), disk("B")]), (1, 2));
        assert_eq!(unchanged(&before, &before[..1]), (1, 2));
    }
}
