// SPDX-License-Identifier: Apache-2.0
//! Raw tables of real machines, read by us and by `dmidecode --from-dump`.

use crate::corpus;
use groundstate_api::inventory::Dimm;
use groundstate_api::units::Bytes;
use hw_core::memory::{Dimms, Module, from_dmidecode_text, from_smbios};
use hw_core::smbios::{Smbios, Version, decode};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn tables() -> Vec<PathBuf> {
    let Some(folder) = corpus("smbios/go-smbios-raw") else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let mut paths: Vec<PathBuf> = entries
        .filter(|p| p.extension().is_some_and(|e| e == "dmi"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap()
}

/// The structure table and its version; a dump with an entry point has the table at byte 32.
pub(crate) fn load(path: &Path) -> (Vec<u8>, Version) {
    let bytes = std::fs::read(path).unwrap();
    if let Some(version) = Version::of_entry_point(&bytes) {
        return (bytes[32..].to_vec(), version);
    }
    let json = json(path);
    let part = |name: &str| u8::try_from(json["Version"][name].as_u64().unwrap()).unwrap();
    let version = Version {
        major: part("Major"),
        minor: part("Minor"),
    };
    (bytes, version)
}

/// A dump as `dmidecode --from-dump` wants it: an SMBIOS 3 entry point, the table at byte 32.
pub(crate) fn dump(table: &[u8], version: Version) -> tempfile::NamedTempFile {
    let mut entry = [0u8; 32];
    entry[..5].copy_from_slice(b"_SM3_");
    (entry[6], entry[7], entry[8], entry[10]) = (24, version.major, version.minor, 1);
    entry[12..16].copy_from_slice(&u32::try_from(table.len()).unwrap().to_le_bytes());
    entry[16] = 32;
    entry[5] = entry[..24]
        .iter()
        .fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&entry).unwrap();
    file.write_all(table).unwrap();
    file
}

pub(crate) fn dmidecode(dump: &Path) -> Option<String> {
    let found = ["dmidecode", "/usr/sbin/dmidecode"]
        .into_iter()
        .find_map(|program| {
            Command::new(program)
                .arg("--from-dump")
                .arg(dump)
                .output()
                .ok()
        });
    let Some(output) = found else {
        assert!(
            std::env::var_os("CI").is_none(),
            "dmidecode is not installed"
        );
        eprintln!("skipped: dmidecode is not installed");
        return None;
    };
    assert!(output.status.success());
    // What it says of a broken table goes to standard error.
    let text = [output.stdout, output.stderr].concat();
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// One structure of dmidecode's text: its handle, kind and fields.
pub(crate) struct Said {
    handle: String,
    pub(crate) title: String,
    pub(crate) fields: BTreeMap<String, String>,
}

pub(crate) fn parse(text: &str) -> Vec<Said> {
    let mut all: Vec<Said> = Vec::new();
    let mut titled = false;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Handle ") {
            let handle = rest.split(',').next().unwrap().to_owned();
            all.push(Said {
                handle,
                title: String::new(),
                fields: BTreeMap::new(),
            });
            titled = false;
        } else if let Some(said) = all.last_mut() {
            if !titled && !line.trim().is_empty() {
                said.title = line.trim().to_owned();
                titled = true;
            } else if let Some((name, value)) =
                line.strip_prefix('\t').and_then(|l| l.split_once(": "))
            {
                said.fields
                    .entry(name.to_owned())
                    .or_insert_with(|| value.trim().to_owned());
            }
        }
    }
    all
}

pub(crate) fn theirs(all: &[Said], title: &str, field: &str) -> String {
    let first = all.iter().find(|s| s.title == title);
    let value = first
        .and_then(|s| s.fields.get(field))
        .cloned()
        .unwrap_or_default();
    absent(&value)
}

/// dmidecode's words for "no string" and "no value".
pub(crate) fn absent(value: &str) -> String {
    match value {
        "Not Specified" | "<BAD INDEX>" => String::new(),
        other => other.to_owned(),
    }
}

