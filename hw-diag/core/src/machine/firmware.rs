// SPDX-License-Identifier: Apache-2.0
//! Firmware, board, chassis and power supplies as SMBIOS describes them (DSP0134: types 0, 2, 3, 4, 13, 38, 39, 43).
//!
//! Versions are recorded, and compared by a profile. Judged is only what the firmware itself calls wrong: the chassis'
//! states at the last start, and a power supply that it calls critical.

use super::cpu::{Socket, SocketStatus};
use super::finding::kind;
use super::ipmi::IpmiFacts;
use crate::fields::{byte, le16};
use crate::smbios::{STRUCTURES_MAX, Structure, Walk};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::health::{
    Advice, DeviceKind, DeviceReport, HealthFinding, Place, Sureness, Verdict,
};
use serde::{Deserialize, Serialize};

/// The most sockets and power supplies that are kept: the largest machines have 32 of each.
const PARTS_MAX: usize = 64;

/// The board (type 2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Board {
    /// Maker.
    pub vendor: String,
    /// Product.
    pub product: String,
    /// Version.
    pub version: String,
    /// Serial number.
    pub serial: String,
}

/// The chassis (type 3). States as of the last start: 3 safe, 4 warning, 5 critical, 6 non-recoverable; 0 not said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chassis {
    /// Maker.
    pub vendor: String,
    /// Version.
    pub version: String,
    /// Serial number.
    pub serial: String,
    /// Asset tag.
    pub asset_tag: String,
    /// Boot-up state.
    pub boot_up: u8,
    /// Power supply state.
    pub power_supply: u8,
    /// Thermal state.
    pub thermal: u8,
}

/// A power supply (type 39).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PowerSupply {
    /// Where it is.
    pub location: String,
    /// Name.
    pub name: String,
    /// Maker.
    pub vendor: String,
    /// Serial number.
    pub serial: String,
    /// Part number.
    pub part_number: String,
    /// Revision.
    pub revision: String,
    /// Whether it is there.
    pub present: bool,
    /// 1 other, 2 unknown, 3 OK, 4 non-critical, 5 critical.
    pub status: u8,
    /// Capacity in watts, where it is said.
    pub watts: Option<u16>,
}

impl PowerSupply {
    pub(crate) fn put(&self, place: &mut Place) {
        for (to, from) in [
            (&mut place.vendor, &self.vendor),
            (&mut place.model, &self.name),
            (&mut place.part_number, &self.part_number),
            (&mut place.serial, &self.serial),
            (&mut place.firmware, &self.revision),
        ] {
            to.clone_from(from);
        }
    }
}

/// What SMBIOS says of firmware and boxes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FirmwareFacts {
    /// Firmware vendor (type 0).
    pub vendor: String,
    /// Firmware version.
    pub version: String,
    /// Its release date, as the firmware writes it: mm/dd/yyyy.
    pub date: String,
    /// Its release number, where it has one: `2.13`.
    pub release: String,
    /// Release of the embedded controller's firmware, where there is one.
    pub controller_release: String,
    /// Language of the firmware's screens (type 13).
    pub language: String,
    /// The board.
    pub board: Option<Board>,
    /// The chassis.
    pub chassis: Option<Chassis>,
    /// Power supplies.
    pub supplies: Vec<PowerSupply>,
    /// Processor sockets (type 4).
    pub sockets: Vec<Socket>,
    /// Whether there is a BMC (type 38).
    pub has_bmc: bool,
    /// Whether there is a TPM (type 43).
    pub has_tpm: bool,
}

impl FirmwareFacts {
    /// Decodes a raw structure table. A table that is cut off gives what stands before the cut; `smbios::decode` names it.
    #[must_use]
    pub fn decode(table: &[u8]) -> Self {
        let mut facts = Self::default();
        for structure in Walk::new(table, None).take(STRUCTURES_MAX) {
            facts.take(&structure);
        }
        facts
    }

    fn take(&mut self, structure: &Structure<'_>) {
        match structure.kind {
            0 if self.version.is_empty() => self.bios(structure),
            2 if self.board.is_none() => {
                self.board = Some(Board {
                    vendor: structure.string_at(0x04),
                    product: structure.string_at(0x05),
                    version: structure.string_at(0x06),
                    serial: structure.string_at(0x07),
                });
            }
            3 if self.chassis.is_none() => {
                let at = |at: usize| byte(structure.formatted, at).unwrap_or(0);
                self.chassis = Some(Chassis {
                    vendor: structure.string_at(0x04),
                    version: structure.string_at(0x06),
                    serial: structure.string_at(0x07),
                    asset_tag: structure.string_at(0x08),
                    boot_up: at(0x09),
                    power_supply: at(0x0a),
                    thermal: at(0x0b),
                });
            }
            // Type 3 of a processor: central processor. Others are coprocessors, which are no CPU socket.
            4 if self.sockets.len() < PARTS_MAX
                && matches!(byte(structure.formatted, 5), Some(3) | None) =>
            {
                self.sockets.push(socket(structure));
            }
            13 if self.language.is_empty() => self.language = structure.string_at(0x15),
            38 => self.has_bmc = true,
            39 if self.supplies.len() < PARTS_MAX => self.supplies.push(supply(structure)),
            43 => self.has_tpm = true,
            _ => {}
        }
    }

    fn bios(&mut self, structure: &Structure<'_>) {
        self.vendor = structure.string_at(0x04);
        self.version = structure.string_at(0x05);
        self.date = structure.string_at(0x08);
        self.release = release(structure, 0x14);
        self.controller_release = release(structure, 0x16);
    }
}

