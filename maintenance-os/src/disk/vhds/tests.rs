// SPDX-License-Identifier: Apache-2.0
//! Every format and kind that a plan may name, judged by qemu-img and qemu-io; the same bytes from the same plan; whole
//! again from whatever power leaves; never over another disk.

use super::super::error::DiskError;
use super::frame::Frame;
use super::*;
use crate::virtual_disk::{Contents, Create, Format, create};
use groundstate_api::Bytes;
use groundstate_api::plan::VhdKind;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

const ALL: [(VhdFormat, VhdKind); 4] = [
    (VhdFormat::Vhd, VhdKind::Fixed),
    (VhdFormat::Vhd, VhdKind::Dynamic),
    (VhdFormat::Vhdx, VhdKind::Fixed),
    (VhdFormat::Vhdx, VhdKind::Dynamic),
];
const ID: &str = "f44b5ec1-fb31-8a44-a953-ff608835d654";

fn vhd(format: VhdFormat, kind: VhdKind, mib: u64) -> VhdPlan {
    VhdPlan {
        file: format!("{}-{mib}.{}", kind.as_str(), format.as_str()),
        size: Bytes::mib(mib),
        id: ID.to_owned(),
        format,
        kind,
        part: None,
    }
}

/// Files that are written over many times: memory is kinder to them than a disk is.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.unwrap()
}

fn passes(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

/// As QEMU calls it.
const fn qemus(format: VhdFormat) -> &'static str {
    match format {
        VhdFormat::Vhd => "vpc",
        VhdFormat::Vhdx => "vhdx",
    }
}

fn of(dir: &Path, one: &VhdPlan) -> Vec<u8> {
    fs::read(dir.join(&one.file)).unwrap()
}

fn allocated(path: &Path) -> (u64, u64) {
    VhdFile::lengths(&File::open(path).unwrap()).unwrap()
}

#[test]
fn the_same_plan_gives_the_same_bytes_and_qemu_reads_them() {
    let (one, other) = (folder(), folder());
    let zeros = one.path().join("zeros");
    // A size that no block divides, one of a single block, and one with a table of more than a sector.
    for mib in [1, 7, 300] {
        File::create(&zeros).unwrap().set_len(mib << 20).unwrap();
        for (format, kind) in ALL {
            if mib == 300 && (format, kind) != (VhdFormat::Vhd, VhdKind::Dynamic) {
                continue;
            }
            let plan = vhd(format, kind, mib);
            let facts = make_vhds(one.path(), std::slice::from_ref(&plan)).unwrap();
            let (file, kind) = (&plan.file, kind.as_str());
            let says = format!("{file} {mib} MiB {kind} {} reserved", name(format));
            assert!(facts[0].starts_with(&says), "{facts:?}");
            make_vhds(other.path(), std::slice::from_ref(&plan)).unwrap();
            assert!(of(one.path(), &plan) == of(other.path(), &plan), "{file}");
            let path = one.path().join(file);
            let (length, blocks) = allocated(&path);
            assert!(
                blocks >= length && length >= plan.size.0,
                "{file}: {blocks}"
            );
            let at = path.to_str().unwrap();
            let info = passes("qemu-img", &["info", "-f", qemus(format), at]);
            assert!(info.contains(&format!("({} bytes)", plan.size.0)), "{info}");
            if format == VhdFormat::Vhdx {
                let text = passes("qemu-img", &["check", "-f", "vhdx", at]);
                assert!(text.contains("No errors were found"), "{text}");
            }
            let raw = zeros.to_str().unwrap();
            let compare = ["compare", "-f", qemus(format), "-F", "raw", at, raw];
            let text = passes("qemu-img", &compare);
            assert!(text.contains("identical"), "{text}");
            let again = make_vhds(one.path(), std::slice::from_ref(&plan)).unwrap();
            assert!(
                again[0].ends_with(": it was there and keeps its data"),
                "{again:?}"
            );
            assert!(of(one.path(), &plan) == of(other.path(), &plan), "{file}");
            fs::remove_file(&path).unwrap();
            fs::remove_file(other.path().join(file)).unwrap();
        }
    }
}

