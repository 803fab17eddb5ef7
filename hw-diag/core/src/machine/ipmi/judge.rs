// SPDX-License-Identifier: Apache-2.0
//! The verdict on what a BMC says: fans and power supplies each, other sensors where something is wrong, and the log.
//!
//! What a sensor says now rules. The log tells of the past: it can warn, and fails a machine only for memory errors that
//! could not be corrected, which no sensor shows afterwards. A state that has gone since is told, not blamed.

use super::event::{
    BATTERY, FAN, Grade, MEMORY, POWER_SUPPLY, SPECIFIC, TEMPERATURE, THRESHOLD, VOLTAGE, meaning,
    threshold_meaning,
};
use super::sel::{Moment, SelEntry, SelFacts};
use super::{IpmiFacts, Sensor};
use crate::machine::finding::{Kind, kind};
use crate::machine::firmware::PowerSupply;
use crate::machine::limits::SEL_WINDOW_SECONDS;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::health::{Advice, DeviceKind, DeviceReport, HealthFinding, Sureness, Verdict};

/// The most findings from the log: each is one sensor and event.
const LOG_FINDINGS_MAX: usize = 64;
/// Entity id of a power supply (43.14).
const ENTITY_POWER_SUPPLY: u8 = 0x0a;

/// The reports on a BMC's sensors and log. `now` is in seconds since 1970; without it events are of unknown age.
/// `supplies` are SMBIOS's words on power supplies.
#[must_use]
pub fn judge(facts: &IpmiFacts, now: Option<i64>, supplies: &[PowerSupply]) -> Vec<DeviceReport> {
    let mut reports = Vec::new();
    for sensor in facts.sensors.iter().filter(|s| s.available) {
        reports.extend(of_sensor(sensor, supplies));
    }
    reports.push(of_bmc(facts, now));
    reports
}

fn device_kind(sensor: &Sensor) -> DeviceKind {
    match sensor.kind {
        FAN => DeviceKind::Fan,
        POWER_SUPPLY => DeviceKind::PowerSupply,
        _ if sensor.entity.0 == ENTITY_POWER_SUPPLY => DeviceKind::PowerSupply,
        MEMORY => DeviceKind::Memory,
        0x07 => DeviceKind::Cpu,
        _ => DeviceKind::Sensor,
    }
}

fn of_sensor(sensor: &Sensor, supplies: &[PowerSupply]) -> Option<DeviceReport> {
    let findings: Vec<HealthFinding> = states(sensor)
        .into_iter()
        .filter(|(_, grade)| *grade > Grade::Info)
        .map(|(words, grade)| finding(sensor, words, grade))
        .collect();
    let supply_state = sensor.kind == POWER_SUPPLY && sensor.event_type == SPECIFIC;
    // A bay without a power supply has no state at all.
    let shown = (sensor.kind == FAN && sensor.event_type == THRESHOLD)
        || (supply_state && sensor.states != 0);
    if findings.is_empty() && !shown {
        return None;
    }
    let device = if sensor.name.is_empty() {
        format!("sensor {}", sensor.number)
    } else {
        sensor.name.clone()
    };
    let mut report = DeviceReport::new(device.clone(), device_kind(sensor), "IPMI", findings);
    report.place.slot = device;
    if report.kind == DeviceKind::PowerSupply {
        // The BMC's instances and the firmware's table count in the same order where both count all.
        let index = usize::from(sensor.entity.1).checked_sub(1);
        if let Some(supply) = index.and_then(|index| supplies.get(index)) {
            supply.put(&mut report.place);
        }
    }
    let name = match sensor.unit.as_str() {
        "RPM" => "turns_per_minute",
        "°C" => "temperature_celsius",
        "W" => "power_watts",
        "%" => "percent",
        "V" => "millivolts",
        _ => "",
    };
    let scale = if name == "millivolts" { 1 } else { 1_000 };
    if let Some(value) = sensor.value_milli.filter(|_| !name.is_empty()) {
        report.figures.extend([(name.to_string(), value / scale)]);
    }
    Some(report)
}

/// The states that hold now; of thresholds only the gravest on each side.
fn states(sensor: &Sensor) -> Vec<(&'static str, Grade)> {
    let set = |bit: &u8| sensor.states >> bit & 1 != 0;
    if sensor.event_type != THRESHOLD {
        let bits = (0..15u8).filter(set);
        let all = bits.filter_map(|bit| meaning(sensor.kind, sensor.event_type, bit));
        return all.collect();
    }
    let lower = (0..3u8).rev().find(set);
    let upper = (3..6u8).rev().find(set);
    let worst = lower.into_iter().chain(upper);
    worst.filter_map(threshold_meaning).collect()
}

fn thousandths(value: i64, unit: &str) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let (whole, rest) = (value.unsigned_abs() / 1_000, value.unsigned_abs() % 1_000);
    format!("{sign}{whole}.{rest:03} {unit}")
}

