// SPDX-License-Identifier: Apache-2.0
//! Verdicts, a line a finding. Each case changes one thing of a healthy disk; what comes of it is in `golden/`.

use super::judge;
use crate::disk::facts::{
    Assessment, AtaFacts, Attribute, BackgroundScan, ErrorCounters, NvmeFacts, Protocol, ScsiFacts,
    SelfTest, SelfTestKind, SelfTestLog, SelfTestResult, Statistic, WhenFailed,
};
use crate::disk::{DiskFacts, EarlierFigures};
use expect_test::{ExpectFile, expect_file};
use groundstate_api::health::{Advice, DeviceKind, Verdict};

fn attribute(id: u8, raw: u64) -> Attribute {
    Attribute {
        id,
        name: None,
        prefail: id == 5,
        current: Some(100),
        worst: Some(100),
        threshold: Some(0),
        raw,
        raw_text: None,
        when_failed: WhenFailed::Never,
    }
}

fn ata() -> DiskFacts {
    let mut facts = DiskFacts::new("/dev/sda", "ioctl", Protocol::Ata);
    facts.assessment = Assessment::Passed;
    facts.identity.rotation_rpm = Some(7_200);
    facts.temperature_c = Some(35);
    facts.power_on_hours = Some(20_000);
    let ids = [5, 10, 187, 188, 197, 198, 199];
    facts.ata = Some(AtaFacts {
        attributes: ids.map(|id| attribute(id, 0)).to_vec(),
        ..AtaFacts::default()
    });
    facts
}

fn nvme() -> DiskFacts {
    let mut facts = DiskFacts::new("/dev/nvme0", "ioctl", Protocol::Nvme);
    facts.temperature_c = Some(40);
    facts.nvme = Some(NvmeFacts {
        critical_warning: Some(0),
        available_spare: Some(100),
        available_spare_threshold: Some(10),
        percentage_used: Some(4),
        media_errors: Some(0),
        error_log_entries: Some(8_382),
        unsafe_shutdowns: Some(900),
        warning_temperature_minutes: Some(50),
        ..NvmeFacts::default()
    });
    facts
}

fn scsi() -> DiskFacts {
    let mut facts = DiskFacts::new("/dev/sdb", "ioctl", Protocol::Scsi);
    facts.assessment = Assessment::Passed;
    facts.identity.vendor = "SEAGATE".into();
    facts.temperature_c = Some(40);
    let counters = ErrorCounters {
        corrected: Some(1_410_362_924),
        uncorrected: Some(0),
        ..ErrorCounters::default()
    };
    facts.scsi = Some(ScsiFacts {
        exception: Some((0, 0)),
        grown_defects: Some(0),
        read: Some(counters),
        write: Some(counters),
        trip_temperature_c: Some(65),
        ..ScsiFacts::default()
    });
    facts
}

/// Cases of one subject, and what was said of each.
#[derive(Default)]
struct Cases(String);

impl Cases {
    /// A healthy disk with a change.
    fn add(&mut self, name: &str, mut facts: DiskFacts, change: impl FnOnce(&mut DiskFacts)) {
        change(&mut facts);
        let report = judge(&facts, &[]);
        self.0 += &format!("# {name}: {}\n", report.verdict.as_str());
        for one in report.findings {
            let (verdict, advice, sure) = (one.verdict.as_str(), one.advice, one.sureness);
            self.0 += &format!("{verdict} {} ({sure:?}, {advice:?})\n", one.code);
            self.0 += &format!("  {}\n  -> {}\n", one.what, one.next_step);
            for line in one.evidence {
                self.0 += &format!("  : {line}\n");
            }
        }
    }

    fn are(&self, golden: ExpectFile) {
        golden.assert_eq(&self.0);
    }
}

fn raw(facts: &mut DiskFacts, id: u8, raw: u64) {
    let ata = facts.ata.as_mut().unwrap();
    let mut all = ata.attributes.iter_mut();
    all.find(|one| one.id == id).unwrap().raw = raw;
}

#[test]
fn healthy_disks_have_no_finding() {
    for facts in [ata(), nvme(), scsi()] {
        let report = judge(&facts, &[]);
        assert_eq!((report.verdict, report.findings), (Verdict::Ok, vec![]));
    }
}

#[test]
fn counts_of_an_ata_disk() {
    let mut cases = Cases::default();
    for (id, count) in [
        (197, 1),
        (197, 64),
        (198, 64),
        (198, 0xffff_ffff_ffff),
        (187, 3),
        (5, 12),
        (5, 1_966),
        (199, 99),
        (199, 3_118_119),
        (188, 0x0007_0003_0002),
        (10, 3),
    ] {
        cases.add(&format!("attribute {id} is {count}"), ata(), |f| {
            raw(f, id, count)
        });
    }
    cases.add("pending on flash", ata(), |f| {
        f.identity.rotation_rpm = Some(0);
        raw(f, 197, 64);
    });
    cases.are(expect_file!["golden/ata-counts.txt"]);
}

