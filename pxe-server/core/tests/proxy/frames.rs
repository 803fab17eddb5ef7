// SPDX-License-Identifier: Apache-2.0
//! UDP datagrams out of captures of Ethernet: pcap and pcapng, IPv4 and IPv6 without extension headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// The first word of a pcapng, and of a pcap with microseconds and with nanoseconds.
const READ: [usize; 3] = [0x0a0d_0d0a, 0xa1b2_c3d4, 0xa1b2_3c4d];

/// One datagram.
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// The datagrams of a capture that nobody in this project made; none where it is absent and need not be there.
pub(crate) fn datagrams(name: &str) -> Option<Vec<Datagram>> {
    let root = std::env::var_os("GROUNDSTATE_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    match std::fs::read(root.join("pcap").join(name)) {
        Ok(file) => {
            let magic = u32_le(&file, 0);
            assert!(READ.contains(&magic), "not a little-endian pcap: {magic:x}");
            Some(datagrams_of(&file))
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{name}: {error}");
            eprintln!("skipped: {name}: {error}");
            None
        }
    }
}

/// The datagrams of a capture; none of what is no little-endian pcap.
pub(crate) fn datagrams_of(file: &[u8]) -> Vec<Datagram> {
    frames(file).iter().filter_map(|f| read(f)).collect()
}

fn u32_le(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn frames(file: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let magic = u32_le(file, 0);
    let mut at;
    if magic == 0x0a0d_0d0a {
        at = 0;
        while at + 12 <= file.len() {
            let length = u32_le(file, at + 4);
            if u32_le(file, at) == 6 {
                let captured = u32_le(file, at + 20);
                frames.push(file[at + 28..at + 28 + captured].to_vec());
            }
            at += length;
        }
    } else {
        // Another byte order is another machine's, and some files are no capture at all.
        if !READ.contains(&magic) {
            return frames;
        }
        at = 24;
        while at + 16 <= file.len() {
            let captured = u32_le(file, at + 8);
            frames.push(file[at + 16..at + 16 + captured].to_vec());
            at += 16 + captured;
        }
    }
    frames
}

fn read(frame: &[u8]) -> Option<Datagram> {
    const UDP: u8 = 17;
    let ip = frame.get(14..)?;
    let (from, to, udp): (IpAddr, IpAddr, &[u8]) = match frame.get(12..14)? {
        [0x08, 0x00] if ip.get(9) == Some(&UDP) => {
            let four = |at: usize| -> Option<[u8; 4]> { ip.get(at..at + 4)?.try_into().ok() };
            let (from, to) = (Ipv4Addr::from(four(12)?), Ipv4Addr::from(four(16)?));
            let header = usize::from(ip.first()? & 15) * 4;
            (from.into(), to.into(), ip.get(header..)?)
        }
        [0x86, 0xdd] if ip.get(6) == Some(&UDP) => {
            let sixteen = |at: usize| -> Option<[u8; 16]> { ip.get(at..at + 16)?.try_into().ok() };
            let (from, to) = (Ipv6Addr::from(sixteen(8)?), Ipv6Addr::from(sixteen(24)?));
            (from.into(), to.into(), ip.get(40..)?)
        }
        _ => return None,
    };
    let number = |at: usize| Some(u16::from_be_bytes(udp.get(at..at + 2)?.try_into().ok()?));
    Some(Datagram {
        from: SocketAddr::new(from, number(0)?),
        to: SocketAddr::new(to, number(2)?),
        bytes: udp.get(8..usize::from(number(4)?))?.to_vec(),
    })
}
