// SPDX-License-Identifier: Apache-2.0
//! Who is at the other end of a cable: one frame of the Link Layer Discovery Protocol (IEEE 802.1AB).
//!
//! Decodes the TLVs that name a switch and its port. Refuses a frame whose three mandatory TLVs are not there in their
//! order, or whose TLV goes beyond its end: half a name would send somebody to the wrong switch.

use crate::clean;
use crate::fields::{byte, text};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The ethertype of LLDP.
pub const ETHERTYPE: u16 = 0x88cc;
/// The largest frame that is looked at, in bytes: LLDP does not fragment, so one Ethernet frame.
pub const FRAME_MAX: usize = 1_522;
/// Destination, source, ethertype.
const ETHERNET_HEADER: usize = 14;
/// The most TLVs in a frame of 1,500 bytes that carry something: each takes 2 bytes of header and at least one more.
const TLVS_MAX: usize = 500;
/// The most VLAN names and management addresses that are kept.
const LIST_MAX: usize = 16;
/// Organisationally unique identifier of IEEE 802.1.
const OUI_8021: [u8; 3] = [0x00, 0x80, 0xc2];
/// 802.1Q tags that may stand before the ethertype.
const VLAN_TAGS: [u16; 2] = [0x8100, 0x88a8];

/// The neighbour as it describes itself. Text is cleaned; what it does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Neighbour {
    /// Chassis id: a MAC address, a name, a network address.
    pub chassis: String,
    /// Port id: `Gi1/0/12`, a MAC address.
    pub port: String,
    /// Port description.
    pub port_description: String,
    /// System name.
    pub system: String,
    /// System description.
    pub system_description: String,
    /// Management addresses.
    pub addresses: Vec<String>,
    /// Port VLAN id (802.1); 0 means untagged frames are not taken.
    pub vlan: Option<u16>,
    /// VLANs by id and name (802.1).
    pub vlan_names: Vec<(u16, String)>,
    /// Seconds that this holds for; 0: the neighbour says good-bye.
    pub holds_seconds: u16,
}

/// Why a frame says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotLldp {
    /// Another protocol's frame.
    #[error("the frame is not LLDP")]
    OtherProtocol,
    /// It ends inside a TLV.
    #[error("the frame ends inside the TLV at byte {at}")]
    Cut {
        /// Offset in the frame.
        at: usize,
    },
    /// Chassis id, port id and time to live must be first and in this order (802.1AB, 8.2).
    #[error("TLV {number} of the frame is of type {found}; type {wanted} must stand there")]
    Order {
        /// Which TLV, from 1.
        number: usize,
        /// What it should be.
        wanted: u8,
        /// What it is.
        found: u8,
    },
    /// An id without content.
    #[error("the TLV of type {kind} is empty")]
    Empty {
        /// The TLV's type.
        kind: u8,
    },
}

/// Decodes an Ethernet frame with its header, with or without VLAN tags.
///
/// # Errors
/// Why the frame names no neighbour.
pub fn neighbour(frame: &[u8]) -> Result<Neighbour, NotLldp> {
    let mut at = ETHERNET_HEADER;
    let ethertype = |at: usize| Some(u16::from_be_bytes([byte(frame, at)?, byte(frame, at + 1)?]));
    // Two tags at most: 802.1ad.
    for _ in 0..2 {
        if ethertype(at - 2).is_some_and(|kind| VLAN_TAGS.contains(&kind)) {
            at += 4;
        }
    }
    if ethertype(at - 2) != Some(ETHERTYPE) {
        return Err(NotLldp::OtherProtocol);
    }
    let mut seen = Neighbour::default();
    for number in 1..=TLVS_MAX {
        let Some(header) = ethertype(at) else {
            // A frame may end without the End TLV: some switches cut it off, and padding is nothing to read.
            return if number > 3 {
                Ok(seen)
            } else {
                Err(NotLldp::Cut { at })
            };
        };
        let length = usize::from(header & 0x1ff);
        let [kind, _] = (header >> 1).to_be_bytes();
        let kind = kind & 0x7f;
        let wanted = u8::try_from(number).unwrap_or(u8::MAX);
        if number <= 3 && kind != wanted {
            let found = kind;
            return Err(NotLldp::Order {
                number,
                wanted,
                found,
            });
        }
        if kind == 0 {
            return Ok(seen);
        }
        let value = frame.get(at + 2..at + 2 + length);
        let value = value.ok_or(NotLldp::Cut { at })?;
        take(&mut seen, kind, value)?;
        at += 2 + length;
    }
    Ok(seen)
}

