// SPDX-License-Identifier: Apache-2.0
//! The texts that dmidecode has printed over twenty years, and some that it never printed.

use super::*;
use groundstate_api::units::Bytes;

const ARRAY: &str = "Handle 0x0010, DMI type 16, 23 bytes\nPhysical Memory Array\n\tLocation: System Board Or Motherboard\n\tUse: System Memory\n\tMaximum Capacity: 9 TB\n\tNumber Of Devices: 2\n\n";

fn device(handle: u16, size: &str) -> String {
    format!(
        "Handle {handle:#06X}, DMI type 17, 84 bytes\nMemory Device\n\tArray Handle: 0x0010\n\tSize: {size}\n\tLocator: D{handle}\n\tSpeed: 2666 MT/s\n\n"
    )
    .replace("0X", "0x")
}

fn counts(text: &str) -> (usize, usize, u64) {
    let dimms = from_dmidecode_text(text.as_bytes()).unwrap();
    (dimms.populated, dimms.empty, dimms.total_mib)
}

#[test]
fn every_way_to_say_a_size() {
    for (words, expected) in [
        ("16 GB", (1, 0, 16_384)),
        ("16384 MB", (1, 0, 16_384)),
        ("1 TB", (1, 0, 1 << 20)),
        ("2048 kB", (1, 0, 2)),
        ("1 kB", (1, 0, 0)),
        ("No Module Installed", (0, 1, 0)),
        ("Not Installed", (0, 1, 0)),
        ("Unknown", (1, 0, 0)),
        ("0 MB", (1, 0, 0)),
        ("0 TB", (1, 0, 0)),
        ("lots", (1, 0, 0)),
        ("99999999999999999999 GB", (1, 0, 0)),
        ("18446744073709551615 PB", (1, 0, 0)),
    ] {
        let text = [ARRAY, &device(1, words)].concat();
        assert_eq!(counts(&text), expected, "{words}");
        let notes = from_dmidecode_text(text.as_bytes()).unwrap().notes;
        let odd = words == "lots" || words.len() > 20;
        assert_eq!(!notes.is_empty(), odd, "{words}: {notes:?}");
    }
}

#[test]
fn the_form_of_dmidecode_2_2() {
    let text = "# dmidecode 2.2\nSMBIOS 2.3 present.\n\nHandle 0x1000\n\tDMI type 16, 15 bytes.\n\tPhysical Memory Array\n\t\tLocation: System Board Or Motherboard\n\t\tUse: System Memory\n\t\tNumber Of Devices: 2\nHandle 0x1100\n\tDMI type 17, 27 bytes.\n\tMemory Device\n\t\tArray Handle: 0x1000\n\t\tSize: 512 MB\n\t\tLocator: DIMM1\n\t\tSpeed: 266 MHz (3.8 ns)\n\t\tSerial Number: 7\nHandle 0x1101\n\tDMI type 17, 27 bytes.\n\tMemory Device\n\t\tArray Handle: 0x1000\n\t\tSize: No Module Installed\n";
    let dimms = from_dmidecode_text(text.as_bytes()).unwrap();
    assert_eq!((dimms.populated, dimms.empty, dimms.total_mib), (1, 1, 512));
    assert_eq!(dimms.slots[0].slot, "DIMM1");
    assert_eq!(dimms.slots[0].speed, 266);
    assert_eq!(dimms.slots[0].serial, "7");
    assert_eq!(dimms.notes, Vec::<String>::new());
}

#[test]
fn pasted_and_exported_texts() {
    let text = [ARRAY, &device(1, "16 GB"), &device(2, "Unknown")].concat();
    let plain = (2, 0, 16_384);
    assert_eq!(counts(&text), plain);
    assert_eq!(counts(&text.replace('\n', "\r\n")), plain);
    assert_eq!(counts(&text.replace('\t', "        ")), plain);
    assert_eq!(
        counts(&format!("\u{feff}root@host:~# dmidecode\n{text}")),
        plain
    );
    assert_eq!(counts(text.trim_end()), plain);
    let warning = "Invalid entry length (0). DMI table is broken! Stop.\n\n";
    assert_eq!(counts(&[&text, warning].concat()), plain);
    let quoted = text.replace("Handle", "> Handle");
    assert_eq!(
        from_dmidecode_text(quoted.as_bytes()),
        Err(TextError::NoStructure)
    );
}

#[test]
fn what_does_not_count() {
    let flash = ARRAY
        .replace("0x0010", "0x0020")
        .replace("System Memory", "Flash Memory");
    let other = device(7, "4 MB").replace("0x0010", "0x0020");
    let lost = device(8, "8 GB").replace("0x0010", "0x0030");
    let cut = "Handle 0x0009, DMI type 17, 20 bytes\nMemory Device\n\nHandle 0x000A, DMI type 126, 84 bytes\nInactive\n\tSize: 9 GB\n\n";
    let text = [ARRAY, &flash, &device(1, "16 GB"), &other, &lost, cut].concat();
    let dimms = from_dmidecode_text(text.as_bytes()).unwrap();
    assert_eq!(
        (dimms.populated, dimms.empty, dimms.total_mib),
        (1, 0, 16_384)
    );
    assert_eq!(
        dimms.notes,
        [
            "SMBIOS memory device 0x0009 is too short to be read",
            "SMBIOS memory device D8 names the array 0x0030, which is not in the table; it is not counted"
        ]
    );
    assert_eq!(
        dimms.details.remarks,
        [
            "1 memory devices belong to arrays that are not system memory; they are not counted",
            "array 0x0010 says it has 2 slots and lists 1; the listed ones count"
        ]
    );
}

