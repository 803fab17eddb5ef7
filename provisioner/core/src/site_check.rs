// SPDX-License-Identifier: Apache-2.0
//! Checks a site file for what its types cannot say. Each fault names the field by its path, and what it should be.

use crate::site_limits::{NODES_MAX, PARTS_MAX, SERIAL_MAX};
use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;
use groundstate_api::disk_policy::{DataOnOs, DiskPolicy};
use groundstate_api::site::{Hardware, Network, Node, Policy, Site, VhdPolicy};
use groundstate_api::trust::ImageChoice;
use groundstate_api::units::MIB;
use groundstate_api::{Bytes, MacAddr};

/// Shorter prefixes would lease to more machines than one provisioner serves; longer ones hold no pool.
const PREFIX: core::ops::RangeInclusive<u8> = 8..=30;
/// Shorter leases make every machine ask all the time; longer ones outlive a week's work.
pub(crate) const LEASE_SECS: core::ops::RangeInclusive<u32> = 300..=604_800;
/// The most that a VHDX holds; what is larger than a VHD holds (2,040 GiB) is made in parts.
const VHD_MAX: Bytes = Bytes::gib(64 * 1_024);
/// A VHD below this has no room for a partition table and a file system.
const VHD_MIN: Bytes = Bytes::mib(3);
/// The most tries of a run by itself: what failed that often fails for a cause that does not pass.
const RETRIES_MAX: u32 = 20;
/// The most VHDs on one volume, over all rules; the planner (`mos-core`) refuses more. No host runs as many machines.
const VHDS_PER_VOLUME_MAX: u16 = 256;

/// What firmware says where no serial number was written, in lower case.
const FILLERS: [&str; 9] = [
    "0123456789",
    "123456789",
    "default string",
    "n/a",
    "none",
    "not applicable",
    "not specified",
    "system serial number",
    "to be filled by o.e.m.",
];

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field's path, for example `node[1].mac`.
    pub path: String,
    /// What it is and what it should be.
    pub should: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.should)
    }
}

/// The longest sentence of a fault in characters: it may quote what is wrong, and that may be long.
const SHOULD_MAX: usize = 600;

/// Every fault of a site file.
#[must_use]
pub fn check(site: &Site) -> Vec<Fault> {
    let mut faults = Faults(Vec::new());
    if site.name.trim().is_empty() || site.name.chars().any(char::is_control) {
        faults.add(
            "name",
            "a name for people, without control characters".to_string(),
        );
    }
    network(&site.network, &mut faults);
    policy(&site.policy, &mut faults);
    let add: &mut dyn FnMut(String, String) = &mut |path, should| faults.add(path, should);
    crate::boot_check::check(site, add);
    crate::rack_check::check(site, add);
    crate::healing_check::check(&site.healing, add);
    crate::parts_check::check(site, add);
    crate::pool_check::check(site, add);
    crate::callers_check::check(site, add);
    crate::custom_check::check(site, add);
    nodes(site, &mut faults);
    texts(site, &mut faults);
    for fault in &mut faults.0 {
        if let Cow::Owned(inert) = groundstate_api::text::inert(&fault.should) {
            fault.should = inert;
        }
        if let Some((cut, _)) = fault.should.char_indices().nth(SHOULD_MAX) {
            fault.should.truncate(cut);
            fault.should.push('…');
        }
    }
    faults.0
}

/// Every text, whatever its field. A field that has a fault of its own is not named twice.
fn texts(site: &Site, faults: &mut Faults) {
    let named: BTreeSet<String> = faults.0.iter().map(|fault| fault.path.clone()).collect();
    match serde_json::to_value(site) {
        Ok(value) => crate::site_text::check(&value, &mut |path, should| {
            if !named.contains(&path) {
                faults.add(path, should);
            }
        }),
        Err(error) => faults.add(".", format!("it cannot be written as JSON: {error}")),
    }
}

struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, path: impl Into<String>, should: String) {
        self.0.push(Fault {
            path: path.into(),
            should,
        });
    }
}

