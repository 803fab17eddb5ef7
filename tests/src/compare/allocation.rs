// SPDX-License-Identifier: Apache-2.0
//! A fixed VHD that is really there, against a bare `fallocate` and against writing zeros; and 24 disks of them at once.

use super::ground::{Ground, PAIRS, Places, durable, run, text, timed};
use super::{Figure, Goal, ratios};
use anyhow::{Context as _, Result, ensure};
use groundstate_api::plan::{VhdFormat, VhdKind, VhdPlan};
use groundstate_api::units::{GIB, MIB};
use groundstate_api::{Bytes, SystemUuid};
use maintenance_os::disk::make_vhds;
use maintenance_os::virtual_disk::{Contents, Create, Format, Physical, create, physical};
use mos_core::vhd::{FOOTER_LEN, Footer};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The word by which this program makes one VHD as a process of its own, so that both sides start a process.
pub const MAKE_ONE: &str = "make-one";

/// The VHD that is compared.
const SIZE: u64 = 8 * GIB;
/// A reservation takes milliseconds: more pairs than elsewhere.
const RESERVATIONS: usize = 15;
/// Places that must read as zero, besides both ends.
const LOOKS: u64 = 256;
/// One look.
const LOOK: usize = 4_096;
/// Bytes of a footer that may differ from QEMU's: time stamp, checksum, unique id.
const OWN: [std::ops::Range<usize>; 3] = [24..28, 64..68, 68..84];
/// The shelf.
const DISKS: u64 = 24;
/// On each disk.
const VHDS: u64 = 4;

/// Makes one fixed VHD: what the process that is timed does.
///
/// # Errors
/// It cannot be made.
pub fn make_one(path: &Path, size: u64) -> Result<()> {
    let made = create(&Create {
        path: path.to_path_buf(),
        format: Format::Vhd,
        size: Some(Bytes(size)),
        contents: Contents::Fixed,
        preallocate: false,
        force: false,
    })?;
    ensure!(made.reserved.is_some(), "nothing was reserved");
    Ok(())
}

/// 8 GiB reserved by us, by `fallocate`, and written by `dd`.
///
/// # Errors
/// A tool is missing or failed, or a file is not what it should be.
pub fn fixed(ground: &Ground) -> Result<Vec<Figure>> {
    let (ours, theirs) = (ground.path("ours.vhd"), ground.path("theirs"));
    let own = std::env::current_exe().context("who am I")?;
    let length = (SIZE + FOOTER_LEN as u64).to_string();
    let (mut one, mut bare, mut synced) = (Vec::new(), Vec::new(), Vec::new());
    let mut pieces = Vec::new();
    for round in 0..=RESERVATIONS {
        ground.say(&format!("8 GiB reserved, pair {round} of {RESERVATIONS}"));
        let (mut took, mut alone, mut whole) = (0.0, 0.0, 0.0);
        // Who goes first changes: the one who goes second finds the free space that the other left.
        for turn in 0..2 {
            ground.settle(&[&ours, &theirs])?;
            if (round + turn) % 2 == 0 {
                let size = SIZE.to_string();
                let make = || run(text(&own)?, &[MAKE_ONE, text(&ours)?, &size]);
                took = timed(make)?.0;
            } else {
                let make = || run("fallocate", &["-l", &length, text(&theirs)?]);
                alone = timed(make)?.0;
                whole = alone + timed(|| durable(&theirs))?.0;
            }
            if (round + turn) % 2 == 0 {
                pieces.push(is_there(&ours, SIZE)?.extents);
            }
        }
        if round > 0 {
            one.push(took);
            bare.push(alone);
            synced.push(whole);
        }
    }
    ground.settle(&[&ours, &theirs])?;
    let zeros = zeros_written(ground, &theirs)?;
    let middle = super::Spread::of(&one).context("no run")?.median;
    let times: Vec<f64> = zeros.iter().map(|zeros| zeros / middle).collect();
    let most = pieces.iter().max().copied().unwrap_or_default();
    let what = "a process that makes the VHD durable under its name";
    let figure = |name: &str| Figure::new(name, "ms", what, one.clone());
    let checked = format!(
        "each run: blocks for every byte, zero at {LOOKS} random places and both ends, the footer read back; at most {most} \
         extents"
    );
    Ok(vec![
        figure("fixed VHD 8 GiB, against fallocate made as durable")
            .against("fallocate -l, fsync of file and folder", synced.clone(), "ours / peer", ratios(&one, &synced))
            .goal(Goal::AtMost(1.1))
            .note(checked),
        figure("fixed VHD 8 GiB, against fallocate that is not durable")
            .against("fallocate -l", bare.clone(), "ours / peer", ratios(&one, &bare))
            .note("the peer's file may be gone after a power cut; ours is not, and that is the difference"),
        figure("fixed VHD 8 GiB, against writing zeros")
            .against("dd if=/dev/zero bs=1M oflag=direct conv=fsync", zeros, "peer / ours", times)
            .goal(Goal::AtLeast(100.0)),
        footers(ground)?,
    ])
}

