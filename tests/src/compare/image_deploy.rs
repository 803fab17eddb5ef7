// SPDX-License-Identifier: Apache-2.0
//! An image from a server onto a disk: against the best pipe of curl, zstd and dd, bmaptool, qemu-img and casync; then its
//! second version over the first, against casync with a seed; then the same image again.
//!
//! The disk is a loop device past the page cache over a file with all of its blocks, where that can be had, else the file.
//! Before each run every chunk of the image is spoilt on it, so that nobody finds the image there. After each run every
//! chunk is compared. What differs in favour of a peer stays so: qemu-img and casync read from this machine's files.

use super::figure::{Figure, Goal, ratios};
use super::ground::{Ground, run, text, timed};
use super::image_disk::{Content, Disk, Served};
use anyhow::{Context as _, Result, bail, ensure};
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageKind, Manifest};
use groundstate_api::units::{GIB, MIB};
use image_repo::{ImportRequest, RawFile, Repository};
use maintenance_os::image::{
    Fixed, Moved, Options, Proof, READ_BEHIND, Source, deploy, read_back_rest,
};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The word of the process that deploys, and nothing else.
pub const DEPLOY_IMAGE: &str = "deploy-image";
/// How large the image is, in GiB, where nobody wants a smaller one.
const GIBS: u64 = 8;
/// Runs that count.
const ROUNDS: usize = 3;
/// The most memory of the node, in MiB.
const MEMORY_MAX: f64 = 64.0;

/// What the process that deploys tells.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    milliseconds: f64,
    read_back: f64,
    fetched: u64,
    chunks_fetched: u64,
    written: u64,
    memory: f64,
}

/// The process behind [`DEPLOY_IMAGE`]: `MANIFEST ADDRESS TARGET both|stored yes|no`.
///
/// # Errors
/// What keeps the image from the target.
pub fn deploy_image(words: impl Iterator<Item = String>) -> Result<()> {
    let words: Vec<String> = words.collect();
    let [manifest, base, target, proof, back] = words.as_slice() else {
        bail!("five words are wanted");
    };
    let manifest = image_core::manifest::parse(&fs::read(manifest)?, Bytes::mib(80))?;
    let options = Options {
        proof: if proof == "stored" {
            Proof::Stored
        } else {
            Proof::Both
        },
        read_behind: (back == "yes").then_some(READ_BEHIND),
        ..Options::default()
    };
    let failed = |reason: groundstate_api::Reason| anyhow::anyhow!("{reason}");
    let sources = Fixed::one(Source::plain(base.clone()));
    let target = Path::new(target);
    let mut silent = |_: Moved| ();
    let begin = Instant::now();
    let deployed = deploy(&manifest, target, &sources, &options, &mut silent).map_err(failed)?;
    let milliseconds = begin.elapsed().as_secs_f64() * 1_000.0;
    let begin = Instant::now();
    if back == "yes" {
        let proven = &deployed.proven;
        read_back_rest(&manifest, target, proven, &mut silent).map_err(failed)?;
    }
    let told = Told {
        milliseconds,
        read_back: begin.elapsed().as_secs_f64() * 1_000.0,
        fetched: deployed.counts.fetched.0,
        chunks_fetched: deployed.counts.chunks_fetched,
        written: deployed.counts.written.0,
        memory: memory()?,
    };
    println!("{}", serde_json::to_string(&told)?);
    Ok(())
}

/// The most memory that this process had, in MiB.
fn memory() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line
        .and_then(|line| line.split_whitespace().nth(1))
        .context("no VmHWM")?;
    Ok(kib.parse::<f64>()? / 1_024.0)
}

/// Deploys.
///
/// # Errors
/// A tool is missing or failed, or what was deployed is not there.
pub fn image_deploy(ground: &Ground) -> Result<Vec<Figure>> {
    let mut shop = Shop::fill(ground)?;
    let mut figures = shop.again(ground)?;
    shop.pack(ground)?;
    figures.extend(shop.first(ground)?);
    Ok(figures)
}

