// SPDX-License-Identifier: Apache-2.0
//! Sensor chips that the kernel reads itself (hwmon): temperatures, fans, voltages, currents, power.
//!
//! Refuses to believe limits that nobody set: a board's hardware monitor carries whatever the firmware left in it, so its
//! readings are recorded and not judged. Processors, network cards and power supplies know their own limits.

use super::finding::{figure, kind};
use super::limits::{CHIPS_OF_DISKS, CHIPS_WITHOUT_LIMITS, TEMPERATURE_BELIEVED};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::health::{Advice, DeviceKind, DeviceReport, HealthFinding, Sureness, Verdict};
use serde::{Deserialize, Serialize};

/// What a sensor measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HwmonKind {
    /// In thousandths of a degree Celsius.
    #[default]
    Temperature,
    /// In turns a minute.
    Fan,
    /// In thousandths of a volt.
    Voltage,
    /// In thousandths of an ampere.
    Current,
    /// In millionths of a watt.
    Power,
}

/// One sensor. Values in the kernel's unit of its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HwmonSensor {
    /// The kernel's name: `temp1`, `fan2`.
    pub name: String,
    /// What it is on, where the driver says: `Core 0`, `Package id 0`.
    pub label: String,
    /// What it measures.
    pub kind: HwmonKind,
    /// The reading; `None` where the chip gave none.
    pub input: Option<i64>,
    /// Lower limit.
    pub min: Option<i64>,
    /// Upper limit.
    pub max: Option<i64>,
    /// Critical limit.
    pub critical: Option<i64>,
    /// Whether the chip raises an alarm.
    pub alarm: bool,
    /// Whether the chip says that the sensor or fan itself is broken.
    pub fault: bool,
}

/// One chip with its sensors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HwmonChip {
    /// The kernel's name of the place: `hwmon0`.
    pub hwmon: String,
    /// The chip or driver: `coretemp`, `k10temp`, `nct6775`.
    pub name: String,
    /// The device that it belongs to, for example a PCI address; may be empty.
    pub device: String,
    /// Its sensors.
    pub sensors: Vec<HwmonSensor>,
}

impl HwmonChip {
    /// Whether a chip of this name sits in a disk, whose own report has its readings; asking it may wait for the disk.
    #[must_use]
    pub fn is_in_a_disk(name: &str) -> bool {
        CHIPS_OF_DISKS.iter().any(|chip| name.starts_with(chip))
    }
    fn starts_with_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.name.starts_with(name))
    }
}

pub(super) fn judge(chips: &[HwmonChip]) -> Vec<DeviceReport> {
    let mut reports = Vec::new();
    for chip in chips.iter().filter(|c| !HwmonChip::is_in_a_disk(&c.name)) {
        let believed = !chip.starts_with_any(CHIPS_WITHOUT_LIMITS);
        reports.push(of_chip(chip, believed));
        let fans = chip.sensors.iter().filter(|s| s.kind == HwmonKind::Fan);
        reports.extend(fans.filter_map(|fan| of_fan(chip, fan, believed)));
    }
    reports
}

fn label(sensor: &HwmonSensor) -> &str {
    if sensor.label.is_empty() {
        &sensor.name
    } else {
        &sensor.label
    }
}

fn of_chip(chip: &HwmonChip, believed: bool) -> DeviceReport {
    let temperatures = || {
        let all = chip.sensors.iter();
        all.filter(|sensor| sensor.kind == HwmonKind::Temperature)
    };
    let findings = temperatures()
        .filter(|_| believed)
        .filter_map(temperature)
        .collect();
    let device = format!("{} {}", chip.hwmon, chip.name);
    let mut report = DeviceReport::new(device, DeviceKind::Sensor, "hwmon", findings);
    report.place.slot.clone_from(&chip.device);
    report.place.model.clone_from(&chip.name);
    let hottest = temperatures()
        .filter_map(|sensor| sensor.input)
        .filter(|input| TEMPERATURE_BELIEVED.contains(input))
        .max();
    let power = chip.sensors.iter().filter(|s| s.kind == HwmonKind::Power);
    let watts: Vec<i64> = power.filter_map(|s| s.input).collect();
    let figures = [
        ("temperature_celsius", hottest.map(|t| t / 1_000)),
        ("power_watts", watts.iter().max().map(|w| w / 1_000_000)),
    ];
    let known = figures
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_string(), value?)));
    report.figures.extend(known);
    report
}

