// SPDX-License-Identifier: Apache-2.0
//! Firmware, board, chassis and power supplies from the SMBIOS table.

use crate::sysfs::Tree;
use hw_core::machine::FirmwareFacts;

/// The kernel's copy of the table.
const TABLE: &str = "sys/firmware/dmi/tables/DMI";

/// What the table says; `None` where the kernel shows none, which the memory part of the look names.
pub(crate) fn firmware(tree: &Tree) -> Option<FirmwareFacts> {
    let table = tree.bytes(TABLE).ok()?;
    Some(FirmwareFacts::decode(&table))
}
