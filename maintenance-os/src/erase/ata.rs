// SPDX-License-Identifier: Apache-2.0
//! ATA sanitize and security erase, through the kernel's SCSI translation.

use super::ioctl::{Data, sg_io};
use super::long::Long;
use groundstate_api::erase::EraseMethod;
use mos_core::erase::commands::{
    ATA_ERASE_PREPARE, ATA_GET_NATIVE_MAX, ATA_IDENTIFY, ATA_NATIVE_MAX, ATA_SANITIZE_STATUS,
    ATA_SECURITY_DISABLE, ATA_SECURITY_ERASE, ATA_SECURITY_SET, ATA_SECURITY_UNLOCK, AtaAnswer,
    AtaCommand, ata_sanitize, ata_sanitize_status, ata_security,
};
use mos_core::erase::{AtaFacts, Interface, Poll, Start};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A command that answers at once.
const SHORT: Duration = Duration::from_secs(30);
/// SECURITY ERASE UNIT of the largest drive: the machine's own limit ends the wait before.
const ERASE: Duration = Duration::from_secs(48 * 3_600);
/// A command that is refused is refused within this.
const REFUSED_WITHIN: Duration = Duration::from_secs(3);
/// The ABRT bit of the error register: the drive did not begin.
const ABORTED: u8 = 0x04;

fn send(
    device: &File,
    command: AtaCommand,
    data: Data<'_>,
    timeout: Duration,
) -> io::Result<AtaAnswer> {
    let reply = sg_io(device, &command.cdb(), data, timeout)?;
    if reply.host_status != 0 {
        return Err(io::Error::other(format!(
            "the host adapter says {:04x}h",
            reply.host_status
        )));
    }
    AtaAnswer::read(&reply.sense).ok_or_else(|| {
        io::Error::other(format!(
            "no registers came back (SCSI status {:02x}h)",
            reply.status
        ))
    })
}

fn identify(device: &File, native: Option<u64>) -> io::Result<AtaFacts> {
    let mut data = [0u8; 512];
    let answer = send(device, ATA_IDENTIFY, Data::FromDrive(&mut data), SHORT)?;
    if answer.is_error() {
        return Err(io::Error::other(format!(
            "IDENTIFY DEVICE: error {:02x}h",
            answer.error
        )));
    }
    AtaFacts::read(&data, native).ok_or_else(|| io::Error::other("IDENTIFY DEVICE is too short"))
}

fn native_max(device: &File) -> Option<u64> {
    let asked = [ATA_NATIVE_MAX, ATA_GET_NATIVE_MAX].into_iter();
    let answers = asked.filter_map(|command| send(device, command, Data::None, SHORT).ok());
    answers
        .filter(|answer| !answer.is_error() && answer.lba > 0)
        .map(|answer| answer.lba + 1)
        .max()
}

/// What the drive says it can do. A password of ours that a power cut left behind is removed first.
pub(super) fn facts(device: &File, said: &mut Vec<String>) -> Interface {
    let ask = |said: &mut Vec<String>| {
        let native = native_max(device);
        let mut facts = identify(device, native)?;
        if let Some(security) = facts.security
            && (security.enabled || security.locked)
            && !security.frozen
            && !security.expired
        {
            said.push("a password is set: ours is tried, in case an erase was broken off".into());
            for step in [ATA_SECURITY_UNLOCK, ATA_SECURITY_DISABLE] {
                if step == ATA_SECURITY_UNLOCK && !security.locked {
                    continue;
                }
                let (command, data) = ata_security(step, false);
                let answer = send(device, command, Data::ToDrive(&data), SHORT)?;
                said.push(format!(
                    "command {step:02x}h: status {:02x}h, error {:02x}h",
                    answer.status, answer.error
                ));
            }
            facts = identify(device, native)?;
        }
        if facts.sanitize {
            let status = send(device, ATA_SANITIZE_STATUS, Data::None, SHORT)?;
            facts.sanitize_frozen = !status.is_error() && status.count & 1 << 13 != 0;
        }
        Ok::<_, io::Error>(facts)
    };
    match ask(said) {
        Ok(facts) => Interface::Ata(facts),
        Err(error) => Interface::Plain(format!("the drive does not say what it can do: {error}")),
    }
}

