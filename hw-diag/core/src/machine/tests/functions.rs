// SPDX-License-Identifier: Apache-2.0
//! PCI functions and the kernel's log.

use super::lines;
use crate::machine::*;
use groundstate_api::health::Verdict;

pub(super) fn nvme() -> PciFunction {
    PciFunction {
        address: "0000:3b:00.0".into(),
        slot: "7".into(),
        vendor: 0x144d,
        device: 0xa80a,
        class: 0x01_08_02,
        driver: Some("nvme".into()),
        claimed_by: Some(vec!["nvme".into()]),
        link: Some(PcieLink {
            speed: 16_000,
            speed_max: 16_000,
            width: 4,
            width_max: 4,
        }),
        aer: Some(Aer::default()),
        ..PciFunction::default()
    }
}

fn with_pci(change: impl FnOnce(&mut PciFunction)) -> MachineFacts {
    let mut function = nvme();
    change(&mut function);
    MachineFacts {
        pci: vec![function],
        ..MachineFacts::default()
    }
}

#[test]
fn pci_functions() {
    assert_eq!(lines(&with_pci(|_| {})), [""; 0]);
    let no_driver = |change: fn(&mut PciFunction)| {
        with_pci(|f| {
            f.driver = None;
            change(f);
        })
    };
    let no = "warn 0000:3b:00.0 pci-no-driver: the storage controller 144d:a80a has no driver";
    for (facts, step) in [
        (
            no_driver(|_| {}),
            "load it: `modprobe nvme`; if that fails, look at the kernel's log",
        ),
        (
            no_driver(|f| f.loaded = vec!["nvme".into()]),
            "look at the kernel's lines on this address; reseat the card, then update its firmware",
        ),
        (
            no_driver(|f| f.claimed_by = Some(vec![])),
            "look 144d:a80a up in the PCI ID repository (pci-ids.ucw.cz), and find its maker's driver",
        ),
    ] {
        assert_eq!(lines(&facts), [no]);
        assert_eq!(judge(&facts)[0].findings[0].next_step, step);
    }
    let known = no_driver(|f| {
        f.claimed_by = Some(vec![]);
        (f.vendor, f.device, f.class) = (0x14e4, 0x168e, 0x02_00_00);
    });
    assert_eq!(
        judge(&known)[0].findings[0].next_step,
        "module bnx2x of Debian's kernel drives it: use a kernel or boot image that has bnx2x"
    );
    // A virtual function belongs to a guest; a bridge is nothing to pull.
    let guest = no_driver(|f| f.virtual_function = true);
    assert!(judge(&guest).is_empty());
    // A display is told where a module could have it, and nothing is said where none does.
    assert_eq!(lines(&no_driver(|f| f.class = 0x03_00_00)).len(), 1);
    let display = judge(&no_driver(|f| f.class = 0x03_00_00));
    assert_eq!(display[0].verdict, Verdict::Ok);
    let wifi = no_driver(|f| (f.class, f.claimed_by) = (0x02_80_00, Some(vec![])));
    assert_eq!(lines(&wifi), [""; 0]);
    let bare = no_driver(|f| (f.class, f.claimed_by) = (0x03_00_00, Some(vec![])));
    assert_eq!(lines(&bare), [""; 0]);
    assert!(judge(&no_driver(|f| f.class = 0x06_04_00)).is_empty());
}

#[test]
fn pci_links_and_errors() {
    let link = |speed, width| {
        Some(PcieLink {
            speed,
            speed_max: 16_000,
            width,
            width_max: 4,
        })
    };
    let slow = "warn 0000:3b:00.0 pci-link-degraded: its link runs with 2.5 GT/s on 4 lanes where both ends can do 16.0 GT/s on 4 lanes";
    assert_eq!(lines(&with_pci(|f| f.link = link(2_500, 4))), [slow]);
    let narrow = "warn 0000:3b:00.0 pci-link-degraded: its link runs with 16.0 GT/s on 2 lanes where both ends can do 16.0 GT/s on 4 lanes";
    assert_eq!(lines(&with_pci(|f| f.link = link(16_000, 2))), [narrow]);
    // A graphics processor idles slowly but on all its lanes; a sleeping disk may be slow.
    for quiet in [
        with_pci(|f| (f.link, f.class) = (link(2_500, 4), 0x03_02_00)),
        with_pci(|f| (f.link, f.suspended) = (link(2_500, 4), true)),
        with_pci(|f| f.link = link(0, 0)),
    ] {
        assert_eq!(lines(&quiet), [""; 0]);
    }
    assert_eq!(
        lines(&with_pci(
            |f| (f.link, f.class) = (link(2_500, 2), 0x03_02_00)
        ))
        .len(),
        1
    );
    let aer = |change: fn(&mut Aer)| {
        with_pci(|f| {
            let mut aer = Aer::default();
            change(&mut aer);
            f.aer = Some(aer);
        })
    };
    assert_eq!(
        lines(&aer(|a| a.corrected = vec![("RxErr".into(), 99)])),
        [""; 0]
    );
    assert_eq!(
        lines(&aer(|a| a.nonfatal = vec![("UnsupReq".into(), 9)])),
        [""; 0]
    );
    let many = aer(|a| {
        a.corrected = vec![("RxErr".into(), u64::MAX), ("BadTLP".into(), 7)];
        a.nonfatal = vec![("CmpltTO".into(), 1)];
        a.fatal = vec![("SDES".into(), 2)];
    });
    assert_eq!(
        lines(&many),
        [
            "fail 0000:3b:00.0 pci-errors-fatal: its link broke down 2 times",
            "warn 0000:3b:00.0 pci-errors-uncorrected: it reported 1 errors that could not be corrected",
            "warn 0000:3b:00.0 pci-errors-corrected: its link corrected 18446744073709551615 errors",
        ]
    );
}

