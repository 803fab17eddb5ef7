// SPDX-License-Identifier: Apache-2.0
//! A shelf of disks under names that change with every boot, and one disk among them that is somebody else's: the real
//! planner, guard and executors on files.

use super::carry_out::guard_all;
use super::contents::contents_of;
use super::device::Device;
use super::{Bench, carry_out, partition, wipe};
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::{
    Attachment, Disk, Health, Inventory, MemoryInfo, SystemInfo, Transport, Verdict,
};
use groundstate_api::plan::{DiskAction, DiskPlan, EarlierDisks, HandOver, Plan, Role, Step};
use groundstate_api::site::{ExpectedDisk, Hardware, Node, Policy};
use groundstate_api::units::{GIB, MIB};
use groundstate_api::{Bytes, Digest, Millis, ReasonCode, SCHEMA};
use mos_core::plan::{PlanRequest, plan};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

#[path = "../../core/tests/signatures/foreign/mod.rs"]
mod foreign;

use foreign::Foreign;

/// Disks of ours in the shelf.
const DISKS: usize = 12;
/// How often the machine is booted, each time with other names for the disks.
const BOOTS: usize = 100;
const DISK_SIZE: u64 = 8 * GIB;
const SERIAL: &str = "SOMEBODYS";
const OTHER_SERIAL: &str = "SOMEBODYS-TOO";
const MACHINE: &str = "11111111-2222-3333-4444-555555555555";

/// The files are sparse and written over many times: memory is kinder to them than a disk is.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.unwrap()
}

fn disk(kernel_name: &Path, serial: &str, rotational: bool) -> Disk {
    let device = Device::open_to_read(kernel_name, None).unwrap();
    let (contents, layout) = contents_of(&device).unwrap();
    Disk {
        // The executors look below /dev for a name; a whole path is found where it is.
        kernel_name: kernel_name.to_str().unwrap().to_owned(),
        slot: format!("bay-{serial}"),
        serial: serial.to_owned(),
        wwn: Some(format!("naa.{serial}")),
        model: "file".to_owned(),
        revision: String::new(),
        size: Bytes(device.size()),
        logical_sector: 512,
        physical_sector: 4_096,
        transport: if rotational {
            Transport::Scsi
        } else {
            Transport::Nvme
        },
        rotational,
        removable: false,
        read_only: false,
        contents,
        layout,
        health: Health {
            verdict: Verdict::Ok,
            source: "none".to_owned(),
            evidence: Vec::new(),
            temperature_c: None,
            power_on_hours: None,
            findings: Vec::new(),
            figures: BTreeMap::new(),
        },
        attachment: Attachment::default(),
    }
}

fn inventory(disks: Vec<Disk>) -> Inventory {
    Inventory {
        schema: SCHEMA,
        boot_id: "99999999-2222-3333-4444-555555555555".parse().unwrap(),
        first_line_after: Millis(0),
        complete_after: Millis(0),
        system: SystemInfo {
            manufacturer: String::new(),
            product: String::new(),
            serial: "M-1".to_owned(),
            uuid: Some(MACHINE.parse().unwrap()),
            firmware_version: String::new(),
            firmware: None,
            uefi: true,
            cpus: 1,
            cpu_model: String::new(),
        },
        memory: MemoryInfo {
            available: Bytes(GIB),
            configured: Bytes(GIB),
            dimms: Vec::new(),
        },
        disks,
        nics: Vec::new(),
        devices: Vec::new(),
        could_not_look: Vec::new(),
    }
}

/// The real planner's word on these disks; the site names ours and not the foreign one.
fn planned(disks: Vec<Disk>) -> Plan {
    let expected = (0..DISKS).map(|number| ExpectedDisk {
        serial: serial(number),
        slot: None,
        size: None,
    });
    let node = Node {
        hardware: Some(Hardware {
            dimms: Vec::new(),
            disks: expected.collect(),
        }),
        ..Node::new(
            "node-1".parse().unwrap(),
            "52:54:00:00:00:01".parse().unwrap(),
            MACHINE.parse().unwrap(),
            "M-1",
        )
    };
    let policy = Policy::new("debian-host", HandOver::Kexec);
    let image = ImageRef {
        name: "debian-host".to_owned(),
        version: "1".to_owned(),
        kind: groundstate_api::image::ImageKind::RootFsExt4,
        manifest: Digest::of(b""),
        size: Bytes::mib(100),
        sector_size: 512,
        whole: None,
    };
    let request = PlanRequest {
        run: &"r-1".parse().unwrap(),
        node: &node,
        policy: &policy,
        hand_over: HandOver::Kexec,
        inventory: &inventory(disks),
        earlier: &EarlierDisks::default(),
        image: &image,
        boot_mac: node.mac,
        seed: Digest::of(b"seed"),
        files: &[],
        confirm: &[],
        rebuild: None,
        host: None,
    };
    plan(&request).unwrap_or_else(|reason| panic!("{reason}"))
}

