// SPDX-License-Identifier: Apache-2.0
//! The past of a fleet that never was, for tests and measurements: a journal in which every node was ordered, looked at,
//! provisioned and is Ready, with as many disks, memory modules and events as real ones have.
//!
//! It decides nothing: the events are written as they would be, in the order in which a wave of nodes makes them.

use crate::{Journal, JournalError};
use groundstate_api::event::{Event, Happened};
use groundstate_api::inventory::Inventory;
use groundstate_api::plan::{DiskAction, Plan, Step};
use groundstate_api::site::Site;
use groundstate_api::{Digest, MacAddr, Millis, NodeId, SystemUuid};
use serde_json::{Value, json};

/// Nodes that are provisioned beside each other.
const WAVE: u32 = 100;
/// When it begins: in 2023.
const BEGAN: u64 = 1_700_000_000_000;
/// Callers that order.
const CALLERS: u32 = 20;

/// How large a fleet, and what its nodes consist of.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// How many nodes.
    pub nodes: u32,
    /// How often each was provisioned.
    pub runs: u32,
    /// Disks of each.
    pub disks: u32,
    /// Memory modules of each.
    pub dimms: u32,
}

impl Past {
    /// Its site.
    ///
    /// # Panics
    /// Never, as long as the site file has the keys of now.
    #[must_use]
    pub fn site(&self) -> Site {
        let nodes: Vec<Value> = (0..self.nodes).map(site_node).collect();
        let racks: Vec<Value> = (0..self.nodes.div_ceil(40))
            .map(|rack| json!({"name": format!("r{rack:03}"), "units": 42, "place": "row 1"}))
            .collect();
        let site = json!({
            "name": "past",
            "network": {
                "address": "127.0.0.1", "prefix": 8, "pool_first": "127.1.0.1", "pool_last": "127.1.255.254",
            },
            "policy": {"image": "debian-host", "hand_over": "kexec"},
            "rack": racks,
            "node": nodes,
        });
        serde_json::from_value(site).expect("a site")
    }

    /// Writes it into an empty journal, and says the number of the last event.
    ///
    /// # Errors
    /// Where the journal does not take it.
    pub fn write(&self, journal: &mut dyn Journal) -> Result<u64, JournalError> {
        let site = serde_json::to_vec(&self.site()).map_err(JournalError::Encode)?;
        let digest = Digest::of(&site);
        journal.put_document(&digest.to_string(), &site)?;
        let applied = Happened::SiteApplied {
            version: 1,
            digest,
            by: "up".to_owned(),
            changes: Vec::new(),
        };
        let (most, mut waits, mut number) = (journal.batch_max(), Vec::new(), 0);
        let patterns = Patterns::of(self);
        let all = std::iter::once((None, applied)).chain(self.happened(&patterns));
        for (node, what) in all {
            number += 1;
            waits.push(Event {
                number,
                at: Millis(BEGAN + number * 25),
                node,
                what,
            });
            if waits.len() == most {
                journal.append(&waits)?;
                waits.clear();
            }
        }
        journal.append(&waits)?;
        Ok(number)
    }

    /// Wave by wave, and within a wave moment by moment.
    fn happened<'a>(
        &'a self,
        patterns: &'a Patterns,
    ) -> impl Iterator<Item = (Option<NodeId>, Happened)> + 'a {
        let waves = (0..self.nodes).step_by(usize::try_from(WAVE).unwrap_or(1));
        (0..self.runs).flat_map(move |run| {
            waves.clone().flat_map(move |first| {
                let last = (first + WAVE).min(self.nodes);
                let lives: Vec<Vec<Happened>> =
                    (first..last).map(|who| life(who, run, patterns)).collect();
                let most = lives.iter().map(Vec::len).max().unwrap_or_default();
                (0..most).flat_map(move |at| {
                    let of =
                        |(who, life): (u32, &Vec<Happened>)| Some((who, life.get(at)?.clone()));
                    let found: Vec<_> = (first..last).zip(&lives).filter_map(of).collect();
                    found.into_iter().map(|(who, what)| {
                        let is_call = matches!(what, Happened::Audited { .. });
                        ((!is_call).then(|| name(who)), what)
                    })
                })
            })
        })
    }
}