#[test]
fn memory_devices_alone_all_count() {
    let text = format!(
        "# dmidecode 3.4\n{}{}",
        device(1, "8 GB"),
        device(2, "8 GB")
    );
    assert_eq!(counts(&text), (2, 0, 16_384));
    let notes = from_dmidecode_text(text.as_bytes()).unwrap().notes;
    assert!(notes[0].contains("no memory array"), "{notes:?}");
}

#[test]
fn several_reports_are_pieces_of_one_machine_or_refused() {
    let head = "# dmidecode 3.4\nSMBIOS 3.2 present.\n\n";
    let pieces = [
        head,
        ARRAY,
        head,
        &device(1, "16 GB"),
        &device(2, "8 GB"),
        head,
        ARRAY,
        &device(1, "16 GB"),
    ];
    assert_eq!(counts(&pieces.concat()), (2, 0, 24_576));
    // One machine's handle that stands twice in one report is the firmware's doing.
    let twice = [head, ARRAY, &device(1, "16 GB"), &device(1, "8 GB")].concat();
    assert_eq!(counts(&twice), (2, 0, 24_576));
    let machines = [
        head,
        ARRAY,
        &device(1, "16 GB"),
        head,
        ARRAY,
        &device(1, "8 GB"),
    ];
    assert_eq!(
        from_dmidecode_text(machines.concat().as_bytes()),
        Err(TextError::SeveralMachines {
            reports: 2,
            handle: 1
        })
    );
}

#[test]
fn hostile_text_is_bounded() {
    assert!(matches!(
        from_dmidecode_text(&vec![b'\n'; TEXT_MAX_BYTES + 1]),
        Err(TextError::TooLarge { .. })
    ));
    assert_eq!(from_dmidecode_text(b""), Err(TextError::NoStructure));
    let long = format!("{ARRAY}\tLocator: {}\n", "A".repeat(LINE_MAX));
    let notes = from_dmidecode_text(long.as_bytes()).unwrap().notes;
    assert_eq!(
        notes,
        ["1 lines are longer than 4096 bytes; they were passed over"]
    );
    let many: String = (0..9_000u32)
        .map(|i| device(u16::try_from(i).unwrap(), "1 GB"))
        .collect();
    let dimms = from_dmidecode_text([ARRAY, &many].concat().as_bytes()).unwrap();
    assert_eq!(dimms.populated, 1_024);
    assert_eq!(dimms.notes.len(), 2, "{:?}", dimms.notes);
    for field in ["Size: ", "Locator: \x1b[31mred"] {
        let text = format!("{ARRAY}{}", device(1, "1 GB").replace("Size: 1 GB", field));
        let _ = from_dmidecode_text(text.as_bytes());
    }
}

#[test]
fn ranges_and_modules_have_values() {
    let text = format!(
        "{ARRAY}{}Handle 0x0002, DMI type 19, 31 bytes\nMemory Array Mapped Address\n\tStarting Address: 0x0000001000000000k\n\tEnding Address: 0x0000001FFFFFFFFFk\n\tRange Size: 64 GB\n\tPhysical Array Handle: 0x0010\n\nHandle 0x0003, DMI type 20, 19 bytes\nMemory Device Mapped Address\n\tStarting Address: 0x00000400000\n\tEnding Address: 0x000007FFFFF\n\tPhysical Device Handle: 0x0001\n\tMemory Array Mapped Address Handle: 0x0002\n\tInterleaved Data Depth: 2\n",
        device(1, "128 GB").trim_end().to_owned()
            + "\n\tType: Logical non-volatile device\n\tRank: 2\n\tTotal Width: 72 bits\n\tConfigured Voltage: 1.35 V\n\tMemory Technology: Intel Optane DC persistent memory\n\tNon-Volatile Size: 512 MB\n\tVolatile Size: None\n\tCache Size: Unknown\n\n"
    );
    let dimms = from_dmidecode_text(text.as_bytes()).unwrap();
    let module = &dimms.details.modules[0];
    assert_eq!(module.persistent, Some(Bytes::mib(512)));
    assert_eq!(module.volatile, Some(Bytes(0)));
    assert_eq!(module.cache, None);
    assert_eq!(
        (module.rank, module.total_width, module.millivolts),
        (Some(2), Some(72), Some(1_350))
    );
    assert_eq!(dimms.total_mib, 131_072);
    assert_eq!(dimms.ram, Bytes(0));
    let [array, of_device] = &dimms.details.ranges[..] else {
        panic!("{:?}", dimms.details.ranges)
    };
    assert_eq!((array.start, array.length()), (0x10_0000_0000, 64 << 30));
    assert_eq!(of_device.device, Some(1));
    assert_eq!(of_device.interleave, Some(2));
}
