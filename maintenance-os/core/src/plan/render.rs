// SPDX-License-Identifier: Apache-2.0
//! A plan as a page for people, with a picture of every disk.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::plan::{
    DiskAction, DiskPlan, HandOver, PartitionContents, PartitionPlan, Plan, Role,
};

/// Cells of a disk's picture: with its frame it fits an 80-column screen.
const PICTURE_CELLS: usize = 56;
/// Every partition gets at least this many cells, however small, so that its letter can be seen.
const CELLS_MIN: usize = 3;

/// The plan as text. It holds no clock and no address: the same plan gives the same page.
#[must_use]
pub fn render(plan: &Plan) -> String {
    let mut lines = Vec::new();
    let hand_over = match plan.hand_over {
        HandOver::Kexec => "kexec",
        HandOver::Reboot => "reboot",
    };
    let firmware = if plan.uefi { "UEFI" } else { "legacy BIOS" };
    lines.push(format!("Plan {}", plan.id));
    lines.push(format!(
        "  node      {}, machine {}, {firmware}",
        plan.node, plan.machine
    ));
    lines.push(format!("  run       {}", plan.run));
    lines.push(format!(
        "  image     {} {}, {}{}, manifest {}",
        plan.image.name,
        plan.image.version,
        plan.image.size,
        if plan.image.whole.is_some() {
            ", of a whole disk"
        } else {
            ""
        },
        plan.image.manifest.short()
    ));
    if let Some(previous) = &plan.previous {
        lines.push(format!(
            "  before    {} {} lies there, manifest {}: its chunks are looked for on the disk",
            previous.name,
            previous.version,
            previous.manifest.short()
        ));
    }
    lines.push(format!(
        "  hand-over {hand_over}, boots from {}",
        plan.boot_mac
    ));
    if let Some(serial) = &plan.rebuild {
        lines.push(format!(
            "  rebuild   disk {serial} alone; no image is written"
        ));
    }
    for note in &plan.notes {
        lines.push(format!("  note      {note}"));
    }
    for file in &plan.files {
        lines.push(format!("  file      {}", file.words()));
    }
    for disk in &plan.disks {
        lines.push(String::new());
        disk_lines(disk, &mut lines);
    }
    lines.push(String::new());
    // Serial numbers and models are the hardware's words: none of them steers a terminal or makes a line.
    let safe = lines.iter().map(|line| line.replace(char::is_control, "?"));
    safe.collect::<Vec<_>>().join("\n")
}

fn disk_lines(disk: &DiskPlan, lines: &mut Vec<String>) {
    let role = match disk.role {
        Role::Os => "OS",
        Role::Data => "DATA",
        Role::Spare => "SPARE",
        Role::Vhd => "VHD",
        Role::Keep => "KEEP",
        Role::Refuse => "REFUSE",
    };
    let serial = if disk.serial.is_empty() {
        "(no serial)"
    } else {
        &disk.serial
    };
    lines.push(format!(
        "Disk {serial}  {role}  {}, {}-byte sectors, {}, {}",
        disk.size, disk.logical_sector, disk.model, disk.slot
    ));
    lines.push(format!("  because {}", disk.because));
    match &disk.action {
        DiskAction::Wipe { goes, table } => {
            lines.push(format!("  WIPE: {} goes", goes.join(", ")));
            lines.push(picture(disk, &table.partitions));
            partition_lines(&table.partitions, lines);
        }
        DiskAction::Keep { table } => {
            lines.push(if disk.role == Role::Os {
                "  KEEP: only the host's first-boot data is renewed".to_string()
            } else {
                "  KEEP: nothing is written".to_string()
            });
            lines.push(picture(disk, &table.partitions));
            partition_lines(&table.partitions, lines);
        }
        DiskAction::Renew { goes, table } => {
            lines.push(format!(
                "  RENEW: {} goes; the table and the data volume stay",
                goes.join(", ")
            ));
            lines.push(picture(disk, &table.partitions));
            partition_lines(&table.partitions, lines);
        }
        DiskAction::Erase { goes, level } => lines.push(format!(
            "  ERASE ({level}): {} goes, from end to end",
            goes.join(", ")
        )),
        DiskAction::LeaveAlone => {
            lines.push("  LEFT ALONE: nothing is read or written".to_string())
        }
    }
}

fn partition_lines(partitions: &[PartitionPlan], lines: &mut Vec<String>) {
    for (index, partition) in partitions.iter().enumerate() {
        let number = index + 1;
        let holds = match &partition.holds {
            PartitionContents::Esp { label, volume_id } => {
                let (high, low) = (volume_id >> 16, volume_id & 0xffff);
                format!("FAT32 \"{label}\" {high:04X}-{low:04X}")
            }
            PartitionContents::Root => "the image's root file system".to_string(),
            PartitionContents::WholeDisk { grow, .. } => {
                let rest = if *grow {
                    "; its last partition takes the rest of the disk"
                } else {
                    ""
                };
                format!(
                    "the image of a whole disk, whose own partition table replaces this one{rest}"
                )
            }
            PartitionContents::Ext4 {
                label, mount_point, ..
            } => {
                format!("ext4 \"{label}\" at {mount_point}")
            }
            PartitionContents::Xfs {
                label, mount_point, ..
            } => {
                format!("xfs \"{label}\" at {mount_point}")
            }
        };
        lines.push(format!(
            "  {number}  {:<8} {:>12} from {:<8} {holds}",
            partition.name,
            partition.length.to_string(),
            partition.start.to_string()
        ));
        lines.push(format!("     {}", partition.guid));
        let vhds = partition.holds.volume().map_or(&[][..], |on| on.vhds);
        for vhd in vhds {
            let mut line = format!(
                "     {:<12} {:>8}  {}",
                vhd.file,
                vhd.size.to_string(),
                vhd.id
            );
            if !vhd.kind.is_usual() {
                line.push_str("  dynamic");
            }
            if let Some(part) = &vhd.part {
                line.push_str(&format!(
                    "  part {} of {} of {}",
                    part.number, part.parts, part.of
                ));
            }
            lines.push(line);
        }
    }
}

/// `|EEE|RRRRRRRR  |`: every partition to scale, but never too small to see.
fn picture(disk: &DiskPlan, partitions: &[PartitionPlan]) -> String {
    let mut text = String::from("  |");
    let mut left = PICTURE_CELLS;
    for partition in partitions {
        let cells = scaled(partition.length.0, disk.size.0).clamp(CELLS_MIN, left.max(CELLS_MIN));
        left = left.saturating_sub(cells);
        let letter = match partition.holds {
            PartitionContents::Esp { .. } => 'E',
            PartitionContents::Root => 'R',
            PartitionContents::WholeDisk { .. } => 'W',
            PartitionContents::Ext4 { .. } | PartitionContents::Xfs { .. } => 'D',
        };
        text.extend(core::iter::repeat_n(letter, cells));
        text.push('|');
    }
    text
}

fn scaled(part: u64, whole: u64) -> usize {
    let cells = u128::from(part) * PICTURE_CELLS as u128 / u128::from(whole.max(1));
    usize::try_from(cells).unwrap_or(PICTURE_CELLS)
}