/// The name of the node with this number.
///
/// # Panics
/// Never: a letter and digits are a name.
#[must_use]
pub fn name(who: u32) -> NodeId {
    format!("n{who:05}").parse().expect("a node's name")
}

fn mac(who: u32) -> MacAddr {
    let [_, a, b, c] = who.to_be_bytes();
    MacAddr([0x52, 0x54, 0x02, a, b, c])
}

fn uuid(who: u32) -> SystemUuid {
    let mut bytes = *b"\x67\x73\x00\x03pa\x40\0\x80\0\0\0\0\0\0\0";
    for (to, from) in bytes.iter_mut().skip(12).zip(who.to_be_bytes()) {
        *to = from;
    }
    SystemUuid(bytes)
}

fn site_node(who: u32) -> Value {
    json!({
        "name": name(who), "mac": mac(who), "uuid": uuid(who), "serial": format!("SYS-{who:05}"),
        "slot": {"rack": format!("r{:03}", who / 40), "unit": who % 40 + 1},
    })
}

/// What all nodes are alike in.
struct Patterns {
    inventory: Inventory,
    plan: Plan,
}

impl Patterns {
    fn of(past: &Past) -> Self {
        let disks: Vec<Value> = (0..past.disks).map(disk).collect();
        let dimms: Vec<Value> = (0..past.dimms).map(dimm).collect();
        let inventory = json!({
            "schema": groundstate_api::SCHEMA,
            "boot_id": "00000000-0000-4000-8000-000000000000",
            "first_line_after": 900, "complete_after": 21_000,
            "system": {
                "manufacturer": "Groundstate Works", "product": "GS-2224 Gen 3", "serial": "", "uuid": null,
                "firmware_version": "2.17.4", "firmware": "uefi-http", "uefi": true, "cpus": 128,
                "cpu_model": "Example(R) Processor 9454 48-Core, 2 sockets",
            },
            "memory": {"available": 1_640_000_000_000u64, "configured": 1_649_267_441_664u64, "dimms": dimms},
            "disks": disks,
            "nics": [nic("eno1"), nic("eno2")],
            "could_not_look": [],
        });
        let plan = json!({
            "schema": groundstate_api::SCHEMA,
            "id": "0".repeat(64), "run": "r", "node": "n", "machine": uuid(0), "hand_over": "kexec", "uefi": true,
            "boot_mac": mac(0),
            "image": {"name": "debian-host", "version": "12.11", "kind": "root-fs-ext4",
                "manifest": Digest::of(b"manifest"), "size": 700 << 20, "sector_size": 512},
            "disks": (0..past.disks).map(planned).collect::<Vec<_>>(),
        });
        Self {
            inventory: serde_json::from_value(inventory).expect("an inventory"),
            plan: serde_json::from_value(plan).expect("a plan"),
        }
    }
}

fn nic(name: &str) -> Value {
    json!({"name": name, "mac": mac(0), "link": true, "speed_mbps": 25_000, "driver": "mlx5_core"})
}

fn dimm(at: u32) -> Value {
    json!({
        "slot": format!("P{}_DIMM_{}", at / 12, at % 12), "bank": format!("P{} CHANNEL {}", at / 12, at % 12),
        "size": 68_719_476_736u64, "populated": true, "kind": "DDR5", "speed": 4_800,
        "manufacturer": "Example Memory", "part_number": "EM329R8GA0BB0-CQKMG", "serial": format!("D{at:02}"),
        "errors": {"corrected": 0, "uncorrected": 0},
    })
}

