// SPDX-License-Identifier: Apache-2.0
//! A plan as a table and as a picture of the disks: every partition to scale, and the VHDs inside the volumes. Text only,
//! so that a terminal, a page and a serial console show the same.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::iter::repeat_n;
use groundstate_api::Bytes;
use groundstate_api::plan::{
    DECIDED_AT_THE_ORDER, DiskAction, DiskPlan, HandOver, PartitionContents, PartitionPlan, Plan,
    PlanPreview, Role, VhdPlan,
};

/// A picture that is narrower shows no names.
const COLUMNS_MIN: usize = 40;
/// A wider one is not easier to read.
const COLUMNS_MAX: usize = 160;
/// Every partition gets at least this many cells, so that its name can be read.
const CELLS_MIN: usize = 8;
/// A VHD gets its own box from this many cells on; narrower ones are counted.
const VHD_CELLS_MIN: usize = 5;
/// VHDs of a volume that are listed by name; the others are counted.
const VHDS_LISTED: usize = 8;

/// How the page shall look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether colours are written (ANSI SGR). What they say stands there in words too.
    pub colour: bool,
    /// Columns of the page.
    pub columns: usize,
}

/// A preview as a page: the picture, and what an order must confirm.
#[must_use]
pub fn preview_page(preview: &PlanPreview, look: Look) -> String {
    let mut text = picture(&preview.plan, look);
    if let Some(reason) = &preview.refused {
        text.push_str("\nREFUSED: an order as the node is now would be refused.\n");
        for line in reason.lines() {
            text.push_str(&safe(&format!("  {line}\n")));
        }
    }
    if preview.needs_confirm.is_empty() {
        return text;
    }
    text.push_str("\nNOT CONFIRMED: these disks hold something that is not this node's. An order as it is would be refused.\n");
    for one in &preview.needs_confirm {
        let line = format!(
            "  {} in {}: {}\n",
            one.serial,
            one.slot,
            one.holds.join(", ")
        );
        text.push_str(&safe(&line));
    }
    let flags = preview.needs_confirm.iter();
    let flags: String = flags
        .map(|one| format!(" --confirm {}", one.serial))
        .collect();
    text.push_str(&safe(&format!("To let them go, order with:{flags}\n")));
    text
}

