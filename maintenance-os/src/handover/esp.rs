// SPDX-License-Identifier: Apache-2.0
//! Fills the EFI System Partition through the kernel's vfat, and reads it back from the disk.

use super::mount::{Access, Mounted};
use super::place::place;
use groundstate_api::{Bytes, Digest, PlanId, Reason, ReasonCode};
use mos_core::loader_entry::{
    ENTRY_BYTES_MAX, ENTRY_PATH, LOADER_CONF, LOADER_CONF_PATH, LoaderEntry, LoaderEntryError,
};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// What goes onto the ESP.
#[derive(Clone, Copy, Debug)]
pub struct EspFiles<'a> {
    /// systemd-boot.
    pub boot_loader: &'a [u8],
    /// The host's kernel.
    pub kernel: &'a [u8],
    /// The host's initrd.
    pub initrd: &'a [u8],
    /// Kernel command line without `root=`.
    pub cmdline: &'a str,
    /// GUID of the root partition, any case.
    pub root_guid: &'a str,
    /// The plan; its first digits name the directory of kernel and initrd.
    pub plan: &'a PlanId,
}

/// What an ESP says is to be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EspContents {
    /// The kernel.
    pub kernel: Vec<u8>,
    /// The initrds one after the other.
    pub initrd: Vec<u8>,
    /// The kernel command line, `root=` included.
    pub options: String,
}

/// The largest kernel or initrd that is read from an ESP: four times the largest distribution initrd of today, and it
/// must fit into memory twice.
const BOOT_FILE_MAX: Bytes = Bytes::mib(256);
/// Where UEFI looks when no boot entry helps (UEFI 2.10, section 3.5.1.1).
const FALLBACK_LOADER: &str = "EFI/BOOT/BOOTX64.EFI";
/// Where our boot entry points.
const LOADER: &str = "EFI/systemd/systemd-bootx64.efi";

/// The first 12 digits of a plan's id, for people and directory names.
#[must_use]
pub fn plan_short(plan: &PlanId) -> String {
    plan.as_str().chars().take(12).collect()
}

/// Mounts the ESP, writes boot loader, entry, kernel and initrd, unmounts, and reads everything back from the disk.
///
/// # Errors
/// The partition cannot be mounted, is full, does not write, or gives other bytes back.
pub fn fill_esp(partition: &Path, files: &EspFiles<'_>) -> Result<Vec<String>, Reason> {
    let esp = Mounted::new(partition, "esp", "vfat", Access::ReadWrite, None)?;
    fill_tree(esp.path(), files)?;
    esp.finish()?;
    // Mounted anew, so that the bytes come from the disk and not from the page cache.
    let esp = Mounted::new(partition, "esp", "vfat", Access::ReadOnly, None)?;
    let facts = compare_tree(esp.path(), files)?;
    esp.finish()?;
    Ok(facts)
}

/// Reads what the ESP's entry names, mounted read-only.
///
/// # Errors
/// The partition cannot be mounted or read, or holds no entry of ours.
pub fn read_esp(partition: &Path) -> Result<EspContents, Reason> {
    let esp = Mounted::new(partition, "esp", "vfat", Access::ReadOnly, None)?;
    let contents = read_tree(esp.path())?;
    esp.finish()?;
    Ok(contents)
}

/// Writes the files below `root`. The entry comes last: it never names a file that is not there yet.
///
/// # Errors
/// A file cannot be written, or the command line cannot stand in an entry.
pub fn fill_tree(root: &Path, files: &EspFiles<'_>) -> Result<(), Reason> {
    for (path, bytes) in tree(files)? {
        place(root, &path, &bytes, 0o600, 0o700)?;
    }
    Ok(())
}

