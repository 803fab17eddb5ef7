// SPDX-License-Identifier: Apache-2.0
//! A client's options, found in its message without copying them.
//!
//! They are walked here and not by dhcproto: that stops at the first option that it cannot read and drops the rest
//! without a word, does not follow option 52 into `file` and `sname`, and keeps one architecture of option 93.

use super::request::Malformed;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

/// Where the options begin: after the fixed header (236 bytes) and the cookie.
pub(crate) const HEADER: usize = 240;
/// Where `sname` and `file` lie, which option 52 lends to options.
const SNAME: core::ops::Range<usize> = 44..108;
const FILE: core::ops::Range<usize> = 108..236;

/// The numbers of options (RFC 2132; 77: RFC 3004; 82: RFC 3046; 93, 97: RFC 4578; 118: RFC 3011; 121: RFC 3442; 175 is
/// Etherboot's; 249 is 121 as older Windows asks for it).
pub(crate) mod code {
    #![allow(missing_docs, reason = "the names say it")]
    pub(crate) const PAD: u8 = 0;
    pub(crate) const SUBNET_MASK: u8 = 1;
    pub(crate) const ROUTERS: u8 = 3;
    pub(crate) const NAME_SERVERS: u8 = 6;
    pub(crate) const HOST_NAME: u8 = 12;
    pub(crate) const DOMAIN: u8 = 15;
    pub(crate) const MTU: u8 = 26;
    pub(crate) const BROADCAST: u8 = 28;
    pub(crate) const TIME_SERVERS: u8 = 42;
    pub(crate) const VENDOR: u8 = 43;
    pub(crate) const REQUESTED_ADDRESS: u8 = 50;
    pub(crate) const LEASE_TIME: u8 = 51;
    pub(crate) const OVERLOAD: u8 = 52;
    pub(crate) const MESSAGE_TYPE: u8 = 53;
    pub(crate) const SERVER_ID: u8 = 54;
    pub(crate) const PARAMETERS: u8 = 55;
    pub(crate) const MESSAGE: u8 = 56;
    pub(crate) const MESSAGE_SIZE: u8 = 57;
    pub(crate) const RENEWAL: u8 = 58;
    pub(crate) const REBINDING: u8 = 59;
    pub(crate) const VENDOR_CLASS: u8 = 60;
    pub(crate) const CLIENT_ID: u8 = 61;
    pub(crate) const TFTP_SERVER: u8 = 66;
    pub(crate) const BOOT_FILE: u8 = 67;
    pub(crate) const USER_CLASS: u8 = 77;
    pub(crate) const RELAY_AGENT: u8 = 82;
    pub(crate) const ARCHITECTURE: u8 = 93;
    pub(crate) const MACHINE_ID: u8 = 97;
    pub(crate) const SUBNET_SELECTION: u8 = 118;
    pub(crate) const ROUTES: u8 = 121;
    pub(crate) const IPXE: u8 = 175;
    pub(crate) const ROUTES_MICROSOFT: u8 = 249;
    pub(crate) const END: u8 = 255;
}

/// The options of one message: where each piece lies. Pieces of one number belong together (RFC 3396), those in `file`
/// and `sname` after the others where option 52 says that there are any.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    pieces: Vec<(u8, &'a [u8])>,
}

/// Room for the options of a usual request, so that its pieces are noted without growing.
const PIECES_USUAL: usize = 24;

impl<'a> Options<'a> {
    /// Finds the options of a message.
    pub(crate) fn of(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut found = Self {
            pieces: Vec::with_capacity(PIECES_USUAL),
        };
        found.walk(message.get(HEADER..).unwrap_or_default())?;
        let overload = match found.get(code::OVERLOAD).as_deref() {
            None => 0,
            Some([value @ 1..=3]) => *value,
            Some(other) => {
                return Err(Malformed::OptionLength {
                    code: code::OVERLOAD,
                    bytes: other.len(),
                });
            }
        };
        for (bit, field) in [(1, FILE), (2, SNAME)] {
            if overload & bit != 0 {
                found.walk(message.get(field).unwrap_or_default())?;
            }
        }
        Ok(found)
    }

    fn walk(&mut self, mut area: &'a [u8]) -> Result<(), Malformed> {
        loop {
            match area {
                [] | [code::END, ..] => return Ok(()),
                [code::PAD, rest @ ..] => area = rest,
                [code, length, rest @ ..] => {
                    let (value, after) = rest
                        .split_at_checked(usize::from(*length))
                        .ok_or(Malformed::Truncated { code: *code })?;
                    self.pieces.push((*code, value));
                    area = after;
                }
                [code] => return Err(Malformed::Truncated { code: *code }),
            }
        }
    }

    /// Whether there is such an option.
    pub(crate) fn has(&self, code: u8) -> bool {
        self.pieces.iter().any(|(number, _)| *number == code)
    }

    /// The value of an option, its pieces joined.
    pub(crate) fn get(&self, code: u8) -> Option<Cow<'a, [u8]>> {
        let mut pieces = self
            .pieces
            .iter()
            .filter(|(number, _)| *number == code)
            .map(|(_, value)| *value);
        let mut joined = Cow::Borrowed(pieces.next()?);
        for more in pieces {
            joined.to_mut().extend_from_slice(more);
        }
        Some(joined)
    }

    /// The value of an option that has `N` bytes.
    pub(crate) fn exactly<const N: usize>(&self, code: u8) -> Result<Option<[u8; N]>, Malformed> {
        let Some(value) = self.get(code) else {
            return Ok(None);
        };
        let bytes = value.len();
        <[u8; N]>::try_from(value.as_ref())
            .map(Some)
            .map_err(|_| Malformed::OptionLength { code, bytes })
    }

    /// The value of an option that is an address.
    pub(crate) fn address(&self, code: u8) -> Result<Option<Ipv4Addr>, Malformed> {
        Ok(self.exactly::<4>(code)?.map(Ipv4Addr::from))
    }

    /// The value of an option that is echoed, and so must fit one option.
    pub(crate) fn echo(&self, code: u8) -> Result<Option<Vec<u8>>, Malformed> {
        match self.get(code) {
            Some(value) if value.len() > usize::from(u8::MAX) => Err(Malformed::OptionLength {
                code,
                bytes: value.len(),
            }),
            value => Ok(value.map(Cow::into_owned)),
        }
    }
}

/// The value of a sub-option of option 82 (RFC 3046); what cannot be read there is not there.
pub(crate) fn sub_option(mut area: &[u8], wanted: u8) -> Option<&[u8]> {
    while let [code, length, rest @ ..] = area {
        let (value, after) = rest.split_at_checked(usize::from(*length))?;
        if *code == wanted {
            return Some(value);
        }
        area = after;
    }
    None
}
