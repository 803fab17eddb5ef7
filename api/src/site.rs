// SPDX-License-Identifier: Apache-2.0
//! The site file (`site.toml`): what the operator declares. Unknown keys are refused by name.

use crate::boot_rules::{BootRules, LocalDisk};
use crate::customise::{CredentialRule, Custom, FileRule, NoCloud, TextSource};
use crate::disk_policy::DiskPolicy;
use crate::fan_out::ImageRules;
use crate::healing::HealingPolicy;
use crate::ids::{MacAddr, NodeId, SystemUuid};
use crate::plan::{EarlierDisks, HandOver, VhdFormat, VhdKind};
use crate::site_parts::{Access, BmcSite, Fixture, Profile, Rack, RescueSite, Slot, Webhook};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use serde::{Deserialize, Serialize};

/// The whole file.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The site's name, shown on screens.
    pub name: String,
    /// The provisioning network.
    pub network: Network,
    /// What holds for every node that does not say otherwise.
    pub policy: Policy,
    /// What machines boot where no run is ordered.
    #[serde(default, skip_serializing_if = "BootRules::is_empty")]
    pub boot: BootRules,
    /// How images are given out.
    #[serde(default, skip_serializing_if = "ImageRules::is_usual")]
    pub images: ImageRules,
    /// What is done about hosts in trouble.
    #[serde(default, skip_serializing_if = "HealingPolicy::is_usual")]
    pub healing: HealingPolicy,
    /// Who may open a shell in a rescue.
    #[serde(default, skip_serializing_if = "RescueSite::is_empty")]
    pub rescue: RescueSite,
    /// The racks.
    #[serde(default, rename = "rack", skip_serializing_if = "Vec::is_empty")]
    pub racks: Vec<Rack>,
    /// The switches.
    #[serde(default, rename = "switch", skip_serializing_if = "Vec::is_empty")]
    pub switches: Vec<Fixture>,
    /// The PDUs.
    #[serde(default, rename = "pdu", skip_serializing_if = "Vec::is_empty")]
    pub pdus: Vec<Fixture>,
    /// The hardware profiles.
    #[serde(default, rename = "profile", skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<Profile>,
    /// What callers may do where.
    #[serde(default, rename = "access", skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Access>,
    /// Who is told of events.
    #[serde(default, rename = "webhook", skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<Webhook>,
    /// The nodes.
    #[serde(default, rename = "node")]
    pub nodes: Vec<Node>,
}

impl Site {
    /// What a file means that says these three and nothing else.
    #[must_use]
    pub fn new(name: &str, network: Network, policy: Policy) -> Self {
        Self {
            name: name.into(),
            network,
            policy,
            boot: BootRules::default(),
            images: ImageRules::default(),
            healing: HealingPolicy::default(),
            rescue: RescueSite::default(),
            racks: Vec::new(),
            switches: Vec::new(),
            pdus: Vec::new(),
            profiles: Vec::new(),
            access: Vec::new(),
            webhooks: Vec::new(),
            nodes: Vec::new(),
        }
    }
}

/// The provisioning network.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Our own address on the provisioning interface.
    pub address: Ipv4Addr,
    /// Length of the network prefix, 8 to 30.
    pub prefix: u8,
    /// First address to lease.
    pub pool_first: Ipv4Addr,
    /// Last address to lease.
    pub pool_last: Ipv4Addr,
    /// Default gateway (option 3).
    #[serde(default)]
    pub router: Option<Ipv4Addr>,
    /// Name servers (option 6).
    #[serde(default)]
    pub dns: Vec<Ipv4Addr>,
    /// Lease time in seconds, 300 to 604,800.
    #[serde(default = "lease_secs_default")]
    pub lease_secs: u32,
    /// TCP port of HTTP boot files. 80 where nothing else is there.
    #[serde(default = "http_port_default")]
    pub http_port: u16,
    /// TCP port of the HTTPS API, images included.
    #[serde(default = "https_port_default")]
    pub https_port: u16,
    /// Further ranges to lease, here or in subnets behind relay agents.
    #[serde(default, rename = "pool", skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<crate::site_pool::Pool>,
}

impl Network {
    /// What a file means that says these and nothing else: our address, its prefix, the first and the last address to lease.
    #[must_use]
    pub fn new(address: Ipv4Addr, prefix: u8, pool: (Ipv4Addr, Ipv4Addr)) -> Self {
        Self {
            address,
            prefix,
            pool_first: pool.0,
            pool_last: pool.1,
            router: None,
            dns: Vec::new(),
            lease_secs: lease_secs_default(),
            http_port: http_port_default(),
            https_port: https_port_default(),
            pools: Vec::new(),
        }
    }
}

fn lease_secs_default() -> u32 {
    3_600
}
fn http_port_default() -> u16 {
    80
}
fn https_port_default() -> u16 {
    8443
}

