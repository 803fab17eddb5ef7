// SPDX-License-Identifier: Apache-2.0
//! One disk of a JBOD fails at any of its calls. Each time the right disk is named, the others are laid out, and the step
//! ends by itself.

use super::super::carry_out::{Silence, carry_out_within};
use super::*;
use crate::medium::stand_in::{Call, Fault, Image, StandIn, Trouble, plug_in};
use groundstate_api::Reason;
use groundstate_api::inventory::Signature;
use std::sync::Arc;
use std::time::Duration;

const STEPS: [Step; 4] = [Step::Guard, Step::Wipe, Step::Partition, Step::Volumes];
/// Long enough for a busy machine, short enough for a test.
const SILENCE: Duration = Duration::from_secs(6);

/// A shelf of disks; the first is the OS disk.
struct Shelf {
    name: &'static str,
    disks: Vec<Arc<StandIn>>,
    plan: Plan,
}

fn serial(number: usize) -> String {
    format!("S-{number:02}")
}

/// The number makes every GUID another.
fn with_number(guid: &str, number: usize) -> String {
    format!("{number:08X}{}", &guid[8..])
}

impl Shelf {
    fn new(name: &'static str, count: usize, sector: u32) -> Self {
        let (mut disks, mut planned_disks) = (Vec::new(), Vec::new());
        for number in 0..count {
            let is_os = number == 0;
            let mut table = if is_os { os_table() } else { data_table() };
            table.disk_guid = with_number(&table.disk_guid, number);
            let (size, role) = if is_os {
                (128 * MIB, Role::Os)
            } else {
                (4 * MIB, Role::Data)
            };
            for partition in &mut table.partitions {
                partition.guid = with_number(&partition.guid, number);
                if !is_os {
                    partition.length = Bytes::mib(1);
                    // What makes ext4 is a program that knows only the kernel's disks.
                    partition.holds = PartitionContents::Root;
                }
                if is_os && sector == 4_096 && partition.name == "gs-esp" {
                    // FAT32 of large sectors needs more of them than 32 MiB have; it is not made here.
                    partition.holds = PartitionContents::Root;
                }
            }
            let disk = StandIn::new(Image::blank(size), sector);
            let places: Vec<(u64, u64)> = table
                .partitions
                .iter()
                .map(|one| (one.start.0, one.length.0))
                .collect();
            let mut planned = planned(sector, role, table, vec!["nothing".to_owned()]);
            planned.serial = serial(number);
            planned.slot = format!("bay-{number}");
            planned.size = Bytes(size);
            plug_in(&Self::path(name, number), &disk, &places);
            disks.push(disk);
            planned_disks.push(planned);
        }
        let mut plan = plan_of(planned_disks[0].clone());
        plan.disks = planned_disks;
        plan.id = Digest::of(&canonical_bytes(&plan)).hex().parse().unwrap();
        Self { name, disks, plan }
    }

    fn path(name: &str, number: usize) -> PathBuf {
        PathBuf::from(format!("/stand-in/{name}/sd{number}x"))
    }