/// Major and minor number in two bytes; FFh: it has none.
fn release(structure: &Structure<'_>, at: usize) -> String {
    match (
        byte(structure.formatted, at),
        byte(structure.formatted, at + 1),
    ) {
        (Some(0xff) | None, _) | (_, Some(0xff) | None) => String::new(),
        (Some(major), Some(minor)) => format!("{major}.{minor}"),
    }
}

fn socket(structure: &Structure<'_>) -> Socket {
    let status = byte(structure.formatted, 0x18).unwrap_or(0);
    // FFh: the count stands in the wide field (3.0).
    let count = |narrow: usize, wide: usize| match byte(structure.formatted, narrow) {
        None | Some(0) => None,
        Some(0xff) => le16(structure.formatted, wide)
            .map(u32::from)
            .filter(|n| *n > 0),
        Some(few) => Some(u32::from(few)),
    };
    Socket {
        name: structure.string_at(0x04),
        vendor: structure.string_at(0x07),
        model: structure.string_at(0x10),
        serial: structure.string_at(0x20),
        part_number: structure.string_at(0x22),
        populated: status & 0x40 != 0,
        status: match status & 7 {
            1 => SocketStatus::Enabled,
            2 => SocketStatus::DisabledByUser,
            3 => SocketStatus::DisabledByFirmware,
            4 => SocketStatus::Idle,
            _ => SocketStatus::Unknown,
        },
        cores: count(0x23, 0x2a),
        cores_enabled: count(0x24, 0x2c),
        threads: count(0x25, 0x2e),
    }
}

fn supply(structure: &Structure<'_>) -> PowerSupply {
    let characteristics = le16(structure.formatted, 0x0e).unwrap_or(0);
    let [low, _] = characteristics.to_le_bytes();
    PowerSupply {
        location: structure.string_at(0x05),
        name: structure.string_at(0x06),
        vendor: structure.string_at(0x07),
        serial: structure.string_at(0x08),
        part_number: structure.string_at(0x0a),
        revision: structure.string_at(0x0b),
        // Bit 1 present; bits 9:7 status.
        present: low & 2 != 0,
        status: u8::try_from((characteristics >> 7) & 7).unwrap_or(0),
        // 8000h: not known.
        watts: le16(structure.formatted, 0x0c).filter(|watts| *watts != 0x8000 && *watts != 0),
    }
}

pub(super) fn judge(facts: &FirmwareFacts, bmc: Option<&IpmiFacts>) -> Vec<DeviceReport> {
    let mut reports = Vec::new();
    let mut bios = DeviceReport::new("firmware", DeviceKind::Firmware, "SMBIOS", Vec::new());
    bios.place.vendor.clone_from(&facts.vendor);
    bios.place.firmware.clone_from(&facts.version);
    bios.place.model = match facts.date.as_str() {
        "" => String::new(),
        date => format!("released {date}"),
    };
    reports.push(bios);
    let findings = facts.chassis.as_ref().map(chassis).unwrap_or_default();
    if facts.board.is_some() || !findings.is_empty() {
        reports.push(of_board(facts, findings));
    }
    // Where the BMC says how they are, the table of the last start has nothing to add but their names.
    if bmc.is_none_or(|bmc| bmc.sensors.is_empty()) {
        let present = facts.supplies.iter().filter(|supply| supply.present);
        reports.extend(present.map(of_supply));
    }
    reports
}

fn of_board(facts: &FirmwareFacts, findings: Vec<HealthFinding>) -> DeviceReport {
    let mut machine = DeviceReport::new("machine", DeviceKind::Machine, "SMBIOS", findings);
    if let Some(board) = &facts.board {
        machine.place.vendor.clone_from(&board.vendor);
        machine.place.model = format!("{} {}", board.product, board.version)
            .trim()
            .to_string();
        machine.place.serial.clone_from(&board.serial);
    }
    machine
}

fn chassis(chassis: &Chassis) -> Vec<HealthFinding> {
    let parts = [
        ("boot-up", chassis.boot_up, "look at the BMC's event log"),
        (
            "power supply",
            chassis.power_supply,
            "look at the power supplies and their cables",
        ),
        (
            "thermal",
            chassis.thermal,
            "look at fans, air ducts and filters",
        ),
    ];
    let mut findings = Vec::new();
    for (name, state, next) in parts {
        let word = match state {
            4 => "warning",
            5 => "critical",
            6 => "non-recoverable",
            _ => continue,
        };
        let kind = kind(
            "chassis-state",
            Verdict::Warn,
            Sureness::Likely,
            Advice::Look,
        );
        let what =
            format!("the firmware called the machine's {name} state {word} at the last start");
        findings.push(kind.says(what, [format!("SMBIOS type 3: {name} state {state}")], next));
    }
    findings
}

fn of_supply(supply: &PowerSupply) -> DeviceReport {
    let verdict = match supply.status {
        4 => Some((Verdict::Warn, "not well")),
        5 => Some((Verdict::Fail, "critical")),
        _ => None,
    };
    let findings = verdict.map(|(verdict, word)| {
        let kind = kind("power-supply-state", verdict, Sureness::Likely, Advice::Replace);
        let what = format!("the firmware calls this power supply {word}");
        let seen = [format!("SMBIOS type 39: status {}", supply.status)];
        let next = "look at its power cable and the socket behind it first; then pull the power supply and put in another";
        kind.says(what, seen, next)
    });
    let findings = findings.into_iter().collect();
    let name = if supply.location.is_empty() {
        &supply.name
    } else {
        &supply.location
    };
    let mut report = DeviceReport::new(name.clone(), DeviceKind::PowerSupply, "SMBIOS", findings);
    report.place.slot.clone_from(&supply.location);
    supply.put(&mut report.place);
    let watts = supply.watts.map(i64::from);
    report
        .figures
        .extend(watts.map(|watts| ("capacity_watts".to_string(), watts)));
    report
}