/// What holds for every node that does not say otherwise.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The image: `NAME`, the newest import of that name, signed or not; or `NAME@CHANNEL`, what the signed catalogue says
    /// that the channel stands for, and never an image that is not signed ([`crate::trust::ImageChoice`]).
    pub image: String,
    /// The file of the trust root that channels are checked with, relative to this file. Without it: the one that
    /// `groundstate image trust init` or `pin` has pinned in the state directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_root: Option<String>,
    /// How to hand over.
    pub hand_over: HandOver,
    /// Whether a machine that is not in this file is refused an address and a boot file. Closed is the default. On an open site
    /// it boots the maintenance OS, which writes nothing and waits until a person accepts the machine.
    #[serde(default = "closed_default")]
    pub closed: bool,
    /// How often a run is tried again by itself that stopped for a cause that may pass: the machine fell silent, did not boot,
    /// or could not reach the provisioner. Runs that the healing policy orders are never tried again so: its ladder says how often.
    #[serde(
        default = "retries_default",
        skip_serializing_if = "is_retries_default"
    )]
    pub retries: u32,
    /// The most runs that carry their plans out at once; none where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_at_once: Option<u32>,
    /// What disks are for.
    #[serde(default, skip_serializing_if = "DiskPolicy::is_empty")]
    pub disks: DiskPolicy,
    /// The VHDs.
    #[serde(default, rename = "vhd")]
    pub vhds: Vec<VhdPolicy>,
    /// Files that every host gets.
    #[serde(default, rename = "file", skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRule>,
    /// What cloud-init is told on every host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nocloud: Option<Box<NoCloud>>,
    /// systemd credentials that every host gets.
    #[serde(default, rename = "credential", skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<CredentialRule>,
    /// The answer file of Windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unattend: Option<Box<TextSource>>,
}

impl Policy {
    /// What a file means that says these two and nothing else.
    #[must_use]
    pub fn new(image: &str, hand_over: HandOver) -> Self {
        Self {
            image: image.into(),
            trust_root: None,
            hand_over,
            closed: closed_default(),
            retries: retries_default(),
            runs_at_once: None,
            disks: DiskPolicy::default(),
            vhds: Vec::new(),
            files: Vec::new(),
            nocloud: None,
            credentials: Vec::new(),
            unattend: None,
        }
    }

    /// What every host gets of its own.
    #[must_use]
    pub fn custom(&self) -> Custom<'_> {
        Custom {
            files: &self.files,
            nocloud: self.nocloud.as_deref(),
            credentials: &self.credentials,
            unattend: self.unattend.as_deref(),
        }
    }
}

fn closed_default() -> bool {
    true
}

/// How often a run is tried again where the site file does not say.
pub const RETRIES_USUAL: u32 = 2;

const fn retries_default() -> u32 {
    RETRIES_USUAL
}

fn is_retries_default(retries: &u32) -> bool {
    *retries == RETRIES_USUAL
}

/// A set of VHDs: `vm-0.vhd`, `vm-1.vhd`, …; `count` of one `size`, or `sizes`, or as many or as large as fit (`fill`).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VhdPolicy {
    /// The files' name without number: 1 to 32 of `a-z`, `0-9`, `-`.
    pub name: String,
    /// Size, for example `64GiB`; a whole number of MiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub size: String,
    /// How many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u16,
    /// With `size`: as many as fit. With `count`: that many, as large as fits.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fill: bool,
    /// What `fill` leaves free on each volume, for example `10GiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve: Option<String>,
    /// The sizes one by one, in place of `size` and `count`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<String>,
    /// Whether the set is for each volume (the default), or once for the node.
    #[serde(default, skip_serializing_if = "Per::is_usual")]
    pub per: Per,
    /// `vhd` (the default) or `vhdx`.
    #[serde(default, skip_serializing_if = "VhdFormat::is_usual")]
    pub format: VhdFormat,
    /// `fixed` (the default) or `dynamic`.
    #[serde(default, skip_serializing_if = "VhdKind::is_usual")]
    pub kind: VhdKind,
}

/// What a set of VHDs is made for.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Every data volume gets the whole set.
    #[default]
    Volume,
    /// The node gets the set once; each VHD goes to the data volume with the most room.
    Node,
}

impl Per {
    /// Whether this is what stands where nothing is said.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(count: &u16) -> bool {
    *count == 0
}

fn is_false(fill: &bool) -> bool {
    !*fill
}

