// SPDX-License-Identifier: Apache-2.0
//! Seeded mutations of tables, dumps and texts: nothing panics, and no count contradicts itself.

use crate::garbage::table;
use hw_core::memory::{Details, Dimms, DimmsReport, from_dmidecode_text, from_smbios, locate};

/// A million where the build is optimised; without, a quarter of it in the time that a test may take.
const MUTATIONS: u64 = if cfg!(debug_assertions) {
    250_000
} else {
    1_000_000
};

/// xorshift64*, so that a failure can be had again from its number.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).unwrap() % bound.max(1)
    }
}

/// Words that mean something to a parser of tables or of text.
const WORDS: [&[u8]; 14] = [
    b"\0\0",
    b"\xff\x7f",
    b"\xff\xff\xff\xff",
    b"_SM3_",
    b"Handle 0x",
    b", DMI type 17, ",
    b"\n\n",
    b"\tSize: ",
    b"99999999999999999999 TB",
    b"\tArray Handle: 0x",
    b"# dmidecode 3.4\n",
    b"\x10",
    b"\x11",
    b"\xc3\x28",
];

fn mutate(from: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = from.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..at, word.iter().copied());
            }
            2 => {
                let end = (at + random.below(40)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(random.next() & 0xff).unwrap();
                }
            }
        }
    }
    bytes
}

fn holds_together(dimms: Dimms) {
    assert_eq!(dimms.populated + dimms.empty, dimms.slots.len());
    assert_eq!(dimms.slots.len(), dimms.details.modules.len());
    assert!(dimms.ram.0 >> 20 <= dimms.total_mib.max(dimms.ram.0 >> 20));
    let clean = |text: &str| text.is_ascii() && text.len() <= 128;
    assert!(
        dimms
            .slots
            .iter()
            .all(|d| clean(&d.slot) && clean(&d.serial))
    );
    let _ = locate(&dimms.slots, &dimms.details, 0x1_0000);
}

fn seeds() -> Vec<Vec<u8>> {
    let table = table();
    let mut dump = vec![0u8; 32];
    dump[..5].copy_from_slice(b"_SM3_");
    (dump[6], dump[7], dump[8], dump[12], dump[13], dump[16]) = (24, 3, 2, 0xff, 0xff, 32);
    dump[5] = dump[..24].iter().fold(0u8, |sum, b| sum.wrapping_sub(*b));
    dump.extend(&table);
    let text = "# dmidecode 3.4\nSMBIOS 3.2 present.\n\nHandle 0x0010, DMI type 16, 23 bytes\nPhysical Memory Array\n\tUse: System Memory\n\tNumber Of Devices: 2\n\nHandle 0x0011, DMI type 17, 84 bytes\nMemory Device\n\tArray Handle: 0x0010\n\tSize: 16 GB\n\tLocator: A1\n\tSpeed: 2666 MT/s\n\tConfigured Voltage: 1.2 V\n\tVolatile Size: 16 GB\n\nHandle 0x0012, DMI type 20, 19 bytes\nMemory Device Mapped Address\n\tStarting Address: 0x00000000000\n\tEnding Address: 0x003FFFFFFFF\n\tPhysical Device Handle: 0x0011\n";
    let old = "Handle 0x1000\n\tDMI type 16, 15 bytes.\n\tPhysical Memory Array\n\t\tUse: System Memory\nHandle 0x1100\n\tDMI type 17, 27 bytes.\n\tMemory Device\n\t\tArray Handle: 0x1000\n\t\tSize: 512 MB\n";
    vec![table, dump, text.into(), old.into()]
}

#[test]
fn a_million_mutations() {
    let seeds = seeds();
    let (mut read, mut refused) = (0u64, 0u64);
    for number in 0..MUTATIONS {
        let mut random = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let seed = &seeds[random.below(seeds.len())];
        let bytes = mutate(seed, &mut random);
        for dimms in [from_smbios(&bytes).ok(), from_dmidecode_text(&bytes).ok()] {
            match dimms {
                Some(dimms) => {
                    read += 1;
                    holds_together(dimms);
                }
                None => refused += 1,
            }
        }
    }
    assert!(read > MUTATIONS / 2 && refused > 0);
    println!("{MUTATIONS} mutations: {read} readings, {refused} refusals, no panic");
    // A report can be made of nothing too.
    assert_eq!(DimmsReport::from(Dimms::default()).slots, []);
    assert_eq!(Details::default().modules, []);
}
