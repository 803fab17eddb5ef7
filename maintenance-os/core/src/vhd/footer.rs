// SPDX-License-Identifier: Apache-2.0
//! The footer that ends every VHD and, in a dynamic or differencing one, also begins it.

use super::big_endian::{checksum, field, long, put, word};
use super::{Geometry, SECTOR, SIZE_MAX};
use groundstate_api::Bytes;
use thiserror::Error;

/// Length of the footer in bytes.
pub const FOOTER_LEN: usize = 512;

pub(super) const COOKIE: &[u8; 8] = b"conectix";
/// Feature bit 1 is reserved and must always be set.
const FEATURES: u32 = 2;
const VERSION: u32 = 0x0001_0000;
/// A fixed disk has no next structure.
const NO_DATA: u64 = u64::MAX;
/// Where we put the dynamic header: behind the copy of the footer.
pub(super) const HEADER_AT: u64 = 512;
/// `qem2` in version 5.3 is what QEMU writes where a size is exact. QEMU and libvhdi take the size field of every disk
/// with this creator, and our footers differ from QEMU's in nothing but identity and time.
const CREATOR: &[u8; 4] = b"qem2";
const CREATOR_VERSION: u32 = 0x0005_0003;
const CREATOR_HOST: &[u8; 4] = b"Wi2k";
/// The creators whose size field QEMU believes (qemu 10.0, block/vpc.c, `vpc_open`).
const EXACT_CREATORS: [&[u8; 4]; 5] = [b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS"];
const CHECKSUM_AT: usize = 64;

/// What kind of VHD it is; the numbers are those of the footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// 2: the disk's bytes, then the footer.
    Fixed,
    /// 3: blocks where a table says; what has no block is zero.
    Dynamic,
    /// 4: as dynamic, but what has no block or no bit is in the parent.
    Differencing,
}

impl Kind {
    const fn number(self) -> u32 {
        match self {
            Self::Fixed => 2,
            Self::Dynamic => 3,
            Self::Differencing => 4,
        }
    }

    /// As it is typed and printed: `fixed`, `dynamic`, `differencing`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Dynamic => "dynamic",
            Self::Differencing => "differencing",
        }
    }
}

/// What a footer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// The size that a virtual machine sees; a multiple of 512.
    pub size: Bytes,
    /// The unique id, in the order of its text.
    pub id: [u8; 16],
    /// Seconds since 2000-01-01 00:00 UTC.
    pub timestamp: u32,
    /// Fixed, dynamic or differencing.
    pub kind: Kind,
    /// Where the dynamic header lies; without meaning in a fixed VHD.
    pub next: u64,
    /// The size when it was made.
    pub original_size: Bytes,
    /// The geometry as it is written, which another program may have computed in its own way.
    pub geometry: Geometry,
    /// Feature bits; bit 0 marks a temporary disk.
    pub features: u32,
    /// Which program made it, four characters.
    pub creator: [u8; 4],
    /// That program's version.
    pub creator_version: u32,
    /// That program's operating system.
    pub creator_host: [u8; 4],
    /// 1 while a virtual machine is suspended on it.
    pub saved_state: u8,
}

/// Why bytes are not the footer of a VHD.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FooterError {
    /// No VHD has this size.
    #[error("a VHD has a whole number of 512-byte sectors, one at least, and {} bytes are not", .0.0)]
    Size(Bytes),
    /// More than the format holds.
    #[error("a VHD holds at most 2,040 GiB (2190433320960 bytes), and {} bytes are more: use VHDX or several VHDs", .0.0)]
    TooLarge(Bytes),
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
    /// None of the three kinds.
    #[error("VHD type {0} is not fixed (2), dynamic (3) or differencing (4)")]
    Kind(u32),
}

impl Footer {
    /// The footer of a fixed VHD of `size`.
    ///
    /// # Errors
    /// [`FooterError::Size`] where the size is zero or not a multiple of 512, [`FooterError::TooLarge`] where it is
    /// above [`SIZE_MAX`].
    pub fn new(size: Bytes, id: [u8; 16], timestamp: u32) -> Result<Self, FooterError> {
        Self::of_kind(Kind::Fixed, size, id, timestamp)
    }

