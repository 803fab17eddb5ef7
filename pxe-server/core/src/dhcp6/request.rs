// SPDX-License-Identifier: Apache-2.0
//! A client's message, out of however many relay agents' envelopes, checked.

use super::duid::{Duid, is_machine};
use super::wire::{self, Options, code};
use crate::dhcp::Client;
use alloc::vec::Vec;
use core::net::Ipv6Addr;
use groundstate_api::boot::BootQuestion;
use groundstate_api::{MacAddr, SystemUuid};

/// Relay agents that a message may have passed (RFC 8415 section 7.6, HOP_COUNT_LIMIT).
pub const RELAYS_MAX: usize = 8;
/// Identity associations of one message that are looked at, and addresses of each: a machine has one of each.
const IAS_MAX: usize = 8;
pub(super) const ADDRESSES_MAX: usize = 8;
/// The longest interface identifier of a relay agent, in bytes: it is echoed.
const INTERFACE_ID_MAX: usize = 256;
/// Firmware that names no architecture is taken for this one.
const UEFI_X64: u16 = 7;
const UEFI_X64_HTTP: u16 = 16;
const RELAY_FORWARD: u8 = 12;
/// Type, hop count, two addresses.
const RELAY_HEADER: usize = 34;

/// What the client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message6 {
    /// Who gives addresses here?
    Solicit,
    /// I take this one.
    Request,
    /// Do these still belong to this link?
    Confirm,
    /// Longer, please; to the server that gave it.
    Renew,
    /// Longer, please; to any server.
    Rebind,
    /// I am done with it.
    Release,
    /// Somebody else uses it.
    Decline,
    /// No address, only the rest.
    InformationRequest,
}

/// Why bytes are not a message for a DHCPv6 server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed6 {
    /// Shorter than its fixed part.
    #[error("{bytes} bytes are no DHCPv6 message")]
    Short {
        /// Length.
        bytes: usize,
    },
    /// Not a message that a server answers.
    #[error("message type {kind} is not for a server")]
    NotForServers {
        /// The first byte.
        kind: u8,
    },
    /// More relay agents than [`RELAYS_MAX`].
    #[error("it passed more than {RELAYS_MAX} relay agents")]
    TooManyRelays,
    /// A relay agent's envelope without a message, or with two.
    #[error("a relay agent's envelope must hold one message")]
    Envelope,
    /// An option runs past the end of its field.
    #[error("option {code} runs past the end")]
    Truncated {
        /// Its number.
        code: u16,
    },
    /// An option that we depend on has a wrong length.
    #[error("option {code} has {bytes} bytes")]
    OptionLength {
        /// Its number.
        code: u16,
        /// Its length.
        bytes: usize,
    },
    /// An option that may stand once stands twice.
    #[error("option {code} stands there twice")]
    Twice {
        /// Its number.
        code: u16,
    },
    /// More identity associations or addresses than any machine has.
    #[error("option {code} stands there more than {most} times")]
    TooMany {
        /// Its number.
        code: u16,
        /// How often it may.
        most: usize,
    },
    /// The client does not say who it is (section 16 makes that a must for this message).
    #[error("there is no client identifier")]
    NoClientId,
    /// The message must name the server that it is for, or must not.
    #[error("option 2 must {} in this message", if *.must { "stand" } else { "not stand" })]
    ServerId {
        /// Whether it must stand.
        must: bool,
    },
}

/// Which kind of identity association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IaKind {
    /// Non-temporary addresses (option 3).
    Address,
    /// Temporary addresses (option 4): not given.
    Temporary,
    /// Prefixes (option 25): not given.
    Prefix,
}

/// An identity association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ia {
    /// Its kind.
    pub kind: IaKind,
    /// Its number, which the client chose.
    pub iaid: u32,
    /// The addresses that the client names.
    pub addresses: Vec<Ipv6Addr>,
}

/// A relay agent's envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) count: u8,
    pub(super) link: Ipv6Addr,
    pub(super) peer: Ipv6Addr,
    pub(super) interface: Option<Vec<u8>>,
    hardware: Option<MacAddr>,
}