/// Every byte has a block and reads as zero, and the footer is one.
fn is_there(path: &Path, size: u64) -> Result<Physical> {
    let file = File::open(path).with_context(|| format!("no {}", path.display()))?;
    let found = file.metadata()?;
    let length = size + FOOTER_LEN as u64;
    ensure!(
        found.len() == length,
        "{} bytes instead of {length}",
        found.len()
    );
    let allocated = found.blocks() * 512;
    ensure!(
        allocated >= length,
        "{allocated} of {length} bytes are there"
    );
    let mut places = Places::new(size);
    let inner = (0..LOOKS).map(|_| places.below(size / LOOK as u64) * LOOK as u64);
    for at in inner.chain([0, size - LOOK as u64]) {
        let mut bytes = [0xff; LOOK];
        file.read_exact_at(&mut bytes, at)?;
        ensure!(bytes == [0; LOOK], "not zero at {at}");
    }
    let mut footer = [0; FOOTER_LEN];
    file.read_exact_at(&mut footer, size)?;
    let footer = Footer::decode(&footer)?;
    ensure!(footer.size.0 == size, "the footer says {}", footer.size);
    let physical = physical(&file)?.context("the file system does not tell extents")?;
    ensure!(
        physical.bytes >= size,
        "{} bytes have a place",
        physical.bytes
    );
    Ok(physical)
}

/// Once to warm up, then three times: it takes seconds, and its memory is the tool's own megabyte.
fn zeros_written(ground: &Ground, path: &Path) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    for round in 1..=3 {
        ground.say(&format!("8 GiB of zeros written, run {round} of 3"));
        ground.settle(&[path])?;
        let to = format!("of={}", text(path)?);
        let arguments = [
            "if=/dev/zero",
            &to,
            "bs=1M",
            "count=8192",
            "oflag=direct",
            "conv=fsync",
        ];
        times.push(timed(|| run("dd", &arguments))?.0);
        ensure!(fs::metadata(path)?.blocks() * 512 >= SIZE, "dd wrote less");
    }
    ground.settle(&[path])?;
    Ok(times)
}