fn celsius(thousandths: i64) -> String {
    format!(
        "{}.{} °C",
        thousandths / 1_000,
        (thousandths % 1_000).abs() / 100
    )
}

fn temperature(sensor: &HwmonSensor) -> Option<HealthFinding> {
    let input = sensor.input.filter(|t| TEMPERATURE_BELIEVED.contains(t))?;
    // A limit of 0 or beyond what is believed was never set.
    let set = |limit: Option<i64>| limit.filter(|l| *l > 0 && TEMPERATURE_BELIEVED.contains(l));
    let (max, critical) = (set(sensor.max), set(sensor.critical));
    let seen = [
        Some(format!("{}: {}", label(sensor), celsius(input))),
        max.map(|limit| format!("upper limit {}", celsius(limit))),
        critical.map(|limit| format!("critical at {}", celsius(limit))),
    ];
    let next =
        "look at fans, air ducts, filters and the room's temperature; then at the heat sink's seat";
    if critical.is_some_and(|limit| input >= limit) {
        let kind = kind(
            "sensor-critical-temperature",
            Verdict::Fail,
            Sureness::Certain,
            Advice::Look,
        );
        let what = format!("{} is at its critical temperature", label(sensor));
        return Some(kind.says(what, seen.into_iter().flatten(), next));
    }
    max.filter(|limit| input >= *limit)?;
    let kind = kind("sensor-hot", Verdict::Warn, Sureness::Certain, Advice::Look);
    let what = format!("{} is hotter than it should be", label(sensor));
    Some(kind.says(what, seen.into_iter().flatten(), next))
}

/// A header without a fan turns 0 times a minute and has no lower limit: nothing to say of it.
fn of_fan(chip: &HwmonChip, fan: &HwmonSensor, believed: bool) -> Option<DeviceReport> {
    let turns = fan.input.unwrap_or(0).max(0);
    let min = fan.min.filter(|min| *min > 0);
    let stopped = believed && turns == 0 && (min.is_some() || fan.alarm);
    if turns == 0 && !stopped && !fan.fault {
        return None;
    }
    let next = "replace the fan; meanwhile watch the temperatures";
    let seen = [
        Some(format!("{turns} turns a minute")),
        min.map(|min| format!("lower limit {min}")),
        fan.fault
            .then(|| "the chip says that the fan is broken".to_string()),
    ];
    let seen = seen.into_iter().flatten();
    let mut findings = Vec::new();
    if stopped || fan.fault {
        let kind = kind(
            "fan-stopped",
            Verdict::Fail,
            Sureness::Likely,
            Advice::Replace,
        );
        findings.push(kind.says(format!("{} does not turn", label(fan)), seen, next));
    } else if believed && min.is_some_and(|min| turns < min) {
        let kind = kind("fan-slow", Verdict::Warn, Sureness::Likely, Advice::Replace);
        findings.push(kind.says(format!("{} turns too slowly", label(fan)), seen, next));
    }
    let device = format!("{} {}", chip.hwmon, label(fan));
    let mut report = DeviceReport::new(device, DeviceKind::Fan, "hwmon", findings);
    report.place.slot = label(fan).to_string();
    report.place.model.clone_from(&chip.name);
    let turns = figure(turns.unsigned_abs());
    report
        .figures
        .extend([("turns_per_minute".to_string(), turns)]);
    Some(report)
}
