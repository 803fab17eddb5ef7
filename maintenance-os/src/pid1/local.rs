// SPDX-License-Identifier: Apache-2.0
//! Starts the host that is on disk already, for firmware that always boots from the network first. Writes nothing.

use crate::disk;
use crate::handover;
use crate::patience::{NoAnswer, answer_within};
use crate::pid1::log::Log;
use crate::pid1::look;
use groundstate_api::enrol::EnrolReply;
use groundstate_api::{Reason, ReasonCode};
use mos_core::loader_entry::starts_from;
use std::convert::Infallible;

/// Finds the ESP by disk serial and partition GUID, loads kernel and initrd from it, and starts them with the options of
/// its loader entry.
pub(super) fn start(reply: &EnrolReply, log: &Log) -> Result<Infallible, Reason> {
    let EnrolReply::BootLocal {
        disk_serial,
        esp_guid,
        root_guid,
        ..
    } = reply
    else {
        return Err(Reason::new(
            ReasonCode::Internal,
            "told to start a local host without being told which",
            "restart the machine",
        ));
    };
    let disks = look::disks(disk::Look::Contents);
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
    let esp = disk::partition_device(&found.kernel_name, number);
    let read = answer_within(disk::FILES_MAX, move || handover::read_esp(&esp));
    let contents = read.unwrap_or_else(|why| match why {
        NoAnswer::Late => Err(disk::no_answer(disk::FILES_MAX).about(found.part())),
        NoAnswer::Fault => Err(Reason::new(
            ReasonCode::Internal,
            "reading the boot partition ended in a fault of the maintenance OS",
            "restart the machine",
        )),
    })?;
    // The entry stands on the disk beside the kernel: nothing of the image repository is needed.
    if !starts_from(&contents.options, root_guid) {
        return Err(Reason::new(
            ReasonCode::HandOverFailed,
            "the host on the disk is not the one that was handed over",
            "order a new run: `groundstate node reprovision NODE`",
        )
        .about(found.part())
        .seen(format!("the loader entry's options: {}", contents.options))
        .seen(format!("the host's root partition: {root_guid}")));
    }
    handover::kexec_load(&contents.kernel, &contents.initrd, &contents.options)?;
    log.line("the host's kernel is loaded from its disk and starts now");
    handover::kexec_start()
}
