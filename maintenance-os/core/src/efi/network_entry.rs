// SPDX-License-Identifier: Apache-2.0
//! Finds the firmware's own entry for booting from the network, so that a host can ask for it with `BootNext`.
//!
//! It makes no entry of its own: the path to a network interface is the firmware's to know.

use super::{DevicePath, Existing, Node};
use groundstate_api::MacAddr;
use groundstate_api::boot::Firmware;

/// The number of the firmware's entry that boots `mac` over IPv4 in the way of `firmware`: with a URI node for HTTP
/// Boot, without one for PXE. A PXE entry may also lack the IPv4 node: that is how an option ROM of the interface
/// (iPXE in QEMU, older UNDI ROMs) offers itself; it is taken where nothing names IPv4. Active entries come before
/// inactive ones, then the lower number. A path with a VLAN is another network and never matches. A BIOS has no such
/// entries.
#[must_use]
pub fn network_entry(entries: &[Existing], mac: MacAddr, firmware: Firmware) -> Option<u16> {
    entries
        .iter()
        .filter_map(|entry| {
            let option = entry.option.as_ref()?;
            let preference = fits(option.paths.first()?, mac, firmware)?;
            Some((preference, !option.is_active(), entry.number))
        })
        .min()
        .map(|(_, _, number)| number)
}

/// How well a path fits, 0 best; `None` where it does not.
fn fits(path: &DevicePath, mac: MacAddr, firmware: Firmware) -> Option<u8> {
    let has = |wanted: fn(&Node) -> bool| path.0.iter().any(wanted);
    let other_network = has(|node| matches!(node, Node::Vlan(_) | Node::Ipv6(_)));
    if other_network || !path.0.contains(&Node::Mac(mac)) {
        return None;
    }
    let ipv4 = has(|node| matches!(node, Node::Ipv4(_)));
    let uri = has(|node| matches!(node, Node::Uri(_)));
    match (firmware, ipv4, uri) {
        (Firmware::UefiPxe, true, false) | (Firmware::UefiHttp, true, true) => Some(0),
        (Firmware::UefiPxe, false, false) => Some(1),
        (Firmware::UefiPxe, _, true)
        | (Firmware::UefiHttp, false, _)
        | (Firmware::UefiHttp, _, false) => None,
        (Firmware::Bios, _, _) => None,
    }
}