/// Everything that is deployed from, and the disk.
struct Shop {
    raw: PathBuf,
    store: PathBuf,
    casync: PathBuf,
    manifests: [PathBuf; 2],
    versions: [Manifest; 2],
    changed: u64,
    server: Served,
    disk: Disk,
}

impl Shop {
    fn fill(ground: &Ground) -> Result<Self> {
        let gibs = std::env::var("GROUNDSTATE_BENCH_GIB").ok();
        let gibs = gibs.map_or(Ok(GIBS), |text| text.parse::<u64>())?;
        let size = gibs * GIB;
        ground.say(&format!("an image of {gibs} GiB"));
        let raw = ground.path("image.raw");
        let mut content = Content::over(&raw, size)?;
        content.write_all()?;
        let (store, casync) = (ground.path("images"), ground.path("casync"));
        fs::create_dir_all(&casync)?;
        let repository = Repository::open(&store)?;
        let mut versions = Vec::new();
        let mut changed = 0;
        for version in ["1", "2"] {
            ground.say(&format!("version {version} is imported, casync make"));
            if version == "2" {
                changed = content.change(true)?;
            }
            versions.push(import(&repository, &raw, version)?);
            let castr = format!("--store={}", text(&casync.join("store.castr"))?);
            let index = casync.join(format!("{version}.caibx"));
            run("casync", &["make", &castr, text(&index)?, text(&raw)?])?;
        }
        content.change(false)?;
        let [first, second] =
            <[Manifest; 2]>::try_from(versions).map_err(|_| anyhow::anyhow!("two versions"))?;
        let manifests = ["1.json", "2.json"].map(|name| ground.path(name));
        for (path, manifest) in manifests.iter().zip([&first, &second]) {
            fs::write(path, image_core::manifest::canonical(manifest))?;
        }
        drop(repository);
        Ok(Self {
            raw,
            casync,
            manifests,
            versions: [first, second],
            changed,
            server: Served::ours(&store)?,
            store,
            disk: Disk::make(ground, size)?,
        })
    }

    fn ours(&self, version: usize, proof: &str, back: bool) -> Result<Told> {
        let program = std::env::current_exe()?;
        let manifest = self.manifests.get(version).context("no such version")?;
        let base = self.server.base();
        let back = if back { "yes" } else { "no" };
        let words = [
            DEPLOY_IMAGE,
            text(manifest)?,
            &base,
            text(&self.disk.path)?,
            proof,
            back,
        ];
        let said = run(text(&program)?, &words)?;
        Ok(serde_json::from_str(said.trim())?)
    }

    fn casync(&self, version: usize, seed: Option<&Path>) -> Result<f64> {
        let castr = format!("--store={}", text(&self.casync.join("store.castr"))?);
        let index = self.casync.join(format!("{}.caibx", version + 1));
        let seed = seed
            .map(text)
            .transpose()?
            .map(|seed| format!("--seed={seed}"));
        let mut words = vec!["extract", castr.as_str()];
        words.extend(seed.as_deref());
        words.extend([text(&index)?, text(&self.disk.path)?]);
        Ok(timed(|| run("casync", &words))?.0)
    }

