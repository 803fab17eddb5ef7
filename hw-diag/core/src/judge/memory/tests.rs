// SPDX-License-Identifier: Apache-2.0
//! The reports on DIMMs as a technician reads them.

use super::*;
use expect_test::expect;
use groundstate_api::health::{MemoryErrors, page};
use groundstate_api::site::ExpectedDimm;

fn dimm(slot: &str, bank: &str, gib: u64, serial: &str) -> Dimm {
    Dimm {
        slot: slot.into(),
        bank: bank.into(),
        size: (gib > 0).then(|| Bytes::gib(gib)),
        populated: gib > 0,
        kind: "DDR4".into(),
        speed: 3_200,
        manufacturer: if gib > 0 { "Maker" } else { "" }.into(),
        part_number: if gib > 0 { "P-1" } else { "" }.into(),
        serial: serial.into(),
        errors: None,
    }
}

/// Two DIMMs of one name in two banks, one of another name, an empty slot.
fn good() -> MemoryInfo {
    MemoryInfo {
        available: Bytes::mib(47 * 1024),
        configured: Bytes::gib(48),
        dimms: vec![
            dimm("D0", "P0", 16, "S-1"),
            dimm("D0", "P1", 16, "S-2"),
            dimm("E1", "P1", 16, "S-3"),
            dimm("E2", "P1", 0, ""),
        ],
    }
}

fn told(change: impl FnOnce(&mut MemoryInfo), expected: Option<&Hardware>) -> String {
    let mut seen = good();
    change(&mut seen);
    let day = Some(Millis::secs(24 * 3_600));
    page(&reports(&seen, expected, Some(&good()), day)).join("\n")
}