fn network(network: &Network, faults: &mut Faults) {
    if PREFIX.contains(&network.prefix) {
        addresses(network, faults);
    } else {
        faults.add(
            "network.prefix",
            format!("{} should be 8 to 30", network.prefix),
        );
    }
    if !LEASE_SECS.contains(&network.lease_secs) {
        faults.add(
            "network.lease_secs",
            format!("{} should be 300 to 604800", network.lease_secs),
        );
    }
    if network.http_port == 0 {
        faults.add("network.http_port", "0 should be 1 to 65535".to_string());
    }
    if network.https_port == 0 {
        faults.add("network.https_port", "0 should be 1 to 65535".to_string());
    }
    if network.http_port == network.https_port {
        let text = format!("{} should differ from http_port", network.https_port);
        faults.add("network.https_port", text);
    }
}

/// Our address, the pool and the router, in a subnet of a prefix that was checked.
fn addresses(network: &Network, faults: &mut Faults) {
    let mask = u32::MAX << (32 - u32::from(network.prefix));
    let ours = u32::from(network.address);
    let subnet = ours & mask;
    let broadcast = subnet | !mask;
    let in_words = format!("{}/{}", Ipv4Addr::from(subnet), network.prefix);
    let usable = |address: Ipv4Addr| {
        let bits = u32::from(address);
        bits > subnet && bits < broadcast
    };
    let mut inside = |path: &str, address: Ipv4Addr| {
        if !usable(address) {
            let text = format!("{address} should be a host address inside {in_words}");
            faults.add(path, text);
        }
    };
    inside("network.address", network.address);
    inside("network.pool_first", network.pool_first);
    inside("network.pool_last", network.pool_last);
    if let Some(router) = network.router {
        inside("network.router", router);
    }
    if network.pool_first > network.pool_last {
        let text = format!(
            "{} should not be below pool_first, {}",
            network.pool_last, network.pool_first
        );
        faults.add("network.pool_last", text);
    }
    let pool = network.pool_first..=network.pool_last;
    if pool.contains(&network.address) {
        let text = format!(
            "{} should not be in the pool, {} to {}",
            network.address, network.pool_first, network.pool_last
        );
        faults.add("network.address", text);
    }
    if network.router.is_some_and(|router| pool.contains(&router)) {
        faults.add(
            "network.router",
            "the router should not be in the pool".to_string(),
        );
    }
}

fn policy(policy: &Policy, faults: &mut Faults) {
    match policy.image.parse::<ImageChoice>() {
        Err(error) => faults.add("policy.image", format!("{:?}: {error}", policy.image)),
        Ok(choice) if choice.channel.is_none() && policy.trust_root.is_some() => {
            let text = format!(
                "a trust root goes with a channel, {choice}@CHANNEL: {choice} alone is the newest import, signed or not"
            );
            faults.add("policy.trust_root", text);
        }
        Ok(_) => {}
    }
    if policy
        .trust_root
        .as_ref()
        .is_some_and(|file| file.trim().is_empty())
    {
        let text = "the file of a trust root should not be empty".to_string();
        faults.add("policy.trust_root", text);
    }
    if policy.retries > RETRIES_MAX {
        let text = format!("{} should be at most {RETRIES_MAX}", policy.retries);
        faults.add("policy.retries", text);
    }
    if policy.runs_at_once == Some(0) {
        let text = "0 would let no run go on; leave it out for no limit".to_string();
        faults.add("policy.runs_at_once", text);
    }
    disks("policy.disks", &policy.disks, faults);
    vhds("policy.vhd", &policy.vhds, faults);
}

fn disks(path: &str, disks: &DiskPolicy, faults: &mut Faults) {
    if let Some(text) = &disks.root_size {
        size_of(&format!("{path}.root_size"), text, faults);
    }
    for (index, rule) in disks.rules.iter().enumerate() {
        let path = format!("{path}.rule[{index}]");
        let bounds = [("size_min", &rule.size_min), ("size_max", &rule.size_max)];
        let [least, most] = bounds.map(|(key, text)| {
            let text = text.as_ref()?;
            size_of(&format!("{path}.{key}"), text, faults)
        });
        if let (Some(least), Some(most)) = (least, most)
            && least > most
        {
            let text = format!("{most} should not be below size_min, {least}");
            faults.add(format!("{path}.size_max"), text);
        }
        let lists = [
            ("serial", &rule.serial),
            ("wwn", &rule.wwn),
            ("slot", &rule.slot),
            ("model", &rule.model),
        ];
        for (key, list) in lists {
            if list.iter().any(|text| text.trim().is_empty()) {
                let text = "an empty text matches no disk: name one, or take the key out";
                faults.add(format!("{path}.{key}"), text.to_string());
            }
        }
    }
}

