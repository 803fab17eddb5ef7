// SPDX-License-Identifier: Apache-2.0
//! Device paths (UEFI 2.10, section 10.3): how firmware names a partition, a file or a network interface.
//!
//! Every node is decoded; those that we use have fields, all others keep their bytes. Decoding and encoding again
//! gives the same bytes.

use super::{EfiError, Ucs2};
use crate::guid::Guid;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use groundstate_api::MacAddr;

/// One node of a device path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A partition of a GPT disk, wherever the disk is (type 4, subtype 1, signature type 2).
    GptPartition {
        /// Its number, from 1.
        number: u32,
        /// First sector.
        start_lba: u64,
        /// Length in sectors.
        size_lba: u64,
        /// Its unique GUID.
        guid: Guid,
    },
    /// A file on it, with backslashes (type 4, subtype 4).
    File(Ucs2),
    /// An Ethernet interface (type 3, subtype 11, interface type 1, its address padded with zeros).
    Mac(MacAddr),
    /// IPv4 settings (type 3, subtype 12); the bytes after the header.
    Ipv4(Vec<u8>),
    /// IPv6 settings (type 3, subtype 13); the bytes after the header.
    Ipv6(Vec<u8>),
    /// A URI, which may be empty: UEFI HTTP Boot (type 3, subtype 24); the bytes after the header.
    Uri(Vec<u8>),
    /// A VLAN (type 3, subtype 20); the bytes after the header.
    Vlan(Vec<u8>),
    /// Any other node.
    Other {
        /// Type.
        kind: u8,
        /// Subtype.
        sub: u8,
        /// The bytes after the header.
        data: Vec<u8>,
    },
}

const END: u8 = 0x7f;
const END_ENTIRE: u8 = 0xff;
const MESSAGING: u8 = 3;
const MEDIA: u8 = 4;
const HEADER_BYTES: usize = 4;
/// The node's length field has 16 bits.
const NODE_BYTES_MAX: usize = 0xffff;

impl Node {
    fn parse(kind: u8, sub: u8, data: &[u8]) -> Self {
        let known = match (kind, sub) {
            (MEDIA, 1) => Self::parse_partition(data),
            (MEDIA, 4) => match Ucs2::decode(data, "file path") {
                Ok((path, [])) => Some(Self::File(path)),
                Ok(_) | Err(_) => None,
            },
            (MESSAGING, 11) => match data {
                [a, b, c, d, e, f, pad @ .., 1]
                    if pad.len() == 26 && pad.iter().all(|x| *x == 0) =>
                {
                    Some(Self::Mac(MacAddr([*a, *b, *c, *d, *e, *f])))
                }
                _ => None,
            },
            (MESSAGING, 12) => Some(Self::Ipv4(data.to_vec())),
            (MESSAGING, 13) => Some(Self::Ipv6(data.to_vec())),
            (MESSAGING, 20) => Some(Self::Vlan(data.to_vec())),
            (MESSAGING, 24) => Some(Self::Uri(data.to_vec())),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other {
            kind,
            sub,
            data: data.to_vec(),
        })
    }

