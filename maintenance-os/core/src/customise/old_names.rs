// SPDX-License-Identifier: Apache-2.0
//! A file of a machine's own that names a GUID of the image, where the disk gets GUIDs of its own: what it names is not there
//! any more. Such a file is refused and never changed: what it says is its writer's.

use super::refusal::CustomiseRefusal;
use super::{NewFile, RootPath};
use crate::guid::Guid;
use crate::whole_disk::Needles;
use alloc::string::ToString as _;
use alloc::vec::Vec;

/// Whether a file names none of the GUIDs that the image had and the disk does not have.
///
/// # Errors
/// [`CustomiseRefusal::OldGuid`] with the file and the first one that it names. What else the file says is not told.
pub fn names_no_old_guid(
    old: impl IntoIterator<Item = Guid>,
    file: &NewFile,
) -> Result<(), CustomiseRefusal> {
    look(&Needles::new(old), &file.path, &file.contents)
}

fn look(needles: &Needles, path: &RootPath, bytes: &[u8]) -> Result<(), CustomiseRefusal> {
    let mut hits = Vec::new();
    needles.scan(bytes, 0, &mut hits);
    hits.sort_unstable();
    match hits.first() {
        Some(hit) => Err(CustomiseRefusal::OldGuid {
            path: path.to_string(),
            guid: hit.guid.lower(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_name_is_found_wherever_it_is_and_however_it_is_written_and_nothing_else_is() {
        let old = Guid([7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        let mut other = old;
        other.0[15] ^= 1;
        let path = RootPath::parse("/etc/fstab").unwrap();
        for before in 0..40 {
            let blank = " ".repeat(before);
            let text = |guid: &str| {
                NewFile::plain(
                    path.clone(),
                    format!("{blank}PARTUUID={guid} / ext4").into_bytes(),
                )
            };
            for name in [old.lower(), old.upper()] {
                let said = names_no_old_guid([other, old], &text(&name))
                    .unwrap_err()
                    .to_string();
                assert!(
                    said.contains("/etc/fstab") && said.contains(&old.lower()),
                    "{said}"
                );
                assert!(!said.contains("ext4"), "{said}");
            }
            names_no_old_guid([old], &text(&other.lower())).unwrap();
            let mut bytes = blank.clone().into_bytes();
            bytes.extend_from_slice(&old.to_gpt());
            let binary = NewFile::plain(path.clone(), bytes);
            names_no_old_guid([old], &binary).unwrap_err();
        }
        let cut = &old.lower()[..35];
        let short = NewFile::plain(path.clone(), cut.as_bytes().to_vec());
        names_no_old_guid([old], &short).unwrap();
        names_no_old_guid([], &NewFile::plain(path, old.lower().into_bytes())).unwrap();
    }
}
