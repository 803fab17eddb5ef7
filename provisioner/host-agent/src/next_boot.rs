// SPDX-License-Identifier: Apache-2.0
//! Sets the next boot, and only the next, to the network.

use crate::efivars::EfiVars;
use groundstate_api::MacAddr;
use groundstate_api::action::NextBoot;
use groundstate_api::boot::Firmware;
use groundstate_api::host::NetworkBoot;
use mos_core::efi::{Existing, Node, boot_variable, network_entry};
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
    /// The machine runs on a BIOS.
    #[error("this machine runs on a BIOS, which knows no next boot: choose it in its boot menu")]
    Bios,
    /// Two entries fit alike and lead to different devices.
    #[error(
        "{first} and {second} boot {mac} alike and lead to different devices: nobody can say which is meant; choose it in the \
         firmware's boot menu"
    )]
    Ambiguous {
        /// The interface.
        mac: MacAddr,
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// This boot came from no disk's entry.
    #[error(
        "the firmware does not say which disk's entry this boot came from: choose it in the firmware's boot menu"
    )]
    NoDisk,
    /// The host knows no entry for it.
    #[error("a host knows no boot entry for virtual media: its BMC does")]
    Media,
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

/// Whether this host can say what its firmware boots next: it runs on UEFI, and its boot variables are there.
pub(crate) fn can(efivars: &Path, network: NetworkBoot) -> bool {
    let entries = EfiVars::at(efivars).entries();
    network.firmware != Firmware::Bios && entries.is_ok_and(|entries| !entries.is_empty())
}

/// Sets what is booted next, once, by order; returns what was set and read back, for people. Nothing is restarted.
///
/// # Errors
/// The machine runs on a BIOS, the variables are out of reach, there is no entry, or two fit alike.
pub fn boot_next(
    efivars: &Path,
    network: NetworkBoot,
    to: NextBoot,
) -> Result<String, NextBootError> {
    let failed = |error| NextBootError::Variables {
        path: efivars.to_path_buf(),
        error,
    };
    let vars = EfiVars::at(efivars);
    let ways = match (network.firmware, to) {
        (Firmware::Bios, _) => return Err(NextBootError::Bios),
        (_, NextBoot::VirtualMedia) => return Err(NextBootError::Media),
        (_, NextBoot::HttpBoot) => vec![Firmware::UefiHttp],
        (Firmware::UefiHttp, NextBoot::Network) => vec![Firmware::UefiHttp, Firmware::UefiPxe],
        (Firmware::UefiPxe, NextBoot::Network) => vec![Firmware::UefiPxe, Firmware::UefiHttp],
        (_, NextBoot::Disk) => Vec::new(),
    };
    let entries = vars.entries().map_err(failed)?;
    let (number, what) = if ways.is_empty() {
        let number = this_disk(&entries, vars.current().map_err(failed)?)?;
        (number, "the entry that this boot came from".to_owned())
    } else {
        let found = ways.into_iter().find_map(|firmware| {
            network_entry(&entries, network.mac, firmware).map(|number| (number, firmware))
        });
        let (number, firmware) = found.ok_or(NextBootError::NoEntry {
            mac: network.mac,
            entries: entries.len(),
        })?;
        alone(&entries, number, firmware, network.mac)?;
        let what = format!("{} over {}", firmware.as_str(), network.mac);
        (number, what)
    };
    vars.set_next(number).map_err(failed)?;
    Ok(format!(
        "BootNext is {}, {what}; it was read back",
        boot_variable(number)
    ))
}

/// The entry that this boot came from, where it is a disk's.
fn this_disk(entries: &[Existing], current: Option<u16>) -> Result<u16, NextBootError> {
    let is_disk = |entry: &&Existing| {
        let path = entry
            .option
            .as_ref()
            .and_then(|option| option.paths.first());
        let partition = |node: &Node| matches!(node, Node::GptPartition { .. });
        Some(entry.number) == current && path.is_some_and(|path| path.0.iter().any(partition))
    };
    let found = entries.iter().find(is_disk).map(|entry| entry.number);
    found.ok_or(NextBootError::NoDisk)
}