/// A client's message.
#[derive(Clone, Debug)]
pub struct Request6 {
    /// What it wants.
    pub message: Message6,
    /// What it is.
    pub client: Client,
    /// Who it is; an Information-request need not say.
    pub duid: Option<Duid>,
    /// Its MAC address, where it can be seen.
    pub mac: Option<MacAddr>,
    /// Its system UUID, where its DUID is one.
    pub uuid: Option<SystemUuid>,
    /// What it asks for.
    pub ias: Vec<Ia>,
    /// Whether it would take its address with the first exchange.
    pub rapid_commit: bool,
    /// Whether the client itself sent it to one address of ours. It may not: no reply of ours has the option Server Unicast
    /// (RFC 8415 section 18.4).
    pub unicast: bool,
    pub(super) transaction: [u8; 3],
    pub(super) server: Option<Vec<u8>>,
    pub(super) wanted: Vec<u16>,
    /// From the outermost envelope inwards.
    pub(super) hops: Vec<Hop>,
}

impl Request6 {
    /// Reads a datagram that came from this address.
    ///
    /// # Errors
    /// Why the bytes are not a message that a server could answer.
    pub fn parse(bytes: &[u8], from: Ipv6Addr) -> Result<Self, Malformed6> {
        let mut hops = Vec::new();
        let mut inner = bytes;
        while inner.first() == Some(&RELAY_FORWARD) {
            if hops.len() >= RELAYS_MAX {
                return Err(Malformed6::TooManyRelays);
            }
            let (hop, message) = envelope(inner)?;
            hops.push(hop);
            inner = message;
        }
        let peer = hops.last().map_or(from, |hop| hop.peer);
        let hardware = hops.iter().rev().find_map(|hop| hop.hardware);
        let &[kind, a, b, c, ref rest @ ..] = inner else {
            return Err(Malformed6::Short { bytes: inner.len() });
        };
        let message = read_message(kind)?;
        let mut body = Body::default();
        for option in Options(rest) {
            let (code, value) = option?;
            body.take(code, value)?;
        }
        body.check(message)?;
        let client = body.client();
        let firmware = client != Client::Plain;
        let edk2 = matches!(client, Client::Pxe { .. } | Client::Http { .. });
        let ours = eui64(peer);
        let theirs = body.duid.as_ref().and_then(Duid::mac);
        Ok(Self {
            message,
            client,
            // Firmware is known by the port it boots from. An operating system's DUID is its own, whatever port or
            // simulator it sends through.
            mac: hardware.or(if firmware {
                ours.or(theirs)
            } else {
                theirs.or(ours)
            }),
            uuid: body.duid.as_ref().and_then(|duid| duid.uuid(edk2)),
            duid: body.duid,
            ias: body.ias,
            rapid_commit: body.rapid_commit,
            unicast: false,
            transaction: [a, b, c],
            server: body.server,
            wanted: body.wanted,
            hops,
        })
    }

    /// The same message, that was sent to this address. What a relay agent passes on may come to any.
    #[must_use]
    pub fn sent_to(mut self, address: Ipv6Addr) -> Self {
        self.unicast = !address.is_multicast() && !self.is_relayed();
        self
    }

    /// The boot policy's question for this client, where its MAC address is known. Who gives an address back asks nothing:
    /// EDK2 does not even say what it is there. Who may not ask in this way is told that alone.
    #[must_use]
    pub fn question(&self) -> Option<BootQuestion> {
        if self.unicast {
            return None;
        }
        match self.message {
            Message6::Release | Message6::Decline => return None,
            Message6::Solicit
            | Message6::Request
            | Message6::Confirm
            | Message6::Renew
            | Message6::Rebind
            | Message6::InformationRequest => {}
        }
        Some(BootQuestion {
            uuid: self.uuid,
            firmware: self.client.firmware(),
            architecture: self.client.architecture(),
            ipxe: matches!(self.client, Client::Ipxe { .. }),
            ..BootQuestion::about(self.mac?)
        })
    }

