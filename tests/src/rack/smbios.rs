// SPDX-License-Identifier: Apache-2.0
//! SMBIOS structures of memory (DMTF DSP0134 3.0, sections 7.17 and 7.18), as bytes for QEMU's `-smbios file=`.
//!
//! One structure is one file: QEMU 10 mangles several in one. Given any, QEMU leaves out its own of that type; its
//! type 19 keeps pointing at [`ARRAY_HANDLE`], which is why that number is QEMU's own.

use super::DimmSpec;

/// Handle of the memory array: the number that QEMU's own array has.
pub const ARRAY_HANDLE: u16 = 0x1000;
/// Handle of the first memory device; the next ones follow.
pub const DEVICE_HANDLE: u16 = 0x1100;
/// "The system does not provide the error information structure."
const NO_ERROR_INFORMATION: u16 = 0xFFFE;
/// A size word that says: the size stands in the extended field.
const SIZE_IS_EXTENDED: u16 = 0x7FFF;
/// A capacity that says: the capacity stands in the extended field.
const CAPACITY_IS_EXTENDED: u32 = 0x8000_0000;

/// A Physical Memory Array (type 16): system memory on the board with so many slots and so many MiB at most.
#[must_use]
pub fn memory_array(slots: u16, capacity_mib: u64) -> Vec<u8> {
    let mut out = Structure::new(16, ARRAY_HANDLE);
    out.byte(0x03); // Location: system board.
    out.byte(0x03); // Use: system memory.
    out.byte(0x06); // Error correction: multi-bit ECC.
    let kib = capacity_mib.saturating_mul(1024);
    match u32::try_from(kib)
        .ok()
        .filter(|k| *k < CAPACITY_IS_EXTENDED)
    {
        Some(kib) => out.bytes(&kib.to_le_bytes()),
        None => out.bytes(&CAPACITY_IS_EXTENDED.to_le_bytes()),
    }
    out.word(NO_ERROR_INFORMATION);
    out.word(slots);
    let extended = if kib < u64::from(CAPACITY_IS_EXTENDED) {
        0
    } else {
        kib.saturating_mul(1024)
    };
    out.bytes(&extended.to_le_bytes());
    out.finish()
}

/// A Memory Device (type 17): slot number `index`, from 0. A size of 0 is a slot with no module in it.
#[must_use]
pub fn memory_device(index: u16, dimm: &DimmSpec) -> Vec<u8> {
    let module = dimm.size_mib > 0;
    let mut out = Structure::new(17, DEVICE_HANDLE.saturating_add(index));
    out.word(ARRAY_HANDLE);
    out.word(NO_ERROR_INFORMATION);
    out.word(if module { 72 } else { 0xFFFF }); // Total width in bits, ECC included.
    out.word(if module { 64 } else { 0xFFFF }); // Data width in bits.
    let small = u16::try_from(dimm.size_mib)
        .ok()
        .filter(|s| *s < SIZE_IS_EXTENDED);
    out.word(small.unwrap_or(SIZE_IS_EXTENDED));
    out.byte(0x09); // Form factor: DIMM.
    out.byte(0x00); // Device set: none.
    out.string(&dimm.slot);
    out.string(&dimm.bank);
    out.byte(if module { 0x1A } else { 0x02 }); // Type: DDR4, or unknown.
    out.word(if module { 0x2080 } else { 0x0004 }); // Detail: registered and synchronous, or unknown.
    out.word(if module { 2_666 } else { 0 }); // Speed in MT/s.
    for text in [&dimm.manufacturer, &dimm.serial] {
        out.string(if module { text } else { "" });
    }
    out.string(""); // Asset tag.
    out.string(if module { &dimm.part } else { "" });
    out.byte(if module { 1 } else { 0 }); // Rank.
    let extended = if small.is_some() { 0 } else { dimm.size_mib };
    out.bytes(&extended.to_le_bytes());
    out.word(if module { 2_400 } else { 0 }); // Configured speed in MT/s.
    for _ in 0..3 {
        out.word(if module { 1_200 } else { 0 }); // Voltage in millivolts: lowest, highest, configured.
    }
    out.finish()
}

/// A structure that is being written: the formatted part, and the strings that follow it.
struct Structure {
    formatted: Vec<u8>,
    strings: Vec<u8>,
    count: u8,
}

impl Structure {
    fn new(kind: u8, handle: u16) -> Self {
        let [low, high] = handle.to_le_bytes();
        // The length byte is filled in at the end.
        Self {
            formatted: vec![kind, 0, low, high],
            strings: Vec::new(),
            count: 0,
        }
    }

    fn byte(&mut self, value: u8) {
        self.formatted.push(value);
    }

