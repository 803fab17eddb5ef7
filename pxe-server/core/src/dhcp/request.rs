// SPDX-License-Identifier: Apache-2.0
//! A client's message, checked.
//!
//! dhcproto reads the fixed header. The options are walked here: dhcproto stops at the first option that it cannot read
//! and drops the rest without a word, does not follow option 52 into `file` and `sname`, and keeps one architecture of
//! option 93. Here a malformed option that we depend on is a [`Malformed`] with its number.

use super::client::Client;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use dhcproto::Decodable as _;
use dhcproto::v4;
use groundstate_api::boot::BootQuestion;
use groundstate_api::{MacAddr, SystemUuid};

/// The fixed header (236 bytes) and the cookie.
const HEADER: usize = 240;
const COOKIE: &[u8] = &[99, 130, 83, 99];
const BOOTREQUEST: u8 = 1;
const ETHERNET: (u8, u8) = (1, 6);

/// The numbers of options that are read (RFC 2132, 3046, 3004, 4578; 175 is Etherboot's).
pub(super) mod code {
    pub(crate) const REQUESTED_ADDRESS: u8 = 50;
    pub(crate) const OVERLOAD: u8 = 52;
    pub(crate) const MESSAGE_TYPE: u8 = 53;
    pub(crate) const SERVER_ID: u8 = 54;
    pub(crate) const VENDOR_CLASS: u8 = 60;
    pub(crate) const CLIENT_ID: u8 = 61;
    pub(crate) const USER_CLASS: u8 = 77;
    pub(crate) const RELAY_AGENT: u8 = 82;
    pub(crate) const ARCHITECTURE: u8 = 93;
    pub(crate) const MACHINE_ID: u8 = 97;
    pub(crate) const IPXE: u8 = 175;
}

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
    /// No or another message type (option 53).
    #[error("message type {message:?} is not for a server")]
    NotForServers {
        /// Option 53, where it is there.
        message: Option<u8>,
    },
    /// dhcproto refused the header.
    #[error("the header cannot be read")]
    Header,
}

/// A client's message.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it wants.
    pub message: Message,
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
    pub(super) header: v4::Message,
    pub(super) relay: Option<Vec<u8>>,
    pub(super) client_id: Option<Vec<u8>>,
    pub(super) machine_id: Option<Vec<u8>>,
}

impl Request {
    /// Reads a datagram.
    ///
    /// # Errors
    /// Why the bytes are not a request that a server could answer.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let head = bytes
            .get(..HEADER)
            .ok_or(Malformed::Short { bytes: bytes.len() })?;
        let byte = |at: usize| head.get(at).copied().unwrap_or_default();
        if byte(0) != BOOTREQUEST {
            return Err(Malformed::NotARequest { op: byte(0) });
        }
        if head.get(HEADER - 4..) != Some(COOKIE) {
            return Err(Malformed::NoCookie);
        }
        // Before dhcproto sees it: its chaddr() panics where hlen is above 16.
        let (htype, hlen) = (byte(1), byte(2));
        if (htype, hlen) != ETHERNET {
            return Err(Malformed::NotEthernet { htype, hlen });
        }
        let options = read_options(bytes)?;
        let mut header = v4::Message::from_bytes(head).map_err(|_| Malformed::Header)?;
        header.set_opts(v4::DhcpOptions::default());
        let mac = MacAddr(header.chaddr().try_into().map_err(|_| Malformed::Header)?);
        if byte(28) & 1 != 0 || mac.0 == [0; 6] {
            return Err(Malformed::NotAMachine { mac });
        }
        let message = read_message(&options)?;
        // An echo must fit one option.
        let short = |code: u8| match options.get(&code) {
            Some(value) if value.len() > 255 => Err(Malformed::OptionLength {
                code,
                bytes: value.len(),
            }),
            value => Ok(value.cloned()),
        };
        let machine_id = options.get(&code::MACHINE_ID).cloned();
        Ok(Self {
            message,
            mac,
            client: Client::of(&options)?,
            uuid: machine_id.as_deref().and_then(read_uuid),
            requested: read_address(&options, code::REQUESTED_ADDRESS)?,
            server_id: read_address(&options, code::SERVER_ID)?,
            ciaddr: header.ciaddr(),
            giaddr: header.giaddr(),
            broadcast: header.flags().broadcast(),
            relay: short(code::RELAY_AGENT)?,
            client_id: short(code::CLIENT_ID)?,
            machine_id: machine_id.filter(|id| id.len() == 17),
            header,
        })
    }

    /// The boot policy's question for this client.
    #[must_use]
    pub fn question(&self) -> BootQuestion {
        BootQuestion {
            uuid: self.uuid,
            firmware: self.client.firmware(),
            relay: (!self.giaddr.is_unspecified()).then_some(self.giaddr),
            ipxe: matches!(self.client, Client::Ipxe(_)),
            ..BootQuestion::about(self.mac)
        }
    }
}

/// Options by number, pieces of one number joined (RFC 3396), `file` and `sname` included where option 52 says so.
pub(super) type Options = BTreeMap<u8, Vec<u8>>;

fn read_options(bytes: &[u8]) -> Result<Options, Malformed> {
    let mut options = Options::new();
    walk(bytes.get(HEADER..).unwrap_or_default(), &mut options)?;
    let overload = match options.get(&code::OVERLOAD).map(Vec::as_slice) {
        None => 0,
        Some([value @ 1..=3]) => *value,
        Some(other) => {
            return Err(Malformed::OptionLength {
                code: code::OVERLOAD,
                bytes: other.len(),
            });
        }
    };
    let (sname, file) = (bytes.get(44..108), bytes.get(108..236));
    for (bit, field) in [(1, file), (2, sname)] {
        if overload & bit != 0 {
            walk(field.unwrap_or_default(), &mut options)?;
        }
    }
    Ok(options)
}

fn walk(mut area: &[u8], options: &mut Options) -> Result<(), Malformed> {
    loop {
        match area {
            [] | [255, ..] => return Ok(()),
            [0, rest @ ..] => area = rest,
            [code, length, rest @ ..] => {
                let length = usize::from(*length);
                let value = rest
                    .get(..length)
                    .ok_or(Malformed::Truncated { code: *code })?;
                options.entry(*code).or_default().extend_from_slice(value);
                area = rest.get(length..).unwrap_or_default();
            }
            [code] => return Err(Malformed::Truncated { code: *code }),
        }
    }
}

fn read_message(options: &Options) -> Result<Message, Malformed> {
    match options.get(&code::MESSAGE_TYPE).map(Vec::as_slice) {
        Some([1]) => Ok(Message::Discover),
        Some([3]) => Ok(Message::Request),
        Some([4]) => Ok(Message::Decline),
        Some([7]) => Ok(Message::Release),
        Some([8]) => Ok(Message::Inform),
        Some([other]) => Err(Malformed::NotForServers {
            message: Some(*other),
        }),
        None => Err(Malformed::NotForServers { message: None }),
        Some(value) => Err(Malformed::OptionLength {
            code: code::MESSAGE_TYPE,
            bytes: value.len(),
        }),
    }
}

fn read_address(options: &Options, code: u8) -> Result<Option<Ipv4Addr>, Malformed> {
    let Some(value) = options.get(&code) else {
        return Ok(None);
    };
    let four: [u8; 4] = value
        .as_slice()
        .try_into()
        .map_err(|_| Malformed::OptionLength {
            code,
            bytes: value.len(),
        })?;
    Ok(Some(four.into()))
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
