// SPDX-License-Identifier: Apache-2.0
//! Reads back what was put: the file system is mounted again, so that the answer comes from the disk and not from memory.
//!
//! A secret is compared by its digest, which is forgotten afterwards.

use super::attach::Attached;
use super::put::{Extent, extent_of};
use crate::mount::{Access, Mounted};
use groundstate_api::{Digest, Reason, ReasonCode};
use mos_core::customise::{Fs, NewFile, Placement, RootPath};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// What should stand in a file system.
#[derive(Clone)]
pub struct Expected {
    number: u32,
    fs: Fs,
    path: RootPath,
    mode: u32,
    owner: (u32, u32),
    length: u64,
    digest: Digest,
}

impl Expected {
    /// What was put, without its bytes.
    #[must_use]
    pub fn of(number: u32, fs: Fs, file: &NewFile) -> Self {
        Self {
            number,
            fs,
            path: file.path.clone(),
            mode: file.mode,
            owner: (file.owner, file.group),
            length: u64::try_from(file.contents.len()).unwrap_or(u64::MAX),
            digest: Digest::of(&file.contents),
        }
    }

    /// Everything of these placements.
    #[must_use]
    pub fn all(placements: &[Placement]) -> Vec<Self> {
        let files = placements.iter().flat_map(|one| {
            one.files
                .iter()
                .map(|file| Self::of(one.number, one.fs, file))
        });
        files.collect()
    }
}

/// Reads everything back from `disk`, and tells how much that was.
///
/// # Errors
/// A partition cannot be mounted, or a file is not as it was put.
pub fn prove(disk: &Path, extents: &[Extent], expected: &[Expected]) -> Result<String, Reason> {
    let mut numbers: Vec<u32> = expected.iter().map(|one| one.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        let of_this: Vec<&Expected> = expected.iter().filter(|one| one.number == number).collect();
        let Some(first) = of_this.first() else {
            continue;
        };
        let extent = extent_of(extents, number)?;
        let attached = Attached::new(disk, number, extent.start.0, extent.length.0)?;
        let name = format!("prove-{}-{number}", std::process::id());
        let mounted = Mounted::new(attached.path(), &name, first.fs.as_str(), Access::ReadOnly)?;
        for one in &of_this {
            prove_in(mounted.path(), one)?;
        }
        let at = mounted.path().to_path_buf();
        mounted.finish()?;
        // An empty folder below /run, which goes with the next boot anyway.
        let _removed = std::fs::remove_dir(at);
    }
    Ok(match expected.len() {
        1 => "1 file read back from the disk as it was put".to_owned(),
        count => format!("{count} files read back from the disk as they were put"),
    })
}

fn prove_in(root: &Path, expected: &Expected) -> Result<(), Reason> {
    let differs = |seen: String| {
        Reason::new(
            ReasonCode::DiskError,
            format!(
                "{} does not read back from the disk as it was put",
                expected.path
            ),
            "replace the OS disk, then order the run again",
        )
        .seen(seen)
    };
    let mut file = open(root, &expected.path).map_err(|errno| differs(errno.to_string()))?;
    if expected.fs == Fs::Ext4 {
        let found = fstat(&file).map_err(|errno| differs(errno.to_string()))?;
        let (mode, owner) = (found.st_mode & 0o7777, (found.st_uid, found.st_gid));
        if (mode, owner) != (expected.mode, expected.owner) {
            return Err(differs(format!(
                "mode {mode:04o} of {}:{}, and it should be {:04o} of {}:{}",
                owner.0, owner.1, expected.mode, expected.owner.0, expected.owner.1
            )));
        }
    }
    let mut bytes = Vec::new();
    let most = expected.length.saturating_add(1);
    file.by_ref()
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| differs(error.to_string()))?;
    if Digest::of(&bytes) != expected.digest {
        return Err(differs("its bytes are others".to_owned()));
    }
    Ok(())
}

fn open(root: &Path, path: &RootPath) -> Result<File, Errno> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = openat(CWD, root, folder, Mode::empty())?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    openat2(&top, path.relative(), flags, Mode::empty(), within).map(File::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customise::put_into;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_that_is_not_as_it_was_put_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = RootPath::parse("/etc/credstore/token").unwrap();
        let mut file = NewFile::secret(path, b"geheim".to_vec());
        (file.owner, file.group) = {
            use std::os::unix::fs::MetadataExt as _;
            let ours = fs::metadata(root.path()).unwrap();
            (ours.uid(), ours.gid())
        };
        put_into(root.path(), Fs::Ext4, std::slice::from_ref(&file)).unwrap();
        let expected = Expected::of(0, Fs::Ext4, &file);
        prove_in(root.path(), &expected).unwrap();
        let at = root.path().join("etc/credstore/token");
        let refused = || {
            let reason = prove_in(root.path(), &expected).unwrap_err();
            assert_eq!(reason.code, ReasonCode::DiskError);
            let lines = reason.lines().join(" ");
            assert!(lines.contains("/etc/credstore/token"), "{lines}");
            assert!(!lines.contains("geheim"), "{lines}");
            lines
        };
        for other in [&b"geheil"[..], b"geheim\n", b"gehei", b""] {
            fs::write(&at, other).unwrap();
            assert!(refused().contains("bytes are others"));
        }
        fs::write(&at, b"geheim").unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(refused().contains("mode 0644"));
        fs::remove_file(&at).unwrap();
        refused();
    }
}
