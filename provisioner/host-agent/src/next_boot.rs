// SPDX-License-Identifier: Apache-2.0
//! Sets the next boot, and only the next, to the network.

use crate::efivars::EfiVars;
use groundstate_api::MacAddr;
use groundstate_api::boot::Firmware;
use groundstate_api::host::NetworkBoot;
use mos_core::efi::{boot_variable, network_entry};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why the next boot could not be set.
#[derive(Debug, Error)]
pub enum NextBootError {
    /// The firmware's variables are out of reach.
    #[error("the firmware's boot variables in {path} cannot be used: {error}")]
    Variables {
        /// Where they should be.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The firmware has no entry for the interface.
    #[error(
        "the firmware has no network boot entry for {mac} among its {entries} entries: switch network boot on in the \
         firmware's set-up, or start the machine from the network by hand"
    )]
    NoEntry {
        /// The interface.
        mac: MacAddr,
        /// How many boot entries it has.
        entries: usize,
    },
}

/// Sets `BootNext` to the firmware's own entry for the interface; returns what was set, for people. Where the firmware
/// has none for the way it was booted before, its other way over the same interface is taken and said so. A BIOS knows
/// no next boot: its boot order begins with the network, and the boot service decides.
///
/// # Errors
/// The variables are out of reach, or there is no entry.
pub fn set_next_boot(efivars: &Path, network: NetworkBoot) -> Result<String, NextBootError> {
    let other = match network.firmware {
        Firmware::Bios => return Ok("BIOS: the boot order as it is".into()),
        Firmware::UefiPxe => Firmware::UefiHttp,
        Firmware::UefiHttp => Firmware::UefiPxe,
    };
    let failed = |error| NextBootError::Variables {
        path: efivars.to_path_buf(),
        error,
    };
    let vars = EfiVars::at(efivars);
    let entries = vars.entries().map_err(failed)?;
    let find =
        |firmware| network_entry(&entries, network.mac, firmware).map(|number| (number, firmware));
    let (number, firmware) =
        find(network.firmware)
            .or_else(|| find(other))
            .ok_or(NextBootError::NoEntry {
                mac: network.mac,
                entries: entries.len(),
            })?;
    vars.set_next(number).map_err(failed)?;
    let instead = if firmware == network.firmware {
        ""
    } else {
        ", the only way that the firmware has an entry for"
    };
    Ok(format!(
        "BootNext is {}, {} over {}{instead}",
        boot_variable(number),
        firmware.as_str(),
        network.mac
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mos_core::efi::{Variable, file_name};
    use std::fs;

    /// What OVMF had, as files of efivarfs; `skip` leaves entries out.
    fn firmware(skip: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let capture = include_str!("../../../maintenance-os/core/src/efi/ovmf_boot_variables.txt");
        for line in capture.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            if !skip.contains(&words[0]) {
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
        }
        dir
    }

    fn set(dir: &Path, mac: &str, firmware: Firmware) -> Result<String, NextBootError> {
        set_next_boot(
            dir,
            NetworkBoot {
                mac: mac.parse().unwrap(),
                firmware,
            },
        )
    }

    #[test]
    fn the_firmwares_own_entry_becomes_the_next_boot_and_nothing_else_changes() {
        let dir = firmware(&[]);
        let said = set(dir.path(), "52:54:00:ab:cd:ef", Firmware::UefiHttp).unwrap();
        assert_eq!(
            said,
            "BootNext is Boot000B, uefi-http over 52:54:00:ab:cd:ef"
        );
        assert_eq!(EfiVars::at(dir.path()).next().unwrap(), Some(0xb));
        set(dir.path(), "52:54:00:12:34:56", Firmware::UefiPxe).unwrap();
        assert_eq!(EfiVars::at(dir.path()).next().unwrap(), Some(4));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 16);
    }

    #[test]
    fn the_other_way_of_the_same_interface_is_taken_and_said() {
        let dir = firmware(&["Boot0006"]);
        let said = set(dir.path(), "52:54:00:12:34:56", Firmware::UefiHttp).unwrap();
        assert!(
            said.contains("Boot0004, uefi-pxe") && said.contains("only way"),
            "{said}"
        );
    }

    #[test]
    fn without_an_entry_or_variables_the_reason_names_the_part_and_bios_needs_neither() {
        let dir = firmware(&[]);
        let error = set(dir.path(), "02:00:00:00:00:01", Firmware::UefiPxe)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("02:00:00:00:00:01") && error.contains("14 entries"),
            "{error}"
        );
        assert_eq!(EfiVars::at(dir.path()).next().unwrap(), None);
        let nowhere = Path::new("/nonexistent/efivars");
        assert!(matches!(
            set(nowhere, "02:00:00:00:00:01", Firmware::UefiPxe),
            Err(NextBootError::Variables { .. })
        ));
        assert!(set(nowhere, "02:00:00:00:00:01", Firmware::Bios).is_ok());
    }
}
