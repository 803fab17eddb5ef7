// SPDX-License-Identifier: Apache-2.0
//! Memory errors that the kernel's EDAC drivers counted since this boot.
//!
//! Reads `/sys/devices/system/edac/mc`; which slot a counter belongs to is decided by `hw_core::memory::assign`. It refuses
//! to call a machine free of errors where nobody counts them: that is said once, and is no warning, because memory without
//! ECC and virtual machines have no driver.

use crate::sysfs::{Tree, below};
use groundstate_api::health::MemoryErrors;
use groundstate_api::inventory::Dimm;
use groundstate_api::units::{Bytes, Millis};
use hw_core::memory::{Assigned, Controller, Counter, assign};

const ROOT: &str = "sys/devices/system/edac/mc";
/// What is said where no driver counts.
const NOBODY_COUNTS: &str =
    "memory errors: nobody counts them on this machine: no EDAC driver is loaded";
/// The most controllers, and modules of each, that are read: eight sockets have 64 controllers of 8 channels.
const CONTROLLERS_MAX: usize = 256;
const COUNTERS_MAX: usize = 256;

/// Writes the counters into the slots of `dimms`; what belongs to no slot for certain comes back as reports, to stand
/// with the machine's other devices.
pub fn count_errors(dimms: &mut [Dimm], could_not_look: &mut Vec<String>) -> Assigned {
    count_at(&Tree::machine(), dimms, could_not_look)
}

pub(crate) fn count_at(
    tree: &Tree,
    dimms: &mut [Dimm],
    could_not_look: &mut Vec<String>,
) -> Assigned {
    let controllers = controllers(tree);
    if controllers.is_empty() {
        could_not_look.push(NOBODY_COUNTS.into());
    }
    assign(dimms, &controllers)
}

fn controllers(tree: &Tree) -> Vec<Controller> {
    let names = tree.names(ROOT).unwrap_or_default();
    names
        .into_iter()
        .filter(|name| numbered(name, "mc"))
        .take(CONTROLLERS_MAX)
        .map(|name| controller(tree, name))
        .collect()
}

