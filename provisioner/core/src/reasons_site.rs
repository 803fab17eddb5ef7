// SPDX-License-Identifier: Apache-2.0
//! The words of the site: what follows from a change, and what stands in the way of it.

use crate::reasons_power::{Opens, write_credential};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::machine::Machine;
use groundstate_api::site_plan::{ChangeKind, KeyChange, SiteChange, SitePlan};
use groundstate_api::view::Phase;
use groundstate_api::{MacAddr, NodeId, Part, Reason, ReasonCode};

const NEXT_RUN: &str = "from the next run of each node on; until then nothing on its disks changes";
const NEXT_BOOT: &str = "at each machine's next boot from the network";
const AT_ONCE: &str = "at once";
const LEASES: &str =
    "at once for leases that are given or renewed; those that were given hold until they end";
const RESTART: &str = "when groundstate is started again";

/// What follows from a change, and whether it takes effect only at the next start.
pub(crate) fn effect(resource: &str, kind: ChangeKind, keys: &[KeyChange]) -> (String, bool) {
    let is_new = kind == ChangeKind::Added;
    let custom = files_differ(resource, keys);
    let (says, restart) = match resource.split_once(' ') {
        Some(("node", _)) if kind == ChangeKind::Changed => {
            return (custom + &of_node(kind, keys), false);
        }
        Some(("node", _)) => return (of_node(kind, keys), false),
        Some(("pool", _)) => (LEASES, false),
        Some(("profile", _)) => ("at the next checks of its nodes", false),
        Some(("webhook", _)) if is_new => ("at once, for events from now on", false),
        Some(("switch" | "pdu", _)) => ("at once, on pages and repair tickets", false),
        Some(_) => (AT_ONCE, false),
        None => of_section(resource),
    };
    (custom + says, restart)
}

