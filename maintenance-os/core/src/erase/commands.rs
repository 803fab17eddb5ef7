// SPDX-License-Identifier: Apache-2.0
//! The commands of each method, byte by byte, and what a drive's answers mean. Sent by the shell; nothing is sent here.
//!
//! The words' sources are NVM Express Base 2.0, ACS-4, SAT-4, SPC-5 and SBC-4.

use super::machine::Poll;
use alloc::format;
use alloc::vec::Vec;
use groundstate_api::erase::EraseMethod;

/// The password that an ATA drive gets for the moment of its erase; the erase itself removes it. Whoever finds a drive locked by
/// a power cut in that moment unlocks it with this word, as the next erase does by itself.
pub const ATA_PASSWORD: &[u8; 32] = b"groundstate-erase-in-progress\0\0\0";

/// An NVMe admin command without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvmeCommand {
    /// The opcode.
    pub opcode: u8,
    /// Whether it goes to the namespace or to the drive.
    pub to_namespace: bool,
    /// Command Dword 10.
    pub cdw10: u32,
    /// Whether the drive answers only when it is done.
    pub waits: bool,
}

/// NVMe Format NVM and Sanitize; none for a method of other drives.
#[must_use]
pub fn nvme(method: EraseMethod, format_as_it_is: u32) -> Option<NvmeCommand> {
    // Restricted: a drive that fails stays closed until a sanitize succeeds. One pass of zeros where it overwrites.
    let sanitize = [
        (EraseMethod::NvmeSanitizeBlock, 2),
        (EraseMethod::NvmeSanitizeOverwrite, 3 | 1 << 4),
        (EraseMethod::NvmeSanitizeCrypto, 4),
    ];
    let format = [
        (EraseMethod::NvmeFormatUserData, 1u32),
        (EraseMethod::NvmeFormatCrypto, 2),
    ];
    let find = |list: &[(EraseMethod, u32)]| {
        let mut list = list.iter();
        list.find(|(one, _)| *one == method).map(|(_, word)| *word)
    };
    if let Some(cdw10) = find(&sanitize) {
        return Some(NvmeCommand {
            opcode: 0x84,
            to_namespace: false,
            cdw10,
            waits: false,
        });
    }
    find(&format).map(|setting| NvmeCommand {
        opcode: 0x80,
        to_namespace: true,
        cdw10: format_as_it_is | setting << 9,
        waits: true,
    })
}

/// What the Sanitize Status log (81h) says of the sanitize that was begun with `cdw10`.
#[must_use]
pub fn nvme_sanitize_status(log: &[u8], cdw10: u32) -> Poll {
    let [p0, p1, s0, s1, c0, c1, c2, c3, ..] = log else {
        return Poll::NoAnswer(format!("the log has {} bytes", log.len()));
    };
    let (progress, status) = (
        u16::from_le_bytes([*p0, *p1]),
        u16::from_le_bytes([*s0, *s1]),
    );
    let of = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
    let says = format!("SSTAT {status:04x}h, SPROG {progress:04x}h, SCDW10 {of:08x}h");
    match status & 7 {
        2 => Poll::Running {
            done: Some(u32::from(progress)),
        },
        1 | 4 if of & 7 == cdw10 & 7 => Poll::Done(says),
        3 => Poll::Failed(says),
        // Never sanitized, or the last one was another.
        _ => Poll::Idle(says),
    }
}

/// An ATA command: registers as they go into ATA PASS-THROUGH (16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtaCommand {
    /// Feature.
    pub feature: u16,
    /// Count.
    pub count: u16,
    /// LBA, 48 bits.
    pub lba: u64,
    /// Command.
    pub command: u8,
    /// Whether 512 bytes go to the drive with it.
    pub sends: bool,
    /// Whether 512 bytes come from the drive.
    pub receives: bool,
}

const SANITIZE: u8 = 0xb4;

/// Begins an ATA sanitize; none for other methods.
#[must_use]
pub fn ata_sanitize(method: EraseMethod) -> Option<AtaCommand> {
    let known = [
        (EraseMethod::AtaSanitizeCrypto, 0x0011, 0x4372_7970, 0),
        (EraseMethod::AtaSanitizeBlock, 0x0012, 0x426b_4572, 0),
        // "OW" above a pattern of 32 zero bits; one pass.
        (EraseMethod::AtaSanitizeOverwrite, 0x0014, 0x4f57 << 32, 1),
    ];
    let mut known = known.into_iter();
    let (_, feature, lba, count) = known.find(|(one, ..)| *one == method)?;
    Some(AtaCommand {
        feature,
        count,
        lba,
        command: SANITIZE,
        ..AtaCommand::default()
    })
}

