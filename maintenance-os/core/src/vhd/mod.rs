// SPDX-License-Identifier: Apache-2.0
//! The footer of a fixed Virtual Hard Disk (Microsoft, "Virtual Hard Disk Image Format Specification", 1.0, 2006).
//!
//! A fixed VHD is the disk's bytes followed by this footer. This module makes and reads footers; it refuses every
//! other kind of VHD (dynamic, differencing) and touches no file.

mod geometry;

pub use geometry::Geometry;

use groundstate_api::Bytes;
use thiserror::Error;

/// Length of the footer in bytes.
pub const FOOTER_LEN: usize = 512;
/// The largest disk that QEMU and the CHS field admit: 0xff00_0000 sectors of 512 bytes (qemu `VHD_MAX_SECTORS`).
pub const SIZE_MAX: Bytes = Bytes::gib(2040);

const COOKIE: &[u8; 8] = b"conectix";
/// Feature bit 1 is reserved and must always be set.
const FEATURES: u32 = 2;
const VERSION: u32 = 0x0001_0000;
/// A fixed disk has no next structure.
const NO_DATA: u64 = u64::MAX;
/// QEMU takes a disk's size from the geometry unless the creator is one that it knows writes exact sizes; `win ` is
/// what Hyper-V writes, and QEMU and libvhdi then both take the size field.
const CREATOR: &[u8; 4] = b"win ";
const CREATOR_VERSION: u32 = 0x000a_0000;
const CREATOR_HOST: &[u8; 4] = b"Wi2k";
const TYPE_FIXED: u32 = 2;
const CHECKSUM_AT: usize = 64;

/// What the footer of a fixed VHD says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// The size that a virtual machine sees; a multiple of 512.
    pub size: Bytes,
    /// The unique id, in the order of its text.
    pub id: [u8; 16],
    /// Seconds since 2000-01-01 00:00 UTC.
    pub timestamp: u32,
}

/// Why bytes are not the footer of a fixed VHD that we would write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FooterError {
    /// The size cannot be in a fixed VHD.
    #[error("a VHD of {0:?} is not a multiple of 512 bytes between 1 sector and 2,040 GiB")]
    Size(Bytes),
    /// Not as long as a footer.
    #[error("{0} bytes are not a footer of 512 bytes")]
    Length(usize),
    /// The cookie is not `conectix`.
    #[error("no `conectix` at the footer's start")]
    Cookie,
    /// The one's complement sum differs.
    #[error("the footer says checksum {said:08x} and its bytes add up to {sum:08x}")]
    Checksum {
        /// In the footer.
        said: u32,
        /// Of its bytes.
        sum: u32,
    },
    /// A version other than 1.0.
    #[error("VHD version {0:08x} is not 1.0")]
    Version(u32),
    /// Dynamic (3), differencing (4) or unknown.
    #[error("VHD type {0} is not fixed (2)")]
    Kind(u32),
}

impl Footer {
    /// A footer for a disk of `size`.
    ///
    /// # Errors
    /// [`FooterError::Size`] where the size is zero, above [`SIZE_MAX`] or not a multiple of 512.
    pub fn new(size: Bytes, id: [u8; 16], timestamp: u32) -> Result<Self, FooterError> {
        if size.0 == 0 || size > SIZE_MAX || !size.0.is_multiple_of(512) {
            return Err(FooterError::Size(size));
        }
        Ok(Self {
            size,
            id,
            timestamp,
        })
    }