fn size_of(path: &str, text: &str, faults: &mut Faults) -> Option<Bytes> {
    let size = Bytes::parse(text);
    if size.is_none() {
        let text =
            format!("{text:?} should be a number and KiB, MiB, GiB or TiB, for example 64GiB");
        faults.add(path, text);
    }
    size
}

fn vhds(at: &str, rules: &[VhdPolicy], faults: &mut Faults) {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    let mut in_all = 0u32;
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("{at}[{index}]");
        vhd(&path, rule, faults);
        let listed = u16::try_from(rule.sizes.len()).unwrap_or(u16::MAX);
        let count = rule.count.max(listed);
        in_all += u32::from(count.min(VHDS_PER_VOLUME_MAX));
        if in_all > u32::from(VHDS_PER_VOLUME_MAX) && count <= VHDS_PER_VOLUME_MAX {
            let text = format!(
                "{count} makes {in_all} VHDs on a volume with those before; {VHDS_PER_VOLUME_MAX} is the most"
            );
            faults.add(format!("{path}.count"), text);
        }
        if let Some(first) = names.insert(&rule.name, index) {
            faults.add(
                format!("{path}.name"),
                format!("{:?} is taken by {at}[{first}]", rule.name),
            );
        }
    }
}

fn vhd(path: &str, rule: &VhdPolicy, faults: &mut Faults) {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(1..=32).contains(&rule.name.len()) || !rule.name.chars().all(allowed) {
        faults.add(
            format!("{path}.name"),
            format!("{:?} should be 1 to 32 of a-z, 0-9 and '-'", rule.name),
        );
    }
    if let Some(text) = &rule.reserve {
        size_of(&format!("{path}.reserve"), text, faults);
        if !rule.fill {
            let text = "a reserve goes with fill = true".to_string();
            faults.add(format!("{path}.reserve"), text);
        }
    }
    let (has_size, has_count) = (!rule.size.is_empty(), rule.count > 0);
    if !rule.sizes.is_empty() {
        for (at, text) in rule.sizes.iter().enumerate() {
            vhd_size(&format!("{path}.sizes[{at}]"), text, faults);
        }
        if has_size || has_count || rule.fill {
            let text = "sizes stands in place of size, count and fill".to_string();
            faults.add(format!("{path}.sizes"), text);
        }
        return;
    }
    if rule.fill && has_size == has_count {
        let text =
            "fill goes with size (as many as fit) or with count (as large as fit)".to_string();
        faults.add(format!("{path}.fill"), text);
    }
    if has_size || !rule.fill {
        vhd_size(&format!("{path}.size"), &rule.size, faults);
    }
    let is_counted = has_count || !rule.fill;
    if is_counted && !(1..=VHDS_PER_VOLUME_MAX).contains(&rule.count) {
        faults.add(
            format!("{path}.count"),
            format!("{} should be 1 to {VHDS_PER_VOLUME_MAX}", rule.count),
        );
    }
}

fn vhd_size(path: &str, text: &str, faults: &mut Faults) {
    match size_of(path, text, faults) {
        Some(bytes) if bytes.0 % MIB != 0 => {
            faults.add(path, format!("{text:?} should be a whole number of MiB"));
        }
        Some(bytes) if !(VHD_MIN..=VHD_MAX).contains(&bytes) => {
            faults.add(path, format!("{bytes} should be {VHD_MIN} to {VHD_MAX}"));
        }
        Some(_) | None => {}
    }
}

