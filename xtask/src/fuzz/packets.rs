// SPDX-License-Identifier: Apache-2.0
//! Payloads out of captures of packets (`pcap`, not `pcapng`): Ethernet, IP, UDP, and nothing else.

/// Whose payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// To UDP port 67.
    DhcpServer,
    /// To UDP port 547, over IPv6 without extension headers.
    Dhcp6Server,
    /// To UDP port 68.
    DhcpClient,
    /// To UDP port 69.
    Tftp,
    /// Whole LLDP frames.
    Lldp,
}

/// The payloads for `port` in a capture; none where it is no capture that is read.
pub(super) fn payloads(capture: &[u8], port: Port) -> Vec<Vec<u8>> {
    frames(capture)
        .filter_map(|frame| of(frame, port).map(<[u8]>::to_vec))
        .collect()
}

fn of(frame: &[u8], port: Port) -> Option<&[u8]> {
    const IPV4: u16 = 0x0800;
    const LLDP: u16 = 0x88cc;
    const UDP: u8 = 17;
    const IPV6: u16 = 0x86dd;
    const IPV6_HEADER: usize = 40;
    let number =
        |bytes: &[u8], at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let ethertype = number(frame, 12)?;
    let wanted = match port {
        Port::Lldp => return (ethertype == LLDP).then_some(frame),
        Port::Dhcp6Server => {
            let packet = frame.get(14..).filter(|_| ethertype == IPV6)?;
            let udp = packet.get(IPV6_HEADER..)?;
            let matches = *packet.get(6)? == UDP && number(udp, 2)? == 547;
            return udp.get(8..usize::from(number(udp, 4)?)).filter(|_| matches);
        }
        Port::DhcpServer => 67,
        Port::DhcpClient => 68,
        Port::Tftp => 69,
    };
    let packet = frame.get(14..).filter(|_| ethertype == IPV4)?;
    let udp = packet.get(usize::from(packet.first()? & 0x0f) * 4..)?;
    let matches = *packet.get(9)? == UDP && number(udp, 2)? == wanted;
    udp.get(8..usize::from(number(udp, 4)?)).filter(|_| matches)
}

fn frames(capture: &[u8]) -> impl Iterator<Item = &[u8]> {
    const LITTLE: [u8; 4] = [0xd4, 0xc3, 0xb2, 0xa1];
    const BIG: [u8; 4] = [0xa1, 0xb2, 0xc3, 0xd4];
    let little = capture.starts_with(&LITTLE);
    let mut rest = capture
        .get(24..)
        .filter(|_| little || capture.starts_with(&BIG))
        .unwrap_or_default();
    core::iter::from_fn(move || {
        let length: [u8; 4] = rest.get(8..12)?.try_into().ok()?;
        let length = if little {
            u32::from_le_bytes(length)
        } else {
            u32::from_be_bytes(length)
        };
        let end = 16 + usize::try_from(length).ok()?;
        let frame = rest.get(16..end)?;
        rest = rest.get(end..)?;
        Some(frame)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_found_by_its_port() {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00]);
        frame.extend([
            0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8,
        ]);
        frame.extend([0, 68, 0, 67, 0, 10, 0, 0, 0xaa, 0xbb, 0xff]);
        let mut capture = vec![0xd4, 0xc3, 0xb2, 0xa1];
        capture.resize(24 + 8, 0);
        capture.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
        capture.extend([0; 4]);
        capture.extend(&frame);
        assert_eq!(payloads(&capture, Port::DhcpServer), [[0xaa, 0xbb]]);
        assert!(payloads(&capture, Port::Tftp).is_empty());
        assert!(payloads(&capture, Port::Lldp).is_empty());
        assert!(payloads(&frame, Port::DhcpServer).is_empty());
    }
}
