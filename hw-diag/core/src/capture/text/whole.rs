// SPDX-License-Identifier: Apache-2.0
//! Whether a text ends where smartctl ended it: tables have an end, and what is announced comes.
//!
//! Refuses to ask for sections that the options of the capture may have left out: `-H -A` has no log, and is whole.

use super::Section;
use alloc::format;
use alloc::string::String;

/// The last line of the legend under the attribute table of `-x`.
const LEGEND_END: &str = "|______ P";

/// A log that `-x` prints where the directory lists it: its number, its name there, and how its section is called.
const LISTED: [(&str, &str, &str); 3] = [
    ("0x04", "Device Statistics", "Device Statistics"),
    ("0x07", "Extended self-test log", "Self-test Log"),
    ("0x11", "SATA Phy Event Counters", "SATA Phy Event Counters"),
];

/// What was seen of the text's order so far.
#[derive(Default)]
pub(super) struct Whole {
    /// The attribute table's announcement, its heading, its rows.
    announced: bool,
    heading: bool,
    rows: usize,
    /// It is the brief table of `-x`, which has a legend; the legend's lines so far, and its last.
    brief: bool,
    legend: bool,
    legend_end: bool,
    /// Something came after the attribute table.
    after_table: bool,
    /// The section of capabilities, which `-a` and `-x` print.
    capabilities: bool,
    /// Any line about a self-test log.
    self_test_log: bool,
    /// Which of [`LISTED`] the directory lists, and which came.
    listed: [bool; LISTED.len()],
    came: [bool; LISTED.len()],
    /// Lines since the present section's header, and whether a blank one closed it.
    lines: usize,
    closed: bool,
}

impl Whole {
    /// A header: `section` begins.
    pub(super) fn header(&mut self, section: Section, line: &str) {
        self.note(line);
        (self.lines, self.closed) = (0, false);
        if section == Section::Attributes {
            self.heading = true;
            self.brief = line.contains(" FLAGS ");
        } else if line.contains("SMART Attributes Data Structure") {
            self.announced = true;
        } else if self.rows > 0 && !line.contains("=== START OF") {
            self.after_table = true;
        }
    }

    /// Any other line, of whatever section.
    pub(super) fn line(&mut self, section: Section, line: &str) {
        let start = line.trim_start();
        if start.is_empty() {
            self.closed = true;
            return;
        }
        self.lines += 1;
        if start.starts_with("||||||_") {
            self.legend = true;
        } else if start.starts_with(LEGEND_END) {
            self.legend_end = true;
        } else if section == Section::Attributes && !self.closed {
            self.rows += 1;
        } else {
            self.note(start);
        }
    }

    fn note(&mut self, line: &str) {
        self.capabilities |= line.starts_with("General SMART Values:");
        let lower = line.to_ascii_lowercase();
        let entry = line.starts_with("0x");
        let about = lower.contains("self-test log") || lower.contains("self test log");
        self.self_test_log |= about && !entry;
        for (at, (number, name, section)) in LISTED.iter().enumerate() {
            let listed =
                entry && line.starts_with(number) && line.ends_with(&format!("{name} log"))
                    || entry && line.starts_with(number) && line.ends_with(name);
            if let Some(one) = self.listed.get_mut(at) {
                // A row of statistics begins with its page's number.
                *one |= listed && line.contains("GPL");
            }
            if let Some(one) = self.came.get_mut(at) {
                *one |= !entry && line.contains(section);
            }
        }
    }

    /// Why the text is not whole, if it is not. `section` is the one in which it ends.
    pub(super) fn cut(&self, section: Section) -> Option<String> {
        let open = !self.closed;
        if self.announced && self.rows == 0 {
            return Some("the attribute table is announced and has no row".into());
        }
        if section == Section::Attributes && open && self.heading {
            return Some("the attribute table has no end".into());
        }
        if self.legend && !self.legend_end && !self.after_table {
            return Some("the legend of the attribute table has no end".into());
        }
        let table = match section {
            Section::SelfTests if open && !self.after_scsi() => Some("self-test log"),
            Section::NvmeSelfTests if self.lines <= 1 => Some("self-test log"),
            Section::Statistics if open => Some("table of device statistics"),
            Section::PendingDefects if open => Some("log of pending defects"),
            Section::Counters if open => Some("table of error counters"),
            Section::Fields
            | Section::Attributes
            | Section::Errors
            | Section::SelfTests
            | Section::NvmeSelfTests
            | Section::NvmeErrors
            | Section::Statistics
            | Section::PendingDefects
            | Section::Counters
            | Section::Scan => None,
        };
        if let Some(table) = table {
            return Some(format!("the {table} has no end"));
        }
        if self.brief && self.legend && self.rows > 0 && !self.after_table {
            return Some("no log comes after the attribute table".into());
        }
        if self.capabilities && self.rows > 0 && !self.self_test_log {
            return Some("the self-test log is missing".into());
        }
        let mut listed = LISTED.iter().zip(self.listed.iter().zip(&self.came));
        let missing = listed.find(|(_, (listed, came))| **listed && !**came);
        missing
            .map(|((_, name, _), _)| format!("the log directory lists {name}, and it is missing"))
    }

    /// The self-test log is the last that a SCSI disk's report has, and may have lost its blank line to whoever stored it.
    fn after_scsi(&self) -> bool {
        self.rows == 0 && !self.heading && self.lines > 1
    }
}
