// SPDX-License-Identifier: Apache-2.0
//! VHDX files of ours and of others, in both directions.
#![allow(clippy::indexing_slicing)] // A test may panic.

mod differencing;
mod dirty;
mod hostile;
mod made;
mod mutations;
mod peers;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use groundstate_api::Bytes;

use super::{Layout, NewDisk, NewIds, NewKind};
use crate::guid::Guid;
use crate::random_access::{ReadAt, WriteAt};

/// A file as a source and a target.
#[derive(Debug)]
struct Disk(File);

impl Disk {
    fn open(path: &Path) -> Self {
        Self(File::options().read(true).write(true).open(path).unwrap())
    }

    fn create(path: &Path) -> Self {
        let options = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path);
        Self(options.unwrap())
    }
}

impl ReadAt for Disk {
    type Error = std::io::Error;
    fn len(&self) -> u64 {
        self.0.metadata().unwrap().len()
    }
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> std::io::Result<()> {
        self.0.read_exact_at(into, at)
    }
}

impl WriteAt for Disk {
    fn write_at(&mut self, at: u64, from: &[u8]) -> std::io::Result<()> {
        self.0.write_all_at(from, at)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A disk with sectors of 512 bytes.
fn new_disk(size: u64, block: Option<u64>, kind: NewKind) -> NewDisk {
    let [file_write, data_write, disk] = [1, 2, 3].map(|byte| Guid([byte; 16]));
    NewDisk {
        size: Bytes(size),
        block_size: block.map(Bytes),
        logical_sector: 512,
        physical_sector: 4096,
        kind,
        ids: NewIds {
            file_write,
            data_write,
            disk,
        },
        creator: "Groundstate".into(),
    }
}

/// Does with a layout what a shell does.
fn write_out(layout: &Layout, target: &mut impl WriteAt<Error: std::fmt::Debug>) {
    for write in layout.body().chain(layout.seal()) {
        target.write_at(write.at, &write.bytes).unwrap();
    }
    if target.len() < layout.file_len {
        target.write_at(layout.file_len - 1, &[0]).unwrap();
    }
}

/// Bytes that differ from sector to sector.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words = std::iter::repeat_with(|| next().to_le_bytes());
    words.take(len.div_ceil(8)).flatten().take(len).collect()
}
