// SPDX-License-Identifier: Apache-2.0
//! Makes a disk out of a Windows Imaging file, through `wimlib-imagex` where it is installed: EFI system partition,
//! Microsoft's reserved partition, and an NTFS volume with the applied image.
//!
//! It does not make the disk start: that takes a boot configuration (BCD) which only Windows' own `bcdboot` writes. What
//! comes out says so.

mod info;

use crate::disk_image::{Part, assemble, part_guid};
use crate::roots::{PrepareOptions, Prepared, Progress, RootsError, RootsInput, Tool, run};
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageKind};
use groundstate_api::units::MIB;
use info::{WimImage, choose, read};
use mos_core::guid::Guid;
use sha2::Digest as _;
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

const WIMLIB: Tool = Tool {
    name: "wimlib-imagex",
    package: "wimtools",
};
const MKNTFS: Tool = Tool {
    name: "mkntfs",
    package: "ntfs-3g",
};
const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
const RESERVED: &str = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE";
const BASIC_DATA: &str = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7";
/// Microsoft, "UEFI/GPT-based hard drive partitions": the reserved partition has 16 MiB.
const RESERVED_LENGTH: Bytes = Bytes::mib(16);
/// What NTFS takes beside the files, in bytes: its log, its bitmap and its file table's zone.
const FIXED: u64 = 96 * MIB;
/// The most that a stream may hold: Windows install images have 4 to 8 GiB.
const PIECE: usize = 1 << 20;

pub(crate) fn prepare(
    input: RootsInput<'_>,
    options: &PrepareOptions,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<Prepared, RootsError> {
    if options.kind.is_root_fs() {
        return Err(RootsError::WimKind);
    }
    let path = match input {
        RootsInput::Path(path) => {
            std::fs::canonicalize(path).map_err(RootsError::file("found", path))?
        }
        RootsInput::Stream(stream) => keep(stream, options.max_size, scratch, progress)?,
    };
    let images = read(WIMLIB, &path, scratch)?;
    let image = choose(&images, options.wim_image)?;
    if image.bytes > options.max_size.0 {
        return Err(RootsError::TooLarge {
            max: options.max_size,
        });
    }
    let needed = volume(image);
    let esp = scratch.join("esp.fat");
    let identity = identity(&path, image)?;
    let esp_length = crate::disk_image::make_esp(&esp, options.sector_size, identity, 0, &[])?;
    let beside = esp_length.0 + RESERVED_LENGTH.0 + 2 * MIB;
    let length = match options.size {
        Some(size) if size.0 < needed + beside => {
            return Err(RootsError::TooSmall {
                stated: size,
                needed: Bytes(needed + beside),
            });
        }
        Some(size) => (size.0 - beside) / MIB * MIB,
        None => (needed + options.free.0).next_multiple_of(MIB),
    };
    let volume = scratch.join("windows.ntfs");
    make_volume(&volume, Bytes(length), options.sector_size)?;
    let number = image.number.to_string();
    run(
        WIMLIB,
        WIMLIB
            .command()
            .arg("apply")
            .arg(&path)
            .arg(&number)
            .arg(&volume),
    )?;
    let (disk, made) = whole_disk(
        scratch,
        identity,
        options,
        (&esp, esp_length),
        (&volume, Bytes(length)),
    )?;
    Ok(Prepared {
        path: disk,
        format: ImageFormat::Raw,
        kind: ImageKind::WholeDisk,
        boot: None,
        lines: vec![
            format!("image {} of the WIM file: {}", image.number, image.title()),
            format!("a disk of {made} with an NTFS volume of {}", Bytes(length)),
            format!("the NTFS volume is partition {}", part_guid(identity, 3).lower()),
            "the disk does not start yet: its EFI system partition needs a boot configuration, which Windows' own \
             bcdboot writes (bcdboot W:\\Windows /s S: /f UEFI, from Windows PE)"
                .into(),
        ],
    })
}

/// Puts the parts together and removes them.
fn whole_disk(
    scratch: &Path,
    identity: Guid,
    options: &PrepareOptions,
    (esp, esp_length): (&PathBuf, Bytes),
    (volume, length): (&PathBuf, Bytes),
) -> Result<(PathBuf, Bytes), RootsError> {
    let part = |name, of: &str, length, content: Option<&PathBuf>| Part {
        name,
        type_guid: Guid::parse(of).unwrap_or(Guid([0; 16])),
        length,
        content: content.cloned(),
    };
    let parts = [
        part("EFI system partition", ESP, esp_length, Some(esp)),
        part(
            "Microsoft reserved partition",
            RESERVED,
            RESERVED_LENGTH,
            None,
        ),
        part("Basic data partition", BASIC_DATA, length, Some(volume)),
    ];
    let disk = scratch.join("disk.raw");
    let made = assemble(&disk, identity, options.sector_size, &parts)?;
    for gone in [esp, volume] {
        std::fs::remove_file(gone).map_err(RootsError::file("removed", gone))?;
    }
    Ok((disk, made))
}

fn make_volume(path: &Path, length: Bytes, sector_size: u32) -> Result<(), RootsError> {
    let file = File::create_new(path).map_err(RootsError::file("made", path))?;
    file.set_len(length.0)
        .map_err(RootsError::file("lengthened", path))?;
    // The partition begins behind the EFI system partition; where, Windows' boot sector must know only to start by BIOS.
    run(
        MKNTFS,
        MKNTFS
            .command()
            .args(["-F", "-Q", "-q", "-s", &sector_size.to_string()])
            .args(["-p", "0", "-H", "255", "-S", "63", "-c", "4096"])
            .args(["-L", "Windows"])
            .arg(path),
    )
    .map(|_| ())
}

/// What the volume takes at least: each file's last cluster is half empty, and its entry takes a kilobyte.
fn volume(image: &WimImage) -> u64 {
    let data = image.bytes + (image.files + image.folders) * (1024 + 2048);
    data + data / 20 + FIXED
}

/// The same image of the same file has the same identity.
fn identity(path: &Path, image: &WimImage) -> Result<Guid, RootsError> {
    let mut file = File::open(path).map_err(RootsError::file("opened", path))?;
    let mut hash = sha2::Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        let count = file
            .read(&mut piece)
            .map_err(RootsError::file("read", path))?;
        if count == 0 {
            break;
        }
        hash.update(&piece[..count]);
    }
    let digest: [u8; 32] = hash.finalize().into();
    let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
    Ok(Guid(first).following(&format!("WIM image {}", image.number)))
}

/// A stream is kept: wimlib reads at any place.
fn keep(
    stream: &mut dyn Read,
    max: Bytes,
    scratch: &Path,
    progress: Progress<'_>,
) -> Result<PathBuf, RootsError> {
    let path = scratch.join("input.wim");
    let mut to = File::create_new(&path).map_err(RootsError::file("made", &path))?;
    let (mut piece, mut total) = (vec![0; PIECE], 0u64);
    loop {
        let count = stream
            .read(&mut piece)
            .map_err(|source| RootsError::Archive {
                at: Bytes(total),
                source,
            })?;
        if count == 0 {
            return Ok(path);
        }
        total += count as u64;
        if total > max.0 {
            return Err(RootsError::TooLarge { max });
        }
        to.write_all(&piece[..count])
            .map_err(RootsError::file("written", &path))?;
        progress(Bytes(total), None);
    }
}
