// SPDX-License-Identifier: Apache-2.0
//! What the first write to a place costs against every later one, per way in which a disk's space came to be.
//!
//! Requests of 64 KiB past the page cache, sixteen at a time, each place once and in an order that looks random, as a
//! virtual machine's disk sees them. Where a place lies in the file is worked out before, as a hypervisor keeps it.

use super::ground::{Aligned, Ground, PAIRS, PIECE, Places, run, text, timed};
use super::{Figure, Goal, ratios};
use anyhow::{Context as _, Result, bail, ensure};
use groundstate_api::Bytes;
use groundstate_api::units::{GIB, MIB};
use maintenance_os::virtual_disk::{
    Contents, Create, Disk, DiskFile, Format, How, Parents, create,
};
use mos_core::vhd::{Place, Vhd};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The disk.
const SIZE: u64 = GIB;
/// Requests under way at once.
const DEPTH: usize = 16;
/// Requests that are read back after each pass.
const LOOKS: u64 = 64;
/// Each page of a request says which place of the disk it is for, and in which pass.
const PAGE: usize = 4_096;

/// How the disk was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// By us, fixed.
    Fixed,
    /// By us, dynamic with every block.
    Dynamic,
    /// By qemu-img, which calls it fixed.
    Sparse,
}

const MODES: [(Mode, &str); 3] = [
    (Mode::Fixed, "fixed VHD"),
    (Mode::Dynamic, "dynamic VHD, preallocated"),
    (Mode::Sparse, "qemu-img's fixed VHD, sparse"),
];

/// First writes against overwrites, per mode.
///
/// # Errors
/// A tool is missing or failed, or what was written is not there.
pub fn first_writes(ground: &Ground) -> Result<Vec<Figure>> {
    let mut rates = MODES.map(|_| (Vec::new(), Vec::new()));
    let mut offered = None;
    for round in 0..=PAIRS {
        for ((mode, what), (first, over)) in MODES.iter().zip(&mut rates) {
            ground.say(&format!("first writes, {what}, pair {round} of {PAIRS}"));
            let path = ground.path("written.vhd");
            ground.settle(&[&path])?;
            let reserved = make(*mode, &path)?;
            if *mode == Mode::Fixed {
                offered = reserved;
            }
            ground.settle(&[])?;
            let places = places(*mode, &path, round as u64)?;
            let rate = |pass| -> Result<f64> {
                let took = timed(|| write(&path, &places, pass))?.0;
                check(&path, pass, round as u64)?;
                Ok(rate_of(took))
            };
            let (one, other) = (rate(1)?, rate(2)?);
            if round > 0 {
                first.push(one);
                over.push(other);
            }
            ground.settle(&[&path])?;
        }
    }
    let figures = MODES.iter().zip(rates).map(|((mode, what), (first, over))| {
        let ratios = ratios(&first, &over);
        let figure = Figure::new(&format!("first writes, {what}"), "MiB/s", "first writes, 64 KiB random, 16 at a time", first)
            .against("the same places once more", over, "first / again", ratios)
            .note(format!("each pass: {LOOKS} places read back through the format"));
        match (mode, offered) {
            (Mode::Fixed, Some(How::WriteZeroes)) => figure
                .goal(Goal::AtLeast(0.9))
                .note("reserved by the device's own zeroes"),
            (Mode::Fixed, Some(How::Unwritten) | None) => {
                figure.note("no goal here: the device offers no WRITE_ZEROES that frees, so the space is set aside unwritten")
            }
            (Mode::Dynamic | Mode::Sparse, _) => figure,
        }
    });
    Ok(figures.collect())
}

fn rate_of(milliseconds: f64) -> f64 {
    let mebibytes = f64::from(u32::try_from(SIZE / MIB).unwrap_or(u32::MAX));
    mebibytes * 1_000.0 / milliseconds
}

fn make(mode: Mode, path: &Path) -> Result<Option<How>> {
    let contents = match mode {
        Mode::Fixed => Contents::Fixed,
        Mode::Dynamic => Contents::Dynamic,
        Mode::Sparse => {
            let options = "subformat=fixed,force_size=on";
            let size = SIZE.to_string();
            run(
                "qemu-img",
                &[
                    "create",
                    "-q",
                    "-f",
                    "vpc",
                    "-o",
                    options,
                    text(path)?,
                    &size,
                ],
            )?;
            return Ok(None);
        }
    };
    let made = create(&Create {
        path: path.to_path_buf(),
        format: Format::Vhd,
        size: Some(Bytes(SIZE)),
        contents,
        preallocate: true,
        force: false,
    })?;
    ensure!(made.allocated >= made.file_length, "the space is not there");
    Ok(made.reserved)
}

/// Each place of the disk with its place in the file.
fn places(mode: Mode, path: &Path, round: u64) -> Result<Vec<(u64, u64)>> {
    let order = Places::new(round).shuffled(SIZE / PIECE);
    let on_disk = order.into_iter().map(|piece| piece * PIECE);
    if mode != Mode::Dynamic {
        return Ok(on_disk.map(|at| (at, at)).collect());
    }
    let file = DiskFile::open(path, false)?.context("no file")?;
    let mut vhd = Vhd::open(file).map_err(|error| anyhow::anyhow!("{error}"))?;
    on_disk
        .map(|at| {
            let extent = vhd.extent(at).map_err(|error| anyhow::anyhow!("{error}"))?;
            match extent.place {
                Place::Data { at: in_file } if extent.length >= PIECE => Ok((at, in_file)),
                Place::Data { .. } | Place::Zero | Place::Parent => {
                    bail!("place {at} is not there in one piece")
                }
            }
        })
        .collect()
}

/// Writes every place once, [`DEPTH`] at a time, and waits until the file system has all of it.
fn write(path: &Path, places: &[(u64, u64)], pass: u64) -> Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)?;
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..DEPTH)
            .map(|_| scope.spawn(|| worker(&file, places, &next, pass)))
            .collect();
        for thread in threads {
            match thread.join() {
                Ok(done) => done?,
                Err(_) => bail!("a thread died"),
            }
        }
        Ok(())
    })?;
    Ok(file.sync_data()?)
}

fn worker(file: &File, places: &[(u64, u64)], next: &AtomicUsize, pass: u64) -> Result<()> {
    let mut buffer = Aligned::new(PIECE);
    while let Some((at, in_file)) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
        stamp(buffer.get(), *at, pass);
        file.write_all_at(buffer.get(), *in_file)?;
    }
    Ok(())
}

fn stamp(bytes: &mut [u8], at: u64, pass: u64) {
    for (number, page) in bytes.chunks_mut(PAGE).enumerate() {
        let here = at + (number * PAGE) as u64;
        let words = here.to_le_bytes().into_iter().chain(pass.to_le_bytes());
        for (to, from) in page.iter_mut().zip(words) {
            *to = from;
        }
    }
}

/// Reads some places back through the format.
fn check(path: &Path, pass: u64, round: u64) -> Result<()> {
    let mut disk = Disk::open(path, Some(Format::Vhd), &Parents::default(), false)?;
    let mut places = Places::new(round ^ 0xC4EC);
    let (mut found, mut wanted) = (Aligned::new(PIECE), Aligned::new(PIECE));
    for _ in 0..LOOKS {
        let at = places.below(SIZE / PIECE) * PIECE;
        disk.read_at(at, found.get())?;
        stamp(wanted.get(), at, pass);
        ensure!(
            found.get() == wanted.get(),
            "pass {pass}: other bytes at {at}"
        );
    }
    Ok(())
}