/// The plan as a table and a picture. The same plan gives the same page.
#[must_use]
pub fn picture(plan: &Plan, look: Look) -> String {
    let columns = look.columns.clamp(COLUMNS_MIN, COLUMNS_MAX);
    let mut lines = head(plan);
    lines.push(String::new());
    table(plan, look, &mut lines);
    for disk in &plan.disks {
        lines.push(String::new());
        disk_picture(disk, look, columns, &mut lines);
    }
    if !plan.notes.is_empty() {
        lines.push(String::new());
        lines.extend(plan.notes.iter().map(|note| safe(&format!("Note: {note}"))));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn head(plan: &Plan) -> Vec<String> {
    let hand_over = match plan.hand_over {
        HandOver::Kexec => "kexec",
        HandOver::Reboot => "reboot",
    };
    let firmware = if plan.uefi { "UEFI" } else { "legacy BIOS" };
    let image = &plan.image;
    let mut lines = Vec::from([format!(
        "{}: {} {} ({}), {firmware}, hand-over by {hand_over}",
        plan.node, image.name, image.version, image.size
    )]);
    if let Some(serial) = &plan.rebuild {
        lines.push(format!(
            "Only disk {serial} is made anew; the host stays, and no image is written."
        ));
    }
    lines.push(if plan.run.as_str() == DECIDED_AT_THE_ORDER {
        "Nothing is ordered and nothing happens by this. GUIDs and UUIDs are decided at the order."
            .to_string()
    } else {
        format!("Run {}, plan {}", plan.run, plan.id)
    });
    lines.iter().map(|line| safe(line)).collect()
}

/// What happens to the disk, in a word or two.
fn happens(disk: &DiskPlan) -> &'static str {
    match &disk.action {
        DiskAction::Wipe { .. } => "WIPED",
        DiskAction::Keep { .. } => "kept",
        DiskAction::Renew { .. } => "OS RENEWED",
        DiskAction::Erase { .. } => "ERASED",
        DiskAction::LeaveAlone => "left alone",
    }
}

fn table(plan: &Plan, look: Look, lines: &mut Vec<String>) {
    let mut rows = Vec::from([["SLOT", "SERIAL", "SIZE", "ROLE", "HAPPENS"].map(String::from)]);
    rows.extend(plan.disks.iter().map(|disk| {
        [
            safe(&disk.slot),
            safe(if disk.serial.is_empty() {
                "(none)"
            } else {
                &disk.serial
            }),
            disk.size.to_string(),
            disk.role.as_str().to_string(),
            happens(disk).to_string(),
        ]
    }));
    let mut widths = [0usize; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let whys = core::iter::once("WHY; WHAT GOES".to_string()).chain(plan.disks.iter().map(why));
    let colours = core::iter::once(None).chain(plan.disks.iter().map(|disk| Some(colour(disk))));
    for ((row, why), code) in rows.iter().zip(whys).zip(colours) {
        let cells: String = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| pad(cell, width + 2))
            .collect();
        lines.push(format!("{}{}", paint(look, code, &cells), safe(&why)));
    }
}

fn why(disk: &DiskPlan) -> String {
    match &disk.action {
        DiskAction::Wipe { goes, .. }
        | DiskAction::Renew { goes, .. }
        | DiskAction::Erase { goes, .. } => {
            format!("{}; {} goes", disk.because, goes.join(", "))
        }
        DiskAction::Keep { .. } | DiskAction::LeaveAlone => disk.because.clone(),
    }
}

fn disk_picture(disk: &DiskPlan, look: Look, columns: usize, lines: &mut Vec<String>) {
    let title = format!(
        "{}  {}  {}, {}-byte sectors  {}  {}",
        disk.slot,
        disk.serial,
        disk.size,
        disk.logical_sector,
        disk.role.as_str(),
        happens(disk)
    );
    lines.push(safe(&title));
    let code = Some(colour(disk));
    let table = match &disk.action {
        DiskAction::Wipe { table, .. }
        | DiskAction::Renew { table, .. }
        | DiskAction::Keep { table } => table,
        DiskAction::Erase { .. } | DiskAction::LeaveAlone => {
            let inside = columns - 4;
            let says = match &disk.action {
                DiskAction::Erase { .. } => "erased from end to end",
                DiskAction::Wipe { .. }
                | DiskAction::Renew { .. }
                | DiskAction::Keep { .. }
                | DiskAction::LeaveAlone => "nothing is read or written",
            };
            lines.push(paint(
                look,
                code,
                &format!("  |{}|", text_in(says, inside, '.')),
            ));
            return;
        }
    };
    let widths = widths(&table.partitions, columns - 3);
    let edge: String = widths
        .iter()
        .map(|width| format!("+{}", dashes(width.saturating_sub(1))))
        .collect();
    let edge = format!("  {edge}+");
    let row = |cell: &dyn Fn(&PartitionPlan, usize) -> String| {
        let cells = table.partitions.iter().zip(&widths);
        let cells: String = cells
            .map(|(one, width)| format!("|{}", cell(one, width.saturating_sub(1))))
            .collect();
        paint(look, code, &format!("  {cells}|"))
    };
    lines.push(paint(look, code, &edge));
    lines.push(row(&|one, width| text_in(&safe(&name(one)), width, ' ')));
    lines.push(row(&|one, width| {
        text_in(&one.length.to_string(), width, ' ')
    }));
    let has_vhds = |one: &PartitionPlan| one.holds.volume().is_some_and(|on| !on.vhds.is_empty());
    if table.partitions.iter().any(has_vhds) {
        lines.push(row(&inside));
    }
    lines.push(paint(look, code, &edge));
    for volume in table.partitions.iter().filter_map(|one| one.holds.volume()) {
        let line = format!(
            "  {} \"{}\" at {}: {}",
            volume.fs.as_str(),
            volume.label,
            volume.mount_point,
            vhd_list(volume.vhds)
        );
        lines.push(safe(&line));
    }
}

fn name(partition: &PartitionPlan) -> String {
    match &partition.holds {
        PartitionContents::Esp { .. } => "esp".to_string(),
        PartitionContents::Root => "root".to_string(),
        PartitionContents::WholeDisk { .. } => "whole-disk image".to_string(),
        PartitionContents::Ext4 { mount_point, .. }
        | PartitionContents::Xfs { mount_point, .. } => mount_point.clone(),
    }
}

fn vhd_list(vhds: &[VhdPlan]) -> String {
    if vhds.is_empty() {
        return "no VHDs".to_string();
    }
    let mut list: Vec<String> = vhds
        .iter()
        .take(VHDS_LISTED)
        .map(|vhd| {
            let part = vhd.part.as_ref();
            let part = part
                .map(|part| format!(" (part {} of {} of {})", part.number, part.parts, part.of));
            let kind = if vhd.kind.is_usual() { "" } else { " dynamic" };
            format!(
                "{} {}{kind}{}",
                vhd.file,
                vhd.size,
                part.unwrap_or_default()
            )
        })
        .collect();
    if vhds.len() > VHDS_LISTED {
        list.push(format!("and {} more", vhds.len() - VHDS_LISTED));
    }
    list.join(", ")
}

/// Widths of the partitions, frames included, that fill `columns`: to scale, but none too narrow for its name.
fn widths(partitions: &[PartitionPlan], columns: usize) -> Vec<usize> {
    let all: u64 = partitions.iter().map(|one| one.length.0).sum();
    let mut widths: Vec<usize> = partitions
        .iter()
        .map(|one| scaled(one.length, Bytes(all), columns).max(CELLS_MIN))
        .collect();
    // The widest pays for the others, and takes what is over.
    let sum: usize = widths.iter().sum();
    if let Some(widest) = widths.iter_mut().max() {
        *widest = (*widest + columns).saturating_sub(sum).max(CELLS_MIN);
    }
    widths
}

/// The VHDs of a volume to scale: `[vm-0.vhd][vm-1.vhd].....`.
fn inside(partition: &PartitionPlan, width: usize) -> String {
    let Some(volume) = partition.holds.volume().filter(|on| !on.vhds.is_empty()) else {
        return text_in("", width, ' ');
    };
    let cells = |vhd: &VhdPlan| scaled(vhd.size, partition.length, width);
    if volume.vhds.iter().any(|vhd| cells(vhd) < VHD_CELLS_MIN) {
        let all: u64 = volume.vhds.iter().map(|vhd| vhd.size.0).sum();
        let text = format!("[{} VHDs, {}]", volume.vhds.len(), Bytes(all));
        return text_in(&text, width, '.');
    }
    let mut text = String::new();
    for vhd in volume.vhds {
        let name = text_in(&safe(&vhd.file), cells(vhd) - 2, '=');
        text.push_str(&format!("[{name}]"));
    }
    text_in(&text, width, '.')
}

fn scaled(part: Bytes, whole: Bytes, cells: usize) -> usize {
    let scaled = u128::from(part.0) * cells as u128 / u128::from(whole.0.max(1));
    usize::try_from(scaled).unwrap_or(cells).min(cells)
}

/// Exactly `width` characters: the text, cut or filled up.
fn text_in(text: &str, width: usize, fill: char) -> String {
    let text = text.chars().take(width);
    text.chain(repeat_n(fill, width)).take(width).collect()
}

fn pad(text: &str, width: usize) -> String {
    text_in(text, width.max(text.chars().count() + 1), ' ')
}

fn dashes(width: usize) -> String {
    repeat_n('-', width).collect()
}

/// Serial numbers and models are the hardware's words: none of them steers a terminal or makes a line.
fn safe(text: &str) -> String {
    text.trim_end_matches('\n').replace(char::is_control, "?")
        + if text.ends_with('\n') { "\n" } else { "" }
}

/// The colour of a disk: red where something goes, cyan where it stays, grey where nobody looks.
fn colour(disk: &DiskPlan) -> u8 {
    let nothing = |goes: &[String]| goes.iter().all(|one| one == "nothing");
    match (&disk.action, disk.role) {
        (DiskAction::Wipe { goes, .. } | DiskAction::Renew { goes, .. }, _) if !nothing(goes) => 31,
        (DiskAction::Renew { .. }, _) => 34,
        (DiskAction::Wipe { .. }, Role::Os) => 34,
        (DiskAction::Wipe { .. }, _) => 32,
        (DiskAction::Keep { .. }, _) => 36,
        (DiskAction::Erase { .. }, _) => 31,
        (DiskAction::LeaveAlone, _) => 90,
    }
}

fn paint(look: Look, code: Option<u8>, text: &str) -> String {
    match code.filter(|_| look.colour) {
        Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        None => text.to_string(),
    }
}
