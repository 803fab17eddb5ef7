// SPDX-License-Identifier: Apache-2.0
//! What the journal has of each node: stories as they happen, written as the journal writes them.

use groundstate_api::event::{Event, Happened};
use groundstate_api::site::Node;
use groundstate_api::{Digest, Millis, NodeId, RunId};
use serde_json::{Value, json};

const BOOT: &str = "11111111-1111-1111-1111-111111111111";
const GIB: u64 = 1 << 30;

/// How a node came to where it is.
pub(crate) enum Story {
    Enrolled,
    /// The image is being written.
    Provisioning,
    /// Held: a memory module is gone.
    DimmMissing,
    Ready,
    /// A Ready host with a disk that fails: suspect.
    DiskFailing,
    /// Held with a reason that says this everywhere.
    Says(String),
    /// In this phase, with a reason where it has one.
    Only(&'static str, Option<Value>),
}

pub(crate) fn event(number: u64, at: Millis, node: &NodeId, what: &Value) -> Event {
    let happened: Happened =
        serde_json::from_value(what.clone()).unwrap_or_else(|error| panic!("{error}: {what}"));
    Event {
        number,
        at,
        node: Some(node.clone()),
        what: happened,
    }
}

const fn mins(count: u64) -> Millis {
    Millis::secs(count * 60)
}

impl Story {
    /// The story of the node with this number in the large site.
    pub(crate) fn of(at: usize) -> Self {
        match at {
            3 => Self::DimmMissing,
            5 | 47 | 129 | 300..=309 | 640 | 700..=719 => Self::Provisioning,
            90 => Self::DiskFailing,
            _ => Self::mass(at),
        }
    }

    fn mass(at: usize) -> Self {
        let only = |phase, reason| Self::Only(phase, reason);
        match at {
            150..=157 => only(
                "booting",
                Some(
                    json!({"code": "under-way", "what": "the machine boots; waiting for its maintenance OS to enrol", "next_step": "no action needed; if it takes minutes, look at the machine's screen", "next_automatic": "the run stops when the enrolment window closes"}),
                ),
            ),
            158..=162 => only("checking", None),
            163..=165 => only(
                "planned",
                Some(
                    json!({"code": "waits-for-approval", "what": "the plan waits for approval", "next_step": "groundstate node approve NODE", "next_automatic": "nothing: it waits for a person"}),
                ),
            ),
            166..=169 => only("handed-over", None),
            200 | 411 => only(
                "held",
                Some(
                    json!({"code": "no-lease", "what": "no DHCP server answered on any interface with a link", "next_step": "look at the cable and the switch port, then order again: groundstate node reprovision NODE"}),
                ),
            ),
            201 => only(
                "held",
                Some(
                    json!({"code": "disk-error", "what": "writing to a disk failed", "next_step": "replace the disk in bay 4, then order again: groundstate node reprovision NODE",
                "part": {"kind": "disk", "slot": "bay 4", "serial": "PHYF1230", "size": "894.3 GiB", "model": "INTEL SSDSC2KB96"}}),
                ),
            ),
            205 | 555 => only(
                "quarantined",
                Some(
                    json!({"code": "quarantined", "what": "taken out of use: its memory counts errors that cannot be corrected", "next_step": "repair it, then groundstate node release NODE"}),
                ),
            ),
            206 => only(
                "in-repair",
                Some(
                    json!({"code": "in-repair", "what": "a person works at it", "next_step": "groundstate node release NODE when the work is done"}),
                ),
            ),
            207 | 620 => only(
                "suspect",
                Some(
                    json!({"code": "host-silent", "what": "the host has not reported for 3 min", "next_step": "look at the machine's power, link and screen", "next_automatic": "the node is ready again when its host reports"}),
                ),
            ),
            208 => only(
                "draining",
                Some(
                    json!({"code": "draining", "what": "the host gives its work away", "next_step": "no action needed"}),
                ),
            ),
            209 => only("rescue", None),
            210 => only("retired", None),
            211..=213 => only(
                "ordered",
                Some(
                    json!({"code": "power-needed", "what": "waiting for the machine to boot from the network", "next_step": "power the machine on, or restart it, and let it boot from the network"}),
                ),
            ),
            214..=215 => only("erasing", None),
            900..=939 => Self::Enrolled,
            _ => only("ready", None),
        }
    }

