// SPDX-License-Identifier: Apache-2.0
//! The physical address behind one of our own, from `/proc/self/pagemap`. The kernel tells it to root only.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

const FILE: &str = "/proc/self/pagemap";
/// Bits 0 to 54: the page frame's number.
const FRAME: u64 = (1 << 55) - 1;
/// Bit 63: the page is in memory.
const PRESENT: u64 = 1 << 63;

/// The physical address, or why it is not known.
pub(super) fn physical(address: u64) -> Result<u64, String> {
    let page = super::region::page_size();
    let mut entry = [0u8; 8];
    File::open(FILE)
        .and_then(|file| file.read_exact_at(&mut entry, address / page * 8))
        .map_err(|error| format!("{FILE}: {error}"))?;
    of_entry(u64::from_ne_bytes(entry), address % page, page)
}

fn of_entry(entry: u64, inside: u64, page: u64) -> Result<u64, String> {
    if entry & PRESENT == 0 {
        return Err("the page is not in memory".into());
    }
    match entry & FRAME {
        0 => Err(format!("{FILE} tells page frames to root only")),
        frame => Ok(frame * page + inside),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_frames() {
        assert_eq!(of_entry(PRESENT | 0x1234, 0x567, 4_096), Ok(0x0123_4567));
        assert!(of_entry(PRESENT, 0, 4_096).unwrap_err().contains("root"));
        assert!(of_entry(0x1234, 0, 4_096).is_err());
    }
}
