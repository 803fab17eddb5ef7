// SPDX-License-Identifier: Apache-2.0
//! An ISO 9660 image (ECMA-119) that UEFI boots as a CD (El Torito) and as a USB stick (an MBR with an EFI system partition).
//!
//! It holds one FAT image and nothing that an operating system would need; the same input gives the same bytes. It refuses what
//! does not fit into 32-bit sector numbers.

use alloc::vec;
use alloc::vec::Vec;

/// Bytes of a sector of a CD.
pub const SECTOR: usize = 2_048;
/// Bytes of a sector of a disk.
const DISK_SECTOR: u32 = 512;
const PRIMARY: usize = 16;
const BOOT_RECORD: usize = 17;
const TERMINATOR: usize = 18;
const PATHS_LITTLE: u32 = 19;
const PATHS_BIG: u32 = 20;
const ROOT: u32 = 21;
const CATALOGUE: u32 = 22;
const README: u32 = 23;
const ESP: u32 = 24;
/// Bytes of the path table: the root alone.
const PATH_TABLE_BYTES: u32 = 10;
/// Platform of an El Torito entry: UEFI (UEFI 2.10, section 13.3.2).
const PLATFORM_EFI: u8 = 0xef;
/// MBR partition type: EFI system partition.
const PARTITION_EFI: u8 = 0xef;
/// What a person reads who looks into it.
const README_TEXT: &[u8] =
    b"Groundstate maintenance OS of one site. Boot a UEFI machine from this.\r\n";

/// Why no image can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IsoError {
    /// The FAT image is too large.
    #[error("an image of {bytes} bytes does not fit into an ISO with 32-bit sector numbers")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
    },
    /// The FAT image is not a whole number of sectors.
    #[error("an image of {bytes} bytes is not a whole number of sectors of {SECTOR}")]
    Uneven {
        /// Its bytes.
        bytes: usize,
    },
    /// The volume's name cannot be written.
    #[error("a volume's name is 1 to 32 of A-Z, 0-9 and '_'")]
    Volume,
}

/// The image around a FAT image that holds `EFI/BOOT/BOOTX64.EFI`.
///
/// # Errors
/// What does not fit.
pub fn iso(volume: &str, esp: &[u8]) -> Result<Vec<u8>, IsoError> {
    let name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if volume.is_empty() || volume.len() > 32 || !volume.chars().all(name) {
        return Err(IsoError::Volume);
    }
    let bytes = esp.len();
    if bytes == 0 || !bytes.is_multiple_of(SECTOR) {
        return Err(IsoError::Uneven { bytes });
    }
    let length = u32::try_from(bytes).map_err(|_| IsoError::TooLarge { bytes })?;
    let sectors = u32::try_from(bytes / SECTOR)
        .ok()
        .and_then(|esp| esp.checked_add(ESP))
        .ok_or(IsoError::TooLarge { bytes })?;
    let mut head = vec![Vec::new(); usize::try_from(ESP).unwrap_or(0)];
    let mut put = |at: usize, bytes: Vec<u8>| {
        if let Some(place) = head.get_mut(at) {
            *place = bytes;
        }
    };
    let index = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
    put(0, partition_table(length / DISK_SECTOR));
    put(PRIMARY, primary(volume, sectors));
    put(BOOT_RECORD, boot_record());
    put(TERMINATOR, b"\xffCD001\x01".to_vec());
    put(index(PATHS_LITTLE), paths(ROOT.to_le_bytes(), [1, 0]));
    put(index(PATHS_BIG), paths(ROOT.to_be_bytes(), [0, 1]));
    put(index(ROOT), root(length));
    put(index(CATALOGUE), catalogue(length / DISK_SECTOR));
    put(index(README), README_TEXT.to_vec());
    let mut image = Vec::with_capacity(index(ESP) * SECTOR + bytes);
    for mut sector in head {
        sector.resize(SECTOR, 0);
        image.append(&mut sector);
    }
    image.extend_from_slice(esp);
    Ok(image)
}

/// For firmware that sees a disk: one partition, the FAT image.
fn partition_table(sectors: u32) -> Vec<u8> {
    let mut table = vec![0; 446];
    let first = ESP * (u32::try_from(SECTOR).unwrap_or(0) / DISK_SECTOR);
    // Cylinders, heads and sectors that nobody reads any more.
    table.extend([0, 0xfe, 0xff, 0xff, PARTITION_EFI, 0xfe, 0xff, 0xff]);
    table.extend(first.to_le_bytes());
    table.extend(sectors.to_le_bytes());
    table.resize(510, 0);
    table.extend([0x55, 0xaa]);
    table
}

fn both16(value: u16) -> impl Iterator<Item = u8> {
    value.to_le_bytes().into_iter().chain(value.to_be_bytes())
}

fn both32(value: u32) -> impl Iterator<Item = u8> {
    value.to_le_bytes().into_iter().chain(value.to_be_bytes())
}

fn padded(into: &mut Vec<u8>, text: &str, length: usize) {
    let end = into.len() + length;
    into.extend(text.as_bytes());
    into.resize(end, b' ');
}