    /// As the node looks: what cannot be read is unreadable, and a disk that is gone is not there.
    fn look(&self) -> Vec<Disk> {
        let mut all = Vec::new();
        for (number, planned) in self.plan.disks.iter().enumerate() {
            let path = Self::path(self.name, number);
            let mut found = found(&path, planned);
            match super::super::contents::contents_within(SILENCE, &path) {
                Ok((contents, layout)) => (found.contents, found.layout) = (contents, layout),
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)) => {
                    continue;
                }
                Err(_) => {
                    found.contents = vec![Signature {
                        at: "disk".to_owned(),
                        what: mos_core::guard::UNREADABLE.to_owned(),
                        label: None,
                    }];
                }
            }
            all.push(found);
        }
        all
    }

    /// The steps in order until one fails.
    fn run(&self) -> Result<(), (Step, Reason)> {
        let look = |_| self.look();
        let bench = Bench {
            plan: &self.plan,
            look: &look,
            image_begun: false,
        };
        let silence = Silence {
            table: SILENCE,
            volume: SILENCE,
            vhd: SILENCE,
        };
        for step in STEPS {
            let done = match step {
                Step::Guard => guard_all(&bench, Some(self.plan.machine)),
                _ => carry_out_within(step, &bench, silence, &mut |_, _| ()),
            };
            done.map_err(|reason| (step, reason))?;
        }
        Ok(())
    }

    fn blank(&self) {
        for (disk, planned) in self.disks.iter().zip(&self.plan.disks) {
            disk.fail(None);
            disk.put(Image::blank(planned.size.0));
        }
    }

    fn images(&self) -> Vec<Image> {
        self.disks.iter().map(|disk| disk.image()).collect()
    }

    /// One run in which `bad` has a trouble; gives whether it was struck by it.
    fn case(&self, bad: usize, trouble: Trouble, right: &[Image]) -> bool {
        self.blank();
        self.disks[bad].fail(Some(trouble));
        let ended = self.run();
        let struck = self.disks[bad].struck();
        let case = format!("disk {bad}, {trouble:?}, {ended:?}");
        match &ended {
            Ok(()) => {
                // A look that was not needed failed, or nothing did: the bytes are right.
                for (disk, right) in self.disks.iter().zip(right) {
                    assert!(disk.image().differs(right).is_empty(), "{case}");
                }
            }
            Err((step, reason)) => {
                assert!(struck, "{case}");
                let planned = &self.plan.disks[bad];
                assert_eq!(reason.part.as_ref(), Some(&planned.part()), "{case}");
                assert!(!reason.next_step.is_empty(), "{case}");
                self.others(bad, *step, right, &case);
            }
        }
        struck
    }

    /// Refused before anything was written, or laid out to the end.
    fn others(&self, bad: usize, step: Step, right: &[Image], case: &str) {
        let nothing = self.disks.iter().all(|disk| disk.log().is_empty());
        if step == Step::Guard || (step == Step::Wipe && nothing) {
            assert!(nothing, "{case}");
            return;
        }
        for (number, (disk, right)) in self.disks.iter().zip(right).enumerate() {
            let is_right = disk.image().differs(right).is_empty();
            assert!(
                number == bad || is_right,
                "{case}: disk {number} is not laid out"
            );
        }
    }

    /// The trouble is over: the same plan is carried out and ends at the same bytes.
    fn again(&self, right: &[Image]) {
        self.disks.iter().for_each(|disk| disk.fail(None));
        self.run()
            .unwrap_or_else(|(step, reason)| panic!("{step:?}: {reason}"));
        for (disk, right) in self.disks.iter().zip(right) {
            assert!(disk.image().differs(right).is_empty());
        }
    }

    fn right(&self) -> Vec<Image> {
        self.blank();
        self.run().unwrap();
        self.images()
    }
}

fn found(path: &Path, planned: &DiskPlan) -> Disk {
    Disk {
        kernel_name: path.to_str().unwrap().to_owned(),
        slot: planned.slot.clone(),
        serial: planned.serial.clone(),
        wwn: None,
        model: planned.model.clone(),
        revision: String::new(),
        size: planned.size,
        logical_sector: planned.logical_sector,
        physical_sector: 4_096,
        transport: Transport::Ata,
        rotational: false,
        removable: false,
        read_only: false,
        attachment: groundstate_api::inventory::Attachment::default(),
        contents: Vec::new(),
        layout: None,
        health: Health {
            verdict: Verdict::Ok,
            source: "none".to_owned(),
            evidence: Vec::new(),
            temperature_c: None,
            power_on_hours: None,
            findings: Vec::new(),
            figures: std::collections::BTreeMap::new(),
        },
    }
}

/// Fails the Nth call, N = 0 and up in steps of `stride`, until a run is not struck; gives how many runs were.
fn every(shelf: &Shelf, bad: usize, call: Option<Call>, fault: Fault, stride: usize) -> u64 {
    let right = shelf.right();
    let mut cases = 0;
    for after in (0..).step_by(stride) {
        let trouble = Trouble { call, after, fault };
        if !shelf.case(bad, trouble, &right) {
            break;
        }
        cases += 1;
        if cases % 16 == 0 {
            shelf.again(&right);
        }
    }
    println!(
        "{}: {fault:?} at each {stride}. {call:?}: {cases} cases",
        shelf.name
    );
    assert!(cases > 0);
    cases
}

