// SPDX-License-Identifier: Apache-2.0
//! Where a BMC is: a host and perhaps a port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The longest host name (RFC 1035, 2.3.4), in bytes.
const HOST_MAX: usize = 253;

/// `10.0.0.9`, `10.0.0.9:8443`, `fd00::9`, `[fd00::9]:443`, `bmc-1.lab`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    host: String,
    port: Option<u16>,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress;

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address of a BMC is an IP address or a host name, and perhaps a port: 10.0.0.9, [fd00::9]:443, bmc-1.lab:8443")
    }
}

impl std::error::Error for BadAddress {}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self {
                host: ip.to_string(),
                port: None,
            });
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or(BadAddress)?;
            let host: Ipv6Addr = host.parse().map_err(|_| BadAddress)?;
            let port = if rest.is_empty() {
                None
            } else {
                Some(rest.strip_prefix(':').ok_or(BadAddress)?)
            };
            (host.to_string(), port)
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host.to_owned(), Some(port)),
                None => (text.to_owned(), None),
            }
        };
        let port = match port {
            Some(port) => Some(
                port.parse()
                    .ok()
                    .filter(|port| *port != 0)
                    .ok_or(BadAddress)?,
            ),
            None => None,
        };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let good = host.len() <= HOST_MAX && (host.contains(':') || host.split('.').all(label));
        if good {
            Ok(Self { host, port })
        } else {
            Err(BadAddress)
        }
    }
}

impl Address {
    /// The host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that it names.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Host and port as a URL writes them.
    pub(crate) fn authority(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, shown) in [
            ("10.0.0.9", "10.0.0.9"),
            ("10.0.0.9:8443", "10.0.0.9:8443"),
            ("fd00::9", "[fd00::9]"),
            ("[fd00::9]:443", "[fd00::9]:443"),
            ("bmc-1.lab", "bmc-1.lab"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        for bad in [
            "",
            "-H",
            "a b",
            "h:0",
            "h:99999",
            "h:",
            "[::1",
            "[::1]x",
            "user@h",
            "h/../x",
            "https://h",
            "a..b",
            "h\n",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }
}
