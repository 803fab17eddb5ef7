// SPDX-License-Identifier: Apache-2.0
//! SCSI SANITIZE.

use super::ioctl::{Data, sg_io};
use groundstate_api::erase::EraseMethod;
use mos_core::erase::commands::{
    SCSI_REQUEST_SENSE, SCSI_TEST_UNIT_READY, scsi_has_sanitize, scsi_sanitize,
    scsi_sanitize_status, scsi_sense,
};
use mos_core::erase::{Interface, Poll, ScsiFacts, Start};
use std::fs::File;
use std::time::Duration;

/// A command that answers at once.
const SHORT: Duration = Duration::from_secs(30);
/// The sense key with which a drive says that it does not know a command or a field of it.
const ILLEGAL_REQUEST: u8 = 5;

/// What the drive says it can do; where it does not say, the methods are tried.
pub(super) fn facts(device: &File) -> Interface {
    let has = |action: u8| {
        let mut data = [0u8; 4];
        let cdb = scsi_has_sanitize(action);
        let reply = sg_io(device, &cdb, Data::FromDrive(&mut data), SHORT).ok()?;
        (reply.status == 0 && reply.host_status == 0)
            .then(|| ScsiFacts::supported(&data))
            .flatten()
    };
    Interface::Scsi(ScsiFacts {
        overwrite: has(1),
        block: has(2),
        crypto: has(3),
    })
}

/// Starts a method.
pub(super) fn start(device: &File, method: EraseMethod) -> Start {
    let Some((cdb, list)) = scsi_sanitize(method) else {
        return Start::Refused(format!("{method} is no method of a SCSI drive"));
    };
    let data = if list.is_empty() {
        Data::None
    } else {
        Data::ToDrive(&list)
    };
    match sg_io(device, &cdb, data, SHORT) {
        Ok(reply) if reply.host_status != 0 => {
            Start::Unclear(format!("the host adapter says {:04x}h", reply.host_status))
        }
        Ok(reply) if reply.status == 0 => Start::Begun("SANITIZE was accepted".to_owned()),
        Ok(reply) => match scsi_sense(&reply.sense) {
            Some((ILLEGAL_REQUEST, asc, ascq, _)) => {
                Start::Refused(format!("illegal request, {asc:02x}h/{ascq:02x}h"))
            }
            Some((key, asc, ascq, _)) => {
                Start::Unclear(format!("sense {key:x}h, {asc:02x}h/{ascq:02x}h"))
            }
            None => Start::Unclear(format!("SCSI status {:02x}h", reply.status)),
        },
        Err(error) => Start::Unclear(error.to_string()),
    }
}

/// Asks how a sanitize stands: a drive that is done is also ready.
pub(super) fn poll(device: &File) -> Poll {
    let mut data = [0u8; 252];
    let sense = match sg_io(
        device,
        &SCSI_REQUEST_SENSE,
        Data::FromDrive(&mut data),
        SHORT,
    ) {
        Ok(reply) if reply.status == 0 && reply.host_status == 0 => scsi_sanitize_status(&data),
        Ok(reply) => Poll::NoAnswer(format!("SCSI status {:02x}h", reply.status)),
        Err(error) => Poll::NoAnswer(error.to_string()),
    };
    if !matches!(sense, Poll::Done(_)) {
        return sense;
    }
    match sg_io(device, &SCSI_TEST_UNIT_READY, Data::None, SHORT) {
        Ok(reply) if reply.status == 0 && reply.host_status == 0 => sense,
        Ok(reply) => scsi_sanitize_status(&reply.sense),
        Err(error) => Poll::NoAnswer(error.to_string()),
    }
}
