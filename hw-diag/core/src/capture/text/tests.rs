// SPDX-License-Identifier: Apache-2.0
//! The text as smartctl of many years prints it, cut to the lines that matter.

use super::read;
use crate::capture::CaptureError;
use crate::disk::DiskFacts;
use crate::disk::facts::{Assessment, Protocol, SelfTestKind, SelfTestResult, WhenFailed};
use groundstate_api::Bytes;

fn facts(text: &str) -> DiskFacts {
    read(text.as_bytes(), "capture").unwrap()
}

/// smartctl 5.41, `-a`: the old table with types in words, the summary error log, the standard self-test log.
const OLD_ATA: &str = "\
# smartctl -a -d megaraid,5 /dev/sda\r
smartctl 5.41 2011-06-09 r3365 [x86_64-linux-2.6.32] (local build)\r
Copyright (C) 2002-11 by Bruce Allen, http://smartmontools.sourceforge.net\r
\r
=== START OF INFORMATION SECTION ===\r
Device Model:     ST3750640NS\r
Serial Number:    5QD0ABCD\r
Firmware Version: 3.AEK\r
User Capacity:    750,156,374,016 bytes [750 GB]\r
Sector Size:      512 bytes logical/physical\r
SMART support is: Available - device has SMART capability.\r
SMART support is: Enabled\r
\r
=== START OF READ SMART DATA SECTION ===\r
SMART overall-health self-assessment test result: PASSED\r
See vendor-specific Attribute list for marginal Attributes.\r
\r
Self-test execution status:      ( 121)\tThe previous self-test completed having\r
\t\t\t\t\tthe read element of the test failed.\r
Short self-test routine \r
recommended polling time: \t (   1) minutes.\r
Extended self-test routine\r
recommended polling time: \t ( 202) minutes.\r
Conveyance self-test routine\r
recommended polling time: \t (   3) minutes.\r
Vendor Specific SMART Attributes with Thresholds:\r
ID# ATTRIBUTE_NAME          FLAG     VALUE WORST THRESH TYPE      UPDATED  WHEN_FAILED RAW_VALUE\r
  1 Raw_Read_Error_Rate     0x000f   113   082   006    Pre-fail  Always       -       56207112\r
  5 Reallocated_Sector_Ct   0x0033   030   030   036    Pre-fail  Always   FAILING_NOW 1433\r
  9 Power_On_Hours          0x0032   080   080   000    Old_age   Always       -       17961\r
190 Airflow_Temperature_Cel 0x0022   066   040   045    Old_age   Always   In_the_past 34 (Min/Max 33/35)\r
194 Temperature_Celsius     0x0022   034   060   000    Old_age   Always       -       34 (0 18 0 0)\r
197 Current_Pending_Sector  0x0012   100   100   000    Old_age   Always       -       2\r
240 Head_Flying_Hours       0x0000   100   253   000    Old_age   Offline      -       134823441234\r
\r
SMART Error Log Version: 1\r
ATA Error Count: 12 (device log contains only the most recent five errors)\r
Error 12 occurred at disk power-on lifetime: 17000 hours (708 days + 8 hours)\r
  40 51 00 ff ff ff 0f  Error: UNC at LBA = 0x0fffffff = 268435455\r
\r
SMART Self-test log structure revision number 1\r
Num  Test_Description    Status                  Remaining  LifeTime(hours)  LBA_of_first_error\r
# 1  Extended offline    Completed: read failure       90%     17960         268435455\r
# 2  Short offline       Completed without error       00%     17000         -\r
# 3  Extended captive    Interrupted (host reset)      20%         1         -\r
\r
SMART Selective self-test log data structure revision number 1\r
    1        0        0  Not_testing\r
";

