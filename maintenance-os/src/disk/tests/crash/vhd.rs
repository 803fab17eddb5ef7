// SPDX-License-Identifier: Apache-2.0
//! VHDs as files that lose what was not synced: the file itself, its length, its blocks and any part of its footer, in any
//! order. From each such file the executor makes the same bytes, and nothing half-made passes for whole.

use super::super::super::vhds::{VhdFile, make_in, prove};
use super::*;
use crate::virtual_disk::{How, ReserveError};
use std::cell::RefCell;
use std::io;

/// What is done to a file before it is synced.
#[derive(Clone, Debug, PartialEq, Eq)]
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

fn vhd(number: u64) -> VhdPlan {
    VhdPlan {
        file: format!("vm-{number}.vhd"),
        size: Bytes::mib(number),
        id: format!("f44b5ec1-fb31-8a44-a953-ff608835d65{number}"),
        format: VhdFormat::Vhd,
        kind: VhdKind::Fixed,
        part: None,
    }
}

fn footer(vhd: &VhdPlan) -> Footer {
    let id: groundstate_api::SystemUuid = vhd.id.parse().unwrap();
    Footer::new(vhd.size, id.0, 0).unwrap()
}

fn open(path: &Path) -> File {
    let mut options = File::options();
    let options = options.read(true).write(true).create(true).truncate(false);
    options.open(path).unwrap()
}

/// What may be left of one act: nothing, a part, or all of it.
fn remains(act: &Act) -> Vec<Option<Act>> {
    match act {
        Act::Reserve(length) => {
            let parts = [4_096, length / 3, length - 512].map(|part| Some(Act::Reserve(part)));
            [None, Some(act.clone())].into_iter().chain(parts).collect()
        }
        Act::Length(length) => [
            None,
            Some(act.clone()),
            Some(Act::Length(length / 2)),
            Some(Act::Length(length - 512)),
        ]
        .into(),
        Act::Write(at, bytes) => {
            let torn = (1..32).map(|part| {
                let cut = bytes.len() * part / 32;
                Some(Act::Write(*at, bytes[..cut].to_vec()))
            });
            // The length may be there, and the bytes not yet.
            let zeros = Some(Act::Write(*at, vec![0; bytes.len()]));
            [None, Some(act.clone()), zeros]
                .into_iter()
                .chain(torn)
                .collect()
        }
        Act::Sync => Vec::new(),
    }
}

fn apply(path: &Path, acts: &[&Act]) {
    let file = open(path);
    for act in acts {
        match act {
            Act::Reserve(length) => drop(VhdFile::reserve(&file, *length).unwrap()),
            Act::Length(length) => file.set_len(*length).unwrap(),
            Act::Write(at, bytes) => VhdFile::write_all_at(&file, bytes, *at).unwrap(),
            Act::Sync => {}
        }
    }
}

const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

/// What the file is: all of its bytes, and how much is allocated.
fn state(path: &Path) -> (Vec<u8>, u64) {
    let allocated = fs::metadata(path).unwrap().blocks() * 512;
    (fs::read(path).unwrap(), allocated)
}

#[test]
fn power_goes_at_any_write_of_a_vhd() {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    };
    let vhds = [vhd(1), vhd(2)];
    make_vhds(dir.path(), &vhds).unwrap();
    let whole = vhds
        .each_ref()
        .map(|one| fs::read(dir.path().join(&one.file)).unwrap());
    let (mut states, mut complete) = (0, 0);
    for (number, one) in vhds.iter().enumerate() {
        let recorded = Recorded {
            file: open(&dir.path().join("recorded")),
            acts: RefCell::default(),
        };
        recorded.file.set_len(0).unwrap();
        make_in(&recorded, Path::new("recorded"), one, &footer(one)).unwrap();
        let acts = recorded.acts.into_inner();
        let [reserve, length, write, Act::Sync] = acts.as_slice() else {
            panic!("{acts:?}")
        };
        let path = dir.path().join(&one.file);
        let mut seen = BTreeSet::new();
        for left in product([remains(reserve), remains(length), remains(write)]) {
            for order in ORDERS {
                let kept: Vec<&Act> = order.iter().filter_map(|at| left[*at].as_ref()).collect();
                let _ = fs::remove_file(&path);
                apply(&path, &kept);
                let (bytes, allocated) = state(&path);
                if !seen.insert((Digest::of(&bytes).hex(), allocated)) {
                    continue;
                }
                states += 1;
                let says = prove(
                    &open(&path),
                    &path,
                    one.size.0 + FOOTER_LEN as u64,
                    &footer(one),
                );
                let is_whole = bytes == whole[number] && allocated >= bytes.len() as u64;
                assert_eq!(says.is_ok(), is_whole, "{kept:?}");
                complete += u64::from(is_whole);
                // The other one was synced; its name may be lost with its folder.
                let other = dir.path().join(&vhds[1 - number].file);
                if states % 2 == 0 {
                    let _ = fs::remove_file(&other);
                }
                again(dir.path(), &vhds, &whole);
            }
        }
        let _ = fs::remove_file(&path);
        states += 1;
        again(dir.path(), &vhds, &whole);
    }
    println!("VHD files: {states} states, {complete} of them complete");
    assert!(states >= 200 && complete > 0, "{states}");
    for one in &vhds {
        let path = dir.path().join(&one.file);
        let text = passes("qemu-img", &["info", "-f", "vpc"], &path);
        assert!(text.contains(&format!("({} bytes)", one.size.0)), "{text}");
    }
}

