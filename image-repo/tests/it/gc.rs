// SPDX-License-Identifier: Apache-2.0
//! What gc removes and what it never does; over histories that nobody thought of, too.

use crate::disk::{CHUNK, Memory, chunk_files, disk, files, folder, import, read_back, request};
use groundstate_api::Digest;
use image_repo::{FsckVerdict, GcRules, ImportOptions, Repository};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const NOW: GcRules = GcRules {
    dry_run: false,
    grace: Duration::ZERO,
    keep_newest: None,
};

#[test]
fn what_no_image_needs_is_removed_and_nothing_else() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let one = import(&repository, "1", &disk(&[1, 2, 3])).image;
    let two = import(&repository, "2", &disk(&[1, 2, 4])).image;
    assert_eq!(repository.gc(&NOW).unwrap().removed_chunks, 0);
    repository.remove("disk", "1").unwrap();
    assert!(repository.remove("disk", "1").is_err());
    // Who fetches it now can finish.
    let kept = repository.gc(&GcRules::default()).unwrap();
    assert_eq!((kept.removed_manifests, kept.removed_chunks), (0, 0));
    // What stays for the grace time alone is no more in use: the manifest, and the chunk that only it names.
    assert_eq!((kept.live_manifests, kept.live_chunks), (1, 3));
    assert_eq!(kept.young, 2);
    // fsck counts the same files, however young they are.
    let read = repository.fsck(false, &mut |_| {}).unwrap();
    assert_eq!((read.verdict, read.orphans), (FsckVerdict::Clean, 2));
    assert_eq!(read_back(&repository, &one), disk(&[1, 2, 3]));
    let before = files(dir.path());
    let dry = repository
        .gc(&GcRules {
            dry_run: true,
            ..NOW
        })
        .unwrap();
    assert_eq!(files(dir.path()), before);
    let wet = repository.gc(&NOW).unwrap();
    assert_eq!((wet.removed_manifests, wet.removed_chunks), (1, 1));
    assert_eq!((dry.freed, dry.removed_chunks), (wet.freed, 1));
    assert_eq!(read_back(&repository, &two), disk(&[1, 2, 4]));
    repository.verify(&two).unwrap();
}

#[test]
fn a_lease_and_a_rule() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let all: Vec<_> = (1..=4u64)
        .map(|seed| import(&repository, &seed.to_string(), &disk(&[seed, 9])).image)
        .collect();
    repository
        .lease(&all[0].manifest, Duration::from_secs(600))
        .unwrap();
    let rules = GcRules {
        keep_newest: Some(2),
        ..NOW
    };
    let report = repository.gc(&rules).unwrap();
    assert_eq!(report.removed_images, ["disk 2"]);
    let leased: Vec<_> = report.leased.iter().map(|one| &one.image).collect();
    assert_eq!(leased, ["disk 1"], "the rule alone would take its name");
    let left: Vec<_> = repository.list().unwrap();
    assert_eq!(left, [&all[0], &all[2], &all[3]].map(Clone::clone));
    // An image that lost its name stays while it is leased; a lease that has ended keeps nothing.
    repository.remove("disk", "1").unwrap();
    // A lease of what has a name is of no account.
    repository
        .lease(&all[3].manifest, Duration::from_secs(600))
        .unwrap();
    let report = repository.gc(&NOW).unwrap();
    let [one] = &report.leased[..] else {
        panic!("{:?}", report.leased);
    };
    assert_eq!(
        (one.image.as_str(), one.manifest),
        ("disk 1", all[0].manifest)
    );
    let left = one.until.unwrap().0 / 1_000 - seconds_now();
    assert!((590..=600).contains(&left), "{left} s");
    assert_eq!(read_back(&repository, &all[0]), disk(&[1, 9]));
    let lease = dir.path().join("leases").join(all[0].manifest.hex());
    std::fs::write(&lease, "1000").unwrap();
    let report = repository.gc(&NOW).unwrap();
    assert_eq!((report.removed_chunks, report.removed_others), (1, 1));
    assert_eq!(report.leased, []);
    assert!(!lease.exists());
}

fn seconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

#[test]
fn a_live_manifest_that_cannot_be_read_stops_it() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let one = import(&repository, "1", &disk(&[1, 2])).image;
    import(&repository, "2", &disk(&[3]));
    repository.remove("disk", "2").unwrap();
    let path = dir.path().join("manifests").join(one.manifest.hex());
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"{}").unwrap();
    let before = files(dir.path());
    assert!(repository.gc(&NOW).is_err());
    std::fs::remove_file(&path).unwrap();
    assert!(repository.gc(&NOW).is_err());
    std::fs::write(&path, good).unwrap();
    assert_eq!(files(dir.path()), before);
    assert_eq!(repository.gc(&NOW).unwrap().removed_chunks, 1);
}