fn disk(at: u32) -> Value {
    json!({
        "kernel_name": format!("sd{}", char::from(b'a' + u8::try_from(at % 26).unwrap_or_default())),
        "slot": format!("pci-0000:3b:00.0-sas-exp0x500056b3deadbeff-phy{at}-lun-0"),
        "serial": format!("Z{at:02}"), "wwn": format!("0x5000c500a{at:07x}"),
        "model": "EXAMPLE MG10ACA20TE", "revision": "0104", "size": 20_000_588_955_648u64,
        "logical_sector": 512, "physical_sector": 4_096, "transport": "ata",
        "rotational": true, "removable": false, "read_only": false,
        "contents": [{"at": "disk", "what": "GPT", "label": null}, {"at": "partition 1", "what": "ext4", "label": "gs-data"}],
        "layout": null,
        "health": {
            "verdict": "ok", "source": "ATA SMART",
            "evidence": ["the disk says that it is well", "no sector waits to be reallocated", "31 C, at most 60 C"],
            "temperature_c": 31, "power_on_hours": 12_345,
            "figures": {
                "pending_sectors": 0, "reallocated_sectors": 0, "uncorrectable_errors": 0, "crc_errors": 0,
                "power_cycles": 21, "power_on_hours": 12_345, "start_stops": 23, "temperature_c": 31,
            },
        },
    })
}

fn planned(at: u32) -> Value {
    let guid = |part: u32| format!("3E585EE0-CD53-82C6-{part:04X}-{at:012X}");
    let part = |number: u32, name: &str, holds: Value| {
        json!({"name": name, "type_guid": "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "guid": guid(number),
            "start": 1 << 20, "length": 1u64 << 40, "holds": holds})
    };
    let partitions = if at == 0 {
        vec![
            part(
                1,
                "gs-esp",
                json!({"holds": "esp", "label": "GS-ESP", "volume_id": 7}),
            ),
            part(2, "gs-root", json!({"holds": "root"})),
        ]
    } else {
        let vhds: Vec<Value> = (0..2)
            .map(
                |n| json!({"file": format!("vm-{at}-{n}.vhd"), "size": 64u64 << 30, "id": guid(9)}),
            )
            .collect();
        vec![part(
            1,
            "gs-data",
            json!({"holds": "ext4", "label": format!("gs-data-{at}"), "uuid": guid(5),
            "mount_point": format!("/data/Z{at:02}"), "vhds": vhds}),
        )]
    };
    json!({
        "serial": format!("Z{at:02}"), "wwn": format!("0x5000c500a{at:07x}"), "slot": format!("phy{at}"),
        "model": "EXAMPLE MG10ACA20TE", "size": 20_000_588_955_648u64, "logical_sector": 512,
        "role": if at == 0 { "os" } else { "data" },
        "because": "the policy wipes every disk that it may use",
        "action": {"action": "wipe", "goes": ["GPT", "ext4 gs-data on partition 1"],
            "table": {"disk_guid": guid(0), "partitions": partitions}},
    })
}

impl Patterns {
    fn inventory(&self, who: u32, run: u32) -> Inventory {
        let mut seen = self.inventory.clone();
        seen.boot_id = boot(who, run);
        seen.system.serial = format!("SYS-{who:05}");
        seen.system.uuid = Some(uuid(who));
        for dimm in &mut seen.memory.dimms {
            dimm.serial = format!("{}{who:06X}", dimm.serial);
        }
        for (at, disk) in (0u32..).zip(&mut seen.disks) {
            disk.serial = format!("{}{who:06X}", disk.serial);
            disk.wwn = disk.wwn.as_ref().map(|wwn| format!("{wwn}{who:06x}"));
            let hours = i64::from(12_345 + run * 700 + (who * 7 + at * 13) % 500);
            disk.health.figures.insert("power_on_hours".into(), hours);
            disk.health.power_on_hours = u64::try_from(hours).ok();
            disk.health.temperature_c = i16::try_from(28 + (who + at) % 9).ok();
        }
        for nic in &mut seen.nics {
            nic.mac = mac(who);
        }
        seen
    }