#[test]
fn texts_of_sysfs() {
    assert_eq!(transfers_per_second("8.0 GT/s PCIe\n"), 8_000);
    assert_eq!(transfers_per_second("2.5 GT/s"), 2_500);
    assert_eq!(transfers_per_second("Unknown"), 0);
    assert_eq!(transfers_per_second("99999999999.9 GT/s"), 0);
    let counters = aer_counters("RxErr 3\nBadTLP 0\nTOTAL_ERR_COR 3\njunk\n");
    assert_eq!(counters, [("RxErr".to_string(), 3)]);
    let alias = "pci:v0000144Dd0000A80Asv0000144Dsd0000A801bc01sc08i02";
    assert!(matches_modalias("pci:v*d*sv*sd*bc01sc08i02*", alias));
    assert!(matches_modalias(
        "pci:v0000144Dd0000A8*sv*sd*bc*sc*i*",
        alias
    ));
    assert!(!matches_modalias(
        "pci:v0000144Dd0000A80Bsv*sd*bc*sc*i*",
        alias
    ));
    assert!(matches_modalias("a[0-3x]?", "axz") && matches_modalias("a[0-3x]?", "a2z"));
    assert!(!matches_modalias("a[0-3x]?", "a4z") && !matches_modalias("a[0-3", "a2"));
    assert!(matches_modalias("*", "") && matches_modalias("", "") && !matches_modalias("", "a"));
    // Many stars against a long text that does not fit end at once.
    assert!(!matches_modalias(&"*a".repeat(40), &"a".repeat(39)));
}

#[test]
fn the_kernel_log() {
    let mut log = kernel_log::LogFacts::default();
    for line in [
        "bnx2x 0000:3b:00.0: Direct firmware load for bnx2x/bnx2x-e2-7.13.21.0.fw failed with error -2",
        "bnx2x 0000:3b:00.0: Direct firmware load for bnx2x/bnx2x-e2-7.13.21.0.fw failed with error -2",
        "firmware_class: firmware: failed to load regulatory.db (-2)",
        "Direct firmware load for a.bin failed with error -11",
        "mce: [Hardware Error]: CPU 3: Machine Check: 0 Bank 7: 8c00004000010090",
        "nvme 0000:3c:00.0: probe failed with error -5\u{1b}[31m",
    ] {
        log.take(line);
    }
    assert_eq!(log.missing_firmware.len(), 2);
    assert_eq!(
        log.missing_firmware[0].device.as_deref(),
        Some("0000:3b:00.0")
    );
    let mut facts = with_pci(|_| {});
    facts.pci.push(PciFunction {
        address: "0000:3c:00.0".into(),
        driver: None,
        loaded: vec!["nvme".into()],
        ..nvme()
    });
    facts.log = log;
    assert_eq!(
        lines(&facts),
        [
            "warn 0000:3b:00.0 pci-firmware-missing: its driver did not find the firmware file bnx2x/bnx2x-e2-7.13.21.0.fw",
            "warn 0000:3c:00.0 pci-no-driver: the storage controller 144d:a80a has no driver",
            "warn kernel log machine-check: the processor or the firmware reported hardware errors since boot",
            "ok kernel log firmware-file-missing: a driver did not find the firmware file regulatory.db",
        ]
    );
    let reports = judge(&facts);
    assert!(reports[0].findings[0].next_step.contains("firmware-bnx2x"));
    let evidence = &reports[1].findings[0].evidence;
    assert_eq!(
        evidence[2],
        "nvme 0000:3c:00.0: probe failed with error -5?[31m"
    );
}