fn nodes(site: &Site, faults: &mut Faults) {
    let count = site.nodes.len();
    if count > NODES_MAX {
        faults.add("node", format!("{count} nodes; {NODES_MAX} is the most"));
    }
    let mut seen: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for (index, node) in site.nodes.iter().enumerate() {
        let path = format!("node[{index}]");
        let unique = [
            ("name", node.name.to_string()),
            ("mac", node.mac.to_string()),
            ("uuid", node.uuid.to_string()),
        ];
        for (field, value) in unique {
            if let Some(first) = seen.insert((field, value.clone()), index) {
                faults.add(
                    format!("{path}.{field}"),
                    format!("{value} is taken by node[{first}]"),
                );
            }
        }
        if !is_one_interface(node.mac) {
            faults.add(
                format!("{path}.mac"),
                format!("{} should be the address of one interface", node.mac),
            );
        }
        if node.serial.trim().is_empty() {
            faults.add(
                format!("{path}.serial"),
                "the machine's serial number (SMBIOS type 1) should not be empty".to_string(),
            );
        } else if node.serial.chars().nth(SERIAL_MAX).is_some() {
            let should = format!("{SERIAL_MAX} characters is the most");
            faults.add(format!("{path}.serial"), should);
        } else if !is_filler(&node.serial)
            && let Some(first) = seen.insert(("serial", node.serial.trim().to_string()), index)
            && !site
                .nodes
                .get(first)
                .is_some_and(|other| of_one_chassis(node, other))
        {
            let should = format!(
                "{:?} is taken by node[{first}]; nodes of one chassis may share it where each says its bay",
                node.serial
            );
            faults.add(format!("{path}.serial"), should);
        }
        disks(&format!("{path}.disks"), &node.disks, faults);
        vhds(&format!("{path}.vhd"), &node.vhds, faults);
        let beside = node
            .disks
            .data_on_os_disk
            .or(site.policy.disks.data_on_os_disk);
        if let Some(disk) = &node.os_disk
            && node.keep.contains(disk)
            && beside == Some(DataOnOs::Never)
        {
            faults.add(
                format!("{path}.keep"),
                format!("{disk} is the OS disk, which holds no data volume here"),
            );
        }
        if let Some(hardware) = &node.hardware {
            expected(&path, hardware, &mut |path, should| {
                faults.add(path, should)
            });
        }
    }
}

/// Whether two machines sit in one chassis, whose serial number both may say.
fn of_one_chassis(one: &Node, other: &Node) -> bool {
    let place = |node: &Node| {
        let slot = node.slot.as_ref().filter(|slot| slot.bay.is_some())?;
        Some((slot.rack.clone(), slot.unit))
    };
    place(one).is_some() && place(one) == place(other)
}

/// Whether firmware says this of every machine whose maker wrote no serial number: it is nobody's.
fn is_filler(serial: &str) -> bool {
    let serial = serial.trim().to_ascii_lowercase();
    let of_one_sign = |sign: char| serial.chars().all(|c| c == sign);
    FILLERS.contains(&serial.as_str()) || ['0', 'f', 'x', '.', '-'].into_iter().any(of_one_sign)
}

/// Whether it is the address of one interface: not of a group, and not of nobody.
pub(crate) fn is_one_interface(mac: MacAddr) -> bool {
    let is_of_group = mac.0.first().is_some_and(|byte| byte & 1 == 1);
    !is_of_group && mac.0 != [0; 6]
}

/// Checks hardware that is expected of a node or of every node of a profile.
pub(crate) fn expected(path: &str, hardware: &Hardware, add: &mut dyn FnMut(String, String)) {
    let example = "should be a number and KiB, MiB, GiB or TiB, for example 32GiB";
    let (dimms, disks) = (hardware.dimms.len(), hardware.disks.len());
    for (key, count) in [("dimm", dimms), ("disk", disks)] {
        crate::parts_check::too_many(&format!("{path}.hardware.{key}"), count, PARTS_MAX, add);
    }
    let mut slots = BTreeSet::new();
    for (index, dimm) in hardware.dimms.iter().enumerate() {
        let path = format!("{path}.hardware.dimm[{index}]");
        if Bytes::parse(&dimm.size).is_none() {
            add(format!("{path}.size"), format!("{:?} {example}", dimm.size));
        }
        if dimm.slot.trim().is_empty() || !slots.insert(dimm.slot.trim()) {
            let should = format!("{:?} should name a slot, and each slot once", dimm.slot);
            add(format!("{path}.slot"), should);
        }
    }
    let mut serials = BTreeSet::new();
    for (index, disk) in hardware.disks.iter().enumerate() {
        let path = format!("{path}.hardware.disk[{index}]");
        if disk.serial.trim().is_empty() || !serials.insert(disk.serial.trim()) {
            let should = format!("{:?} should be a serial number, and each once", disk.serial);
            add(format!("{path}.serial"), should);
        }
        let wrong = |size: &&String| Bytes::parse(size).is_none();
        if let Some(size) = disk.size.as_ref().filter(wrong) {
            add(format!("{path}.size"), format!("{size:?} {example}"));
        }
    }
}
