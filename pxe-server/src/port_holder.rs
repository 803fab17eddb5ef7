// SPDX-License-Identifier: Apache-2.0
//! Who has a port that we were refused, as far as this process may look: for a message, never for a decision.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Processes that are looked through.
const PROCESSES_MAX: usize = 100_000;

/// A port's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// What to say behind the system's error: who has the port and what to do, or what right is missing.
#[must_use]
pub fn advice(protocol: Protocol, address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let holders = holders(protocol, address);
            let port = address.port();
            let who = match holders.as_slice() {
                [] => {
                    let (flag, short) = match protocol {
                        Protocol::Udp => ("-lunp", "udp"),
                        Protocol::Tcp => ("-ltnp", "tcp"),
                    };
                    format!("another program has {short} port {port}: `ss {flag}` as root tells which; stop it")
                }
                some => format!("{} has port {port}: stop it", some.join(" and ")),
            };
            let or = match protocol {
                Protocol::Udp => "machines that boot ask at no other port",
                Protocol::Tcp => "or serve on another port or interface",
            };
            format!("; {who}, {or}")
        }
        io::ErrorKind::PermissionDenied => {
            "; run as root, with CAP_NET_BIND_SERVICE and CAP_NET_RAW, or by the systemd units, which hand the ports over"
                .to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "; it is no address of this machine: `ip address` shows those it has".to_owned()
        }
        _ => String::new(),
    }
}

/// `dnsmasq (process 812)` for each that has it and may be seen.
fn holders(protocol: Protocol, address: SocketAddr) -> Vec<String> {
    let names = match protocol {
        Protocol::Udp => ["udp", "udp6"],
        Protocol::Tcp => ["tcp", "tcp6"],
    };
    let inodes: Vec<u64> = names
        .iter()
        .filter_map(|name| fs::read_to_string(format!("/proc/self/net/{name}")).ok())
        .flat_map(|table| inodes(protocol, &table, address))
        .collect();
    if inodes.is_empty() {
        return Vec::new();
    }
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = processes.flatten().take(PROCESSES_MAX).filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.parse::<u32>().ok()
    });
    let found = numbers.filter(|pid| has(*pid, &inodes)).map(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        // A process may call itself anything; what steers a terminal does not pass.
        let name: String = name.chars().filter(|c| !c.is_control()).collect();
        format!("{name} (process {pid})")
    });
    found.collect()
}

fn has(pid: u32, inodes: &[u64]) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    open.flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            inode.parse::<u64>().ok()
        })
        .any(|inode| inodes.contains(&inode))
}

/// The sockets in a table of `/proc/net` that keep us from this address: on the same port, and on the same address or
/// where one of the two is every address. Of TCP only those that listen.
fn inodes(protocol: Protocol, table: &str, address: SocketAddr) -> Vec<u64> {
    const LISTENS: &str = "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (local, state) = (fields.get(1)?, fields.get(3)?);
            if protocol == Protocol::Tcp && *state != LISTENS {
                return None;
            }
            let (host, port) = local.split_once(':')?;
            if u16::from_str_radix(port, 16).ok()? != address.port() {
                return None;
            }
            let host = read_host(host)?.to_canonical();
            let same = host == address.ip() || host.is_unspecified();
            (same || address.ip().is_unspecified()).then_some(())?;
            fields.get(9)?.parse().ok()
        })
        .collect()
}

/// Four or sixteen bytes as the kernel prints them: words of four bytes in the machine's own order.
fn read_host(text: &str) -> Option<IpAddr> {
    let words: Vec<[u8; 4]> = (0..text.len() / 8)
        .map(|n| {
            let word = u32::from_str_radix(text.get(n * 8..n * 8 + 8)?, 16).ok()?;
            Some(word.to_ne_bytes())
        })
        .collect::<Option<_>>()?;
    match words.as_slice() {
        [four] => Some(IpAddr::V4(Ipv4Addr::from(*four))),
        [_, _, _, _] => {
            let sixteen: [u8; 16] = words.concat().try_into().ok()?;
            Some(IpAddr::V6(Ipv6Addr::from(sixteen)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn whoever_has_the_port_is_named() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = io::Error::from(io::ErrorKind::AddrInUse);
        for (protocol, address) in [
            (Protocol::Udp, udp.local_addr().unwrap()),
            (Protocol::Tcp, tcp.local_addr().unwrap()),
            (
                Protocol::Udp,
                SocketAddr::from(([0, 0, 0, 0], udp.local_addr().unwrap().port())),
            ),
        ] {
            let said = advice(protocol, address, &taken);
            let ours = format!("(process {})", std::process::id());
            assert!(said.contains(&ours) && said.contains("stop it"), "{said}");
            let can_move = said.contains("serve on another port");
            assert_eq!(can_move, protocol == Protocol::Tcp, "{said}");
        }
        let other = SocketAddr::from(([127, 0, 0, 2], udp.local_addr().unwrap().port()));
        assert_eq!(holders(Protocol::Udp, other), Vec::<String>::new());
    }

    #[test]
    fn a_table_of_the_kernel_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 0100007F:0050 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 4712 1
   2: garbage
";
        let web = SocketAddr::from(([10, 0, 0, 1], 80));
        assert_eq!(inodes(Protocol::Tcp, table, web), [4_711]);
        let v6 = "h\n0: 0000000000000000FFFF00000100007F:0043 0:0 07 0:0 0:0 0 0 0 9 1\n";
        let dhcp = SocketAddr::from(([127, 0, 0, 1], 67));
        if cfg!(target_endian = "little") {
            assert_eq!(inodes(Protocol::Udp, v6, dhcp), [9]);
        }
    }
}
