// SPDX-License-Identifier: Apache-2.0
//! An image as the fuzz targets read one (`tests/fuzz/src/sparse.rs`): its length in sectors, then what is not zero.

/// Bytes of a sector.
const SECTOR: usize = 512;
/// Offset and length before each piece, in bytes.
const HEAD: usize = 6;

/// The image in at most `most` bytes: its last sector, where a VHD has its footer and a GPT its copy, and then its other
/// sectors that are not zero, from the first on, as far as they fit.
pub(super) fn encode(image: &[u8], most: usize) -> Option<Vec<u8>> {
    let length = u32::try_from(image.len() / SECTOR).ok()?;
    let mut out = length.to_le_bytes().to_vec();
    let last = image.len().checked_sub(SECTOR)?;
    put(&mut out, last, image.get(last..)?)?;
    for (number, sector) in image.chunks_exact(SECTOR).enumerate() {
        let is_zero = sector.iter().all(|byte| *byte == 0);
        if !is_zero && number * SECTOR != last {
            // Zeros at a sector's end are what is there anyway.
            let used = sector.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
            if out.len() + HEAD + used > most {
                break;
            }
            put(&mut out, number * SECTOR, sector.get(..used)?)?;
        }
    }
    Some(out)
}

fn put(out: &mut Vec<u8>, at: usize, bytes: &[u8]) -> Option<()> {
    out.extend_from_slice(&u32::try_from(at).ok()?.to_le_bytes());
    out.extend_from_slice(&u16::try_from(bytes.len()).ok()?.to_le_bytes());
    out.extend_from_slice(bytes);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_comes_first_and_holes_are_left_out() {
        let mut image = vec![0; 4 * SECTOR];
        image[2 * SECTOR] = 7;
        image[4 * SECTOR - 1] = 9;
        let encoded = encode(&image, 4096).unwrap();
        assert_eq!(encoded[..10], [4, 0, 0, 0, 0, 6, 0, 0, 0, 2]);
        assert_eq!(encoded[10 + SECTOR - 1], 9);
        assert_eq!(encoded[10 + SECTOR..], [0, 4, 0, 0, 1, 0, 7]);
        assert_eq!(encode(&image, 600).unwrap().len(), 10 + SECTOR + 7);
        assert_eq!(encode(&image, 528).unwrap().len(), 10 + SECTOR);
        assert_eq!(encode(&[], 600), None);
    }
}