    /// The second version over the first, and the same image again.
    fn again(&self, ground: &Ground) -> Result<Vec<Figure>> {
        let [first, second] = &self.versions;
        let (mut ours, mut peer, mut same) = (Vec::new(), Vec::new(), Vec::new());
        let (mut fetched, mut written, mut read) = (0, 0, Vec::new());
        for round in 0..ROUNDS {
            ground.say(&format!(
                "the second version over the first, {round} of {ROUNDS}"
            ));
            self.ours(0, "stored", false)?;
            self.disk.check(first, true)?;
            let told = self.ours(1, "both", false)?;
            self.disk.check(second, true)?;
            ours.push(told.milliseconds);
            (fetched, written) = (told.fetched, told.written);
            let told = self.ours(1, "both", false)?;
            ensure!(told.chunks_fetched == 0 && told.written == 0, "{told:?}");
            same.push(told.milliseconds);
            read.push(self.reading()?);
            // casync is slow enough for one run.
            if round == 0 {
                self.disk.spoil(second)?;
                peer.push(self.casync(1, Some(&self.raw))?);
                self.disk.check(second, false)?;
            }
        }
        let theirs = peer.first().copied().unwrap_or_default();
        let peer = vec![theirs; ours.len()];
        let of = ratios(&peer, &ours);
        let what = "every kept chunk proved";
        let floor = ratios(&same, &read);
        let redeploy = Figure::new("deploy the second version over the first", "ms", what, ours)
            .against("casync extract --seed, one run", peer, "peer / ours", of)
            .goal(Goal::AtLeast(15.0))
            .note(format!(
                "{} KiB of 4 KiB blocks differ, {} KiB were fetched",
                self.changed >> 10,
                fetched >> 10
            ));
        let ratio = ratio(written, self.changed);
        let writes = Figure::new(
            "bytes written for the second version / bytes changed",
            "",
            "ours",
            vec![ratio],
        );
        let again = Figure::new("deploy the same image again", "ms", what, same)
            .against(
                "dd that reads the disk past the page cache",
                read,
                "ours / dd",
                floor,
            )
            .note("each run: no chunk was fetched and no byte written");
        let fetches = self.fetches(fetched)?;
        Ok(vec![
            redeploy,
            writes.goal(Goal::AtMost(1.2)),
            fetches,
            again,
        ])
    }

    /// Bytes that had to come for the second version, beside casync's.
    fn fetches(&self, fetched: u64) -> Result<Figure> {
        let bytes = self.casync_bytes()?;
        let figure = Figure::new(
            "bytes fetched for the second version",
            "MiB",
            "ours",
            vec![mib(fetched)],
        )
        .against(
            "casync: its new chunks",
            vec![mib(bytes)],
            "ours / peer",
            vec![ratio_of(fetched, bytes)],
        );
        Ok(figure.goal(Goal::AtMost(1.0)))
    }

    /// The stored bytes of the chunks that only casync's second index names.
    fn casync_bytes(&self) -> Result<u64> {
        let list = |version: &str| -> Result<Vec<String>> {
            let index = self.casync.join(format!("{version}.caibx"));
            let said = run("casync", &["list-chunks", text(&index)?]);
            // An older casync has no such word; its index is a header and rows of offset and digest.
            let rows = match said {
                Ok(said) => said.lines().map(str::to_owned).collect(),
                Err(_) => rows(&fs::read(&index)?),
            };
            Ok(rows)
        };
        let first: std::collections::BTreeSet<String> = list("1")?.into_iter().collect();
        let second: std::collections::BTreeSet<String> = list("2")?.into_iter().collect();
        let store = self.casync.join("store.castr");
        let length = |id: &String| -> Result<u64> {
            let folder = store.join(id.get(..4).unwrap_or_default());
            Ok(fs::metadata(folder.join(format!("{id}.cacnk")))?.len())
        };
        second.difference(&first).map(length).sum()
    }

    /// What the other tools deploy from. Then the raw image goes: there is no room for everything.
    fn pack(&mut self, ground: &Ground) -> Result<()> {
        ground.say("the image for zstd, bmaptool and qemu-img");
        let raw = text(&self.raw)?.to_owned();
        let (zst, bmap, qcow2) = (
            ground.path("image.zst"),
            ground.path("image.bmap"),
            ground.path("image.qcow2"),
        );
        run("zstd", &["-q", "-3", "-T0", "-f", &raw, "-o", text(&zst)?])?;
        run("bmaptool", &["create", "-o", text(&bmap)?, &raw])?;
        run(
            "qemu-img",
            &[
                "convert",
                "-c",
                "-W",
                "-m",
                "16",
                "-O",
                "qcow2",
                &raw,
                text(&qcow2)?,
            ],
        )?;
        fs::remove_file(&self.raw)?;
        Ok(())
    }

