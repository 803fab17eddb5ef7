// SPDX-License-Identifier: Apache-2.0
//! How a planned virtual disk looks in its file. It follows from the plan alone: the same plan gives the same bytes.

use super::super::error::DiskError;
use super::{TIMESTAMP, name};
use crate::virtual_disk::lay_out_vhdx;
use groundstate_api::SystemUuid;
use groundstate_api::plan::{VhdFormat, VhdKind, VhdPlan};
use mos_core::guid::Guid;
use mos_core::random_access::WriteAt;
use mos_core::vhd::{self, FOOTER_LEN, New, Shape, VhdError};
use mos_core::vhdx::{self, NewIds, NewKind};
use std::io;
use std::path::Path;

/// Footer, header and the least table of a VHD with blocks.
const VHD_PAYLOAD: u64 = 4_096 + 512;

/// A disk that is more than its bytes and a footer.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    Vhd(vhd::Layout),
    Vhdx(Box<vhdx::Layout>),
}

/// A few bytes at a place.
pub(super) type Mark = (u64, Vec<u8>);

impl Frame {
    /// Of a plan's VHD; `None` where it is a fixed one, which has no frame.
    pub(super) fn of(
        vhd: &VhdPlan,
        id: SystemUuid,
        path: &Path,
    ) -> Result<Option<Self>, DiskError> {
        let unusable = || DiskError::Unusable {
            what: format!("{} size", name(vhd.format)),
            path: path.to_path_buf(),
        };
        match (vhd.format, vhd.kind) {
            (VhdFormat::Vhd, VhdKind::Fixed) => Ok(None),
            (VhdFormat::Vhd, VhdKind::Dynamic) => {
                let layout = vhd::Layout::of(&New {
                    size: vhd.size,
                    id: id.0,
                    timestamp: TIMESTAMP,
                    shape: Shape::Dynamic { preallocated: true },
                });
                Ok(Some(Self::Vhd(layout.map_err(|_| unusable())?)))
            }
            (VhdFormat::Vhdx, kind) => {
                let kind = match kind {
                    VhdKind::Fixed => NewKind::Fixed,
                    VhdKind::Dynamic => NewKind::DynamicFull,
                };
                let layout = lay_out_vhdx(vhd.size, kind, vhdx_ids(Guid(id.0)));
                Ok(Some(Self::Vhdx(Box::new(layout.map_err(|_| unusable())?))))
            }
        }
    }

    /// How long the file is.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Vhd(layout) => layout.length(),
            Self::Vhdx(layout) => layout.file_len,
        }
    }

    /// A file that is no longer than this has nothing of the disk in it.
    pub(super) fn payload(&self) -> u64 {
        match self {
            Self::Vhd(_) => VHD_PAYLOAD,
            Self::Vhdx(layout) => layout.payload.start,
        }
    }

    /// Writes everything but the marks.
    pub(super) fn write_body<T>(&self, target: &mut T) -> io::Result<()>
    where
        T: WriteAt<Error = io::Error>,
    {
        match self {
            Self::Vhd(layout) => match layout.write_body(target) {
                Ok(()) => Ok(()),
                Err(VhdError::Io(error)) => Err(error),
                Err(VhdError::Refused(why)) => Err(io::Error::other(why)),
            },
            Self::Vhdx(layout) => {
                for write in layout.body() {
                    target.write_at(write.at, &write.bytes)?;
                }
                Ok(())
            }
        }
    }

    /// What makes the file a virtual disk, in steps: each is durable before the next is written. The last of a VHDX has
    /// the bytes by which it is recognised; of a VHD, either footer is enough.
    pub(super) fn marks(&self) -> Vec<Vec<Mark>> {
        match self {
            Self::Vhd(layout) => {
                let footer = layout.footer().encode();
                layout
                    .marks()
                    .map(|at| vec![(at, footer.to_vec())])
                    .collect()
            }
            Self::Vhdx(layout) => {
                let [first, second, identifier] =
                    layout.seal().map(|write| (write.at, write.bytes));
                vec![vec![first, second], vec![identifier]]
            }
        }
    }

    /// Whether what stands at a mark's place is good enough to stay. A program that used the disk may have written its
    /// own: other sequence numbers, another time stamp.
    pub(super) fn stands(&self, found: &[u8]) -> bool {
        match self {
            Self::Vhd(_) => found.len() == FOOTER_LEN && vhd::Footer::decode(found).is_ok(),
            // The file was opened as a VHDX: one header is enough, and the newer of both counts.
            Self::Vhdx(_) => true,
        }
    }
}

/// The plan names the disk; the two identities of the file as it is written follow from that one.
fn vhdx_ids(disk: Guid) -> NewIds {
    NewIds {
        file_write: disk.following("vhdx file write"),
        data_write: disk.following("vhdx data write"),
        disk,
    }
}
