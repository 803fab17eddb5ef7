// SPDX-License-Identifier: Apache-2.0
//! Opens a qcow2 file: every entry of every table is looked at once, before a byte of the disk is given out.

use super::claims::Claims;
use super::error::Qcow2Error;
use super::extent::Entry;
use super::field::{index, u64_at};
use super::header::Header;
use super::limits::L1_MAX;
use crate::disk_file::DiskFile;
use alloc::vec;
use alloc::vec::Vec;

/// Bits of a first-level entry that are the table's place.
const L1_PLACE: u64 = 0x00ff_ffff_ffff_fe00;
/// Bit of a first-level entry that says whether its count is one; readers have no use for it.
const L1_COPIED: u64 = 1 << 63;

/// An open qcow2 file. It is handed in again with each question.
#[derive(Debug)]
pub struct Qcow2 {
    header: Header,
    len: u64,
    l1: Vec<u64>,
    /// The second-level table that was read last, by its entry in the first-level one.
    l2: Option<(u64, Vec<u8>)>,
    /// Clusters that are in the file, compressed or not.
    mapped: u64,
}

impl Qcow2 {
    /// Opens the file and checks all of its tables.
    ///
    /// # Errors
    /// By name, what is wrong, and with which field or at which offset.
    pub fn open(file: &mut dyn DiskFile) -> Result<Self, Qcow2Error> {
        let header = Header::read(file)?;
        let len = file.size();
        let l1 = first_level(file, &header)?;
        let mut image = Self {
            header,
            len,
            l1,
            l2: None,
            mapped: 0,
        };
        image.scan(file)?;
        Ok(image)
    }

    /// What the header says.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// How many clusters are in the file, compressed or not.
    #[must_use]
    pub const fn mapped(&self) -> u64 {
        self.mapped
    }

    /// The file's length in bytes when it was opened.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Looks at every entry and claims what it names.
    fn scan(&mut self, file: &mut dyn DiskFile) -> Result<(), Qcow2Error> {
        let header = self.header;
        let mut claims = Claims::new(self.len, header.cluster_bits)?;
        claims.whole("header", 0, 1)?;
        let l1_len = u64::from(header.l1_entries) * 8;
        claims.whole("first-level table", header.l1_at, l1_len)?;
        for table in 0..self.tables() {
            let Some(at) = self.table_at(table)? else {
                continue;
            };
            claims.whole("second-level table", at, header.cluster())?;
            let first = table * header.l2_covers();
            for number in 0..header.l2_entries() {
                let guest = first + number * header.cluster();
                if guest >= header.size {
                    break;
                }
                let entry = self.entry(file, table, number)?;
                match entry.check(&header, guest, self.len)? {
                    Entry::Absent => continue,
                    Entry::Data { at } => claims.whole("cluster", at, header.cluster())?,
                    Entry::Packed { at, length } => claims.packed(at, length)?,
                }
                self.mapped += 1;
            }
        }
        Ok(())
    }

    /// How many first-level entries the disk needs; others are ignored.
    pub(super) fn tables(&self) -> u64 {
        self.header.size.div_ceil(self.header.l2_covers())
    }

    /// Where the second-level table lies; `None` where there is none.
    pub(super) fn table_at(&self, entry: u64) -> Result<Option<u64>, Qcow2Error> {
        let value = self.l1.get(index(entry)).copied().unwrap_or(0);
        if value & !(L1_PLACE | L1_COPIED) != 0 {
            return Err(Qcow2Error::L1Reserved { entry, value });
        }
        let at = value & L1_PLACE;
        if at == 0 {
            return Ok(None);
        }
        let (len, cluster) = (self.len, self.header.cluster());
        if !at.is_multiple_of(cluster) {
            let what = "second-level table";
            return Err(Qcow2Error::Unaligned { what, at, cluster });
        }
        if at.checked_add(cluster).is_none_or(|end| end > len) {
            return Err(Qcow2Error::L2Outside { entry, at, len });
        }
        Ok(Some(at))
    }

    /// An entry of a second-level table, which is read if it is not the last one that was.
    pub(super) fn entry(
        &mut self,
        file: &mut dyn DiskFile,
        table: u64,
        number: u64,
    ) -> Result<super::extent::Raw, Qcow2Error> {
        let entry_len = self.header.entry_len();
        let bytes = self.second_level(file, table)?;
        let at = index(number * entry_len);
        Ok(super::extent::Raw {
            value: u64_at(bytes, at),
            bitmap: if entry_len == 16 {
                u64_at(bytes, at + 8)
            } else {
                0
            },
        })
    }

    fn second_level(&mut self, file: &mut dyn DiskFile, table: u64) -> Result<&[u8], Qcow2Error> {
        if self.l2.as_ref().is_none_or(|(held, _)| *held != table) {
            let cluster = index(self.header.cluster());
            let mut bytes = self.l2.take().map_or_else(Vec::new, |(_, bytes)| bytes);
            bytes.clear();
            bytes.resize(cluster, 0);
            if let Some(at) = self.table_at(table)? {
                file.read_at(at, &mut bytes)?;
            }
            self.l2 = Some((table, bytes));
        }
        Ok(self.l2.as_ref().map_or(&[], |(_, bytes)| bytes))
    }
}

/// Checks where the first-level table and the table of reference counts lie, and reads the former.
fn first_level(file: &mut dyn DiskFile, header: &Header) -> Result<Vec<u64>, Qcow2Error> {
    let (size, cluster, len) = (header.size, header.cluster(), file.size());
    let needs = size.div_ceil(header.l2_covers());
    if needs > L1_MAX / 8 {
        let needs = needs.saturating_mul(8);
        return Err(Qcow2Error::TooLarge {
            size,
            cluster,
            needs,
        });
    }
    let entries = header.l1_entries;
    if u64::from(entries) > L1_MAX / 8 {
        return Err(Qcow2Error::L1TooLarge { entries });
    }
    if u64::from(entries) < needs {
        return Err(Qcow2Error::L1TooSmall {
            entries,
            size,
            needs,
        });
    }
    let (at, length) = (header.l1_at, u64::from(entries) * 8);
    let what = "first-level table";
    if !at.is_multiple_of(cluster) {
        return Err(Qcow2Error::Unaligned { what, at, cluster });
    }
    if at == 0 && entries > 0 {
        return Err(Qcow2Error::Overlap { what, at });
    }
    if at.checked_add(length).is_none_or(|end| end > len) {
        return Err(Qcow2Error::L1Outside { at, length, len });
    }
    refcounts(header, len)?;
    let mut bytes = vec![0; index(needs * 8)];
    file.read_at(at, &mut bytes)?;
    Ok((0..index(needs)).map(|n| u64_at(&bytes, n * 8)).collect())
}

/// The counts are not read, but a table that is not there is a file that was cut or made up.
fn refcounts(header: &Header, len: u64) -> Result<(), Qcow2Error> {
    let (at, clusters, cluster) = (
        header.refcount_at,
        header.refcount_clusters,
        header.cluster(),
    );
    if !at.is_multiple_of(cluster) {
        let what = "reference count table";
        return Err(Qcow2Error::Unaligned { what, at, cluster });
    }
    let end = at.checked_add(u64::from(clusters) * cluster);
    if end.is_none_or(|end| end > len) || at == 0 || clusters == 0 {
        return Err(Qcow2Error::RefcountOutside { at, clusters, len });
    }
    Ok(())
}
