// SPDX-License-Identifier: Apache-2.0
//! A BMC of the test's own, built from the specification's tables, and the walk through it.

use super::*;
use groundstate_api::health::{DeviceKind, Verdict};
use proptest::prelude::*;

/// A full sensor record (43.1). `factors`: M, B, the byte of both exponents; `limits` lower non-critical first.
fn full(
    number: u8,
    kind: u8,
    entity: (u8, u8),
    unit: u8,
    factors: (i16, i16, u8),
    name: &str,
) -> Vec<u8> {
    let mut r = vec![0u8; 48];
    (r[2], r[3], r[5], r[7]) = (0x51, 0x01, 0x20, number);
    (r[8], r[9], r[12], r[13]) = (entity.0, entity.1, kind, 0x01);
    // Readable limits: upper non-critical and critical, lower critical.
    r[18] = 0b01_1010;
    r[21] = unit;
    let (m, b, exponents) = factors;
    let [m0, m1] = m.to_le_bytes();
    let [b0, b1] = b.to_le_bytes();
    (r[24], r[25], r[26], r[27], r[29]) = (m0, m1 << 6, b0, b1 << 6, exponents);
    (r[37], r[38], r[40]) = (90, 80, 5);
    name_to(&mut r, 47, name);
    r
}

fn compact(
    number: u8,
    kind: u8,
    event_type: u8,
    entity: (u8, u8),
    share: u8,
    name: &str,
) -> Vec<u8> {
    let mut r = vec![0u8; 32];
    (r[2], r[3], r[5], r[7]) = (0x51, 0x02, 0x20, number);
    (r[8], r[9], r[12], r[13], r[23]) = (entity.0, entity.1, kind, event_type, share);
    // No analog reading.
    r[20] = 0xc0;
    name_to(&mut r, 31, name);
    r
}

fn name_to(record: &mut Vec<u8>, at: usize, name: &str) {
    record[at] = 0xc0 | u8::try_from(name.len()).unwrap();
    record.extend(name.as_bytes());
    record[4] = u8::try_from(record.len() - 5).unwrap();
}

fn locator(kind: u8, name: &str) -> Vec<u8> {
    let mut r = vec![0u8; 16];
    (r[2], r[3], r[12], r[13]) = (0x51, kind, 7, 1);
    name_to(&mut r, 15, name);
    r
}

/// One log entry: an assertion (or not) of a sensor-specific state.
fn logged(id: u16, at: u32, sensor: (u8, u8), data: [u8; 3], asserted: bool) -> Vec<u8> {
    let mut e = vec![0u8; 16];
    e[..2].copy_from_slice(&id.to_le_bytes());
    e[2] = 0x02;
    e[3..7].copy_from_slice(&at.to_le_bytes());
    (e[7], e[9], e[10], e[11]) = (0x20, 0x04, sensor.0, sensor.1);
    e[12] = if asserted { 0x6f } else { 0xef };
    e[13..].copy_from_slice(&data);
    e
}

/// A BMC: what it holds and how it is difficult.
#[derive(Clone)]
struct Bmc {
    records: Vec<Vec<u8>>,
    /// Number and answer to Get Sensor Reading; others answer "not present".
    readings: Vec<(u8, Vec<u8>)>,
    log: Vec<Vec<u8>>,
    /// The most bytes of a record in one answer.
    most: usize,
    /// Every so many requests the reservation is lost; 0 never.
    lost_every: u32,
    asked: u32,
    reservation: u16,
    /// Support bits in Get Device ID.
    support: u8,
}

impl Bmc {
    fn new() -> Self {
        Self {
            records: vec![
                full(1, 0x01, (3, 1), 1, (1, 0, 0), "CPU1 Temp"),
                // 12 V: 0.063 V a step; exponent -3 in the upper four bits.
                full(2, 0x02, (7, 1), 4, (63, 0, 0xd0), "12V"),
                full(3, 0x04, (29, 1), 18, (100, 0, 0), "FAN1"),
                compact(4, 0x08, 0x6f, (10, 1), 1, "PS1 Status"),
                compact(5, 0x08, 0x6f, (10, 2), 1, "PS2 Status"),
                compact(6, 0x0d, 0x6f, (4, 1), 2, "Drive"),
                locator(0x11, "Board"),
                locator(0x12, "BMC"),
                vec![0, 0, 0x51, 0xc0, 3, 1, 2, 3],
            ],
            readings: vec![
                (1, vec![45, 0xc0, 0xc0]),
                (2, vec![194, 0xc0, 0xc0]),
                (3, vec![58, 0xc0, 0xc0]),
                (4, vec![0, 0xc0, 0x01, 0x80]),
                (5, vec![0, 0xc0, 0x01, 0x80]),
                (6, vec![0, 0xc0, 0x01, 0x80]),
                (7, vec![0, 0xc0, 0x03, 0x80]),
            ],
            log: Vec::new(),
            most: 255,
            lost_every: 0,
            asked: 0,
            reservation: 1,
            support: 0x06,
        }
    }

