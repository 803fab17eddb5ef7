// SPDX-License-Identifier: Apache-2.0
//! A client's message, checked: what a [`Request`] holds can only be meaningful. A malformed option that we depend on is
//! a [`Malformed`] with its number.

use super::client::Client;
use super::options::{HEADER, Options, code, sub_option};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use groundstate_api::boot::BootQuestion;
use groundstate_api::{MacAddr, SystemUuid};

const COOKIE: &[u8] = &[99, 130, 83, 99];
const BOOTREQUEST: u8 = 1;
const ETHERNET: (u8, u8) = (1, 6);
/// The broadcast flag: the top bit of `flags`.
const BROADCAST: u8 = 0x80;
/// The smallest DHCP message that every client takes, in bytes: 576 bytes of IP datagram less 28 of IP and UDP headers
/// (RFC 2131 section 2).
pub(crate) const MESSAGE_MIN: usize = 548;
/// The largest that we send: what an Ethernet frame carries.
pub(crate) const MESSAGE_MAX: usize = 1_472;
/// IP and UDP headers, in bytes: some clients count them in option 57 and some do not, so that they always are.
const IP_UDP: usize = 28;

/// What the client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// DHCPDISCOVER.
    Discover,
    /// DHCPREQUEST.
    Request,
    /// DHCPDECLINE.
    Decline,
    /// DHCPRELEASE.
    Release,
    /// DHCPINFORM.
    Inform,
}

/// Why bytes are not a request for a DHCP server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than the fixed header.
    #[error("{bytes} bytes are no DHCP message; the header alone has {HEADER}")]
    Short {
        /// Length.
        bytes: usize,
    },
    /// Not a BOOTREQUEST.
    #[error("op {op} is not a request")]
    NotARequest {
        /// The field.
        op: u8,
    },
    /// The magic cookie is missing: plain BOOTP or something else.
    #[error("there is no DHCP cookie")]
    NoCookie,
    /// A cookie and no message type (option 53): plain BOOTP, which names no lease time that anybody could keep.
    #[error("plain BOOTP: there is no message type (option 53)")]
    Bootp,
    /// Not Ethernet.
    #[error("hardware type {htype} with {hlen} bytes is not Ethernet")]
    NotEthernet {
        /// `htype`.
        htype: u8,
        /// `hlen`.
        hlen: u8,
    },
    /// The hardware address is a group address or zero.
    #[error("{mac} is not a machine's address")]
    NotAMachine {
        /// It.
        mac: MacAddr,
    },
    /// An option runs past the end of its field.
    #[error("option {code} runs past the end")]
    Truncated {
        /// Its number.
        code: u8,
    },
    /// An option that we depend on has a wrong length.
    #[error("option {code} has {bytes} bytes")]
    OptionLength {
        /// Its number.
        code: u8,
        /// Its length.
        bytes: usize,
    },
    /// Another message type (option 53).
    #[error("message type {message} is not for a server")]
    NotForServers {
        /// Option 53.
        message: u8,
    },
}

/// A client's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it wants.
    pub message: Message,
    /// The transaction.
    pub xid: u32,
    /// Who asks.
    pub mac: MacAddr,
    /// What it is.
    pub client: Client,
    /// The system's UUID (option 97).
    pub uuid: Option<SystemUuid>,
    /// The address it wants (option 50).
    pub requested: Option<Ipv4Addr>,
    /// The server it has chosen (option 54).
    pub server_id: Option<Ipv4Addr>,
    /// The address it uses already; unspecified where it has none.
    pub ciaddr: Ipv4Addr,
    /// The relay agent; unspecified where there is none.
    pub giaddr: Ipv4Addr,
    /// Whether it cannot take a unicast yet.
    pub broadcast: bool,
    /// The client's hardware address field with its padding, as it is echoed.
    pub(crate) chaddr: [u8; 16],
    /// `flags`, as they are echoed.
    pub(crate) flags: [u8; 2],
    /// Option 82, byte for byte.
    pub(crate) relay: Option<Vec<u8>>,
    /// Option 61, byte for byte.
    pub(crate) client_id: Option<Vec<u8>>,
    /// Option 97, byte for byte, where it has the right length.
    pub(crate) machine_id: Option<Vec<u8>>,
    /// Option 118, where a relay agent passed the request on.
    pub(crate) subnet_selection: Option<Ipv4Addr>,
    /// The options it asks for (option 55); `None` where it names none.
    pub(crate) parameters: Option<Vec<u8>>,
    /// The longest reply that it takes, in bytes.
    pub(crate) reply_max: usize,
}