#[test]
fn what_a_virtual_machine_wrote_stays() {
    let dir = folder();
    for (format, kind) in ALL {
        let plan = vhd(format, kind, 40);
        make_vhds(dir.path(), std::slice::from_ref(&plan)).unwrap();
        let path = dir.path().join(&plan.file);
        let (length, blocks) = allocated(&path);
        let at = path.to_str().unwrap();
        let io = |command: &str| passes("qemu-io", &["-f", qemus(format), "-c", command, at]);
        // QEMU writes new headers into a VHDX when it opens one.
        io("write -P 0x5a 5M 3M");
        let before = of(dir.path(), &plan);
        assert_eq!(allocated(&path), (length, blocks), "no byte of it is new");
        let facts = make_vhds(dir.path(), std::slice::from_ref(&plan)).unwrap();
        assert!(
            facts[0].ends_with(": it was there and keeps its data"),
            "{facts:?}"
        );
        assert!(of(dir.path(), &plan) == before, "{}", plan.file);
        for (value, place) in [("0", "0 5M"), ("0x5a", "5M 3M"), ("0", "8M 32M")] {
            let text = io(&format!("read -P {value} {place}"));
            assert!(!text.contains("verification failed"), "{text}");
        }
    }
}

/// What is done to a file.
#[derive(Clone, Debug)]
enum Act {
    Reserve(u64),
    Length(u64),
    Write(u64, Vec<u8>),
    Sync,
}

/// A real file that writes down what is done to it.
struct Recorded {
    file: File,
    acts: RefCell<Vec<Act>>,
}

impl VhdFile for Recorded {
    fn reserve(&self, length: u64) -> Result<How, ReserveError> {
        self.acts.borrow_mut().push(Act::Reserve(length));
        VhdFile::reserve(&self.file, length)
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.acts.borrow_mut().push(Act::Length(length));
        VhdFile::set_len(&self.file, length)
    }
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.acts.borrow_mut().push(Act::Write(at, bytes.to_vec()));
        VhdFile::write_all_at(&self.file, bytes, at)
    }
    fn sync_all(&self) -> io::Result<()> {
        self.acts.borrow_mut().push(Act::Sync);
        VhdFile::sync_all(&self.file)
    }
    fn lengths(&self) -> io::Result<(u64, u64)> {
        self.file.lengths()
    }
    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        VhdFile::read_exact_at(&self.file, bytes, at)
    }
    fn pieces(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }
}

fn recorded(dir: &Path, plan: &VhdPlan) -> Vec<Act> {
    let path = dir.join("recorded");
    let _ = fs::remove_file(&path);
    let on = Recorded {
        file: open(&path).unwrap(),
        acts: RefCell::default(),
    };
    let id: SystemUuid = plan.id.parse().unwrap();
    let frame = Frame::of(plan, id, &path).unwrap().unwrap();
    make_framed(&on, &path, plan, id, &frame, &|| ()).unwrap();
    on.acts.into_inner()
}