/// `mc0`, `dimm12`: a word and a number.
fn numbered(name: &str, word: &str) -> bool {
    let digits = name.strip_prefix(word).unwrap_or("");
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn controller(tree: &Tree, name: String) -> Controller {
    let path = below(ROOT, &name);
    let names = tree.names(&path).unwrap_or_default();
    let mut counters: Vec<Counter> = names
        .iter()
        .filter(|name| numbered(name, "dimm") || numbered(name, "rank"))
        .take(COUNTERS_MAX)
        .map(|name| module(tree, &path, name))
        .collect();
    if counters.is_empty() {
        // Kernels before 3.6, and those that keep the old layout alone.
        let rows = names.iter().filter(|name| numbered(name, "csrow"));
        counters = rows.flat_map(|name| row(tree, &path, name)).collect();
        counters.truncate(COUNTERS_MAX);
    }
    // The number stands behind the word: dimm2 comes before dimm10.
    counters.sort_by_key(|counter| (counter.name.len(), counter.name.clone()));
    let number = |file: &str| tree.number::<u64>(&below(&path, file));
    let since = number("seconds_since_reset").or_else(|| uptime(tree));
    Controller {
        since: since.map(Millis::secs),
        total: MemoryErrors {
            corrected: number("ce_count").unwrap_or(0),
            uncorrected: number("ue_count").unwrap_or(0),
            since: None,
        },
        counters,
        name,
    }
}

fn module(tree: &Tree, controller: &str, name: &str) -> Counter {
    let path = below(controller, name);
    let file = |file: &str| below(&path, file);
    let text = |name: &str| tree.text(&file(name)).unwrap_or_default();
    Counter {
        label: text("dimm_label"),
        location: text("dimm_location"),
        size: size(tree, &file("size")),
        errors: MemoryErrors {
            corrected: tree.number(&file("dimm_ce_count")).unwrap_or(0),
            uncorrected: tree.number(&file("dimm_ue_count")).unwrap_or(0),
            since: None,
        },
        name: name.into(),
    }
}

/// The old layout: corrected errors by row and channel, uncorrected ones by row.
fn row(tree: &Tree, controller: &str, name: &str) -> Vec<Counter> {
    let path = below(controller, name);
    let files = tree.names(&path).unwrap_or_default();
    let channels: Vec<&str> = files
        .iter()
        .filter_map(|file| file.strip_suffix("_ce_count"))
        .filter(|channel| numbered(channel, "ch"))
        .collect();
    let file = |file: String| below(&path, &file);
    let uncorrected = tree.number(&file("ue_count".into())).unwrap_or(0);
    // An error that could not be corrected concerns every channel of its row, so with several it belongs to none.
    let alone = channels.len() == 1;
    channels
        .iter()
        .map(|channel| Counter {
            label: tree
                .text(&file(format!("{channel}_dimm_label")))
                .unwrap_or_default(),
            location: format!("{name} {channel}"),
            size: size(tree, &file("size_mb".into())).filter(|_| alone),
            errors: MemoryErrors {
                corrected: tree
                    .number(&file(format!("{channel}_ce_count")))
                    .unwrap_or(0),
                uncorrected: if alone { uncorrected } else { 0 },
                since: None,
            },
            name: format!("{name} {channel}"),
        })
        .collect()
}

/// A size in MiB.
fn size(tree: &Tree, file: &str) -> Option<Bytes> {
    let mebibytes: u64 = tree.number(file)?;
    mebibytes.checked_mul(1 << 20).map(Bytes)
}

/// `12345.67 23456.78`: seconds since boot, then seconds idle.
fn uptime(tree: &Tree) -> Option<u64> {
    let text = tree.text("proc/uptime")?;
    text.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &std::path::Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{text}\n")).unwrap();
    }

    fn dimm(slot: &str, gib: u64) -> Dimm {
        Dimm {
            slot: slot.into(),
            bank: String::new(),
            size: (gib > 0).then(|| Bytes::gib(gib)),
            populated: gib > 0,
            kind: "DDR4".into(),
            speed: 0,
            manufacturer: String::new(),
            part_number: String::new(),
            serial: String::new(),
            errors: None,
        }
    }

    #[test]
    fn counters_are_read_per_dimm() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("mc0/ce_count", "7"),
            ("mc0/ue_count", "1"),
            ("mc0/seconds_since_reset", "172800"),
            ("mc0/dimm2/dimm_label", "A2"),
            ("mc0/dimm2/dimm_ce_count", "3"),
            ("mc0/dimm2/dimm_ue_count", "1"),
            ("mc0/dimm2/size", "16384"),
            ("mc0/dimm2/dimm_location", "channel 1 slot 0"),
            ("mc0/dimm10/dimm_label", "A10"),
            ("mc0/dimm10/dimm_ce_count", "4"),
            ("mc0/dimm10/dimm_ue_count", "not a number"),
            ("mc0/dimms_power/x", "1"),
            ("power/control", "auto"),
        ] {
            write(root.path(), &below(ROOT, path), text);
        }
        let tree = Tree::at(root.path());
        let names: Vec<String> = controllers(&tree)[0]
            .counters
            .iter()
            .map(|counter| format!("{} {}", counter.name, counter.location))
            .collect();
        assert_eq!(names, ["dimm2 channel 1 slot 0", "dimm10 "]);
        let mut dimms = [dimm("A1", 16), dimm("A2", 16), dimm("A10", 16)];
        let mut missed = Vec::new();
        let assigned = count_at(&tree, &mut dimms, &mut missed);
        let counted = dimms.map(|d| d.errors.map(|e| (e.corrected, e.uncorrected)));
        assert_eq!(counted, [None, Some((3, 1)), Some((4, 0))]);
        assert_eq!(assigned.unplaced, []);
        assert_eq!(assigned.since, Some(Millis::secs(172_800)));
        assert_eq!(missed, Vec::<String>::new());
    }

    #[test]
    fn the_old_layout_counts_by_row_and_channel() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("mc1/ce_count", "5"),
            ("mc1/ue_count", "2"),
            ("mc1/csrow0/ue_count", "2"),
            ("mc1/csrow0/size_mb", "8192"),
            ("mc1/csrow0/ch0_ce_count", "5"),
            ("mc1/csrow0/ch0_dimm_label", "DIMM_A"),
            ("mc1/csrow0/ch1_ce_count", "0"),
            ("mc1/csrow0/ch1_dimm_label", "DIMM_B"),
        ] {
            write(root.path(), &below(ROOT, path), text);
        }
        write(root.path(), "proc/uptime", "7200.55 100.00");
        let mut dimms = [dimm("DIMM_A", 8), dimm("DIMM_B", 8)];
        let assigned = count_at(&Tree::at(root.path()), &mut dimms, &mut Vec::new());
        let counted = dimms.map(|d| d.errors.map(|e| (e.corrected, e.uncorrected)));
        assert_eq!(counted, [Some((5, 0)), Some((0, 0))]);
        // The row's two uncorrected errors belong to neither channel for certain.
        let [report] = &assigned.unplaced[..] else {
            panic!("{:?}", assigned.unplaced)
        };
        assert_eq!(report.device, "mc1");
        assert_eq!(report.figures["uncorrected_errors"], 2);
        assert_eq!(assigned.since, Some(Millis::secs(7_200)));
    }

    #[test]
    fn a_machine_without_a_driver_says_so_once() {
        let root = tempfile::tempdir().unwrap();
        let mut missed = Vec::new();
        let mut dimms = [dimm("A1", 16)];
        let assigned = count_at(&Tree::at(root.path()), &mut dimms, &mut missed);
        assert_eq!(assigned, Assigned::default());
        assert_eq!(missed, [NOBODY_COUNTS]);
        assert_eq!(dimms[0].errors, None);
    }
}