/// Reads what the entry below `root` names.
///
/// # Errors
/// The entry or a file that it names is missing, broken or too large.
pub fn read_tree(root: &Path) -> Result<EspContents, Reason> {
    let entry_max = u64::try_from(ENTRY_BYTES_MAX).unwrap_or(u64::MAX);
    let text = read_file(&root.join(ENTRY_PATH), Bytes(entry_max))?;
    let entry = LoaderEntry::parse(&text).map_err(|error| entry_refused(&error))?;
    let kernel = read_file(&root.join(&entry.linux), BOOT_FILE_MAX)?;
    let mut initrd = Vec::new();
    for path in &entry.initrd {
        // The kernel wants every archive after the first to begin at a multiple of four bytes.
        initrd.resize(initrd.len().next_multiple_of(4), 0);
        initrd.append(&mut read_file(&root.join(path), BOOT_FILE_MAX)?);
    }
    Ok(EspContents {
        kernel,
        initrd,
        options: entry.options,
    })
}

/// A file's path on the ESP and its bytes.
type PlannedFile<'a> = (String, std::borrow::Cow<'a, [u8]>);

/// Every file, in the order of writing.
fn tree<'a>(files: &EspFiles<'a>) -> Result<Vec<PlannedFile<'a>>, Reason> {
    let entry = LoaderEntry::for_host(&plan_short(files.plan), files.root_guid, files.cmdline);
    let text = entry.render().map_err(|error| entry_refused(&error))?;
    let mut tree = vec![(entry.linux, files.kernel.into())];
    tree.extend(
        entry
            .initrd
            .into_iter()
            .map(|path| (path, files.initrd.into())),
    );
    tree.push((LOADER.to_string(), files.boot_loader.into()));
    tree.push((FALLBACK_LOADER.to_string(), files.boot_loader.into()));
    tree.push((LOADER_CONF_PATH.to_string(), LOADER_CONF.as_bytes().into()));
    tree.push((ENTRY_PATH.to_string(), text.into_bytes().into()));
    Ok(tree)
}

/// Compares every file's digest with what should be there; one line per file.
fn compare_tree(root: &Path, files: &EspFiles<'_>) -> Result<Vec<String>, Reason> {
    let mut facts = Vec::new();
    for (path, bytes) in tree(files)? {
        let found = digest_of(&root.join(&path))?;
        let wanted = Digest::of(&bytes);
        if found != wanted {
            return Err(Reason::new(
                ReasonCode::DiskError,
                format!("the boot partition gave other bytes back than were written to {path}"),
                "replace the disk, then order the run again",
            )
            .seen(format!("written {wanted}"))
            .seen(format!("read    {found}")));
        }
        let length = Bytes(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        facts.push(format!(
            "ESP /{path}: {length}, sha256 {}, read back",
            wanted.short()
        ));
    }
    Ok(facts)
}

fn digest_of(path: &Path) -> Result<Digest, Reason> {
    use sha2::Digest as _;
    let stream = || -> io::Result<Digest> {
        let mut file = File::open(path)?;
        let mut hash = sha2::Sha256::new();
        let mut piece = vec![0; 256 * 1024];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(Digest(hash.finalize().into())),
                count => hash.update(piece.get(..count).unwrap_or_default()),
            }
        }
    };
    stream().map_err(|error| read_refused(path, &error))
}

fn read_file(path: &Path, most: Bytes) -> Result<Vec<u8>, Reason> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(most.0 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| read_refused(path, &error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most.0 {
        let too_large = io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {most}"),
        );
        return Err(read_refused(path, &too_large));
    }
    Ok(bytes)
}

fn read_refused(path: &Path, error: &io::Error) -> Reason {
    let (code, next) = match error.kind() {
        io::ErrorKind::NotFound => (
            ReasonCode::HandOverFailed,
            "the disk holds no complete host: order a provision of this node",
        ),
        _ => (
            ReasonCode::DiskError,
            "look at the disk's health, then order the run again",
        ),
    };
    Reason::new(code, format!("{} cannot be read", path.display()), next).seen(error.to_string())
}