/// What a person, a program or the mains may do.
#[derive(Clone, Debug)]
enum Op {
    Import(u8, Vec<u64>),
    /// It breaks off in this chunk.
    Broken(Vec<u64>, usize),
    Remove(u8),
    Gc(Option<usize>),
    /// A chunk of nobody loses its end, as after a power cut.
    Tear(u8),
    Heal,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let seeds = || prop::collection::vec(0u64..9, 1..7);
    let op = prop_oneof![
        4 => (0u8..4, seeds()).prop_map(|(version, seeds)| Op::Import(version, seeds)),
        2 => (seeds(), 0usize..6).prop_map(|(seeds, at)| Op::Broken(seeds, at)),
        2 => (0u8..4).prop_map(Op::Remove),
        2 => prop::option::of(1usize..3).prop_map(Op::Gc),
        1 => any::<u8>().prop_map(Op::Tear),
        1 => Just(Op::Heal),
    ];
    prop::collection::vec(op, 1..24)
}

/// What should be there: by version, when it was imported and what it holds.
type Model = BTreeMap<String, (u64, Vec<u64>)>;

fn named_chunks(repository: &Repository) -> BTreeSet<Digest> {
    let images = repository.list().unwrap();
    let manifests = images
        .iter()
        .map(|image| repository.manifest(&image.manifest).unwrap());
    manifests
        .flat_map(|manifest| manifest.chunks)
        .map(|chunk| chunk.digest)
        .collect()
}

fn run(repository: &Repository, dir: &Path, op: &Op, model: &mut Model, clock: u64) {
    match op {
        Op::Import(version, seeds) => {
            let version = version.to_string();
            import(repository, &version, &disk(seeds));
            model.insert(version, (clock, seeds.clone()));
        }
        Op::Broken(seeds, at) => {
            let mut content = Memory::new(&disk(seeds));
            content.fails_at = Some(at * CHUNK);
            let options = ImportOptions {
                replace: true,
                ..ImportOptions::default()
            };
            let request = request("disk", "x");
            let broken = repository.import_with(&options, &request, &mut content, &mut |_, _| {});
            assert_eq!(broken.is_err(), *at <= seeds.len());
            if broken.is_ok() {
                model.insert("x".into(), (clock, seeds.clone()));
            }
        }
        Op::Remove(version) => {
            let version = version.to_string();
            let removed = repository.remove("disk", &version).is_ok();
            assert_eq!(removed, model.remove(&version).is_some());
        }
        Op::Gc(keep_newest) => {
            repository
                .gc(&GcRules {
                    keep_newest: *keep_newest,
                    ..NOW
                })
                .unwrap();
            while keep_newest.is_some_and(|keep| model.len() > keep) {
                let oldest = model.iter().min_by_key(|(_, (at, _))| *at).unwrap();
                let oldest = oldest.0.clone();
                model.remove(&oldest);
            }
            // What is left is what the images need, and nothing more.
            assert_eq!(chunk_files(dir).len(), named_chunks(repository).len());
        }
        Op::Tear(which) => {
            let named = named_chunks(repository);
            let mut orphans = chunk_files(dir);
            orphans.retain(|path| {
                let hex = path.rsplit('/').next().unwrap();
                !named.contains(&hex.parse().unwrap())
            });
            if !orphans.is_empty() {
                let path = dir.join(&orphans[usize::from(*which) % orphans.len()]);
                let length = std::fs::metadata(&path).unwrap().len();
                let file = std::fs::File::options().write(true).open(&path).unwrap();
                file.set_len(length * u64::from(*which) / 256).unwrap();
            }
        }
        Op::Heal => {
            let report = repository.fsck(true, &mut |_| {}).unwrap();
            let hurt = report
                .findings
                .iter()
                .filter(|finding| !finding.images.is_empty());
            // Manifests that lost their names may be hurt; images that have one are not.
            for finding in hurt {
                let names = finding.images.iter();
                let names: Vec<_> = names
                    .filter_map(|image| image.strip_prefix("disk "))
                    .collect();
                assert!(!finding.quarantined || !names.is_empty());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn no_live_chunk_is_ever_removed(ops in ops()) {
        let dir = folder();
        let repository = Repository::open(dir.path()).unwrap();
        let mut model = Model::new();
        for (clock, op) in (0..).zip(&ops) {
            run(&repository, dir.path(), op, &mut model, clock);
            let images = repository.list().unwrap();
            prop_assert_eq!(images.len(), model.len());
            for image in images {
                let (_, seeds) = &model[&image.version];
                prop_assert_eq!(read_back(&repository, &image), disk(seeds));
            }
        }
        repository.gc(&NOW).unwrap();
        let report = repository.fsck(false, &mut |_| {}).unwrap();
        prop_assert_eq!(report.verdict, FsckVerdict::Clean, "{:?}", report);
        prop_assert_eq!(report.orphans, 0);
    }
}