    fn plan(&self, who: u32, run: u32) -> Plan {
        let mut plan = self.plan.clone();
        plan.id = plan_id(who, run).parse().expect("a plan's id");
        plan.run = run_id(who, run).parse().expect("a run's id");
        plan.node = name(who);
        plan.machine = uuid(who);
        plan.boot_mac = mac(who);
        for (at, disk) in (0u32..).zip(&mut plan.disks) {
            disk.serial = format!("{}{who:06X}", disk.serial);
            if let DiskAction::Wipe { table, .. } = &mut disk.action {
                table.disk_guid = format!("3E585EE0-CD53-{run:04X}-{at:04X}-{who:012X}");
            }
        }
        plan
    }
}

fn boot(who: u32, run: u32) -> groundstate_api::BootId {
    let text = format!("{who:08x}-0000-4000-8000-{run:012x}");
    text.parse().expect("a boot's id")
}

fn run_id(who: u32, run: u32) -> String {
    format!("{}-{:03}-65500000", name(who), run + 1)
}

fn plan_id(who: u32, run: u32) -> String {
    format!("{who:032x}{run:032x}")
}

fn said(what: Value) -> Happened {
    serde_json::from_value(what).expect("an event")
}

fn phase(from: &str, to: &str) -> Happened {
    said(json!({"happened": "phase-changed", "from": from, "to": to, "reason": null}))
}

/// What happens to a node in one run.
fn life(who: u32, run: u32, patterns: &Patterns) -> Vec<Happened> {
    let id = run_id(who, run);
    let by = format!("operator:op-{:02}", who % CALLERS);
    let did = format!("POST /v1/nodes/{}/provision", name(who));
    let mut life = Vec::new();
    if run == 0 {
        life.push(Happened::NodeAdded);
    }
    let ordered = [
        json!({"happened": "run-ordered", "run": id, "hand_over": "kexec", "window_closes": BEGAN, "terms": {"by": by}}),
        json!({"happened": "audited", "audit": {"by": by, "from": "10.0.0.9", "did": did, "status": 200}}),
        json!({"happened": "boot-seen", "sighting": {"saw": "leased", "address": "10.64.3.7", "firmware": "uefi-http"}}),
    ];
    life.extend(ordered.into_iter().map(said));
    life.push(phase(
        if run == 0 { "enrolled" } else { "ready" },
        "ordered",
    ));
    life.push(phase("ordered", "booting"));
    life.push(said(
        json!({"happened": "enrolled", "run": id, "boot_id": boot(who, run), "key": key(who, run)}),
    ));
    life.push(phase("booting", "checking"));
    life.push(Happened::InventoryTaken {
        inventory: Box::new(patterns.inventory(who, run)),
        findings: Vec::new(),
    });
    life.push(Happened::Planned {
        plan: Box::new(patterns.plan(who, run)),
    });
    life.push(phase("checking", "provisioning"));
    for (at, step) in Step::ALL.into_iter().enumerate() {
        let fact = format!(
            "{} as planned on 24 disks, nothing was skipped",
            step.as_str()
        );
        let moved = |number: usize, state: Value| json!({"happened": "step-moved", "run": id, "number": number, "step": step, "state": state, "peak_memory": 52_000_000});
        life.push(said(moved(2 * at + 1, json!({"state": "started"}))));
        life.push(said(moved(
            2 * at + 2,
            json!({"state": "done", "facts": [fact]}),
        )));
    }
    life.push(said(json!({"happened": "host-credential-issued", "plan": plan_id(who, run), "key": key(who, run)})));
    life.push(phase("provisioning", "handed-over"));
    life.push(said(json!({
        "happened": "host-registered", "plan": plan_id(who, run), "boot_id": boot(who, run + 1_000),
        "os": "Debian GNU/Linux 12, Linux 6.1.0-37-amd64", "changes": [],
    })));
    life.push(phase("handed-over", "ready"));
    life
}

fn key(who: u32, run: u32) -> String {
    Digest::of(format!("{who} {run}").as_bytes()).to_string()
}