fn apply(file: &File, act: &Act) {
    match act {
        Act::Reserve(length) => drop(VhdFile::reserve(file, *length).unwrap()),
        Act::Length(length) => file.set_len(*length).unwrap(),
        Act::Write(at, bytes) => FileExt::write_all_at(file, bytes, *at).unwrap(),
        Act::Sync => {}
    }
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// Some of what an interval between two syncs did, each act whole or a part of it.
fn some(file: &File, interval: &[Act], numbers: &mut Numbers) {
    for act in interval {
        match (numbers.below(3), act) {
            (0, _) => {}
            (1, Act::Write(at, bytes)) => {
                let cut = numbers.below(9) * bytes.len() / 8;
                apply(file, &Act::Write(*at, bytes[..cut].to_vec()));
            }
            (1, Act::Length(length)) => apply(file, &Act::Length(length / 2)),
            (1, Act::Reserve(length)) => apply(file, &Act::Reserve(length / 2)),
            (_, act) => apply(file, act),
        }
    }
}

const SUBSETS: usize = 24;

#[test]
fn power_goes_at_any_write_of_a_disk_with_blocks() {
    let dir = folder();
    let mut states = 0;
    for (format, kind) in &ALL[1..] {
        let plan = vhd(*format, *kind, 5);
        make_vhds(dir.path(), std::slice::from_ref(&plan)).unwrap();
        let whole = of(dir.path(), &plan);
        let path = dir.path().join(&plan.file);
        let acts = recorded(dir.path(), &plan);
        let intervals: Vec<&[Act]> = acts
            .split_inclusive(|act| matches!(act, Act::Sync))
            .collect();
        assert_eq!(intervals.len(), 3, "body, and two steps of marks");
        let mut numbers = Numbers(5);
        for number in 0..intervals.len() {
            for subset in 0..=SUBSETS {
                fs::remove_file(&path).unwrap();
                let file = open(&path).unwrap();
                intervals[..number]
                    .iter()
                    .copied()
                    .flatten()
                    .for_each(|act| apply(&file, act));
                if subset > 0 {
                    some(&file, intervals[number], &mut numbers);
                }
                states += 1;
                make_vhds(dir.path(), std::slice::from_ref(&plan))
                    .unwrap_or_else(|error| panic!("{number}, {subset}: {error}"));
                assert!(
                    of(dir.path(), &plan) == whole,
                    "{}: {number}, {subset}",
                    plan.file
                );
                let (length, blocks) = allocated(&path);
                assert!(blocks >= length);
            }
        }
    }
    println!("disks with blocks: {states} states");
    assert!(states >= 200);
}

/// Where something begins or ends in the file.
fn boundaries(acts: &[Act], length: u64) -> BTreeSet<u64> {
    let mut places = BTreeSet::from([0, 1, 511, 512, 4_096, length / 2]);
    for act in acts {
        if let Act::Write(at, bytes) = act {
            let end = at + bytes.len() as u64;
            places.extend([*at, at + 1, end.saturating_sub(1), end]);
        }
    }
    places.retain(|place| *place < length);
    places
}

#[test]
fn a_file_that_was_cut_off_is_made_whole_and_keeps_what_is_left() {
    let dir = folder();
    for (format, kind) in &ALL[1..] {
        let plan = vhd(*format, *kind, 5);
        let only = std::slice::from_ref(&plan);
        let places = boundaries(&recorded(dir.path(), &plan), 1 << 40);
        make_vhds(dir.path(), only).unwrap();
        let path = dir.path().join(&plan.file);
        // A byte of the disk's that stays wherever the file is cut behind it.
        let places_of_data = of(dir.path(), &plan);
        let at = u64::try_from(places_of_data.len()).unwrap() - 3 * (1 << 20) - 99;
        let length = places_of_data.len() as u64;
        for cut in places.into_iter().filter(|place| *place < length) {
            fs::write(&path, &places_of_data).unwrap();
            FileExt::write_all_at(&open(&path).unwrap(), &[0x5a], at).unwrap();
            open(&path).unwrap().set_len(cut).unwrap();
            make_vhds(dir.path(), only).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            let mut should = places_of_data.clone();
            if cut > at {
                should[usize::try_from(at).unwrap()] = 0x5a;
            }
            assert!(
                of(dir.path(), &plan) == should,
                "{} cut at {cut}",
                plan.file
            );
            let (length, blocks) = allocated(&path);
            assert!(blocks >= length);
        }
    }
}

#[test]
fn another_disk_under_the_name_is_refused_and_stays() {
    let dir = folder();
    let mut refused = 0;
    for (format, kind) in ALL {
        let plan = vhd(format, kind, 6);
        let path = dir.path().join("x");
        for (other, kind_of_other) in ALL {
            for (mib, id) in [
                (6, ID),
                (6, "11111111-2222-8333-8444-555555555555"),
                (7, ID),
            ] {
                let mut there = vhd(other, kind_of_other, mib);
                there.id = id.to_owned();
                there.file = "x".to_owned();
                if there
                    == (VhdPlan {
                        file: "x".to_owned(),
                        ..plan.clone()
                    })
                {
                    continue;
                }
                let _ = fs::remove_file(&path);
                make_vhds(dir.path(), std::slice::from_ref(&there)).unwrap();
                stays(dir.path(), &plan);
                refused += 1;
            }
        }
        // Somebody's that grows, and one whose headers are gone while its data is there.
        for somebodys in [Format::Vhd, Format::Vhdx] {
            let made = create(&Create {
                path: path.clone(),
                format: somebodys,
                size: Some(Bytes::mib(6)),
                contents: Contents::Dynamic,
                preallocate: false,
                force: true,
            });
            made.unwrap();
            stays(dir.path(), &plan);
            refused += 1;
        }
        let _ = fs::remove_file(&path);
        let mut broken = vhd(VhdFormat::Vhdx, VhdKind::Fixed, 6);
        broken.file = "x".to_owned();
        make_vhds(dir.path(), std::slice::from_ref(&broken)).unwrap();
        let file = open(&path).unwrap();
        FileExt::write_all_at(&file, &[0; 128 << 10], 64 << 10).unwrap();
        stays(dir.path(), &plan);
    }
    assert_eq!(refused, 4 * (11 + 2));
}

#[test]
fn a_disk_of_the_planned_id_that_is_laid_out_in_another_way_stays() {
    let dir = folder();
    let plan = vhd(VhdFormat::Vhd, VhdKind::Dynamic, 6);
    let id: SystemUuid = ID.parse().unwrap();
    let grows = mos_core::vhd::Layout::of(&mos_core::vhd::New {
        size: plan.size,
        id: id.0,
        timestamp: 0,
        shape: mos_core::vhd::Shape::Dynamic {
            preallocated: false,
        },
    });
    let file = open(&dir.path().join("x")).unwrap();
    let mut file = crate::virtual_disk::DiskFile::new(file).unwrap();
    grows.unwrap().write(&mut file).unwrap();
    stays(dir.path(), &plan);
}

/// The plan's disk is not made over the file `x`.
fn stays(dir: &Path, plan: &VhdPlan) {
    let plan = VhdPlan {
        file: "x".to_owned(),
        ..plan.clone()
    };
    let before = of(dir, &plan);
    let error = make_vhds(dir, std::slice::from_ref(&plan)).unwrap_err();
    assert!(matches!(error, DiskError::AnothersDisk { .. }), "{error}");
    assert!(of(dir, &plan) == before);
}

#[test]
fn what_does_not_fit_or_cannot_be_is_refused_before_anything_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    for (format, kind) in &ALL[1..] {
        let mut plan = vhd(*format, *kind, 1);
        plan.size = Bytes::gib(2_030);
        let volume = rustix::fs::statvfs(dir.path()).unwrap();
        if volume.f_bavail * volume.f_frsize > plan.size.0 {
            eprintln!("skipped: this machine has more than 2,030 GiB free");
            return;
        }
        let error = make_vhds(dir.path(), std::slice::from_ref(&plan)).unwrap_err();
        let DiskError::Full {
            needed, available, ..
        } = &error
        else {
            panic!("{error}")
        };
        assert!(*needed > plan.size.0 && available < needed, "{error}");
        assert_eq!(
            fs::metadata(dir.path().join(&plan.file)).unwrap().blocks(),
            0
        );
        for size in [Bytes(0), Bytes::gib(65 * 1_024)] {
            plan.size = size;
            plan.file = "none".to_owned();
            let error = make_vhds(dir.path(), std::slice::from_ref(&plan)).unwrap_err();
            assert!(matches!(error, DiskError::Unusable { .. }), "{error}");
            assert!(!dir.path().join("none").exists());
        }
    }
}