/// What to do about a sensor of each type.
fn to_do(sensor: &Sensor) -> (&'static str, Advice, &'static str) {
    match (device_kind(sensor), sensor.kind) {
        (DeviceKind::Fan, _) => (
            "ipmi-fan",
            Advice::Replace,
            "replace the fan; if a new one does the same, its connector or backplane",
        ),
        (DeviceKind::PowerSupply, _) => (
            "ipmi-power-supply",
            Advice::Replace,
            "look at its power cable and the socket behind it first; then pull the power supply and put in another",
        ),
        (DeviceKind::Memory, _) => (
            "ipmi-memory",
            Advice::Replace,
            "look at the event log for the module; reseat it, and replace it if it comes again",
        ),
        (DeviceKind::Cpu, _) => (
            "ipmi-processor",
            Advice::Look,
            "look at the event log; reseat the processor and its heat sink",
        ),
        (_, TEMPERATURE) => (
            "ipmi-temperature",
            Advice::Look,
            "look at fans, air ducts, filters and the room's temperature",
        ),
        (_, VOLTAGE) => (
            "ipmi-voltage",
            Advice::Replace,
            "swap the power supplies one by one; if it stays, the board's regulator or, for a battery's voltage, the battery",
        ),
        (_, BATTERY) => (
            "ipmi-battery",
            Advice::Replace,
            "replace the battery on the board or controller",
        ),
        (_, 0x0d) => (
            "ipmi-drive",
            Advice::Look,
            "look at the disk in this bay, and replace it if its own report agrees",
        ),
        (_, 0x13) => (
            "ipmi-critical-interrupt",
            Advice::Reseat,
            "look at the event log for the slot; reseat the card and its riser",
        ),
        _ => (
            "ipmi-sensor",
            Advice::Look,
            "look at the event log and the maker's manual for this sensor",
        ),
    }
}

fn finding(sensor: &Sensor, words: &str, grade: Grade) -> HealthFinding {
    let (code, advice, next) = to_do(sensor);
    let verdict = match grade {
        Grade::Info => Verdict::Ok,
        Grade::Warn => Verdict::Warn,
        Grade::Fail => Verdict::Fail,
    };
    let limits = [
        "lower",
        "lower critical",
        "lower non-recoverable",
        "upper",
        "upper critical",
        "upper non-recoverable",
    ];
    let mut seen: Vec<String> = Vec::new();
    if let Some(value) = sensor.value_milli {
        seen.push(format!("it reads {}", thousandths(value, &sensor.unit)));
        let known = limits.iter().zip(sensor.limits_milli);
        let lines = known.filter_map(|(name, limit)| {
            Some(format!(
                "{name} limit {}",
                thousandths(limit?, &sensor.unit)
            ))
        });
        seen.extend(lines);
    } else {
        seen.push(format!(
            "sensor {} of type {:02x}h/{:02x}h has states {:04x}h",
            sensor.number, sensor.kind, sensor.event_type, sensor.states
        ));
    }
    let what = if sensor.event_type == THRESHOLD {
        format!("{} is {words}", sensor.name)
    } else {
        format!("{}: {words}", sensor.name)
    };
    kind(code, verdict, Sureness::Certain, advice).says(what, seen, next)
}

fn of_bmc(facts: &IpmiFacts, now: Option<i64>) -> DeviceReport {
    let mut findings = Vec::new();
    if facts.device.as_ref().is_some_and(|device| device.busy) {
        let kind = kind("bmc-busy", Verdict::Warn, Sureness::Certain, Advice::Look);
        let next = "wait until its update or start is over; if it stays so, take the machine off mains power for a minute";
        findings.push(kind.says("the BMC is being updated or starts up", [], next));
    }
    if let Some(log) = &facts.log {
        findings.extend(full(log));
        findings.extend(events(facts, log, now));
    }
    if !facts.missed.is_empty() {
        let kind = kind(
            "bmc-not-read",
            Verdict::Unknown,
            Sureness::Certain,
            Advice::Look,
        );
        let next = "look again; if it stays so, restart the BMC (`ipmitool mc reset cold`) and update its firmware";
        findings.push(kind.says(
            "the BMC was not read in full",
            facts.missed.iter().cloned(),
            next,
        ));
    }
    let mut report = DeviceReport::new("bmc", DeviceKind::Bmc, "IPMI", findings);
    if let Some(device) = &facts.device {
        report.place.vendor = device.maker();
        report.place.model = format!("product {:04x}h, IPMI {}", device.product, device.ipmi);
        report.place.firmware.clone_from(&device.firmware);
    }
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    report
        .figures
        .extend([("sensors".to_string(), count(facts.sensors.len()))]);
    let total = facts.log.as_ref().map(|log| i64::from(log.total));
    report
        .figures
        .extend(total.map(|n| ("log_entries".to_string(), n)));
    report
}

