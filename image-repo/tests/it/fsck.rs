// SPDX-License-Identifier: Apache-2.0
//! What fsck finds, what it takes out of the way, and that the next import makes hurt images whole.

use crate::disk::{chunk_files, disk, folder, import, import_at, read_back};
use crate::{Bench, noise};
use image_repo::{Fault, FsckReport, FsckVerdict, Repository};
use std::fs;
use std::path::Path;

fn check(repository: &Repository) -> FsckReport {
    repository.fsck(false, &mut |_| {}).unwrap()
}

fn faults(report: &FsckReport) -> Vec<(Fault, usize)> {
    let mut faults: Vec<_> = report
        .findings
        .iter()
        .map(|finding| (finding.fault, finding.images.len()))
        .collect();
    faults.sort();
    faults
}

#[test]
fn each_fault_is_named_with_the_images_that_it_hurts() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    import(&repository, "1", &disk(&[1, 2, 3, 4]));
    import(&repository, "2", &disk(&[1, 5]));
    assert_eq!(check(&repository).verdict, FsckVerdict::Clean);
    let chunks = chunk_files(dir.path());
    let at = |index: usize| dir.path().join(&chunks[index]);
    let manifests = ["1", "2"].map(|version| {
        let image = repository.find("disk", Some(version)).unwrap();
        repository.manifest(&image.manifest).unwrap()
    });
    let shared = manifests[0].chunks[0].digest.hex();
    let path = |hex: &str| dir.path().join("chunks").join(&hex[..2]).join(hex);
    // One that both have is damaged, one is torn, one is gone, and one lies under no digest.
    flip(&path(&shared));
    let torn = path(&manifests[0].chunks[1].digest.hex());
    let length = fs::metadata(&torn).unwrap().len();
    fs::File::options()
        .write(true)
        .open(&torn)
        .unwrap()
        .set_len(length / 2)
        .unwrap();
    fs::remove_file(path(&manifests[0].chunks[2].digest.hex())).unwrap();
    fs::write(at(0).with_file_name("note.txt"), "mine").unwrap();
    let report = check(&repository);
    assert_eq!(report.verdict, FsckVerdict::Hurt);
    assert_eq!(
        faults(&report),
        [
            (Fault::Torn, 1),
            (Fault::Damaged, 2),
            (Fault::Misnamed, 0),
            (Fault::Missing, 1)
        ]
    );
    assert!(report.findings.iter().all(|finding| !finding.quarantined));
    // Looking changes nothing.
    assert_eq!(faults(&check(&repository)), faults(&report));
}

#[test]
fn what_is_taken_away_comes_back_with_the_next_import_in_its_old_form() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let seeds = [1, 2, 3, 4, 5];
    let one = import_at(&repository, 3, "1", &disk(&seeds)).unwrap().image;
    let before = crate::disk::files(dir.path());
    let chunks = chunk_files(dir.path());
    flip(&dir.path().join(&chunks[0]));
    fs::write(dir.path().join(&chunks[1]), b"").unwrap();
    fs::remove_file(dir.path().join(&chunks[2])).unwrap();
    let report = repository.fsck(true, &mut |_| {}).unwrap();
    assert_eq!(
        (report.verdict, report.verdict.code()),
        (FsckVerdict::Hurt, 4)
    );
    assert_eq!(report.findings.iter().filter(|f| f.quarantined).count(), 2);
    assert!(repository.verify(&one).is_err());
    assert_eq!(fs::read_dir(dir.path().join("damaged")).unwrap().count(), 3);
    // Another level makes other stored bytes, but the first image states which ones it wants.
    let two = import_at(&repository, 19, "2", &disk(&seeds)).unwrap();
    assert_eq!(two.healed, 3);
    repository.verify(&one).unwrap();
    repository.verify(&two.image).unwrap();
    assert_eq!(read_back(&repository, &one), disk(&seeds));
    assert_eq!(check(&repository).verdict, FsckVerdict::Clean);
    let mut after = crate::disk::files(dir.path());
    after.retain(|path| !before.contains(path));
    after.retain(|path| !path.starts_with("lock") && !path.starts_with("leases"));
    assert_eq!(after.len(), 2, "a manifest and a name: {after:?}");
}

#[test]
fn what_hurts_nobody_is_healed_at_once() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let one = import(&repository, "1", &disk(&[1])).image;
    let orphan = groundstate_api::Digest::of(b"an import that was cut off").hex();
    let folder = dir.path().join("chunks").join(&orphan[..2]);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(&orphan), vec![0; 9000]).unwrap();
    fs::write(dir.path().join("tmp/1-1"), b"half").unwrap();
    assert_eq!(faults(&check(&repository)), [(Fault::Torn, 0)]);
    let report = repository.fsck(true, &mut |_| {}).unwrap();
    assert_eq!(
        (report.verdict, report.verdict.code()),
        (FsckVerdict::Healed, 1)
    );
    assert!(!folder.join(&orphan).exists() && !dir.path().join("tmp/1-1").exists());
    assert_eq!(check(&repository).verdict, FsckVerdict::Clean);
    repository.verify(&one).unwrap();
}