fn take(seen: &mut Neighbour, kind: u8, value: &[u8]) -> Result<(), NotLldp> {
    match kind {
        1 => seen.chassis = id(value, true).ok_or(NotLldp::Empty { kind })?,
        2 => seen.port = id(value, false).ok_or(NotLldp::Empty { kind })?,
        3 => {
            let (Some(high), Some(low)) = (byte(value, 0), byte(value, 1)) else {
                return Err(NotLldp::Empty { kind });
            };
            seen.holds_seconds = u16::from_be_bytes([high, low]);
        }
        4 => seen.port_description = clean(value),
        5 => seen.system = clean(value),
        6 => seen.system_description = clean(value),
        8 => {
            let length = byte(value, 0).map_or(0, usize::from);
            let address = value.get(1..1 + length).and_then(network_address);
            if seen.addresses.len() < LIST_MAX {
                seen.addresses.extend(address);
            }
        }
        127 if value.starts_with(&OUI_8021) => of_8021(seen, value.get(3..).unwrap_or_default()),
        // Capabilities, other organisations' TLVs and reserved types do not name a port.
        _ => {}
    }
    Ok(())
}

fn of_8021(seen: &mut Neighbour, value: &[u8]) {
    let number = |at: usize| Some(u16::from_be_bytes([byte(value, at)?, byte(value, at + 1)?]));
    match byte(value, 0) {
        Some(1) => seen.vlan = number(1),
        Some(3) if seen.vlan_names.len() < LIST_MAX => {
            let length = byte(value, 3).map_or(0, usize::from);
            seen.vlan_names
                .extend(number(1).map(|vlan| (vlan, text(value, 4, length))));
        }
        _ => {}
    }
}

/// Chassis and port ids have the same subtypes but for MAC and network addresses (802.1AB, 8.5.2.2 and 8.5.3.2).
fn id(value: &[u8], chassis: bool) -> Option<String> {
    let (kind, rest) = value.split_first()?;
    let (mac, network) = if chassis { (4, 5) } else { (3, 4) };
    let shown = if *kind == mac && rest.len() == 6 {
        mac_address(rest)
    } else if *kind == network {
        network_address(rest).unwrap_or_else(|| hex(rest))
    } else {
        clean(rest)
    };
    (!shown.is_empty()).then_some(shown)
}

fn mac_address(bytes: &[u8]) -> String {
    let parts: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    parts.join(":")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(32).map(|b| format!("{b:02x}")).collect()
}

/// An address with its family before it (IANA address family numbers: 1 IPv4, 2 IPv6, 6 all 802 media).
fn network_address(value: &[u8]) -> Option<String> {
    let (family, address) = value.split_first()?;
    match (family, address.len()) {
        (1, 4) => {
            let address: [u8; 4] = address.try_into().ok()?;
            Some(core::net::Ipv4Addr::from(address).to_string())
        }
        (2, 16) => {
            let address: [u8; 16] = address.try_into().ok()?;
            Some(core::net::Ipv6Addr::from(address).to_string())
        }
        (6, 6) => Some(mac_address(address)),
        _ => None,
    }
}

impl Neighbour {
    /// In one line: `port Gi1/0/12 of switch-7 (00:11:…), VLAN 77`.
    #[must_use]
    pub fn words(&self) -> String {
        let name = match self.system.as_str() {
            "" => self.chassis.clone(),
            system => format!("{system} ({})", self.chassis),
        };
        let vlan = self.vlan.map(|vlan| format!(", VLAN {vlan}"));
        format!("port {} of {name}{}", self.port, vlan.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