    /// The link that the client is on, where a relay agent names it: the innermost that does (section 13.1).
    pub(super) fn link(&self) -> Option<Ipv6Addr> {
        let links = self.hops.iter().rev().map(|hop| hop.link);
        links
            .into_iter()
            .find(|link| !link.is_unspecified() && !link.is_unicast_link_local())
    }

    /// Whether a relay agent passed it on.
    #[must_use]
    pub fn is_relayed(&self) -> bool {
        !self.hops.is_empty()
    }
}

fn envelope(bytes: &[u8]) -> Result<(Hop, &[u8]), Malformed6> {
    let short = || Malformed6::Short { bytes: bytes.len() };
    let mut hop = Hop {
        count: bytes.get(1).copied().ok_or_else(short)?,
        link: wire::address(bytes, 2).ok_or_else(short)?,
        peer: wire::address(bytes, 18).ok_or_else(short)?,
        interface: None,
        hardware: None,
    };
    let mut inner = None;
    for option in Options(bytes.get(RELAY_HEADER..).ok_or_else(short)?) {
        let (code, value) = option?;
        match code {
            code::RELAY_MESSAGE => {
                let twice = inner.replace(value).is_some();
                if twice {
                    return Err(Malformed6::Envelope);
                }
            }
            code::INTERFACE_ID => {
                if value.len() > INTERFACE_ID_MAX {
                    return Err(length(code, value));
                }
                hop.interface = Some(value.to_vec());
            }
            // RFC 6939: the hardware type, and the address.
            code::CLIENT_LINK_LAYER => {
                hop.hardware = value
                    .strip_prefix(&[0, 1])
                    .and_then(|mac| mac.try_into().ok())
                    .filter(|mac| is_machine(*mac))
                    .map(MacAddr);
            }
            _ => {}
        }
    }
    inner.map(|inner| (hop, inner)).ok_or(Malformed6::Envelope)
}

fn read_message(kind: u8) -> Result<Message6, Malformed6> {
    Ok(match kind {
        1 => Message6::Solicit,
        3 => Message6::Request,
        4 => Message6::Confirm,
        5 => Message6::Renew,
        6 => Message6::Rebind,
        8 => Message6::Release,
        9 => Message6::Decline,
        11 => Message6::InformationRequest,
        _ => return Err(Malformed6::NotForServers { kind }),
    })
}

fn length(code: u16, value: &[u8]) -> Malformed6 {
    Malformed6::OptionLength {
        code,
        bytes: value.len(),
    }
}

#[derive(Default)]
struct Body {
    duid: Option<Duid>,
    server: Option<Vec<u8>>,
    ias: Vec<Ia>,
    wanted: Vec<u16>,
    rapid_commit: bool,
    vendor_class: Vec<u8>,
    user_class: Vec<u8>,
    architectures: Vec<u16>,
}

impl Body {
    fn take(&mut self, code: u16, value: &[u8]) -> Result<(), Malformed6> {
        match code {
            code::CLIENT_ID => {
                let duid = Duid::new(value).ok_or_else(|| length(code, value))?;
                if self.duid.replace(duid).is_some() {
                    return Err(Malformed6::Twice { code });
                }
            }
            code::SERVER_ID => {
                let twice = self.server.replace(value.to_vec()).is_some();
                if twice {
                    return Err(Malformed6::Twice { code });
                }
            }
            code::IA_NA => self.association(code, IaKind::Address, value, 12)?,
            code::IA_TA => self.association(code, IaKind::Temporary, value, 4)?,
            code::IA_PD => self.association(code, IaKind::Prefix, value, 12)?,
            code::REQUESTED => {
                let (pairs, []) = value.as_chunks::<2>() else {
                    return Err(length(code, value));
                };
                self.wanted = pairs.iter().map(|two| u16::from_be_bytes(*two)).collect();
            }
            code::RAPID_COMMIT => self.rapid_commit = true,
            code::USER_CLASS => {
                let first = wire::pieces(value, code)?
                    .first()
                    .map(|piece| piece.to_vec());
                self.user_class = first.unwrap_or_default();
            }
            code::VENDOR_CLASS => {
                let data = value.get(4..).ok_or_else(|| length(code, value))?;
                let first = wire::pieces(data, code)?
                    .first()
                    .map(|piece| piece.to_vec());
                self.vendor_class = first.unwrap_or_default();
            }
            code::ARCHITECTURE => {
                let (pairs, []) = value.as_chunks::<2>() else {
                    return Err(length(code, value));
                };
                if pairs.is_empty() {
                    return Err(length(code, value));
                }
                self.architectures = pairs.iter().map(|two| u16::from_be_bytes(*two)).collect();
            }
            // Type, major, minor (RFC 5970 section 3.4): nothing here depends on what it says.
            code::NETWORK_INTERFACE if value.len() != 3 => return Err(length(code, value)),
            _ => {}
        }
        Ok(())
    }

