// SPDX-License-Identifier: Apache-2.0
//! Random and mutated bytes never panic a decoder.

use hw_core::smbios::{STRUCTURES_MAX, Version, configured, decode};
use proptest::prelude::*;

const V3: Version = Version { major: 3, minor: 2 };

/// A small true table: an array of system memory with two devices.
pub(crate) fn table() -> Vec<u8> {
    let mut table = vec![16, 0x17, 0, 0x10, 3, 3, 6, 0, 0, 0x80, 0, 0xfe, 0xff, 2, 0];
    table.extend([0; 8]);
    table.extend([0, 0]);
    for (handle, size) in [(0u8, 16_384u16), (1, 0)] {
        let mut device = vec![0u8; 0x54];
        (device[0], device[1], device[2], device[3]) = (17, 0x54, handle, 0x11);
        device[5] = 0x10;
        device[0x0c..0x0e].copy_from_slice(&size.to_le_bytes());
        (device[0x10], device[0x12], device[0x18]) = (1, 0x1a, 2);
        table.extend(device);
        table.extend(b"DIMM_A1\0SER-1\0\0");
    }
    table.extend([127, 4, 0, 0x7f, 0, 0]);
    table
}

#[test]
fn the_small_table_is_read_and_each_cut_of_it_is_told() {
    let whole = decode(&table(), V3);
    assert_eq!(whole.dimms.len(), 2);
    assert_eq!(whole.dimms[0].serial, "SER-1");
    assert_eq!(configured(&whole.dimms).0, 16 << 30);
    let no_system =
        "SMBIOS table has no system information (type 1): serial number and UUID are unknown";
    assert_eq!(whole.notes, [no_system]);
    for end in 1..table().len() - 6 {
        let cut = decode(&table()[..end], V3);
        assert!(cut.dimms.len() <= 2);
        // A cut inside a structure is named; one between two structures cannot be seen, but there a DIMM is gone.
        let named = cut.notes.iter().any(|note| note != no_system);
        assert!(named || cut.dimms.len() < 2, "cut at {end}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn mutated_tables(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
                      end in any::<prop::sample::Index>()) {
        let mut table = table();
        for (at, value) in changes {
            let at = at.index(table.len());
            table[at] = value;
        }
        table.truncate(end.index(table.len()) + 1);
        let seen = decode(&table, V3);
        prop_assert!(seen.dimms.iter().all(|d| d.slot.is_ascii() && d.slot.len() <= 128));
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..6_000)) {
        prop_assert!(decode(&bytes, V3).dimms.len() <= STRUCTURES_MAX);
        let _ = Version::of_entry_point(&bytes);
    }
}
