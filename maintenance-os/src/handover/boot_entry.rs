// SPDX-License-Identifier: Apache-2.0
//! Writes the firmware's boot entry for the planned host.

use super::efivars::EfiVars;
use crate::mount::{Access, Mounted};
use groundstate_api::plan::{DiskAction, PartitionContents, Plan, Role};
use groundstate_api::{Reason, ReasonCode};
use mos_core::efi::{
    BOOT_ORDER, BootChange, LoadOption, Variable, add_boot_entry, boot_variable, encode_order,
    our_option,
};
use mos_core::guid::Guid;
use std::path::Path;

/// What our boot entry starts, as firmware writes paths.
pub const BOOT_LOADER_FILE: &str = "\\EFI\\systemd\\systemd-bootx64.efi";

/// Mounts efivarfs, puts our entry first in the boot order, and reads it back. On a BIOS there is nothing to do.
///
/// # Errors
/// The plan has no ESP, or the firmware does not take the entry.
pub fn boot_entry(plan: &Plan) -> Result<Vec<String>, Reason> {
    if !plan.uefi {
        return Ok(vec![
            "legacy BIOS: the firmware boots from the network and the boot service sends it on"
                .to_string(),
        ]);
    }
    let ours = planned_option(plan)?;
    let mounted = Mounted::new(
        Path::new("efivarfs"),
        "efivars",
        "efivarfs",
        Access::ReadWrite,
    )?;
    let facts = write_entry(mounted.path(), ours)?;
    mounted.finish()?;
    Ok(facts)
}

/// The same in a directory of efivarfs's form.
///
/// # Errors
/// The firmware does not take the entry.
pub fn write_entry(efivars: &Path, ours: LoadOption) -> Result<Vec<String>, Reason> {
    let vars = EfiVars::at(efivars);
    let outcome =
        add_boot_entry(&vars.entries()?, &vars.order()?, ours.clone()).map_err(unmakeable)?;
    for change in &outcome.changes {
        match change {
            BootChange::Write { number, option } => {
                let data = option.encode().map_err(unmakeable)?;
                vars.write(&boot_variable(*number), &Variable::boot(data))?;
            }
            BootChange::Order(order) => {
                vars.write(BOOT_ORDER, &Variable::boot(encode_order(order)))?
            }
            BootChange::Delete(number) => vars.delete(&boot_variable(*number))?,
        }
    }
    let left =
        add_boot_entry(&vars.entries()?, &vars.order()?, ours.clone()).map_err(unmakeable)?;
    if !left.changes.is_empty() {
        return Err(Reason::new(
            ReasonCode::HandOverFailed,
            "the firmware forgot the boot entry as soon as it was written",
            "look at the firmware's set-up and its version, then order the run again",
        )
        .seen(format!(
            "{} change(s) would be needed again",
            left.changes.len()
        )));
    }
    let path = ours
        .paths
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    let order: Vec<String> = vars
        .order()?
        .into_iter()
        .map(|number| format!("{number:04X}"))
        .collect();
    let done = if outcome.changes.is_empty() {
        "was there already"
    } else {
        "written and read back"
    };
    Ok(vec![
        format!(
            "{} \"{}\" {path}: {done}",
            boot_variable(outcome.number),
            ours.description
        ),
        format!("BootOrder {}", order.join(",")),
    ])
}

