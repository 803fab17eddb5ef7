// SPDX-License-Identifier: Apache-2.0
//! Identify Controller (NVM Express Base 2.0, figure 275).

use crate::fields::{le16, text};
use alloc::string::String;

/// Length of the data structure in bytes.
pub const IDENTIFY_LENGTH: usize = 4096;

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
}

/// Reads an Identify Controller structure; `None` when it is short or holds nothing.
#[must_use]
pub fn identify_controller(data: &[u8]) -> Option<Controller> {
    let data = data.get(..IDENTIFY_LENGTH)?;
    if data.iter().all(|b| *b == 0) {
        return None;
    }
    let kelvin = |at| le16(data, at).filter(|k| *k != 0);
    Some(Controller {
        serial: text(data, 4, 20),
        model: text(data, 24, 40),
        revision: text(data, 64, 8),
        warning_kelvin: kelvin(266),
        critical_kelvin: kelvin(268),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_names_itself() {
        let mut data = vec![0u8; IDENTIFY_LENGTH];
        data[4..24].copy_from_slice(b"GS-NVME-1           ");
        data[24..39].copy_from_slice(b"QEMU NVMe Ctrl ");
        data[64..72].copy_from_slice(b"10.0.2  ");
        data[266..268].copy_from_slice(&343u16.to_le_bytes());
        let controller = identify_controller(&data).unwrap();
        assert_eq!(controller.serial, "GS-NVME-1");
        assert_eq!(controller.model, "QEMU NVMe Ctrl");
        assert_eq!(controller.revision, "10.0.2");
        assert_eq!(controller.warning_kelvin, Some(343));
        assert_eq!(controller.critical_kelvin, None);
        assert_eq!(identify_controller(&[0; IDENTIFY_LENGTH]), None);
        assert_eq!(identify_controller(&data[..100]), None);
    }
}