/// How many of a host's files and credentials differ: `2 files: `; nothing where none does.
fn files_differ(resource: &str, keys: &[KeyChange]) -> String {
    let of_policy = resource.strip_prefix("policy.");
    let is_node = resource.starts_with("node ");
    let mut files: BTreeSet<&str> = BTreeSet::new();
    let mut secrets: BTreeSet<&str> = BTreeSet::new();
    for key in keys {
        let own = match of_policy {
            Some(_) => key.key.strip_prefix("policy.").unwrap_or(&key.key),
            None if is_node => &key.key,
            None => continue,
        };
        // What is named in brackets may have any character, so that the last bracket ends it.
        let thing = own.rfind(']').and_then(|end| own.get(..end)).unwrap_or(own);
        if own.starts_with("file[") {
            files.insert(thing);
        } else if own.starts_with("nocloud.") {
            files.insert(own.rsplit_once('.').map_or(own, |(thing, _)| thing));
        } else if own.starts_with("unattend.") {
            files.insert("unattend");
        } else if own.starts_with("credential[") {
            secrets.insert(thing);
        }
    }
    let count = |count: usize, one: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {one}s")),
    };
    let said: Vec<String> = [
        count(files.len(), "file"),
        count(secrets.len(), "credential"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if said.is_empty() {
        String::new()
    } else {
        said.join(" and ") + ": "
    }
}

fn of_section(resource: &str) -> (&'static str, bool) {
    let (section, key) = resource.split_once('.').unwrap_or((resource, ""));
    match (section, key) {
        ("name", _) => (
            "when groundstate is started again: boot images carry the name; certificates keep the one that the site began with",
            true,
        ),
        ("network", "address" | "prefix" | "http_port" | "https_port") => (
            "when groundstate is started again; hosts that were made before go on calling the old address and port",
            true,
        ),
        ("network", _) => (LEASES, false),
        ("policy", "image") => (
            "from the next run of each node on; hosts that are there stay as they are, and groundstate site drift names them",
            false,
        ),
        ("policy", "trust_root") | ("images", "total_rate" | "node_rate" | "shared_caches") => {
            (RESTART, true)
        }
        ("policy", "closed") => ("at once, for machines that are no node", false),
        (
            "policy",
            "hand_over" | "disks" | "vhd" | "file" | "nocloud" | "credential" | "unattend",
        ) => (NEXT_RUN, false),
        ("boot", _) => (NEXT_BOOT, false),
        ("rescue", _) => ("at the next rescue", false),
        _ => (AT_ONCE, false),
    }
}

/// What follows for one node, each consequence once, the nearest first.
fn of_node(kind: ChangeKind, keys: &[KeyChange]) -> String {
    match kind {
        ChangeKind::Added => {
            return "known at once; it is provisioned when a run is ordered: groundstate node provision NODE"
                .to_string();
        }
        ChangeKind::Removed => {
            return "forgotten at once: its machine is a stranger from then on; its events stay in the journal"
                .to_string();
        }
        ChangeKind::Changed => {}
    }
    let consequence = |key: &KeyChange| {
        let end = key.key.find(['.', '[']).unwrap_or(key.key.len());
        match key.key.get(..end).unwrap_or_default() {
            "mac" | "uuid" | "serial" => (0, "at once: its machine is known by this from then on"),
            "slot" => (1, "at once"),
            "bmc" => (2, "at the next call to its BMC"),
            "boot" | "local_disk" => (3, "at its next boot from the network"),
            "hardware" | "profile" => (4, "at its next checks"),
            _ => (
                5,
                "from its next run on; until then nothing on its disks changes",
            ),
        }
    };
    let all: BTreeSet<(u8, &str)> = keys.iter().map(consequence).collect();
    let all: Vec<&str> = all.into_iter().map(|(_, says)| says).collect();
    all.join("; ")
}

/// A node that comes has the address of one that goes.
pub(crate) fn same_machine(owner: &NodeId) -> String {
    format!(
        "known at once; its machine was {owner} until now, and what the journal says of {owner} stays under that name"
    )
}

pub(crate) fn run_is_open(node: &NodeId, phase: Phase) -> String {
    format!(
        "{node} is {}: wait until its run ends (groundstate node wait {node}), or end it (groundstate node quarantine {node}, then groundstate node retire {node}), and apply again",
        phase.as_str()
    )
}

pub(crate) fn host_may_run(node: &NodeId, phase: Phase) -> String {
    format!(
        "{node} is {} and its host may run and call: retire it first (groundstate node retire {node})",
        phase.as_str()
    )
}

pub(crate) fn disks_in_quarantine(node: &NodeId, disks: &str) -> String {
    format!(
        "disks of {node} are in quarantine because their erase is not proved ({disks}): erase them, or retire the node first (groundstate node retire {node})"
    )
}

pub(crate) fn identity_under_way(node: &NodeId, keys: &str, phase: Phase) -> String {
    let ends = if phase == Phase::Rescue {
        format!("end its rescue (groundstate node release {node})")
    } else {
        format!(
            "wait until its run ends (groundstate node wait {node}), or end it (groundstate node quarantine {node})"
        )
    };
    format!(
        "{keys} of {node} cannot change while it is {}, because its machine is known by it: {ends}, and apply again",
        phase.as_str()
    )
}

/// A machine of no node on a site that lets everybody in as far as here.
pub(crate) fn waits_to_be_accepted(mac: MacAddr) -> Reason {
    Reason::new(
        ReasonCode::UnknownMachine,
        "this machine waits to be accepted into the site",
        format!("accept it: groundstate machine accept {mac} NAME; or send it away: groundstate machine forget {mac}"),
    )
    .about(Part::Machine {
        said: mac.to_string(),
    })
    .seen("it belongs to no node of the site")
    .then("the machine asks again every few seconds; nothing is written to it")
}

/// The machine told too little.
#[must_use]
pub fn cannot_be_accepted(machine: &Machine) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::UnknownMachine,
        "this machine has not told its UUID and its serial number, by which a node is known",
        machine.next_step(),
    )
    .about(Part::Machine {
        said: machine.mac.to_string(),
    })
    .then("nothing: it stays in the waiting room");
    if let Some(address) = &machine.address {
        reason = reason.seen(format!("the address that it was leased: {address}"));
    }
    reason
}

/// No such machine waits.
#[must_use]
pub fn no_such_machine(mac: MacAddr) -> Reason {
    Reason::new(
        ReasonCode::UnknownMachine,
        format!("no machine {mac} waits"),
        "groundstate machine ls lists those that do; one that was accepted is a node: groundstate node list",
    )
}