fn full(log: &SelFacts) -> Option<HealthFinding> {
    if !log.overflow {
        return None;
    }
    let kind = kind(
        "bmc-log-full",
        Verdict::Warn,
        Sureness::Certain,
        Advice::Configure,
    );
    let next = "save the log and clear it (`ipmitool sel save FILE`, `ipmitool sel clear`)";
    let seen = [format!(
        "{} entries, {} bytes free",
        log.total, log.free_bytes
    )];
    Some(kind.says(
        "the BMC's event log is full, and events were lost",
        seen,
        next,
    ))
}

/// Events of one sensor and meaning.
struct Group<'a> {
    entries: Vec<&'a SelEntry>,
    words: &'static str,
    grade: Grade,
    /// Whether its newest entry says that the state has gone.
    gone: bool,
}

fn groups<'a>(log: &'a SelFacts, inside: &dyn Fn(&SelEntry) -> bool) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for entry in log.entries.iter().filter(|e| e.is_event() && inside(e)) {
        let found = meaning(entry.sensor_type, entry.event_type, entry.offset());
        let Some((words, grade)) = found.filter(|(_, grade)| *grade > Grade::Info) else {
            continue;
        };
        let key = |e: &SelEntry| {
            (
                e.sensor_type,
                e.sensor,
                e.event_type,
                e.offset(),
                e.module(),
            )
        };
        let same = |group: &&mut Group<'_>| {
            group
                .entries
                .first()
                .is_some_and(|first| key(first) == key(entry))
        };
        if let Some(group) = groups.iter_mut().find(same) {
            group.gone = !entry.asserted;
            if entry.asserted {
                group.entries.push(entry);
            }
        } else if entry.asserted && groups.len() < LOG_FINDINGS_MAX {
            let entries = Vec::from([entry]);
            groups.push(Group {
                entries,
                words,
                grade,
                gone: false,
            });
        }
    }
    groups
}

fn events(facts: &IpmiFacts, log: &SelFacts, now: Option<i64>) -> Vec<HealthFinding> {
    let inside = |entry: &SelEntry| match (entry.moment, now) {
        (Moment::At(at), Some(now)) => at >= now.saturating_sub(SEL_WINDOW_SECONDS),
        // Of unknown age: better told than forgotten.
        (Moment::At(_), None) | (Moment::SinceStart(_) | Moment::Unknown, _) => true,
    };
    groups(log, &inside)
        .iter()
        .map(|group| logged(facts, group, now.is_some()))
        .collect()
}

fn logged(facts: &IpmiFacts, group: &Group<'_>, dated: bool) -> HealthFinding {
    let newest = group.entries.last();
    let name = newest.and_then(|entry| facts.name_of(entry.sensor));
    let named = name.map_or_else(
        || newest.map_or_else(String::new, |entry| format!("sensor {}", entry.sensor)),
        str::to_string,
    );
    let known_age = dated && matches!(newest.map(|e| e.moment), Some(Moment::At(_)));
    let sensor_type = newest.map_or(0, |entry| entry.sensor_type);
    let module = newest.and_then(|entry| entry.module());
    let module = module.map(|n| format!(", memory module {n} by the BMC's count"));
    let times = match group.entries.len() {
        1 => String::new(),
        many => format!(", {many} times"),
    };
    let gone = if group.gone {
        "; it has gone since"
    } else {
        ""
    };
    let what = format!(
        "the event log says of {named}: {}{}{times}{gone}",
        group.words,
        module.unwrap_or_default()
    );
    let seen = group.entries.iter().rev().map(|entry| entry.words(name));
    log_kind(group, sensor_type, known_age).says(what, seen, log_next(sensor_type))
}

fn log_kind(group: &Group<'_>, sensor_type: u8, known_age: bool) -> Kind {
    let uncorrectable = sensor_type == MEMORY && group.grade == Grade::Fail;
    let sureness = if known_age {
        Sureness::Likely
    } else {
        Sureness::Hint
    };
    let (code, advice) = match sensor_type {
        MEMORY => ("bmc-log-memory", Advice::Replace),
        POWER_SUPPLY | 0x09 => ("bmc-log-power", Advice::Look),
        _ => ("bmc-log-event", Advice::Look),
    };
    let verdict = match (group.gone, uncorrectable, known_age) {
        (true, false, _) => Verdict::Ok,
        (_, true, true) => Verdict::Fail,
        (_, true, false) | (false, false, _) => Verdict::Warn,
    };
    kind(code, verdict, sureness, advice)
}

fn log_next(sensor_type: u8) -> &'static str {
    match sensor_type {
        MEMORY => {
            "replace the memory module that the event names; where it names none, look at the counts per module and test the memory"
        }
        POWER_SUPPLY | 0x09 => {
            "look at the power cables and sockets, then at the power supplies' own reports"
        }
        _ => "look at the part that the event names; clear the log when it is dealt with",
    }
}
