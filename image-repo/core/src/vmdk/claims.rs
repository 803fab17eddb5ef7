// SPDX-License-Identifier: Apache-2.0
//! What is claimed of a file, so that no two places share bytes.

use super::SECTOR;
use super::error::VmdkError;
use super::limits::GRAINS_MAX;
use alloc::vec::Vec;

/// Claims of one file, in sectors.
#[derive(Default)]
pub(super) struct Claims {
    /// Header, descriptor, directory, tables: begin, end.
    structures: Vec<(u64, u64)>,
    grains: Vec<u32>,
}

impl Claims {
    /// A structure of so many bytes.
    pub(super) fn structure(&mut self, sector: u64, bytes: u64) {
        if bytes > 0 {
            let end = sector.saturating_add(bytes.div_ceil(SECTOR));
            self.structures.push((sector, end));
        }
    }

    /// A grain.
    pub(super) fn grain(&mut self, sector: u32) -> Result<(), VmdkError> {
        if self.grains.len() >= GRAINS_MAX {
            return Err(VmdkError::TooManyGrains);
        }
        self.grains.push(sector);
        Ok(())
    }

    /// Whether the structures are apart. Asked before the tables are read, so that a table is read once.
    pub(super) fn tables_apart(&mut self) -> Result<(), VmdkError> {
        self.structures.sort_unstable();
        let mut end = 0;
        for (from, to) in &self.structures {
            if *from < end {
                return Err(overlap("table", *from));
            }
            end = *to;
        }
        Ok(())
    }

    /// Whether the grains, of at least `length` sectors each, are apart from each other and from the structures.
    pub(super) fn grains_apart(&mut self, length: u64) -> Result<(), VmdkError> {
        self.grains.sort_unstable();
        let mut structures = self.structures.iter().peekable();
        let mut end = 0;
        for grain in &self.grains {
            let from = u64::from(*grain);
            while structures.next_if(|(_, to)| *to <= from).is_some() {}
            let on = structures
                .peek()
                .is_some_and(|(begin, _)| *begin < from + length);
            if on || from < end {
                return Err(overlap("grain", from));
            }
            end = from + length;
        }
        Ok(())
    }
}

fn overlap(what: &'static str, sector: u64) -> VmdkError {
    let at = sector.saturating_mul(SECTOR);
    VmdkError::Overlap { what, at }
}