    fn word(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    fn bytes(&mut self, value: &[u8]) {
        self.formatted.extend_from_slice(value);
    }

    /// A reference to a string: its number from 1, or 0 for none. Characters that would end it are left out.
    fn string(&mut self, text: &str) {
        let clean: Vec<u8> = text.bytes().filter(|b| (0x20..0x7F).contains(b)).collect();
        if clean.is_empty() {
            return self.byte(0);
        }
        self.strings.extend_from_slice(&clean);
        self.strings.push(0);
        self.count += 1;
        self.byte(self.count);
    }

    fn finish(self) -> Vec<u8> {
        let mut out = self.formatted;
        out[1] =
            u8::try_from(out.len()).expect("the structures of this file are 0x28 bytes at most");
        if self.strings.is_empty() {
            out.push(0);
        }
        out.extend(self.strings);
        out.push(0);
        out
    }
}

/// What dmidecode says about a table of structures, and that it finds nothing wrong with it.
#[cfg(test)]
pub(super) fn decoded(table: &[u8]) -> String {
    // A 64-bit entry point and the table behind it, as `dmidecode --dump-bin` lays them out.
    let mut dump = b"_SM3_\0\x18\x03\0\0\x01\0".to_vec();
    dump.extend(u32::try_from(table.len()).unwrap().to_le_bytes());
    dump.extend(32u64.to_le_bytes());
    dump[5] = dump.iter().fold(0u8, |sum, b| sum.wrapping_sub(*b));
    dump.resize(32, 0);
    dump.extend(table);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), dump).unwrap();
    let program = super::Parts::program("dmidecode", "dmidecode").unwrap();
    let mut dmidecode = std::process::Command::new(program);
    let out = dmidecode
        .arg("--from-dump")
        .arg(file.path())
        .output()
        .unwrap();
    assert!(out.status.success());
    // dmidecode reports a broken table here.
    assert_eq!(String::from_utf8(out.stderr).unwrap(), "");
    let text = String::from_utf8(out.stdout).unwrap();
    let body = text.split_once("Handle").map_or("", |(_, body)| body);
    format!("Handle{body}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rack::{Fault, NodeSpec};
    use expect_test::{Expect, expect};
    use groundstate_api::boot::Firmware;

    fn check(structures: &[Vec<u8>], expected: &Expect) {
        let mut table = structures.concat();
        table.extend([127, 4, 0xFF, 0xFE, 0, 0]);
        expected.assert_eq(&super::decoded(&table));
    }

    #[test]
    fn dmidecode_reads_what_was_meant() {
        let mut node = NodeSpec::demo(1, Firmware::Bios);
        node.dimms.drain(..2);
        Fault::DimmMissing.apply(&mut node).unwrap();
        let mut all = vec![memory_array(2, 4096)];
        all.extend(
            (0..)
                .zip(&node.dimms)
                .map(|(at, dimm)| memory_device(at, dimm)),
        );
        check(
            &all,
            &expect![[r#"
            Handle 0x1000, DMI type 16, 23 bytes
            Physical Memory Array
            	Location: System Board Or Motherboard
            	Use: System Memory
            	Error Correction Type: Multi-bit ECC
            	Maximum Capacity: 4 GB
            	Error Information Handle: Not Provided
            	Number Of Devices: 2

            Handle 0x1100, DMI type 17, 40 bytes
            Memory Device
            	Array Handle: 0x1000
            	Error Information Handle: Not Provided
            	Total Width: 72 bits
            	Data Width: 64 bits
            	Size: 512 MB
            	Form Factor: DIMM
            	Set: None
            	Locator: DIMM_B1
            	Bank Locator: NODE 0 CHANNEL 1
            	Type: DDR4
            	Type Detail: Synchronous Registered (Buffered)
            	Speed: 2666 MT/s
            	Manufacturer: Groundstate Labs
            	Serial Number: GS1-DIMM-0002
            	Asset Tag: Not Specified
            	Part Number: GSM-512-DDR4
            	Rank: 1
            	Configured Memory Speed: 2400 MT/s
            	Minimum Voltage: 1.2 V
            	Maximum Voltage: 1.2 V
            	Configured Voltage: 1.2 V

            Handle 0x1101, DMI type 17, 40 bytes
            Memory Device
            	Array Handle: 0x1000
            	Error Information Handle: Not Provided
            	Total Width: Unknown
            	Data Width: Unknown
            	Size: No Module Installed
            	Form Factor: DIMM
            	Set: None
            	Locator: DIMM_B2
            	Bank Locator: NODE 0 CHANNEL 1
            	Type: Unknown
            	Type Detail: Unknown

            Handle 0xFEFF, DMI type 127, 4 bytes
            End Of Table

        "#]],
        );
    }

    #[test]
    fn large_sizes_go_to_the_extended_fields() {
        let mut dimm = NodeSpec::demo(1, Firmware::Bios).dimms.remove(0);
        dimm.size_mib = 64 << 10;
        check(
            &[memory_array(1, 4 << 20), memory_device(0, &dimm)],
            &expect![[r#"
                Handle 0x1000, DMI type 16, 23 bytes
                Physical Memory Array
                	Location: System Board Or Motherboard
                	Use: System Memory
                	Error Correction Type: Multi-bit ECC
                	Maximum Capacity: 4 TB
                	Error Information Handle: Not Provided
                	Number Of Devices: 1

                Handle 0x1100, DMI type 17, 40 bytes
                Memory Device
                	Array Handle: 0x1000
                	Error Information Handle: Not Provided
                	Total Width: 72 bits
                	Data Width: 64 bits
                	Size: 64 GB
                	Form Factor: DIMM
                	Set: None
                	Locator: DIMM_A1
                	Bank Locator: NODE 0 CHANNEL 0
                	Type: DDR4
                	Type Detail: Synchronous Registered (Buffered)
                	Speed: 2666 MT/s
                	Manufacturer: Groundstate Labs
                	Serial Number: GS1-DIMM-0000
                	Asset Tag: Not Specified
                	Part Number: GSM-512-DDR4
                	Rank: 1
                	Configured Memory Speed: 2400 MT/s
                	Minimum Voltage: 1.2 V
                	Maximum Voltage: 1.2 V
                	Configured Voltage: 1.2 V

                Handle 0xFEFF, DMI type 127, 4 bytes
                End Of Table

            "#]],
        );
    }
}