/// Starts a method.
pub(super) fn start(device: &Arc<File>, method: EraseMethod) -> (Start, Option<Long>) {
    if let Some(command) = ata_sanitize(method) {
        let start = match send(device, command, Data::None, SHORT) {
            Ok(answer) if !answer.is_error() => Start::Begun(says(&answer)),
            Ok(answer) if answer.error & ABORTED != 0 => Start::Refused(says(&answer)),
            Ok(answer) => Start::Unclear(says(&answer)),
            Err(error) => Start::Unclear(error.to_string()),
        };
        return (start, None);
    }
    let security = [
        (EraseMethod::AtaSecurityErase, false),
        (EraseMethod::AtaSecurityEraseEnhanced, true),
    ];
    match security.iter().find(|(one, _)| *one == method) {
        Some((_, enhanced)) => security_erase(device, *enhanced),
        None => (
            Start::Refused(format!("{method} is no method of an ATA drive")),
            None,
        ),
    }
}

fn says(answer: &AtaAnswer) -> String {
    format!("status {:02x}h, error {:02x}h", answer.status, answer.error)
}

fn security_erase(device: &Arc<File>, enhanced: bool) -> (Start, Option<Long>) {
    let (set, password) = ata_security(ATA_SECURITY_SET, enhanced);
    match send(device, set, Data::ToDrive(&password), SHORT) {
        Ok(answer) if !answer.is_error() => {}
        Ok(answer) => {
            return (
                Start::Refused(format!("SECURITY SET PASSWORD: {}", says(&answer))),
                None,
            );
        }
        Err(error) => return (Start::Unclear(error.to_string()), None),
    }
    let theirs = device.clone();
    let long = Long::command(move || {
        let (erase, data) = ata_security(ATA_SECURITY_ERASE, enhanced);
        let prepared = send(&theirs, ATA_ERASE_PREPARE, Data::None, SHORT);
        let answer = match prepared {
            Ok(answer) if answer.is_error() => return Err(format!("{ABORT}{}", says(&answer))),
            Ok(_) => send(&theirs, erase, Data::ToDrive(&data), ERASE),
            Err(error) => return Err(format!("SECURITY ERASE PREPARE: {error}")),
        };
        match answer {
            Ok(answer) if !answer.is_error() => {
                Ok(format!("SECURITY ERASE UNIT: {}", says(&answer)))
            }
            Ok(answer) if answer.error & ABORTED != 0 => Err(format!("{ABORT}{}", says(&answer))),
            Ok(answer) => Err(format!("SECURITY ERASE UNIT: {}", says(&answer))),
            Err(error) => Err(format!("SECURITY ERASE UNIT: {error}")),
        }
    });
    match long.wait(REFUSED_WITHIN) {
        Some(Err(why)) if why.starts_with(ABORT) => {
            let why = why.replacen(ABORT, "", 1);
            // The password must not stay.
            let (disable, data) = ata_security(ATA_SECURITY_DISABLE, false);
            let start = match send(device, disable, Data::ToDrive(&data), SHORT) {
                Ok(answer) if !answer.is_error() => Start::Refused(why),
                Ok(answer) => Start::Unclear(format!(
                    "{why}; and the password is still set: {}",
                    says(&answer)
                )),
                Err(error) => {
                    Start::Unclear(format!("{why}; and the password is still set: {error}"))
                }
            };
            (start, None)
        }
        Some(_) | None => (
            Start::Begun("SECURITY ERASE UNIT was sent".to_owned()),
            Some(long),
        ),
    }
}

/// What begins the word of a command that was aborted.
const ABORT: &str = "aborted: ";

/// Asks how a sanitize stands.
pub(super) fn poll(device: &File) -> Poll {
    match send(device, ATA_SANITIZE_STATUS, Data::None, SHORT) {
        Ok(answer) => ata_sanitize_status(&answer),
        Err(error) => Poll::NoAnswer(error.to_string()),
    }
}
