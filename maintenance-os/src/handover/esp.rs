// SPDX-License-Identifier: Apache-2.0
//! Fills the EFI System Partition through the kernel's vfat, and reads it back from the disk.

use super::contents::{Contents, Hashed, copy};
use super::memory::memory_file;
use super::place::place;
#[cfg(test)]
use super::place::{Tree, place_in};
use crate::mount::{Access, Mounted};
use groundstate_api::{Bytes, Digest, PlanId, Reason, ReasonCode};
use mos_core::loader_entry::{
    ENTRY_BYTES_MAX, ENTRY_PATH, LOADER_CONF, LOADER_CONF_PATH, LoaderEntry, LoaderEntryError,
};
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;

/// What goes onto the ESP.
#[derive(Clone, Copy, Debug)]
pub struct EspFiles<'a> {
    /// systemd-boot.
    pub boot_loader: &'a File,
    /// The host's kernel.
    pub kernel: &'a File,
    /// The host's initrd.
    pub initrd: &'a File,
    /// Kernel command line without `root=`.
    pub cmdline: &'a str,
    /// GUID of the root partition, any case.
    pub root_guid: &'a str,
    /// The plan; its first digits name the directory of kernel and initrd.
    pub plan: &'a PlanId,
}

/// What an ESP says is to be booted.
#[derive(Debug)]
pub struct EspContents {
    /// The kernel, in memory.
    pub kernel: File,
    /// The initrds one after the other, in memory.
    pub initrd: File,
    /// The kernel command line, `root=` included.
    pub options: String,
}

/// The digests of what an ESP says is to be booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EspDigests {
    /// The kernel's.
    pub kernel: Digest,
    /// That of the initrds one after the other.
    pub initrd: Digest,
}

/// The largest kernel or initrd that is read from an ESP: four times the largest distribution initrd of today, and it
/// must fit into memory twice: once in its file, once loaded.
const BOOT_FILE_MAX: Bytes = Bytes::mib(256);
/// Where an initrd after another one begins, in bytes (the kernel's `initramfs/buffer-format`).
const INITRD_ALIGNMENT: u64 = 4;
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
    let esp = Mounted::new(partition, "esp", "vfat", Access::ReadWrite)?;
    fill_tree(esp.path(), files)?;
    esp.finish()?;
    // Mounted anew, so that the bytes come from the disk and not from the page cache.
    let esp = Mounted::new(partition, "esp", "vfat", Access::ReadOnly)?;
    let facts = compare_tree(esp.path(), files)?;
    esp.finish()?;
    Ok(facts)
}

/// Reads what the ESP's entry names, mounted read-only.
///
/// # Errors
/// The partition cannot be mounted or read, or holds no entry of ours.
pub fn read_esp(partition: &Path) -> Result<EspContents, Reason> {
    let esp = Mounted::new(partition, "esp", "vfat", Access::ReadOnly)?;
    let contents = read_tree(esp.path())?;
    esp.finish()?;
    Ok(contents)
}

/// Reads what the ESP's entry names, mounted read-only, and keeps the digests only.
///
/// # Errors
/// As [`read_esp`].
pub fn digest_esp(partition: &Path) -> Result<EspDigests, Reason> {
    let esp = Mounted::new(partition, "esp", "vfat", Access::ReadOnly)?;
    let digests = digest_tree(esp.path())?;
    esp.finish()?;
    Ok(digests)
}

/// Writes the files below `root`. The entry comes after what it names, and the boot loader after the entry: firmware finds nothing to
/// start until all that it needs is there.
///
/// # Errors
/// A file cannot be written, or the command line cannot stand in an entry.
pub fn fill_tree(root: &Path, files: &EspFiles<'_>) -> Result<(), Reason> {
    for (path, contents) in tree(files)? {
        place(root, &path, &contents, 0o600, 0o700)?;
    }
    Ok(())
}

/// The same in a tree that stands in for the kernel's.
#[cfg(test)]
pub(crate) fn fill_stand_in(to: &dyn Tree, files: &EspFiles<'_>) -> io::Result<()> {
    for (path, contents) in tree(files).map_err(|reason| io::Error::other(reason.to_string()))? {
        place_in(to, &path, &contents, 0o600, 0o700)?;
    }
    Ok(())
}