    fn next_id(position: usize, count: usize) -> [u8; 2] {
        let next = position + 1;
        if next >= count {
            [0xff, 0xff]
        } else {
            u16::try_from(next + 1).unwrap().to_le_bytes()
        }
    }

    fn answer(&mut self, request: &Request) -> Vec<u8> {
        self.asked += 1;
        if self.lost_every > 0 && self.asked.is_multiple_of(self.lost_every) {
            self.reservation += 1;
        }
        match (request.netfn, request.command) {
            (0x06, 0x01) => vec![
                0,
                0x20,
                0x01,
                0x03,
                0x88,
                0x02,
                self.support,
                0x7c,
                0x2a,
                0,
                0x0c,
                0x09,
            ],
            (0x0a | 0x04, 0x22) => {
                let [low, high] = self.reservation.to_le_bytes();
                vec![0, low, high]
            }
            (0x0a, 0x23) | (0x04, 0x21) => self.record(&request.data),
            (0x04, 0x2d) => match self.readings.iter().find(|(n, _)| *n == request.data[0]) {
                Some((_, answer)) => [&[0][..], answer].concat(),
                None => vec![0xcb],
            },
            (0x0a, 0x40) => {
                let [low, high] = u16::try_from(self.log.len()).unwrap().to_le_bytes();
                vec![0, 0x51, low, high, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0x02]
            }
            (0x0a, 0x43) => self.entry(&request.data),
            _ => vec![0xc1],
        }
    }

    fn record(&self, data: &[u8]) -> Vec<u8> {
        let (offset, count) = (usize::from(data[4]), usize::from(data[5]));
        let reserved = u16::from_le_bytes([data[0], data[1]]) == self.reservation;
        if !reserved && offset > 0 {
            return vec![0xc5];
        }
        let id = usize::from(u16::from_le_bytes([data[2], data[3]]));
        let position = id.saturating_sub(1);
        let Some(record) = self.records.get(position) else {
            return vec![0xcb];
        };
        let count = if data[5] == 0xff {
            record.len() - offset
        } else {
            count
        };
        if count > self.most || offset + count > record.len() {
            return vec![0xca];
        }
        let next = Self::next_id(position, self.records.len());
        [&[0][..], &next, &record[offset..offset + count]].concat()
    }

    fn entry(&self, data: &[u8]) -> Vec<u8> {
        let id = u16::from_le_bytes([data[2], data[3]]);
        let id_of = |e: &Vec<u8>| u16::from_le_bytes([e[0], e[1]]);
        let position = match id {
            0 => Some(0),
            0xffff => self.log.len().checked_sub(1),
            id => self.log.iter().position(|e| id_of(e) == id),
        };
        let Some(position) = position else {
            return vec![0xcb];
        };
        let next = self
            .log
            .get(position + 1)
            .map_or([0xff, 0xff], |e| [e[0], e[1]]);
        [&[0][..], &next, &self.log[position]].concat()
    }

    fn walk(&mut self) -> (IpmiFacts, u32) {
        let mut walk = Walk::new();
        let mut requests = 0;
        while let Some(request) = walk.request() {
            requests += 1;
            assert!(requests < 20_000, "the walk does not end");
            let answer = self.answer(&request);
            walk.answer(&answer);
        }
        (walk.into_facts(), requests)
    }
}

fn names(facts: &IpmiFacts) -> Vec<String> {
    let value = |s: &Sensor| s.value_milli.map_or("-".into(), |v| v.to_string());
    let sensors = facts.sensors.iter();
    sensors
        .map(|s| format!("{} {} {}", s.name, value(s), s.unit).trim().into())
        .collect()
}