    /// The footer of a VHD of any kind.
    ///
    /// # Errors
    /// As [`Footer::new`].
    pub fn of_kind(
        kind: Kind,
        size: Bytes,
        id: [u8; 16],
        timestamp: u32,
    ) -> Result<Self, FooterError> {
        Ok(Self {
            size: possible(size)?,
            id,
            timestamp,
            kind,
            next: match kind {
                Kind::Fixed => NO_DATA,
                Kind::Dynamic | Kind::Differencing => HEADER_AT,
            },
            original_size: size,
            geometry: Geometry::EXACT,
            features: FEATURES,
            creator: *CREATOR,
            creator_version: CREATOR_VERSION,
            creator_host: *CREATOR_HOST,
            saved_state: 0,
        })
    }

    /// The size that QEMU shows: of the geometry, unless it believes the creator or the geometry is at its end.
    #[must_use]
    pub fn qemu_size(&self) -> Bytes {
        if EXACT_CREATORS.contains(&&self.creator) || self.geometry == Geometry::EXACT {
            return self.size;
        }
        Bytes(self.geometry.sectors() * SECTOR)
    }

    /// The 512 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; FOOTER_LEN] {
        let mut out = [0u8; FOOTER_LEN];
        let fields: [(usize, &[u8]); 14] = [
            (0, COOKIE),
            (8, &self.features.to_be_bytes()),
            (12, &VERSION.to_be_bytes()),
            (16, &self.next.to_be_bytes()),
            (24, &self.timestamp.to_be_bytes()),
            (28, &self.creator),
            (32, &self.creator_version.to_be_bytes()),
            (36, &self.creator_host),
            (40, &self.original_size.0.to_be_bytes()),
            (48, &self.size.0.to_be_bytes()),
            (56, &self.geometry.bytes()),
            (60, &self.kind.number().to_be_bytes()),
            (68, &self.id),
            (84, &[self.saved_state]),
        ];
        for (at, bytes) in fields {
            put(&mut out, at, bytes);
        }
        let sum = checksum(&out, CHECKSUM_AT).to_be_bytes();
        put(&mut out, CHECKSUM_AT, &sum);
        out
    }

    /// Reads a footer.
    ///
    /// # Errors
    /// A variant of [`FooterError`] per way in which it is not the footer of a VHD.
    pub fn decode(bytes: &[u8]) -> Result<Self, FooterError> {
        if bytes.len() != FOOTER_LEN {
            return Err(FooterError::Length(bytes.len()));
        }
        if field::<8>(bytes, 0) != *COOKIE {
            return Err(FooterError::Cookie);
        }
        let (said, sum) = (word(bytes, CHECKSUM_AT), checksum(bytes, CHECKSUM_AT));
        if said != sum {
            return Err(FooterError::Checksum { said, sum });
        }
        let version = word(bytes, 12);
        if version != VERSION {
            return Err(FooterError::Version(version));
        }
        let kind = match word(bytes, 60) {
            2 => Kind::Fixed,
            3 => Kind::Dynamic,
            4 => Kind::Differencing,
            other => return Err(FooterError::Kind(other)),
        };
        let [saved_state] = field(bytes, 84);
        Ok(Self {
            size: possible(Bytes(long(bytes, 48)))?,
            id: field(bytes, 68),
            timestamp: word(bytes, 24),
            kind,
            next: long(bytes, 16),
            original_size: Bytes(long(bytes, 40)),
            geometry: Geometry::from_bytes(field(bytes, 56)),
            features: word(bytes, 8),
            creator: field(bytes, 28),
            creator_version: word(bytes, 32),
            creator_host: field(bytes, 36),
            saved_state,
        })
    }
}

