// SPDX-License-Identifier: Apache-2.0
//! Format NVM and Sanitize of an NVMe drive.

use super::ioctl::{Admin, nvme_admin, nvme_namespace};
use super::long::Long;
use groundstate_api::erase::EraseMethod;
use mos_core::erase::commands::{NvmeCommand, nvme, nvme_sanitize_status};
use mos_core::erase::{Interface, NvmeFacts, Poll, Start};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A command that answers at once.
const SHORT: Duration = Duration::from_secs(15);
/// Format NVM of the largest drive: the machine's own limit ends the wait before.
const FORMAT: Duration = Duration::from_secs(24 * 3_600);
/// A command that is refused is refused within this.
const REFUSED_WITHIN: Duration = Duration::from_secs(3);
const IDENTIFY: u8 = 0x06;
const GET_LOG: u8 = 0x02;
/// Every namespace, or none in particular.
const ALL: u32 = u32::MAX;

fn identify(device: &File, nsid: u32, cns: u32) -> io::Result<Vec<u8>> {
    let mut data = vec![0; 4_096];
    let admin = Admin {
        opcode: IDENTIFY,
        nsid,
        cdw10: cns,
    };
    match nvme_admin(device, admin, &mut data, SHORT)? {
        0 => Ok(data),
        status => Err(io::Error::other(format!(
            "Identify {cns:02x}h: status {status:03x}h"
        ))),
    }
}

fn sanitize_log(device: &File) -> io::Result<Vec<u8>> {
    let mut data = vec![0; 512];
    let dwords = u32::try_from(data.len() / 4 - 1).unwrap_or(0);
    let admin = Admin {
        opcode: GET_LOG,
        nsid: ALL,
        cdw10: 0x81 | dwords << 16,
    };
    match nvme_admin(device, admin, &mut data, SHORT)? {
        0 => Ok(data),
        status => Err(io::Error::other(format!("log 81h: status {status:03x}h"))),
    }
}

/// What the drive says it can do.
pub(super) fn facts(device: &File) -> Interface {
    let ask = || {
        let nsid = nvme_namespace(device)?;
        let controller = identify(device, 0, 1)?;
        let namespace = identify(device, nsid, 0)?;
        let active = identify(device, 0, 2)?;
        let count = active.chunks_exact(4).filter(|id| *id != [0; 4]).count();
        let log = sanitize_log(device).ok();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let facts = NvmeFacts::read(&controller, &namespace, log.as_deref(), count);
        facts.ok_or_else(|| io::Error::other("Identify is too short"))
    };
    match ask() {
        Ok(facts) => Interface::Nvme(facts),
        Err(error) => Interface::Plain(format!("the drive does not say what it can do: {error}")),
    }
}

fn send(device: &File, command: NvmeCommand, timeout: Duration) -> io::Result<i32> {
    let nsid = if command.to_namespace {
        nvme_namespace(device)?
    } else {
        0
    };
    let admin = Admin {
        opcode: command.opcode,
        nsid,
        cdw10: command.cdw10,
    };
    nvme_admin(device, admin, &mut [], timeout)
}

/// Statuses with which a drive refuses a command that it has not begun: invalid opcode, field or format, denied, write-protected.
fn is_refusal(status: i32) -> bool {
    matches!(
        status & 0x7ff,
        0x001 | 0x002 | 0x00b | 0x015 | 0x020 | 0x10a
    )
}

/// Starts a method.
pub(super) fn start(
    device: &Arc<File>,
    method: EraseMethod,
    facts: &NvmeFacts,
) -> (Start, Option<Long>) {
    let Some(command) = nvme(method, facts.format_as_it_is) else {
        let why = format!("{method} is no method of an NVMe drive");
        return (Start::Refused(why), None);
    };
    if command.waits {
        let theirs = device.clone();
        let long = Long::command(move || match send(&theirs, command, FORMAT) {
            Ok(0) => Ok("Format NVM: status 000h".to_owned()),
            Ok(status) if is_refusal(status) => Err(format!("{REFUSED}status {status:03x}h")),
            Ok(status) => Err(format!("Format NVM: status {status:03x}h")),
            Err(error) => Err(format!("Format NVM: {error}")),
        });
        let start = match long.wait(REFUSED_WITHIN) {
            Some(Err(why)) if why.starts_with(REFUSED) => {
                return (Start::Refused(why.replacen(REFUSED, "", 1)), None);
            }
            Some(_) | None => Start::Begun("Format NVM was sent".to_owned()),
        };
        return (start, Some(long));
    }
    let start = match send(device, command, SHORT) {
        Ok(0) => Start::Begun(format!("Sanitize {:08x}h was accepted", command.cdw10)),
        Ok(status) if is_refusal(status) => Start::Refused(format!("status {status:03x}h")),
        Ok(status) => Start::Unclear(format!("status {status:03x}h")),
        Err(error) => Start::Unclear(error.to_string()),
    };
    (start, None)
}

/// What begins the word of a command that was refused.
const REFUSED: &str = "refused: ";

/// Asks how a sanitize stands.
pub(super) fn poll(device: &File, method: EraseMethod, facts: &NvmeFacts) -> Poll {
    let Some(command) = nvme(method, facts.format_as_it_is) else {
        return Poll::Idle(format!("{method} is no method of an NVMe drive"));
    };
    match sanitize_log(device) {
        Ok(log) => nvme_sanitize_status(&log, command.cdw10),
        Err(error) => Poll::NoAnswer(error.to_string()),
    }
}