#[test]
fn an_old_ata_report_is_read_whole() {
    let facts = facts(OLD_ATA);
    assert_eq!(facts.protocol, Protocol::Ata);
    assert_eq!(facts.slot, "/dev/sda megaraid,5");
    assert_eq!(facts.assessment, Assessment::Passed);
    assert_eq!(facts.identity.model, "ST3750640NS");
    assert_eq!(facts.identity.size, Some(Bytes(750_156_374_016)));
    assert_eq!(facts.identity.logical_sector, Some(512));
    assert_eq!(facts.identity.rotation_rpm, None);
    assert_eq!(
        (facts.power_on_hours, facts.temperature_c),
        (Some(17_961), Some(34))
    );
    let ata = facts.ata.unwrap();
    assert_eq!(
        (ata.smart_available, ata.smart_enabled),
        (Some(true), Some(true))
    );
    let seen: Vec<_> = ata
        .attributes
        .iter()
        .map(|one| (one.id, one.prefail, one.when_failed, one.raw))
        .collect();
    use WhenFailed::{Never, Now, Past};
    assert_eq!(
        seen,
        [
            (1, true, Never, 56_207_112),
            (5, true, Now, 1_433),
            (9, false, Never, 17_961),
            (190, false, Past, 34),
            (194, false, Never, 34),
            (197, false, Never, 2),
            (240, false, Never, 134_823_441_234),
        ]
    );
    assert_eq!(
        ata.attributes[3].raw_text.as_deref(),
        Some("34 (Min/Max 33/35)")
    );
    assert_eq!(ata.error_count, Some(12));
    assert_eq!(ata.errors[0].what, "UNC at LBA = 0x0fffffff = 268435455");
    assert_eq!(ata.errors[0].hours, Some(17_000));
    let log = facts.self_tests.unwrap();
    assert_eq!(log.entries.len(), 3);
    assert_eq!(log.entries[0].kind, SelfTestKind::Extended);
    assert_eq!(
        log.entries[0].result,
        SelfTestResult::Failed("read failure".into())
    );
    assert_eq!(
        (log.entries[0].hours, log.entries[0].lba),
        (Some(17_960), Some(268_435_455))
    );
    assert_eq!(log.entries[1].result, SelfTestResult::Passed);
    assert_eq!(log.entries[2].result, SelfTestResult::Aborted);
    assert_eq!(
        log.last_status,
        Some(SelfTestResult::Failed("read failure".into()))
    );
    assert_eq!(
        (log.short_minutes, log.extended_minutes),
        (Some(1), Some(202))
    );
}

/// The parts of 6.x and 7.x that the old report lacks: brief table, both forms of the statistics, pending defects.
const NEW_ATA: &str = "\
smartctl 6.4 2014-10-07 r4002 [x86_64-linux-3.10.0] (local build)
=== START OF INFORMATION SECTION ===
Device Model:     X
Rotation Rate:    Solid State Device
SMART overall-health self-assessment test result: FAILED!
Drive failure expected in less than 24 hours. SAVE ALL DATA.
ID# ATTRIBUTE_NAME          FLAGS    VALUE WORST THRESH FAIL RAW_VALUE
  9 Power_On_Hours          -O--CK   100   100   000    -    1234h+56m+07.123s
184 End-to-End_Error        PO--CK   090   090   090    NOW  10
187 Reported_Uncorrect      -O--CK+  100   100   ---    -    0x000000000003
202 Percent_Lifetime_Remain ----CK   000   000   001    Past 100
                            ||||||_ K auto-keep
  3 Not_A_Row               -O--CK   100   100   000    -    1
SMART Extended Comprehensive Error Log Version: 1 (5 sectors)
No Errors Logged
SMART Extended Self-test Log Version: 1 (1 sectors)
Num  Test_Description    Status                  Remaining  LifeTime(hours)  LBA_of_first_error
# 1  Vendor (0x75)       Completed: electrical failure 00%     65280         65535
# 2  Short offline       Self-test routine in progress 90%     34445         -
SMART Self-test log structure revision number 1
# 1  Vendor (0x75)       Completed: electrical failure 00%     65280         65535
SCT Status Version:                  3
Current Temperature:                     ? Celsius
Device Statistics (GP Log 0x04)
Page Offset Size         Value  Description
  1  =====  =                =  == General Statistics (rev 2) ==
  1  0x010  4             1234  Power-on Hours
  7  0x008  1               23~ Percentage Used Endurance Indicator
Page  Offset Size        Value Flags Description
0x04  0x008  4              27  ---  Number of Reported Uncorrectable Errors
0x05  0x010  1              34  N--  Average Short Term Temperature
0x01  0x038  6               -  ---  Date and Time TimeStamp
Pending Defects log (GP Log 0x0c)
Index                LBA    Hours
    0          123456789     1234
    1          123456790     1234
