// SPDX-License-Identifier: Apache-2.0
//! The IPMI driver's ioctls: one request goes out, its answer comes back within a time-out.
#![allow(unsafe_code)]

use hw_core::machine::ipmi::{ANSWER_MAX, Request};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// `<linux/ipmi.h>`: `_IOR('i', 13, struct ipmi_req)` and `_IOWR('i', 11, struct ipmi_recv)` on 64-bit machines.
const IPMICTL_SEND_COMMAND: libc::c_ulong = 0x8028_690d;
const IPMICTL_RECEIVE_MSG_TRUNC: libc::c_ulong = 0xc030_690b;
const SYSTEM_INTERFACE_ADDR: libc::c_int = 0x0c;
const BMC_CHANNEL: libc::c_short = 0x0f;
/// Kind of a received message: the answer to one of ours.
const RESPONSE: libc::c_int = 1;
/// The most messages that are not ours before we call it no answer.
const STRAYS_MAX: u32 = 16;

/// `struct ipmi_system_interface_addr`.
#[repr(C)]
#[derive(Clone, Copy)]
struct SystemInterfaceAddr {
    addr_type: libc::c_int,
    channel: libc::c_short,
    lun: u8,
}

/// `struct ipmi_msg`.
#[repr(C)]
struct Message {
    netfn: u8,
    cmd: u8,
    data_len: u16,
    data: *mut u8,
}

/// `struct ipmi_req`.
#[repr(C)]
struct Send {
    addr: *mut SystemInterfaceAddr,
    addr_len: u32,
    msgid: libc::c_long,
    msg: Message,
}

/// `struct ipmi_recv`.
#[repr(C)]
struct Receive {
    recv_type: libc::c_int,
    addr: *mut u8,
    addr_len: u32,
    msgid: libc::c_long,
    msg: Message,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Send>() == 40 && size_of::<Receive>() == 48);

/// An open IPMI device.
#[derive(Debug)]
pub(crate) struct Device {
    file: File,
    last: libc::c_long,
}

impl Device {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)?;
        Ok(Self { file, last: 0 })
    }

    /// Sends a request and waits for its answer: completion code, then data.
    pub(crate) fn ask(&mut self, request: &Request, patience: Duration) -> io::Result<Vec<u8>> {
        self.last += 1;
        self.send(request)?;
        let until = Instant::now() + patience;
        for _ in 0..STRAYS_MAX {
            self.wait(until)?;
            match self.receive()? {
                Some((id, answer)) if id == self.last => return Ok(answer),
                // An answer to an earlier request that came too late, or an event.
                Some(_) | None => {}
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn send(&self, request: &Request) -> io::Result<()> {
        let mut address = SystemInterfaceAddr {
            addr_type: SYSTEM_INTERFACE_ADDR,
            channel: BMC_CHANNEL,
            lun: request.lun,
        };
        let mut data = request.data.clone();
        let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let mut send = Send {
            addr: &raw mut address,
            addr_len: u32::try_from(size_of::<SystemInterfaceAddr>()).map_err(too_long)?,
            msgid: self.last,
            msg: Message {
                netfn: request.netfn,
                cmd: request.command,
                data_len: u16::try_from(data.len()).map_err(too_long)?,
                data: data.as_mut_ptr(),
            },
        };
        // SAFETY: `send` has the layout of `struct ipmi_req` (its size is asserted above); `addr` and `msg.data` point to
        // live memory of `addr_len` and `data_len` bytes that outlives the call, and the kernel only reads them.
        let result = unsafe {
            libc::ioctl(
                self.file.as_raw_fd(),
                IPMICTL_SEND_COMMAND as _,
                &raw mut send,
            )
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    fn wait(&self, until: Instant) -> io::Result<()> {
        let left = until.saturating_duration_since(Instant::now());
        let mut poll = libc::pollfd {
            fd: self.file.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let milliseconds = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one live `pollfd` with an open descriptor; the kernel writes only to `revents`.
        let ready = unsafe { libc::poll(&raw mut poll, 1, milliseconds) };
        match ready {
            0 => Err(io::ErrorKind::TimedOut.into()),
            n if n < 0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// One message, with its number; `None` where it is no answer or none was there after all.
    fn receive(&self) -> io::Result<Option<(libc::c_long, Vec<u8>)>> {
        // Room for any kind of address (`struct ipmi_addr` is 40 bytes).
        let mut address = [0u8; 64];
        let mut data = [0u8; ANSWER_MAX];
        let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let mut receive = Receive {
            recv_type: 0,
            addr: address.as_mut_ptr(),
            addr_len: u32::try_from(address.len()).map_err(too_long)?,
            msgid: 0,
            msg: Message {
                netfn: 0,
                cmd: 0,
                data_len: u16::try_from(data.len()).map_err(too_long)?,
                data: data.as_mut_ptr(),
            },
        };
        // SAFETY: `receive` has the layout of `struct ipmi_recv` (its size is asserted above); `addr` and `msg.data` point
        // to live buffers of `addr_len` and `data_len` bytes that outlive the call, and the kernel writes only to them and
        // to `receive`.
        let result = unsafe {
            libc::ioctl(
                self.file.as_raw_fd(),
                IPMICTL_RECEIVE_MSG_TRUNC as _,
                &raw mut receive,
            )
        };
        if result < 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EAGAIN) => Ok(None),
                // The message was longer than the buffer and is cut off: what came is there.
                Some(libc::EMSGSIZE) => Ok(Some((receive.msgid, data.to_vec()))),
                _ => Err(error),
            };
        }
        let length = usize::from(receive.msg.data_len).min(data.len());
        let answer = data.get(..length).unwrap_or_default().to_vec();
        Ok((receive.recv_type == RESPONSE).then_some((receive.msgid, answer)))
    }
}
