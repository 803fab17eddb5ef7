// SPDX-License-Identifier: Apache-2.0
//! Virtual disks as text.

use groundstate_api::Bytes;
use groundstate_api::text::counted;
use maintenance_os::virtual_disk::{Checked, Converted, Created, Info, Physical, Target};
use std::path::Path;

/// A size for people and in bytes.
fn size(bytes: u64) -> String {
    format!("{} ({bytes} bytes)", Bytes(bytes))
}

/// A moment in seconds since 1970, by the UTC clock.
fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| seconds.to_string(),
        |stamp| stamp.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}

fn table(rows: &[(&str, String)]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|(name, value)| format!("  {name:<12} {value}"))
        .collect();
    rows.join("\n")
}

pub(super) fn created(created: &Created) -> String {
    let mut rows = vec![
        ("size", size(created.size)),
        ("id", created.id.clone()),
        ("file", size(created.file_length)),
    ];
    let space = match created.reserved {
        Some(how) => format!("{}, {}", size(created.allocated), how.says()),
        None => format!("{}, grows as it is written", size(created.allocated)),
    };
    rows.push(("allocated", space));
    rows.extend(
        created
            .extents
            .map(|extents| ("pieces", extents.to_string())),
    );
    format!(
        "made {}: {} {}\n{}",
        created.path.display(),
        created.kind,
        created.format.as_str().to_uppercase(),
        table(&rows)
    )
}

pub(super) fn physical(physical: Physical) -> String {
    let piece = if physical.extents == 1 {
        "piece"
    } else {
        "pieces"
    };
    let mut text = format!(
        "{} {piece}, {} with a place on the device",
        physical.extents,
        Bytes(physical.bytes)
    );
    if physical.unwritten > 0 {
        text += &format!(", {} of it never written", Bytes(physical.unwritten));
    }
    text
}

pub(super) fn info(info: &Info) -> String {
    let mut rows = vec![
        (
            "format",
            match info.kind {
                Some(kind) => format!("{}, {kind}", info.format.as_str().to_uppercase()),
                None => info.format.as_str().to_owned(),
            },
        ),
        ("size", size(info.size)),
    ];
    if let Some(other) = info.size_in_qemu {
        rows.push(("in QEMU", format!("{}, by the geometry", size(other))));
    }
    rows.push(("file", size(info.file_length)));
    rows.push(("allocated", size(info.allocated)));
    rows.extend(info.physical.map(|found| ("on device", physical(found))));
    rows.extend(info.id.clone().map(|id| ("id", id)));
    rows.extend(info.made.map(|made| ("made", moment(made))));
    rows.extend(info.creator.clone().map(|creator| ("by", creator)));
    if let Some(blocks) = &info.blocks {
        let mut text = format!("{} each", Bytes(blocks.size));
        if let Some(count) = blocks.count {
            text = format!("{count} of {text}");
        }
        if let Some(existing) = blocks.existing {
            text += &format!(", {existing} in the file");
        }
        if let (Some(in_order), Some(1..)) = (blocks.in_order, blocks.existing) {
            text += if in_order {
                ", in order"
            } else {
                ", not in order"
            };
        }
        rows.push(("blocks", text));
    }
    if let Some(parent) = &info.parent {
        rows.push(("parent", format!("{} id {}", parent.name, parent.id)));
        rows.extend(parent.paths.iter().map(|path| ("  path", path.clone())));
        let found = parent.found.as_ref().map_or_else(
            || "not where its paths lead".to_owned(),
            |path| path.display().to_string(),
        );
        rows.push(("  found", found));
    }
    rows.extend(info.notes.iter().map(|note| ("note", note.clone())));
    format!("{}\n{}", info.path.display(), table(&rows))
}

pub(super) fn checked(checked: &Checked) -> String {
    let (path, format) = (
        checked.path.display(),
        checked.format.as_str().to_uppercase(),
    );
    let faults = checked.faults.iter().filter(|fault| !fault.harmless);
    let mut lines = vec![match faults.count() {
        0 => format!("{path}: a sound {format}"),
        count => format!("{path}: a {format} with {}", counted(count, "fault")),
    }];
    lines.extend(checked.faults.iter().map(|fault| {
        let harmless = if fault.harmless {
            "; it harms nothing"
        } else {
            ""
        };
        format!("  {:<22} {}{harmless}", fault.code, fault.what)
    }));
    lines.join("\n")
}

pub(super) fn converted(path: &Path, done: &Converted) -> String {
    let to = match done.to {
        Target::Raw => "raw".to_owned(),
        Target::Fixed => format!("fixed {}", done.format.as_str().to_uppercase()),
        Target::Dynamic => format!("dynamic {}", done.format.as_str().to_uppercase()),
    };
    let mut rows = vec![
        ("size", size(done.size)),
        (
            "written",
            format!("{}, the rest is zero", size(done.written)),
        ),
        ("file", size(done.file_length)),
        ("allocated", size(done.allocated)),
    ];
    if done.reserved.is_some() {
        let says = "in full, before anything was written".to_owned();
        rows.push(("reserved", says));
    }
    format!(
        "made {}: {to}, from {}\n{}",
        path.display(),
        done.from.as_str(),
        table(&rows)
    )
}