... (5 entries not shown)
SATA Phy Event Counters (GP Log 0x11)
0x0001  2            0  Command failed due to ICRC error
";

#[test]
fn a_newer_ata_report_is_read_whole() {
    let facts = facts(NEW_ATA);
    assert_eq!(facts.assessment, Assessment::Failed);
    assert_eq!(facts.identity.rotation_rpm, Some(0));
    assert_eq!(
        (facts.power_on_hours, facts.temperature_c),
        (Some(1_234), None)
    );
    let ata = facts.ata.unwrap();
    let ids: Vec<_> = ata.attributes.iter().map(|one| (one.id, one.raw)).collect();
    assert_eq!(ids, [(9, 1_234), (184, 10), (187, 3), (202, 100)]);
    assert_eq!(ata.attributes[2].threshold, None);
    assert_eq!(ata.attributes[1].when_failed, WhenFailed::Now);
    assert_eq!(ata.attributes[3].when_failed, WhenFailed::Past);
    let statistics: Vec<_> = ata
        .statistics
        .iter()
        .map(|one| (one.page, one.offset, one.value, one.normalised))
        .collect();
    let expected = [
        (1, 16, 1_234, false),
        (7, 8, 23, true),
        (4, 8, 27, false),
        (5, 16, 34, true),
    ];
    assert_eq!(statistics, expected);
    assert_eq!(
        ata.statistics[2].name,
        "Number of Reported Uncorrectable Errors"
    );
    assert_eq!((ata.pending_defects, ata.error_count), (Some(7), Some(0)));
    let log = facts.self_tests.unwrap();
    assert_eq!(
        log.entries.len(),
        2,
        "the standard log repeats the extended one"
    );
    assert_eq!(log.entries[0].kind, SelfTestKind::Other);
    assert_eq!(
        log.entries[0].result,
        SelfTestResult::Failed("electrical failure".into())
    );
    assert_eq!(log.entries[0].hours, Some(65_280));
    assert_eq!(
        log.entries[1].result,
        SelfTestResult::Running { remaining: 90 }
    );
}

/// smartctl 7.2 of a SAS disk that predicts its failure, quoted from a mail.
const SAS: &str = "\
> smartctl 7.2 2020-12-30 r5155 [x86_64-linux-5.15.0] (local build)
> === START OF INFORMATION SECTION ===
> Vendor:               SEAGATE
> Product:              ST600MM0006
> Revision:             LS0A
> User Capacity:        600,127,266,816 bytes [600 GB]
> Logical block size:   512 bytes
> Rotation Rate:        10500 rpm
> Logical Unit id:      0x5000c5005f123456
> Serial number:        S0M0ABCD
> Transport protocol:   SAS (SPL-3)
> SMART support is:     Available - device has SMART capability.
> SMART support is:     Enabled
> === START OF READ SMART DATA SECTION ===
> SMART Health Status: FAILURE PREDICTION THRESHOLD EXCEEDED [asc=5d, ascq=10]
> Grown defects during certification <not available>
> Current Drive Temperature:     34 C
> Drive Trip Temperature:        65 C
> Accumulated power on time, hours:minutes 16502:24
> Elements in grown defect list: 117
> Error counter log:
>            Errors Corrected by           Total   Correction     Gigabytes    Total
>                ECC          rereads/    errors   algorithm      processed    uncorrected
>            fast | delayed   rewrites  corrected  invocations   [10^9 bytes]  errors
> read:   1941077341       36         0  1941077377   1941077377      47812.883           5
> write:         0        0         7         7          7      22569.762           0
> Non-medium error count:       23
> Pending defect count:3 Pending Defects
> SMART Self-test log
> Num  Test              Status                 segment  LifeTime  LBA_first_err [SK ASC ASQ]
>      Description                              number   (hours)
> # 1  Background long   Failed in segment -->       3   16501            268435 [0x3 0x11 0x0]
> # 2  Background short  Completed                   -   16400                 - [-   -    -]
> # 3  Background long   Aborted (by user command)   -   16300                 - [-   -    -]
> Long (extended) Self-test duration: 3630 seconds [60.5 minutes]
> Background scan results log
>   Status: halted due to fatal error
>     Accumulated power on time, hours:minutes 16502:24 [990144 minutes]
>     Number of background scans performed: 159,  scan progress: 0.00%
>    #  when        lba(hex)    [sk,asc,ascq]    reassign_status
>    1 3227:28  0000000072cf4000  [3,11,0]   Recovered via rewrite in-place
>    2 3227:28  0000000072cf4108  [3,11,0]   Require Write or Reassign Blocks command
>    3 3227:28  0000000072cf4150  [1,17,1]   Successfully reassigned
> Protocol Specific port log page for SAS SSP
";