#[test]
fn a_bmc_is_read_in_whole_records_or_in_pieces_with_the_same_result() {
    let (whole, few) = Bmc::new().walk();
    assert_eq!(whole.missed, [""; 0]);
    assert_eq!(
        names(&whole),
        [
            "CPU1 Temp 45000 °C",
            "12V 12222 V",
            "FAN1 5800000 RPM",
            "PS1 Status -",
            "PS2 Status -",
            "Drive 1 -",
            "Drive 2 -"
        ]
        .map(str::to_owned)
    );
    let device = whole.device.clone().unwrap();
    assert_eq!(
        (
            device.firmware.as_str(),
            device.ipmi.as_str(),
            device.maker(),
            device.product
        ),
        ("3.88", "2.0", "Supermicro".into(), 0x090c)
    );
    assert_eq!(
        whole.sensors[0].limits_milli,
        [None, Some(5_000), None, Some(80_000), Some(90_000), None]
    );
    let locators: Vec<&str> = whole.locators.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(locators, ["Board", "BMC"]);
    for (most, lost_every) in [(40, 0), (16, 0), (5, 0), (16, 13), (255, 3)] {
        let mut bmc = Bmc {
            most,
            lost_every,
            ..Bmc::new()
        };
        let (pieces, many) = bmc.walk();
        assert_eq!(pieces, whole, "pieces of {most}, lost every {lost_every}");
        assert!(many >= few);
    }
}

#[test]
fn a_bmc_that_gives_no_pieces_or_loses_every_reservation_is_named_and_left() {
    let (facts, _) = Bmc {
        most: 2,
        ..Bmc::new()
    }
    .walk();
    assert_eq!(
        facts.missed,
        ["BMC: sensor record 0000h: the BMC cannot return this many bytes (completion code cah)"]
    );
    let (facts, _) = Bmc {
        most: 16,
        lost_every: 1,
        ..Bmc::new()
    }
    .walk();
    assert_eq!(
        facts.missed,
        [
            "BMC: sensor record 0000h: another program took the reservation again and again (completion code c5h)"
        ]
    );
    assert!(facts.log.is_some(), "the event log is read all the same");
    let mut walk = Walk::new();
    walk.give_up("no answer within 5 s");
    assert_eq!(walk.request(), None);
    assert_eq!(
        walk.into_facts().missed,
        ["BMC: its identity, sensors and event log were not read: no answer within 5 s"]
    );
}

#[test]
fn a_controller_without_a_repository_gives_its_own_records() {
    let (facts, _) = Bmc {
        support: 0x05,
        ..Bmc::new()
    }
    .walk();
    assert_eq!(names(&facts), names(&Bmc::new().walk().0));
}

#[test]
fn of_a_long_log_the_newest_entries_are_kept() {
    let entry = |n: u16| {
        logged(
            n,
            1_700_000_000 + u32::from(n),
            (0x0c, 9),
            [0x20, 0xff, n.to_le_bytes()[0]],
            true,
        )
    };
    let mut bmc = Bmc {
        log: (1..=700).map(entry).collect(),
        ..Bmc::new()
    };
    let (facts, requests) = bmc.walk();
    let ids: Vec<u16> = facts.log.unwrap().entries.iter().map(|e| e.id).collect();
    assert_eq!((ids.len(), ids[0], ids[511]), (512, 189, 700));
    // Ids with gaps: the jump finds nothing, so the walk goes from the beginning.
    let mut gaps = Bmc {
        log: (1..=700).map(|n| entry(n * 7)).collect(),
        ..Bmc::new()
    };
    let (facts, all) = gaps.walk();
    let ids: Vec<u16> = facts.log.unwrap().entries.iter().map(|e| e.id).collect();
    assert_eq!((ids.len(), ids[511]), (512, 4_900));
    assert!(all > requests);
    assert_eq!(facts.missed, [""; 0]);
}

/// 36.3 and 43.1, byte 24, by hand: M = 2, B = -3, K1 = 1, K2 = -1: (2x - 30) / 10.
#[test]
fn a_raw_byte_becomes_a_value() {
    let factors = Factors {
        analog: Analog::Unsigned,
        linearization: Linearization::Linear,
        m: 2,
        b: -3,
        b_exponent: 1,
        r_exponent: -1,
    };
    assert_eq!(factors.milli(100), Some(17_000));
    assert_eq!(factors.milli(0), Some(-3_000));
    let with = |analog, linearization, m| Factors {
        analog,
        linearization,
        m,
        b: 0,
        b_exponent: 0,
        r_exponent: 0,
    };
    let plain = |code| with(Analog::Unsigned, Linearization::of(code), 1);
    for (code, raw, milli) in [
        (1, 10, 2_303),
        (2, 100, 2_000),
        (3, 8, 3_000),
        (4, 2, 7_389),
        (5, 3, 1_000_000),
        (6, 10, 1_024_000),
        (7, 4, 250),
        (8, 12, 144_000),
        (9, 5, 125_000),
        (10, 16, 4_000),
        (11, 27, 3_000),
    ] {
        assert_eq!(plain(code).milli(raw), Some(milli), "function {code}");
    }
    // No number: ln 0, 1/0, 10^255; factors that differ from reading to reading.
    for (code, raw) in [(1, 0), (7, 0), (5, 255), (0x70, 5), (12, 5)] {
        assert_eq!(plain(code).milli(raw), None, "function {code}");
    }
    let linear = |analog, raw| with(analog, Linearization::Linear, 1).milli(raw);
    assert_eq!(linear(Analog::TwosComplement, 0xff), Some(-1_000));
    assert_eq!(linear(Analog::TwosComplement, 0x7f), Some(127_000));
    assert_eq!(linear(Analog::OnesComplement, 0xfe), Some(-1_000));
    assert_eq!(linear(Analog::None, 1), None);
}

