// SPDX-License-Identifier: Apache-2.0
//! The facts as lines for people, with the partitions to scale.

use super::image_facts::{BackupTable, FileSystemFacts, ImageFacts, PartitionFacts, TableKind};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

/// The narrowest picture, in columns.
const WIDTH_MIN: usize = 20;
/// What stands before each line's fact, in columns.
const HEAD: usize = 10;
/// The colours of partitions in turn, as SGR parameters.
const COLOURS: [u8; 6] = [36, 32, 33, 35, 34, 31];

impl ImageFacts {
    /// Lines for people of at most `width` columns where names allow it; with colours only where `colour` says so.
    #[must_use]
    pub fn text(&self, width: usize, colour: bool) -> String {
        let mut lines: Vec<(&str, String)> = vec![("disk", self.disk_line())];
        if !self.partitions.is_empty() {
            let width = width.saturating_sub(HEAD).max(WIDTH_MIN);
            lines.push(("", self.picture(width, colour)));
        }
        for partition in &self.partitions {
            lines.push(("partition", partition_line(partition)));
        }
        if let Some(file_system) = &self.file_system {
            lines.push(("holds", file_system_text(file_system)));
        }
        if let Some(os) = &self.os {
            lines.push(("system", os.name.clone()));
        }
        for kernel in &self.kernels {
            let place = kernel.path.as_deref().unwrap_or("modules only");
            lines.push(("kernel", format!("{} ({place})", kernel.version)));
        }
        lines.push(("boots", self.boot_line()));
        for entry in &self.loader_entries {
            lines.push(("entry", entry.clone()));
        }
        let machine = self.machine.map(|machine| machine.to_string());
        let machine = machine.unwrap_or_else(|| "nothing in it tells".to_string());
        lines.push(("for", machine));
        lines.push((
            "used",
            format!("{} from the disk's beginning", self.minimum_size),
        ));
        for note in &self.notes {
            lines.push(("note", note.clone()));
        }
        let mut text = String::new();
        for (head, line) in lines {
            text.push_str(format!("{head:<HEAD$}{line}").trim_end());
            text.push('\n');
        }
        text
    }

    fn disk_line(&self) -> String {
        let table = match self.table {
            TableKind::None => "no partition table",
            TableKind::Gpt => "GPT",
            TableKind::DamagedGpt => "a damaged GPT",
            TableKind::Mbr => "DOS partition table",
        };
        let sector = self
            .sector_size
            .map(|size| format!(", sectors of {size} bytes"));
        let backup = match self.backup {
            None => "",
            Some(BackupTable::Right) => ", backup right",
            Some(BackupTable::NotAtEnd) => ", backup not at the end",
            Some(BackupTable::Missing) => ", backup missing",
            Some(BackupTable::Alone) => ", only the backup is right",
        };
        format!(
            "{}, {table}{}{backup}",
            self.size,
            sector.unwrap_or_default()
        )
    }

    fn boot_line(&self) -> String {
        let mut ways: Vec<String> = self
            .loaders
            .iter()
            .map(|loader| format!("UEFI {} on partition {}", loader.path, loader.partition))
            .collect();
        ways.extend(
            self.boot_code
                .iter()
                .map(|name| format!("BIOS boot code ({name})")),
        );
        if ways.is_empty() {
            if self.table == TableKind::None && self.file_system.is_some() {
                "from files beside it; firmware starts no file system by itself".to_string()
            } else {
                "nothing that firmware starts was found".to_string()
            }
        } else {
            ways.join(", ")
        }
    }

    /// One line of blocks to scale: a partition's number, and then blocks; dots where there is none. Each partition has a
    /// block at least.
    fn picture(&self, width: usize, colour: bool) -> String {
        let mut parts: Vec<&PartitionFacts> = self
            .partitions
            .iter()
            .filter(|one| !one.kind.ends_with("extended"))
            .collect();
        parts.sort_by_key(|one| one.start);
        let total = self.size.0.max(1);
        let columns = u64::try_from(width).unwrap_or(u64::MAX);
        let column = |at: u64| {
            let at = u128::from(at.min(total)) * u128::from(columns) / u128::from(total);
            usize::try_from(at).unwrap_or(width)
        };
        let (mut line, mut at) = (String::new(), 0);
        for (part, colour_of) in parts.into_iter().zip(COLOURS.into_iter().cycle()) {
            let start = column(part.start.0).max(at);
            let end = column(part.start.0.saturating_add(part.length.0)).max(start + 1);
            if end > width {
                break;
            }
            line.extend(core::iter::repeat_n('·', start - at));
            let mut block = part.number.to_string();
            let digits = block.len();
            if digits > end - start {
                block = "█".to_string();
            }
            let shown = block.chars().count();
            block.extend(core::iter::repeat_n(
                '█',
                (end - start).saturating_sub(shown),
            ));
            if colour {
                line.push_str(&format!("\x1b[{colour_of}m{block}\x1b[0m"));
            } else {
                line.push_str(&block);
            }
            at = end;
        }
        line.extend(core::iter::repeat_n('·', width - at));
        line
    }
}

fn partition_line(partition: &PartitionFacts) -> String {
    let mut line = format!(
        "{:<3} {:>10}  {}",
        partition.number,
        partition.length.to_string(),
        partition.kind
    );
    if let Some(file_system) = &partition.file_system {
        line.push_str(&format!(", {}", file_system_text(file_system)));
    }
    if !partition.name.is_empty() {
        line.push_str(&format!(" \"{}\"", partition.name));
    }
    line
}

fn file_system_text(file_system: &FileSystemFacts) -> String {
    match &file_system.label {
        Some(label) => format!("{} ({label})", file_system.kind),
        None => file_system.kind.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use groundstate_api::Bytes;

    #[test]
    fn partitions_are_drawn_to_scale_and_hostile_ones_do_not_break_the_line() {
        let part = |number, start, length| PartitionFacts {
            number,
            start: Bytes(start),
            length: Bytes(length),
            kind: "Linux data".into(),
            type_id: String::new(),
            name: "root".into(),
            file_system: None,
        };
        let mut facts = ImageFacts {
            size: Bytes::mib(100),
            table: TableKind::Gpt,
            backup: Some(BackupTable::Right),
            sector_size: Some(512),
            partitions: vec![
                part(1, 1 << 20, 10 << 20),
                part(12, 11 << 20, 1),
                part(3, 20 << 20, 70 << 20),
            ],
            minimum_size: Bytes::mib(91),
            ..ImageFacts::default()
        };
        expect![[r#"
            disk      100 MiB, GPT, sectors of 512 bytes, backup right
                      1█████····3███████████████████████████████████······
            partition 1       10 MiB  Linux data "root"
            partition 12         1 B  Linux data "root"
            partition 3       70 MiB  Linux data "root"
            boots     nothing that firmware starts was found
            for       nothing in it tells
            used      91 MiB from the disk's beginning
        "#]]
        .assert_eq(&facts.text(62, false));
        facts.partitions = (0..200)
            .map(|number| part(number, u64::MAX, u64::MAX))
            .collect();
        assert!(facts.text(62, true).lines().nth(1).is_some());
    }
}
