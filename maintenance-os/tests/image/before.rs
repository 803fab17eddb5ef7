// SPDX-License-Identifier: Apache-2.0
//! A second version over the first, as a run of a node has it: both ends wiped, a host has written, and the plan names the
//! image before. What that one had is not fetched; where nothing can be learnt of it, the image still comes whole.

use crate::rig::{MIB, Server, flip_a_bit, random, source};
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageKind, ImageRef, Manifest};
use image_repo::{ImportRequest, RawFile, Repository};
use maintenance_os::image::{
    Before, Deployed, Fixed, Moved, Options, Source, deploy, fetch_manifest, read_back,
};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

const IMAGE: u64 = 48 * MIB;
/// The partition is larger, and its end is wiped too.
const TARGET: u64 = 56 * MIB;
const CHUNK: u64 = 256 << 10;
/// What a wipe clears of a partition.
const WIPED: u64 = 5 * MIB;
/// What the second version has anew, what it has from another place, and what the host wrote to.
const NEW: u64 = 20 * MIB;
const MOVED: (u64, u64) = (12 * MIB, 30 * MIB);
const SCRIBBLED: u64 = 25 * MIB + 7;

fn at(byte: u64) -> usize {
    usize::try_from(byte).unwrap()
}

struct Ground {
    dir: TempDir,
    server: Server,
    first: ImageRef,
    second: ImageRef,
    manifest: Manifest,
    bytes: Vec<u8>,
    /// The disk as the wipe leaves it.
    disk: Vec<u8>,
}

fn import(repository: &Repository, dir: &Path, version: &str, bytes: &[u8]) -> ImageRef {
    let file = dir.join("image.raw");
    fs::write(&file, bytes).unwrap();
    let request = ImportRequest {
        name: "twice",
        version,
        kind: ImageKind::WholeDisk,
        format: ImageFormat::Raw,
        sector_size: 512,
        chunk_size: Some(Bytes(CHUNK)),
        boot: None,
    };
    let mut content = RawFile::open(&file).unwrap();
    let image = repository.import(&request, &mut content, &mut |_, _| {});
    image.unwrap()
}

impl Ground {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let old = random(31, IMAGE);
        let mut bytes = old.clone();
        bytes[at(NEW)..at(NEW + MIB)].copy_from_slice(&random(32, MIB));
        let (from, to) = MOVED;
        bytes[at(to)..at(to + MIB)].copy_from_slice(&old[at(from)..at(from + MIB)]);
        let repository = Repository::open(&dir.path().join("repository")).unwrap();
        let first = import(&repository, dir.path(), "1", &old);
        let second = import(&repository, dir.path(), "2", &bytes);
        let manifest = repository.manifest(&second.manifest).unwrap();
        let mut disk = old;
        disk.extend(random(33, TARGET - IMAGE));
        disk[..at(WIPED)].fill(0);
        disk[at(TARGET - 2 * MIB)..].fill(0);
        disk[at(SCRIBBLED)] ^= 1;
        Self {
            server: Server::start(image_repo::router(Arc::new(repository))),
            dir,
            first,
            second,
            manifest,
            bytes,
            disk,
        }
    }

    fn before(&self, source: &Source) -> Before {
        let over = (&self.second, &self.manifest);
        Before::find(source, &self.first, over, &mut |_| {})
    }

    /// Writes the second version over what a wipe has left of `disk`.
    fn write(&self, disk: &[u8], before: Before) -> Deployed {
        let target = self.dir.path().join("target");
        fs::write(&target, disk).unwrap();
        let options = Options {
            former: before.former,
            tail_stays: true,
            ..Options::default()
        };
        let sources = Fixed::one(self.server.source());
        let deployed = deploy(&self.manifest, &target, &sources, &options, &mut |_| {});
        let deployed = deployed.unwrap();
        let written = fs::read(&target).unwrap();
        assert!(written[..at(IMAGE)] == self.bytes);
        assert!(written[at(IMAGE)..] == disk[at(IMAGE)..]);
        read_back(&self.manifest, &target, &mut |_| {}).unwrap();
        deployed
    }

    /// The stored lengths of the chunks that begin in these places.
    fn stored(&self, places: &[(u64, u64)]) -> (u64, Bytes) {
        let within = |at: u64| places.iter().any(|(from, to)| (*from..*to).contains(&at));
        let rows = self.manifest.chunks.iter();
        let rows = rows.filter(|row| within(row.offset.0));
        let lengths: Vec<u64> = rows.map(|row| row.stored_length.0).collect();
        (lengths.len() as u64, Bytes(lengths.iter().sum()))
    }

    fn manifest_file(&self, image: &ImageRef) -> PathBuf {
        let manifests = self.dir.path().join("repository/manifests");
        manifests.join(image.manifest.hex())
    }
}

