// SPDX-License-Identifier: Apache-2.0
//! The calls that reach a drive past the block layer: SG_IO and NVMe admin commands, with data in either direction, and the
//! aligned memory that unbuffered reads and writes need. Only the erase sends anything that changes a drive.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

/// `<scsi/sg.h>`, `<linux/nvme_ioctl.h>`.
const SG_IO: libc::c_ulong = 0x2285;
const NVME_IOCTL_ID: libc::c_ulong = 0x4e40;
const NVME_IOCTL_ADMIN_CMD: libc::c_ulong = 0xc048_4e41;
const SG_DXFER_NONE: i32 = -1;
const SG_DXFER_TO_DEV: i32 = -2;
const SG_DXFER_FROM_DEV: i32 = -3;
/// Room for sense data: SPC allows 252 bytes.
const SENSE_MAX: u8 = 252;
/// Unbuffered transfers begin at a multiple of this in memory: the largest logical sector.
const ALIGN: usize = 4_096;

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

/// The data of a command.
pub(super) enum Data<'a> {
    None,
    FromDrive(&'a mut [u8]),
    ToDrive(&'a [u8]),
}

/// What a SCSI command returned.
pub(super) struct SgReply {
    /// SCSI status: 0 good, 2 check condition.
    pub(super) status: u8,
    /// Status of the host adapter, 0 when all went well.
    pub(super) host_status: u16,
    /// Sense data, as much as came.
    pub(super) sense: Vec<u8>,
}

fn invalid(_: std::num::TryFromIntError) -> io::Error {
    io::Error::from(io::ErrorKind::InvalidInput)
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// Sends a SCSI command.
pub(super) fn sg_io(
    device: &File,
    cdb: &[u8],
    data: Data<'_>,
    timeout: Duration,
) -> io::Result<SgReply> {
    let mut sense = [0u8; SENSE_MAX as usize];
    // The kernel only reads from the buffer of a transfer to the device, so the cast from `*const` is never written through.
    let (direction, pointer, length) = match data {
        Data::None => (SG_DXFER_NONE, std::ptr::null_mut(), 0),
        Data::FromDrive(bytes) => (SG_DXFER_FROM_DEV, bytes.as_mut_ptr(), bytes.len()),
        Data::ToDrive(bytes) => (SG_DXFER_TO_DEV, bytes.as_ptr().cast_mut(), bytes.len()),
    };
    let mut header = SgIoHdr {
        interface_id: i32::from(b'S'),
        dxfer_direction: direction,
        cmd_len: u8::try_from(cdb.len()).map_err(invalid)?,
        mx_sb_len: SENSE_MAX,
        iovec_count: 0,
        dxfer_len: u32::try_from(length).map_err(invalid)?,
        dxferp: pointer,
        cmdp: cdb.as_ptr(),
        sbp: sense.as_mut_ptr(),
        timeout: millis(timeout),
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
    // to live buffers of `cmd_len`, `dxfer_len` and `mx_sb_len` bytes that outlive the call; the kernel writes to `sbp`, to
    // the header, and to `dxferp` only where the direction is from the device, where the buffer is ours alone.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), SG_IO as _, &raw mut header) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let written = usize::from(header.sb_len_wr).min(sense.len());
    Ok(SgReply {
        status: header.status,
        host_status: header.host_status,
        sense: sense.get(..written).unwrap_or_default().to_vec(),
    })
}

/// An NVMe admin command.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Admin {
    pub(super) opcode: u8,
    pub(super) nsid: u32,
    pub(super) cdw10: u32,
}

/// Sends an NVMe admin command that reads into `data` (nothing when it is empty). `Ok` is the NVMe status: 0 when all went well.
pub(super) fn nvme_admin(
    device: &File,
    admin: Admin,
    data: &mut [u8],
    timeout: Duration,
) -> io::Result<i32> {
    let mut command = NvmeAdminCmd {
        opcode: admin.opcode,
        nsid: admin.nsid,
        cdw10: admin.cdw10,
        addr: if data.is_empty() {
            0
        } else {
            data.as_mut_ptr().expose_provenance() as u64
        },
        data_len: u32::try_from(data.len()).map_err(invalid)?,
        timeout_ms: millis(timeout),
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

/// The namespace's number behind a block device.
pub(super) fn nvme_namespace(device: &File) -> io::Result<u32> {
    // SAFETY: NVME_IOCTL_ID takes no argument and touches no memory of this process.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), NVME_IOCTL_ID as _) };
    u32::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Memory for unbuffered transfers.
pub(super) struct Aligned {
    memory: Vec<u8>,
    from: usize,
    length: usize,
}

impl Aligned {
    /// `length` zeros.
    pub(super) fn new(length: usize) -> Self {
        let memory = vec![0u8; length + ALIGN];
        let from = memory.as_ptr().align_offset(ALIGN).min(ALIGN);
        Self {
            memory,
            from,
            length,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        let end = self.from + self.length;
        self.memory.get(self.from..end).unwrap_or_default()
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        let end = self.from + self.length;
        self.memory.get_mut(self.from..end).unwrap_or_default()
    }
}
