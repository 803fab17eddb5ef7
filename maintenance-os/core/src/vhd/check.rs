// SPDX-License-Identifier: Apache-2.0
//! Looks at all of a VHD and lists what is wrong, without changing it.

use super::SECTOR;
use super::error::VhdError;
use super::fault::{FAULTS_MAX, Fault};
use super::footer::Kind;
use super::open::Vhd;
use crate::random_access::ReadAt;
use alloc::vec;
use alloc::vec::Vec;

/// Every fault of the file, at most [`FAULTS_MAX`]; none is the whole and sound file. The parent of a differencing VHD
/// is not looked at.
///
/// # Errors
/// A refusal where the file is not recognised as a VHD at all, or the source's.
pub fn check<S: ReadAt>(source: S) -> Result<Vec<Fault>, VhdError<S::Error>> {
    let mut vhd = Vhd::examine(source)?;
    let mut faults = vhd.faults().to_vec();
    let sound = !faults.iter().any(Fault::is_serious);
    if sound && vhd.footer.kind == Kind::Dynamic {
        hidden(&mut vhd, &mut faults)?;
    }
    Ok(faults)
}

/// Finds bytes under bits that are not set, one sector of each block that has any.
fn hidden<S: ReadAt>(vhd: &mut Vhd<S>, faults: &mut Vec<Fault>) -> Result<(), VhdError<S::Error>> {
    let Vhd {
        source,
        footer,
        blocks: Some(blocks),
        ..
    } = vhd
    else {
        return Ok(());
    };
    let size = blocks.header.block_size;
    let mut block = 0;
    while block < blocks.count && faults.len() < FAULTS_MAX {
        let Some(sector) = blocks.table.entry(source, block)? else {
            block += blocks.table.free_run(source, block, u32::MAX)?;
            continue;
        };
        let at = u64::from(sector) * SECTOR;
        let has = size.min(footer.size.0 - u64::from(block) * size);
        let sectors = u32::try_from(has / SECTOR).unwrap_or(u32::MAX);
        let data = at + blocks.bitmaps.length();
        let bits = blocks.bitmaps.bits(source, block, at)?;
        let mut first = 0;
        while first < sectors {
            let (set, run) = bits.run(first, sectors - first);
            if !set && let Some(sector) = first_byte(source, data, first, run)? {
                faults.push(Fault::HiddenData { block, sector });
                break;
            }
            first += run;
        }
        block += 1;
    }
    Ok(())
}

/// The first of `run` sectors that is not zero. Read in pieces of 64 KiB at most.
fn first_byte<S: ReadAt>(
    source: &mut S,
    data: u64,
    first: u32,
    run: u32,
) -> Result<Option<u32>, VhdError<S::Error>> {
    const PIECE: u32 = 128;
    let mut bytes = vec![0u8; PIECE as usize * 512];
    let mut done = 0;
    while done < run {
        let count = PIECE.min(run - done);
        bytes.truncate(count as usize * 512);
        source
            .read_at(data + u64::from(first + done) * SECTOR, &mut bytes)
            .map_err(VhdError::Io)?;
        if let Some(place) = bytes.iter().position(|byte| *byte != 0) {
            let sector = u32::try_from(place / 512).unwrap_or_default();
            return Ok(Some(first + done + sector));
        }
        done += count;
    }
    Ok(None)
}