#[test]
fn manifests_names_and_boot_files_are_looked_at_too() {
    let bench = Bench::new();
    let repository = bench.repository();
    let image = bench.import("1", |_| {}).unwrap();
    let manifest = repository.manifest(&image.manifest).unwrap();
    let initrd = manifest.boot_files().unwrap().initrd.digest;
    flip(&bench.stored("blobs", &initrd.hex()));
    let report = check(&repository);
    assert_eq!(faults(&report), [(Fault::Damaged, 1)]);
    assert_eq!(report.findings[0].images, ["debian-host 1"]);
    bench.import("1", |_| {}).unwrap();
    flip(&bench.stored("manifests", &image.manifest.hex()));
    let report = check(&repository);
    assert_eq!(faults(&report), [(Fault::Damaged, 1)]);
    assert_eq!(report.findings[0].images, ["debian-host 1"]);
    fs::remove_file(bench.stored("manifests", &image.manifest.hex())).unwrap();
    assert_eq!(faults(&check(&repository)), [(Fault::Missing, 1)]);
    bench.import("1", |_| {}).unwrap();
    let name = bench.dir.path().join("repository/names/debian-host/1");
    fs::write(&name, noise(1, 10)).unwrap();
    assert_eq!(faults(&check(&repository)), [(Fault::Entry, 0)]);
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() / 3;
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// What somebody has put among the names, and a pipe that nobody writes to: named, and in nobody's way.
#[test]
fn what_lies_among_the_names_stops_nobody_who_does_not_need_it() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let one = import(&repository, "1", &disk(&[1])).image;
    let names = dir.path().join("names");
    fs::write(names.join("README"), "mine").unwrap();
    fs::create_dir_all(names.join("other/folder")).unwrap();
    fs::write(names.join("other/1~"), "{").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        names.join("other/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let listing = repository.listing().unwrap();
    assert_eq!(listing.images, std::slice::from_ref(&one));
    let junk: Vec<_> = listing
        .junk
        .iter()
        .map(|junk| junk.path.strip_prefix(&names).unwrap().to_str().unwrap())
        .collect();
    assert_eq!(junk, ["README", "other/1~", "other/folder", "other/pipe"]);
    assert!(repository.list().is_err());
    // Other names are found, shown and imported.
    assert_eq!(repository.newest("disk").unwrap(), Some(one.clone()));
    assert_eq!(repository.find("disk", Some("1")).unwrap(), one);
    repository.show(&one).unwrap();
    import(&repository, "2", &disk(&[2]));
    assert_eq!(repository.newest("disk").unwrap().unwrap().version, "2");
    // Which of a name is the newest is not guessed.
    fs::write(names.join("disk/3"), "half").unwrap();
    let said = repository.newest("disk").unwrap_err().to_string();
    assert!(
        said.contains("names/disk/3") && said.contains("fsck --heal"),
        "{said}"
    );
    assert_eq!(repository.find("disk", Some("2")).unwrap().version, "2");
    // Clearing up must know every name.
    let rules = image_repo::GcRules::default();
    assert!(repository.gc(&rules).is_err());

    let report = check(&repository);
    assert_eq!(report.verdict, FsckVerdict::Hurt);
    assert_eq!(faults(&report), [(Fault::Entry, 0); 5]);
    assert_eq!(
        repository.fsck(true, &mut |_| {}).unwrap().verdict,
        FsckVerdict::Healed
    );
    assert!(dir.path().join("damaged/folder").is_dir());
    assert_eq!(repository.listing().unwrap().junk, []);
    assert_eq!(repository.list().unwrap().len(), 2);
    repository.gc(&rules).unwrap();
}

/// A name whose manifest is gone is not listed, and is named.
#[test]
fn a_name_without_its_manifest_is_listed_as_what_it_is() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let one = import(&repository, "1", &disk(&[1])).image;
    let two = import(&repository, "2", &disk(&[2])).image;
    fs::remove_file(dir.path().join("manifests").join(one.manifest.hex())).unwrap();
    let listing = repository.listing().unwrap();
    assert_eq!(listing.images, [two]);
    let [junk] = &listing.junk[..] else {
        panic!("{:?}", listing.junk);
    };
    assert!(
        junk.path.ends_with("names/disk/1") && junk.said.contains(&one.manifest.hex()),
        "{junk:?}"
    );
}