#[test]
fn names_are_read_in_every_coding() {
    let named = |head: u8, raw: &[u8]| {
        let mut bytes = compact(1, 1, 0x6f, (1, 1), 1, "");
        bytes[31] = head | u8::try_from(raw.len()).unwrap();
        bytes.extend(raw);
        match record(&bytes) {
            Ok(Record::Sensor(sensor)) => sensor.name,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(named(0xc0, b"FAN\x1b1"), "FAN?1");
    // "IPMI" in 6-bit ASCII, as 43.15 gives it: 29h DCh A6h.
    assert_eq!(named(0x80, &[0x29, 0xdc, 0xa6]), "IPMI");
    assert_eq!(named(0x40, &[0x12, 0xc5]), "12.5");
    assert_eq!(named(0x00, b"A\0B\0"), "AB");
    let mut cut = compact(1, 1, 0x6f, (1, 1), 1, "long name");
    cut.truncate(35);
    assert!(matches!(record(&cut), Ok(Record::Sensor(s)) if s.name.is_empty()));
    cut.truncate(31);
    let short = NotSdr::Short {
        kind: 2,
        length: 31,
        wanted: 32,
    };
    assert_eq!(record(&cut), Err(short));
}

/// Every finding as one line: verdict, device, code, sentence.
fn lines(facts: &IpmiFacts, now: Option<i64>) -> Vec<String> {
    let reports = judge(facts, now, &[]);
    let of = |r: &groundstate_api::health::DeviceReport| {
        let device = r.device.clone();
        let each = r.findings.iter();
        let each =
            each.map(move |f| format!("{} {device} {}: {}", f.verdict.as_str(), f.code, f.what));
        each.collect::<Vec<_>>()
    };
    reports.iter().flat_map(of).collect()
}

#[test]
fn fans_and_power_supplies_are_named_and_one_faulty_bay_of_two_is_found() {
    let (facts, _) = Bmc::new().walk();
    let fault = "fail Drive 2 ipmi-drive: Drive 2: drive fault";
    assert_eq!(lines(&facts, Some(1_700_000_000)), [fault]);
    let reports = judge(&facts, None, &[]);
    let kinds: Vec<_> = reports
        .iter()
        .map(|r| (r.device.as_str(), r.kind, r.verdict))
        .collect();
    assert_eq!(
        kinds,
        [
            ("FAN1", DeviceKind::Fan, Verdict::Ok),
            ("PS1 Status", DeviceKind::PowerSupply, Verdict::Ok),
            ("PS2 Status", DeviceKind::PowerSupply, Verdict::Ok),
            ("Drive 2", DeviceKind::Sensor, Verdict::Fail),
            ("bmc", DeviceKind::Bmc, Verdict::Ok),
        ]
    );
    assert_eq!(reports[0].figures["turns_per_minute"], 5_800);
}

#[test]
fn what_a_sensor_says_now_is_judged() {
    let mut bmc = Bmc::new();
    bmc.readings = vec![
        // Above upper critical and upper non-critical.
        (1, vec![95, 0xc0, 0x18]),
        // Below lower critical.
        (3, vec![2, 0xc0, 0x03]),
        // Present, input lost.
        (4, vec![0, 0xc0, 0x09, 0x80]),
        // An empty bay: nothing is set; not a fault.
        (5, vec![0, 0xc0, 0x00, 0x80]),
        // Not scanned: nothing is believed.
        (6, vec![0, 0x80, 0x02, 0x80]),
        (7, vec![0, 0xe0, 0x02, 0x80]),
    ];
    let (facts, _) = bmc.walk();
    assert_eq!(
        lines(&facts, None),
        [
            "fail CPU1 Temp ipmi-temperature: CPU1 Temp is above its upper critical limit",
            "fail FAN1 ipmi-fan: FAN1 is below its lower critical limit",
            "fail PS1 Status ipmi-power-supply: PS1 Status: power supply has lost its input",
        ]
    );
    let reports = judge(&facts, None, &[]);
    assert_eq!(
        reports[0].findings[0].evidence,
        [
            "it reads 95.000 °C",
            "lower critical limit 5.000 °C",
            "upper limit 80.000 °C",
            "upper critical limit 90.000 °C"
        ]
    );
    assert!(reports.iter().all(|r| r.device != "PS2 Status"));
}

#[test]
fn the_log_names_memory_modules_and_forgets_what_is_old_or_gone() {
    const NOW: i64 = 1_700_000_000;
    let now = u32::try_from(NOW).unwrap();
    let day = 86_400;
    let mut bmc = Bmc::new();
    bmc.log = vec![
        // Uncorrectable, module 3, 40 days ago: too old.
        logged(1, now - 40 * day, (0x0c, 9), [0x31, 0xff, 3], true),
        // Corrected twice, module 5.
        logged(2, now - 3 * day, (0x0c, 9), [0x30, 0xff, 5], true),
        logged(3, now - 2 * day, (0x0c, 9), [0x30, 0xff, 5], true),
        // Uncorrectable, module 5.
        logged(4, now - day, (0x0c, 9), [0x31, 0xff, 5], true),
        // A power supply lost its input and has it again.
        logged(5, now - day, (0x08, 4), [0x03, 0xff, 0xff], true),
        logged(6, now - day + 60, (0x08, 4), [0x03, 0xff, 0xff], false),
        // The clock was not set yet: of unknown age.
        logged(7, 77, (0x13, 8), [0x05, 0xff, 0xff], true),
        // The maker's own, and one without a meaning: neither is guessed.
        {
            let mut oem = logged(8, now, (0x0c, 9), [1, 2, 3], true);
            oem[2] = 0xc0;
            oem
        },
        logged(9, now, (0xc0, 9), [1, 2, 3], true),
    ];
    let (facts, _) = bmc.walk();
    let said: Vec<String> = lines(&facts, Some(NOW))
        .into_iter()
        .filter(|l| l.contains(" bmc "))
        .collect();
    assert_eq!(
        said,
        [
            "fail bmc bmc-log-memory: the event log says of sensor 9: memory: uncorrectable error, memory module 5 by the BMC's count",
            "warn bmc bmc-log-memory: the event log says of sensor 9: memory: corrected error, memory module 5 by the BMC's count, 2 times",
            "warn bmc bmc-log-event: the event log says of sensor 8: PCI system error (SERR)",
            "ok bmc bmc-log-power: the event log says of PS1 Status: power supply has lost its input; it has gone since",
        ]
    );
    let reports = judge(&facts, Some(NOW), &[]);
    let bmc = reports.last().unwrap();
    assert_eq!(
        bmc.findings[0].evidence,
        ["2023-11-13 22:13 UTC: sensor 9: memory: uncorrectable error, module 5 [data 31 ff 05]"]
    );
    assert_eq!(bmc.figures["log_entries"], 9);
    // Without a clock of ours nothing is certain enough to fail a machine.
    let undated = judge(&facts, None, &[]);
    assert_eq!(undated.last().unwrap().verdict, Verdict::Warn);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn mutated_answers(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..8)) {
        let mut bmc = Bmc::new();
        bmc.log = (1..40).map(|n| logged(n, 1_700_000_000, (0x0c, 9), [0x30, 0xff, 5], true)).collect();
        let mut walk = Walk::new();
        let mut requests = 0usize;
        while let Some(request) = walk.request() {
            requests += 1;
            prop_assert!(requests < 30_000, "the walk does not end");
            let mut answer = bmc.answer(&request);
            for (when, at, value, cut) in &changes {
                if when.index(60) == requests % 60 && !answer.is_empty() {
                    let at = at.index(answer.len());
                    if *cut { answer.truncate(at) } else { answer[at] = *value }
                }
            }
            walk.answer(&answer);
        }
        let facts = walk.into_facts();
        prop_assert!(facts.sensors.len() <= 1_024);
        prop_assert!(facts.sensors.iter().all(|s| s.name.bytes().all(|b| (b' '..=b'~').contains(&b))));
        let _ = judge(&facts, Some(i64::MIN), &[]);
        let _ = judge(&facts, Some(i64::MAX), &[]);
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = record(&bytes);
        let _ = DeviceId::decode(&bytes);
        if let Some(entry) = entry(&bytes) {
            prop_assert!(!entry.words(None).is_empty());
        }
    }
}
