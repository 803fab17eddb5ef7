// SPDX-License-Identifier: Apache-2.0
//! An image published: cut, hashed, compressed and stored, durable at the end; against `zstd -T0` at the same level and
//! `casync make`. Then what the size of a chunk costs.
//!
//! The image is an ext4 file system with files of this machine; its second version has some of them replaced, as an
//! update of packages does it.

use super::ground::{Ground, durable, run, text, timed};
use super::image_content::{Versions, sha256_of, sha256_of_file};
use super::{Figure, Goal, ratios};
use anyhow::{Context as _, Result, ensure};
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageKind, ImageRef};
use image_core::limits::LEVEL;
use image_core::manifest::{canonical, data};
use image_repo::{ImportOptions, ImportRequest, Imported, RawFile, Repository};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Pairs that count; one more goes before them. Each side works for many seconds.
const PAIRS: usize = 3;
/// The chunk sizes of the table, in KiB.
const SIZES: [u64; 7] = [64, 128, 256, 512, 1_024, 2_048, 4_096];
/// The levels of the other table.
const LEVELS: [i32; 5] = [1, 3, 6, 9, 12];
/// What we may take for what `zstd -T0` takes.
const GOAL: f64 = 1.2;
/// The most memory that publishing may hold at the default chunk size, in MiB.
const MEMORY_MAX: f64 = 128.0;

/// Publishing.
///
/// # Errors
/// A tool is missing or failed, or what was published is not what went in.
pub fn image_publish(ground: &Ground) -> Result<Vec<Figure>> {
    let versions = Versions::make(ground)?;
    let sha256 = sha256_of_file(&versions.first)?;
    let mut figures = against_zstd(ground, &versions, &sha256)?;
    figures.push(against_casync(ground, &versions, &sha256)?);
    figures.push(second(ground, &versions)?);
    figures.push(sizes(ground, &versions)?);
    figures.push(levels(ground, &versions)?);
    Ok(figures)
}

fn request(version: &str, chunk_size: Option<Bytes>) -> ImportRequest<'_> {
    ImportRequest {
        name: "bench",
        version,
        kind: ImageKind::WholeDisk,
        format: ImageFormat::Raw,
        sector_size: 512,
        chunk_size,
        boot: None,
    }
}

/// Imports into a repository; how many milliseconds it took.
fn publish(
    store: &Path,
    image: &Path,
    version: &str,
    level: i32,
    chunk_size: Option<Bytes>,
) -> Result<(f64, Imported)> {
    let repository = Repository::open(store)?;
    let mut content = RawFile::open(image)?;
    timed(|| {
        let request = request(version, chunk_size);
        let options = ImportOptions {
            level,
            ..ImportOptions::default()
        };
        Ok(repository.import_with(&options, &request, &mut content, &mut |_, _| ())?)
    })
}

/// What was published, read back through the repository, is what went in.
fn check(store: &Path, image: &ImageRef, sha256: &str) -> Result<()> {
    let repository = Repository::open_existing(store)?;
    let manifest = repository.manifest(&image.manifest)?;
    let found = sha256_of(&mut repository.reader(&manifest)?)?;
    ensure!(found == sha256, "the stored image has the SHA-256 {found}");
    Ok(())
}

fn clear(ground: &Ground, store: &Path) -> Result<()> {
    if store.exists() {
        fs::remove_dir_all(store)?;
    }
    ground.settle(&[])
}

fn against_zstd(ground: &Ground, versions: &Versions, sha256: &str) -> Result<Vec<Figure>> {
    let (store, packed) = (ground.path("publish"), ground.path("packed.zst"));
    let level = format!("-{LEVEL}");
    let arguments = [
        "-q",
        "-f",
        "-T0",
        &level,
        text(&versions.first)?,
        "-o",
        text(&packed)?,
    ];
    let (mut ours, mut loose, mut held) = (Vec::new(), Vec::new(), Vec::new());
    let mut note = String::new();
    let mut memory = 0.0_f64;
    for round in 0..=PAIRS {
        ground.say(&format!(
            "publish at level {LEVEL}, pair {round} of {PAIRS}"
        ));
        let (mut took, mut peer, mut peer_durable) = (0.0, 0.0, 0.0);
        for turn in 0..2 {
            ground.settle(&[&packed])?;
            clear(ground, &store)?;
            if (round + turn) % 2 == 0 {
                forget_peak()?;
                let (time, made) = publish(&store, &versions.first, "1", LEVEL, None)?;
                memory = memory.max(peak()?);
                took = time;
                check(&store, &made.image, sha256)?;
                note = stored_note(&made);
            } else {
                peer = timed(|| run("zstd", &arguments))?.0;
                peer_durable = peer + timed(|| durable(&packed))?.0;
                run("zstd", &["-q", "-t", text(&packed)?])?;
            }
        }
        if round > 0 {
            ours.push(took);
            loose.push(peer);
            held.push(peer_durable);
        }
    }
    ground.settle(&[&packed])?;
    clear(ground, &store)?;
    let what = format!("import, level {LEVEL}, durable");
    let figure = |peer: &str, values: Vec<f64>| {
        let name = format!("publish {}, against {peer}", versions.what());
        let ratios = ratios(&ours, &values);
        Figure::new(&name, "ms", &what, ours.clone())
            .against(peer, values, "ours / peer", ratios)
            .goal(Goal::AtMost(GOAL))
            .note(note.clone())
            .note("each run: what is stored was read back and has the image's SHA-256")
    };
    Ok(vec![
        figure(&format!("zstd -T0 -{LEVEL} and fsync"), held),
        figure(&format!("zstd -T0 -{LEVEL}"), loose),
        Figure::new("publish: peak of memory", "MiB", &what, vec![memory])
            .goal(Goal::AtMost(MEMORY_MAX)),
    ])
}