/// SANITIZE STATUS EXT.
pub const ATA_SANITIZE_STATUS: AtaCommand = AtaCommand {
    feature: 0,
    count: 0,
    lba: 0,
    command: SANITIZE,
    sends: false,
    receives: false,
};

/// READ NATIVE MAX ADDRESS EXT.
pub const ATA_NATIVE_MAX: AtaCommand = AtaCommand {
    command: 0x27,
    ..ATA_SANITIZE_STATUS
};

/// GET NATIVE MAX ADDRESS EXT, its successor.
pub const ATA_GET_NATIVE_MAX: AtaCommand = AtaCommand {
    command: 0x78,
    ..ATA_SANITIZE_STATUS
};

/// IDENTIFY DEVICE.
pub const ATA_IDENTIFY: AtaCommand = AtaCommand {
    command: 0xec,
    count: 1,
    receives: true,
    ..ATA_SANITIZE_STATUS
};

/// SECURITY ERASE PREPARE, which stands right before the erase.
pub const ATA_ERASE_PREPARE: AtaCommand = AtaCommand {
    command: 0xf3,
    ..ATA_SANITIZE_STATUS
};

/// SECURITY SET PASSWORD, UNLOCK, ERASE UNIT and DISABLE PASSWORD, each with the 512 bytes that go with it.
#[must_use]
pub fn ata_security(command: u8, enhanced: bool) -> (AtaCommand, Vec<u8>) {
    let mut data = Vec::from([0u8; 2]);
    // The user password; bit 1 of the first word asks for the enhanced erase, and means nothing elsewhere.
    if enhanced && command == ATA_SECURITY_ERASE {
        data = Vec::from([2u8, 0]);
    }
    data.extend_from_slice(ATA_PASSWORD);
    data.resize(512, 0);
    let command = AtaCommand {
        command,
        count: 1,
        sends: true,
        ..ATA_SANITIZE_STATUS
    };
    (command, data)
}

/// SECURITY SET PASSWORD.
pub const ATA_SECURITY_SET: u8 = 0xf1;
/// SECURITY UNLOCK.
pub const ATA_SECURITY_UNLOCK: u8 = 0xf2;
/// SECURITY ERASE UNIT.
pub const ATA_SECURITY_ERASE: u8 = 0xf4;
/// SECURITY DISABLE PASSWORD.
pub const ATA_SECURITY_DISABLE: u8 = 0xf6;

impl AtaCommand {
    /// The command as ATA PASS-THROUGH (16), with its registers wanted back.
    #[must_use]
    pub fn cdb(&self) -> [u8; 16] {
        let protocol = match (self.sends, self.receives) {
            (true, _) => 5,
            (false, true) => 4,
            (false, false) => 3,
        };
        let with_data = self.sends || self.receives;
        // CK_COND; and for data: length in the count register, in blocks of 512 bytes.
        let flags = 0x20 | if with_data { 0x06 } else { 0 } | if self.receives { 0x08 } else { 0 };
        let lba = self.lba.to_le_bytes();
        let [f0, f1] = self.feature.to_le_bytes();
        let [c0, c1] = self.count.to_le_bytes();
        let [l0, l1, l2, l3, l4, l5, ..] = lba;
        // 48-bit commands; those with data here are 28-bit ones and have nothing in the upper halves.
        let extend = u8::from(!with_data && self.command != ATA_ERASE_PREPARE.command);
        [
            0x85,
            protocol << 1 | extend,
            flags,
            f1,
            f0,
            c1,
            c0,
            l3,
            l0,
            l4,
            l1,
            l5,
            l2,
            0x40,
            self.command,
            0,
        ]
    }
}

/// The registers that came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtaAnswer {
    /// Error.
    pub error: u8,
    /// Count.
    pub count: u16,
    /// LBA.
    pub lba: u64,
    /// Status.
    pub status: u8,
}

impl AtaAnswer {
    /// Reads the ATA Status Return descriptor out of sense data in descriptor format.
    #[must_use]
    pub fn read(sense: &[u8]) -> Option<Self> {
        let mut rest = match sense {
            [0x72 | 0x73, ..] => sense.get(8..)?,
            _ => return None,
        };
        loop {
            match rest {
                [
                    0x09,
                    _,
                    _,
                    error,
                    c1,
                    c0,
                    l3,
                    l0,
                    l4,
                    l1,
                    l5,
                    l2,
                    _,
                    status,
                    ..,
                ] => {
                    return Some(Self {
                        error: *error,
                        count: u16::from_le_bytes([*c0, *c1]),
                        lba: u64::from_le_bytes([*l0, *l1, *l2, *l3, *l4, *l5, 0, 0]),
                        status: *status,
                    });
                }
                [_, length, ..] => rest = rest.get(2 + usize::from(*length)..)?,
                _ => return None,
            }
        }
    }