fn again(mount: &Path, vhds: &[VhdPlan], whole: &[Vec<u8>; 2]) {
    make_vhds(mount, vhds).unwrap();
    for (one, should) in vhds.iter().zip(whole) {
        let (bytes, allocated) = state(&mount.join(&one.file));
        assert!(&bytes == should, "{} has other bytes", one.file);
        assert!(allocated >= bytes.len() as u64);
    }
}

fn product(parts: [Vec<Option<Act>>; 3]) -> Vec<[Option<Act>; 3]> {
    let [first, second, third] = parts;
    let mut all = Vec::new();
    for one in &first {
        for two in &second {
            for three in &third {
                all.push([one.clone(), two.clone(), three.clone()]);
            }
        }
    }
    all
}

/// A volume that fails at the `after`th call.
struct Failing {
    file: Recorded,
    left: std::cell::Cell<u32>,
    errno: i32,
}

impl Failing {
    fn call(&self) -> io::Result<()> {
        match self.left.get() {
            0 => Err(io::Error::from_raw_os_error(self.errno)),
            more => {
                self.left.set(more - 1);
                Ok(())
            }
        }
    }
}

impl VhdFile for Failing {
    fn reserve(&self, length: u64) -> Result<How, ReserveError> {
        self.call()?;
        self.file.reserve(length)
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.call()?;
        VhdFile::set_len(&self.file, length)
    }
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.call()?;
        VhdFile::write_all_at(&self.file, bytes, at)
    }
    fn sync_all(&self) -> io::Result<()> {
        self.call()?;
        VhdFile::sync_all(&self.file)
    }
    fn lengths(&self) -> io::Result<(u64, u64)> {
        self.call()?;
        self.file.lengths()
    }
    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.call()?;
        VhdFile::read_exact_at(&self.file, bytes, at)
    }
    fn pieces(&self) -> io::Result<Option<u64>> {
        self.call()?;
        self.file.pieces()
    }
}

#[test]
fn a_volume_that_fails_or_fills_at_the_nth_call_is_named_and_the_next_run_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let one = vhd(1);
    let mut cases = 0;
    for (errno, code) in [
        (libc::EIO, ReasonCode::DiskError),
        (libc::ENOSPC, ReasonCode::DiskFull),
        (libc::EROFS, ReasonCode::DiskError),
    ] {
        for after in 0.. {
            let path = dir.path().join(format!("vm-{errno}-{after}"));
            let failing = Failing {
                file: Recorded {
                    file: open(&path),
                    acts: RefCell::default(),
                },
                left: std::cell::Cell::new(after),
                errno,
            };
            let Err(error) = make_in(&failing, &path, &one, &footer(&one)) else {
                assert!(after >= 7, "a run makes more calls than {after}");
                break;
            };
            cases += 1;
            let planned = planned(512, Role::Data, data_table(), Vec::new());
            let reason = error.reason(&planned);
            assert_eq!((reason.code, reason.part), (code, Some(planned.part())));
            assert!(
                reason.evidence[0].contains(path.to_str().unwrap()),
                "{:?}",
                reason.evidence
            );
            make_in(&open(&path), &path, &one, &footer(&one)).unwrap();
        }
    }
    println!("VHD volumes that fail: {cases} cases");
}
