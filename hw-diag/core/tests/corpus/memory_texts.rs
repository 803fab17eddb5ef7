// SPDX-License-Identifier: Apache-2.0
//! The text of `dmidecode` on real servers, counted a second time by a plain scan of its lines.

use crate::corpus;
use hw_core::memory::from_dmidecode_text;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) fn texts() -> Vec<PathBuf> {
    let Some(folder) = corpus("smbios/linuxhw-servers") else {
        return Vec::new();
    };
    let mut paths = Vec::new();
    for class in std::fs::read_dir(folder).unwrap() {
        let class = class.unwrap().path();
        if class.is_dir() {
            let files = std::fs::read_dir(class).unwrap();
            paths.extend(files.map(|file| file.unwrap().path()));
        }
    }
    paths.retain(|path| path.extension().is_some_and(|e| e == "txt"));
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// Slots and KiB of the text: one pass for the arrays' uses, one for the devices, by line prefixes alone.
fn scan(text: &str) -> (usize, usize, u64) {
    let value = |line: &str, name: &str| -> Option<String> {
        Some(line.strip_prefix(name)?.trim().to_owned())
    };
    let blocks = || text.split("\n\n");
    let mut system: BTreeMap<String, bool> = BTreeMap::new();
    for block in blocks().filter(|b| b.contains("DMI type 16,")) {
        let head = block.lines().find(|line| line.starts_with("Handle "));
        let handle = head.unwrap()[7..13].to_owned();
        let uses = block.lines().filter_map(|line| value(line, "\tUse:"));
        for usage in uses {
            *system.entry(handle.clone()).or_default() |= usage == "System Memory";
        }
    }
    let (mut populated, mut empty, mut kib) = (0, 0, 0u64);
    for block in blocks().filter(|b| b.contains("DMI type 17,")) {
        let of = |name: &str| block.lines().find_map(|line| value(line, name));
        let Some(array) = of("\tArray Handle:") else {
            continue;
        };
        if system.get(&array) != Some(&true) {
            continue;
        }
        let size = of("\tSize:").unwrap();
        if size == "No Module Installed" {
            empty += 1;
            continue;
        }
        populated += 1;
        let mut words = size.split_whitespace();
        let number: u64 = words.next().unwrap().parse().unwrap_or(0);
        kib += match words.next() {
            Some("kB") => number,
            Some("MB") => number * 1_024,
            Some("GB") => number * 1_024 * 1_024,
            Some("TB") => number * 1_024 * 1_024 * 1_024,
            _ => 0,
        };
    }
    (populated, empty, kib / 1_024)
}

#[test]
fn real_texts_as_a_plain_scan_counts_them() {
    let mut classes: BTreeMap<String, usize> = BTreeMap::new();
    println!(
        "{:<20} {:<58} {:>5} {:>5} {:>9}",
        "class", "file", "there", "empty", "MiB"
    );
    for path in texts() {
        let bytes = std::fs::read(&path).unwrap();
        let dimms = from_dmidecode_text(&bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let class = path.parent().unwrap().file_name().unwrap();
        let class = class.to_string_lossy().into_owned();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let ours = (dimms.populated, dimms.empty, dimms.total_mib);
        println!(
            "{class:<20} {name:<58} {:>5} {:>5} {:>9}",
            ours.0, ours.1, ours.2
        );
        assert_eq!(ours, scan(&text), "{name}");
        *classes.entry(class).or_default() += 1;
        assert_eq!(dimms.slots.len(), dimms.details.modules.len(), "{name}");
        let named =
            |dimm: &&groundstate_api::inventory::Dimm| dimm.populated && dimm.slot.is_empty();
        assert_eq!(dimms.slots.iter().find(named), None, "{name}");
    }
    println!(
        "{} files of {} classes",
        classes.values().sum::<usize>(),
        classes.len()
    );
}