    fn parse_partition(data: &[u8]) -> Option<Self> {
        let (number, rest) = data.split_first_chunk::<4>()?;
        let (start, rest) = rest.split_first_chunk::<8>()?;
        let (size, rest) = rest.split_first_chunk::<8>()?;
        let (guid, rest) = rest.split_first_chunk::<16>()?;
        // MBR type 2 is GPT, signature type 2 is a GUID; anything else is an old MBR disk and keeps its bytes.
        (rest == [2, 2]).then(|| Self::GptPartition {
            number: u32::from_le_bytes(*number),
            start_lba: u64::from_le_bytes(*start),
            size_lba: u64::from_le_bytes(*size),
            guid: Guid::from_gpt(*guid),
        })
    }

    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EfiError> {
        let mut data = Vec::new();
        let (kind, sub) = match self {
            Self::GptPartition {
                number,
                start_lba,
                size_lba,
                guid,
            } => {
                data.extend_from_slice(&number.to_le_bytes());
                data.extend_from_slice(&start_lba.to_le_bytes());
                data.extend_from_slice(&size_lba.to_le_bytes());
                data.extend_from_slice(&guid.to_gpt());
                data.extend_from_slice(&[2, 2]);
                (MEDIA, 1)
            }
            Self::File(path) => {
                path.encode(&mut data);
                (MEDIA, 4)
            }
            Self::Mac(mac) => {
                data.extend_from_slice(&mac.0);
                data.extend_from_slice(&[0; 26]);
                data.push(1);
                (MESSAGING, 11)
            }
            Self::Ipv4(bytes) => (MESSAGING, keep(12, bytes, &mut data)),
            Self::Ipv6(bytes) => (MESSAGING, keep(13, bytes, &mut data)),
            Self::Vlan(bytes) => (MESSAGING, keep(20, bytes, &mut data)),
            Self::Uri(bytes) => (MESSAGING, keep(24, bytes, &mut data)),
            Self::Other {
                kind,
                sub,
                data: bytes,
            } => (*kind, keep(*sub, bytes, &mut data)),
        };
        let whole = data.len() + HEADER_BYTES;
        let length = u16::try_from(whole).map_err(|_| EfiError::TooLong {
            what: "a device path node",
            length: whole,
            most: NODE_BYTES_MAX,
        })?;
        out.extend_from_slice(&[kind, sub]);
        out.extend_from_slice(&length.to_le_bytes());
        out.append(&mut data);
        Ok(())
    }
}

fn keep(sub: u8, bytes: &[u8], data: &mut Vec<u8>) -> u8 {
    data.extend_from_slice(bytes);
    sub
}

impl fmt::Display for Node {
    /// As UEFI writes it for people, as far as we use it: `HD(1,GPT,…)`, `MAC(…)`, `IPv4`, `Uri(…)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::GptPartition {
                number,
                start_lba,
                size_lba,
                guid,
            } => {
                format!(
                    "HD({number},GPT,{},{start_lba:#x},{size_lba:#x})",
                    guid.upper()
                )
            }
            Self::File(path) => format!("{path}"),
            Self::Mac(mac) => format!("MAC({mac})"),
            Self::Ipv4(_) => String::from("IPv4"),
            Self::Ipv6(_) => String::from("IPv6"),
            Self::Vlan(_) => String::from("Vlan"),
            Self::Uri(uri) => format!("Uri({})", String::from_utf8_lossy(uri)),
            Self::Other { kind, sub, data } => format!("Node({kind},{sub},{} bytes)", data.len()),
        };
        f.pad(&text)
    }
}

/// A whole device path without its End node. An End-of-instance node inside stays as [`Node::Other`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DevicePath(pub Vec<Node>);

impl DevicePath {
    /// Reads one path from the front of `bytes`; returns it and what follows its End node.
    ///
    /// # Errors
    /// A node's length is wrong, or there is no End node.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), EfiError> {
        let mut nodes = Vec::new();
        let mut rest = bytes;
        loop {
            let Some(([kind, sub, low, high], after)) = rest.split_first_chunk::<HEADER_BYTES>()
            else {
                return Err(EfiError::NoEnd);
            };
            let length = u16::from_le_bytes([*low, *high]);
            let bad = EfiError::NodeLength {
                kind: *kind,
                sub: *sub,
                length,
            };
            let data_length = usize::from(length).checked_sub(HEADER_BYTES).ok_or(bad)?;
            let short = EfiError::Short {
                field: "a device path node",
                length: bytes.len(),
            };
            let (data, next) = after.split_at_checked(data_length).ok_or(short)?;
            rest = next;
            if (*kind, *sub) == (END, END_ENTIRE) {
                // An End node is four bytes; longer ones would be lost on encoding.
                return if data.is_empty() {
                    Ok((Self(nodes), rest))
                } else {
                    Err(bad)
                };
            }
            nodes.push(Node::parse(*kind, *sub, data));
        }
    }

    /// Appends the path and its End node.
    ///
    /// # Errors
    /// A node is longer than its length field can say.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EfiError> {
        for node in &self.0 {
            node.encode(out)?;
        }
        out.extend_from_slice(&[END, END_ENTIRE, 4, 0]);
        Ok(())
    }
}

impl fmt::Display for DevicePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, node) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            fmt::Display::fmt(node, f)?;
        }
        Ok(())
    }
}
