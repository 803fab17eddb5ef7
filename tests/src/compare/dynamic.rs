// SPDX-License-Identifier: Apache-2.0
//! Reads and writes of 64 KiB in a dynamic VHD, through our reader and writer and through QEMU's, in the page cache.
//!
//! Two peers: `qemu-io`, given the same random places, from whose time its start is taken off; and `qemu-img bench`, which
//! reads no commands and so wastes no time, but knows strides only. The stride is odd, in requests, and the disk is a power
//! of two of them, so that each place comes once and none is next to the one before. Of its depths the faster one counts.

use super::ground::{Ground, PAIRS, PIECE, Places, run, text, timed};
use super::{Figure, Goal, ratios};
use anyhow::{Context as _, Result, ensure};
use groundstate_api::Bytes;
use groundstate_api::units::GIB;
use maintenance_os::virtual_disk::{Contents, Create, DiskFile, Format, create};
use mos_core::random_access::{ReadAt, WriteAt};
use mos_core::vhd::Vhd;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// The disk.
const SIZE: u64 = GIB;
/// Requests in it.
const REQUESTS: u64 = SIZE / PIECE;
/// Between two requests of `qemu-img bench`.
const STRIDE: u64 = 12_345 * PIECE;
/// What is written, by both.
const PATTERN: u8 = 0x5a;
/// Depths of `qemu-img bench`.
const DEPTHS: [&str; 2] = ["1", "64"];

/// The figures of one kind of access: ours and the peer's milliseconds.
#[derive(Debug, Default)]
struct Times {
    ours: Vec<f64>,
    peer: Vec<f64>,
}

impl Times {
    fn push(&mut self, round: usize, ours: f64, peer: f64) {
        if round > 0 {
            self.ours.push(ours);
            self.peer.push(peer);
        }
    }

    fn figure(self, name: &str, peer: &str) -> Figure {
        let ratios = ratios(&self.peer, &self.ours);
        Figure::new(name, "ms", "our reader and writer", self.ours)
            .against(peer, self.peer, "peer / ours", ratios)
            .note("each round: the whole disk compared by qemu-img, every byte read checked")
            .note(
                "writing, QEMU renews a bitmap and waits for the device whenever it comes to another block; ours gathers \
                 bitmaps until a flush",
            )
    }
}

/// Random and strided reads, overwrites and first writes.
///
/// # Errors
/// A tool is missing or failed, or the disks differ afterwards.
pub fn dynamic(ground: &Ground) -> Result<Vec<Figure>> {
    let (ours, theirs) = (ground.path("ours.vhd"), ground.path("theirs.vhd"));
    let mut all: [Times; 6] = Default::default();
    let [
        first,
        over,
        reads,
        strided_first,
        strided_over,
        strided_reads,
    ] = &mut all;
    for round in 0..=PAIRS {
        ground.say(&format!(
            "dynamic VHD, 64 KiB random, pair {round} of {PAIRS}"
        ));
        let places = Places::new(round as u64).shuffled(REQUESTS);
        let places: Vec<u64> = places.into_iter().map(|at| at * PIECE).collect();
        fresh(ground, &[&ours, &theirs])?;
        for times in [&mut *first, &mut *over] {
            let one = timed(|| write(&ours, &places, true))?.0;
            let verb = format!("write -P {PATTERN:#x}");
            times.push(round, one, qemu_io(&theirs, &verb, &places)?);
            ground.settle(&[])?;
        }
        same(&ours, &theirs)?;
        // Both read the same file, from memory.
        let one = timed(|| read(&ours, &places))?.0;
        reads.push(round, one, qemu_io(&ours, "read", &places)?);

        ground.say(&format!(
            "dynamic VHD, 64 KiB strided, pair {round} of {PAIRS}"
        ));
        let places: Vec<u64> = (0..REQUESTS).map(|number| number * STRIDE % SIZE).collect();
        let one = timed(|| read(&ours, &places))?.0;
        strided_reads.push(round, one, bench(&ours, &[])?);
        let pattern = format!("--pattern={PATTERN}");
        let writing = ["-w", pattern.as_str()];
        fresh(ground, &[&ours, &theirs])?;
        let one = timed(|| write(&ours, &places, false))?.0;
        strided_first.push(round, one, bench_at(&theirs, &writing, "1")?);
        same(&ours, &theirs)?;
        ground.settle(&[])?;
        let one = timed(|| write(&ours, &places, false))?.0;
        strided_over.push(round, one, bench(&theirs, &writing)?);
        same(&ours, &theirs)?;
    }
    ground.settle(&[&ours, &theirs])?;
    Ok(figures(all))
}