#[test]
fn thresholds_of_an_ata_disk() {
    let fail = |f: &mut DiskFacts, prefail, when| {
        let one = &mut f.ata.as_mut().unwrap().attributes[0];
        (one.prefail, one.when_failed, one.current) = (prefail, when, Some(30));
        (one.threshold, one.name) = (Some(36), Some("Reallocated_Sector_Ct".into()));
    };
    let mut cases = Cases::default();
    cases.add("pre-fail now", ata(), |f| fail(f, true, WhenFailed::Now));
    cases.add("old age now", ata(), |f| fail(f, false, WhenFailed::Now));
    cases.add("old age once", ata(), |f| fail(f, false, WhenFailed::Past));
    cases.add("149 on the way from 200 to 140", ata(), |f| {
        let one = &mut f.ata.as_mut().unwrap().attributes[0];
        (one.current, one.threshold) = (Some(149), Some(140));
    });
    cases.are(expect_file!["golden/ata-thresholds.txt"]);
}

#[test]
fn statistics_of_an_ata_disk() {
    let stat = |f: &mut DiskFacts, page, offset, name: &str, value| {
        let ata = f.ata.as_mut().unwrap();
        ata.attributes.retain(|one| one.id != 187 && one.id != 197);
        ata.statistics.push(Statistic {
            page,
            offset,
            name: name.into(),
            value,
            normalised: false,
        });
    };
    let mut cases = Cases::default();
    let mut one = |page, offset, name: &str, value, celsius| {
        cases.add(&format!("{name} is {value}"), ata(), |f| {
            stat(f, page, offset, name, value);
            f.temperature_c = Some(celsius);
        });
    };
    one(4, 8, "Number of Reported Uncorrectable Errors", 8, 35);
    one(
        3,
        0x38,
        "Number of Realloc. Candidate Logical Sectors",
        8,
        35,
    );
    one(7, 8, "Percentage Used Endurance Indicator", 237, 35);
    one(7, 8, "Percentage Used Endurance Indicator", 95, 35);
    one(5, 0x58, "Specified Maximum Operating Temperature", 60, 64);
    one(5, 0x58, "Specified Maximum Operating Temperature", 60, 65);
    cases.are(expect_file!["golden/ata-statistics.txt"]);
}

#[test]
fn what_is_not_known_is_never_ok() {
    let mut cases = Cases::default();
    cases.add("no own word", ata(), |f| f.assessment = Assessment::NotSaid);
    cases.add("own word alone", ata(), |f| {
        f.ata = Some(AtaFacts::default())
    });
    cases.add("SMART off", ata(), |f| {
        let ata = f.ata.as_mut().unwrap();
        (ata.smart_enabled, ata.attributes) = (Some(false), vec![]);
        f.assessment = Assessment::NotSaid;
        f.missed = vec!["Permission denied".into()];
    });
    cases.add("damaged data", ata(), |f| {
        f.ata.as_mut().unwrap().block_faults = vec!["wrong checksum".into()];
    });
    cases.add("no NVMe log", nvme(), |f| f.nvme = None);
    cases.add("an empty NVMe log", nvme(), |f| {
        f.nvme = Some(NvmeFacts::default())
    });
    cases.add("NVMe behind SCSI", scsi(), |f| {
        f.identity.vendor = "NVMe".into();
        f.scsi = Some(ScsiFacts::default());
    });
    cases.add("prediction off", scsi(), |f| {
        f.scsi.as_mut().unwrap().exceptions_disabled = Some(true);
    });
    cases.add(
        "nothing",
        DiskFacts::new("x", "none", Protocol::Unknown),
        |_| {},
    );
    cases.are(expect_file!["golden/unknown.txt"]);
    assert!(!cases.0.contains(": ok\n"));
}

#[test]
fn nvme_warnings_and_counters() {
    let mut cases = Cases::default();
    let mut one = |name: &str, change: fn(&mut NvmeFacts)| {
        cases.add(name, nvme(), |f| change(f.nvme.as_mut().unwrap()));
    };
    for bit in 0..=6 {
        let set: [fn(&mut NvmeFacts); 7] = [
            |n| n.critical_warning = Some(1),
            |n| n.critical_warning = Some(2),
            |n| n.critical_warning = Some(4),
            |n| n.critical_warning = Some(8),
            |n| n.critical_warning = Some(16),
            |n| n.critical_warning = Some(32),
            |n| n.critical_warning = Some(0xc3),
        ];
        one(&format!("critical warning {bit}"), set[bit]);
    }
    one("no spare, no warning", |n| n.available_spare = Some(0));
    one("spare at the threshold", |n| n.available_spare = Some(10));
    one("a media error", |n| n.media_errors = Some(1));
    one("worn out", |n| n.percentage_used = Some(255));
    one("hot once", |n| n.critical_temperature_minutes = Some(2));
    one("limit not reached", |n| n.warning_temperature_c = Some(84));
    cases.add("limit reached", nvme(), |f| {
        f.temperature_c = Some(84);
        f.nvme.as_mut().unwrap().warning_temperature_c = Some(84);
    });
    cases.are(expect_file!["golden/nvme.txt"]);
}