    /// The image onto a disk that has something else.
    fn first(&self, ground: &Ground) -> Result<Vec<Figure>> {
        let manifest = &self.versions[0];
        let nginx = Served::nginx(ground)?;
        let peers = Peer::all(ground, &nginx, &self.disk.path)?;
        let mut ours: [Vec<f64>; 3] = Default::default();
        let (mut memory, mut theirs) = (0.0_f64, vec![Vec::new(); peers.len()]);
        let mut read = Vec::new();
        for round in 0..=ROUNDS {
            let ways = [("stored", false), ("stored", true), ("both", false)];
            for ((proof, back), values) in ways.into_iter().zip(&mut ours) {
                let with = if back { " and read back" } else { "" };
                ground.say(&format!("deploy, ours, {proof}{with}, {round} of {ROUNDS}"));
                self.disk.spoil(manifest)?;
                let told = self.ours(0, proof, back)?;
                self.disk.check(manifest, true)?;
                memory = memory.max(told.memory);
                if round > 0 {
                    values.push(told.milliseconds + told.read_back);
                }
                if round > 0 && back {
                    read.push(self.reading()?);
                }
            }
            for (peer, values) in peers.iter().zip(&mut theirs) {
                // One run of the slowest is enough.
                if round != 1 && peer.is_slow {
                    continue;
                }
                ground.say(&format!("deploy, {}, {round} of {ROUNDS}", peer.name));
                self.disk.spoil(manifest)?;
                let took = timed(|| run("sh", &["-ec", &peer.script]))?.0;
                self.disk.check(manifest, peer.zeros)?;
                if round > 0 {
                    values.push(took);
                }
            }
        }
        let floors = self.floors(ground)?;
        let mut figures = Vec::new();
        for (peer, mut values) in peers.iter().zip(theirs) {
            let only = values.first().copied().unwrap_or_default();
            values.resize(ours[0].len(), only);
            let of = ratios(&values, &ours[0]);
            let name = format!("deploy without read-back, against {}", peer.name);
            figures.push(
                Figure::new(&name, "ms", "ours, stored digests proved", ours[0].clone())
                    .against(&peer.name, values, "peer / ours", of)
                    .goal(Goal::AtLeast(peer.goal))
                    .note(floors.clone())
                    .note("each run: every chunk on the disk compared"),
            );
        }
        let both = Figure::new("deploy, both digests proved", "ms", "ours", ours[2].clone());
        let whole = ratios(&ours[1], &ours[0]);
        let back = Figure::new("deploy with read-back / without", "", "ours", whole)
            .note("two runs one after the other; every byte was read back past the page cache");
        let beside = beside(&ours[1], &ours[0], &read);
        let held = Figure::new("deploy: memory of the node", "MiB", "ours", vec![memory]);
        figures.push(both);
        figures.push(back.goal(Goal::AtMost(1.6)));
        figures.push(beside);
        figures.push(held.goal(Goal::AtMost(MEMORY_MAX)));
        Ok(figures)
    }

    /// What reading the whole disk takes, and nothing else.
    fn reading(&self) -> Result<f64> {
        let from = format!("if={}", text(&self.disk.path)?);
        Ok(timed(|| run("dd", &[&from, "of=/dev/null", "bs=1M", "iflag=direct"]))?.0)
    }

    fn floors(&self, ground: &Ground) -> Result<String> {
        let zst = ground.path("image.zst");
        let target = text(&self.disk.path)?;
        let count = (self.disk.size / (4 * MIB)).to_string();
        let dd = format!(
            "dd if=/dev/zero of={target} bs=4M count={count} oflag=direct conv=fsync,notrunc 2>&1"
        );
        let write = timed(|| run("sh", &["-ec", &dd]))?.0;
        let zst = text(&zst)?;
        let twice = format!("zstd -dc {zst} >/dev/null & zstd -dc {zst} >/dev/null; wait");
        let unpack = timed(|| run("sh", &["-ec", &twice]))?.0 / 2.0;
        Ok(format!(
            "floors: dd of zeros alone {write:.0} ms, zstd -d on two cores {unpack:.0} ms"
        ))
    }
}

