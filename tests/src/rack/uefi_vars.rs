// SPDX-License-Identifier: Apache-2.0
//! A powered-off node's UEFI variables, as OVMF keeps them: reads the boot entries and writes `BootNext`, which is what a
//! BMC's boot override is to such firmware.
//!
//! It refuses a store that it does not know in every field, and it writes nothing but `BootNext`.

use super::{BootDevice, RackError};
use groundstate_api::MacAddr;
use groundstate_api::boot::Firmware;
use mos_core::efi::{self, DevicePath, Existing, LoadOption, Node, network_entry};
use std::fs;
use std::io;
use std::path::Path;

/// Where a firmware volume says how long its header is.
const VOLUME_HEADER_LENGTH: usize = 48;
/// The store's header: GUID, size, format, state, 6 bytes.
const STORE_HEADER: usize = 28;
/// `gEfiAuthenticatedVariableGuid`.
const STORE_GUID: [u8; 16] = [
    0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92,
];
/// EFI_GLOBAL_VARIABLE as it is stored.
const GLOBAL: [u8; 16] = [
    0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c,
];
/// A variable's header.
const HEADER: usize = 60;
/// What each variable begins with.
const START: [u8; 2] = [0xaa, 0x55];
/// The variable counts.
const ADDED: u8 = 0x3f;
/// A bit that is cleared when it no longer does.
const DELETED: u8 = 0xfd;

/// Tells the firmware what to boot at its next start, once. `false` where it has no entry for that yet.
pub(super) fn boot_next(vars: &Path, what: BootDevice, mac: MacAddr) -> Result<bool, RackError> {
    let mut bytes = fs::read(vars).map_err(RackError::file(vars))?;
    let broken = |what: &'static str| RackError::file(vars)(io::Error::other(what));
    let store = Store::read(&bytes).ok_or_else(|| broken("this is no store of OVMF's"))?;
    let Some(number) = entry(&store.entries(&bytes), &store.order(&bytes), what, mac) else {
        return Ok(false);
    };
    store
        .put(&mut bytes, efi::BOOT_NEXT, &efi::encode_number(number))
        .ok_or_else(|| broken("the store has no room for BootNext"))?;
    fs::write(vars, bytes).map_err(RackError::file(vars))?;
    Ok(true)
}

/// The entry that boots this.
fn entry(entries: &[Existing], order: &[u16], what: BootDevice, mac: MacAddr) -> Option<u16> {
    let first = |fits: fn(&DevicePath) -> bool| {
        let of_order = order.iter().find(|number| {
            let option = entries.iter().find(|entry| entry.number == **number);
            let option = option.and_then(|entry| entry.option.as_ref());
            option.is_some_and(|option| option.paths.first().is_some_and(fits))
        });
        of_order.copied()
    };
    match what {
        BootDevice::Network => network_entry(entries, mac, Firmware::UefiPxe)
            .or_else(|| network_entry(entries, mac, Firmware::UefiHttp)),
        BootDevice::Http => network_entry(entries, mac, Firmware::UefiHttp),
        // What a host has entered names its partition.
        BootDevice::Disk => first(|path| {
            let partition = |node: &Node| matches!(node, Node::GptPartition { .. });
            path.0.iter().any(partition)
        }),
        // The firmware makes an entry anew for each drive; QEMU's order is surer.
        BootDevice::Cd => None,
    }
}

struct Variable {
    at: usize,
    name: String,
    data: std::ops::Range<usize>,
    counts: bool,
}

struct Store {
    variables: Vec<Variable>,
    free: usize,
    end: usize,
}

impl Store {
    fn read(bytes: &[u8]) -> Option<Self> {
        let begin = usize::from(number(bytes, VOLUME_HEADER_LENGTH)?);
        if bytes.get(begin..begin + 16)? != STORE_GUID {
            return None;
        }
        let end = begin + long(bytes, begin + 16)?;
        let (mut at, mut variables) = (begin + STORE_HEADER, Vec::new());
        while bytes.get(at..at + 2)? == START {
            let (name, data) = (long(bytes, at + 36)?, long(bytes, at + 40)?);
            let from = at + HEADER;
            let text: Vec<u16> = bytes
                .get(from..from + name)?
                .chunks_exact(2)
                .map(|c| u16::from_le_bytes([c[0], c[1]]))
                .take_while(|unit| *unit != 0)
                .collect();
            let data = from + name..from + name + data;
            let next = data.end.next_multiple_of(4);
            variables.push(Variable {
                at,
                name: String::from_utf16_lossy(&text),
                counts: *bytes.get(at + 2)? == ADDED && bytes.get(at + 44..from)? == GLOBAL,
                data,
            });
            at = next;
        }
        (at <= end && end <= bytes.len()).then_some(Self {
            variables,
            free: at,
            end,
        })
    }