fn ours(dimm: &Dimm) -> String {
    if !dimm.populated {
        // dmidecode prints no more of an empty slot.
        return format!("{}|{}|No Module Installed|||", dimm.slot, dimm.bank);
    }
    let size = match dimm.size {
        None => "Unknown".to_owned(),
        Some(size) if size.0 % (1 << 30) == 0 => format!("{} GB", size.0 >> 30),
        Some(size) => format!("{} MB", size.0 >> 20),
    };
    format!(
        "{}|{}|{size}|{}|{}|{}",
        dimm.slot, dimm.bank, dimm.manufacturer, dimm.serial, dimm.part_number
    )
}

fn their_dimms(all: &[Said]) -> Vec<String> {
    let system: Vec<&String> = all
        .iter()
        .filter(|s| s.title == "Physical Memory Array")
        .filter(|s| s.fields.get("Use").is_some_and(|u| u == "System Memory"))
        .map(|s| &s.handle)
        .collect();
    let devices = all.iter().filter(|s| s.title == "Memory Device");
    let counted = devices.filter(|s| {
        s.fields
            .get("Array Handle")
            .is_some_and(|h| system.contains(&h))
    });
    counted
        .map(|s| {
            let field = |name: &str| absent(s.fields.get(name).map_or("", String::as_str));
            format!(
                "{}|{}|{}|{}|{}|{}",
                field("Locator"),
                field("Bank Locator"),
                field("Size"),
                field("Manufacturer"),
                field("Serial Number"),
                field("Part Number")
            )
        })
        .collect()
}

#[test]
fn real_tables_as_dmidecode_reads_them() {
    for path in tables() {
        let (table, version) = load(&path);
        let Some(text) = dmidecode(dump(&table, version).path()) else {
            return;
        };
        let said = parse(&text);
        let seen = decode(&table, version);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        // The Hyper-V dump is broken after its fifth structure; dmidecode says so too.
        let broken = text.contains("DMI table is broken");
        assert_eq!(!seen.notes.is_empty(), broken, "{name}: {:?}", seen.notes);
        let dimms: Vec<String> = seen.dimms.iter().map(ours).collect();
        assert_eq!(dimms, their_dimms(&said), "{name}");
        let system = |field| theirs(&said, "System Information", field);
        assert_eq!(seen.manufacturer, system("Manufacturer"), "{name}");
        assert_eq!(seen.product, system("Product Name"), "{name}");
        assert_eq!(seen.serial, system("Serial Number"), "{name}");
        let uuid = seen.uuid.map(|u| u.to_string()).unwrap_or_default();
        assert_eq!(uuid, system("UUID"), "{name}");
        let bios = |field| theirs(&said, "BIOS Information", field);
        let firmware = format!("{} {}", bios("Vendor"), bios("Version"));
        assert_eq!(seen.firmware_version, firmware.trim(), "{name}");
        let sockets = said
            .iter()
            .filter(|s| s.title == "Processor Information")
            .count();
        assert_eq!(seen.processors.len(), sockets, "{name}");
    }
}