/// One machine.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name, which becomes the host name.
    pub name: NodeId,
    /// The MAC address it boots from.
    pub mac: MacAddr,
    /// SMBIOS UUID.
    pub uuid: SystemUuid,
    /// SMBIOS serial number.
    pub serial: String,
    /// How to hand over, where it differs from the policy.
    #[serde(default)]
    pub hand_over: Option<HandOver>,
    /// What it boots where it would boot its own disk: a recipe's name, `nothing` or `local-disk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// How its firmware is sent to its own disk, where that differs from its model's and the site's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_disk: Option<LocalDisk>,
    /// Serial number of the disk for the OS. Without it: the smallest healthy non-rotating disk, then the smallest.
    #[serde(default)]
    pub os_disk: Option<String>,
    /// Serial numbers of disks whose data volume outlives a reprovision.
    #[serde(default)]
    pub keep: Vec<String>,
    /// What its disks are for, where that differs from the policy: each key replaces the policy's, and its rules are asked
    /// before the policy's.
    #[serde(default, skip_serializing_if = "DiskPolicy::is_empty")]
    pub disks: DiskPolicy,
    /// Its VHDs; where there are any, the policy's are not made.
    #[serde(default, rename = "vhd", skip_serializing_if = "Vec::is_empty")]
    pub vhds: Vec<VhdPolicy>,
    /// Files that its host gets; one beats the policy's with the same path.
    #[serde(default, rename = "file", skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRule>,
    /// What cloud-init is told on its host; each document beats the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nocloud: Option<Box<NoCloud>>,
    /// systemd credentials that its host gets; one beats the policy's of the same name.
    #[serde(default, rename = "credential", skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<CredentialRule>,
    /// Its answer file of Windows, in place of the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unattend: Option<Box<TextSource>>,
    /// Where it sits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// Its BMC. Without one a person is asked for what needs hands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bmc: Option<BmcSite>,
    /// The hardware profile that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The hardware it should have. Without it: its profile's; without one: what its last good report had.
    #[serde(default)]
    pub hardware: Option<Hardware>,
}

impl Node {
    /// What a file means that says who the machine is and nothing else.
    #[must_use]
    pub fn new(name: NodeId, mac: MacAddr, uuid: SystemUuid, serial: &str) -> Self {
        Self {
            name,
            mac,
            uuid,
            serial: serial.into(),
            hand_over: None,
            boot: None,
            local_disk: None,
            os_disk: None,
            keep: Vec::new(),
            disks: DiskPolicy::default(),
            vhds: Vec::new(),
            files: Vec::new(),
            nocloud: None,
            credentials: Vec::new(),
            unattend: None,
            slot: None,
            bmc: None,
            profile: None,
            hardware: None,
        }
    }

    /// What its host gets of its own, beside the policy's.
    #[must_use]
    pub fn custom(&self) -> Custom<'_> {
        Custom {
            files: &self.files,
            nocloud: self.nocloud.as_deref(),
            credentials: &self.credentials,
            unattend: self.unattend.as_deref(),
        }
    }

    /// Whether a run may write to the disk with this serial number: the site file names it; or the site file lists no
    /// disks, and an earlier plan used this one or there was no earlier plan.
    #[must_use]
    pub fn may_use(&self, serial: &str, earlier: &EarlierDisks) -> bool {
        let named = self.hardware.as_ref().map_or(&[][..], |h| &h.disks);
        self.os_disk.as_deref() == Some(serial)
            || self.keep.iter().any(|kept| kept == serial)
            || if named.is_empty() {
                earlier.used.is_empty() || earlier.used.contains(serial)
            } else {
                named.iter().any(|disk| disk.serial == serial)
            }
    }
}

/// Expected hardware.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hardware {
    /// Each DIMM by slot.
    #[serde(default, rename = "dimm")]
    pub dimms: Vec<ExpectedDimm>,
    /// Each disk by serial number.
    #[serde(default, rename = "disk")]
    pub disks: Vec<ExpectedDisk>,
}

/// An expected DIMM.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedDimm {
    /// Device Locator.
    pub slot: String,
    /// Size, for example `32GiB`.
    pub size: String,
    /// Serial number.
    #[serde(default)]
    pub serial: Option<String>,
}

/// An expected disk.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedDisk {
    /// Serial number.
    pub serial: String,
    /// Where it sits, as the inventory writes it.
    #[serde(default)]
    pub slot: Option<String>,
    /// Size, for example `960197124096`, `4GiB`.
    #[serde(default)]
    pub size: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_made_is_what_a_file_means_that_says_no_more() {
        let said: Site = serde_json::from_value(json!({
            "name": "lab",
            "network": {"address": "10.0.0.1", "prefix": 24, "pool_first": "10.0.0.100", "pool_last": "10.0.0.200"},
            "policy": {"image": "debian-host", "hand_over": "reboot"},
            "node": [{"name": "n1", "mac": "52:54:00:00:00:01",
                "uuid": "564d1234-5678-9abc-def0-000000000001", "serial": "S1"}],
        }))
        .unwrap();
        let of = |last| Ipv4Addr::new(10, 0, 0, last);
        let network = Network::new(of(1), 24, (of(100), of(200)));
        let policy = Policy::new("debian-host", HandOver::Reboot);
        let mut made = Site::new("lab", network, policy);
        let uuid = "564d1234-5678-9abc-def0-000000000001".parse().unwrap();
        let mac = "52:54:00:00:00:01".parse().unwrap();
        made.nodes = vec![Node::new("n1".parse().unwrap(), mac, uuid, "S1")];
        assert_eq!(made, said);
    }
}
