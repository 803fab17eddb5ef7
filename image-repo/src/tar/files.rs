// SPDX-License-Identifier: Apache-2.0
//! Takes chosen plain files out of an archive: the caller says where each known name goes, and every other is passed over.

use super::bomb::Allowance;
use super::packed;
use super::reader::Archive;
use super::tree::path;
use crate::roots::{Progress, RootsError, shown};
use groundstate_api::Bytes;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

/// What is read at once, in bytes.
const PIECE: usize = 1 << 18;

/// Writes each plain file whose name `place` knows. A name that comes twice is refused.
pub(crate) fn files(
    input: &mut dyn std::io::Read,
    allowance: &mut Allowance,
    progress: Progress<'_>,
    place: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<(), RootsError> {
    let (mut plain, count) = packed::open(input)?;
    allowance.begin();
    let mut archive = Archive::new(&mut *plain);
    let mut piece = vec![0; PIECE];
    while let Some(entry) = archive.next()? {
        let name = path(&entry.header.name)?.join(&b'/');
        let place = std::str::from_utf8(&name).ok().and_then(place);
        let (Some(place), b'0' | 0) = (place, entry.header.kind) else {
            continue;
        };
        let mut to = File::create_new(&place).map_err(|source| {
            if source.kind() == std::io::ErrorKind::AlreadyExists {
                RootsError::Name {
                    name: shown(&name),
                    why: "there twice",
                }
            } else {
                RootsError::file("made", &place)(source)
            }
        })?;
        loop {
            let at = archive.at();
            let got = archive
                .read(&mut piece)
                .map_err(|source| RootsError::Archive { at, source })?;
            if got == 0 {
                break;
            }
            allowance.take(got as u64, got as u64, count.value())?;
            to.write_all(&piece[..got])
                .map_err(RootsError::file("written", &place))?;
            progress(Bytes(count.value()), None);
        }
    }
    Ok(())
}
