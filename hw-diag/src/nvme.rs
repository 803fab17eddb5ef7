// SPDX-License-Identifier: Apache-2.0
//! Asks an NVMe disk who it is and how it is, by admin commands on its block device.

use crate::disk::Answer;
use crate::ioctl::{nvme_admin, open};
use hw_core::nvme::{
    ALL_NAMESPACES, CNS_CONTROLLER, GET_LOG_PAGE, HEALTH_LOG_DW10, IDENTIFY, IDENTIFY_LENGTH,
    LOG_LENGTH, health, identify_controller,
};
use std::fs::File;
use std::path::Path;

/// Where an unknown health would have come from.
const SOURCE: &str = "NVMe SMART / Health log";

pub(crate) fn ask(device: &Path) -> Answer {
    let unknown = |why: String| hw_core::unknown(SOURCE, why);
    let file = match open(device) {
        Ok(file) => file,
        Err(error) => return Answer::only(unknown(format!("{}: {error}", device.display()))),
    };
    let identity = read(
        &file,
        "Identify Controller",
        IDENTIFY,
        0,
        CNS_CONTROLLER,
        IDENTIFY_LENGTH,
    );
    let (controller, note) = match identity {
        Ok(data) => (identify_controller(&data), None),
        Err(why) => (None, Some(why)),
    };
    let log = read(
        &file,
        "Get Log Page 02h",
        GET_LOG_PAGE,
        ALL_NAMESPACES,
        HEALTH_LOG_DW10,
        LOG_LENGTH,
    );
    let mut health = match log {
        Ok(log) => health(&log, controller.as_ref()),
        Err(why) => unknown(why),
    };
    health.evidence.extend(note);
    Answer {
        serial: controller.as_ref().map(|c| c.serial.clone()),
        // The kernel's `wwid` already holds the namespace's.
        wwn: None,
        model: controller.as_ref().map(|c| c.model.clone()),
        revision: controller.map(|c| c.revision),
        health,
    }
}

fn read(
    file: &File,
    name: &str,
    opcode: u8,
    nsid: u32,
    cdw10: u32,
    length: usize,
) -> Result<Vec<u8>, String> {
    let mut data = vec![0u8; length];
    match nvme_admin(file, opcode, nsid, cdw10, &mut data) {
        Ok(0) => Ok(data),
        Ok(status) => Err(format!("{name}: NVMe status {status:#x}")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