/// Reads what the entry below `root` names.
///
/// # Errors
/// The entry or a file that it names is missing, broken or too large.
pub fn read_tree(root: &Path) -> Result<EspContents, Reason> {
    let (mut kernel, mut initrd) = (memory_file("kernel")?, memory_file("initrd")?);
    let options = copy_tree(root, &mut kernel, &mut initrd)?;
    Ok(EspContents {
        kernel,
        initrd,
        options,
    })
}

fn digest_tree(root: &Path) -> Result<EspDigests, Reason> {
    let (mut kernel, mut initrd) = (Hashed::default(), Hashed::default());
    copy_tree(root, &mut kernel, &mut initrd)?;
    Ok(EspDigests {
        kernel: kernel.digest(),
        initrd: initrd.digest(),
    })
}

/// Copies what the entry below `root` names, and gives its options.
fn copy_tree(
    root: &Path,
    kernel: &mut dyn Write,
    initrd: &mut dyn Write,
) -> Result<String, Reason> {
    let entry_max = u64::try_from(ENTRY_BYTES_MAX).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    copy_file(&root.join(ENTRY_PATH), Bytes(entry_max), &mut text)?;
    let entry = LoaderEntry::parse(&text).map_err(|error| entry_refused(&error))?;
    copy_file(&root.join(&entry.linux), BOOT_FILE_MAX, kernel)?;
    let mut length: u64 = 0;
    for path in &entry.initrd {
        let path = root.join(path);
        // The kernel wants every archive after the first to begin at a multiple of four bytes.
        let gap = length.next_multiple_of(INITRD_ALIGNMENT) - length;
        let padded = copy(&mut io::repeat(0).take(gap), initrd);
        length += padded.map_err(|error| read_refused(&path, &error))?;
        length += copy_file(&path, BOOT_FILE_MAX, initrd)?;
    }
    Ok(entry.options)
}

/// A file's path on the ESP and what it holds.
type PlannedFile<'a> = (String, Contents<'a>);

/// Every file, in the order of writing: what firmware looks for without a boot entry is the very last.
fn tree<'a>(files: &EspFiles<'a>) -> Result<Vec<PlannedFile<'a>>, Reason> {
    let entry = LoaderEntry::for_host(&plan_short(files.plan), files.root_guid, files.cmdline);
    let text = entry.render().map_err(|error| entry_refused(&error))?;
    let mut tree = vec![(entry.linux, Contents::File(files.kernel))];
    tree.extend(
        entry
            .initrd
            .into_iter()
            .map(|path| (path, Contents::File(files.initrd))),
    );
    let text = text.into_bytes().into();
    tree.push((
        LOADER_CONF_PATH.to_string(),
        Contents::Bytes(LOADER_CONF.as_bytes().into()),
    ));
    tree.push((ENTRY_PATH.to_string(), Contents::Bytes(text)));
    for path in [LOADER, FALLBACK_LOADER] {
        tree.push((path.to_string(), Contents::File(files.boot_loader)));
    }
    Ok(tree)
}

/// Compares every file's digest with what should be there; one line per file.
fn compare_tree(root: &Path, files: &EspFiles<'_>) -> Result<Vec<String>, Reason> {
    let mut facts = Vec::new();
    for (path, contents) in tree(files)? {
        let full = root.join(&path);
        let found = File::open(&full).and_then(|file| Contents::File(&file).digest());
        let found = found.map_err(|error| read_refused(&full, &error))?;
        let (wanted, length) = contents
            .digest()
            .and_then(|wanted| Ok((wanted, Bytes(contents.length()?))))
            .map_err(|error| read_refused(&full, &error))?;
        if found != wanted {
            return Err(Reason::new(
                ReasonCode::DiskError,
                format!("the boot partition gave other bytes back than were written to {path}"),
                "replace the disk, then order the run again",
            )
            .seen(format!("written {wanted}"))
            .seen(format!("read    {found}")));
        }
        facts.push(format!(
            "ESP /{path}: {length}, sha256 {}, read back",
            wanted.short()
        ));
    }
    Ok(facts)
}

