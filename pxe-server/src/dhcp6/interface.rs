// SPDX-License-Identifier: Apache-2.0
//! The interface's IPv6 addresses, and the name that the server keeps for good.

use groundstate_api::MacAddr;
use pxe_core::dhcp6::Duid;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where Linux lists the addresses of this thread's network namespace; there is no such file where IPv6 is switched off.
const LIST: &str = "/proc/thread-self/net/if_inet6";
const NAME: &str = "dhcp6-server-id";
/// 2000-01-01, from which the time in a DUID is counted (RFC 8415 section 11.2), in seconds since 1970.
const YEAR_2000: Duration = Duration::from_secs(946_684_800);
/// Flags of an address (linux/if_addr.h): temporary, and found in use by somebody else.
const UNUSABLE: u32 = 0x01 | 0x08;

/// Why DHCPv6 cannot be set up on an interface.
#[derive(Debug, thiserror::Error)]
pub enum Dhcp6SetUpError {
    /// IPv6 is off.
    #[error("IPv6 is switched off on this machine: there is no {LIST}")]
    NoIpv6,
    /// A file cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The kept name is not one.
    #[error(
        "{} does not hold a DUID: {why}; move it away, and clients will take us for a new server",
        path.display()
    )]
    Name {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// The interface has no MAC address.
    #[error("the interface {interface} has no MAC address to make the server's name of")]
    NoMac {
        /// The interface.
        interface: String,
    },
    /// The interfaces cannot be listed.
    #[error("the network interfaces cannot be listed: {0}")]
    Interfaces(io::Error),
}

/// The interface's IPv6 addresses with the lengths of their prefixes.
///
/// # Errors
/// IPv6 is switched off.
pub(crate) fn addresses(interface: &str) -> Result<Vec<(Ipv6Addr, u8)>, Dhcp6SetUpError> {
    let text = fs::read_to_string(LIST).map_err(|_| Dhcp6SetUpError::NoIpv6)?;
    Ok(of_interface(&text, interface))
}

/// A line is address, index, prefix length, scope, flags, name; all but the name in hexadecimal digits.
fn of_interface(text: &str, interface: &str) -> Vec<(Ipv6Addr, u8)> {
    let read = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let &[address, _, prefix, _, flags, name] = words.as_slice() else {
            return None;
        };
        let usable = u32::from_str_radix(flags, 16).ok()? & UNUSABLE == 0;
        let address = u128::from_str_radix(address, 16).ok()?;
        let prefix = u8::from_str_radix(prefix, 16).ok()?;
        (usable && name == interface).then_some((address.into(), prefix))
    };
    text.lines().filter_map(read).collect()
}

/// The server's name: read from the state folder, or made and kept there. It outlives restarts, other addresses and a new
/// network card, so that clients know their server again.
pub(crate) fn server_id(state_dir: &Path, interface: &str) -> Result<Duid, Dhcp6SetUpError> {
    let path = state_dir.join(NAME);
    let io = |doing, source| Dhcp6SetUpError::Io {
        doing,
        path: path.clone(),
        source,
    };
    match fs::read_to_string(&path) {
        Ok(text) => text
            .trim_end()
            .parse()
            .map_err(|why| Dhcp6SetUpError::Name {
                path: path.clone(),
                why,
            }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let duid = Duid::of_server(mac(interface)?, seconds());
            fs::create_dir_all(state_dir)
                .and_then(|()| keep(&path, &duid))
                .map_err(|error| io("write", error))?;
            Ok(duid)
        }
        Err(error) => Err(io("read", error)),
    }
}

fn keep(path: &Path, duid: &Duid) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    writeln!(file, "{duid}")?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent()
        .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// The interface's MAC address. The kernel is asked, not `/sys`, which shows the namespace that it was mounted in.
pub(crate) fn mac(interface: &str) -> Result<MacAddr, Dhcp6SetUpError> {
    let all =
        nix::ifaddrs::getifaddrs().map_err(|error| Dhcp6SetUpError::Interfaces(error.into()))?;
    all.filter(|one| one.interface_name == interface)
        .find_map(|one| one.address?.as_link_addr()?.addr())
        .map(MacAddr)
        .filter(|mac| mac.0 != [0; 6])
        .ok_or_else(|| Dhcp6SetUpError::NoMac {
            interface: interface.to_owned(),
        })
}

fn seconds() -> u32 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = since_1970.saturating_sub(YEAR_2000).as_secs();
    // "Modulo 2^32."
    u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let text = "\
fd770000000000000000000000000001 02 40 00 80    eth0
fe80000000000000505400fffe123456 02 40 20 80    eth0
fd770000000000000000000000000002 02 40 00 88    eth0
fd770000000000000000000000000003 03 40 00 80    eth1
00000000000000000000000000000001 01 80 10 80       lo
broken line
";
        let found = of_interface(text, "eth0");
        let expected: [(Ipv6Addr, u8); 2] = [
            ("fd77::1".parse().unwrap(), 64),
            ("fe80::5054:ff:fe12:3456".parse().unwrap(), 64),
        ];
        assert_eq!(found, expected);
        assert!(of_interface(text, "eth2").is_empty());
    }

    #[test]
    fn a_name_is_made_once_and_a_broken_one_is_told() {
        let dir = tempfile::tempdir().unwrap();
        // Loopback has no MAC address.
        let error = server_id(dir.path(), "lo").unwrap_err();
        assert!(matches!(error, Dhcp6SetUpError::NoMac { .. }), "{error}");
        fs::write(dir.path().join(NAME), "00010001300000005254000000ff\n").unwrap();
        let kept = server_id(dir.path(), "lo").unwrap();
        assert_eq!(kept.to_string(), "00010001300000005254000000ff");
        assert_eq!(server_id(dir.path(), "another").unwrap(), kept);
        fs::write(dir.path().join(NAME), "what").unwrap();
        let error = server_id(dir.path(), "lo").unwrap_err().to_string();
        assert!(
            error.contains(NAME) && error.contains("move it away"),
            "{error}"
        );
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let duid = Duid::of_server(MacAddr([2, 0, 0, 0, 0, 1]), seconds());
        keep(&dir.path().join(NAME), &duid).unwrap();
        assert_eq!(server_id(dir.path(), "lo").unwrap(), duid);
    }
}
