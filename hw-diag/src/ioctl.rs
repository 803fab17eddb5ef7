// SPDX-License-Identifier: Apache-2.0
//! The two ioctls for disks: SG_IO (SCSI and, inside it, ATA) and NVME_IOCTL_ADMIN_CMD. Both with a time-out that the
//! kernel keeps; neither ever carries data to the device.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// How long the kernel waits for one command. A disk that spins up from standby answers within 15 s; the whole look has
/// its own, shorter patience, and what comes later is reported as not answered.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(15);

/// `<scsi/sg.h>`, `<linux/nvme_ioctl.h>`.
const SG_IO: libc::c_ulong = 0x2285;
const NVME_IOCTL_ADMIN_CMD: libc::c_ulong = 0xc048_4e41;
const SG_DXFER_NONE: i32 = -1;
const SG_DXFER_FROM_DEV: i32 = -3;
/// Room for sense data in descriptor form with an ATA Status Return descriptor (22 bytes) and more.
const SENSE_MAX: u8 = 64;

/// `struct sg_io_hdr`.
#[repr(C)]
struct SgIoHdr {
    interface_id: i32,
    dxfer_direction: i32,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: u32,
    dxferp: *mut u8,
    cmdp: *const u8,
    sbp: *mut u8,
    timeout: u32,
    flags: u32,
    pack_id: i32,
    usr_ptr: *mut u8,
    status: u8,
    masked_status: u8,
    msg_status: u8,
    sb_len_wr: u8,
    host_status: u16,
    driver_status: u16,
    resid: i32,
    duration: u32,
    info: u32,
}

/// `struct nvme_admin_cmd`.
#[repr(C)]
#[derive(Default)]
struct NvmeAdminCmd {
    opcode: u8,
    flags: u8,
    rsvd1: u16,
    nsid: u32,
    cdw2: u32,
    cdw3: u32,
    metadata: u64,
    addr: u64,
    metadata_len: u32,
    data_len: u32,
    cdw10: u32,
    cdw11: u32,
    cdw12: u32,
    cdw13: u32,
    cdw14: u32,
    cdw15: u32,
    timeout_ms: u32,
    result: u32,
}

const _: () = assert!(size_of::<NvmeAdminCmd>() == 72);
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<SgIoHdr>() == 88);

/// What a SCSI command returned.
pub(crate) struct SgReply {
    /// SCSI status: 0 good, 2 check condition.
    pub(crate) status: u8,
    /// Status of the host adapter and of the driver's transport, 0 when all went well.
    pub(crate) host_status: u16,
    /// Sense data, as much as came.
    pub(crate) sense: Vec<u8>,
    /// How many bytes of data came.
    pub(crate) length: usize,
}

/// An NVMe admin command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admin {
    /// Which.
    pub(crate) opcode: u8,
    /// Namespace.
    pub(crate) nsid: u32,
    /// Command Dword 10.
    pub(crate) cdw10: u32,
}

/// Opens a device for asking only. `O_NONBLOCK`: an absent medium must not hold us.
pub(crate) fn open(device: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(device)
}

/// Sends a SCSI command that reads into `data` (nothing when it is empty).
pub(crate) fn sg_io(device: &File, cdb: &[u8], data: &mut [u8]) -> io::Result<SgReply> {
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut sense = [0u8; SENSE_MAX as usize];
    let mut header = SgIoHdr {
        interface_id: i32::from(b'S'),
        dxfer_direction: if data.is_empty() {
            SG_DXFER_NONE
        } else {
            SG_DXFER_FROM_DEV
        },
        cmd_len: u8::try_from(cdb.len()).map_err(too_long)?,
        mx_sb_len: SENSE_MAX,
        iovec_count: 0,
        dxfer_len: u32::try_from(data.len()).map_err(too_long)?,
        dxferp: data.as_mut_ptr(),
        cmdp: cdb.as_ptr(),
        sbp: sense.as_mut_ptr(),
        timeout: timeout_ms(),
        flags: 0,
        pack_id: 0,
        usr_ptr: std::ptr::null_mut(),
        status: 0,
        masked_status: 0,
        msg_status: 0,
        sb_len_wr: 0,
        host_status: 0,
        driver_status: 0,
        resid: 0,
        duration: 0,
        info: 0,
    };
    // SAFETY: the header has the layout of `struct sg_io_hdr` (its size is asserted above); `cmdp`, `dxferp` and `sbp` point
    // to live buffers of `cmd_len`, `dxfer_len` and `mx_sb_len` bytes that outlive the call, and the kernel writes only to
    // the latter two and to the header.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), SG_IO as _, &raw mut header) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let written = usize::from(header.sb_len_wr).min(sense.len());
    // A driver that counts wrongly may leave more than there was: then nothing is cut.
    let missing = usize::try_from(header.resid).unwrap_or(0);
    Ok(SgReply {
        status: header.status,
        host_status: header.host_status,
        sense: sense[..written].to_vec(),
        length: data.len().saturating_sub(missing),
    })
}

/// Sends an NVMe admin command that reads into `data` (nothing when it is empty). `Ok` is the NVMe status: 0 when all went well.
pub(crate) fn nvme_admin(device: &File, admin: Admin, data: &mut [u8]) -> io::Result<i32> {
    let mut command = NvmeAdminCmd {
        opcode: admin.opcode,
        nsid: admin.nsid,
        cdw10: admin.cdw10,
        addr: if data.is_empty() {
            0
        } else {
            data.as_mut_ptr().expose_provenance() as u64
        },
        data_len: u32::try_from(data.len())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        timeout_ms: timeout_ms(),
        ..NvmeAdminCmd::default()
    };
    // SAFETY: the command has the layout of `struct nvme_admin_cmd` (its size is asserted above); `addr` points to a live
    // buffer of `data_len` bytes that outlives the call, and the kernel writes only to it and to `result`.
    let result = unsafe {
        libc::ioctl(
            device.as_raw_fd(),
            NVME_IOCTL_ADMIN_CMD as _,
            &raw mut command,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

fn timeout_ms() -> u32 {
    u32::try_from(COMMAND_TIMEOUT.as_millis()).unwrap_or(u32::MAX)
}
