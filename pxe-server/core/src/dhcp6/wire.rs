// SPDX-License-Identifier: Apache-2.0
//! Options on the wire (RFC 8415 section 21, RFC 5970 section 3): a bounded reader and a writer.
//!
//! dhcproto keeps the boot options (59 to 62) as unknown numbers and drops the rest of a message at the first option that
//! it cannot read; here such an option is a [`Malformed6`] with its number.

use super::request::Malformed6;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

/// The numbers of options.
pub(super) mod code {
    pub(crate) const CLIENT_ID: u16 = 1;
    pub(crate) const SERVER_ID: u16 = 2;
    pub(crate) const IA_NA: u16 = 3;
    pub(crate) const IA_TA: u16 = 4;
    pub(crate) const IA_ADDRESS: u16 = 5;
    pub(crate) const REQUESTED: u16 = 6;
    pub(crate) const PREFERENCE: u16 = 7;
    pub(crate) const RELAY_MESSAGE: u16 = 9;
    pub(crate) const STATUS: u16 = 13;
    pub(crate) const RAPID_COMMIT: u16 = 14;
    pub(crate) const USER_CLASS: u16 = 15;
    pub(crate) const VENDOR_CLASS: u16 = 16;
    pub(crate) const INTERFACE_ID: u16 = 18;
    pub(crate) const DNS: u16 = 23;
    pub(crate) const DOMAIN: u16 = 24;
    pub(crate) const IA_PD: u16 = 25;
    pub(crate) const BOOT_URL: u16 = 59;
    pub(crate) const BOOT_PARAMETERS: u16 = 60;
    pub(crate) const ARCHITECTURE: u16 = 61;
    pub(crate) const NETWORK_INTERFACE: u16 = 62;
    pub(crate) const CLIENT_LINK_LAYER: u16 = 79;
}

/// Status codes (RFC 8415 section 21.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Success,
    NoAddresses,
    NoBinding,
    NotOnLink,
    UseMulticast,
    NoPrefix,
}

impl Status {
    const fn number(self) -> u16 {
        match self {
            Self::Success => 0,
            Self::NoAddresses => 2,
            Self::NoBinding => 3,
            Self::NotOnLink => 4,
            Self::UseMulticast => 5,
            Self::NoPrefix => 6,
        }
    }

    /// What stands beside the number.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Success => "done",
            Self::NoAddresses => "no address is free",
            Self::NoBinding => "this is not leased to this client",
            Self::NotOnLink => "this address does not belong to this link",
            Self::UseMulticast => "ask the group ff02::1:2, not this address",
            Self::NoPrefix => "prefixes are not given here",
        }
    }
}

/// Options one after the other. After the first that cannot be read it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed6>;

    fn next(&mut self) -> Option<Self::Item> {
        let area = core::mem::take(&mut self.0);
        match area {
            [] => None,
            &[a, b, c, d, ref rest @ ..] => {
                let code = u16::from_be_bytes([a, b]);
                let length = usize::from(u16::from_be_bytes([c, d]));
                let Some((value, rest)) = rest.split_at_checked(length) else {
                    return Some(Err(Malformed6::Truncated { code }));
                };
                self.0 = rest;
                Some(Ok((code, value)))
            }
            &[a, ref rest @ ..] => {
                let code = u16::from_be_bytes([a, rest.first().copied().unwrap_or_default()]);
                Some(Err(Malformed6::Truncated { code }))
            }
        }
    }
}

/// The pieces of a user class or of a vendor class's data: each with its length before it.
pub(super) fn pieces(mut area: &[u8], code: u16) -> Result<Vec<&[u8]>, Malformed6> {
    let mut pieces = Vec::new();
    while let &[a, b, ref rest @ ..] = area {
        let length = usize::from(u16::from_be_bytes([a, b]));
        let (piece, rest) = rest
            .split_at_checked(length)
            .ok_or(Malformed6::Truncated { code })?;
        pieces.push(piece);
        area = rest;
    }
    if area.is_empty() {
        Ok(pieces)
    } else {
        Err(Malformed6::Truncated { code })
    }
}

/// A big-endian number of four bytes at an offset.
pub(super) fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(u32::from_be_bytes(four))
}

/// An address at an offset.
pub(super) fn address(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let sixteen: [u8; 16] = bytes.get(at..at.checked_add(16)?)?.try_into().ok()?;
    Some(sixteen.into())
}

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn number16(&mut self, number: u16) {
        self.bytes(&number.to_be_bytes());
    }

    pub(super) fn number32(&mut self, number: u32) {
        self.bytes(&number.to_be_bytes());
    }

    /// An option whose content is written by `content`. What would not fit a length of 16 bits cannot arise: everything
    /// that is echoed came in one datagram, and what is our own is bounded by the configuration.
    pub(super) fn option(&mut self, code: u16, content: impl FnOnce(&mut Self)) {
        self.number16(code);
        let at = self.0.len();
        self.number16(0);
        content(self);
        let length = self.0.len().saturating_sub(at).saturating_sub(2);
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        if let Some(field) = self.0.get_mut(at..at.saturating_add(2)) {
            field.copy_from_slice(&length.to_be_bytes());
        }
    }

    pub(super) fn plain(&mut self, code: u16, value: &[u8]) {
        self.option(code, |w| w.bytes(value));
    }

    pub(super) fn status(&mut self, status: Status) {
        self.option(code::STATUS, |w| {
            w.number16(status.number());
            w.bytes(status.text().as_bytes());
        });
    }
}

/// A name as DNS writes it (RFC 1035 section 3.1), where it is one.
pub(super) fn domain(name: &str) -> Option<Vec<u8>> {
    const LABEL_MAX: usize = 63;
    const NAME_MAX: usize = 255;
    let mut bytes = Vec::new();
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let plain = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let length = u8::try_from(label.len()).ok()?;
        if !plain || label.is_empty() || label.len() > LABEL_MAX {
            return None;
        }
        bytes.push(length);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    (bytes.len() <= NAME_MAX).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_dns_does() {
        assert_eq!(domain("rack.example.").unwrap(), b"\x04rack\x07example\0");
        for name in [
            "",
            ".",
            "a..b",
            "a b",
            "ä.de",
            &"x".repeat(64),
            &"a.".repeat(128),
        ] {
            assert_eq!(domain(name), None, "{name}");
        }
    }

    #[test]
    fn options_are_read_to_the_first_that_is_cut() {
        let read = |bytes: &[u8]| -> Vec<_> {
            Options(bytes)
                .map(|option| option.map(|(code, value)| (code, value.len())))
                .collect()
        };
        assert_eq!(
            read(&[0, 1, 0, 2, 9, 9, 0, 14, 0, 0]),
            [Ok((1, 2)), Ok((14, 0))]
        );
        assert_eq!(
            read(&[0, 14, 0, 0, 0, 1, 0, 2, 9]),
            [Ok((14, 0)), Err(Malformed6::Truncated { code: 1 })]
        );
        assert_eq!(read(&[0, 14, 0]), [Err(Malformed6::Truncated { code: 14 })]);
        assert_eq!(pieces(&[0, 1, 7, 0, 0], 15).unwrap(), [&[7][..], &[]]);
        assert!(pieces(&[0, 2, 7], 15).is_err());
        assert!(pieces(&[0], 15).is_err());
    }
}
