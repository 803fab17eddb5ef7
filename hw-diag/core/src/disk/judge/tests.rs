// SPDX-License-Identifier: Apache-2.0
//! Verdicts, a line a finding. Each case changes one thing of a healthy disk.

use super::judge;
use crate::disk::facts::{
    Assessment, AtaFacts, Attribute, BackgroundScan, ErrorCounters, NvmeFacts, Protocol, ScsiFacts,
    SelfTest, SelfTestKind, SelfTestLog, SelfTestResult, Statistic, WhenFailed,
};
use crate::disk::{DiskFacts, EarlierFigures};
use expect_test::{Expect, expect};
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

fn check(mut facts: DiskFacts, change: impl FnOnce(&mut DiskFacts), expect: Expect) {
    change(&mut facts);
    let report = judge(&facts, &[]);
    let mut text = format!("{}\n", report.verdict.as_str());
    for one in report.findings {
        let (verdict, advice) = (one.verdict.as_str(), one.advice);
        text += &format!("{verdict} {} {advice:?}: {}\n", one.code, one.what);
        for line in one.evidence {
            text += &format!("  {line}\n");
        }
    }
    expect.assert_eq(&text);
}

fn raw(facts: &mut DiskFacts, id: u8, raw: u64) {
    let ata = facts.ata.as_mut().unwrap();
    let mut all = ata.attributes.iter_mut();
    all.find(|one| one.id == id).unwrap().raw = raw;
}

