// SPDX-License-Identifier: Apache-2.0
//! Network interfaces by ioctl (netdevice(7)): up, address, mask, route. The only unsafe code of PID 1's network.
#![allow(unsafe_code)]

use groundstate_api::MacAddr;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd as _;

/// An Ethernet interface with a device behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    /// The kernel's name.
    pub(super) name: String,
    /// Its MAC address.
    pub(super) mac: MacAddr,
}

/// Every Ethernet interface with a device behind it, by name.
#[must_use]
pub(super) fn interfaces() -> Vec<Interface> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        let ethernet = fs::read_to_string(path.join("type")).is_ok_and(|kind| kind.trim() == "1");
        let mac = fs::read_to_string(path.join("address"))
            .ok()
            .and_then(|text| text.trim().parse().ok());
        if let (true, true, Some(mac)) = (ethernet, path.join("device").exists(), mac) {
            found.push(Interface {
                name: entry.file_name().to_string_lossy().into_owned(),
                mac,
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Whether the interface has a link; `None` where it is down or does not say.
#[must_use]
pub(super) fn has_link(name: &str) -> Option<bool> {
    let text = fs::read_to_string(format!("/sys/class/net/{name}/carrier")).ok()?;
    Some(text.trim() == "1")
}

/// Sets the interface up.
///
/// # Errors
/// The ioctl's error.
pub(super) fn set_up(name: &str) -> io::Result<()> {
    let mut request = request(name)?;
    ioctl(libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: SIOCGIFFLAGS has filled `ifru_flags`.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    let up = i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or(0x41);
    request.ifr_ifru.ifru_flags = flags | up;
    ioctl(libc::SIOCSIFFLAGS, &mut request)
}

/// Gives the interface this address and network prefix.
///
/// # Errors
/// The ioctl's error.
pub(super) fn set_address(name: &str, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_addr = socket_address(address);
    ioctl(libc::SIOCSIFADDR, &mut request)?;
    let mask = u32::MAX
        .checked_shl(32 - u32::from(prefix.min(32)))
        .unwrap_or(0);
    request.ifr_ifru.ifru_netmask = socket_address(Ipv4Addr::from(mask));
    ioctl(libc::SIOCSIFNETMASK, &mut request)
}

/// Sets the default route.
///
/// # Errors
/// The ioctl's error; a route that is there already is none.
pub(super) fn set_default_route(router: Ipv4Addr) -> io::Result<()> {
    // SAFETY: rtentry is plain data; all zeros is a valid value.
    let mut entry: libc::rtentry = unsafe { std::mem::zeroed() };
    entry.rt_dst = socket_address(Ipv4Addr::UNSPECIFIED);
    entry.rt_genmask = socket_address(Ipv4Addr::UNSPECIFIED);
    entry.rt_gateway = socket_address(router);
    entry.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
    match ioctl(libc::SIOCADDRT, &mut entry) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        result => result,
    }
}

fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: ifreq is plain data; all zeros is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "interface name is too long",
        ));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    Ok(request)
}

fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut data = [0u8; 14];
    data[2..6].copy_from_slice(&address.octets());
    libc::sockaddr {
        sa_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap_or(2),
        sa_data: data.map(|byte| libc::c_char::from_ne_bytes([byte])),
    }
}

fn ioctl<T>(code: libc::Ioctl, argument: &mut T) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: each caller passes the structure that netdevice(7) names for `code`; it lives across the call.
    let status = unsafe { libc::ioctl(socket.as_raw_fd(), code, std::ptr::from_mut(argument)) };
    if status < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
