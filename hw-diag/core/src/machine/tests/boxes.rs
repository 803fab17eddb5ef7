// SPDX-License-Identifier: Apache-2.0
//! Sensors, clocks, firmware, and what a capture keeps.

use super::functions::nvme;
use super::lines;
use super::links::with_nic;
use super::processors::with_cpu;
use crate::machine::*;

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

/// Firmware, board, a hot chassis, a processor that failed its self-test, a critical power supply, a BMC.
fn table() -> Vec<u8> {
    let structures = [
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
    structures.concat()
}

#[test]
fn what_the_firmware_says() {
    let firmware = FirmwareFacts::decode(&table());
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
    for end in 0..table().len() {
        let _ = FirmwareFacts::decode(&table()[..end]);
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