/// A deploy with its read-back, against one without it and reading the disk once after it.
fn beside(with: &[f64], without: &[f64], reading: &[f64]) -> Figure {
    let parts = reading.iter().zip(without);
    let after: Vec<f64> = parts.map(|(reading, without)| reading + without).collect();
    let of = ratios(with, &after);
    Figure::new("deploy with read-back", "ms", "ours", with.to_vec()).against(
        "without, and dd that reads the disk past the page cache after it",
        after,
        "ours / both one after the other",
        of,
    )
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Nothing else is left of it when the ground goes.
        let _ = fs::remove_dir_all(&self.store);
    }
}

fn import(repository: &Repository, raw: &Path, version: &str) -> Result<Manifest> {
    let request = ImportRequest {
        name: "bench",
        version,
        kind: ImageKind::WholeDisk,
        format: ImageFormat::Raw,
        sector_size: 512,
        chunk_size: None,
        boot: None,
    };
    let mut content = RawFile::open(raw)?;
    repository.import(&request, &mut content, &mut |_, _| {})?;
    let newest = repository.newest("bench")?.context("no image")?;
    Ok(repository.manifest(&newest.manifest)?)
}

/// The digests in a casync index: a header of 48 bytes, a table header of 16, rows of 8 and 32 bytes, a tail.
fn rows(index: &[u8]) -> Vec<String> {
    let table = index.get(64..).unwrap_or_default();
    let (rows, _) = table.as_chunks::<40>();
    let real = rows.iter().take_while(|row| row[..8] != [0; 8]);
    let hex = |row: &[u8; 40]| row[8..].iter().map(|byte| format!("{byte:02x}")).collect();
    real.map(hex).collect()
}

fn mib(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1_024.0
}

fn ratio(over: u64, under: u64) -> f64 {
    mib(over) / mib(under).max(f64::MIN_POSITIVE)
}

fn ratio_of(over: u64, under: u64) -> f64 {
    ratio(over, under)
}

/// Another tool.
struct Peer {
    name: String,
    script: String,
    goal: f64,
    is_slow: bool,
    /// Whether it writes zeros where the image has none.
    zeros: bool,
}

impl Peer {
    fn all(ground: &Ground, nginx: &Served, target: &Path) -> Result<Vec<Self>> {
        let (target, base) = (text(target)?, nginx.base());
        let path = |name: &str| -> Result<String> { Ok(text(&ground.path(name))?.to_owned()) };
        let (bmap, qcow2) = (path("image.bmap")?, path("image.qcow2")?);
        let (castr, index) = (path("casync/store.castr")?, path("casync/1.caibx")?);
        let peer = |name: &str, script: String, goal, is_slow, zeros| Self {
            name: name.to_owned(),
            script,
            goal,
            is_slow,
            zeros,
        };
        Ok(vec![
            peer(
                "curl | zstd -dc | dd oflag=direct",
                format!(
                    "curl -sf {base}/image.zst | zstd -dc | dd of={target} bs=4M iflag=fullblock oflag=direct conv=fsync,notrunc 2>&1"
                ),
                1.5,
                false,
                true,
            ),
            peer(
                "bmaptool copy",
                format!("bmaptool copy --bmap {bmap} {base}/image.zst {target} 2>&1"),
                2.0,
                false,
                false,
            ),
            peer(
                "qemu-img convert -t none -m 16 -W",
                format!("qemu-img convert -n -t none -m 16 -W -f qcow2 -O raw {qcow2} {target}"),
                2.0,
                false,
                true,
            ),
            peer(
                "casync extract, one run",
                format!("casync extract --store={castr} {index} {target}"),
                10.0,
                true,
                true,
            ),
        ])
    }
}