/// Copies a file that has no more than `most` bytes, and tells how many it has.
fn copy_file(path: &Path, most: Bytes, to: &mut dyn Write) -> Result<u64, Reason> {
    let length = File::open(path)
        .and_then(|file| copy(&mut file.take(most.0 + 1), to))
        .map_err(|error| read_refused(path, &error))?;
    if length > most.0 {
        let too_large = io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is larger than {most}"),
        );
        return Err(read_refused(path, &too_large));
    }
    Ok(length)
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

    fn memory(bytes: &[u8]) -> File {
        let mut file = memory_file("test").unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn text_of(file: &File) -> String {
        let mut bytes = Vec::new();
        Contents::File(file).copy_to(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    struct Blobs {
        boot_loader: File,
        kernel: File,
        initrd: File,
        plan: PlanId,
    }

    impl Blobs {
        fn new(kernel: &[u8]) -> Self {
            Self {
                boot_loader: memory(b"MZ loader"),
                kernel: memory(kernel),
                initrd: memory(b"0707 initrd"),
                plan: "0123456789abcdef".repeat(4).parse().unwrap(),
            }
        }

        fn files(&self) -> EspFiles<'_> {
            EspFiles {
                boot_loader: &self.boot_loader,
                kernel: &self.kernel,
                initrd: &self.initrd,
                cmdline: "console=ttyS0",
                root_guid: GUID,
                plan: &self.plan,
            }
        }
    }

    #[test]
    fn what_was_filled_reads_back_also_after_a_second_filling() {
        let root = tempfile::tempdir().unwrap();
        for kernel in [&b"MZ first"[..], b"MZ second, longer"] {
            let blobs = Blobs::new(kernel);
            fill_tree(root.path(), &blobs.files()).unwrap();
            let facts = compare_tree(root.path(), &blobs.files()).unwrap();
            assert_eq!(facts.len(), 6);
            let back = read_tree(root.path()).unwrap();
            assert_eq!(text_of(&back.kernel).as_bytes(), kernel);
            assert_eq!(text_of(&back.initrd), "0707 initrd");
            assert_eq!(
                back.options,
                format!("root=PARTUUID={} rw console=ttyS0", GUID.to_lowercase())
            );
            let digests = digest_tree(root.path()).unwrap();
            assert_eq!(digests.kernel, Digest::of(kernel));
            assert_eq!(digests.initrd, Digest::of(b"0707 initrd"));
        }
    }

    /// The most memory that this process ever had.
    fn peak() -> Bytes {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        Bytes(kib.parse::<u64>().unwrap() * 1024)
    }

    #[test]
    fn a_large_initrd_never_comes_into_our_own_memory() {
        let root = tempfile::tempdir().unwrap();
        let mut blobs = Blobs::new(b"MZ kernel");
        let mut piece = vec![0x5a; 1 << 20];
        for number in 0..96u8 {
            piece[0] = number;
            blobs.initrd.write_all(&piece).unwrap();
        }
        drop(piece);
        fill_tree(root.path(), &blobs.files()).unwrap();
        compare_tree(root.path(), &blobs.files()).unwrap();
        let digests = digest_tree(root.path()).unwrap();
        let back = read_tree(root.path()).unwrap();
        assert_eq!(
            Contents::File(&back.initrd).digest().unwrap(),
            digests.initrd
        );
        assert!(peak() < Bytes::mib(48), "peak memory {}", peak());
    }

    #[test]
    fn other_bytes_on_the_disk_are_found_and_named() {
        let (root, blobs) = (tempfile::tempdir().unwrap(), Blobs::new(b"MZ kernel"));
        fill_tree(root.path(), &blobs.files()).unwrap();
        std::fs::write(
            root.path().join("groundstate/0123456789ab/vmlinuz"),
            b"MZ kerneL",
        )
        .unwrap();
        let reason = compare_tree(root.path(), &blobs.files()).unwrap_err();
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
        assert_eq!(
            text_of(&read_tree(root.path()).unwrap().initrd),
            "abcde\0\0\0xyz"
        );
    }

    #[test]
    fn the_names_fit_fat_as_mtools_sees_it() {
        let (root, blobs) = (tempfile::tempdir().unwrap(), Blobs::new(b"MZ kernel"));
        let tree_dir = root.path().join("tree");
        std::fs::create_dir(&tree_dir).unwrap();
        fill_tree(&tree_dir, &blobs.files()).unwrap();
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
        compare_tree(&back, &blobs.files()).unwrap();
    }
}
