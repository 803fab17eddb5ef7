// SPDX-License-Identifier: Apache-2.0
//! The header: what must be understood is, or the file is refused.

use super::error::Qcow2Error;
use super::extension::{self, Extensions};
use super::field::{index, u32_at, u64_at};
use super::limits::{CLUSTER_BITS_MAX, CLUSTER_BITS_MIN, HEADER_MAX, NAME_MAX};
use crate::disk_file::DiskFile;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// What every qcow2 file begins with: `QFI` and 0xfb.
pub const MAGIC: [u8; 4] = *b"QFI\xfb";
/// Bytes of a version 2 header.
const V2_LEN: u32 = 72;
/// Bytes of the shortest version 3 header.
const V3_LEN: u32 = 104;

const DIRTY: u64 = 1 << 0;
const CORRUPT: u64 = 1 << 1;
const DATA_FILE: u64 = 1 << 2;
const COMPRESSION: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;

/// How compressed clusters are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// A raw deflate stream (RFC 1951).
    Deflate,
    /// A Zstandard frame (RFC 8878).
    Zstd,
}

/// What the header says and is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// A cluster's size as a power of two.
    pub cluster_bits: u32,
    /// The disk's size in bytes, a multiple of 512.
    pub size: u64,
    /// Where the first-level table begins.
    pub l1_at: u64,
    /// How many entries it has.
    pub l1_entries: u32,
    /// Where the table of reference counts begins.
    pub refcount_at: u64,
    /// How many clusters it has.
    pub refcount_clusters: u32,
    /// How many internal snapshots there are; they are left alone.
    pub snapshots: u32,
    /// Whether the image was not closed in order: its reference counts are stale, its bytes are not.
    pub dirty: bool,
    /// Whether entries of second-level tables have 16 bytes and clusters 32 parts.
    pub extended_l2: bool,
    /// How compressed clusters are compressed.
    pub codec: Codec,
}

impl Header {
    /// A cluster's size in bytes.
    #[must_use]
    pub const fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Bytes of an entry of a second-level table.
    pub(super) const fn entry_len(&self) -> u64 {
        if self.extended_l2 { 16 } else { 8 }
    }

    /// Entries of a second-level table.
    pub(super) const fn l2_entries(&self) -> u64 {
        self.cluster() / self.entry_len()
    }

    /// Bytes of the disk that a second-level table is for.
    pub(super) const fn l2_covers(&self) -> u64 {
        self.cluster() * self.l2_entries()
    }

    pub(super) fn read(file: &mut dyn DiskFile) -> Result<Self, Qcow2Error> {
        let len = file.size();
        let mut magic = [0; 4];
        if len >= 4 {
            file.read_at(0, &mut magic)?;
        }
        if magic != MAGIC {
            return Err(Qcow2Error::NotQcow2);
        }
        let fixed = head(file, V2_LEN)?;
        let version = u32_at(&fixed, 4);
        let header_len = match version {
            2 => V2_LEN,
            3 => u32_at(&head(file, V3_LEN)?, 100),
            version => return Err(Qcow2Error::Version { version }),
        };
        if version == 3
            && !((V3_LEN..=HEADER_MAX).contains(&header_len) && header_len.is_multiple_of(8))
        {
            return Err(Qcow2Error::HeaderLength { length: header_len });
        }
        let cluster_bits = u32_at(&fixed, 20);
        if !(CLUSTER_BITS_MIN..=CLUSTER_BITS_MAX).contains(&cluster_bits)
            || u64::from(header_len) > 1 << cluster_bits
        {
            return Err(Qcow2Error::ClusterBits { bits: cluster_bits });
        }
        let bytes = head(file, header_len)?;
        let backing_at = u64_at(&bytes, 8);
        let first = first_cluster(file, 1 << cluster_bits)?;
        let extensions = extension::read(&first, u64::from(header_len), backing_at)?;
        let incompatible = if version == 3 { u64_at(&bytes, 72) } else { 0 };
        admit(incompatible, &extensions)?;
        let extended_l2 = incompatible & EXTENDED_L2 != 0;
        if extended_l2 && cluster_bits < 14 {
            let cluster = 1 << cluster_bits;
            return Err(Qcow2Error::SmallSubclusters { cluster });
        }
        let kind = bytes.get(104).copied().unwrap_or(0);
        let codec = codec(kind, incompatible & COMPRESSION != 0)?;
        let order = if version == 3 { u32_at(&bytes, 96) } else { 4 };
        if order > 6 {
            return Err(Qcow2Error::RefcountOrder { order });
        }
        refuse_crypt(u32_at(&bytes, 32), &extensions)?;
        refuse_backing(&first, backing_at, u32_at(&bytes, 16))?;
        let size = u64_at(&bytes, 24);
        if !size.is_multiple_of(512) {
            return Err(Qcow2Error::UnevenSize { size });
        }
        Ok(Self {
            version,
            cluster_bits,
            size,
            l1_at: u64_at(&bytes, 40),
            l1_entries: u32_at(&bytes, 36),
            refcount_at: u64_at(&bytes, 48),
            refcount_clusters: u32_at(&bytes, 56),
            snapshots: u32_at(&bytes, 60),
            dirty: incompatible & DIRTY != 0,
            extended_l2,
            codec,
        })
    }
}