    /// The disk's cylinders, heads and sectors per track.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        Geometry::of(self.size)
    }

    /// The 512 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; FOOTER_LEN] {
        let mut out = [0u8; FOOTER_LEN];
        let size = self.size.0.to_be_bytes();
        let fields: [(usize, &[u8]); 13] = [
            (0, COOKIE),
            (8, &FEATURES.to_be_bytes()),
            (12, &VERSION.to_be_bytes()),
            (16, &NO_DATA.to_be_bytes()),
            (24, &self.timestamp.to_be_bytes()),
            (28, CREATOR),
            (32, &CREATOR_VERSION.to_be_bytes()),
            (36, CREATOR_HOST),
            (40, &size),
            (48, &size),
            (56, &self.geometry().bytes()),
            (60, &TYPE_FIXED.to_be_bytes()),
            (68, &self.id),
        ];
        for (at, bytes) in fields {
            put(&mut out, at, bytes);
        }
        let sum = checksum(&out).to_be_bytes();
        put(&mut out, CHECKSUM_AT, &sum);
        out
    }

    /// Reads a footer.
    ///
    /// # Errors
    /// A variant of [`FooterError`] per way in which it is not the footer of a fixed VHD.
    pub fn decode(bytes: &[u8]) -> Result<Self, FooterError> {
        let bytes: &[u8; FOOTER_LEN] = bytes
            .try_into()
            .map_err(|_| FooterError::Length(bytes.len()))?;
        if field::<8>(bytes, 0) != *COOKIE {
            return Err(FooterError::Cookie);
        }
        let (said, sum) = (word(bytes, CHECKSUM_AT), checksum(bytes));
        if said != sum {
            return Err(FooterError::Checksum { said, sum });
        }
        let (version, kind) = (word(bytes, 12), word(bytes, 60));
        if version != VERSION {
            return Err(FooterError::Version(version));
        }
        if kind != TYPE_FIXED {
            return Err(FooterError::Kind(kind));
        }
        let size = Bytes(u64::from_be_bytes(field(bytes, 48)));
        Self::new(size, field(bytes, 68), word(bytes, 24))
    }
}

/// The one's complement of the sum of every byte but those of the checksum itself.
fn checksum(bytes: &[u8; FOOTER_LEN]) -> u32 {
    let sum = bytes
        .iter()
        .enumerate()
        .filter(|(at, _)| !(CHECKSUM_AT..CHECKSUM_AT + 4).contains(at))
        .fold(0u32, |sum, (_, byte)| sum + u32::from(*byte));
    !sum
}

fn put(out: &mut [u8; FOOTER_LEN], at: usize, bytes: &[u8]) {
    for (to, from) in out.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

fn field<const N: usize>(bytes: &[u8; FOOTER_LEN], at: usize) -> [u8; N] {
    let mut out = [0u8; N];
    for (to, from) in out.iter_mut().zip(bytes.iter().skip(at)) {
        *to = *from;
    }
    out
}

fn word(bytes: &[u8; FOOTER_LEN], at: usize) -> u32 {
    u32::from_be_bytes(field(bytes, at))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(sectors in 1u64..=0xff00_0000, id: [u8; 16], timestamp: u32) {
            let footer = Footer::new(Bytes(sectors * 512), id, timestamp).unwrap();
            prop_assert_eq!(Footer::decode(&footer.encode()), Ok(footer));
        }

        #[test]
        fn a_changed_byte_is_noticed(at in 0usize..FOOTER_LEN, by in 1u8..=255) {
            let mut bytes = Footer::new(Bytes::mib(64), [7; 16], 0).unwrap().encode();
            bytes[at] = bytes[at].wrapping_add(by);
            prop_assert!(Footer::decode(&bytes).is_err());
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        for size in [0, 511, 2040 * (1 << 30) + 512] {
            let size = Bytes(size);
            assert_eq!(Footer::new(size, [0; 16], 0), Err(FooterError::Size(size)));
        }
        assert_eq!(Footer::decode(&[0; 100]), Err(FooterError::Length(100)));
        assert_eq!(Footer::decode(&[0; 512]), Err(FooterError::Cookie));
    }

    /// QEMU rounds a disk to its geometry unless it believes the creator: every size must come back exact.
    #[test]
    fn qemu_reads_every_size_exactly() {
        use std::os::unix::fs::FileExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vm-0.vhd");
        for mib in [
            1, 3, 4, 31, 64, 100, 504, 1_023, 1_024, 4_095, 40_960, 130_557, 130_561, 1_048_576,
            2_088_960,
        ] {
            let size = Bytes::mib(mib);
            let file = std::fs::File::create(&path).unwrap();
            let footer = Footer::new(size, [9; 16], 0).unwrap();
            file.write_all_at(&footer.encode(), size.0).unwrap();
            let output = std::process::Command::new("qemu-img")
                .args(["info", "-f", "vpc", "--output", "json"])
                .arg(&path)
                .output()
                .unwrap();
            assert!(output.status.success(), "{mib} MiB: {output:?}");
            let info: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(info["virtual-size"].as_u64(), Some(size.0), "{mib} MiB");
            assert_eq!(info["format"], "vpc");
        }
    }
}
