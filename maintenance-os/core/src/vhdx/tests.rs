// SPDX-License-Identifier: Apache-2.0
//! VHDX files of ours and of others, in both directions.
#![allow(clippy::indexing_slicing)] // A test may panic.

mod peers;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

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