#[test]
fn a_sas_report_is_read_whole_even_out_of_a_mail() {
    let facts = facts(SAS);
    assert_eq!(facts.protocol, Protocol::Scsi);
    assert_eq!(facts.assessment, Assessment::Failed);
    assert_eq!(facts.identity.vendor, "SEAGATE");
    assert_eq!(facts.identity.rotation_rpm, Some(10_500));
    assert_eq!(
        (facts.power_on_hours, facts.temperature_c),
        (Some(16_502), Some(34))
    );
    let scsi = facts.scsi.unwrap();
    assert_eq!(scsi.exception, Some((0x5d, 0x10)));
    assert_eq!(scsi.exceptions_disabled, Some(false));
    let text = scsi.exception_text.as_deref();
    assert_eq!(text, Some("FAILURE PREDICTION THRESHOLD EXCEEDED"));
    assert_eq!(
        (scsi.grown_defects, scsi.non_medium_errors),
        (Some(117), Some(23))
    );
    assert_eq!(
        (scsi.pending_defects, scsi.trip_temperature_c),
        (Some(3), Some(65))
    );
    let read = scsi.read.unwrap();
    assert_eq!(
        (read.corrected, read.uncorrected),
        (Some(1_941_077_377), Some(5))
    );
    assert_eq!(read.bytes, Some(47_812_883_000_000));
    assert_eq!(scsi.write.unwrap().retried, Some(7));
    assert_eq!(scsi.verify, None);
    let scan = scsi.background_scan.unwrap();
    assert_eq!(scan.status, "halted due to fatal error");
    assert_eq!(
        (scan.medium_errors, scan.not_reassigned),
        (Some(2), Some(1))
    );
    let log = facts.self_tests.unwrap();
    let seen: Vec<_> = log
        .entries
        .iter()
        .map(|one| (one.kind, one.hours, one.lba))
        .collect();
    use SelfTestKind::{Extended, Short};
    let long = (Extended, Some(16_501), Some(268_435));
    assert_eq!(
        seen,
        [
            long,
            (Short, Some(16_400), None),
            (Extended, Some(16_300), None)
        ]
    );
    assert!(matches!(log.entries[0].result, SelfTestResult::Failed(_)));
    assert_eq!(log.entries[1].result, SelfTestResult::Passed);
    assert_eq!(log.entries[2].result, SelfTestResult::Aborted);
    assert_eq!(log.extended_minutes, Some(61));
}

/// smartctl 7.4 of an NVMe disk, in a locale that groups with dots.
const NVME: &str = "\
smartctl 7.4 2023-08-01 r5530 [x86_64-linux-6.1.0] (local build)
=== START OF INFORMATION SECTION ===
Model Number:                       Some NVMe
Serial Number:                      --
Total NVM Capacity:                 1.600.321.314.816 [1,60 TB]
Namespace 1 Formatted LBA Size:     512
Warning  Comp. Temp. Threshold:     84 Celsius
Critical Comp. Temp. Threshold:     88 Celsius
Supported Power States
St Op     Max   Active     Idle   RL RT WL WT  Ent_Lat  Ex_Lat
 0 +     9.00W       -        -    0  0  0  0        0       0
=== START OF SMART DATA SECTION ===
SMART overall-health self-assessment test result: FAILED!
- available spare has fallen below threshold
SMART/Health Information (NVMe Log 0x02)
Critical Warning:                   0x05
Temperature:                        37 Celsius
Available Spare:                    4%
Available Spare Threshold:          10%
Percentage Used:                    255%
Data Units Read:                    89.878.440 [46,0 TB]
Power On Hours:                     11.923
Unsafe Shutdowns:                   63
Media and Data Integrity Errors:    18.446.744.073.709.551.615
Error Information Log Entries:      54
Warning  Comp. Temperature Time:    7
Critical Comp. Temperature Time:    2
Error Information (NVMe Log 0x01, 16 of 64 entries)
Num   ErrCount  SQId   CmdId  Status  PELoc          LBA  NSID    VS  Message
  0         54     0  0x001f  0x4004  0x028            0     1     -  Invalid Field in Command
