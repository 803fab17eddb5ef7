// SPDX-License-Identifier: Apache-2.0
//! Any one DIMM taken out of any real machine is found and named, whichever expectation there is.

use crate::memory_texts::texts;
use crate::smbios_tables::tables;
use groundstate_api::health::{DeviceKind, MemoryErrors, Verdict};
use groundstate_api::inventory::{Dimm, Gravity, Inventory, MemoryInfo, SystemInfo};
use groundstate_api::reason::{Part, ReasonCode};
use groundstate_api::site::{ExpectedDimm, Hardware};
use groundstate_api::units::{Bytes, Millis};
use hw_core::memory::{Dimms, from_dmidecode_text, from_smbios, reports};

fn machine(dimms: Vec<Dimm>, ram: Bytes) -> Inventory {
    Inventory {
        schema: 1,
        boot_id: "564d1234-5678-9abc-def0-123456789abc".parse().unwrap(),
        first_line_after: Millis(0),
        complete_after: Millis(0),
        system: SystemInfo {
            manufacturer: String::new(),
            product: String::new(),
            serial: "SYS".into(),
            uuid: None,
            firmware_version: String::new(),
            firmware: None,
            uefi: true,
            cpus: 1,
            cpu_model: String::new(),
        },
        memory: MemoryInfo {
            available: ram,
            configured: ram,
            dimms,
        },
        disks: vec![],
        nics: vec![],
        devices: vec![],
        could_not_look: vec![],
    }
}

fn captures() -> Vec<(String, Dimms)> {
    let name = |path: &std::path::Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let raw = tables().into_iter().map(|path| {
        (
            name(&path),
            from_smbios(&std::fs::read(&path).unwrap()).unwrap(),
        )
    });
    let text = texts().into_iter().map(|path| {
        let bytes = std::fs::read(&path).unwrap();
        (name(&path), from_dmidecode_text(&bytes).unwrap())
    });
    raw.chain(text).collect()
}

/// The site file that names every DIMM of known size.
fn site(dimms: &[Dimm]) -> Hardware {
    let known = dimms.iter().filter(|dimm| dimm.size.is_some());
    Hardware {
        dimms: known
            .map(|dimm| ExpectedDimm {
                slot: dimm.slot.clone(),
                size: format!("{}MiB", dimm.size.unwrap().0 >> 20),
                serial: None,
            })
            .collect(),
        disks: vec![],
    }
}

/// The names of missing DIMMs that stop a run, and those of reports that fail; both must tell the same.
fn missing(expected: Option<&Hardware>, good: Option<&Inventory>, seen: &Inventory) -> Vec<Part> {
    let findings = hw_core::judge(expected, good, seen);
    let stops: Vec<_> = findings
        .into_iter()
        .filter(|finding| finding.gravity == Gravity::Stop)
        .collect();
    let all = reports(&seen.memory, expected, good.map(|g| &g.memory), None);
    let failed: Vec<&str> = all
        .iter()
        .filter(|report| report.verdict == Verdict::Fail)
        .inspect(|report| assert_eq!(report.kind, DeviceKind::Dimm))
        .flat_map(|report| report.findings.iter().map(|f| f.what.as_str()))
        .collect();
    let mut told: Vec<&str> = stops.iter().map(|f| f.reason.what.as_str()).collect();
    let mut failed = failed;
    told.sort_unstable();
    failed.sort_unstable();
    assert_eq!(told, failed);
    stops
        .into_iter()
        .map(|finding| {
            assert_eq!(finding.reason.code, ReasonCode::DimmMissing);
            finding.reason.part.unwrap()
        })
        .collect()
}

fn names(part: &Part, dimm: &Dimm) -> bool {
    let Part::Dimm { slot, size, .. } = part else {
        return false;
    };
    slot.starts_with(&dimm.slot) && *size == dimm.size.map(|size| size.to_string())
}

/// An error that could not be corrected holds a run and names the DIMM, in the words of its report.
#[test]
fn a_dimm_that_lost_data_holds_a_run() {
    for (name, dimms) in captures() {
        let Some(index) = dimms.slots.iter().position(|dimm| dimm.populated) else {
            continue;
        };
        let mut seen = machine(dimms.slots.clone(), dimms.ram);
        seen.memory.dimms[index].errors = Some(MemoryErrors {
            corrected: 0,
            uncorrected: 1,
            since: None,
        });
        let findings = hw_core::judge(None, Some(&seen), &seen);
        let all = reports(&seen.memory, None, None, None);
        let failed = all.iter().filter(|r| r.verdict == Verdict::Fail);
        let whats: Vec<&str> = failed.map(|r| r.findings[0].what.as_str()).collect();
        let stops = findings.iter().filter(|f| f.gravity == Gravity::Stop);
        let told: Vec<_> = stops
            .map(|f| (f.reason.code, f.reason.what.as_str()))
            .collect();
        assert_eq!(told.len(), 1, "{name}");
        assert_eq!(told[0].0, ReasonCode::DimmFailing, "{name}");
        assert_eq!(whats, [told[0].1], "{name}");
    }
}

#[test]
fn any_one_dimm_taken_out_is_named() {
    let (mut machines, mut taken) = (0, 0);
    for (name, dimms) in captures() {
        let good = machine(dimms.slots.clone(), dimms.ram);
        let site = site(&dimms.slots);
        let site = Some(&site).filter(|site| !site.dimms.is_empty());
        assert_eq!(missing(None, Some(&good), &good), [], "{name}");
        if dimms.populated > 0 {
            assert_eq!(missing(site, None, &good), [], "{name}");
            machines += 1;
        }
        for (index, dimm) in dimms.slots.iter().enumerate().filter(|(_, d)| d.populated) {
            let mut emptied = dimms.slots.clone();
            emptied[index] = Dimm {
                size: None,
                populated: false,
                kind: "Unknown".into(),
                speed: 0,
                manufacturer: String::new(),
                part_number: String::new(),
                serial: String::new(),
                ..dimm.clone()
            };
            let mut gone = dimms.slots.clone();
            gone.remove(index);
            // A table that lists nothing any more is another finding.
            let lists = [emptied, gone];
            for slots in lists.into_iter().filter(|slots| !slots.is_empty()) {
                let seen = machine(slots, dimms.ram);
                let parts = missing(None, Some(&good), &seen);
                assert!(
                    matches!(&parts[..], [part] if names(part, dimm)),
                    "{name}: {} gave {parts:?}",
                    dimm.slot
                );
                if dimm.size.is_some() {
                    let parts = missing(site, None, &seen);
                    assert!(
                        matches!(&parts[..], [Part::Dimm { slot, .. }] if slot.starts_with(&dimm.slot)),
                        "{name}: {} gave {parts:?}",
                        dimm.slot
                    );
                }
            }
            taken += 1;
        }
    }
    println!("{taken} DIMMs of {machines} machines, each taken out in turn: all named");
}