    /// Whether the drive did not do it.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        self.status & 0x21 != 0
    }
}

/// What SANITIZE STATUS EXT says.
#[must_use]
pub fn ata_sanitize_status(answer: &AtaAnswer) -> Poll {
    let says = format!(
        "status {:02x}h, error {:02x}h, count {:04x}h, LBA {:012x}h",
        answer.status, answer.error, answer.count, answer.lba
    );
    let is = |bit: u16| answer.count & (1 << bit) != 0;
    if answer.is_error() {
        Poll::Failed(says)
    } else if is(14) {
        let done = u32::try_from(answer.lba & 0xffff).ok();
        Poll::Running { done }
    } else if is(15) {
        Poll::Done(says)
    } else {
        Poll::Idle(says)
    }
}

/// SCSI SANITIZE, immediate; with the parameter list that goes with it. None for other methods.
#[must_use]
pub fn scsi_sanitize(method: EraseMethod) -> Option<([u8; 10], Vec<u8>)> {
    let known = [
        (EraseMethod::ScsiSanitizeOverwrite, 1u8),
        (EraseMethod::ScsiSanitizeBlock, 2),
        (EraseMethod::ScsiSanitizeCrypto, 3),
    ];
    let mut known = known.into_iter();
    let (_, action) = known.find(|(one, _)| *one == method)?;
    // One pass of a pattern of four zero bytes.
    let list: Vec<u8> = if action == 1 {
        Vec::from([1, 0, 0, 4, 0, 0, 0, 0])
    } else {
        Vec::new()
    };
    let length = u8::try_from(list.len()).unwrap_or(0);
    let cdb = [0x48, 0x80 | action, 0, 0, 0, 0, 0, 0, length, 0];
    Some((cdb, list))
}

/// REPORT SUPPORTED OPERATION CODES for one service action of SANITIZE; 4 bytes of the answer are enough.
#[must_use]
pub const fn scsi_has_sanitize(action: u8) -> [u8; 12] {
    [0xa3, 0x0c, 2, 0x48, 0, action, 0, 0, 0, 4, 0, 0]
}

/// REQUEST SENSE in fixed format.
pub const SCSI_REQUEST_SENSE: [u8; 6] = [0x03, 0, 0, 0, 252, 0];
/// TEST UNIT READY.
pub const SCSI_TEST_UNIT_READY: [u8; 6] = [0; 6];

/// Sense key, additional sense code and qualifier, and the progress where it is there.
#[must_use]
pub fn scsi_sense(sense: &[u8]) -> Option<(u8, u8, u8, Option<u16>)> {
    match sense {
        [0x70 | 0x71, _, key, ..] => {
            let (asc, ascq) = (sense.get(12)?, sense.get(13)?);
            let progress = match sense.get(15..18) {
                Some([valid, high, low]) if valid & 0x80 != 0 => {
                    Some(u16::from_be_bytes([*high, *low]))
                }
                _ => None,
            };
            Some((key & 0xf, *asc, *ascq, progress))
        }
        [0x72 | 0x73, key, asc, ascq, ..] => {
            let mut rest = sense.get(8..).unwrap_or_default();
            let mut progress = None;
            while let [kind, length, ..] = rest {
                if let ([0x02, _, _, _, valid, high, low, ..], true) = (rest, *kind == 2)
                    && valid & 0x80 != 0
                {
                    progress = Some(u16::from_be_bytes([*high, *low]));
                }
                rest = rest.get(2 + usize::from(*length)..).unwrap_or_default();
            }
            Some((key & 0xf, *asc, *ascq, progress))
        }
        _ => None,
    }
}

/// What REQUEST SENSE and TEST UNIT READY say of a sanitize that has begun.
#[must_use]
pub fn scsi_sanitize_status(sense: &[u8]) -> Poll {
    let Some((key, asc, ascq, progress)) = scsi_sense(sense) else {
        return Poll::NoAnswer(format!("sense data of {} bytes", sense.len()));
    };
    let says = format!("sense {key:x}h, {asc:02x}h/{ascq:02x}h");
    match (key, asc, ascq) {
        // Sanitize in progress; some translations say "format in progress" or "operation in progress".
        (0 | 2, 0x04, 0x1b | 0x04 | 0x07) | (0, 0x00, 0x16) => Poll::Running {
            done: progress.map(u32::from),
        },
        (0, 0, 0) => Poll::Done(says),
        // A reset or a changed parameter is told once, and says nothing of the sanitize.
        (6, ..) => Poll::NoAnswer(says),
        _ => Poll::Failed(says),
    }
}
