// SPDX-License-Identifier: Apache-2.0
//! Facts in, findings out: each line is what a technician reads.

use super::*;
use groundstate_api::health::Verdict;

/// Every finding as one line: verdict, device, code, sentence.
fn lines(facts: &MachineFacts) -> Vec<String> {
    let mut lines = Vec::new();
    for report in judge(facts) {
        for f in &report.findings {
            assert!(!f.next_step.is_empty());
            let known = crate::catalogue::find(&f.code);
            assert!(known.is_some(), "{} is not in the catalogue", f.code);
            let verdict = f.verdict.as_str();
            lines.push(format!(
                "{verdict} {} {}: {}",
                report.device, f.code, f.what
            ));
        }
    }
    lines
}

fn package(id: u32) -> Package {
    Package {
        id,
        vendor: "GenuineIntel".into(),
        model: "Xeon X".into(),
        cores: 8,
        threads: 16,
        microcode: vec!["0x2b000603".into()],
        flags: vec!["vmx".into(), "aes".into()],
        package_throttles: Some(0),
        core_throttles: Some(0),
    }
}

fn socket(name: &str) -> Socket {
    Socket {
        name: name.into(),
        populated: true,
        status: SocketStatus::Enabled,
        cores: Some(8),
        cores_enabled: Some(8),
        serial: format!("SER-{name}"),
        ..Socket::default()
    }
}

fn with_cpu(change: impl FnOnce(&mut CpuFacts)) -> MachineFacts {
    let mut cpu = CpuFacts {
        packages: vec![package(0), package(1)],
        present: (0..32).collect(),
        online: (0..32).collect(),
        smt: "on".into(),
        sockets: vec![socket("CPU1"), socket("CPU2")],
        ..CpuFacts::default()
    };
    change(&mut cpu);
    MachineFacts {
        cpu: Some(cpu),
        ..MachineFacts::default()
    }
}

#[test]
fn processors() {
    let healthy = with_cpu(|_| {});
    assert_eq!(lines(&healthy), [""; 0]);
    let reports = judge(&healthy);
    assert_eq!(
        (reports[1].device.as_str(), reports[1].place.slot.as_str()),
        ("cpu1", "CPU2")
    );
    assert_eq!(reports[1].place.serial, "SER-CPU2");
    for (facts, wanted) in [
        (
            with_cpu(|c| c.online.retain(|n| *n != 5)),
            "warn cpus cpu-thread-offline: the logical processor cpu5 is there and does not run",
        ),
        (
            with_cpu(|c| {
                c.online.truncate(16);
                c.smt = "off".into();
            }),
            "ok cpus cpu-smt-off: 16 logical processors are there and do not run",
        ),
        (
            with_cpu(|c| {
                c.packages.truncate(1);
                c.present.truncate(16);
                c.online.truncate(16);
            }),
            "fail cpus cpu-missing: the firmware has 2 processors in their sockets, and the kernel runs on 1",
        ),
        (
            with_cpu(|c| {
                c.packages.truncate(1);
                c.sockets[1].status = SocketStatus::DisabledByFirmware;
            }),
            "fail CPU2 cpu-socket-failed: the firmware has switched off the processor in CPU2 after an error in its self-test",
        ),
        (
            with_cpu(|c| {
                c.packages.truncate(1);
                c.sockets[1].status = SocketStatus::DisabledByUser;
            }),
            "warn CPU2 cpu-socket-off: the processor in CPU2 is switched off in the firmware's setup",
        ),
        (
            with_cpu(|c| c.packages[1].microcode = vec!["0x2b0001b0".into()]),
            "warn cpu1 cpu-microcode-differs: its microcode 0x2b0001b0 is older than 0x2b000603, which its like in this machine has",
        ),
        (
            with_cpu(|c| c.packages[1].model = "Xeon Y".into()),
            "warn cpu1 cpu-model-differs: the processors of this machine are not of one model",
        ),
        (
            with_cpu(|c| c.packages[0].core_throttles = Some(u64::MAX)),
            "warn cpu0 cpu-throttled: the processor was slowed down by heat",
        ),
        (
            with_cpu(|c| c.packages[0].cores = 7),
            "warn cpu0 cpu-cores-missing: fewer cores run than the firmware has enabled",
        ),
        (
            with_cpu(|c| {
                c.sockets[0].cores_enabled = Some(4);
                c.packages[0].cores = 4;
            }),
            "ok cpu0 cpu-cores-off: the firmware has enabled only some of its cores",
        ),
        (
            with_cpu(|c| c.packages[0].flags = vec!["aes".into()]),
            "ok cpu0 cpu-no-virtualisation: virtualisation is switched off",
        ),
    ] {
        assert_eq!(lines(&facts), [wanted]);
    }
}