#[test]
fn real_tables_as_their_publisher_reads_them() {
    for path in tables() {
        let (table, version) = load(&path);
        let Smbios { uuid, dimms, .. } = decode(&table, version);
        let json = json(&path);
        let system = &json["SystemInformation"];
        assert_eq!(uuid.unwrap().to_string(), system["UUID"].as_str().unwrap());
        let theirs = json["MemoryDevices"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let theirs: Vec<String> = theirs
            .iter()
            .map(|d| {
                format!(
                    "{}|{}",
                    d["DeviceLocator"].as_str().unwrap().trim(),
                    d["Size"]
                )
            })
            .collect();
        let ours: Vec<String> = dimms
            .iter()
            .map(|d| {
                // Their size is the raw word, which ends at 7FFFh: see the extended size.
                format!(
                    "{}|{}",
                    d.slot,
                    d.size.map_or(0, |s| (s.0 >> 20).min(0x7fff))
                )
            })
            .collect();
        assert_eq!(ours, theirs, "{}", path.display());
    }
}

/// Slots, sizes and everything else that both say: a raw table as we read it, and dmidecode's text of it as we read that.
#[test]
fn a_table_and_its_text_say_the_same() {
    for path in tables() {
        let (table, version) = load(&path);
        let dump = dump(&table, version);
        let Some(text) = dmidecode(dump.path()) else {
            return;
        };
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let raw = from_smbios(&table).unwrap();
        assert_eq!(
            from_smbios(&std::fs::read(dump.path()).unwrap()),
            Ok(raw.clone())
        );
        let said = from_dmidecode_text(text.as_bytes()).unwrap();
        same(&raw, &said, &name);
        println!(
            "{name:<34} {:>3} populated {:>3} empty {:>8} MiB",
            raw.populated, raw.empty, raw.total_mib
        );
    }
}

/// What dmidecode leaves out of a slot that is empty is left out of ours too.
fn shown(dimms: &Dimms) -> Vec<(Dimm, Module)> {
    let pairs = dimms.slots.iter().zip(&dimms.details.modules);
    pairs
        .map(|(dimm, module)| {
            let (mut dimm, mut module) = (dimm.clone(), module.clone());
            if !dimm.populated {
                (dimm.speed, dimm.kind) = (0, String::new());
                (dimm.manufacturer, dimm.part_number, dimm.serial) = Default::default();
                module = Module {
                    handle: module.handle,
                    array: module.array,
                    ..Module::default()
                };
            }
            // A number that means nothing to dmidecode 3.4 may mean something since.
            module.form_factor.clear();
            module.technology.clear();
            // All zeros is `None` there and no size here; both add nothing.
            let known = |size: Option<Bytes>| size.filter(|size| size.0 > 0);
            (module.persistent, module.volatile) =
                (known(module.persistent), known(module.volatile));
            (module.cache, module.logical) = (known(module.cache), known(module.logical));
            (dimm, module)
        })
        .collect()
}

fn same(raw: &Dimms, said: &Dimms, name: &str) {
    let counts = |d: &Dimms| (d.populated, d.empty, d.total_mib, d.ram);
    assert_eq!(counts(raw), counts(said), "{name}");
    assert_eq!(shown(raw), shown(said), "{name}");
    let arrays = |d: &Dimms| -> Vec<(u16, String, String, Option<u16>)> {
        let arrays = d.details.arrays.iter();
        arrays
            .map(|a| (a.handle, a.location.clone(), a.usage.clone(), a.declared))
            .collect()
    };
    assert_eq!(arrays(raw), arrays(said), "{name}");
    assert_eq!(raw.details.ranges, said.details.ranges, "{name}");
}

fn array(handle: u16, usage: u8, length: usize) -> Vec<u8> {
    let mut array = vec![0u8; 0x17];
    (array[0], array[1], array[4], array[5], array[6]) =
        (16, u8::try_from(length).unwrap(), 3, usage, 6);
    array[2..4].copy_from_slice(&handle.to_le_bytes());
    array[0x0d] = 4;
    array.truncate(length);
    array.extend([0, 0]);
    array
}

fn device(handle: u16, array: u16, size: u16, extended: u32, length: usize) -> Vec<u8> {
    let mut device = vec![0u8; 0x5c];
    (device[0], device[1]) = (17, u8::try_from(length).unwrap());
    device[2..4].copy_from_slice(&handle.to_le_bytes());
    device[4..6].copy_from_slice(&array.to_le_bytes());
    device[0x0c..0x0e].copy_from_slice(&size.to_le_bytes());
    device[0x1c..0x20].copy_from_slice(&extended.to_le_bytes());
    (device[0x0e], device[0x10], device[0x11], device[0x12]) = (9, 1, 2, 0x1a);
    device[0x15..0x17].copy_from_slice(&2_666u16.to_le_bytes());
    device.truncate(length);
    device.extend(b"DIMM_A1\0BANK 0\0\0");
    device
}

/// The corners of the format, each as dmidecode shows it.
#[test]
fn corner_cases_as_dmidecode_shows_them() {
    let sizes = [
        (0, 0, 0x28),
        (0xffff, 0, 0x28),
        (0x7fff, 0, 0x28),
        (0x7fff, 0x8000_8000, 0x28),
        (0x7fff, 1_025, 0x5c),
        (0x7fff, 0x0010_0000, 0x54),
        (0x7fff, 9, 0x1b),
        (0x8000, 0, 0x28),
        (0x8001, 0, 0x28),
        (0x8c01, 0, 0x28),
        (1, 0, 0x15),
        (0x4000, 0, 0x17),
        (0x4000, 0, 0x14),
    ];
    let mut first = array(0x10, 3, 0x17);
    for (handle, (size, extended, length)) in (1..).zip(sizes) {
        first.extend(device(handle, 0x10, size, extended, length));
    }
    let mut others = array(0x10, 3, 0x17);
    others.extend(
        [
            array(0x20, 5, 0x0f),
            array(0x30, 3, 0x0e),
            array(0x10, 7, 0x17),
        ]
        .concat(),
    );
    for (handle, of) in (1..).zip([0x10, 0x20, 0x30, 0x40, 0x10]) {
        others.extend(device(handle, of, 0x2000, 0, 0x22));
    }
    let mut cut = array(0x10, 3, 0x17);
    cut.extend(device(1, 0x10, 0x2000, 0, 0x22));
    cut.extend(device(2, 0x10, 0x2000, 0, 0x22));
    cut.pop();
    let version = Version { major: 3, minor: 2 };
    for (name, table) in [("sizes", first), ("arrays", others), ("cut", cut)] {
        let Some(text) = dmidecode(dump(&table, version).path()) else {
            return;
        };
        let raw = from_smbios(&table).unwrap();
        let said = from_dmidecode_text(text.as_bytes()).unwrap();
        assert!(raw.populated > 0, "{name}");
        same(&raw, &said, name);
        // What does not count is named in both.
        assert_eq!(
            raw.notes.is_empty(),
            said.notes.is_empty() && name != "cut",
            "{name}"
        );
    }
}

/// A dump with an SMBIOS 2 entry point, which announces how many structures there are.
fn dump2(table: &[u8], structures: u16, length: usize) -> tempfile::NamedTempFile {
    let mut entry = [0u8; 32];
    entry[..4].copy_from_slice(b"_SM_");
    (entry[5], entry[6], entry[7]) = (31, 2, 8);
    entry[16..21].copy_from_slice(b"_DMI_");
    entry[22..24].copy_from_slice(&u16::try_from(length).unwrap().to_le_bytes());
    entry[24] = 32;
    entry[28..30].copy_from_slice(&structures.to_le_bytes());
    entry[30] = 0x28;
    let sum = |bytes: &[u8]| bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
    entry[21] = sum(&entry[16..31]);
    entry[4] = sum(&entry[..31]);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&entry).unwrap();
    file.write_all(table).unwrap();
    file
}