#[test]
fn an_error_at_any_write_or_flush_of_a_data_disk_is_its_own() {
    let shelf = Shelf::new("writes", 6, 512);
    let mut cases = every(&shelf, 3, Some(Call::Write), Fault::Once(libc::EIO), 5);
    cases += every(&shelf, 3, Some(Call::Flush), Fault::Once(libc::EIO), 1);
    cases += every(&shelf, 3, Some(Call::Write), Fault::Once(libc::ENOSPC), 29);
    println!("writes and flushes: {cases} cases");
}

#[test]
fn an_error_at_any_read_of_a_data_disk_is_its_own() {
    let shelf = Shelf::new("reads", 6, 512);
    let cases = every(&shelf, 2, Some(Call::Read), Fault::Once(libc::EIO), 6);
    println!("reads: {cases} cases");
}

#[test]
fn a_disk_that_goes_away_at_any_call_is_named() {
    let shelf = Shelf::new("gone", 6, 512);
    let mut cases = every(&shelf, 5, None, Fault::Gone(libc::ENODEV), 13);
    cases += every(&shelf, 5, None, Fault::Gone(libc::ENXIO), 37);
    println!("gone: {cases} cases");
}

#[test]
fn an_error_of_the_os_disk_leaves_the_data_disks_laid_out() {
    let shelf = Shelf::new("os", 7, 512);
    let mut cases = every(&shelf, 0, Some(Call::Write), Fault::Once(libc::EIO), 97);
    cases += every(&shelf, 0, Some(Call::Flush), Fault::Once(libc::EIO), 1);
    println!("OS disk: {cases} cases");
}

#[test]
fn a_disk_that_gives_other_bytes_back_is_found_out() {
    let shelf = Shelf::new("liar", 6, 512);
    let cases = every(&shelf, 1, Some(Call::Write), Fault::Liar, 11);
    println!("liar: {cases} cases");
}

#[test]
fn disks_with_large_sectors_fail_alike() {
    let shelf = Shelf::new("4kn", 6, 4_096);
    let cases = every(&shelf, 3, None, Fault::Once(libc::EIO), 31);
    println!("4Kn: {cases} cases");
}

#[test]
fn a_disk_that_hangs_is_given_up_in_time_and_eleven_others_are_laid_out() {
    let shelf = Shelf::new("hang", 12, 512);
    let right = shelf.right();
    for (call, after, bad) in [(Call::Write, 3, 7), (Call::Flush, 4, 8)] {
        let trouble = Trouble {
            call: Some(call),
            after,
            fault: Fault::Hang,
        };
        shelf.blank();
        shelf.disks[bad].fail(Some(trouble));
        let (step, reason) = shelf.run().unwrap_err();
        assert_eq!(reason.part, Some(shelf.plan.disks[bad].part()));
        assert_eq!(reason.what, "A disk does not answer.");
        shelf.others(bad, step, &right, &format!("{trouble:?}"));
        shelf.disks[bad].release();
    }
}

#[test]
fn a_disk_that_hangs_while_it_is_looked_at_is_refused_by_name() {
    let shelf = Shelf::new("deaf", 6, 512);
    shelf.disks[4].fail(Some(Trouble {
        call: Some(Call::Read),
        after: 2,
        fault: Fault::Hang,
    }));
    let (step, reason) = shelf.run().unwrap_err();
    assert_eq!((step, reason.code), (Step::Guard, ReasonCode::DiskError));
    assert_eq!(reason.part, Some(shelf.plan.disks[4].part()));
    assert!(shelf.disks.iter().all(|disk| disk.log().is_empty()));
    shelf.disks[4].release();
}

#[test]
fn short_writes_and_reads_are_carried_on() {
    let shelf = Shelf::new("short", 6, 512);
    let right = shelf.right();
    shelf.blank();
    shelf.disks[4].at_most(7_168);
    shelf.run().unwrap();
    for (disk, right) in shelf.disks.iter().zip(&right) {
        assert!(disk.image().differs(right).is_empty());
    }
}

