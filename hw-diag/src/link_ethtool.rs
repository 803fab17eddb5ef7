// SPDX-License-Identifier: Apache-2.0
//! One ioctl: ETHTOOL_GDRVINFO, which asks a network driver for its firmware's version. It only reads.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

/// `<linux/sockios.h>`, `<linux/ethtool.h>`.
const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GDRVINFO: u32 = 0x0000_0003;

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    cmd: u32,
    driver: [u8; 32],
    version: [u8; 32],
    fw_version: [u8; 32],
    bus_info: [u8; 32],
    erom_version: [u8; 32],
    reserved2: [u8; 12],
    counts: [u32; 5],
}

const _: () = assert!(size_of::<DriverInfo>() == 196);

/// `struct ifreq` with its pointer member; the union is 24 bytes on 64-bit machines.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    data: *mut DriverInfo,
    rest: [u8; 24 - size_of::<*mut DriverInfo>()],
}

/// The firmware's version; `None` where the driver does not say.
pub(crate) fn firmware_version(interface: &str) -> Option<String> {
    let mut name = [0u8; libc::IFNAMSIZ];
    // The last byte stays NUL.
    let room = name.len() - 1;
    name[..room]
        .get_mut(..interface.len())?
        .copy_from_slice(interface.as_bytes());
    let mut info = DriverInfo {
        cmd: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        version: [0; 32],
        fw_version: [0; 32],
        bus_info: [0; 32],
        erom_version: [0; 32],
        reserved2: [0; 12],
        counts: [0; 5],
    };
    let mut request = Request {
        name,
        data: &raw mut info,
        rest: [0; 24 - size_of::<*mut DriverInfo>()],
    };
    // SAFETY: no pointers; the descriptor that comes back is nobody else's and is closed by `OwnedFd`.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return None;
        }
        OwnedFd::from_raw_fd(fd)
    };
    // SAFETY: the request has the layout of `struct ifreq` with a NUL-terminated name; `data` points to a live
    // `struct ethtool_drvinfo` (its size is asserted above) that outlives the call, and the kernel writes only to it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
    if result < 0 {
        return None;
    }
    let version = hw_core::clean(&info.fw_version);
    (!version.is_empty() && version != "N/A").then_some(version)
}