    fn association(
        &mut self,
        code: u16,
        kind: IaKind,
        value: &[u8],
        header: usize,
    ) -> Result<(), Malformed6> {
        if self.ias.len() >= IAS_MAX {
            return Err(Malformed6::TooMany {
                code,
                most: IAS_MAX,
            });
        }
        let (Some(iaid), Some(rest)) = (wire::number32(value, 0), value.get(header..)) else {
            return Err(length(code, value));
        };
        let mut addresses = Vec::new();
        for option in Options(rest) {
            let (code, value) = option?;
            if code != code::IA_ADDRESS {
                continue;
            }
            if addresses.len() >= ADDRESSES_MAX {
                return Err(Malformed6::TooMany {
                    code,
                    most: ADDRESSES_MAX,
                });
            }
            // Address, preferred and valid lifetime.
            let address = wire::address(value, 0).filter(|_| value.len() >= 24);
            addresses.push(address.ok_or_else(|| length(code, value))?);
        }
        self.ias.push(Ia {
            kind,
            iaid,
            addresses,
        });
        Ok(())
    }

    /// RFC 8415 sections 16.2 to 16.13: who must say what.
    fn check(&self, message: Message6) -> Result<(), Malformed6> {
        let must = match message {
            Message6::Solicit | Message6::Confirm | Message6::Rebind => Some(false),
            Message6::Request | Message6::Renew | Message6::Release | Message6::Decline => {
                Some(true)
            }
            Message6::InformationRequest => None,
        };
        if self.duid.is_none() && message != Message6::InformationRequest {
            return Err(Malformed6::NoClientId);
        }
        match must {
            Some(must) if must != self.server.is_some() => Err(Malformed6::ServerId { must }),
            Some(_) | None => Ok(()),
        }
    }

    /// A DHCPv6 client says what it is in the words of DHCPv4, in options of other numbers: its user class (15), the data
    /// of its vendor class (16), its architecture (61).
    fn client(&self) -> Client {
        let named = self.architectures.first().copied();
        if self.user_class == b"iPXE" {
            Client::Ipxe {
                architecture: named,
            }
        } else if self.vendor_class.starts_with(b"HTTPClient") {
            Client::Http {
                architecture: named.unwrap_or(UEFI_X64_HTTP),
            }
        } else if self.vendor_class.starts_with(b"PXEClient") || named.is_some() {
            Client::Pxe {
                architecture: named.unwrap_or(UEFI_X64),
            }
        } else {
            Client::Plain
        }
    }
}

/// The MAC address that a link-local address was made of (RFC 4291 appendix A), where it was.
fn eui64(address: Ipv6Addr) -> Option<MacAddr> {
    if !address.is_unicast_link_local() {
        return None;
    }
    let [_, _, _, _, _, _, _, _, a, b, c, 0xff, 0xfe, d, e, f] = address.octets() else {
        return None;
    };
    let mac = [a ^ 2, b, c, d, e, f];
    is_machine(mac).then_some(MacAddr(mac))
}
