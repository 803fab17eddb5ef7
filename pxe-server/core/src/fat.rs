// SPDX-License-Identifier: Apache-2.0
//! A FAT16 image that holds one file, `EFI/BOOT/BOOTX64.EFI`, in one piece: what UEFI boots from a medium that can be taken out.
//!
//! It writes and never reads, and the same file gives the same bytes. It refuses what FAT16 cannot hold.

use alloc::vec;
use alloc::vec::Vec;

/// Bytes of a sector.
const SECTOR: usize = 512;
/// What the image is a multiple of: a sector of a CD.
const MULTIPLE: usize = 2_048;
/// Fewer clusters would be FAT12, with a margin for readers that draw the line elsewhere.
const CLUSTERS_MIN: usize = 4_200;
/// More would be FAT32, with the same margin.
const CLUSTERS_MAX: usize = 65_400;
/// Sectors of the largest cluster that every reader takes.
const CLUSTER_MAX: usize = 64;
/// Entries of the root folder.
const ROOT_ENTRIES: usize = 512;
/// Bytes of an entry.
const ENTRY: usize = 32;
/// Where the folder `EFI` lies.
const EFI: u16 = 2;
/// Where the folder `BOOT` lies.
const BOOT: u16 = 3;
/// Where the file begins.
const FILE: u16 = 4;
const END: u16 = 0xffff;
const FOLDER: u8 = 0x10;
const PLAIN: u8 = 0x20;
/// 1980-01-01, the earliest day: the same file gives the same bytes.
const DAY: u16 = 0x0021;

/// The file is too large for FAT16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a boot program of {bytes} bytes does not fit into a FAT16 image")]
pub struct FatError {
    /// Its bytes.
    pub bytes: usize,
}

/// The image with `program` in it.
///
/// # Errors
/// When it does not fit.
pub fn fat(program: &[u8]) -> Result<Vec<u8>, FatError> {
    let bytes = program.len();
    let too_large = FatError { bytes };
    let length = u32::try_from(bytes).map_err(|_| too_large)?;
    let mut per_cluster = 1;
    let needed = |per: usize| bytes.div_ceil(per * SECTOR).max(1) + usize::from(FILE - EFI);
    while needed(per_cluster) > CLUSTERS_MAX {
        per_cluster *= 2;
        if per_cluster > CLUSTER_MAX {
            return Err(too_large);
        }
    }
    let clusters = needed(per_cluster).max(CLUSTERS_MIN);
    let table_sectors = ((clusters + 2) * 2).div_ceil(SECTOR);
    let sectors = 1 + 2 * table_sectors + ROOT_ENTRIES * ENTRY / SECTOR + clusters * per_cluster;
    let sectors = (sectors * SECTOR).next_multiple_of(MULTIPLE) / SECTOR;
    let mut image = head(per_cluster, table_sectors, sectors).ok_or(too_large)?;
    let table = table(needed(per_cluster), table_sectors).ok_or(too_large)?;
    image.extend_from_slice(&table);
    image.extend_from_slice(&table);
    let root = [label(), entry(b"EFI        ", FOLDER, EFI, 0)].concat();
    extend_to(&mut image, &root, ROOT_ENTRIES * ENTRY);
    let dots = |own, above| {
        [
            entry(b".          ", FOLDER, own, 0),
            entry(b"..         ", FOLDER, above, 0),
        ]
        .concat()
    };
    let efi = [dots(EFI, 0), entry(b"BOOT       ", FOLDER, BOOT, 0)].concat();
    extend_to(&mut image, &efi, per_cluster * SECTOR);
    let boot = [dots(BOOT, EFI), entry(b"BOOTX64 EFI", PLAIN, FILE, length)].concat();
    extend_to(&mut image, &boot, per_cluster * SECTOR);
    image.extend_from_slice(program);
    image.resize(sectors * SECTOR, 0);
    Ok(image)
}

fn extend_to(image: &mut Vec<u8>, bytes: &[u8], length: usize) {
    let end = image.len() + length;
    image.extend_from_slice(bytes);
    image.resize(end, 0);
}

/// The boot sector.
fn head(per_cluster: usize, table_sectors: usize, sectors: usize) -> Option<Vec<u8>> {
    let mut out = vec![0xeb, 0x3c, 0x90];
    out.extend(b"GRNDSTAT");
    out.extend(u16::try_from(SECTOR).ok()?.to_le_bytes());
    out.push(u8::try_from(per_cluster).ok()?);
    out.extend(1u16.to_le_bytes());
    out.push(2);
    out.extend(u16::try_from(ROOT_ENTRIES).ok()?.to_le_bytes());
    // Few sectors stand in a field of 16 bits, many in one of 32.
    let few = u16::try_from(sectors).unwrap_or(0);
    out.extend(few.to_le_bytes());
    out.push(0xf8);
    out.extend(u16::try_from(table_sectors).ok()?.to_le_bytes());
    out.extend([32, 0, 64, 0]);
    out.extend([0; 4]);
    let many = if few == 0 {
        u32::try_from(sectors).ok()?
    } else {
        0
    };
    out.extend(many.to_le_bytes());
    out.extend([0x80, 0, 0x29]);
    out.extend(0x6773_0001u32.to_le_bytes());
    out.extend(b"GROUNDSTATEFAT16   ");
    out.resize(SECTOR - 2, 0);
    out.extend([0x55, 0xaa]);
    Some(out)
}

/// The chains: each folder has one cluster, the file has the rest of the used ones.
fn table(used: usize, table_sectors: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(table_sectors * SECTOR);
    for value in [0xfff8, END, END, END] {
        out.extend(u16::to_le_bytes(value));
    }
    let last = EFI.checked_add(u16::try_from(used).ok()?)?.checked_sub(1)?;
    for cluster in FILE..=last {
        let next = if cluster == last { END } else { cluster + 1 };
        out.extend(next.to_le_bytes());
    }
    out.resize(table_sectors * SECTOR, 0);
    Some(out)
}

fn entry(name: &[u8; 11], kind: u8, cluster: u16, bytes: u32) -> Vec<u8> {
    let mut out = name.to_vec();
    out.extend([kind, 0, 0, 0, 0]);
    out.extend(DAY.to_le_bytes());
    out.extend(DAY.to_le_bytes());
    out.extend([0; 4]);
    out.extend(DAY.to_le_bytes());
    out.extend(cluster.to_le_bytes());
    out.extend(bytes.to_le_bytes());
    out
}

fn label() -> Vec<u8> {
    entry(b"GROUNDSTATE", 0x08, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_gives_whole_sectors_and_too_much_is_refused() {
        for bytes in [0, 1, 511, 3_000_000, 40_000_000] {
            let image = fat(&vec![1; bytes]).unwrap();
            assert!(image.len().is_multiple_of(MULTIPLE));
            assert!(image.len() > bytes);
        }
    }
}