impl Request {
    /// Reads a datagram.
    ///
    /// # Errors
    /// Why the bytes are not a request that a server could answer.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let head: &[u8; HEADER] = bytes
            .first_chunk()
            .ok_or(Malformed::Short { bytes: bytes.len() })?;
        let [op, htype, hlen, ..] = *head;
        if op != BOOTREQUEST {
            return Err(Malformed::NotARequest { op });
        }
        if head.get(HEADER - 4..) != Some(COOKIE) {
            return Err(Malformed::NoCookie);
        }
        if (htype, hlen) != ETHERNET {
            return Err(Malformed::NotEthernet { htype, hlen });
        }
        let options = Options::of(bytes)?;
        let chaddr: [u8; 16] = field(head, 28);
        let mac = MacAddr(field(head, 28));
        if mac.0 == [0; 6] || mac.0.first().is_some_and(|first| first & 1 != 0) {
            return Err(Malformed::NotAMachine { mac });
        }
        let flags: [u8; 2] = field(head, 10);
        let giaddr = Ipv4Addr::from(field::<4>(head, 24));
        let machine_id = options.get(code::MACHINE_ID);
        let selection = options.address(code::SUBNET_SELECTION)?;
        Ok(Self {
            message: read_message(&options)?,
            xid: u32::from_be_bytes(field(head, 4)),
            mac,
            client: Client::of(&options)?,
            uuid: machine_id.as_deref().and_then(read_uuid),
            requested: options.address(code::REQUESTED_ADDRESS)?,
            server_id: options.address(code::SERVER_ID)?,
            ciaddr: field::<4>(head, 12).into(),
            giaddr,
            broadcast: flags.first().is_some_and(|first| first & BROADCAST != 0),
            chaddr,
            flags,
            relay: options.echo(code::RELAY_AGENT)?,
            client_id: options.echo(code::CLIENT_ID)?,
            machine_id: machine_id
                .map(|id| id.into_owned())
                .filter(|id| id.len() == 17),
            subnet_selection: selection.filter(|_| !giaddr.is_unspecified()),
            parameters: options.get(code::PARAMETERS).map(|list| list.into_owned()),
            reply_max: read_reply_max(&options)?,
        })
    }

    /// The boot policy's question for this client.
    #[must_use]
    pub fn question(&self) -> BootQuestion {
        BootQuestion {
            uuid: self.uuid,
            firmware: self.client.firmware(),
            architecture: self.client.architecture(),
            relay: self.relay_agent(),
            ipxe: matches!(self.client, Client::Ipxe { .. }),
            ..BootQuestion::about(self.mac)
        }
    }

    /// The relay agent that passed the request on.
    #[must_use]
    pub fn relay_agent(&self) -> Option<Ipv4Addr> {
        (!self.giaddr.is_unspecified()).then_some(self.giaddr)
    }

    /// Whether the client asks for this option; one that names none asks for none.
    pub(crate) fn asks_for(&self, code: u8) -> bool {
        self.parameters
            .as_ref()
            .is_some_and(|list| list.contains(&code))
    }

    /// A sub-option of option 82.
    pub(crate) fn relay_said(&self, sub: u8) -> Option<&[u8]> {
        sub_option(self.relay.as_deref()?, sub)
    }

    /// An address in a sub-option of option 82 of a relayed request.
    pub(crate) fn relay_said_address(&self, sub: u8) -> Option<Ipv4Addr> {
        self.relay_agent()?;
        let four: [u8; 4] = self.relay_said(sub)?.try_into().ok()?;
        Some(four.into())
    }
}

/// `N` bytes of the header, which is longer than anything that is asked of it.
fn field<const N: usize>(head: &[u8; HEADER], at: usize) -> [u8; N] {
    head.get(at..)
        .and_then(<[u8]>::first_chunk)
        .copied()
        .unwrap_or([0; N])
}

fn read_message(options: &Options<'_>) -> Result<Message, Malformed> {
    match options.exactly::<1>(code::MESSAGE_TYPE)? {
        Some([1]) => Ok(Message::Discover),
        Some([3]) => Ok(Message::Request),
        Some([4]) => Ok(Message::Decline),
        Some([7]) => Ok(Message::Release),
        Some([8]) => Ok(Message::Inform),
        Some([message]) => Err(Malformed::NotForServers { message }),
        None => Err(Malformed::Bootp),
    }
}

fn read_reply_max(options: &Options<'_>) -> Result<usize, Malformed> {
    let said = options.exactly::<2>(code::MESSAGE_SIZE)?;
    let said = said.map_or(0, |two| usize::from(u16::from_be_bytes(two)));
    Ok(said.saturating_sub(IP_UDP).clamp(MESSAGE_MIN, MESSAGE_MAX))
}

/// Option 97 is a type byte 0 and the SMBIOS bytes, whose first three fields are little-endian. Firmware that sends
/// something else there (a serial number, all ones) has no UUID as far as we know.
fn read_uuid(value: &[u8]) -> Option<SystemUuid> {
    let &[0, a, b, c, d, e, f, g, h, ref rest @ ..] = value else {
        return None;
    };
    let rest: [u8; 8] = rest.try_into().ok()?;
    let mut uuid = [0; 16];
    let text = [d, c, b, a, f, e, h, g].into_iter().chain(rest);
    for (to, from) in uuid.iter_mut().zip(text) {
        *to = from;
    }
    let real = uuid != [0; 16] && uuid != [0xff; 16];
    real.then_some(SystemUuid(uuid))
}
