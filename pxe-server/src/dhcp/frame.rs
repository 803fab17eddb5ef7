// SPDX-License-Identifier: Apache-2.0
//! An IP and UDP header around a reply, for a machine that has no address yet and so answers no ARP (RFC 2131 section 4.1).

use std::net::Ipv4Addr;

const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const UDP: u8 = 17;
/// Hops: a reply to a machine on our own wire needs one; some firmware refuses less than others send.
const TTL: u8 = 64;

/// The packet of a UDP datagram; `None` where it would be longer than a packet can be.
pub(super) fn packet(
    from: (Ipv4Addr, u16),
    to: (Ipv4Addr, u16),
    payload: &[u8],
) -> Option<Vec<u8>> {
    let udp_length = u16::try_from(UDP_HEADER + payload.len()).ok()?;
    let length = udp_length.checked_add(20)?;
    let mut packet = Vec::with_capacity(IP_HEADER + UDP_HEADER + payload.len());
    packet.extend([0x45, 0]);
    packet.extend(length.to_be_bytes());
    // No identification, "do not fragment" (RFC 6864), no check sum yet.
    packet.extend([0, 0, 0x40, 0, TTL, UDP, 0, 0]);
    packet.extend(from.0.octets());
    packet.extend(to.0.octets());
    let header_sum = fold(sum(&packet, 0));
    if let Some(place) = packet.get_mut(10..12) {
        place.copy_from_slice(&(!header_sum).to_be_bytes());
    }
    packet.extend(from.1.to_be_bytes());
    packet.extend(to.1.to_be_bytes());
    packet.extend(udp_length.to_be_bytes());
    packet.extend([0, 0]);
    packet.extend_from_slice(payload);
    // Over the addresses, the protocol, the length and everything behind (RFC 768). A sum of zero is sent as all ones.
    let head = u32::from(UDP) + u32::from(udp_length);
    let all = sum(packet.get(12..).unwrap_or_default(), head);
    let udp_sum = match !fold(all) {
        0 => u16::MAX,
        sum => sum,
    };
    if let Some(place) = packet.get_mut(26..28) {
        place.copy_from_slice(&udp_sum.to_be_bytes());
    }
    Some(packet)
}

fn sum(bytes: &[u8], begin: u32) -> u32 {
    let pairs = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    // At most 32,768 pairs: it fits.
    pairs.fold(begin, u32::wrapping_add)
}

fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    let twice = (once & 0xffff) + (once >> 16);
    u16::try_from(twice & 0xffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_check_sums_are_right() {
        let (from, to) = (
            (Ipv4Addr::new(10, 77, 0, 1), 67),
            (Ipv4Addr::new(10, 77, 0, 100), 68),
        );
        for payload in [&b""[..], b"odd", b"even", &[0xff; 999]] {
            let packet = packet(from, to, payload).unwrap();
            assert_eq!(packet.len(), 28 + payload.len());
            assert_eq!(fold(sum(&packet[..20], 0)), 0xffff);
            let length = u32::try_from(8 + payload.len()).unwrap();
            assert_eq!(fold(sum(&packet[12..], 17 + length)), 0xffff);
            assert_eq!(&packet[28..], payload);
        }
        // As Wireshark shows it of a captured packet.
        let known = packet(
            (Ipv4Addr::new(192, 168, 0, 1), 67),
            (Ipv4Addr::new(192, 168, 0, 10), 68),
            b"",
        )
        .unwrap();
        assert_eq!(&known[..4], [0x45, 0, 0, 28]);
        assert!(packet(from, to, &vec![0; 65_508]).is_none());
    }
}
