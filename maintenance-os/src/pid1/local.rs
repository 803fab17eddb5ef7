// SPDX-License-Identifier: Apache-2.0
//! Starts the host that is on disk already, for firmware that always boots from the network first. Writes nothing.

use crate::disk;
use crate::handover;
use crate::pid1::look;
use groundstate_api::enrol::EnrolReply;
use groundstate_api::{Reason, ReasonCode};
use std::convert::Infallible;

/// Finds the ESP by disk serial and partition GUID, loads kernel and initrd from it, and starts them.
pub(super) fn start(reply: &EnrolReply) -> Result<Infallible, Reason> {
    let EnrolReply::BootLocal {
        disk_serial,
        esp_guid,
        root_guid,
        cmdline,
        ..
    } = reply
    else {
        return Err(Reason::new(
            ReasonCode::Internal,
            "told to start a local host without being told which",
            "restart the machine",
        ));
    };
    let disks = look::disks();
    let number = disks
        .iter()
        .filter(|each| each.serial == *disk_serial)
        .find_map(|each| {
            let layout = each.layout.as_ref()?;
            let at = layout
                .partition_guids
                .iter()
                .position(|guid| guid.eq_ignore_ascii_case(esp_guid))?;
            Some((each, at + 1))
        });
    let Some((found, number)) = number else {
        let mut reason = Reason::new(
            ReasonCode::WrongDisk,
            format!(
                "the disk with this machine's host (serial {disk_serial}) is not here, or is not as it was left"
            ),
            "put the disk back, or order a new run: `groundstate node reprovision NODE`",
        );
        for each in &disks {
            reason = reason.seen(format!(
                "{} serial {} {}",
                each.slot, each.serial, each.size
            ));
        }
        return Err(reason);
    };
    let contents = handover::read_esp(&disk::partition_device(&found.kernel_name, number))?;
    let options = mos_core::loader_entry::host_options(root_guid, cmdline);
    handover::kexec_load(&contents.kernel, &contents.initrd, &options)?;
    handover::kexec_start()
}
