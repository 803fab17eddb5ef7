// SPDX-License-Identifier: Apache-2.0
//! Sensor chips that the kernel reads itself (`/sys/class/hwmon`).
//!
//! Refuses to ask sensors inside disks: their reading waits for the disk, which is asked elsewhere with a time-out.

use crate::sysfs::{Tree, below};
use hw_core::machine::{HwmonChip, HwmonKind, HwmonSensor};

const ROOT: &str = "sys/class/hwmon";
/// The most chips and sensors of a chip: a processor of 128 cores has one for each.
const CHIPS_MAX: usize = 256;
const SENSORS_MAX: usize = 512;

/// The chips by number. Machines without any (virtual ones) are no news.
pub(crate) fn chips(tree: &Tree) -> Vec<HwmonChip> {
    let mut names = tree.names(ROOT).unwrap_or_default();
    names.sort_by_key(|name| (name.len(), name.clone()));
    let chips = names.into_iter().take(CHIPS_MAX);
    chips.filter_map(|hwmon| chip(tree, hwmon)).collect()
}

fn chip(tree: &Tree, hwmon: String) -> Option<HwmonChip> {
    let dir = below(ROOT, &hwmon);
    let name = tree.text(&below(&dir, "name"))?;
    if HwmonChip::is_in_a_disk(&name) {
        return None;
    }
    let files = tree.names(&dir).ok()?;
    let mut sensors: Vec<String> = files.iter().filter_map(|file| sensor_of(file)).collect();
    sensors.sort_by_key(|name| (name.len(), name.clone()));
    sensors.dedup();
    let sensors = sensors.into_iter().take(SENSORS_MAX);
    Some(HwmonChip {
        device: tree.link_name(&below(&dir, "device")).unwrap_or_default(),
        sensors: sensors
            .filter_map(|name| sensor(tree, &dir, name))
            .collect(),
        hwmon: hw_core::clean(hwmon.as_bytes()),
        name,
    })
}

/// `temp1_input` and `power1_average` are of `temp1` and `power1`.
fn sensor_of(file: &str) -> Option<String> {
    let (name, what) = file.split_once('_')?;
    matches!(what, "input" | "average" | "fault").then(|| name.to_owned())
}

fn kind_of(name: &str) -> Option<HwmonKind> {
    Some(match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "temp" => HwmonKind::Temperature,
        "fan" => HwmonKind::Fan,
        "in" => HwmonKind::Voltage,
        "curr" => HwmonKind::Current,
        "power" => HwmonKind::Power,
        _ => return None,
    })
}

fn sensor(tree: &Tree, dir: &str, name: String) -> Option<HwmonSensor> {
    let kind = kind_of(&name)?;
    let file = |what: &str| below(dir, &format!("{name}_{what}"));
    let number = |what: &str| tree.number::<i64>(&file(what));
    let alarms = ["alarm", "min_alarm", "max_alarm", "crit_alarm"];
    Some(HwmonSensor {
        label: tree.text(&file("label")).unwrap_or_default(),
        kind,
        input: number("input").or_else(|| number("average")),
        min: number("min"),
        max: number("max"),
        critical: number("crit"),
        alarm: alarms.iter().any(|what| tree.flag(&file(what))),
        fault: tree.flag(&file("fault")),
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn chips_are_read_and_those_in_disks_are_not_asked() {
        let fixture = Fixture::new();
        for (path, content) in [
            ("hwmon10/name", "coretemp\n"),
            ("hwmon10/temp1_input", "45000\n"),
            ("hwmon10/temp1_crit", "100000\n"),
            ("hwmon10/temp1_label", "Package id 0\n"),
            ("hwmon10/temp2_input", "nonsense\n"),
            ("hwmon2/name", "dell_smm\n"),
            ("hwmon2/fan1_input", "0\n"),
            ("hwmon2/fan1_min_alarm", "1\n"),
            ("hwmon2/power1_average", "120000000\n"),
            ("hwmon3/name", "drivetemp\n"),
            ("hwmon3/temp1_input", "30000\n"),
            ("hwmon4/temp1_input", "30000\n"),
        ] {
            fixture.file(&format!("{ROOT}/{path}"), content);
        }
        fixture.link(
            &format!("{ROOT}/hwmon10/device"),
            "sys/devices/platform/coretemp.0",
        );
        let seen = chips(&fixture.tree());
        let names: Vec<&str> = seen.iter().map(|chip| chip.name.as_str()).collect();
        assert_eq!(names, ["dell_smm", "coretemp"]);
        assert!(seen[0].sensors[0].alarm);
        assert_eq!(seen[0].sensors[1].input, Some(120_000_000));
        let core = &seen[1].sensors[0];
        assert_eq!(
            (core.label.as_str(), core.critical),
            ("Package id 0", Some(100_000))
        );
        assert_eq!(
            (seen[1].device.as_str(), seen[1].sensors[1].input),
            ("coretemp.0", None)
        );
    }
}