Self-test Log (NVMe Log 0x06)
Self-test status: Extended self-test in progress (28% completed)
Num  Test_Description  Status                       Power_on_Hours  Failing_LBA  NSID Seg SCT Code
 0   Extended          Completed: failed segments            11900       123456     1   7   -    -
 1   Short             Aborted: Controller Reset             11800            -     -   -   -    -
 2   Short             Completed without error               11700            -     -   -   -    -
";

#[test]
fn an_nvme_report_is_read_whole_in_any_locale() {
    let facts = facts(NVME);
    assert_eq!(facts.protocol, Protocol::Nvme);
    assert_eq!(facts.assessment, Assessment::Failed);
    assert_eq!(
        (facts.identity.serial.as_str(), facts.identity.size),
        ("", Some(Bytes(1_600_321_314_816)))
    );
    assert_eq!(
        (facts.power_on_hours, facts.temperature_c),
        (Some(11_923), Some(37))
    );
    let nvme = facts.nvme.unwrap();
    assert_eq!(
        (nvme.critical_warning, nvme.available_spare),
        (Some(5), Some(4))
    );
    assert_eq!(
        (nvme.percentage_used, nvme.media_errors),
        (Some(255), Some(u64::MAX))
    );
    assert_eq!(nvme.data_units_read, Some(89_878_440));
    assert_eq!(
        (nvme.warning_temperature_c, nvme.critical_temperature_c),
        (Some(84), Some(88))
    );
    assert_eq!(
        (
            nvme.warning_temperature_minutes,
            nvme.critical_temperature_minutes
        ),
        (Some(7), Some(2))
    );
    assert_eq!(nvme.errors.len(), 1);
    let log = facts.self_tests.unwrap();
    assert_eq!((log.running, log.entries.len()), (Some(72), 3));
    assert_eq!(
        log.entries[0].result,
        SelfTestResult::Failed("failed segments".into())
    );
    assert_eq!(
        (log.entries[0].hours, log.entries[0].lba),
        (Some(11_900), Some(123_456))
    );
    assert_eq!(log.entries[1].result, SelfTestResult::Aborted);
}

#[test]
fn trouble_is_told_and_nothing_is_made_up() {
    let facts = facts(
        "smartctl 7.3 2022-02-28 r5338 [x86_64-linux-5.10] (local build)\n\
         Smartctl open device: /dev/sda failed: Permission denied\n",
    );
    assert_eq!(facts.protocol, Protocol::Unknown);
    assert_eq!(facts.assessment, Assessment::NotSaid);
    assert_eq!(
        facts.missed,
        ["Smartctl open device: /dev/sda failed: Permission denied"]
    );
    assert!(facts.ata.is_none() && facts.nvme.is_none() && facts.scsi.is_none());
}

#[test]
fn another_format_is_refused_with_what_to_use() {
    let refused = |text: &str| read(text.as_bytes(), "x.txt").unwrap_err();
    assert!(matches!(
        refused("  {\"smartctl\": {}}"),
        CaptureError::JsonGiven { .. }
    ));
    assert!(matches!(
        refused("hello\nworld: 1\n"),
        CaptureError::NotAReport { .. }
    ));
    let twice = format!("{OLD_ATA}{SAS}");
    assert!(matches!(
        refused(&twice),
        CaptureError::Several { count: 2, .. }
    ));
    let words = refused("{}").to_string();
    assert_eq!(
        words,
        "x.txt is JSON, not the text of smartctl: give it to --smartctl-json"
    );
}

#[test]
fn bytes_that_are_no_text_do_no_harm() {
    let mut bytes = OLD_ATA.as_bytes().to_vec();
    bytes.splice(300..300, [0xff, 0xfe, 0x00, 0x1b, b'[', b'3', b'1', b'm']);
    bytes.extend(vec![b'9'; 100_000]);
    let facts = read(&bytes, "x").unwrap();
    assert_eq!(facts.ata.unwrap().attributes.len(), 7);
    let who = facts.identity;
    assert!(
        [who.model, who.serial, who.revision]
            .iter()
            .all(|text| text.is_ascii())
    );
}