#[test]
fn a_disk_one_sector_short_is_refused_alone() {
    for sector in [512, 4_096] {
        let name = if sector == 512 { "less" } else { "less-4kn" };
        let mut shelf = Shelf::new(name, 6, sector);
        // The disk itself is smaller than what it told the look.
        shelf.plan.disks[2].size.0 += u64::from(sector);
        shelf.plan.id = Digest::of(&canonical_bytes(&shelf.plan))
            .hex()
            .parse()
            .unwrap();
        let (step, reason) = shelf.run().unwrap_err();
        assert_eq!(
            (step, reason.code),
            (Step::Wipe, ReasonCode::WrongDisk),
            "{reason}"
        );
        assert_eq!(reason.part, Some(shelf.plan.disks[2].part()));
        assert!(shelf.disks[2].log().is_empty());
        for number in [0, 1, 3, 4, 5] {
            let found = super::super::contents(&Shelf::path(name, number)).unwrap();
            let is_laid_out = found.1.is_some_and(|layout| layout.partitions.len() <= 2);
            assert!(is_laid_out, "disk {number}");
        }
    }
}

#[test]
fn an_error_at_any_call_of_the_image_is_the_os_disks() {
    let bytes = vec![7u8; 6 << 20];
    let made = crate::image::stand_in::made(&bytes, 64 << 10);
    let shelf = Shelf::new("image", 6, 512);
    shelf.right();
    let laid_out = shelf.disks[0].image();
    let root = partition_device(Shelf::path("image", 0).to_str().unwrap(), 2);
    let mut cases = 0;
    for (fault, code) in [
        (Fault::Once(libc::EIO), ReasonCode::DiskError),
        (Fault::Gone(libc::ENODEV), ReasonCode::DiskError),
        (Fault::Once(libc::ENOSPC), ReasonCode::DiskFull),
        (Fault::Liar, ReasonCode::DiskError),
    ] {
        for after in 0.. {
            let call = (fault == Fault::Liar).then_some(Call::Write);
            shelf.disks[0].put(laid_out.clone());
            shelf.disks[0].fail(Some(Trouble { call, after, fault }));
            let ended = made.write(&root).and_then(|_| made.read_back(&root));
            if !shelf.disks[0].struck() {
                ended.unwrap();
                break;
            }
            let reason = super::super::about_os_disk(&shelf.plan, ended.unwrap_err());
            assert_eq!(reason.code, code, "{fault:?} {after}: {reason}");
            assert_eq!(reason.part, Some(shelf.plan.disks[0].part()));
            assert!(reason.what.contains(root.to_str().unwrap()), "{reason}");
            cases += 1;
        }
    }
    println!("image: {cases} cases");
    assert!(cases > 60);
}

#[test]
fn what_is_read_back_on_the_way_finds_every_lie_and_reads_nothing_that_is_not_flushed() {
    // Data and holes in turn, so that both kinds are read back.
    let mut bytes = vec![7u8; 6 << 20];
    for hole in bytes.chunks_mut(512 << 10).skip(3).step_by(3) {
        hole.fill(0);
    }
    let made = crate::image::stand_in::made(&bytes, 64 << 10);
    let shelf = Shelf::new("behind", 6, 512);
    shelf.right();
    let root = partition_device(Shelf::path("behind", 0).to_str().unwrap(), 2);
    let disk = &shelf.disks[0];
    // Somebody else's bytes everywhere, the holes too.
    let theirs = crate::image::stand_in::made(&vec![0x55u8; 6 << 20], 64 << 10);
    theirs.write(&root).unwrap();
    let laid_out = disk.image();
    let mut cases = 0;
    for after in 0.. {
        disk.put(laid_out.clone());
        let (call, fault) = (Some(Call::Write), Fault::Liar);
        disk.fail(Some(Trouble { call, after, fault }));
        disk.watch();
        let ended = made.write_and_read_back(LONG, &root, Bytes(0));
        assert_eq!(disk.too_early(), 0, "{after}");
        if !disk.struck() {
            let on_the_way = ended.unwrap();
            assert!(on_the_way > Bytes::mib(1), "{on_the_way}");
            break;
        }
        if after == 0 {
            // The head is cleared first, and written anew last.
            ended.unwrap();
            continue;
        }
        let reason = ended.unwrap_err();
        assert_eq!(reason.code, ReasonCode::DiskError, "{after}: {reason}");
        assert!(
            reason.what.contains("other bytes than were written"),
            "{reason}"
        );
        cases += 1;
    }
    println!("read back on the way: {cases} cases");
    assert!(cases > 5);
}