#[test]
fn lists_of_processors() {
    assert_eq!(cpu_list("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
    assert_eq!(cpu_list(""), Some(vec![]));
    for bad in ["3-1", "0-99999999", "x", "0-8191,0-8191"] {
        assert_eq!(cpu_list(bad), None, "{bad}");
    }
}

fn nvme() -> PciFunction {
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
    // A virtual function belongs to a guest; a display without a driver is told only; a bridge not at all.
    let guest = no_driver(|f| f.virtual_function = true);
    assert!(judge(&guest).is_empty());
    assert_eq!(
        judge(&no_driver(|f| f.class = 0x03_00_00))[0].verdict,
        Verdict::Ok
    );
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

fn with_nic(change: impl FnOnce(&mut NicFacts)) -> MachineFacts {
    let mut nic = NicFacts {
        name: "eno1".into(),
        driver: "igb".into(),
        up: true,
        link: true,
        speed_mbps: Some(1_000),
        duplex: Duplex::Full,
        carrier_changes: Some(2),
        ..NicFacts::default()
    };
    change(&mut nic);
    MachineFacts {
        nics: vec![nic],
        ..MachineFacts::default()
    }
}

#[test]
fn network_interfaces() {
    assert_eq!(lines(&with_nic(|_| {})), [""; 0]);
    let counter = |name: &str, value: u64, packets: u64| {
        with_nic(|n| {
            n.counters.extend([
                (name.to_string(), value),
                ("rx_packets".to_string(), packets),
            ])
        })
    };
    for (facts, wanted) in [
        (
            with_nic(|n| n.link = false),
            "ok eno1 nic-no-link: it has no link",
        ),
        (
            with_nic(|n| n.speed_mbps = Some(100)),
            "warn eno1 nic-slow-link: its link runs with 100 Mb/s only",
        ),
        (
            with_nic(|n| n.duplex = Duplex::Half),
            "warn eno1 nic-half-duplex: its link is half duplex",
        ),
        (
            counter("rx_crc_errors", 10, 1_000),
            "warn eno1 nic-crc-errors: 10 frames came in damaged since boot",
        ),
        (
            counter("tx_carrier_errors", 12, 0),
            "warn eno1 nic-carrier-errors: 12 frames could not be sent since boot because the link was lost",
        ),
        (
            with_nic(|n| n.carrier_changes = Some(51)),
            "warn eno1 nic-link-flaps: its link went up or down 51 times since boot",
        ),
    ] {
        assert_eq!(lines(&facts), [wanted]);
    }
    // Ten bad frames in a hundred million are what Ethernet promises; a virtual port says any speed.
    assert_eq!(lines(&counter("rx_crc_errors", 10, 200_000_000)), [""; 0]);
    let virtual_port = with_nic(|n| (n.driver, n.speed_mbps) = ("virtio_net".into(), Some(10)));
    assert_eq!(lines(&virtual_port), [""; 0]);
}

fn with_sensor(chip: &str, sensor: HwmonSensor) -> MachineFacts {
    let chip = HwmonChip {
        hwmon: "hwmon1".into(),
        name: chip.into(),
        sensors: vec![sensor],
        ..HwmonChip::default()
    };
    MachineFacts {
        sensors: vec![chip],
        ..MachineFacts::default()
    }
}

#[test]
fn sensors_that_the_kernel_reads() {
    let core = |input| HwmonSensor {
        name: "temp1".into(),
        label: "Package id 0".into(),
        input: Some(input),
        max: Some(80_000),
        critical: Some(100_000),
        ..HwmonSensor::default()
    };
    assert_eq!(lines(&with_sensor("coretemp", core(45_000))), [""; 0]);
    let hot = "warn hwmon1 coretemp sensor-hot: Package id 0 is hotter than it should be";
    assert_eq!(lines(&with_sensor("coretemp", core(80_000))), [hot]);
    let critical = "fail hwmon1 coretemp sensor-critical-temperature: Package id 0 is at its critical temperature";
    assert_eq!(lines(&with_sensor("coretemp", core(100_000))), [critical]);
    // An open diode, and a board's chip whose limits nobody set.
    assert_eq!(lines(&with_sensor("coretemp", core(i64::MAX))), [""; 0]);
    assert_eq!(lines(&with_sensor("nct6779", core(100_000))), [""; 0]);
    // The disk's own report has it.
    assert!(judge(&with_sensor("nvme", core(100_000))).is_empty());
    let fan = |input, min, fault| HwmonSensor {
        name: "fan1".into(),
        kind: HwmonKind::Fan,
        input: Some(input),
        min,
        fault,
        ..HwmonSensor::default()
    };
    let stopped = "fail hwmon1 fan1 fan-stopped: fan1 does not turn";
    assert_eq!(
        lines(&with_sensor("dell_smm", fan(0, Some(600), false))),
        [stopped]
    );
    assert_eq!(
        lines(&with_sensor("nct6779", fan(0, None, true))),
        [stopped]
    );
    let slow = "warn hwmon1 fan1 fan-slow: fan1 turns too slowly";
    assert_eq!(
        lines(&with_sensor("dell_smm", fan(500, Some(600), false))),
        [slow]
    );
    // A header without a fan.
    assert_eq!(
        judge(&with_sensor("nct6779", fan(0, Some(600), false))).len(),
        1
    );
}

#[test]
fn clocks() {
    const NOW: i64 = 1_800_000_000;
    let clock = |rtc: Option<i64>, reference| MachineFacts {
        clock: Some(ClockFacts {
            name: "rtc_cmos".into(),
            rtc,
            system: NOW,
            reference,
        }),
        ..MachineFacts::default()
    };
    let skewed = |by| lines(&clock(Some(NOW + by), Some(NOW)));
    assert_eq!(skewed(2), [""; 0]);
    assert_eq!(
        skewed(-60),
        ["ok rtc0 clock-drift: the real-time clock is 60 s behind"]
    );
    assert_eq!(
        skewed(61),
        ["warn rtc0 clock-skew: the real-time clock is 61 s ahead"]
    );
    let zone = clock(Some(NOW + 7_203), Some(NOW));
    assert!(judge(&zone)[0].findings[0].next_step.contains("local time"));
    let dead = "warn rtc0 clock-battery: the real-time clock has lost the time";
    assert_eq!(lines(&clock(Some(0), None)), [dead]);
    assert_eq!(lines(&clock(Some(i64::MIN), Some(i64::MAX))), [dead]);
    assert_eq!(
        lines(&clock(None, None)),
        ["unknown rtc0 clock-unreadable: the real-time clock cannot be read"]
    );
    // Nobody vouches for a time: no skew is known.
    assert_eq!(lines(&clock(Some(NOW + 900), None)), [""; 0]);
}

/// A structure with its strings.
fn structure(kind: u8, formatted: &[(usize, u8)], length: u8, strings: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0u8; usize::from(length)];
    (bytes[0], bytes[1], bytes[2]) = (kind, length, kind);
    for (at, value) in formatted {
        bytes[*at] = *value;
    }
    for string in strings {
        bytes.extend(string.as_bytes());
        bytes.push(0);
    }
    bytes.extend(if strings.is_empty() {
        &[0, 0][..]
    } else {
        &[0]
    });
    bytes
}

#[test]
fn what_the_firmware_says() {
    let table = [
        structure(
            0,
            &[(4, 1), (5, 2), (8, 3), (0x14, 2), (0x15, 13), (0x16, 0xff)],
            0x18,
            &["Vendor", "2.13.0", "05/07/2024"],
        ),
        structure(
            2,
            &[(4, 1), (5, 2), (7, 3)],
            0x0f,
            &["Maker", "Board", "B-SER"],
        ),
        structure(
            3,
            &[(4, 1), (7, 2), (9, 3), (0x0a, 3), (0x0b, 5)],
            0x15,
            &["Maker", "C-SER"],
        ),
        structure(
            4,
            &[
                (4, 1),
                (5, 3),
                (0x18, 0x43),
                (0x23, 0xff),
                (0x24, 0xff),
                (0x2a, 0),
                (0x2b, 1),
                (0x2c, 0),
                (0x2d, 1),
            ],
            0x30,
            &["CPU1"],
        ),
        structure(
            39,
            &[
                (5, 1),
                (6, 2),
                (8, 3),
                (0x0c, 0xee),
                (0x0d, 2),
                (0x0e, 0x82),
                (0x0f, 2),
            ],
            0x16,
            &["PSU 2", "PWR SPLY", "P-SER"],
        ),
        structure(38, &[], 0x10, &[]),
        structure(127, &[], 4, &[]),
    ];
    let firmware = FirmwareFacts::decode(&table.concat());
    assert_eq!(
        (
            firmware.version.as_str(),
            firmware.release.as_str(),
            firmware.controller_release.as_str()
        ),
        ("2.13.0", "2.13", "")
    );
    assert_eq!(
        (firmware.date.as_str(), firmware.has_bmc, firmware.has_tpm),
        ("05/07/2024", true, false)
    );
    assert_eq!(
        (firmware.sockets[0].status, firmware.sockets[0].cores),
        (SocketStatus::DisabledByFirmware, Some(256))
    );
    assert_eq!(
        (firmware.supplies[0].watts, firmware.supplies[0].status),
        (Some(750), 5)
    );
    let facts = MachineFacts {
        firmware: Some(firmware),
        ..MachineFacts::default()
    };
    assert_eq!(
        lines(&facts),
        [
            "warn machine chassis-state: the firmware called the machine's thermal state critical at the last start",
            "fail PSU 2 power-supply-state: the firmware calls this power supply critical",
        ]
    );
    for end in 0..table.concat().len() {
        let _ = FirmwareFacts::decode(&table.concat()[..end]);
    }
}

#[test]
fn facts_survive_a_capture() {
    let mut facts = with_cpu(|_| {});
    facts.pci = vec![nvme()];
    facts.nics = with_nic(|_| {}).nics;
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<MachineFacts>(&text).unwrap(), facts);
    let empty: MachineFacts = serde_json::from_str("{}").unwrap();
    assert_eq!(empty, MachineFacts::default());
    assert!(judge(&empty).is_empty());
}
