// SPDX-License-Identifier: Apache-2.0
//! Asks a SCSI disk for its serial number and its informational exceptions, by SG_IO.

use crate::disk::Answer;
use crate::ioctl::{open, sg_io};
use hw_core::scsi::{ANSWER_MAX, health, inquiry_page, log_sense_exceptions, unit_serial};
use std::fs::File;
use std::path::Path;

/// Where an unknown health would have come from.
const SOURCE: &str = "SCSI informational exceptions";

/// `known` is the serial number that the kernel already has; the disk is asked only where it has none.
pub(crate) fn ask(device: &Path, known: &str) -> Answer {
    let file = match open(device) {
        Ok(file) => file,
        Err(error) => {
            let why = format!("{}: {error}", device.display());
            return Answer::only(hw_core::unknown(SOURCE, why));
        }
    };
    let serial = known
        .is_empty()
        .then(|| {
            read(&file, &inquiry_page(0x80))
                .map(|page| unit_serial(&page))
                .ok()
        })
        .flatten();
    let health = match read(&file, &log_sense_exceptions()) {
        Ok(page) => health(&page),
        Err(why) => hw_core::unknown(SOURCE, format!("LOG SENSE: {why}")),
    };
    Answer {
        serial,
        ..Answer::only(health)
    }
}

fn read(file: &File, cdb: &[u8]) -> Result<Vec<u8>, String> {
    let mut data = vec![0u8; ANSWER_MAX];
    let reply = sg_io(file, cdb, &mut data).map_err(|error| error.to_string())?;
    if reply.status == 0 && reply.host_status == 0 {
        Ok(data)
    } else {
        Err(format!(
            "SCSI status {:#04x}, host adapter status {:#06x}",
            reply.status, reply.host_status
        ))
    }
}