#[test]
fn a_read_that_fails_on_the_way_or_after_it_is_the_os_disks() {
    let made = crate::image::stand_in::made(&vec![7u8; 6 << 20], 64 << 10);
    let shelf = Shelf::new("behind-fails", 2, 512);
    shelf.right();
    let root = partition_device(Shelf::path("behind-fails", 0).to_str().unwrap(), 2);
    let disk = &shelf.disks[0];
    let laid_out = disk.image();
    let mut cases = 0;
    for after in 0.. {
        disk.put(laid_out.clone());
        let (call, fault) = (Some(Call::Read), Fault::Once(libc::EIO));
        disk.fail(Some(Trouble { call, after, fault }));
        let ended = made.write_and_read_back(LONG, &root, Bytes(0));
        if !disk.struck() {
            ended.unwrap();
            break;
        }
        let reason = ended.unwrap_err();
        assert_eq!(reason.code, ReasonCode::DiskError, "{after}: {reason}");
        let where_it_is = root.to_str().unwrap();
        assert!(reason.what.contains(where_it_is), "{reason}");
        cases += 1;
    }
    println!("read back on the way, reads that fail: {cases} cases");
    assert!(cases >= 6, "{cases}");
}

/// For a disk that answers: longer than any machine is busy.
const LONG: Duration = Duration::from_secs(120);

/// Too short for a disk to be asked twice, long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(3);

#[test]
fn an_os_disk_that_hangs_at_any_request_of_the_image_is_named() {
    let bytes = vec![7u8; 6 << 20];
    let made = crate::image::stand_in::made(&bytes, 64 << 10);
    // A write in the middle of the image, the flush at its end, and a read of it.
    for (name, call, after) in [
        ("deaf-writes", Call::Write, 2),
        ("deaf-flush", Call::Flush, 0),
        ("deaf-reads", Call::Read, 1),
    ] {
        let shelf = Shelf::new(name, 2, 512);
        shelf.right();
        let disk = &shelf.disks[0];
        let laid_out = disk.image();
        let root = partition_device(Shelf::path(name, 0).to_str().unwrap(), 2);
        let run = || {
            let written = made.write_within(PATIENCE, &root);
            written.and_then(|_| made.read_back_within(PATIENCE, &root))
        };
        disk.fail(Some(Trouble {
            call: Some(call),
            after,
            fault: Fault::Hang,
        }));
        let reason = super::super::about_os_disk(&shelf.plan, run().unwrap_err());
        assert!(disk.struck());
        assert_eq!(reason.code, ReasonCode::DiskError, "{name}: {reason}");
        assert_eq!(reason.part, Some(shelf.plan.disks[0].part()));
        assert_eq!(reason.what, "A disk does not answer.");
        assert_eq!(reason.evidence[0], "3 s without an answer");
        let path = root.to_str().unwrap();
        assert!(reason.evidence[1].starts_with(path), "{reason}");
        // It answers again: the same steps end well.
        disk.release();
        disk.fail(None);
        disk.put(laid_out);
        run().unwrap();
    }
}

/// A named pipe that nobody writes to: who opens it waits as for a disk that does not answer.
fn silent_file(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, 0o600.into(), 0).unwrap();
}

#[test]
fn an_os_disk_that_hangs_in_the_first_boot_steps_is_named() {
    let shelf = Shelf::new("deaf-boot", 2, 512);
    let root = tempfile::tempdir().unwrap();
    silent_file(&root.path().join(mos_core::loader_entry::ENTRY_PATH));
    let at = root.path().to_owned();
    let limit = Duration::from_millis(300);
    let read = super::super::on_os_disk(
        &shelf.plan,
        limit,
        "reading the boot partition",
        move || crate::handover::read_tree(&at),
    );
    let reason = read.unwrap_err();
    assert_eq!(reason.code, ReasonCode::DiskError, "{reason}");
    assert_eq!(reason.part, Some(shelf.plan.disks[0].part()));
    assert_eq!(reason.what, "A disk does not answer.");
    assert_eq!(
        reason.evidence,
        ["0 s without an answer", "reading the boot partition"]
    );
}