/// Refuses where another entry fits as well as this one and leads elsewhere: two ports with one MAC address.
fn alone(
    entries: &[Existing],
    number: u16,
    firmware: Firmware,
    mac: MacAddr,
) -> Result<(), NextBootError> {
    let others: Vec<Existing> = entries
        .iter()
        .filter(|entry| entry.number != number)
        .cloned()
        .collect();
    let rank = |wanted: u16| {
        let entry = entries.iter().find(|entry| entry.number == wanted)?;
        let option = entry.option.as_ref()?;
        let path = option.paths.first()?;
        let ipv4 = path.0.iter().any(|node| matches!(node, Node::Ipv4(_)));
        Some((option.is_active(), ipv4, path))
    };
    let Some(second) = network_entry(&others, mac, firmware) else {
        return Ok(());
    };
    match (rank(number), rank(second)) {
        (Some((active, ipv4, path)), Some((other_active, other_ipv4, other)))
            if (active, ipv4) == (other_active, other_ipv4) && path != other =>
        {
            Err(NextBootError::Ambiguous {
                mac,
                first: boot_variable(number),
                second: boot_variable(second),
            })
        }
        _ => Ok(()),
    }
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

    fn order(dir: &Path, mac: &str, firmware: Firmware, to: NextBoot) -> Result<String, String> {
        let mac = mac.parse().unwrap();
        boot_next(dir, NetworkBoot { mac, firmware }, to).map_err(|error| error.to_string())
    }

    fn put(dir: &Path, name: &str, data: Vec<u8>) {
        fs::write(dir.join(file_name(name)), Variable::boot(data).encode()).unwrap();
    }

    #[test]
    fn by_order_the_next_boot_is_the_network_by_either_way_and_nothing_else_changes() {
        let dir = firmware(&[]);
        let mac = "52:54:00:ab:cd:ef";
        for (way, to, says, number) in [
            (Firmware::UefiPxe, NextBoot::Network, "uefi-pxe", 9),
            (Firmware::UefiHttp, NextBoot::Network, "uefi-http", 0xb),
            (Firmware::UefiPxe, NextBoot::HttpBoot, "uefi-http", 0xb),
        ] {
            let said = order(dir.path(), mac, way, to).unwrap();
            assert!(said.contains(says) && said.contains("read back"), "{said}");
            assert_eq!(EfiVars::at(dir.path()).next().unwrap(), Some(number));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 16);
        let network = NetworkBoot {
            mac: mac.parse().unwrap(),
            firmware: Firmware::UefiPxe,
        };
        assert!(can(dir.path(), network));
        assert!(!can(Path::new("/nonexistent"), network));
    }

    #[test]
    fn its_own_disk_is_the_entry_that_it_came_from_and_no_other() {
        let dir = firmware(&[]);
        let mac = "52:54:00:ab:cd:ef";
        let disk = || order(dir.path(), mac, Firmware::UefiPxe, NextBoot::Disk);
        assert!(disk().unwrap_err().contains("does not say"));
        // A DVD, or the network, is no disk of the host.
        put(dir.path(), "BootCurrent", vec![4, 0]);
        assert!(disk().is_err());
        let guid = mos_core::guid::Guid([7; 16]);
        let ours = mos_core::efi::our_option(1, 2_048, 1_048_576, guid, "\\EFI\\BOOT\\BOOTX64.EFI");
        put(dir.path(), "Boot0011", ours.unwrap().encode().unwrap());
        put(dir.path(), "BootCurrent", vec![0x11, 0]);
        assert!(disk().unwrap().contains("Boot0011"));
        assert_eq!(EfiVars::at(dir.path()).next().unwrap(), Some(0x11));
    }

    #[test]
    fn what_is_not_clear_is_refused_and_nothing_is_set() {
        let dir = firmware(&[]);
        let mac = "52:54:00:ab:cd:ef";
        // A second port with the same address: the same entry, behind another device.
        let vars = EfiVars::at(dir.path());
        let entries = vars.entries().unwrap();
        let pxe = entries.iter().find(|entry| entry.number == 9).unwrap();
        let mut other = pxe.option.clone().unwrap();
        put(dir.path(), "Boot0012", other.encode().unwrap());
        order(dir.path(), mac, Firmware::UefiPxe, NextBoot::Network).unwrap();
        fs::remove_file(dir.path().join(file_name("BootNext"))).unwrap();
        let more = other.paths[0].0[0].clone();
        other.paths[0].0.insert(0, more);
        put(dir.path(), "Boot0012", other.encode().unwrap());
        let said = order(dir.path(), mac, Firmware::UefiPxe, NextBoot::Network).unwrap_err();
        assert!(
            said.contains("Boot0009") && said.contains("Boot0012"),
            "{said}"
        );
        for (way, to, says) in [
            (Firmware::Bios, NextBoot::Network, "BIOS"),
            (Firmware::UefiPxe, NextBoot::VirtualMedia, "virtual media"),
        ] {
            let said = order(dir.path(), mac, way, to).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
        let said = order(
            dir.path(),
            "02:00:00:00:00:09",
            Firmware::UefiPxe,
            NextBoot::Network,
        );
        assert!(said.unwrap_err().contains("no network boot entry"));
        assert_eq!(vars.next().unwrap(), None);
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
