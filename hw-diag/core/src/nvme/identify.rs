// SPDX-License-Identifier: Apache-2.0
//! Identify Controller (NVM Express Base 2.0, figure 275).

use crate::disk::facts::DiskFacts;
use crate::fields::{byte, le16, text};
use alloc::string::String;

/// Length of the data structure in bytes.
pub const IDENTIFY_LENGTH: usize = 4096;
/// LPA: Get Log Page takes extended offsets and lengths; the log of supported log pages is there.
const LPA_EXTENDED: u8 = 1 << 2;
const LPA_SUPPORTED_PAGES: u8 = 1 << 5;
/// OACS: Device Self-test is there.
const OACS_SELF_TEST: u16 = 1 << 4;

/// What the controller says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// Serial number.
    pub serial: String,
    /// Model number.
    pub model: String,
    /// Firmware revision.
    pub revision: String,
    /// Warning composite temperature threshold in kelvin, where the controller has one.
    pub warning_kelvin: Option<u16>,
    /// Critical composite temperature threshold in kelvin, where the controller has one.
    pub critical_kelvin: Option<u16>,
    /// Whether Device Self-test is there.
    pub self_test: bool,
    /// Expected minutes of an extended self-test, where the controller says.
    pub extended_minutes: Option<u32>,
    /// How many entries the error log has at most.
    pub error_entries: u16,
    /// Whether logs longer than 4 KiB less one double word can be asked for.
    pub long_logs: bool,
    /// Whether the controller lists its log pages (log 00h).
    pub lists_log_pages: bool,
}

/// Reads an Identify Controller structure; `None` when it is short or holds nothing.
#[must_use]
pub fn identify_controller(data: &[u8]) -> Option<Controller> {
    let data = data.get(..IDENTIFY_LENGTH)?;
    if data.iter().all(|b| *b == 0) || data.iter().all(|b| *b == 0xff) {
        return None;
    }
    let kelvin = |at| le16(data, at).filter(|k| *k != 0);
    let lpa = byte(data, 261).unwrap_or(0);
    let self_test = le16(data, 256).unwrap_or(0) & OACS_SELF_TEST != 0;
    Some(Controller {
        serial: text(data, 4, 20),
        model: text(data, 24, 40),
        revision: text(data, 64, 8),
        warning_kelvin: kelvin(266),
        critical_kelvin: kelvin(268),
        self_test,
        extended_minutes: kelvin(316).filter(|_| self_test).map(u32::from),
        error_entries: u16::from(byte(data, 262).unwrap_or(0)) + 1,
        long_logs: lpa & LPA_EXTENDED != 0,
        lists_log_pages: lpa & LPA_SUPPORTED_PAGES != 0,
    })
}

impl Controller {
    /// Puts what the controller said into the facts; what it left empty stays as the kernel said it.
    pub fn fill(&self, facts: &mut DiskFacts) {
        let identity = &mut facts.identity;
        for (text, said) in [
            (&mut identity.serial, &self.serial),
            (&mut identity.model, &self.model),
            (&mut identity.revision, &self.revision),
        ] {
            if !said.is_empty() {
                text.clone_from(said);
            }
        }
        // Every NVMe disk is solid state, whatever a queue flag says.
        identity.rotation_rpm = Some(0);
        let nvme = facts.nvme.get_or_insert_default();
        nvme.warning_temperature_c = self.warning_kelvin.and_then(super::celsius);
        nvme.critical_temperature_c = self.critical_kelvin.and_then(super::celsius);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::facts::Protocol;

    #[test]
    fn the_controller_names_itself() {
        let mut data = vec![0u8; IDENTIFY_LENGTH];
        data[4..24].copy_from_slice(b"GS-NVME-1           ");
        data[24..39].copy_from_slice(b"QEMU NVMe Ctrl ");
        data[64..72].copy_from_slice(b"10.0.2  ");
        data[266..268].copy_from_slice(&343u16.to_le_bytes());
        data[316] = 30;
        data[262] = 63;
        let controller = identify_controller(&data).unwrap();
        assert_eq!(controller.serial, "GS-NVME-1");
        assert_eq!(controller.model, "QEMU NVMe Ctrl");
        assert_eq!(controller.revision, "10.0.2");
        assert_eq!(controller.warning_kelvin, Some(343));
        assert_eq!(controller.critical_kelvin, None);
        assert_eq!(controller.error_entries, 64);
        assert_eq!(
            (controller.self_test, controller.extended_minutes),
            (false, None)
        );
        (data[256], data[261]) = (0x10, 0x24);
        let able = identify_controller(&data).unwrap();
        assert!(able.self_test && able.long_logs && able.lists_log_pages);
        assert_eq!(able.extended_minutes, Some(30));
        let mut facts = DiskFacts::new("nvme0n1", "ioctl", Protocol::Nvme);
        able.fill(&mut facts);
        assert_eq!(facts.nvme.unwrap().warning_temperature_c, Some(70));
        assert_eq!(facts.identity.model, "QEMU NVMe Ctrl");
        assert_eq!(identify_controller(&[0; IDENTIFY_LENGTH]), None);
        assert_eq!(identify_controller(&data[..100]), None);
    }
}