fn possible(size: Bytes) -> Result<Bytes, FooterError> {
    if size > SIZE_MAX {
        return Err(FooterError::TooLarge(size));
    }
    if size.0 == 0 || !size.0.is_multiple_of(SECTOR) {
        return Err(FooterError::Size(size));
    }
    Ok(size)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            sectors in 1u64..=0xff00_0000, id: [u8; 16], timestamp: u32, kind in 0usize..3,
        ) {
            let kind = [Kind::Fixed, Kind::Dynamic, Kind::Differencing][kind];
            let footer = Footer::of_kind(kind, Bytes(sectors * 512), id, timestamp).unwrap();
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
        for size in [0, 511] {
            let size = Bytes(size);
            assert_eq!(Footer::new(size, [0; 16], 0), Err(FooterError::Size(size)));
        }
        let large = Bytes(SIZE_MAX.0 + 512);
        let refused = Footer::new(large, [0; 16], 0).unwrap_err();
        assert_eq!(refused, FooterError::TooLarge(large));
        assert!(
            refused.to_string().contains("use VHDX or several VHDs"),
            "{refused}"
        );
        assert!(Footer::new(SIZE_MAX, [0; 16], 0).is_ok());
        assert_eq!(Footer::decode(&[0; 100]), Err(FooterError::Length(100)));
        assert_eq!(Footer::decode(&[0; 512]), Err(FooterError::Cookie));
    }

    #[test]
    fn kinds_and_versions_that_nobody_knows_are_refused() {
        let footer = Footer::new(Bytes::mib(1), [7; 16], 0).unwrap().encode();
        for (at, value, expected) in [
            (12, 0x0002_0000u32, FooterError::Version(0x0002_0000)),
            (60, 6, FooterError::Kind(6)),
        ] {
            let mut bytes = footer;
            put(&mut bytes, at, &value.to_be_bytes());
            let sum = checksum(&bytes, CHECKSUM_AT).to_be_bytes();
            put(&mut bytes, CHECKSUM_AT, &sum);
            assert_eq!(Footer::decode(&bytes), Err(expected));
        }
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

    /// At the steps of QEMU's geometry and around them. What may differ is the time, the identity and the sum.
    #[test]
    fn the_footer_is_that_of_qemu() {
        use std::os::unix::fs::FileExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qemu.vhd");
        let masked = |mut bytes: [u8; FOOTER_LEN]| {
            for range in [24..28, CHECKSUM_AT..CHECKSUM_AT + 4, 68..84] {
                bytes[range].fill(0);
            }
            bytes
        };
        for sectors in [
            1,
            68,
            69,
            17 * 1024 * 4,
            17 * 1024 * 16 - 1,
            17 * 1024 * 16,
            31 * 16 * 1024,
            2_097_152,
            16_777_216,
            65_535 * 16 * 63 - 1,
            65_535 * 16 * 63,
            267_382_801,
            0xff00_0000,
        ] {
            let size = Bytes(sectors * 512);
            let output = std::process::Command::new("qemu-img")
                .args([
                    "create",
                    "-q",
                    "-f",
                    "vpc",
                    "-o",
                    "subformat=fixed,force_size=on",
                ])
                .arg(&path)
                .arg(size.0.to_string())
                .output()
                .unwrap();
            assert!(output.status.success(), "{sectors} sectors: {output:?}");
            let mut theirs = [0; FOOTER_LEN];
            let file = std::fs::File::open(&path).unwrap();
            file.read_exact_at(&mut theirs, size.0).unwrap();
            let read = Footer::decode(&theirs).unwrap();
            assert_eq!(
                (read.size, read.qemu_size()),
                (size, size),
                "{sectors} sectors"
            );
            let ours = Footer::new(size, [9; 16], 0).unwrap().encode();
            assert!(
                masked(ours) == masked(theirs),
                "{sectors} sectors: {read:?}"
            );
            // With theirs, the sum is the same, too.
            let ours = Footer::new(size, read.id, read.timestamp).unwrap();
            assert_eq!(ours.encode(), theirs, "{sectors} sectors");
        }
    }
}