fn stored_note(made: &Imported) -> String {
    format!(
        "{} chunks of {} KiB, {} MiB stored of {} MiB",
        made.chunks,
        made.chunk_size.0 >> 10,
        made.new_bytes.0 >> 20,
        made.data.0 >> 20
    )
}

fn against_casync(ground: &Ground, versions: &Versions, sha256: &str) -> Result<Figure> {
    let (store, theirs) = (ground.path("publish"), ground.path("casync"));
    let level = 3;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for round in 0..2 {
        ground.say(&format!("publish, casync make, {round} of 1"));
        clear(ground, &store)?;
        clear(ground, &theirs)?;
        let (time, made) = publish(&store, &versions.first, "1", level, None)?;
        check(&store, &made.image, sha256)?;
        clear(ground, &store)?;
        fs::create_dir_all(&theirs)?;
        let castr = format!("--store={}", text(&theirs.join("store.castr"))?);
        let index = theirs.join("image.caibx");
        let arguments = ["make", &castr, text(&index)?, text(&versions.first)?];
        let took = timed(|| run("casync", &arguments))?.0;
        if round > 0 {
            ours.push(time);
            peer.push(took);
        }
    }
    clear(ground, &theirs)?;
    let ratios = ratios(&peer, &ours);
    let name = format!("publish {}, against casync", versions.what());
    Ok(Figure::new(&name, "ms", "import, level 3, durable", ours)
        .against("casync make (level 3)", peer, "peer / ours", ratios)
        .goal(Goal::AtLeast(1.7)))
}

/// The second version costs what changed.
fn second(ground: &Ground, versions: &Versions) -> Result<Figure> {
    ground.say("publish the second version");
    let store = ground.path("publish");
    let sha256 = sha256_of_file(&versions.second)?;
    clear(ground, &store)?;
    let (first, _) = publish(&store, &versions.first, "1", LEVEL, None)?;
    let (time, made) = publish(&store, &versions.second, "2", LEVEL, None)?;
    check(&store, &made.image, &sha256)?;
    clear(ground, &store)?;
    Ok(
        Figure::new("publish the second version", "ms", "import", vec![time])
            .note(format!("the first took {first:.0} ms"))
            .note(stored_note(&made))
            .note(versions.change()),
    )
}

/// One row a chunk size.
fn sizes(ground: &Ground, versions: &Versions) -> Result<Figure> {
    let store = ground.path("publish");
    let mut figure = Figure::new(
        "chunk sizes",
        "ms",
        "import of the first version",
        Vec::new(),
    )
    .note(versions.change())
    .note("KiB | stored MiB | publish ms | manifest KiB | update: MiB fetched | requests");
    for size in SIZES {
        ground.say(&format!("chunks of {size} KiB"));
        clear(ground, &store)?;
        let chunk_size = Some(Bytes(size << 10));
        let (time, one) = publish(&store, &versions.first, "1", LEVEL, chunk_size)?;
        let (_, two) = publish(&store, &versions.second, "2", LEVEL, chunk_size)?;
        let repository = Repository::open_existing(&store)?;
        let first = repository.manifest(&one.image.manifest)?;
        let second = repository.manifest(&two.image.manifest)?;
        let held: HashSet<_> = first.chunks.iter().map(|chunk| chunk.digest).collect();
        let mut wanted: Vec<_> = second.chunks.clone();
        wanted.retain(|chunk| !held.contains(&chunk.digest));
        let fetched: u64 = wanted.iter().map(|chunk| chunk.stored_length.0).sum();
        figure.ours.values.push(time);
        figure = figure.note(format!(
            "{size} | {:.1} | {time:.0} | {} | {:.1} | {}",
            mib(one.new_bytes.0),
            canonical(&first).len() >> 10,
            mib(fetched),
            wanted.len()
        ));
        ensure!(data(&first).0 > 0, "an empty image");
    }
    clear(ground, &store)?;
    Ok(figure)
}

/// One row a level.
fn levels(ground: &Ground, versions: &Versions) -> Result<Figure> {
    let store = ground.path("publish");
    let mut figure = Figure::new("levels", "ms", "import of the first version", Vec::new())
        .note("level | stored MiB | publish ms | read back ms");
    for level in LEVELS {
        ground.say(&format!("level {level}"));
        clear(ground, &store)?;
        let (time, made) = publish(&store, &versions.first, "1", level, None)?;
        let repository = Repository::open_existing(&store)?;
        let manifest = repository.manifest(&made.image.manifest)?;
        let (back, _) = timed(|| {
            std::io::copy(&mut repository.reader(&manifest)?, &mut std::io::sink())
                .context("reading the image back")
        })?;
        figure.ours.values.push(time);
        let stored = mib(made.new_bytes.0);
        figure = figure.note(format!("{level} | {stored:.1} | {time:.0} | {back:.0}"));
    }
    clear(ground, &store)?;
    Ok(figure)
}

/// Linux: writing 5 sets the peak of this process back to what it holds now.
fn forget_peak() -> Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("setting the peak of memory back")
}

/// The most memory that this process held, in MiB.
fn peak() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line
        .and_then(|line| line.trim().strip_suffix("kB"))
        .context("no VmHWM")?
        .trim()
        .parse()?;
    Ok(kib / 1_024.0)
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
