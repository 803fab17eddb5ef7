// SPDX-License-Identifier: Apache-2.0
//! Differencing disks, which QEMU does not make: laid out by the maintenance OS's own writers.

use groundstate_api::Bytes;
use mos_core::guid::Guid;
use mos_core::random_access::{ReadAt, WriteAt};
use mos_core::vhd::{self, Locator, New, Platform, Shape};
use mos_core::vhdx::{self, NewDisk, NewIds, NewKind, ParentLocator};
use std::convert::Infallible;

/// A file in memory that grows.
struct Memory(Vec<u8>);

impl ReadAt for Memory {
    type Error = Infallible;
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), Infallible> {
        let at = usize::try_from(at).unwrap();
        into.copy_from_slice(&self.0[at..at + into.len()]);
        Ok(())
    }
}

impl WriteAt for Memory {
    fn write_at(&mut self, at: u64, from: &[u8]) -> Result<(), Infallible> {
        let at = usize::try_from(at).unwrap();
        let end = at + from.len();
        self.0.resize(self.0.len().max(end), 0);
        self.0[at..end].copy_from_slice(from);
        Ok(())
    }
    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A VHD over the parent at this path.
pub(crate) fn vhd(parent: &str) -> Vec<u8> {
    let paths = [Platform::W2ru, Platform::W2ku].map(|platform| Locator {
        platform,
        path: parent.into(),
    });
    let layout = vhd::Layout::of(&New {
        size: Bytes::mib(4),
        id: [1; 16],
        timestamp: 1,
        shape: Shape::Differencing {
            parent: vhd::Parent {
                id: [2; 16],
                modified: 1,
                name: parent.into(),
                paths: paths.to_vec(),
            },
            preallocated: false,
        },
    });
    let mut file = Memory(Vec::new());
    layout.unwrap().write(&mut file).unwrap();
    file.0
}

/// A VHDX over the parent at this path.
pub(crate) fn vhdx(parent: &str) -> Vec<u8> {
    let paths = ["relative_path", "absolute_win32_path"];
    let layout = vhdx::Layout::new(&NewDisk {
        size: Bytes::mib(4),
        block_size: Some(Bytes::mib(1)),
        logical_sector: 512,
        physical_sector: 4096,
        kind: NewKind::Differencing(ParentLocator {
            linkage: Guid([3; 16]),
            linkage2: None,
            paths: paths.map(|key| (key.into(), parent.into())).to_vec(),
        }),
        ids: NewIds {
            file_write: Guid([4; 16]),
            data_write: Guid([5; 16]),
            disk: Guid([6; 16]),
        },
        creator: "a test".into(),
    });
    let layout = layout.unwrap();
    let mut file = Memory(vec![0; usize::try_from(layout.file_len).unwrap()]);
    for write in layout.body().chain(layout.seal()) {
        file.write_at(write.at, &write.bytes).unwrap();
    }
    file.0
}