/// An SMBIOS 2 dump ends where its entry point says: by number, by length, and not at an end mark in between.
#[test]
fn dumps_of_smbios_2_as_dmidecode_shows_them() {
    let end = [127, 4, 0, 0x7f, 0, 0];
    let device = |handle| device(handle, 0x10, 0x2000, 0, 0x22);
    let parts = [
        array(0x10, 3, 0x17),
        device(1),
        end.into(),
        device(2),
        device(3),
    ];
    let table = parts.concat();
    let two = parts[0].len() + parts[1].len();
    for (structures, length, populated) in [
        (5, table.len(), 3),
        (4, table.len(), 2),
        (2, table.len(), 1),
        (0, table.len(), 3),
        (5, two, 1),
        (5, two + 8, 1),
    ] {
        let dump = dump2(&table, structures, length);
        let Some(text) = dmidecode(dump.path()) else {
            return;
        };
        let name = format!("{structures} structures in {length} bytes");
        let raw = from_smbios(&std::fs::read(dump.path()).unwrap()).unwrap();
        let said = from_dmidecode_text(text.as_bytes()).unwrap();
        same(&raw, &said, &name);
        assert_eq!(raw.populated, populated, "{name}");
    }
}

/// Every cut of every real table: nothing panics, no DIMM is invented, and a cut inside a structure is named.
#[test]
fn real_tables_cut_anywhere() {
    for path in tables() {
        let (table, version) = load(&path);
        let whole = decode(&table, version);
        for end in 0..table.len() {
            let cut = decode(&table[..end], version);
            assert!(cut.dimms.len() <= whole.dimms.len());
            let told = !cut.notes.is_empty();
            let same = cut.dimms.iter().zip(&whole.dimms).all(|(a, b)| a == b);
            assert!(told || same, "{} cut at {end}", path.display());
        }
    }
}