    fn data<'b>(&self, bytes: &'b [u8], name: &str) -> Option<&'b [u8]> {
        let found = self.variables.iter().find(|v| v.counts && v.name == name)?;
        bytes.get(found.data.clone())
    }

    fn order(&self, bytes: &[u8]) -> Vec<u16> {
        let order = self.data(bytes, efi::BOOT_ORDER);
        order
            .and_then(|data| efi::decode_order(data).ok())
            .unwrap_or_default()
    }

    fn entries(&self, bytes: &[u8]) -> Vec<Existing> {
        let known = self.variables.iter().filter(|v| v.counts);
        let entry = |v: &Variable| {
            let number = efi::boot_number(&efi::file_name(&v.name))?;
            let option = LoadOption::decode(bytes.get(v.data.clone())?).ok();
            Some(Existing { number, option })
        };
        known.filter_map(entry).collect()
    }

    /// Writes one variable; an older one of the name no longer counts.
    fn put(&self, bytes: &mut [u8], name: &str, data: &[u8]) -> Option<()> {
        let mut text: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        text.extend([0, 0]);
        let mut new = Vec::from(START);
        new.extend([ADDED, 0]);
        new.extend(efi::VARIABLE_ATTRIBUTES.to_le_bytes());
        // Monotonic count, time stamp and key index are for authenticated variables.
        new.resize(36, 0);
        new.extend(u32::try_from(text.len()).ok()?.to_le_bytes());
        new.extend(u32::try_from(data.len()).ok()?.to_le_bytes());
        new.extend(GLOBAL);
        new.extend(text);
        new.extend(data);
        let place = bytes.get_mut(self.free..self.end)?.get_mut(..new.len())?;
        if place.iter().any(|byte| *byte != 0xff) {
            return None;
        }
        place.copy_from_slice(&new);
        for old in self.variables.iter().filter(|v| v.counts && v.name == name) {
            *bytes.get_mut(old.at + 2)? &= DELETED;
        }
        Some(())
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes))
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rack::Parts;
    use groundstate_api::MacAddr;

    #[test]
    fn boot_next_is_written_into_ovmfs_own_store_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let vars = folder.path().join("vars.fd");
        fs::copy(Parts::find().unwrap().ovmf_vars, &vars).unwrap();
        let mac = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
        // A fresh store has no entries: nothing is written.
        let before = fs::read(&vars).unwrap();
        assert!(!boot_next(&vars, BootDevice::Network, mac).unwrap());
        assert_eq!(fs::read(&vars).unwrap(), before);
        let mut bytes = before;
        let option = LoadOption {
            attributes: efi::LOAD_OPTION_ACTIVE,
            description: efi::Ucs2::new("UEFI PXEv4").unwrap(),
            paths: vec![DevicePath(vec![Node::Mac(mac), Node::Ipv4(vec![0; 23])])],
            optional_data: Vec::new(),
        };
        let put = |bytes: &mut [u8], name: &str, data: &[u8]| {
            Store::read(bytes).unwrap().put(bytes, name, data).unwrap();
        };
        put(&mut bytes, "Boot0003", &option.encode().unwrap());
        fs::write(&vars, &bytes).unwrap();
        for _ in 0..2 {
            assert!(boot_next(&vars, BootDevice::Network, mac).unwrap());
            let bytes = fs::read(&vars).unwrap();
            let store = Store::read(&bytes).unwrap();
            assert_eq!(store.data(&bytes, "BootNext"), Some(&[3, 0][..]));
        }
        assert!(!boot_next(&vars, BootDevice::Http, mac).unwrap());
        let other = MacAddr([0x52, 0x54, 0, 0, 0, 2]);
        assert!(!boot_next(&vars, BootDevice::Network, other).unwrap());
        assert!(!boot_next(&vars, BootDevice::Disk, mac).unwrap());
    }

    #[test]
    fn what_is_no_store_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let vars = folder.path().join("vars.fd");
        fs::write(&vars, vec![0xff; 4_096]).unwrap();
        let mac = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
        assert!(boot_next(&vars, BootDevice::Network, mac).is_err());
    }
}