/// The first `header` bytes.
fn head(file: &mut dyn DiskFile, header: u32) -> Result<Vec<u8>, Qcow2Error> {
    let len = file.size();
    if len < u64::from(header) {
        return Err(Qcow2Error::ShortHeader { len, header });
    }
    let mut bytes = vec![0; index(header.into())];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// The first cluster as far as the file has it: 2 MiB at most.
fn first_cluster(file: &mut dyn DiskFile, cluster: u64) -> Result<Vec<u8>, Qcow2Error> {
    let mut bytes = vec![0; index(cluster.min(file.size()))];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

fn admit(incompatible: u64, extensions: &Extensions) -> Result<(), Qcow2Error> {
    if incompatible & DATA_FILE != 0 || extensions.data_file.is_some() {
        let name = extensions.data_file.clone().unwrap_or_default();
        return Err(Qcow2Error::DataFile { name });
    }
    if incompatible & CORRUPT != 0 {
        return Err(Qcow2Error::Corrupt);
    }
    let unknown = incompatible & !(DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2);
    if unknown != 0 {
        let bit = unknown.trailing_zeros();
        let named = extensions.incompatible.iter().find(|(at, _)| *at == bit);
        let name = named.map_or_else(|| String::from("without a name"), |(_, name)| name.clone());
        return Err(Qcow2Error::Feature { bit, name });
    }
    Ok(())
}

fn codec(kind: u8, flag: bool) -> Result<Codec, Qcow2Error> {
    match (kind, flag) {
        (0, false) => Ok(Codec::Deflate),
        (1, true) => Ok(Codec::Zstd),
        (0 | 1, flag) => Err(Qcow2Error::CompressionFlag {
            kind,
            flag: if flag { "set" } else { "not set" },
        }),
        (kind, _) => Err(Qcow2Error::Compression { kind }),
    }
}

fn refuse_crypt(method: u32, extensions: &Extensions) -> Result<(), Qcow2Error> {
    let name = match method {
        0 if !extensions.crypt => return Ok(()),
        0 => "a key store is there",
        1 => "AES",
        2 => "LUKS",
        _ => "unknown",
    };
    Err(Qcow2Error::Encrypted { method, name })
}

fn refuse_backing(first: &[u8], at: u64, length: u32) -> Result<(), Qcow2Error> {
    if at == 0 && length == 0 {
        return Ok(());
    }
    let start = index(at);
    let name = start
        .checked_add(index(length.into()))
        .filter(|_| length <= NAME_MAX)
        .and_then(|end| first.get(start..end));
    let name = name.ok_or(Qcow2Error::BackingName { at, length })?;
    let name = String::from_utf8_lossy(name).into_owned();
    Err(Qcow2Error::BackingFile { name })
}
