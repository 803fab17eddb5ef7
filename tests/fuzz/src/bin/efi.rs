// SPDX-License-Identifier: Apache-2.0
//! The firmware's boot variables as efivarfs shows them, and what is changed in them.
#![no_main]

use groundstate_api::MacAddr;
use groundstate_api::boot::Firmware;
use groundstate_fuzz::{MIB, Pieces, bounded};
use libfuzzer_sys::fuzz_target;
use mos_core::efi::{
    Existing, LoadOption, Variable, add_boot_entry, boot_number, decode_number, decode_order,
    encode_order, network_entry, our_option,
};
use mos_core::guid::Guid;

/// Heap, in bytes, for variables of 64 KiB in all at most: firmware has not more for them.
const HEAP_MAX: usize = 8 * MIB;
/// Boot options that are read.
const OPTIONS_MAX: u16 = 64;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || variables(Pieces::new(input)));
});

fn variables(mut pieces: Pieces<'_>) {
    let order = decode_order(pieces.string()).unwrap_or_default();
    assert_eq!(decode_order(&encode_order(&order)), Ok(order.clone()));
    let mut existing = Vec::new();
    for number in 0..OPTIONS_MAX {
        if pieces.is_empty() {
            break;
        }
        let file = pieces.string();
        let _ = decode_number(file);
        let _ = boot_number(&String::from_utf8_lossy(file));
        let Ok(variable) = Variable::decode(file) else {
            continue;
        };
        assert_eq!(variable.encode(), file);
        let option = LoadOption::decode(&variable.data).ok();
        if let Some(option) = &option {
            for path in &option.paths {
                let _ = path.to_string();
            }
            if let Ok(bytes) = option.encode() {
                // What is written to the firmware says the same as what was read.
                assert_eq!(LoadOption::decode(&bytes).as_ref(), Ok(option));
            }
        }
        existing.push(Existing { number, option });
    }
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    for firmware in [Firmware::UefiPxe, Firmware::UefiHttp] {
        let _ = network_entry(&existing, mac, firmware);
    }
    let guid = Guid([7; 16]);
    if let Ok(ours) = our_option(1, 2048, 1 << 20, guid, "\\EFI\\BOOT\\BOOTX64.EFI") {
        if let Ok(changes) = add_boot_entry(&existing, &order, ours) {
            assert!(changes.changes.len() <= 2 + existing.len());
        }
    }
}