#[test]
fn scsi_exceptions_and_counters() {
    let mut cases = Cases::default();
    cases.add("predicts its failure", scsi(), |f| {
        f.assessment = Assessment::Failed;
        f.scsi.as_mut().unwrap().exception = Some((0x5d, 0x10));
    });
    cases.add("says it fails", scsi(), |f| {
        f.assessment = Assessment::Failed;
        f.scsi.as_mut().unwrap().exception_text = Some("WARNING".into());
    });
    let mut one = |name: &str, change: fn(&mut ScsiFacts)| {
        cases.add(name, scsi(), |f| change(f.scsi.as_mut().unwrap()));
    };
    one("warns", |s| s.exception = Some((0x0b, 0x01)));
    one("another exception", |s| s.exception = Some((0x11, 0)));
    one("uncorrected", |s| {
        s.read.as_mut().unwrap().uncorrected = Some(5)
    });
    one("56 defects", |s| s.grown_defects = Some(56));
    one("4,000 defects", |s| s.grown_defects = Some(4_000));
    one("pending", |s| s.pending_defects = Some(1));
    one("non-medium", |s| s.non_medium_errors = Some(1_061));
    one("scan", |s| {
        s.background_scan = Some(BackgroundScan {
            status: "halted due to fatal error".into(),
            medium_errors: Some(4),
            not_reassigned: Some(1),
        });
    });
    cases.add("at the trip temperature", scsi(), |f| {
        f.temperature_c = Some(65)
    });
    cases.are(expect_file!["golden/scsi.txt"]);
}

fn test(kind: SelfTestKind, result: SelfTestResult) -> SelfTest {
    let (hours, lba) = (Some(100), None);
    SelfTest {
        kind,
        result,
        hours,
        lba,
    }
}

#[test]
fn self_tests_count_until_a_whole_one_passes() {
    use SelfTestKind::{Extended, Other, Short};
    use SelfTestResult::{Aborted, Passed};
    let failed = |what: &str| SelfTestResult::Failed(what.into());
    let read = || test(Extended, failed("read failure"));
    let mut cases = Cases::default();
    let mut one = |name: &str, entries: Vec<SelfTest>, last_status| {
        cases.add(name, ata(), |f| {
            f.self_tests = Some(SelfTestLog {
                entries,
                last_status,
                ..SelfTestLog::default()
            });
        });
    };
    one(
        "a short one passed since",
        vec![test(Short, Passed), read()],
        None,
    );
    one(
        "a whole one passed since",
        vec![test(Extended, Passed), read(), read()],
        None,
    );
    one(
        "a part",
        vec![test(Short, failed("servo/seek failure")), read()],
        None,
    );
    one(
        "the vendor's",
        vec![test(Other, failed("electrical failure"))],
        None,
    );
    one("aborted", vec![test(Extended, Aborted)], Some(Passed));
    one("status alone", vec![], Some(failed("read failure")));
    cases.are(expect_file!["golden/self-tests.txt"]);
}

#[test]
fn the_report_says_who_and_what_grew() {
    let mut facts = ata();
    facts.slot = "bay 3".into();
    facts.identity.serial = "S1".into();
    raw(&mut facts, 197, 48);
    let earlier = EarlierFigures {
        at: 1,
        label: "2026-05-12".into(),
        figures: [("pending_sectors".into(), 8)].into(),
    };
    let report = judge(&facts, &[earlier]);
    assert_eq!(
        (report.kind, report.verdict),
        (DeviceKind::Disk, Verdict::Warn)
    );
    assert_eq!(
        (report.place.slot.as_str(), report.place.serial.as_str()),
        ("bay 3", "S1")
    );
    assert_eq!(report.figures["pending_sectors"], 48);
    assert_eq!(report.figures["temperature_celsius"], 35);
    assert_eq!(report.source, "ATA SMART");
    let grew = &report
        .findings
        .iter()
        .find(|f| f.code == "disk-gains-pending-sectors")
        .unwrap();
    assert_eq!(
        grew.what,
        "This drive gained 40 pending sectors since 2026-05-12"
    );
    assert_eq!(grew.advice, Advice::Replace);
    assert_eq!(grew.evidence, ["pending_sectors: 8 on 2026-05-12, 48 now"]);
}

#[test]
fn every_value_of_every_rule_can_be_judged() {
    // The highest and the lowest values at once: no sum or product may overflow.
    let mut facts = ata();
    for id in 0..=255 {
        let mut one = attribute(id, u64::MAX);
        (one.current, one.threshold, one.prefail) = (Some(0), Some(255), true);
        facts.ata.as_mut().unwrap().attributes.push(one);
    }
    facts.temperature_c = Some(i16::MAX);
    facts.power_on_hours = Some(u64::MAX);
    let report = judge(&facts, &[]);
    assert!(!report.figures.contains_key("power_on_hours"));
    let mut facts = scsi();
    let s = facts.scsi.as_mut().unwrap();
    for way in [&mut s.read, &mut s.write] {
        way.as_mut().unwrap().uncorrected = Some(u64::MAX);
    }
    assert_eq!(judge(&facts, &[]).verdict, Verdict::Warn);
}
