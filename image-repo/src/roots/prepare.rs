// SPDX-License-Identifier: Apache-2.0
//! From an input to a file that is imported: which way, by the stated format.

use super::options::{OwnedBootPaths, PrepareOptions, Prepared, RootsInput};
use super::{Progress, RootsError};
use crate::disk_image::{EspFile, Part, assemble, make_esp, part_guid};
use crate::facts;
use crate::tar::{
    Allowance, BootFound, Ext4Plan, LeftOut, Spool, Tree, Whiteouts, find_boot, make_ext4, newest,
    unpack,
};
use groundstate_api::Bytes;
use groundstate_api::image::{Architecture, ImageFormat, ImageKind};
use groundstate_api::units::MIB;
use image_core::facts::{Machine, Stated};
use mos_core::guid::Guid;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The types of the partitions that are made (UEFI 2.10, table 5.7; Discoverable Partitions Specification).
const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
const ROOT_X86_64: &str = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709";
const ROOT_AARCH64: &str = "B921B045-1DF0-41C3-AF44-4C6F280D3FAE";
const LINUX_DATA: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

/// Makes the bytes of an image in `scratch`, a folder that is empty and that the caller removes. `progress` hears how
/// much of the input was read.
///
/// # Errors
/// The format is none that is made into an image, the input is not what it was said to be, a tool is missing or fails.
pub fn prepare(
    format: ImageFormat,
    input: RootsInput<'_>,
    options: &PrepareOptions,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<Prepared, RootsError> {
    if !matches!(options.sector_size, 512 | 4096) {
        return Err(RootsError::SectorSize {
            found: options.sector_size,
        });
    }
    // Tools get whole paths: they run where we do, but a name must not look like an option to them.
    let scratch = &fs::canonicalize(scratch).map_err(RootsError::file("found", scratch))?;
    let prepared = match format {
        ImageFormat::Tar => from_tar(input, options, scratch, progress),
        ImageFormat::Oci => crate::oci::prepare(input, options, scratch, progress),
        ImageFormat::Wim => crate::wim::prepare(input, options, scratch, progress),
        ImageFormat::Raw
        | ImageFormat::RawZstd
        | ImageFormat::RawGzip
        | ImageFormat::RawXz
        | ImageFormat::Qcow2
        | ImageFormat::Vhd
        | ImageFormat::Vhdx
        | ImageFormat::Vmdk => Err(RootsError::NotThis(format)),
    }?;
    if prepared.kind == ImageKind::WholeDisk && prepared.format == ImageFormat::Raw {
        look(&prepared, options)?;
    }
    Ok(prepared)
}

/// Sees that a disk is for the sector size that was stated.
fn look(prepared: &Prepared, options: &PrepareOptions) -> Result<(), RootsError> {
    let said = |error: crate::RepoError| {
        RootsError::file("looked into", &prepared.path)(std::io::Error::other(error))
    };
    let facts = facts::of_file(&prepared.path).map_err(said)?;
    facts.check(&Stated {
        sector_size: Some(options.sector_size),
        architecture: None,
    })?;
    Ok(())
}

fn from_tar(
    input: RootsInput<'_>,
    options: &PrepareOptions,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<Prepared, RootsError> {
    let mut tree = Tree::default();
    let mut spool = Spool::new(scratch.join("contents"))?;
    let is_stated = options.max_size != PrepareOptions::MAX_SIZE;
    let mut allowance = Allowance::new(options.max_size, is_stated, scratch);
    let mut file;
    let (stream, total): (&mut dyn Read, _) = match input {
        RootsInput::Stream(stream) => (stream, None),
        RootsInput::Path(path) => {
            file = File::open(path).map_err(RootsError::file("opened", path))?;
            let found = file
                .metadata()
                .map_err(RootsError::file("measured", path))?;
            (&mut file, Some(Bytes(found.len())))
        }
    };
    let left_out = unpack(
        stream,
        total,
        Whiteouts::No,
        (&mut tree, &mut spool),
        &mut allowance,
        progress,
    )?;
    from_tree(&tree, spool, options, left_out, scratch)
}

/// From a tree to a root file system or a whole disk.
pub(crate) fn from_tree(
    tree: &Tree,
    spool: Spool,
    options: &PrepareOptions,
    left_out: LeftOut,
    scratch: &Path,
) -> Result<Prepared, RootsError> {
    let boot = find_boot(tree, &spool, options)?;
    let [
        identity @ ..,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
    ] = tree.digest();
    let identity = Guid(identity);
    let root = scratch.join("root.ext4");
    let mut lines = lines(tree, &boot, left_out);
    let prepared = match options.kind {
        ImageKind::RootFsExt4 => {
            let plan = Ext4Plan::new(tree, options.size, options.free)?;
            let file_system = identity.following("root file system");
            make_ext4(tree, &spool, &plan, file_system, scratch, &root)?;
            let boot = keep(&boot, options, scratch)?;
            Prepared {
                path: root,
                format: ImageFormat::Raw,
                kind: ImageKind::RootFsExt4,
                boot: Some(boot),
                lines,
            }
        }
        ImageKind::WholeDisk => {
            let path = whole_disk(
                tree,
                &spool,
                options,
                (identity, &boot),
                scratch,
                &mut lines,
            )?;
            Prepared {
                path,
                format: ImageFormat::Raw,
                kind: ImageKind::WholeDisk,
                boot: None,
                lines,
            }
        }
    };
    let contents = spool.folder();
    fs::remove_dir_all(contents).map_err(RootsError::file("removed", contents))?;
    Ok(prepared)
}

fn whole_disk(
    tree: &Tree,
    spool: &Spool,
    options: &PrepareOptions,
    (identity, boot): (Guid, &BootFound),
    scratch: &Path,
    lines: &mut Vec<String>,
) -> Result<PathBuf, RootsError> {
    let disk = identity.following("disk");
    let root_type = match boot.machine.and_then(Machine::architecture) {
        Some(Architecture::X86_64) => ROOT_X86_64,
        Some(Architecture::Aarch64) => ROOT_AARCH64,
        None => LINUX_DATA,
    };
    let esp = scratch.join("esp.fat");
    let texts = [scratch.join("entry.conf"), scratch.join("loader.conf")];
    let files = esp_files(tree, options, (disk, boot), &texts)?;
    let esp_length = make_esp(&esp, options.sector_size, disk, newest(tree), &files)?;
    // The tables at both ends, and the ESP.
    let beside = esp_length.0 + 2 * MIB;
    let size = options.size.map(|size| {
        let left = size.0.saturating_sub(beside);
        Bytes(left / MIB * MIB)
    });
    let plan = Ext4Plan::new(tree, size, options.free).map_err(|error| match error {
        RootsError::TooSmall { stated, needed } => RootsError::TooSmall {
            stated: options.size.unwrap_or(stated),
            needed: Bytes(needed.0 + beside),
        },
        other => other,
    })?;
    let root = scratch.join("root.ext4");
    let file_system = identity.following("root file system");
    make_ext4(tree, spool, &plan, file_system, scratch, &root)?;
    let part = |name, of: &str, length, content: &Path| Part {
        name,
        type_guid: Guid::parse(of).unwrap_or(Guid([0; 16])),
        length,
        content: Some(content.to_path_buf()),
    };
    let parts = [
        part("ESP", ESP, esp_length, &esp),
        part("root", root_type, plan.size, &root),
    ];
    let path = scratch.join("disk.raw");
    let made = assemble(&path, disk, options.sector_size, &parts)?;
    for gone in [&esp, &root].into_iter().chain(&texts) {
        fs::remove_file(gone).map_err(RootsError::file("removed", gone))?;
    }
    lines.push(format!(
        "a disk of {made} with an EFI system partition of {esp_length} and a root file system of {}",
        plan.size
    ));
    Ok(path)
}

/// What lies on the EFI system partition: systemd-boot where firmware looks, and its one entry.
fn esp_files(
    tree: &Tree,
    options: &PrepareOptions,
    (disk, boot): (Guid, &BootFound),
    [entry, loader]: &[PathBuf; 2],
) -> Result<Vec<EspFile>, RootsError> {
    let title = match tree.find("/etc/os-release") {
        Some(_) => "Linux",
        None => "Image",
    };
    let text = format!(
        "title {title} {release}\nlinux /linux\ninitrd /initrd\noptions root=PARTUUID={root} rw {cmdline}\n",
        release = boot.release,
        root = part_guid(disk, 2).lower(),
        cmdline = options.cmdline,
    );
    write(entry, &text)?;
    write(loader, "timeout 0\ndefault image.conf\n")?;
    let fallback = match boot.machine {
        Some(Machine::Aarch64) => "EFI/BOOT/BOOTAA64.EFI",
        Some(_) | None => "EFI/BOOT/BOOTX64.EFI",
    };
    let file = |path: &str, from: &Path| EspFile {
        path: path.into(),
        from: from.to_path_buf(),
    };
    Ok(vec![
        file(fallback, &boot.boot_loader),
        file("loader/loader.conf", loader),
        file("loader/entries/image.conf", entry),
        file("linux", &boot.kernel),
        file("initrd", &boot.initrd),
    ])
}

fn lines(tree: &Tree, boot: &BootFound, left_out: LeftOut) -> Vec<String> {
    let machine = boot.machine.map(|machine| machine.to_string());
    let mut lines = vec![
        format!("{} names in the tree", tree.names()),
        format!(
            "boots Linux {} by systemd-boot for {}",
            boot.release,
            machine.as_deref().unwrap_or("a machine that nothing tells"),
        ),
    ];
    if left_out.lists > 0 {
        lines.push(format!(
            "{} names have access control lists as text, which were left out",
            left_out.lists
        ));
    }
    if left_out.times > 0 {
        lines.push(format!(
            "{} names have a time before 1970 or after 2038-01-19 and got the nearest that is kept",
            left_out.times
        ));
    }
    if left_out.sockets > 0 {
        lines.push(format!("{} sockets were left out", left_out.sockets));
    }
    lines
}

/// Files of the spool that outlive it get a name of their own; stated ones stay where they are.
fn keep(
    boot: &BootFound,
    options: &PrepareOptions,
    scratch: &Path,
) -> Result<OwnedBootPaths, RootsError> {
    let place = |from: &Path, stated: &Option<PathBuf>, name: &str| {
        if stated.is_some() {
            return Ok::<_, RootsError>(from.to_path_buf());
        }
        let to = scratch.join(name);
        fs::copy(from, &to).map_err(RootsError::file("copied", from))?;
        Ok(to)
    };
    Ok(OwnedBootPaths {
        kernel: place(&boot.kernel, &options.kernel, "kernel")?,
        initrd: place(&boot.initrd, &options.initrd, "initrd")?,
        boot_loader: place(&boot.boot_loader, &options.boot_loader, "boot-loader")?,
        cmdline: options.cmdline.clone(),
    })
}

fn write(path: &Path, text: &str) -> Result<(), RootsError> {
    fs::write(path, text).map_err(RootsError::file("written", path))
}