#[test]
fn healthy_disks_have_no_finding() {
    check(
        ata(),
        |_| {},
        expect![[r#"
        ok
    "#]],
    );
    check(
        nvme(),
        |_| {},
        expect![[r#"
        ok
    "#]],
    );
    check(
        scsi(),
        |_| {},
        expect![[r#"
        ok
    "#]],
    );
}

#[test]
fn counts_of_an_ata_disk() {
    check(
        ata(),
        |f| raw(f, 197, 1),
        expect![[r#"
        warn
        warn ata-pending-sectors Watch: 1 sector cannot be read and should be reallocated
          attribute 197: raw 1, value 100, worst 100, threshold 0
    "#]],
    );
    check(
        ata(),
        |f| raw(f, 197, 64),
        expect![[r#"
        fail
        fail ata-pending-sectors Replace: 64 sectors cannot be read and should be reallocated
          attribute 197: raw 64, value 100, worst 100, threshold 0
    "#]],
    );
    check(
        ata(),
        |f| raw(f, 198, 0xffff_ffff_ffff),
        expect![[r#"
        warn
        warn ata-impossible-count Look: 1 counter of unreadable sectors holds a number that no disk can reach: 198 is 281474976710655
          attribute 198: raw 281474976710655, value 100, worst 100, threshold 0
    "#]],
    );
    check(
        ata(),
        |f| raw(f, 187, 3),
        expect![[r#"
        warn
        warn ata-reported-uncorrectable Watch: 3 uncorrectable errors reported to the host over the disk's life
          attribute 187: raw 3, value 100, worst 100, threshold 0
    "#]],
    );
    check(
        ata(),
        |f| raw(f, 5, 12),
        expect![[r#"
        ok
        ok ata-reallocated-sectors Watch: 12 sectors replaced from the spares
          attribute 5: raw 12, value 100, worst 100, threshold 0
    "#]],
    );
    check(
        ata(),
        |f| raw(f, 5, 1_966),
        expect![[r#"
        warn
        warn ata-reallocated-sectors Replace: 1966 sectors replaced from the spares
          attribute 5: raw 1966, value 100, worst 100, threshold 0
    "#]],
    );
    check(
        ata(),
        |f| raw(f, 199, 99),
        expect![[r#"
        ok
    "#]],
    );
    check(
        ata(),
        |f| raw(f, 199, 3_118_119),
        expect![[r#"
        ok
        ok ata-crc-errors Reseat: 3118119 CRC errors on the cable over the disk's life
          attribute 199: raw 3118119, value 100, worst 100, threshold 0
    "#]],
    );
    check(
        ata(),
        |f| raw(f, 188, 0x0007_0003_0002),
        expect![[r#"
        ok
    "#]],
    );
    check(
        ata(),
        |f| raw(f, 10, 3),
        expect![[r#"
        ok
        ok ata-spin-retries Watch: 3 spin-ups needed another try
          attribute 10: raw 3, value 100, worst 100, threshold 0
    "#]],
    );
}

#[test]
fn thresholds_of_an_ata_disk() {
    let fail = |f: &mut DiskFacts, prefail, when| {
        let ata = f.ata.as_mut().unwrap();
        let one = &mut ata.attributes[0];
        (one.prefail, one.when_failed, one.current) = (prefail, when, Some(30));
        (one.threshold, one.name) = (Some(36), Some("Reallocated_Sector_Ct".into()));
    };
    check(
        ata(),
        |f| fail(f, true, WhenFailed::Now),
        expect![[r#"
        fail
        fail ata-attribute-fails-now Replace: 1 attribute at or below the vendor's threshold of failure: 5 Reallocated_Sector_Ct
          attribute 5 Reallocated_Sector_Ct: raw 0, value 30, worst 100, threshold 36, fails now
        warn ata-spares-half-used Replace: 100 % of the way to the vendor's threshold for reallocated sectors is used
          attribute 5 Reallocated_Sector_Ct: raw 0, value 30, worst 100, threshold 36, fails now
    "#]],
    );
    check(
        ata(),
        |f| fail(f, false, WhenFailed::Now),
        expect![[r#"
        warn
        warn ata-attribute-below-threshold Replace: 1 attribute of age at or below the vendor's threshold: 5 Reallocated_Sector_Ct
          attribute 5 Reallocated_Sector_Ct: raw 0, value 30, worst 100, threshold 36, fails now
    "#]],
    );
    check(
        ata(),
        |f| fail(f, false, WhenFailed::Past),
        expect![[r#"
        warn
        warn ata-attribute-failed-before Watch: 1 attribute once at or below the vendor's threshold: 5 Reallocated_Sector_Ct
          attribute 5 Reallocated_Sector_Ct: raw 0, value 30, worst 100, threshold 36, failed in the past
    "#]],
    );
    check(
        ata(),
        |f| {
            let one = &mut f.ata.as_mut().unwrap().attributes[0];
            (one.current, one.threshold) = (Some(149), Some(140));
        },
        expect![[r#"
            warn
            warn ata-spares-half-used Replace: 85 % of the way to the vendor's threshold for reallocated sectors is used
              attribute 5: raw 0, value 149, worst 100, threshold 140
        "#]],
    );
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
    let errors = "Number of Reported Uncorrectable Errors";
    check(
        ata(),
        |f| stat(f, 4, 8, errors, 8),
        expect![[r#"
        ok
        ok ata-uncorrectable-statistic Watch: The Device Statistics count 8 uncorrectable errors over the disk's life
          device statistic "Number of Reported Uncorrectable Errors": 8
    "#]],
    );
    let candidates = "Number of Realloc. Candidate Logical Sectors";
    check(
        ata(),
        |f| stat(f, 3, 0x38, candidates, 8),
        expect![[r#"
        warn
        warn ata-pending-sectors Watch: 8 sectors cannot be read and should be reallocated
          device statistic "Number of Realloc. Candidate Logical Sectors": 8
    "#]],
    );
    let wear = "Percentage Used Endurance Indicator";
    check(
        ata(),
        |f| stat(f, 7, 8, wear, 237),
        expect![[r#"
        warn
        warn disk-worn-out Replace: 237 % of the rated endurance is used
          device statistic "Percentage Used Endurance Indicator": 237
    "#]],
    );
    check(
        ata(),
        |f| stat(f, 7, 8, wear, 95),
        expect![[r#"
        ok
        ok disk-nearly-worn-out Watch: 95 % of the rated endurance is used
          device statistic "Percentage Used Endurance Indicator": 95
    "#]],
    );
    let limit = "Specified Maximum Operating Temperature";
    check(
        ata(),
        |f| {
            stat(f, 5, 0x58, limit, 60);
            f.temperature_c = Some(66);
        },
        expect![[r#"
            warn
            warn disk-hot Look: 66 °C, and its own limit is 60 °C
              66 °C now, limit 60 °C
        "#]],
    );
}

#[test]
fn what_is_not_known_is_never_ok() {
    check(
        ata(),
        |f| f.assessment = Assessment::NotSaid,
        expect![[r#"
        unknown
        unknown disk-no-own-word Look: The disk's own assessment did not come through
          no health assessment in what was read
    "#]],
    );
    check(
        ata(),
        |f| f.ata = Some(AtaFacts::default()),
        expect![[r#"
        unknown
        unknown disk-only-own-word Look: The disk says that it is well, and no counter was read that could bear it out
          health assessment: PASSED, and nothing else
    "#]],
    );
    check(
        ata(),
        |f| {
            f.ata = Some(AtaFacts {
                smart_enabled: Some(false),
                ..AtaFacts::default()
            });
            f.assessment = Assessment::NotSaid;
            f.missed = vec!["Permission denied".into()];
        },
        expect![[r#"
            unknown
            unknown ata-smart-disabled Configure: SMART is switched off on this disk
              SMART support: disabled
            unknown disk-no-smart-data Look: No health data could be read of this disk: Permission denied
              Permission denied
        "#]],
    );
    check(
        ata(),
        |f| {
            f.ata.as_mut().unwrap().block_faults = vec!["SMART data: wrong checksum".into()];
        },
        expect![[r#"
            unknown
            unknown ata-damaged-data Look: The disk's SMART data came through damaged: SMART data: wrong checksum
              SMART data: wrong checksum
        "#]],
    );
    check(
        nvme(),
        |f| f.nvme = None,
        expect![[r#"
        unknown
        unknown disk-no-smart-data Look: No health data could be read of this disk
    "#]],
    );
    check(
        nvme(),
        |f| f.nvme = Some(NvmeFacts::default()),
        expect![[r#"
            unknown
            unknown disk-no-smart-data Look: No health data could be read of this disk
        "#]],
    );
    check(
        scsi(),
        |f| {
            f.identity.vendor = "NVMe".into();
            f.scsi = Some(ScsiFacts::default());
        },
        expect![[r#"
            unknown
            unknown scsi-nvme-translated Look: An NVMe drive behind a SCSI translation that passes on no counter
              vendor NVMe, product , health status without counters
            unknown disk-only-own-word Look: The disk says that it is well, and no counter was read that could bear it out
              health assessment: PASSED, and nothing else
        "#]],
    );
    check(
        scsi(),
        |f| f.scsi.as_mut().unwrap().exceptions_disabled = Some(true),
        expect![[r#"
            unknown
            unknown scsi-prediction-off Configure: Failure prediction is switched off on this disk
              informational exceptions: disabled
        "#]],
    );
    let nothing = DiskFacts::new("/dev/vda", "none", Protocol::Unknown);
    check(
        nothing,
        |_| {},
        expect![[r#"
        unknown
        unknown disk-no-smart-data Look: No health data could be read of this disk
    "#]],
    );
}

#[test]
fn nvme_warnings_and_counters() {
    let with =
        |change: fn(&mut NvmeFacts)| move |f: &mut DiskFacts| change(f.nvme.as_mut().unwrap());
    check(
        nvme(),
        |f| {
            f.assessment = Assessment::Failed;
            f.nvme.as_mut().unwrap().critical_warning = Some(0x03);
        },
        expect![[r#"
            fail
            fail nvme-spare-low Replace: Critical warning 0x03: the available spare is below its threshold
              critical warning 0x03
            fail nvme-temperature-warning Look: Critical warning 0x03: the temperature is over or under a threshold
              critical warning 0x03
        "#]],
    );
    check(
        nvme(),
        with(|n| n.critical_warning = Some(0xc0)),
        expect![[r#"
            fail
            fail nvme-reserved-warning Replace: Critical warning 0xc0: bits are set that no specification names
              critical warning 0xc0
        "#]],
    );
    check(
        nvme(),
        with(|n| n.available_spare = Some(0)),
        expect![[r#"
            warn
            warn nvme-spare-below-threshold Replace: The available spare is 0 %, below the drive's threshold of 10 %, yet the drive raises no warning
              available spare 0 %, threshold 10 %
        "#]],
    );
    check(
        nvme(),
        with(|n| n.available_spare = Some(10)),
        expect![[r#"
            ok
        "#]],
    );
    check(
        nvme(),
        with(|n| n.media_errors = Some(1)),
        expect![[r#"
        warn
        warn nvme-media-errors Watch: 1 media and data integrity error: data could not be given back as written
          media and data integrity errors: 1
    "#]],
    );
    check(
        nvme(),
        with(|n| n.percentage_used = Some(255)),
        expect![[r#"
            warn
            warn disk-worn-out Replace: 255 % of the rated endurance is used
              percentage used: 255
        "#]],
    );
    check(
        nvme(),
        with(|n| n.critical_temperature_minutes = Some(2)),
        expect![[r#"
            ok
            ok nvme-critical-heat Look: 2 minutes above the critical temperature over its life
              minutes above the critical temperature: 2
        "#]],
    );
    check(
        nvme(),
        |f| {
            f.temperature_c = Some(84);
            f.nvme.as_mut().unwrap().warning_temperature_c = Some(84);
        },
        expect![[r#"
            warn
            warn disk-hot Look: 84 °C, and its own limit is 84 °C
              84 °C now, limit 84 °C
        "#]],
    );
}

#[test]
fn scsi_exceptions_and_counters() {
    let with =
        |change: fn(&mut ScsiFacts)| move |f: &mut DiskFacts| change(f.scsi.as_mut().unwrap());
    check(
        scsi(),
        |f| {
            f.assessment = Assessment::Failed;
            f.scsi.as_mut().unwrap().exception = Some((0x5d, 0x10));
        },
        expect![[r#"
            fail
            fail scsi-predicts-failure Replace: The disk predicts its failure (sense code 5d/10)
              informational exception: sense code 5d/10
        "#]],
    );
    check(
        scsi(),
        with(|s| s.exception = Some((0x0b, 0x01))),
        expect![[r#"
            warn
            warn scsi-warning Look: The disk warns (sense code 0b/01)
              informational exception: sense code 0b/01
        "#]],
    );
    check(
        scsi(),
        |f| {
            f.assessment = Assessment::Failed;
            f.scsi.as_mut().unwrap().exception_text = Some("WARNING".into());
        },
        expect![[r#"
            fail
            fail disk-says-it-fails Replace: The disk's own assessment is that it fails
              health status: WARNING
        "#]],
    );
    check(
        scsi(),
        with(|s| s.read.as_mut().unwrap().uncorrected = Some(5)),
        expect![[r#"
            warn
            warn scsi-uncorrected-errors Watch: 5 errors of reading, writing or verifying that nothing could correct
              uncorrected read errors: 5
        "#]],
    );
    check(
        scsi(),
        with(|s| s.grown_defects = Some(56)),
        expect![[r#"
        ok
        ok scsi-grown-defects Watch: 56 elements in the grown defect list
          grown defect list: 56
    "#]],
    );
    check(
        scsi(),
        with(|s| s.grown_defects = Some(4_000)),
        expect![[r#"
            warn
            warn scsi-grown-defects Replace: 4000 elements in the grown defect list
              grown defect list: 4000
        "#]],
    );
    check(
        scsi(),
        with(|s| s.pending_defects = Some(1)),
        expect![[r#"
        warn
        warn scsi-pending-defects Watch: 1 defect not reassigned yet
          pending defects: 1
    "#]],
    );
    check(
        scsi(),
        with(|s| {
            s.background_scan = Some(BackgroundScan {
                status: "halted due to fatal error".into(),
                medium_errors: Some(4),
                not_reassigned: Some(1),
            })
        }),
        expect![[r#"
            warn
            warn scsi-not-reassigned Watch: The background scan found 1 block not reassigned yet
              background scan entries not reassigned: 1
            warn scsi-scan-stopped Look: The background scan stopped: halted due to fatal error
              background scan: halted due to fatal error
            ok scsi-scan-medium-errors Watch: The background scan found 4 medium errors over the disk's life
              background scan entries with a medium error: 4
        "#]],
    );
    check(
        scsi(),
        |f| f.temperature_c = Some(65),
        expect![[r#"
        warn
        warn disk-hot Look: 65 °C, and its own limit is 65 °C
          65 °C now, limit 65 °C
    "#]],
    );
}

fn test(kind: SelfTestKind, result: SelfTestResult) -> SelfTest {
    SelfTest {
        kind,
        result,
        hours: Some(100),
        lba: None,
    }
}

#[test]
fn self_tests_count_until_a_whole_one_passes() {
    let failed = |what: &str| SelfTestResult::Failed(what.into());
    let log = |entries: Vec<SelfTest>| {
        move |f: &mut DiskFacts| {
            f.self_tests = Some(SelfTestLog {
                entries,
                ..SelfTestLog::default()
            });
        }
    };
    use SelfTestKind::{Extended, Other, Short};
    let read = || test(Extended, failed("read failure"));
    check(
        ata(),
        log(vec![test(Short, SelfTestResult::Passed), read()]),
        expect![[r#"
            warn
            warn disk-self-test-failed Watch: 1 self-test failed, and no whole one passed since
              extended self-test at 100 h: read failure
        "#]],
    );
    check(
        ata(),
        log(vec![test(Extended, SelfTestResult::Passed), read(), read()]),
        expect![[r#"
            warn
            warn disk-self-test-failed-before Watch: 2 self-tests failed, and a later whole one passed
              extended self-test at 100 h: read failure
              extended self-test at 100 h: read failure
        "#]],
    );
    check(
        ata(),
        log(vec![test(Short, failed("servo/seek failure")), read()]),
        expect![[r#"
            fail
            fail disk-self-test-part-failure Replace: 1 self-test found a broken part: servo/seek failure, and no whole one passed since
              short self-test at 100 h: servo/seek failure
            warn disk-self-test-failed Watch: 1 self-test failed, and no whole one passed since
              extended self-test at 100 h: read failure
        "#]],
    );
    check(
        ata(),
        log(vec![test(Other, failed("electrical failure"))]),
        expect![[r#"
            warn
            warn disk-self-test-vendor-failure Look: 1 self-test of a kind that only the vendor knows failed
              vendor's self-test at 100 h: electrical failure
        "#]],
    );
    check(
        ata(),
        log(vec![test(Extended, SelfTestResult::Aborted)]),
        expect![[r#"
            ok
        "#]],
    );
    check(
        ata(),
        |f| {
            let last_status = Some(failed("read failure"));
            f.self_tests = Some(SelfTestLog {
                last_status,
                ..SelfTestLog::default()
            });
        },
        expect![[r#"
            warn
            warn disk-self-test-failed Watch: 1 self-test failed, and no whole one passed since
              the last self-test's status: read failure
        "#]],
    );
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