    /// The events, each with how long ago it was.
    pub(crate) fn tell(&self, node: &Node, now: Millis) -> Vec<(Millis, Value)> {
        let added = (mins(60 * 24 * 9), json!({"happened": "node-added"}));
        let mut events = vec![added];
        match self {
            Self::Enrolled => {}
            Self::Only(phase, reason) => {
                let reason = reason.as_ref().map(|given| filled(given, node, Some(now)));
                events.push((mins(14), phase_changed("enrolled", phase, &reason)));
            }
            Self::Provisioning => {
                events.extend(to_plan(node, &inventory(node, &[], 8), now));
                events.extend(steps(node, 4));
            }
            Self::DimmMissing => {
                events.extend(to_inventory(
                    node,
                    &inventory(node, &[], 7),
                    &[dimm_missing(node)],
                    now,
                ));
                events.push((
                    mins(12),
                    phase_changed("checking", "held", &Some(dimm_missing(node))),
                ));
            }
            Self::Ready | Self::DiskFailing => {
                let sick: &[&str] = if matches!(self, Self::DiskFailing) {
                    &["PHYF2002"]
                } else {
                    &[]
                };
                events.extend(to_plan(node, &inventory(node, sick, 8), now));
                events.extend(steps(node, 10));
                events.push((mins(4), phase_changed("provisioning", "handed-over", &None)));
                events.push((mins(3), registered(node)));
                events.push((mins(3), phase_changed("handed-over", "ready", &None)));
                if !sick.is_empty() {
                    let reason = json!({"code": "disk-failing", "what": "a disk of the host reports that it fails",
                        "next_step": format!("replace the disk in slot 2: groundstate node repair {}, and see the ticket", node.name),
                        "part": {"kind": "disk", "slot": "slot 2", "serial": "PHYF2002", "size": "894.3 GiB", "model": "INTEL SSDSC2KB96"},
                        "evidence": ["reallocated sectors: 1,431", "pending sectors: 24"]});
                    events.push((
                        mins(2),
                        phase_changed("ready", "suspect", &Some(filled(&reason, node, Some(now)))),
                    ));
                }
            }
            Self::Says(said) => events.extend(says(node, said, now)),
        }
        events
    }