/// Our entry, with the ESP as the plan places it.
fn planned_option(plan: &Plan) -> Result<LoadOption, Reason> {
    let no_esp = |evidence: String| {
        Reason::new(
            ReasonCode::PlanRefused,
            "the plan has no boot partition to point the firmware at",
            "report the plan: a UEFI machine's plan must have an ESP on its OS disk",
        )
        .seen(evidence)
    };
    let disk = plan
        .disks
        .iter()
        .find(|disk| disk.role == Role::Os)
        .ok_or_else(|| no_esp("no OS disk".into()))?;
    let table = match &disk.action {
        DiskAction::Wipe { table, .. }
        | DiskAction::Renew { table, .. }
        | DiskAction::Keep { table } => table,
        DiskAction::Erase { .. } | DiskAction::LeaveAlone => {
            return Err(no_esp(format!("the OS disk {} is left alone", disk.serial)));
        }
    };
    let is_esp = |holds: &PartitionContents| matches!(holds, PartitionContents::Esp { .. });
    let (number, esp) = (1u32..)
        .zip(&table.partitions)
        .find(|(_, partition)| is_esp(&partition.holds))
        .ok_or_else(|| no_esp(format!("no ESP on disk {}", disk.serial)))?;
    let sector = u64::from(disk.logical_sector);
    let sectors = |bytes: u64| {
        bytes
            .checked_div(sector)
            .filter(|_| bytes.is_multiple_of(sector))
    };
    let (Some(start), Some(size)) = (sectors(esp.start.0), sectors(esp.length.0)) else {
        return Err(no_esp(format!(
            "the ESP does not lie on whole sectors of {sector} bytes"
        )));
    };
    let guid =
        Guid::parse(&esp.guid).ok_or_else(|| no_esp(format!("{:?} is not a GUID", esp.guid)))?;
    our_option(number, start, size, guid, BOOT_LOADER_FILE).map_err(unmakeable)
}

fn unmakeable(error: mos_core::efi::EfiError) -> Reason {
    Reason::new(
        ReasonCode::HandOverFailed,
        "the firmware's boot entry could not be made",
        "delete old boot entries in the firmware's set-up, then order the run again",
    )
    .seen(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mos_core::efi::file_name;
    use std::fs;

    fn ours(start: u64) -> LoadOption {
        let guid = Guid::parse("C12A7328-F81F-11D2-BA4B-00A0C93EC93B").unwrap();
        our_option(1, start, 1_048_576, guid, BOOT_LOADER_FILE).unwrap()
    }

    /// What OVMF had: its capture's boot variables as files of efivarfs.
    fn firmware() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let capture = include_str!("../../core/src/efi/ovmf_boot_variables.txt");
        for line in capture.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            let hex = words[2]
                .as_bytes()
                .chunks(2)
                .map(|pair| std::str::from_utf8(pair).unwrap());
            let data = hex
                .map(|pair| u8::from_str_radix(pair, 16).unwrap())
                .collect();
            fs::write(
                dir.path().join(file_name(words[0])),
                Variable::boot(data).encode(),
            )
            .unwrap();
        }
        dir
    }

    fn snapshot(dir: &Path) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                (
                    entry.file_name().into_string().unwrap(),
                    fs::read(entry.path()).unwrap(),
                )
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn the_entry_is_written_first_and_twice_is_once() {
        let dir = firmware();
        let facts = write_entry(dir.path(), ours(2048)).unwrap();
        expect_test::expect![[r#"
            Boot000E "Groundstate host" HD(1,GPT,C12A7328-F81F-11D2-BA4B-00A0C93EC93B,0x800,0x100000)/\EFI\systemd\systemd-bootx64.efi: written and read back
            BootOrder 000E,0000,0001,0002,0003,0004,0005,0006,0007,0008,0009,000A,000B,000C,000D"#]]
        .assert_eq(&facts.join("\n"));
        let after = snapshot(dir.path());
        assert_eq!(after.len(), 16);
        assert!(write_entry(dir.path(), ours(2048)).unwrap()[0].ends_with("was there already"));
        assert_eq!(snapshot(dir.path()), after);
    }

    #[test]
    fn a_new_place_of_the_esp_replaces_the_entry() {
        let dir = firmware();
        write_entry(dir.path(), ours(2048)).unwrap();
        let facts = write_entry(dir.path(), ours(4096)).unwrap();
        assert!(
            facts[0].starts_with("Boot000E") && facts[0].contains("0x1000"),
            "{}",
            facts[0]
        );
        assert_eq!(snapshot(dir.path()).len(), 16);
    }

    #[test]
    fn a_firmware_without_any_variable_gets_entry_zero() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            write_entry(dir.path(), ours(2048)).unwrap()[1],
            "BootOrder 0000"
        );
    }

    #[test]
    fn where_there_is_no_efivarfs_the_reason_says_what_to_do() {
        let reason = write_entry(Path::new("/nonexistent/efivars"), ours(1)).unwrap_err();
        assert_eq!(reason.code, ReasonCode::HandOverFailed);
        assert!(reason.what.contains("/nonexistent/efivars"));
    }
}