/// ECMA-119, 8.4.
fn primary(volume: &str, sectors: u32) -> Vec<u8> {
    let mut out = b"\x01CD001\x01\x00".to_vec();
    padded(&mut out, "", 32);
    padded(&mut out, volume, 32);
    out.extend([0; 8]);
    out.extend(both32(sectors));
    out.extend([0; 32]);
    out.extend(both16(1));
    out.extend(both16(1));
    out.extend(both16(u16::try_from(SECTOR).unwrap_or(0)));
    out.extend(both32(PATH_TABLE_BYTES));
    out.extend(PATHS_LITTLE.to_le_bytes());
    out.extend([0; 4]);
    out.extend(PATHS_BIG.to_be_bytes());
    out.extend([0; 4]);
    out.extend(record(&[0], ROOT, u32::try_from(SECTOR).unwrap_or(0), true));
    // Volume set, publisher, data preparer, application; copyright, abstract and bibliographic file.
    padded(&mut out, "", 128 * 2);
    padded(&mut out, "GROUNDSTATE", 128);
    padded(&mut out, "GROUNDSTATE", 128);
    padded(&mut out, "", 37 * 3);
    // Made, changed, not valid after, valid from: not said, so that the same input gives the same bytes.
    for _ in 0..4 {
        out.extend([b'0'; 16]);
        out.push(0);
    }
    out.push(1);
    out
}

/// El Torito 1.0, figure 7.
fn boot_record() -> Vec<u8> {
    let mut out = b"\x00CD001\x01EL TORITO SPECIFICATION".to_vec();
    out.resize(0x47, 0);
    out.extend(CATALOGUE.to_le_bytes());
    out
}

/// El Torito 1.0, section 2: a validation entry and the default entry.
fn catalogue(disk_sectors: u32) -> Vec<u8> {
    let mut out = vec![1, PLATFORM_EFI, 0, 0];
    out.resize(28, 0);
    let sum = |bytes: &[u8]| {
        bytes
            .chunks_exact(2)
            .map(|pair| {
                u16::from_le_bytes([
                    pair.first().copied().unwrap_or(0),
                    pair.get(1).copied().unwrap_or(0),
                ])
            })
            .fold(0u16, u16::wrapping_add)
    };
    let rest = sum(&out).wrapping_add(0xaa55);
    out.extend(0u16.wrapping_sub(rest).to_le_bytes());
    out.extend([0x55, 0xaa]);
    // Bootable, no emulation, and how many sectors of 512 bytes; 0 means all that follows.
    out.extend([0x88, 0, 0, 0, 0, 0]);
    out.extend(u16::try_from(disk_sectors).unwrap_or(0).to_le_bytes());
    out.extend(ESP.to_le_bytes());
    out
}

/// The path table: the root directory.
fn paths(place: [u8; 4], parent: [u8; 2]) -> Vec<u8> {
    let mut out = vec![1, 0];
    out.extend(place);
    out.extend(parent);
    out.extend([0, 0]);
    out
}

fn root(esp_bytes: u32) -> Vec<u8> {
    let sector = u32::try_from(SECTOR).unwrap_or(0);
    let readme = u32::try_from(README_TEXT.len()).unwrap_or(0);
    let mut out = record(&[0], ROOT, sector, true);
    out.extend(record(&[1], ROOT, sector, true));
    out.extend(record(b"BOOT.CAT;1", CATALOGUE, sector, false));
    out.extend(record(b"EFI.IMG;1", ESP, esp_bytes, false));
    out.extend(record(b"README.TXT;1", README, readme, false));
    out
}

/// ECMA-119, 9.1.
fn record(name: &[u8], place: u32, bytes: u32, is_folder: bool) -> Vec<u8> {
    let name_length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    let pad = u8::from(name_length.is_multiple_of(2));
    let mut out = vec![33 + name_length + pad, 0];
    out.extend(both32(place));
    out.extend(both32(bytes));
    // 1980-01-01 00:00:00, as FAT's earliest.
    out.extend([80, 1, 1, 0, 0, 0, 0]);
    out.extend([u8::from(is_folder) * 2, 0, 0]);
    out.extend(both16(1));
    out.push(name_length);
    out.extend(name);
    out.extend((0..pad).map(|_| 0));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogues_sum_is_zero_and_points_at_the_fat_image() {
        let esp = vec![7; SECTOR * 3];
        let image = iso("GROUNDSTATE", &esp).unwrap();
        assert_eq!(image.len() % SECTOR, 0);
        let at = usize::try_from(CATALOGUE).unwrap() * SECTOR;
        let entry = &image[at..at + 32];
        let sum = entry
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .fold(0u16, u16::wrapping_add);
        assert_eq!(sum, 0);
        let place = u32::from_le_bytes(image[at + 40..at + 44].try_into().unwrap());
        let from = usize::try_from(place).unwrap() * SECTOR;
        assert_eq!(&image[from..], esp);
        assert_eq!(&image[510..512], [0x55, 0xaa]);
        assert_eq!(iso("GROUNDSTATE", &esp).unwrap(), image);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(iso("", &[0; SECTOR]), Err(IsoError::Volume));
        assert_eq!(iso("lower", &[0; SECTOR]), Err(IsoError::Volume));
        assert_eq!(iso("A", &[0; 100]), Err(IsoError::Uneven { bytes: 100 }));
        assert_eq!(iso("A", &[]), Err(IsoError::Uneven { bytes: 0 }));
    }
}
