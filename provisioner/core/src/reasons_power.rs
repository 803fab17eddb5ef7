// SPDX-License-Identifier: Apache-2.0
//! Words about power, BMCs and credentials. Each says what is wrong and the one next step for a person.

use alloc::format;
use alloc::string::String;
use groundstate_api::action::{Act, NextBoot, PowerTo};
use groundstate_api::{NodeId, Part, Reason, ReasonCode, site};

fn field(node: &NodeId) -> Part {
    Part::Field {
        path: format!("bmc of node {node}"),
    }
}

/// Where a person finds a node's machine, as far as the site file says: `rack r1, unit 7, bay 2, serial number SN-7`.
#[must_use]
pub fn stands(site: &site::Node) -> String {
    let serial = format!("serial number {}", site.serial);
    let Some(slot) = &site.slot else {
        return serial;
    };
    let bay = slot.bay.map(|bay| format!(", bay {bay}"));
    format!(
        "rack {}, unit {}{}, {serial}",
        slot.rack,
        slot.unit,
        bay.unwrap_or_default()
    )
}

/// What a credential of the site file is for, and so what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Opens {
    /// A BMC.
    Bmc,
    /// A webhook: requests are signed with it.
    Webhook,
    /// It is placed on a host.
    Host,
}

/// What a person does about a credential: what to write, and where.
#[must_use]
pub fn write_credential(opens: Opens, place: &str) -> String {
    let what = match opens {
        Opens::Bmc => "`user:password` in one line",
        Opens::Webhook => "the key that it signs with, in one line,",
        Opens::Host => "the secret",
    };
    format!("write {what} into {place}, owned by the provisioner's user, mode 0600")
}

/// A credential that the site file names cannot be used; `place` is the file that it should be.
#[must_use]
pub fn credential_missing(name: &str, why: &str, opens: Opens, place: &str) -> Reason {
    Reason::new(
        ReasonCode::CredentialMissing,
        format!("the credential {name} cannot be used: {why}"),
        write_credential(opens, place),
    )
    .then("nothing: it is read anew at each use")
}

/// A host is to get what opens a BMC or signs for a webhook.
#[must_use]
pub fn not_for_hosts(name: &str, found: &str, path: &str) -> Reason {
    Reason::new(
        ReasonCode::CredentialMissing,
        format!("the credential {name} may not be placed on a host: {found} is what a BMC or a webhook is spoken to with"),
        format!(
            "where it is meant for hosts and nothing else is opened with it, move it: mv {found} {path}; else write the host's own secret into {path}, mode 0600"
        ),
    )
    .seen("what goes to hosts lies in STATE_DIR/host-credentials, or is handed over by systemd as host.NAME; STATE_DIR/credentials is for BMCs and webhooks")
    .then("nothing is placed from there; it is looked for again at the next try")
}

/// What is to be placed on a host cannot be read.
#[must_use]
pub fn host_secret_missing(name: &str, why: &str, place: &str) -> Reason {
    Reason::new(
        ReasonCode::CredentialMissing,
        format!("the host's credential {name} cannot be used: {why}"),
        write_credential(Opens::Host, place),
    )
    .then("it is read again at the next try")
}

/// The site says an address of a BMC that is none.
#[must_use]
pub fn bmc_address(node: &NodeId, why: &str) -> Reason {
    Reason::new(
        ReasonCode::BmcUnreachable,
        format!("the BMC of {node} has no usable address: {why}"),
        "correct `address` of the node's `bmc` in the site file and apply it",
    )
    .about(field(node))
}

/// A person is asked to do what a BMC would do.
#[must_use]
pub fn power_needed(site: &site::Node, act: &Act) -> Reason {
    let node = &site.name;
    let hands = match act {
        Act::Power { to: PowerTo::On } => "switch the machine on",
        Act::Power { to: PowerTo::Off } => {
            "shut the machine down with its power button, pressed shortly"
        }
        Act::Power {
            to: PowerTo::ForceOff,
        } => "switch the machine off: hold its power button for five seconds",
        Act::Power { to: PowerTo::Cycle } => "switch the machine off and on again",
        Act::BootNext {
            to: NextBoot::Network,
        } => "restart the machine and choose network boot (PXE) in its boot menu",
        Act::BootNext {
            to: NextBoot::HttpBoot,
        } => "restart the machine and choose UEFI HTTP Boot in its boot menu",
        Act::BootNext { to: NextBoot::Disk } => {
            "restart the machine and choose its first disk in its boot menu"
        }
        Act::BootNext {
            to: NextBoot::VirtualMedia,
        } => {
            "put the boot image on a USB stick (`groundstate boot-image --output FILE.iso`) and start the machine from it"
        }
        Act::Identify { .. } => "find the machine: nothing can light its LED",
        Act::HostBootNext { .. }
        | Act::RestartServices
        | Act::CollectDiagnostics
        | Act::RebootHost
        | Act::Drain
        | Act::Heal { .. } => "do it on the machine's own console",
    };
    Reason::new(
        ReasonCode::PowerNeeded,
        format!("{node} has no BMC that could: {}", act.says()),
        format!("{hands} ({node}, {})", stands(site)),
    )
    .then("the boot service notices when the machine starts")
}

/// A node without a BMC was asked what its BMC says.
#[must_use]
pub fn no_bmc(node: &NodeId) -> Reason {
    Reason::new(
        ReasonCode::PowerNeeded,
        format!("the site names no BMC of {node}"),
        "add `[node.bmc]` with address and credential to the site file and apply it, or go to the machine",
    )
    .about(field(node))
}

/// The BMC did not answer a question in time.
#[must_use]
pub fn bmc_busy(node: &NodeId, address: &str, waited_secs: u64) -> Reason {
    Reason::new(
        ReasonCode::BmcUnreachable,
        format!("the BMC of {node} did not answer within {waited_secs} s"),
        format!(
            "ask again; where that stays so, look whether {address} is reachable, and reset the BMC"
        ),
    )
    .about(field(node))
    .then("nothing: the question changed nothing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use groundstate_api::site_parts::Slot;

    #[test]
    fn a_person_is_told_what_to_do_with_which_machine_and_where() {
        let mac = groundstate_api::MacAddr([2, 0, 0, 0, 0, 7]);
        let uuid = "564d1234-5678-9abc-def0-123456789abc".parse().unwrap();
        let mut node = site::Node::new("node-7".parse().unwrap(), mac, uuid, "SN-7");
        for place in [
            "serial number SN-7",
            "rack r1, unit 7, bay 2, serial number SN-7",
        ] {
            assert_eq!(stands(&node), place);
            for act in [
                Act::Power { to: PowerTo::Cycle },
                Act::BootNext {
                    to: NextBoot::HttpBoot,
                },
                Act::Identify { on: true },
            ] {
                let reason = power_needed(&node, &act);
                assert_eq!(reason.code, ReasonCode::PowerNeeded);
                let told = format!("(node-7, {place})");
                assert!(reason.next_step.contains(&told), "{reason}");
            }
            node.slot = Some(Slot {
                rack: "r1".into(),
                unit: 7,
                height: 1,
                bay: Some(2),
                power: vec![],
                port: None,
            });
        }
    }
}
