// SPDX-License-Identifier: Apache-2.0
//! What firmware asks a proxyDHCP service, and on which port.

use crate::dhcp::options::{Options, code};
use crate::dhcp::{Malformed, Request};
use core::net::SocketAddrV4;

/// Boot item (option 43, suboption 71, PXE 2.1 section 2.2.2): the type of boot server and the layer that are asked for.
const BOOT_ITEM: u8 = 71;

/// Where a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Port 67, which everybody on the wire asks.
    Dhcp,
    /// Port 4011, which firmware asks when it has its address.
    BootServer,
}

impl Port {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Dhcp => 67,
            Self::BootServer => 4011,
        }
    }
}

/// A message of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyRequest {
    /// What every DHCP message says.
    pub request: Request,
    /// Where it came in.
    pub port: Port,
    /// Where it came from.
    pub from: SocketAddrV4,
    /// The boot item that is asked for; it is echoed.
    pub(super) item: Option<[u8; 4]>,
}

impl ProxyRequest {
    /// Reads a datagram.
    ///
    /// # Errors
    /// Why the bytes are not a request that could be answered.
    pub fn parse(bytes: &[u8], port: Port, from: SocketAddrV4) -> Result<Self, Malformed> {
        let request = Request::parse(bytes)?;
        let vendor = Options::of(bytes)?.get(code::VENDOR);
        let item = vendor.as_deref().and_then(boot_item);
        Ok(Self {
            request,
            port,
            from,
            item,
        })
    }
}

/// Vendors put into option 43 what they like; what is no boot item there is nothing to us.
fn boot_item(mut area: &[u8]) -> Option<[u8; 4]> {
    loop {
        match area {
            [code::PAD, rest @ ..] => area = rest,
            [BOOT_ITEM, 4, a, b, c, d, ..] => return Some([*a, *b, *c, *d]),
            [code::END, ..] => return None,
            [_, length, rest @ ..] => area = rest.get(usize::from(*length)..)?,
            [] | [_] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_item_is_found_among_what_vendors_write() {
        assert_eq!(boot_item(&[71, 4, 0, 1, 0, 2, 255]), Some([0, 1, 0, 2]));
        assert_eq!(
            boot_item(&[0, 9, 1, 7, 71, 4, 1, 2, 3, 4]),
            Some([1, 2, 3, 4])
        );
        for none in [
            &[][..],
            &[255, 71, 4, 0, 0, 0, 0],
            &[71, 3, 0, 0, 0],
            &[9],
            &[9, 9],
        ] {
            assert_eq!(boot_item(none), None, "{none:?}");
        }
    }
}