/// Ours and QEMU's footer of the same disk, byte by byte.
fn footers(ground: &Ground) -> Result<Figure> {
    let (ours, theirs) = (ground.path("ours.vhd"), ground.path("qemu.vhd"));
    ground.settle(&[&ours, &theirs])?;
    make_one(&ours, SIZE)?;
    let size = SIZE.to_string();
    let options = "subformat=fixed,force_size=on";
    run(
        "qemu-img",
        &[
            "create",
            "-q",
            "-f",
            "vpc",
            "-o",
            options,
            text(&theirs)?,
            &size,
        ],
    )?;
    let of = |path: &Path| -> Result<[u8; FOOTER_LEN]> {
        let mut footer = [0; FOOTER_LEN];
        File::open(path)?.read_exact_at(&mut footer, SIZE)?;
        Ok(footer)
    };
    let (one, other) = (of(&ours)?, of(&theirs)?);
    let sparse = fs::metadata(&theirs)?.blocks() * 512;
    let differ: Vec<usize> = (0..FOOTER_LEN)
        .filter(|at| one.get(*at) != other.get(*at))
        .filter(|at| !OWN.iter().any(|own| own.contains(at)))
        .collect();
    let creator = |footer: &[u8]| {
        footer
            .get(28..40)
            .unwrap_or_default()
            .escape_ascii()
            .to_string()
    };
    ground.settle(&[&ours, &theirs])?;
    let count = u32::try_from(differ.len())?;
    Ok(Figure::new(
        "footer: bytes other than qemu-img's",
        "bytes",
        "fixed VHD 8 GiB",
        vec![f64::from(count)],
    )
    .goal(Goal::AtMost(0.0))
    .note(format!(
        "not compared: UUID, time stamp, checksum; differ: {differ:?}"
    ))
    .note(format!(
        "creator, version, host: ours \"{}\", qemu-img's \"{}\"",
        creator(&one),
        creator(&other)
    ))
    .note(format!(
        "of qemu-img's own \"fixed\" VHD of 8 GiB, {sparse} bytes are really there"
    )))
}

/// 24 disks with 4 VHDs each, by the node's own executor; the disks are folders of this one file system.
///
/// # Errors
/// A file is not what it should be.
pub fn many(ground: &Ground) -> Result<Vec<Figure>> {
    let volume = rustix::fs::statvfs(ground.folder())?;
    // All of them together take no more than half of what is free.
    let free = volume.f_bavail * volume.f_frsize / 2 / (DISKS * VHDS);
    let size = (free / MIB).min(256) * MIB;
    ensure!(size > 0, "no space left for {} VHDs", DISKS * VHDS);
    let disks: Vec<PathBuf> = (0..DISKS)
        .map(|disk| ground.path(&format!("disk-{disk}")))
        .collect();
    let mut whole = Vec::new();
    for round in 0..=PAIRS {
        ground.say(&format!("24 disks x 4 VHDs, run {round} of {PAIRS}"));
        for disk in &disks {
            fs::create_dir(disk)?;
        }
        ground.settle(&[])?;
        let took = timed(|| shelf_of_vhds(&disks, size))?.0;
        for disk in &disks {
            for number in 0..VHDS {
                is_there(&disk.join(format!("vm-{number}.vhd")), size)?;
            }
            fs::remove_dir_all(disk)?;
        }
        if round > 0 {
            whole.push(took);
        }
    }
    ground.settle(&[])?;
    let count = f64::from(u32::try_from(DISKS * VHDS)?);
    let each = whole.iter().map(|took| took / count).collect();
    let what = format!(
        "fixed VHDs of {}, one thread a disk, each durable",
        Bytes(size)
    );
    Ok(vec![
        Figure::new("24 disks x 4 VHDs", "ms", &what, whole)
            .goal(Goal::AtMost(1_000.0))
            .note("each run: every VHD's blocks, zeros and footer"),
        Figure::new("24 disks x 4 VHDs, per VHD", "ms", &what, each),
    ])
}

fn shelf_of_vhds(disks: &[PathBuf], size: u64) -> Result<()> {
    let vhds: Vec<VhdPlan> = (0..VHDS)
        .map(|number| {
            let mut id = [0x5a; 16];
            id[15] = u8::try_from(number).unwrap_or_default();
            VhdPlan {
                file: format!("vm-{number}.vhd"),
                size: Bytes(size),
                id: SystemUuid(id).to_string(),
                format: VhdFormat::Vhd,
                kind: VhdKind::Fixed,
                part: None,
            }
        })
        .collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = disks
            .iter()
            .map(|disk| scope.spawn(|| make_vhds(disk, &vhds)))
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(made) => made?,
                Err(_) => anyhow::bail!("a thread died"),
            };
        }
        Ok(())
    })
}
