// SPDX-License-Identifier: Apache-2.0
//! Asks an ATA disk who it is and how it is, by SG_IO and ATA PASS-THROUGH (16).

use crate::disk::Answer;
use crate::ioctl::{SgReply, open, sg_io};
use groundstate_api::inventory::Health;
use hw_core::ata::{BLOCK, Command, SelfAssessment, health, identify, return_status};
use std::fs::File;
use std::path::Path;

/// Where an unknown health would have come from.
const SOURCE: &str = "ATA SMART";
/// SCSI status CHECK CONDITION; RETURN STATUS asks for it to see the registers.
const CHECK_CONDITION: u8 = 2;

pub(crate) fn ask(device: &Path, rotational: bool) -> Answer {
    let unknown = |why: String| hw_core::unknown(SOURCE, why);
    let file = match open(device) {
        Ok(file) => file,
        Err(error) => return Answer::only(unknown(format!("{}: {error}", device.display()))),
    };
    let identity = match read(&file, Command::Identify) {
        Ok(block) => identify(&block),
        Err(why) => return Answer::only(unknown(why)),
    };
    let Some(identity) = identity else {
        return Answer::only(unknown("IDENTIFY DEVICE returned nothing".into()));
    };
    let health = if !identity.smart_supported {
        unknown("the disk has no SMART".into())
    } else if !identity.smart_enabled {
        unknown("SMART is switched off on this disk".into())
    } else {
        smart(&file, rotational)
    };
    Answer {
        serial: Some(identity.serial),
        wwn: identity.wwn,
        model: Some(identity.model),
        revision: Some(identity.revision),
        health,
    }
}

fn smart(file: &File, rotational: bool) -> Health {
    let (assessment, mut notes) = match status(file) {
        Ok(assessment) => (assessment, Vec::new()),
        Err(why) => (SelfAssessment::NotSaid, vec![why]),
    };
    let mut block = |command| {
        read(file, command).unwrap_or_else(|why| {
            notes.push(why);
            Vec::new()
        })
    };
    let data = block(Command::SmartReadData);
    let thresholds = block(Command::SmartReadThresholds);
    // Optional: many drives and QEMU's have none, and its absence says nothing.
    let log = read(file, Command::SmartSelfTestLog).unwrap_or_default();
    let mut health = health(assessment, &data, &thresholds, &log, rotational);
    health.evidence.extend(notes);
    health
}

fn read(file: &File, command: Command) -> Result<Vec<u8>, String> {
    let mut block = vec![0u8; BLOCK];
    let reply = send(file, command, &mut block)?;
    if reply.status == 0 {
        Ok(block)
    } else {
        Err(format!(
            "{}: SCSI status {:#04x}",
            command.name(),
            reply.status
        ))
    }
}

fn status(file: &File) -> Result<SelfAssessment, String> {
    let reply = send(file, Command::SmartReturnStatus, &mut [])?;
    match reply.status {
        0 | CHECK_CONDITION => Ok(return_status(&reply.sense)),
        other => Err(format!(
            "{}: SCSI status {other:#04x}",
            Command::SmartReturnStatus.name()
        )),
    }
}

fn send(file: &File, command: Command, data: &mut [u8]) -> Result<SgReply, String> {
    let name = command.name();
    let reply = sg_io(file, &command.cdb(), data).map_err(|error| format!("{name}: {error}"))?;
    if reply.host_status != 0 {
        return Err(format!(
            "{name}: host adapter status {:#06x}",
            reply.host_status
        ));
    }
    Ok(reply)
}
