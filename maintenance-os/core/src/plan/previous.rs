// SPDX-License-Identifier: Apache-2.0
//! Which image lies where the new one goes. It is named only where the host's own plan put it onto this very disk, from this
//! very byte on: chunks that are looked for anywhere else are not found.

use super::PlanRequest;
use super::rebuild::table_of;
use groundstate_api::Bytes;
use groundstate_api::image::ImageRef;
use groundstate_api::plan::{DiskPlan, PartitionContents, Role};

/// Where an image lies.
#[derive(PartialEq, Eq)]
struct Place<'a> {
    serial: &'a str,
    wwn: Option<&'a str>,
    size: Bytes,
    logical_sector: u32,
    /// The byte of the disk that is the image's first.
    start: Bytes,
    is_whole: bool,
}

/// The image of the host that is on the disks, where `disks` put the new one into its place.
pub(super) fn image(request: &PlanRequest<'_>, disks: &[DiskPlan]) -> Option<ImageRef> {
    let host = request.host.filter(|_| request.rebuild.is_none())?;
    let is_same = place(disks)? == place(&host.disks)?;
    is_same.then(|| host.image.clone())
}

fn place(disks: &[DiskPlan]) -> Option<Place<'_>> {
    let disk = disks.iter().find(|disk| disk.role == Role::Os)?;
    let mut partitions = table_of(disk)?.partitions.iter();
    let (start, is_whole) = partitions.find_map(|partition| match &partition.holds {
        PartitionContents::Root => Some((partition.start, false)),
        PartitionContents::WholeDisk { .. } => Some((Bytes(0), true)),
        PartitionContents::Esp { .. }
        | PartitionContents::Ext4 { .. }
        | PartitionContents::Xfs { .. } => None,
    })?;
    Some(Place {
        serial: &disk.serial,
        wwn: disk.wwn.as_deref(),
        size: disk.size,
        logical_sector: disk.logical_sector,
        start,
        is_whole,
    })
}
