// SPDX-License-Identifier: Apache-2.0
//! Puts a whole disk together: partition table, file systems, and nothing else. The same parts make the same bytes.

mod esp;
mod table;

pub(crate) use esp::{EspFile, make as make_esp};
pub(crate) use table::{Part, assemble, part_guid};
