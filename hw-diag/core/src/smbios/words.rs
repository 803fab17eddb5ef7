// SPDX-License-Identifier: Apache-2.0
//! The words that DSP0134 gives to numbers of types 16 and 17, as `dmidecode` prints them, so that a table and its text
//! say the same.

use crate::memory::{NON_VOLATILE_KIND, SYSTEM_MEMORY};

const OUT_OF_SPEC: &str = "out of spec";

/// The word for a number that counts from 1.
pub(super) fn word(words: &[&'static str], number: u8) -> &'static str {
    usize::from(number)
        .checked_sub(1)
        .and_then(|index| words.get(index).copied())
        .unwrap_or(OUT_OF_SPEC)
}

pub(super) fn kind(number: u8) -> &'static str {
    word(&KINDS, number)
}

/// Location of an array (7.17.1): the common ones count from 1, PC-98 cards and CXL from A0h.
pub(super) fn location(number: u8) -> &'static str {
    match number.checked_sub(0xa0) {
        Some(0) => "PC-98/C20 Add-on Card",
        Some(1) => "PC-98/C24 Add-on Card",
        Some(2) => "PC-98/E Add-on Card",
        Some(3) => "PC-98/Local Bus Add-on Card",
        Some(4) => "CXL Flexbus 1.0",
        Some(_) => OUT_OF_SPEC,
        None => word(&LOCATIONS, number),
    }
}

const LOCATIONS: [&str; 10] = [
    "Other",
    "Unknown",
    "System Board Or Motherboard",
    "ISA Add-on Card",
    "EISA Add-on Card",
    "PCI Add-on Card",
    "MCA Add-on Card",
    "PCMCIA Add-on Card",
    "Proprietary Add-on Card",
    "NuBus",
];

/// Use of an array (7.17.2).
pub(super) const USES: [&str; 7] = [
    "Other",
    "Unknown",
    SYSTEM_MEMORY,
    "Video Memory",
    "Flash Memory",
    "Non-volatile RAM",
    "Cache Memory",
];

/// Error correction of an array (7.17.3).
pub(super) const CORRECTIONS: [&str; 7] = [
    "Other",
    "Unknown",
    "None",
    "Parity",
    "Single-bit ECC",
    "Multi-bit ECC",
    "CRC",
];

/// Form factor (7.18.1).
pub(super) const FORMS: [&str; 17] = [
    "Other",
    "Unknown",
    "SIMM",
    "SIP",
    "Chip",
    "DIP",
    "ZIP",
    "Proprietary Card",
    "DIMM",
    "TSOP",
    "Row Of Chips",
    "RIMM",
    "SODIMM",
    "SRIMM",
    "FB-DIMM",
    "Die",
    "CAMM",
];

/// Technology (7.18.6).
pub(super) const TECHNOLOGIES: [&str; 8] = [
    "Other",
    "Unknown",
    "DRAM",
    "NVDIMM-N",
    "NVDIMM-F",
    "NVDIMM-P",
    "Intel Optane DC persistent memory",
    "MRDIMM",
];

/// Type detail by bit, from bit 1 (7.18.3).
pub(super) const DETAILS: [&str; 15] = [
    "Other",
    "Unknown",
    "Fast-paged",
    "Static Column",
    "Pseudo-static",
    "RAMBus",
    "Synchronous",
    "CMOS",
    "EDO",
    "Window DRAM",
    "Cache DRAM",
    "Non-Volatile",
    "Registered (Buffered)",
    "Unbuffered (Unregistered)",
    "LRDIMM",
];

/// Memory type by its number, from 1 (DSP0134, 7.18.2).
const KINDS: [&str; 0x24] = [
    "Other",
    "Unknown",
    "DRAM",
    "EDRAM",
    "VRAM",
    "SRAM",
    "RAM",
    "ROM",
    "Flash",
    "EEPROM",
    "FEPROM",
    "EPROM",
    "CDRAM",
    "3DRAM",
    "SDRAM",
    "SGRAM",
    "RDRAM",
    "DDR",
    "DDR2",
    "DDR2 FB-DIMM",
    "Reserved",
    "Reserved",
    "Reserved",
    "DDR3",
    "FBD2",
    "DDR4",
    "LPDDR",
    "LPDDR2",
    "LPDDR3",
    "LPDDR4",
    NON_VOLATILE_KIND,
    "HBM",
    "HBM2",
    "DDR5",
    "LPDDR5",
    "HBM3",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_numbers_of_the_specification() {
        for (number, name) in [
            (0x07, "RAM"),
            (0x12, "DDR"),
            (0x18, "DDR3"),
            (0x1a, "DDR4"),
            (0x22, "DDR5"),
        ] {
            assert_eq!(kind(number), name);
        }
        assert_eq!(location(3), "System Board Or Motherboard");
        assert_eq!(location(0xa4), "CXL Flexbus 1.0");
        assert_eq!(word(&USES, 5), "Flash Memory");
        assert_eq!(kind(0), "out of spec");
        assert_eq!(kind(0xf0), "out of spec");
    }
}