    /// The log of its run.
    pub(crate) fn log(&self, node: &Node) -> Option<(RunId, String)> {
        let lines = match self {
            Self::Provisioning | Self::DimmMissing | Self::Ready | Self::DiskFailing => {
                let line = |at: usize| {
                    format!(
                        "[{:>5}.{:03}] probe: looked at device {at}, nothing odd\n",
                        at / 4,
                        at * 37 % 1_000
                    )
                };
                (0..60).map(line).collect()
            }
            Self::Says(said) => format!("{said}\n"),
            Self::Enrolled | Self::Only(..) => return None,
        };
        Some((run(node).parse().unwrap(), lines))
    }
}

/// Held, and all that its machine said is this.
fn says(node: &Node, said: &str, now: Millis) -> Vec<(Millis, Value)> {
    let mut seen = inventory(node, &[], 8);
    for place in ["manufacturer", "product", "firmware_version", "cpu_model"] {
        seen["system"][place] = json!(said);
    }
    for place in ["slot", "model", "revision"] {
        seen["disks"][1][place] = json!(said);
    }
    seen["disks"][1]["health"]["evidence"] = json!([said]);
    seen["disks"][1]["contents"] = json!([{"at": said, "what": said, "label": said}]);
    for place in ["slot", "manufacturer", "serial", "kind"] {
        seen["memory"]["dimms"][1][place] = json!(said);
    }
    seen["could_not_look"] = json!([said]);
    let reason = json!({"code": "disk-error", "what": said, "next_step": said, "next_automatic": said, "evidence": [said, said],
                    "part": {"kind": "disk", "slot": said, "serial": said, "size": said, "model": said}});
    let reason = filled(&reason, node, None);
    let mut events = to_inventory(node, &seen, std::slice::from_ref(&reason), now);
    events.push((
        mins(9),
        json!({"happened": "remarked", "by": said, "text": said}),
    ));
    events.push((
        mins(9),
        json!({"happened": "enrol-refused", "reason": reason, "alarm": true}),
    ));
    events.push((mins(8), phase_changed("checking", "held", &Some(reason))));
    events
}

fn run(node: &Node) -> String {
    format!("{}-001-6740a1", node.name)
}

fn filled(given: &Value, node: &Node, since: Option<Millis>) -> Value {
    let mut reason = json!({"part": null, "evidence": [], "since": null, "deadline": null, "next_automatic": "nothing: it waits for a person"});
    for (key, value) in given.as_object().unwrap() {
        reason[key] = value.clone();
    }
    if let Some(now) = since {
        reason["since"] = json!(now.0 - mins(14).0);
    }
    let step = reason["next_step"]
        .as_str()
        .unwrap()
        .replace("NODE", node.name.as_str());
    reason["next_step"] = json!(step);
    reason
}

fn phase_changed(from: &str, to: &str, reason: &Option<Value>) -> Value {
    json!({"happened": "phase-changed", "from": from, "to": to, "reason": reason})
}

fn dimm_missing(node: &Node) -> Value {
    let reason = json!({"code": "dimm-missing", "what": "a memory module is not there that was there before",
        "part": {"kind": "dimm", "slot": "DIMM_B2", "serial": "3D1F88A7", "size": "32 GiB"},
        "evidence": ["the last good report had 32 GiB in DIMM_B2, serial 3D1F88A7", "SMBIOS says that the slot is empty"],
        "next_step": "put a module of 32 GiB into slot DIMM_B2, or seat the one that is there; then order again: groundstate node reprovision NODE"});
    filled(&reason, node, None)
}

fn to_inventory(node: &Node, seen: &Value, stops: &[Value], now: Millis) -> Vec<(Millis, Value)> {
    let run = run(node);
    let findings: Vec<Value> = stops
        .iter()
        .map(|reason| json!({"gravity": "stop", "reason": reason}))
        .collect();
    let good = inventory(node, &[], 8);
    let closes = now.0 + mins(16).0;
    vec![
        (
            mins(60 * 24 * 2),
            json!({"happened": "inventory-taken", "inventory": good, "findings": []}),
        ),
        (
            mins(14),
            json!({"happened": "run-ordered", "run": run, "hand_over": "kexec", "window_closes": closes}),
        ),
        (mins(14), phase_changed("enrolled", "ordered", &None)),
        (
            Millis::secs(820),
            json!({"happened": "boot-seen", "sighting": leased()}),
        ),
        (
            Millis::secs(818),
            phase_changed("ordered", "booting", &None),
        ),
        (
            Millis::secs(790),
            json!({"happened": "enrolled", "run": run, "boot_id": BOOT, "key": "sha256:00"}),
        ),
        (
            Millis::secs(790),
            phase_changed("booting", "checking", &None),
        ),
        (
            Millis::secs(775),
            json!({"happened": "inventory-taken", "inventory": seen, "findings": findings}),
        ),
    ]
}

fn leased() -> Value {
    serde_json::to_value(groundstate_api::boot::BootSighting::Leased {
        address: "127.0.0.104".parse().unwrap(),
        firmware: Some(groundstate_api::boot::Firmware::UefiHttp),
    })
    .unwrap()
}

fn to_plan(node: &Node, seen: &Value, now: Millis) -> Vec<(Millis, Value)> {
    let mut events = to_inventory(node, seen, &[], now);
    events.push((
        Millis::secs(772),
        json!({"happened": "planned", "plan": plan(node)}),
    ));
    events.push((
        Millis::secs(771),
        phase_changed("checking", "provisioning", &None),
    ));
    events
}

/// The first steps of the plan, the last of them begun and not done.
fn steps(node: &Node, done: usize) -> Vec<(Millis, Value)> {
    let all = [
        ("guard", 2),
        ("wipe", 6),
        ("partition", 3),
        ("volumes", 41),
        ("vhds", 95),
        ("image", 210),
        ("read-back", 66),
        ("first-boot", 9),
        ("boot-entry", 2),
        ("hand-over", 14),
    ];
    let (mut ago, mut number) = (770_u64, 0);
    let mut events = Vec::new();
    let moved = |number: u64, step: &str, state: Value| json!({"happened": "step-moved", "run": run(node), "number": number, "step": step, "state": state, "peak_memory": 41_943_040});
    for (at, (step, secs)) in all.iter().enumerate() {
        if at > done {
            break;
        }
        number += 1;
        events.push((
            Millis::secs(ago),
            moved(number, step, json!({"state": "started"})),
        ));
        if at == done {
            break;
        }
        ago -= secs;
        number += 1;
        let facts = json!([format!("{step}: done in {secs} s")]);
        events.push((
            Millis::secs(ago),
            moved(number, step, json!({"state": "done", "facts": facts})),
        ));
    }
    events
}

fn registered(node: &Node) -> Value {
    json!({"happened": "host-registered", "plan": plan(node)["id"], "boot_id": BOOT, "os": "Debian GNU/Linux 12 (bookworm), 6.1.0-26-amd64",
        "changes": [{"what": "host name", "before": "localhost", "after": node.name}, {"what": "machine-id", "before": "uninitialized", "after": "1f0c2a"}]})
}

fn inventory(node: &Node, sick: &[&str], modules: usize) -> Value {
    let disk = |at: usize, serial: &str, size: u64, rotating: bool, slot: &str| {
        let ill = sick.contains(&serial);
        let findings = if ill {
            json!([{"code": "ata-reallocated-sectors", "verdict": "fail", "what": "1,431 sectors were reallocated, and it goes on", "evidence": ["attribute 5 is 1,431", "attribute 197 is 24"],
                "sureness": "certain", "advice": "replace", "next_step": "replace the disk"}])
        } else {
            json!([])
        };
        json!({
            "kernel_name": format!("sd{}", char::from(b'a' + u8::try_from(at).unwrap())), "slot": slot, "serial": serial, "wwn": null,
            "model": if rotating { "ST8000NM0055-1RM112" } else { "INTEL SSDSC2KB96" }, "revision": "XCV10132", "size": size, "logical_sector": 512, "physical_sector": 4096,
            "transport": "ata", "rotational": rotating, "removable": false, "read_only": false, "contents": [], "layout": null,
            "health": {"verdict": if ill { "fail" } else { "ok" }, "source": "ATA SMART", "evidence": [], "temperature_c": 31, "power_on_hours": 18_422, "findings": findings},
        })
    };
    let dimm = |at: usize| {
        let slot = format!("DIMM_{}{}", if at < 6 { 'A' } else { 'B' }, at % 6 + 1);
        let there = at % 3 != 2 && (modules == 8 || slot != "DIMM_B2");
        json!({"slot": slot, "bank": format!("P0 CHANNEL {}", at % 6), "size": there.then_some(32 * GIB), "populated": there,
            "kind": if there { "DDR4" } else { "" }, "speed": if there { 3_200 } else { 0 }, "manufacturer": if there { "Samsung" } else { "" },
            "part_number": if there { "M393A4K40DB3-CWE" } else { "" }, "serial": if there { format!("3D1F88A{at:X}") } else { String::new() }})
    };
    let dimms: Vec<Value> = (0..12).map(dimm).collect();
    json!({
        "schema": 1, "boot_id": BOOT, "first_line_after": 300, "complete_after": 9_200,
        "system": {"manufacturer": "Dell Inc.", "product": "PowerEdge R650", "serial": node.serial, "uuid": node.uuid, "firmware_version": "1.9.2", "firmware": "uefi-http",
            "uefi": true, "cpus": 64, "cpu_model": "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz"},
        "memory": {"available": u64::try_from(modules).unwrap() * 31 * GIB, "configured": u64::try_from(modules).unwrap() * 32 * GIB, "dimms": dimms},
        "disks": [disk(0, "PHYF2001", 960_197_124_096, false, "slot 1"), disk(1, "PHYF2002", 960_197_124_096, false, "slot 2"), disk(2, "ZA1B77QX", 8_001_563_222_016, true, "slot 3"), disk(3, "ZA1B77QY", 8_001_563_222_016, true, "slot 4")],
        "nics": [], "could_not_look": ["IPMI: no driver"],
    })
}

fn plan(node: &Node) -> Value {
    let guid = |at: u64| format!("0F5A9C1E-0000-4000-8000-{at:012X}");
    let part = |at: u64, name: &str, start: u64, length: u64, holds: Value| {
        let mut part = json!({"name": name, "type_guid": guid(900), "guid": guid(at), "start": start, "length": length});
        part["holds"] = holds;
        part
    };
    let volume = |at: u64, path: &str, vhds: usize, each: u64| {
        let vhd = |n: usize| json!({"file": format!("vm-{n}.vhd"), "size": each, "id": format!("11111111-1111-1111-1111-{at:04x}{n:08x}")});
        let vhds: Vec<Value> = (0..vhds).map(vhd).collect();
        json!({"holds": "ext4", "label": format!("gs-data-{at}"), "uuid": format!("22222222-2222-2222-2222-{at:012x}"), "mount_point": path, "vhds": vhds})
    };
    let disk = |serial: &str,
                slot: &str,
                size: u64,
                role: &str,
                because: &str,
                parts: Vec<Value>| {
        json!({"serial": serial, "wwn": null, "slot": slot, "model": "", "size": size, "logical_sector": 512, "role": role, "because": because,
            "action": {"action": "wipe", "goes": ["ext4 “old”"], "table": {"disk_guid": guid(1), "partitions": parts}}})
    };
    let (ssd, hdd, mib) = (960_197_124_096_u64, 8_001_563_222_016_u64, 1_u64 << 20);
    let os = vec![
        part(
            11,
            "gs-esp",
            mib,
            512 * mib,
            json!({"holds": "esp", "label": "GS-ESP", "volume_id": 7}),
        ),
        part(12, "gs-root", 513 * mib, 64 * GIB, json!({"holds": "root"})),
        part(
            13,
            "gs-data",
            513 * mib + 64 * GIB,
            800 * GIB,
            volume(1, "/data/PHYF2001", 6, 120 * GIB),
        ),
    ];
    let data = |at: u64, path: &str, vhds: usize| {
        vec![part(
            at,
            "gs-data",
            mib,
            7_400 * GIB,
            volume(at, path, vhds, 64 * GIB),
        )]
    };
    let ssd_data = vec![part(
        21,
        "gs-data",
        mib,
        890 * GIB,
        volume(2, "/data/PHYF2002", 12, 64 * GIB),
    )];
    json!({
        "schema": 1, "id": Digest::of(node.name.as_str().as_bytes()).hex(), "run": run(node), "node": node.name, "machine": node.uuid, "hand_over": "kexec", "uefi": true,
        "boot_mac": node.mac,
        "image": {"name": "debian-host", "version": "12.7", "kind": "root-fs-ext4", "manifest": Digest::of(b"manifest"), "size": 3 * GIB, "sector_size": 512},
        "disks": [disk("PHYF2001", "slot 1", ssd, "os", "the smallest healthy disk that does not rotate", os),
            disk("PHYF2002", "slot 2", ssd, "data", "a healthy disk with nothing to keep", ssd_data),
            disk("ZA1B77QX", "slot 3", hdd, "data", "a healthy disk with nothing to keep", data(31, "/data/ZA1B77QX", 100)),
            disk("ZA1B77QY", "slot 4", hdd, "data", "a healthy disk with nothing to keep", data(41, "/data/ZA1B77QY", 100))],
    })
}
