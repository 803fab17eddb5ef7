// SPDX-License-Identifier: Apache-2.0
//! Puts files below a root, through descriptors: every name is looked up by the kernel with `RESOLVE_IN_ROOT`, so that an
//! absolute link or `..` in the image stays within it (openat2(2)).
//!
//! A file stands under its name whole or not at all.

use groundstate_api::{Reason, ReasonCode};
use mos_core::customise::{Fs, NewFile};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, fchmod, fchown, fsync, mkdirat, openat,
    openat2, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Puts the files below `root` and tells what was put.
///
/// # Errors
/// A folder on the way is none, something of that name is no file, or the file system is full or fails.
pub fn put_into(root: &Path, fs: Fs, files: &[NewFile]) -> Result<Vec<String>, Reason> {
    let opened = openat(
        CWD,
        root,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    let top = opened.map_err(|errno| refused("/", errno))?;
    let mut facts = Vec::new();
    for file in files {
        put_file(&top, fs, file).map_err(|errno| refused(file.path.as_str(), errno))?;
        let mode = match fs {
            Fs::Ext4 => format!(", mode {:04o}", file.mode),
            Fs::Vfat => String::new(),
        };
        let length = if file.is_secret {
            "a secret".to_owned()
        } else {
            format!("{} bytes", file.contents.len())
        };
        facts.push(format!("{} ({length}{mode})", file.path));
    }
    Ok(facts)
}

fn put_file(top: &OwnedFd, fs: Fs, file: &NewFile) -> Result<(), Errno> {
    let relative = file.path.relative();
    let (folders, name) = relative.rsplit_once('/').unwrap_or(("", relative));
    let folder = folder(top, fs, folders, file.folder_mode)?;
    match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        // What has the name is replaced, a link too; it is not followed.
        Ok(found) if rustix::fs::FileType::from_raw_mode(found.st_mode).is_dir() => {
            return Err(Errno::ISDIR);
        }
        Ok(_) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    let temporary = format!("{name}.gs-new");
    match unlinkat(&folder, temporary.as_str(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(
        &folder,
        temporary.as_str(),
        flags,
        Mode::from_raw_mode(0o600),
    )?;
    let mut made = File::from(made);
    let written = made
        .write_all(&file.contents)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
    let done = written.and_then(|()| finish(&folder, &made, fs, file, &temporary, name));
    if done.is_err() {
        // Half a file under a temporary name helps nobody; the first error is the one that is told.
        let _removed = unlinkat(&folder, temporary.as_str(), AtFlags::empty());
    }
    done
}

fn finish(
    folder: &OwnedFd,
    made: &File,
    fs: Fs,
    file: &NewFile,
    temporary: &str,
    name: &str,
) -> Result<(), Errno> {
    if fs == Fs::Ext4 {
        own(made, file.owner, file.group)?;
        fchmod(made, Mode::from_raw_mode(file.mode))?;
    }
    fsync(made)?;
    renameat(folder, temporary, folder, name)?;
    // A folder that was opened for its path only cannot be synced; this one is opened for reading.
    fsync(folder)
}

/// Gives it to its owner, where that is another than who makes it.
fn own(made: &File, owner: u32, group: u32) -> Result<(), Errno> {
    let found = rustix::fs::fstat(made)?;
    if found.st_uid == owner && found.st_gid == group {
        return Ok(());
    }
    fchown(made, Some(Uid::from_raw(owner)), Some(Gid::from_raw(group)))
}

/// The folder, made where it is not there.
fn folder(top: &OwnedFd, fs: Fs, folders: &str, mode: u32) -> Result<OwnedFd, Errno> {
    let mut at = open_folder(top, ".")?;
    let mut path = String::new();
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(part);
        at = match open_folder(top, &path) {
            Ok(next) => next,
            Err(Errno::NOENT) => {
                mkdirat(&at, part, Mode::from_raw_mode(mode))?;
                fsync(&at)?;
                let next = open_folder(top, &path)?;
                if fs == Fs::Ext4 {
                    // The mask of the one who runs this is not the image's.
                    fchmod(&next, Mode::from_raw_mode(mode))?;
                }
                next
            }
            Err(errno) => return Err(errno),
        };
    }
    Ok(at)
}

fn open_folder(top: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    openat2(
        top,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV,
    )
}

fn refused(path: &str, errno: Errno) -> Reason {
    let (code, next) = match errno {
        Errno::NOSPC => (
            ReasonCode::DiskFull,
            "give fewer or smaller files, or make the image's file system larger",
        ),
        Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::XDEV | Errno::EXIST => (
            ReasonCode::PlanRefused,
            "give another path: in the image, something else has this name or a folder's on the way",
        ),
        Errno::PERM | Errno::ACCESS => (
            ReasonCode::Internal,
            "run this as root: files are put in with owner and permissions",
        ),
        _ => (
            ReasonCode::DiskError,
            "look at the disk's health, then begin anew",
        ),
    };
    Reason::new(code, format!("the file could not be put at {path}"), next).seen(errno.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mos_core::customise::RootPath;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    fn file(path: &str, mode: u32, contents: &[u8]) -> NewFile {
        let found = fs::metadata("/proc/self").unwrap();
        NewFile {
            mode,
            owner: found.uid(),
            group: found.gid(),
            ..NewFile::plain(RootPath::parse(path).unwrap(), contents.to_vec())
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn files_are_put_whole_with_their_folders_and_modes() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let mut secret = file("/etc/credstore/token", 0o600, b"secret");
        secret.folder_mode = 0o700;
        secret.is_secret = true;
        let files = [
            secret,
            file("/etc/motd", 0o644, b"hello"),
            file("/top", 0o755, b""),
        ];
        for _ in 0..2 {
            let facts = put_into(root, Fs::Ext4, &files).unwrap();
            assert_eq!(facts[0], "/etc/credstore/token (a secret, mode 0600)");
        }
        assert_eq!(fs::read(root.join("etc/motd")).unwrap(), b"hello");
        assert_eq!(mode(&root.join("etc/credstore")), 0o700);
        assert_eq!(mode(&root.join("etc/credstore/token")), 0o600);
        assert_eq!(mode(&root.join("top")), 0o755);
        let names: Vec<_> = fs::read_dir(root.join("etc"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 2, "no temporary name stays: {names:?}");
    }

    #[test]
    fn no_link_of_the_image_leads_out_of_it() {
        let (root, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (root, out) = (root.path(), out.path());
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        // Within the image this is /tmp/…, which is not there.
        symlink(out, root.join("away")).unwrap();
        symlink("../../../../../../../..", root.join("up")).unwrap();
        symlink("/usr/lib", root.join("lib")).unwrap();
        symlink(out.join("kept"), root.join("link")).unwrap();
        fs::write(out.join("kept"), "old").unwrap();
        let put = |path| put_into(root, Fs::Ext4, &[file(path, 0o644, b"x")]);
        assert_eq!(put("/away/x").unwrap_err().code, ReasonCode::PlanRefused);
        put("/up/up-file").unwrap();
        put("/lib/x").unwrap();
        put("/link").unwrap();
        assert!(root.join("usr/lib/x").is_file());
        assert!(root.join("up-file").is_file());
        assert!(fs::symlink_metadata(root.join("link")).unwrap().is_file());
        assert_eq!(fs::read(out.join("kept")).unwrap(), b"old");
        assert_eq!(fs::read_dir(out).unwrap().count(), 1);
        fs::create_dir(root.join("folder")).unwrap();
        assert_eq!(put("/folder").unwrap_err().code, ReasonCode::PlanRefused);
        assert_eq!(put("/top/x/y").map(|facts| facts.len()), Ok(1));
        fs::write(root.join("plain"), "").unwrap();
        assert_eq!(put("/plain/x").unwrap_err().code, ReasonCode::PlanRefused);
    }
}