fn serial(number: usize) -> String {
    format!("OURS-{number:02}")
}

/// The shelf: a file for each of our disks and one for somebody's, reached by names as the kernel gives them.
struct Shelf {
    ours: Vec<PathBuf>,
    names: PathBuf,
}

impl Shelf {
    fn new(dir: &Path) -> Self {
        let path = |number| dir.join(format!("disk-{number}"));
        let ours: Vec<PathBuf> = (0..DISKS).map(path).collect();
        for path in &ours {
            File::create(path).unwrap().set_len(DISK_SIZE).unwrap();
        }
        Self {
            ours,
            names: dir.join("names"),
        }
    }

    /// Boots: the disks get names in an order that is this boot's own, and are looked at under them.
    fn boot(&self, boot: usize, foreign: [&Path; 2]) -> Vec<Disk> {
        let _ = fs::remove_dir_all(&self.names);
        fs::create_dir(&self.names).unwrap();
        let mut slots: Vec<(&Path, String)> = Vec::new();
        for (number, path) in self.ours.iter().enumerate() {
            slots.push((path, serial(number)));
        }
        slots.push((foreign[0], SERIAL.to_owned()));
        slots.push((foreign[1], OTHER_SERIAL.to_owned()));
        // A permutation for each boot: the boot's number in factorial digits says which of those left comes next.
        let (mut digits, mut disks) = (boot * 0x9e37_79b1 + 1, Vec::new());
        for letter in 'a'..='n' {
            let next = digits % slots.len();
            digits /= slots.len().max(2);
            let (path, serial) = slots.remove(next);
            let name = self.names.join(format!("sd{letter}"));
            symlink(path, &name).unwrap();
            disks.push(disk(&name, &serial, serial != "OURS-00"));
        }
        disks.sort_by(|a, b| a.serial.cmp(&b.serial));
        disks
    }

    fn digests(&self) -> Vec<Digest> {
        self.ours.iter().map(|path| digest(path)).collect()
    }
}

/// A digest of a file and its length that goes quickly over the zeros of a sparse one.
fn digest(path: &Path) -> Digest {
    use std::os::unix::fs::FileExt as _;
    const PIECE: u64 = MIB;
    let (file, zeros) = (File::open(path).unwrap(), vec![0; 1 << 20]);
    let length = file.metadata().unwrap().len();
    let mut told = length.to_le_bytes().to_vec();
    let mut at = 0;
    while let Ok(data) = rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(at)) {
        at = data / PIECE * PIECE;
        let mut piece = vec![0; usize::try_from(PIECE.min(length - at)).unwrap()];
        file.read_exact_at(&mut piece, at).unwrap();
        if piece != zeros[..piece.len()] {
            told.extend(at.to_le_bytes());
            told.extend(Digest::of(&piece).hex().bytes());
        }
        at += PIECE;
        if at >= length {
            break;
        }
    }
    Digest::of(&told)
}

#[test]
fn a_hundred_boots_with_other_names_touch_ours_and_never_somebodys() {
    let dir = folder();
    let all = foreign::all(dir.path());
    assert!(all.len() >= 90, "only {} contents", all.len());
    let before: BTreeMap<&PathBuf, Digest> = all
        .iter()
        .map(|one| (&one.path, digest(&one.path)))
        .collect();
    let shelf = Shelf::new(dir.path());
    let pair = |boot: usize| [&all[2 * boot % all.len()], &all[(2 * boot + 1) % all.len()]];
    let paths = |boot: usize| pair(boot).map(|one| one.path.as_path());
    let plan = planned(shelf.boot(0, paths(0)));
    let wiped = plan
        .disks
        .iter()
        .filter(|disk| matches!(disk.action, DiskAction::Wipe { .. }));
    assert_eq!(wiped.count(), DISKS);
    let (mut laid_out, mut names) = (None, Vec::new());
    // Every content is somebody's disk in some boot.
    for boot in 0..BOOTS.max(all.len().div_ceil(2)) {
        let seen = shelf.boot(boot, paths(boot));
        let plan = with_lengths_of(&plan, &seen);
        let somebodys = seen.iter().find(|disk| disk.serial == SERIAL).unwrap();
        names.push(somebodys.kernel_name.clone());
        let look = |_| shelf.boot(boot, paths(boot));
        let bench = Bench {
            plan: &plan,
            look: &look,
            image_begun: false,
        };
        guard_all(&bench, Some(plan.machine)).unwrap();
        for step in [Step::Wipe, Step::Partition] {
            let done = carry_out(step, &bench, &mut |_, _| ());
            done.unwrap_or_else(|reason| panic!("boot {boot}: {reason}"));
        }
        let digests = shelf.digests();
        assert_eq!(
            laid_out.get_or_insert_with(|| digests.clone()),
            &digests,
            "boot {boot}"
        );
        for one in pair(boot) {
            let unchanged = digest(&one.path) == before[&one.path];
            assert!(unchanged, "boot {boot}: {} was written to", one.origin);
        }
    }
    names.sort();
    names.dedup();
    assert!(
        names.len() >= 10,
        "somebody's disk had {} names only",
        names.len()
    );
}