fn scribbled() -> (u64, u64) {
    let from = SCRIBBLED / CHUNK * CHUNK;
    (from, from + CHUNK)
}

#[test]
fn only_what_changed_is_fetched_and_what_moved_is_found() {
    let ground = Ground::new();
    let before = ground.before(&ground.server.source());
    let fact = before.fact.clone().unwrap();
    assert!(fact.contains("twice 1 lay there before"), "{fact}");
    let counts = ground.write(&ground.disk, before).counts;
    let (chunks, bytes) = ground.stored(&[(0, WIPED), (NEW, NEW + MIB), scribbled()]);
    assert_eq!(chunks, 20 + 4 + 1);
    assert_eq!(
        (counts.chunks_fetched, counts.needed, counts.in_vain()),
        (chunks, bytes, Bytes(0))
    );
    assert!(counts.written.0 <= WIPED + 2 * MIB + CHUNK, "{counts:?}");

    // Without the word of the plan, what moved is fetched too.
    let counts = ground.write(&ground.disk, Before::default()).counts;
    let (moved, _) = ground.stored(&[(MOVED.1, MOVED.1 + MIB)]);
    assert_eq!(counts.chunks_fetched, chunks + moved);
}

#[test]
fn the_same_image_again_needs_no_manifest_of_another() {
    let ground = Ground::new();
    let over = (&ground.second, &ground.manifest);
    let source = ground.server.source();
    let before = Before::find(&source, &ground.second, over, &mut |moved| {
        panic!("nobody is asked: {moved:?}")
    });
    assert_eq!(ground.server.asked_for("/v1/"), 0);
    let mut disk = ground.disk.clone();
    disk[at(WIPED)..at(IMAGE)].copy_from_slice(&ground.bytes[at(WIPED)..]);
    let counts = ground.write(&disk, before).counts;
    assert_eq!(counts.chunks_fetched, WIPED / CHUNK);
}

#[test]
fn an_image_that_is_gone_damaged_or_not_to_be_had_is_told_and_done_without() {
    let ground = Ground::new();
    let source_of = ground.server.source();
    let file = ground.manifest_file(&ground.first);
    let kept = fs::read(&file).unwrap();
    let told = |before: &Before, words: &str| {
        assert!(before.former.is_none());
        let fact = before.fact.clone().unwrap();
        assert!(
            fact.starts_with("twice 1 lay there before, and could not be asked about: ")
                && fact.contains(words),
            "{fact}"
        );
    };
    flip_a_bit(&file);
    told(
        &ground.before(&source_of),
        "is not the one that the plan names",
    );
    fs::remove_file(&file).unwrap();
    let before = ground.before(&source_of);
    told(&before, "is not in the repository");
    let (changed, _) = ground.stored(&[(0, WIPED), (NEW, NEW + MIB), scribbled()]);
    let (moved, _) = ground.stored(&[(MOVED.1, MOVED.1 + MIB)]);
    let counts = ground.write(&ground.disk, before).counts;
    assert_eq!(counts.chunks_fetched, changed + moved);

    // Nobody waits for a server for the sake of what can be done without.
    fs::write(&file, kept).unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = source(closed.local_addr().unwrap());
    drop(closed);
    let mut waits = 0;
    let over = (&ground.second, &ground.manifest);
    let before = Before::find(&nobody, &ground.first, over, &mut |moved| match moved {
        Moved::Waiting(_) => waits += 1,
        other => panic!("{other:?}"),
    });
    told(&before, "does not give the manifest of twice 1");
    assert_eq!(waits, 3);
}

#[test]
fn a_disk_that_has_something_else_still_gets_every_byte() {
    let ground = Ground::new();
    let before = ground.before(&ground.server.source());
    let all = ground.manifest.chunks.len() as u64;
    let counts = ground.write(&random(34, TARGET), before).counts;
    // What moved stands twice in the new image: its second place may be filled from the first.
    let (moved, _) = ground.stored(&[(MOVED.1, MOVED.1 + MIB)]);
    let fetched = counts.chunks_fetched;
    assert!(fetched <= all && fetched >= all - moved, "{counts:?}");
    // Nor does a plan that names another size get in the way.
    let mut first = ground.first.clone();
    first.size = Bytes(IMAGE - 512);
    let over = (&ground.second, &ground.manifest);
    let source = ground.server.source();
    let before = Before::find(&source, &first, over, &mut |_| {});
    assert!(before.former.is_none());
    fetch_manifest(&source, &ground.first, &mut |_| {}).unwrap();
}