#[test]
fn a_good_machine_has_a_report_on_each_dimm() {
    expect![[r#"
        ok: 4 ok

        ok      DIMM D0 (P0): 16 GiB, Maker, part P-1, serial S-1
        ok      DIMM D0 (P1): 16 GiB, Maker, part P-1, serial S-2
        ok      DIMM E1: 16 GiB, Maker, part P-1, serial S-3
        ok      memory memory: 48 GiB"#]]
    .assert_eq(&told(|_| {}, None));
}

#[test]
fn a_dimm_that_vanished_is_named_with_all_that_was_known_of_it() {
    let emptied = |seen: &mut MemoryInfo| {
        seen.dimms[1] = dimm("D0", "P1", 0, "");
        seen.configured = Bytes::gib(32);
        seen.available = Bytes::gib(31);
    };
    expect![[r#"
        FAIL: 1 fail, 3 ok

        FAIL    DIMM D0 (P1): 16 GiB, Maker, part P-1, serial S-2
          the DIMM in slot D0 (P1) is missing [dimm-missing]
            seen:     the node's last good report expects 16 GiB in slot D0, serial S-2, Maker P-1
            seen:     SMBIOS says slot D0 (P1) is empty
            how sure: certain
            do now:   power the machine off, reseat or replace the DIMM in slot D0 (P1), and order the run again

        ok      DIMM D0 (P0): 16 GiB, Maker, part P-1, serial S-1
        ok      DIMM E1: 16 GiB, Maker, part P-1, serial S-3
        ok      memory memory: 32 GiB"#]].assert_eq(&told(emptied, None));
    let site = Hardware {
        dimms: vec![ExpectedDimm {
            slot: "E2".into(),
            size: "16GiB".into(),
            serial: Some("S-1".into()),
        }],
        disks: vec![],
    };
    expect![[r#"
        FAIL: 1 fail, 4 ok

        FAIL    DIMM E2: 16 GiB, serial S-1
          the DIMM in slot E2 is missing [dimm-missing]
            seen:     the site file expects 16 GiB in slot E2, serial S-1
            seen:     SMBIOS says slot E2 is empty
            seen:     serial S-1 sits in slot D0 (P0) now
            how sure: certain
            do now:   power the machine off, reseat or replace the DIMM in slot E2, and order the run again

        ok      DIMM D0 (P0): 16 GiB, Maker, part P-1, serial S-1
        ok      DIMM D0 (P1): 16 GiB, Maker, part P-1, serial S-2
        ok      DIMM E1: 16 GiB, Maker, part P-1, serial S-3
        ok      memory memory: 48 GiB"#]].assert_eq(&told(|_| {}, Some(&site)));
}

#[test]
fn swapped_modules_are_told_and_do_not_stop() {
    let swap = |seen: &mut MemoryInfo| {
        seen.dimms[0].serial = "S-3".into();
        seen.dimms[2].serial = "S-1".into();
    };
    expect![[r#"
        WARN: 2 warn, 2 ok

        WARN    DIMM D0 (P0): 16 GiB, Maker, part P-1, serial S-3
          the DIMM in slot D0 (P0) is serial S-3 instead of S-1 [dimm-replaced]
            seen:     the node's last good report expects 16 GiB in slot D0, serial S-1, Maker P-1
            seen:     SMBIOS says slot D0 (P0) holds 16 GiB, serial S-3, Maker P-1
            seen:     serial S-1 sits in slot E1 now
            how sure: certain
            do now:   if it was replaced, write the new serial number into the site file

        WARN    DIMM E1: 16 GiB, Maker, part P-1, serial S-1
          the DIMM in slot E1 is serial S-1 instead of S-3 [dimm-replaced]
            seen:     the node's last good report expects 16 GiB in slot E1, serial S-3, Maker P-1
            seen:     SMBIOS says slot E1 holds 16 GiB, serial S-1, Maker P-1
            seen:     serial S-3 sits in slot D0 (P0) now
            how sure: certain
            do now:   if it was replaced, write the new serial number into the site file

        ok      DIMM D0 (P1): 16 GiB, Maker, part P-1, serial S-2
        ok      memory memory: 48 GiB"#]]
    .assert_eq(&told(swap, None));
}

#[test]
fn counted_errors_are_judged_on_their_dimm() {
    let errors = |seen: &mut MemoryInfo| {
        let count = |corrected, uncorrected| {
            Some(MemoryErrors {
                corrected,
                uncorrected,
                since: None,
            })
        };
        seen.dimms[0].errors = count(3, 0);
        seen.dimms[1].errors = count(12, 1);
        seen.dimms[2].errors = count(0, 0);
    };
    expect![[r#"
        FAIL: 1 fail, 3 ok

        FAIL    DIMM D0 (P1): 16 GiB, Maker, part P-1, serial S-2
          the DIMM in slot D0 (P1) had 1 error that could not be corrected [dimm-uncorrected-errors]
            seen:     the memory controller counted 12 corrected and 1 uncorrected errors in 24 hours
            seen:     SMBIOS says slot D0 (P1) holds 16 GiB, serial S-2, Maker P-1
            seen:     one error that could not be corrected is data that was lost, and the next one may stop the machine
            how sure: certain
            do now:   power the machine off, replace the DIMM in slot D0 (P1), and order the run again
          the DIMM in slot D0 (P1) had 12 errors that were corrected [dimm-corrected-errors]
            seen:     the memory controller counted 12 corrected and 1 uncorrected errors in 24 hours
            seen:     SMBIOS says slot D0 (P1) holds 16 GiB, serial S-2, Maker P-1
            seen:     10 in 24 hours is where mcelog sounds the alarm too; in the large field study of Schroeder, Pinheiro and Weber (2009) most modules had none in a year, and those that had some were far more likely to lose data later
            how sure: likely
            do now:   look at the counters again tomorrow; when they grow, reseat the DIMM in slot D0 (P1), then replace it

        ok      DIMM D0 (P0): 16 GiB, Maker, part P-1, serial S-1
                  the DIMM in slot D0 (P0) had 3 errors that were corrected
        ok      DIMM E1: 16 GiB, Maker, part P-1, serial S-3
        ok      memory memory: 48 GiB"#]].assert_eq(&told(errors, None));
}

#[test]
fn a_module_of_unknown_size_does_not_make_the_kernel_have_too_much() {
    let unknown = |seen: &mut MemoryInfo| {
        seen.dimms[0].size = None;
        seen.configured = Bytes::gib(32);
    };
    let text = told(unknown, None);
    assert!(text.starts_with("UNKNOWN: 1 unknown, 3 ok"), "{text}");
    assert!(text.contains("[dimm-size-unknown]"), "{text}");
}

#[test]
fn words_for_no_serial_number_are_none() {
    for (said, is) in [
        ("00000000", false),
        ("--", false),
        ("Not Specified", false),
        ("NO DIMM", false),
        ("FFFFFFFF", false),
        ("0", false),
        ("0000000A", true),
        ("12345678", true),
    ] {
        assert_eq!(serial(&dimm("A", "", 8, said)).is_some(), is, "{said}");
    }
}