/// The same plan for disks of somebody's that have these lengths: each content is a disk of its own length.
fn with_lengths_of(plan: &Plan, seen: &[Disk]) -> Plan {
    let mut plan = plan.clone();
    for planned in &mut plan.disks {
        if planned.serial == SERIAL || planned.serial == OTHER_SERIAL {
            assert_eq!(planned.action, DiskAction::LeaveAlone);
            let found = seen.iter().find(|disk| disk.serial == planned.serial);
            planned.size = found.unwrap().size;
        }
    }
    identified(plan)
}

fn identified(mut plan: Plan) -> Plan {
    plan.id = Digest::of(&mos_core::plan::canonical_bytes(&plan))
        .hex()
        .parse()
        .unwrap();
    plan
}

/// A plan that lets nothing go from a disk that was blank when it was written.
fn for_a_blank_disk(template: &Plan, size: u64) -> (Plan, DiskPlan) {
    let os = template
        .disks
        .iter()
        .find(|disk| disk.role == Role::Data)
        .unwrap();
    let mut disk = os.clone();
    let DiskAction::Wipe { goes, table } = &mut disk.action else {
        panic!("{disk:?}")
    };
    assert_eq!(goes, &["nothing"]);
    table.partitions.truncate(1);
    table.partitions[0].length = Bytes::mib(1);
    disk.serial = SERIAL.to_owned();
    disk.wwn = Some(format!("naa.{SERIAL}"));
    disk.size = Bytes(size);
    let mut plan = template.clone();
    plan.disks = vec![disk.clone()];
    (identified(plan), disk)
}

/// The least that a table with a partition needs.
const LEAST: u64 = 2 * MIB + 256 * 1_024;

fn pad(one: &Foreign) {
    let file = File::options().write(true).open(&one.path).unwrap();
    let length = file.metadata().unwrap().len();
    if length < LEAST {
        file.set_len(4 * MIB).unwrap();
    }
}

#[test]
fn what_came_to_a_disk_after_it_was_planned_as_blank_stays() {
    let dir = folder();
    let all = foreign::all(dir.path());
    let shelf = Shelf::new(dir.path());
    let template = planned(shelf.boot(0, [&all[0].path, &all[1].path]));
    for one in &all {
        pad(one);
        let before = digest(&one.path);
        let found = disk(&one.path, SERIAL, true);
        let has = |name: &str| found.contents.iter().any(|what| what.what == name);
        assert!(
            one.expected.is_none_or(has),
            "{}: {:?}",
            one.origin,
            found.contents
        );
        let (plan, disk) = for_a_blank_disk(&template, found.size.0);
        let look = |_| vec![found.clone()];
        let bench = Bench {
            plan: &plan,
            look: &look,
            image_begun: false,
        };
        let refused = guard_all(&bench, Some(plan.machine)).unwrap_err();
        assert_eq!(
            refused.code,
            ReasonCode::DiskInUse,
            "{}: {refused}",
            one.origin
        );
        assert_eq!(refused.part.unwrap().token(), format!("disk:{SERIAL}"));
        let refused = carry_out(Step::Wipe, &bench, &mut |_, _| ()).unwrap_err();
        assert_eq!(refused.code, ReasonCode::DiskInUse, "{}", one.origin);
        // Nor where the guard was passed by a look at another moment: the executors look again at what they opened.
        let blank = |_| {
            let mut blank = found.clone();
            blank.contents.clear();
            vec![blank]
        };
        let late = Bench {
            plan: &plan,
            look: &blank,
            image_begun: false,
        };
        for step in [Step::Wipe, Step::Partition] {
            let refused = carry_out(step, &late, &mut |_, _| ()).unwrap_err();
            assert_eq!(
                refused.code,
                ReasonCode::DiskInUse,
                "{}: {refused}",
                one.origin
            );
        }
        assert!(wipe(&one.path, &disk, false).is_err() && partition(&one.path, &disk).is_err());
        assert!(digest(&one.path) == before, "{} was written to", one.origin);
    }
}