fn entry_refused(error: &LoaderEntryError) -> Reason {
    Reason::new(
        ReasonCode::HandOverFailed,
        "the boot partition's entry cannot be used",
        "correct the image's command line where it is new; otherwise order a provision of this node",
    )
    .seen(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const GUID: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

    fn plan() -> PlanId {
        "0123456789abcdef".repeat(4).parse().unwrap()
    }

    fn files<'a>(plan: &'a PlanId, kernel: &'a [u8]) -> EspFiles<'a> {
        EspFiles {
            boot_loader: b"MZ loader",
            kernel,
            initrd: b"0707 initrd",
            cmdline: "console=ttyS0",
            root_guid: GUID,
            plan,
        }
    }

    #[test]
    fn what_was_filled_reads_back_also_after_a_second_filling() {
        let (root, plan) = (tempfile::tempdir().unwrap(), plan());
        for kernel in [&b"MZ first"[..], b"MZ second, longer"] {
            fill_tree(root.path(), &files(&plan, kernel)).unwrap();
            assert_eq!(
                compare_tree(root.path(), &files(&plan, kernel))
                    .unwrap()
                    .len(),
                6
            );
            let back = read_tree(root.path()).unwrap();
            assert_eq!(
                (back.kernel.as_slice(), back.initrd.as_slice()),
                (kernel, &b"0707 initrd"[..])
            );
            assert_eq!(
                back.options,
                format!("root=PARTUUID={} rw console=ttyS0", GUID.to_lowercase())
            );
        }
    }

    #[test]
    fn other_bytes_on_the_disk_are_found_and_named() {
        let (root, plan) = (tempfile::tempdir().unwrap(), plan());
        fill_tree(root.path(), &files(&plan, b"MZ kernel")).unwrap();
        std::fs::write(
            root.path().join("groundstate/0123456789ab/vmlinuz"),
            b"MZ kerneL",
        )
        .unwrap();
        let reason = compare_tree(root.path(), &files(&plan, b"MZ kernel")).unwrap_err();
        assert_eq!(reason.code, ReasonCode::DiskError);
        assert!(
            reason.what.contains("groundstate/0123456789ab/vmlinuz"),
            "{reason}"
        );
    }

    #[test]
    fn an_esp_without_a_host_says_so() {
        let root = tempfile::tempdir().unwrap();
        let reason = read_tree(root.path()).unwrap_err();
        assert_eq!(reason.code, ReasonCode::HandOverFailed);
        std::fs::create_dir_all(root.path().join("loader/entries")).unwrap();
        std::fs::write(
            root.path().join(ENTRY_PATH),
            "linux /groundstate/x/vmlinuz\n",
        )
        .unwrap();
        assert!(
            read_tree(root.path())
                .unwrap_err()
                .what
                .contains("groundstate/x/vmlinuz")
        );
    }

    #[test]
    fn several_initrds_are_joined_at_multiples_of_four() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("loader/entries")).unwrap();
        for (name, bytes) in [("k", "K"), ("a", "abcde"), ("b", "xyz")] {
            std::fs::write(root.path().join(name), bytes).unwrap();
        }
        std::fs::write(
            root.path().join(ENTRY_PATH),
            "linux /k\ninitrd /a\ninitrd /b\noptions q\n",
        )
        .unwrap();
        assert_eq!(read_tree(root.path()).unwrap().initrd, b"abcde\0\0\0xyz");
    }

    #[test]
    fn the_names_fit_fat_as_mtools_sees_it() {
        let (root, plan) = (tempfile::tempdir().unwrap(), plan());
        let tree_dir = root.path().join("tree");
        std::fs::create_dir(&tree_dir).unwrap();
        fill_tree(&tree_dir, &files(&plan, b"MZ kernel")).unwrap();
        let image = root.path().join("esp.fat");
        File::create(&image).unwrap().set_len(64 << 20).unwrap();
        let run = |program: &str, args: &[&str]| {
            let done = Command::new(program).args(args).output().unwrap();
            assert!(
                done.status.success(),
                "{program}: {}",
                String::from_utf8_lossy(&done.stderr)
            );
        };
        let image = image.to_str().unwrap();
        run("mformat", &["-i", image, "-F", "-v", "ESP", "::"]);
        for directory in ["EFI", "loader", "groundstate"] {
            run(
                "mcopy",
                &[
                    "-s",
                    "-i",
                    image,
                    tree_dir.join(directory).to_str().unwrap(),
                    "::",
                ],
            );
        }
        let back = root.path().join("back");
        std::fs::create_dir(&back).unwrap();
        run("mcopy", &["-s", "-i", image, "::*", back.to_str().unwrap()]);
        compare_tree(&back, &files(&plan, b"MZ kernel")).unwrap();
    }
}
