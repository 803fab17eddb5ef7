// SPDX-License-Identifier: Apache-2.0
//! Which addresses a webhook may be sent to. The address that is asked is the one that is connected to: a name that means another
//! machine a moment later gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata services outside the link-local ranges: of Alibaba Cloud, of EC2 over IPv6, of Oracle Cloud.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// Why an address is refused; `None` where it is not. Over plain HTTP only this machine is spoken to.
pub(super) fn refused(address: IpAddr, encrypted: bool) -> Option<&'static str> {
    let plain = unmapped(address);
    if METADATA.contains(&plain) {
        return Some("it is a cloud's metadata service");
    }
    let by_kind = match plain {
        IpAddr::V4(v4) => of_v4(v4),
        IpAddr::V6(v6) => of_v6(v6),
    };
    by_kind.or_else(|| {
        (!encrypted && !plain.is_loopback()).then_some("plain http is for this machine only")
    })
}

fn of_v4(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_link_local() {
        Some("it is link-local, as metadata services are")
    } else if address.is_unspecified() || address.octets()[0] == 0 {
        Some("it is no machine's")
    } else if address.is_multicast() || address.is_broadcast() {
        Some("it is many machines'")
    } else {
        None
    }
}

fn of_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.segments()[0] & 0xffc0 == 0xfe80 {
        Some("it is link-local, as metadata services are")
    } else if address.is_unspecified() {
        Some("it is no machine's")
    } else if address.is_multicast() {
        Some("it is many machines'")
    } else {
        None
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, or behind a translator (64:ff9b::/96, 2002::/16).
fn unmapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let s = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] if high != 0 || low > 1 => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_link_local_and_nobody_are_refused_in_every_dress() {
        for text in [
            "169.254.169.254",
            "169.254.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
        ] {
            let address = text.parse().unwrap();
            assert!(refused(address, true).is_some(), "{text}");
            assert!(refused(address, false).is_some(), "{text}");
        }
    }

    #[test]
    fn machines_are_spoken_to_encrypted_and_this_one_also_plainly() {
        for text in [
            "10.0.0.1",
            "192.168.1.1",
            "203.0.113.7",
            "2001:db8::1",
            "fd12::1",
        ] {
            let address = text.parse().unwrap();
            assert_eq!(refused(address, true), None, "{text}");
            assert!(refused(address, false).is_some(), "{text}");
        }
        for text in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(refused(text.parse().unwrap(), false), None, "{text}");
        }
    }
}