/// A credential that the site names cannot be used.
#[must_use]
pub fn credential_unusable(
    (name, opens): (&str, Opens),
    why: &str,
    places: &[String],
    (users, more): (&[&str], usize),
) -> Reason {
    let first = places
        .last()
        .map_or("the credentials directory", String::as_str);
    let mut reason = Reason::new(
        ReasonCode::CredentialMissing,
        format!("the credential {name} cannot be used: {why}"),
        format!(
            "{}; or name another one in the site file",
            write_credential(opens, first)
        ),
    )
    .seen(format!("it was looked for as {}", places.join(", then ")));
    for user in users {
        reason = reason.seen(*user);
    }
    if more > 0 {
        reason = reason.seen(format!("and {more} more name it"));
    }
    reason.then("it is read again whenever it is needed")
}

/// A webhook that comes, or signs with another credential, could not sign anything.
#[must_use]
pub fn webhook_cannot_sign(name: &str, why: &str) -> String {
    format!(
        "its credential {name} cannot be used, so nothing could be signed and told ({why}): write it first, mode 0600"
    )
}

/// The plan cannot be applied: the first things that stand in the way, and what to do.
#[must_use]
pub fn refused(plan: &SitePlan) -> Option<Reason> {
    /// What is told one by one; the plan has them all.
    const SHOWN: usize = 8;
    let refused = |change: &&SiteChange| change.refused.is_some();
    let all: Vec<&SiteChange> = plan.changes.iter().filter(refused).collect();
    let first = all.first()?;
    let mut reason = Reason::new(
        ReasonCode::SiteRefused,
        match all.len() {
            1 => "one change stands in the way: nothing of the site is applied".to_string(),
            count => format!("{count} changes stand in the way: nothing of the site is applied"),
        },
        "do what each of them says, or leave it out of the site, and apply again",
    )
    .about(Part::Field {
        path: first.resource.clone(),
    })
    .then("nothing: the site in force stays");
    for change in all.iter().take(SHOWN) {
        let why = change.refused.as_deref().unwrap_or_default();
        reason = reason.seen(format!("{}: {why}", change.resource));
    }
    if all.len() > SHOWN {
        reason = reason.seen(format!("and {} more", all.len() - SHOWN));
    }
    Some(reason)
}

/// The same at a start: nothing runs yet, so that what each of them says can only be done afterwards.
#[must_use]
pub fn refused_at_start(plan: &SitePlan) -> Option<Reason> {
    /// What is named one by one.
    const SHOWN: usize = 4;
    let mut reason = refused(plan)?;
    let all: Vec<String> = plan
        .changes
        .iter()
        .filter(|change| change.refused.is_some())
        .map(|change| match change.kind {
            ChangeKind::Removed => format!("put {} back into this one", change.resource),
            ChangeKind::Changed => format!("write {} in this one as it was", change.resource),
            ChangeKind::Added => format!("leave {} out of this one", change.resource),
        })
        .collect();
    let more = match all.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" (and so on for {more} more)"),
    };
    reason.next_step = format!(
        "start with the file of the last start, or {}{more}; once groundstate runs, do what each of them says, then apply this file: groundstate apply FILE. groundstate site export writes down what is in force",
        all.get(..SHOWN).unwrap_or(&all).join(", and ")
    );
    reason.next_automatic =
        "nothing: groundstate does not start, and the site in force stays".to_string();
    Some(reason)
}

/// The site has faults.
#[must_use]
pub fn faulty(faults: &[crate::site_check::Fault]) -> Option<Reason> {
    /// What is told in one answer: a file with more was not written by hand.
    const SHOWN: usize = 200;
    let first = faults.first()?;
    let what = match faults.len() {
        1 => "the site has one fault".to_string(),
        count => format!("the site has {count} faults"),
    };
    let mut reason = Reason::new(
        ReasonCode::BadRequest,
        what,
        "correct them and send it again",
    )
    .about(Part::Field {
        path: first.path.clone(),
    })
    .then("nothing: the site in force stays");
    for fault in faults.iter().take(SHOWN) {
        reason = reason.seen(fault.to_string());
    }
    if faults.len() > SHOWN {
        reason = reason.seen(format!("and {} more", faults.len() - SHOWN));
    }
    Some(reason)
}

/// Somebody changed the site in between.
#[must_use]
pub fn another_version(expected: &str, found: u64) -> Reason {
    Reason::new(
        ReasonCode::Precondition,
        "somebody changed the site in between",
        "look at the plan again, then apply again",
    )
    .seen(format!("the request is for {expected}"))
    .seen(format!("version {found} is in force"))
    .then("nothing: the site in force stays")
}
