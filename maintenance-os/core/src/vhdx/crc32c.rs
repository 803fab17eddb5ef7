// SPDX-License-Identifier: Apache-2.0
//! CRC-32C (Castagnoli, RFC 3720 appendix B.4), which guards headers, region tables and log entries.
//!
//! Eight tables computed at compile time take eight bytes a step. The crates that have it want `std` (`crc32c`) or a
//! whole catalogue of polynomials; `crc32fast`, which the workspace has, knows only the other polynomial.

/// The reflected polynomial 0x1EDC6F41.
const POLYNOMIAL: u32 = 0x82f6_3b78;
static TABLES: [[u32; 256]; 8] = tables();

/// A running checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crc32c(u32);

impl Crc32c {
    pub(super) const fn new() -> Self {
        Self(u32::MAX)
    }

    /// The checksum of a structure whose own checksum field, four bytes at `field`, counts as zero.
    pub(super) fn without_field(bytes: &[u8], field: usize) -> u32 {
        let (before, rest) = bytes.split_at(field.min(bytes.len()));
        let after = rest.get(4..).unwrap_or_default();
        Self::new()
            .update(before)
            .update(&[0; 4])
            .update(after)
            .finish()
    }

    #[allow(clippy::indexing_slicing)] // A byte cannot lie outside a table of 256.
    pub(super) fn update(self, bytes: &[u8]) -> Self {
        let mut crc = self.0;
        let (steps, rest) = bytes.as_chunks::<8>();
        for &[a, b, c, d, e, f, g, h] in steps {
            let [p, q, r, s] = (crc ^ u32::from_le_bytes([a, b, c, d])).to_le_bytes();
            crc = TABLES[7][usize::from(p)]
                ^ TABLES[6][usize::from(q)]
                ^ TABLES[5][usize::from(r)]
                ^ TABLES[4][usize::from(s)]
                ^ TABLES[3][usize::from(e)]
                ^ TABLES[2][usize::from(f)]
                ^ TABLES[1][usize::from(g)]
                ^ TABLES[0][usize::from(h)];
        }
        for byte in rest {
            let [low, ..] = crc.to_le_bytes();
            crc = crc >> 8 ^ TABLES[0][usize::from(low ^ byte)];
        }
        Self(crc)
    }

    pub(super) const fn finish(self) -> u32 {
        !self.0
    }
}

#[allow(clippy::indexing_slicing)] // Checked by the compiler, which runs it.
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    let mut first = 0;
    while byte < 256 {
        let mut crc: u32 = first;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
        first += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let last = tables[table - 1][byte];
            tables[table][byte] = last >> 8 ^ tables[0][(last & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of the catalogue of parametrised CRC algorithms (CRC-32/ISCSI) and those of RFC 3720 B.4.
    #[test]
    fn published_values_come_out() {
        let crc = |bytes: &[u8]| Crc32c::new().update(bytes).finish();
        assert_eq!(crc(b"123456789"), 0xe306_9283);
        assert_eq!(crc(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc(&[0xff; 32]), 0x62a8_ab43);
        let pieces = Crc32c::new().update(b"1234").update(b"56789").finish();
        assert_eq!(pieces, 0xe306_9283);
        assert_eq!(
            Crc32c::without_field(b"12\0\0\0\x001", 2),
            crc(b"12\0\0\0\x001")
        );
        assert_eq!(Crc32c::without_field(b"12abcd1", 2), crc(b"12\0\0\0\x001"));
    }
}
