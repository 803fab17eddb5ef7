// SPDX-License-Identifier: Apache-2.0
//! The order for each command set, and whether the disk can carry it out.

use crate::disk::ask::Ask;
use crate::disk::path::{AdminPath, Fault, Over, SgPath, admin, opened, read};
use crate::ioctl::Admin;
use crate::nvme;
use crate::self_test::name;
use hw_core::ata::{Abilities, BLOCK, Command, Start};
use hw_core::disk::DiskFacts;
use hw_core::disk::facts::{Protocol, SelfTestKind};
use hw_core::nvme::{ABORT, ALL_NAMESPACES, DEVICE_SELF_TEST};
use hw_core::{nvme as nvme_core, scsi};
use std::path::Path;

/// What is wanted of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Start a test.
    Start(SelfTestKind),
    /// End the one that runs.
    Abort,
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Not {
    /// The disk has no such test.
    Supported(&'static str, String),
    /// The disk said no.
    Taken(String),
    /// The disk did not answer.
    Answered(Over),
}

impl From<Fault> for Not {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(why) => Self::Taken(why),
            Fault::Over(over) => Self::Answered(over),
        }
    }
}

/// A short self-test of SCSI and NVMe takes at most two minutes by the standards.
const SHORT_MINUTES: u32 = 2;

/// Sends the order; `Ok` has the minutes that the disk expects.
pub(super) fn by_ioctl(
    device: &Path,
    ask: &Ask,
    facts: &DiskFacts,
    order: Order,
) -> Result<Option<u32>, Not> {
    let file = opened(device).map_err(Not::Answered)?;
    // What the asking found out counts: an ATA disk may stand behind a SCSI translation.
    match (ask, facts.protocol) {
        (Ask::Nvme, _) => of_nvme(&file, facts, order),
        (_, Protocol::Ata) => of_ata(&file, order),
        (Ask::Ata | Ask::Scsi | Ask::Nobody(_), _) => of_scsi(&file, facts, order),
    }
}

pub(super) fn of_ata(path: &impl SgPath, order: Order) -> Result<Option<u32>, Not> {
    let table = Command::SmartReadData;
    let data = read(path, table, &table.cdb(), BLOCK)?;
    let abilities = Abilities::read(&data).unwrap_or_default();
    let (start, minutes) = match order {
        Order::Abort => (Start::Abort, None),
        Order::Start(kind) => {
            let not = |why: &str| Not::Supported(name(kind), why.to_owned());
            let Some(start) = Start::of(kind) else {
                return Err(not("it is not started from here"));
            };
            if !abilities.self_test {
                return Err(not("its SMART data say that it has no self-tests"));
            }
            let minutes = match kind {
                SelfTestKind::Conveyance if !abilities.conveyance => {
                    return Err(not("its SMART data say so"));
                }
                SelfTestKind::Conveyance => abilities.conveyance_minutes,
                SelfTestKind::Extended => abilities.extended_minutes,
                SelfTestKind::Short | SelfTestKind::Selective | SelfTestKind::Other => {
                    abilities.short_minutes
                }
            };
            (start, minutes)
        }
    };
    read(path, "SMART EXECUTE OFF-LINE IMMEDIATE", &start.cdb(), 0)?;
    Ok(minutes)
}

pub(super) fn of_nvme(
    path: &impl AdminPath,
    facts: &DiskFacts,
    order: Order,
) -> Result<Option<u32>, Not> {
    let controller = nvme::identity(path)?;
    let (kind, cdw10) = match order {
        Order::Abort => (SelfTestKind::Short, Some(ABORT)),
        Order::Start(kind) => (kind, nvme_core::start(kind)),
    };
    let not = |why: &str| Not::Supported(name(kind), why.to_owned());
    let Some(cdw10) = cdw10 else {
        return Err(not("NVMe has none"));
    };
    if !controller.is_some_and(|c| c.self_test) {
        return Err(not(
            "its Identify Controller does not name Device Self-test",
        ));
    }
    let command = Admin {
        opcode: DEVICE_SELF_TEST,
        nsid: ALL_NAMESPACES,
        cdw10,
    };
    admin(path, "Device Self-test", command, 0)?;
    Ok(minutes(facts, order))
}

pub(super) fn of_scsi(
    path: &impl SgPath,
    facts: &DiskFacts,
    order: Order,
) -> Result<Option<u32>, Not> {
    let cdb = match order {
        Order::Abort => scsi::abort_self_test(),
        Order::Start(kind) => scsi::start_self_test(kind)
            .ok_or_else(|| Not::Supported(name(kind), "SCSI has none".into()))?,
    };
    read(path, "SEND DIAGNOSTIC", &cdb, 0)?;
    Ok(minutes(facts, order))
}

fn minutes(facts: &DiskFacts, order: Order) -> Option<u32> {
    match order {
        Order::Start(SelfTestKind::Extended) => facts.self_tests.as_ref()?.extended_minutes,
        Order::Start(SelfTestKind::Short) => Some(SHORT_MINUTES),
        Order::Start(_) | Order::Abort => None,
    }
}