fn figures(all: [Times; 6]) -> Vec<Figure> {
    let io = "qemu-io -f vpc -t writeback";
    let stride = "qemu-img bench -f vpc -t writeback, its faster depth of 1 and 64";
    let alone = "qemu-img bench -f vpc -t writeback -d 1";
    let named = [
        ("random first writes", io),
        ("random overwrites", io),
        ("random reads", io),
        ("strided first writes", alone),
        ("strided overwrites", stride),
        ("strided reads", stride),
    ];
    let pairs = all.into_iter().zip(named);
    pairs
        .map(|(times, (what, peer))| {
            let figure = times.figure(&format!("dynamic VHD, {what}"), peer);
            figure.goal(Goal::AtLeast(1.0))
        })
        .collect()
}

/// Empty dynamic disks of the same layout.
fn fresh(ground: &Ground, paths: &[&Path]) -> Result<()> {
    ground.settle(paths)?;
    for path in paths {
        create(&Create {
            path: path.to_path_buf(),
            format: Format::Vhd,
            size: Some(Bytes(SIZE)),
            contents: Contents::Dynamic,
            preallocate: false,
            force: false,
        })?;
    }
    ground.settle(&[])
}

/// A file whose `flush` does not wait for the device: `qemu-img bench` stops its clock before it does. Everything is in the
/// file all the same, so that another reader finds it.
#[derive(Debug)]
struct NotWaiting(DiskFile);

impl ReadAt for NotWaiting {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_at(at, into)
    }
}

impl WriteAt for NotWaiting {
    fn write_at(&mut self, at: u64, from: &[u8]) -> io::Result<()> {
        self.0.write_at(at, from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> Result<DiskFile> {
    let file = std::fs::File::options().read(true).write(true).open(path)?;
    Ok(DiskFile::new(file)?)
}

/// As `qemu-io` at its end, ours waits for the device where `waits` says so.
fn write(path: &Path, places: &[u64], waits: bool) -> Result<()> {
    let file = open(path)?;
    if waits {
        write_all(file, places)
    } else {
        write_all(NotWaiting(file), places)
    }
}

fn write_all<S: WriteAt<Error = io::Error>>(file: S, places: &[u64]) -> Result<()> {
    let said = |error| anyhow::anyhow!("{error}");
    let mut vhd = Vhd::open(file).map_err(said)?;
    let bytes = vec![PATTERN; usize::try_from(PIECE)?];
    for at in places {
        vhd.write_at(*at, &bytes).map_err(said)?;
    }
    vhd.flush().map_err(said)
}

/// Every byte that was read is looked at; the peers do not do so.
fn read(path: &Path, places: &[u64]) -> Result<()> {
    let mut vhd = Vhd::open(open(path)?).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut bytes = vec![0; usize::try_from(PIECE)?];
    let wanted = vec![PATTERN; bytes.len()];
    for at in places {
        vhd.read_at(*at, &mut bytes)
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        ensure!(bytes == wanted, "other bytes at {at}");
    }
    Ok(())
}

/// Another reader sees the same disk in both files.
fn same(ours: &Path, theirs: &Path) -> Result<()> {
    run(
        "qemu-img",
        &[
            "compare",
            "-q",
            "-f",
            "vpc",
            "-F",
            "vpc",
            text(ours)?,
            text(theirs)?,
        ],
    )
    .map(drop)
}

/// Milliseconds of these requests, without those of starting and ending without any.
fn qemu_io(path: &Path, verb: &str, places: &[u64]) -> Result<f64> {
    let once = |commands: &str| {
        let run = || {
            let mut child = Command::new("qemu-io")
                .args(["-f", "vpc", "-t", "writeback", text(path)?])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .context("cannot run qemu-io")?;
            let mut pipe = child.stdin.take().context("qemu-io has no input")?;
            pipe.write_all(commands.as_bytes())?;
            drop(pipe);
            ensure!(child.wait()?.success(), "qemu-io failed");
            Ok(())
        };
        timed(run).map(|(took, ())| took)
    };
    let commands: String = places
        .iter()
        .map(|at| format!("{verb} -q {at} {PIECE}\n"))
        .collect();
    Ok(once(&commands)? - once("")?)
}

/// Milliseconds by its own clock, of the faster depth.
fn bench(path: &Path, more: &[&str]) -> Result<f64> {
    let mut best = f64::INFINITY;
    for depth in DEPTHS {
        best = best.min(bench_at(path, more, depth)?);
    }
    Ok(best)
}

fn bench_at(path: &Path, more: &[&str], depth: &str) -> Result<f64> {
    let (count, piece, stride) = (REQUESTS.to_string(), PIECE.to_string(), STRIDE.to_string());
    let mut arguments = vec!["bench", "-f", "vpc", "-t", "writeback", "-d", depth];
    arguments.extend(["-c", &count, "-s", &piece, "-S", &stride]);
    arguments.extend(more);
    arguments.push(text(path)?);
    let said = run("qemu-img", &arguments)?;
    let seconds = said
        .lines()
        .find_map(|line| line.strip_prefix("Run completed in "))
        .and_then(|rest| rest.split_whitespace().next());
    let seconds: f64 = seconds
        .with_context(|| format!("qemu-img bench said {said}"))?
        .parse()?;
    Ok(seconds * 1_000.0)
}
