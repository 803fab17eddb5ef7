// SPDX-License-Identifier: Apache-2.0
//! The text of smartctl, line by line: which section a line is in decides what it can mean.
//!
//! The text was made for people and changed over twenty years, so a line that fits nothing is passed over and a field that
//! makes no sense stays `None`. Nothing is taken from outside its section: the error log prints numbers, too.

mod keys;
mod lines;
mod tables;
#[cfg(test)]
mod tests;
mod whole;

use super::derive::fill_in;
use super::words::{merged, safe};
use super::{CaptureError, MISSED_MAX, looks_like_json};
use crate::disk::DiskFacts;
use crate::disk::facts::{AtaFacts, NvmeFacts, Protocol, ScsiFacts, SelfTest, SelfTestLog};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// How the facts were read.
const SOURCE: &str = "smartctl -x text";
/// The longest part of a line that is looked at, in bytes; the longest that smartctl prints has under 200.
const LINE_BYTES_MAX: usize = 1_024;

pub(super) fn read(bytes: &[u8], name: &str) -> Result<DiskFacts, CaptureError> {
    if looks_like_json(bytes) {
        return Err(CaptureError::JsonGiven { name: name.into() });
    }
    let mut reader = Reader::new(name);
    // What stands after the last line's end is no blank line.
    let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    for line in lines.split(|byte| *byte == b'\n') {
        let line = line.get(..LINE_BYTES_MAX).unwrap_or(line);
        let text = String::from_utf8_lossy(line);
        reader.line(unquoted(&text));
    }
    let count = reader.information.max(reader.health);
    if count > 1 {
        let name = name.into();
        return Err(CaptureError::Several { name, count });
    }
    if !reader.known {
        return Err(CaptureError::NotAReport { name: name.into() });
    }
    Ok(reader.done())
}

/// A line without its end and without the signs that mail and notes put before what they quote.
fn unquoted(line: &str) -> &str {
    let line = line.trim_end();
    if line.starts_with('>') {
        line.trim_start_matches(['>', ' '])
    } else {
        line
    }
}

/// What the lines that follow are rows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    /// Fields, or something of no interest.
    Fields,
    /// The attribute table.
    Attributes,
    /// An ATA error log.
    Errors,
    /// The self-test log of an ATA or SCSI disk.
    SelfTests,
    /// The self-test log of an NVMe disk.
    NvmeSelfTests,
    /// The error log of an NVMe disk.
    NvmeErrors,
    /// Device Statistics.
    Statistics,
    /// The Pending Defects log.
    PendingDefects,
    /// Error counters of a SCSI disk.
    Counters,
    /// Background scan results.
    Scan,
}

/// The lines with which sections begin.
const HEADERS: &[(&str, Section)] = &[
    ("=== START OF", Section::Fields),
    ("ID# ATTRIBUTE_NAME", Section::Attributes),
    ("SMART Error Log Version", Section::Errors),
    (
        "SMART Extended Comprehensive Error Log Version",
        Section::Errors,
    ),
    ("SMART Extended Self-test Log Version", Section::SelfTests),
    ("SMART Self-test log", Section::SelfTests),
    ("Self-test Log (NVMe Log 0x06", Section::NvmeSelfTests),
    ("Error Information (NVMe Log 0x01", Section::NvmeErrors),
    ("Device Statistics (", Section::Statistics),
    ("Pending Defects log (", Section::PendingDefects),
    ("Error counter log:", Section::Counters),
    ("Background scan results log", Section::Scan),
    ("SMART Selective self-test log", Section::Fields),
    ("SMART Attributes Data Structure", Section::Fields),
    ("General Purpose Log Directory", Section::Fields),
    ("Vendor (Seagate) cache", Section::Fields),
    ("SCT Status Version", Section::Fields),
    ("SCT Temperature History", Section::Fields),
    ("SATA Phy Event Counters", Section::Fields),
    ("Protocol Specific port log page", Section::Fields),
    ("SMART/Health Information (NVMe", Section::Fields),
];

/// Everything read so far.
struct Reader {
    facts: DiskFacts,
    ata: AtaFacts,
    nvme: NvmeFacts,
    scsi: ScsiFacts,
    log: SelfTestLog,
    /// The entries of an earlier self-test log: the extended one stands before the standard one.
    earlier_tests: Vec<SelfTest>,
    /// Whether the text is whole.
    whole: whole::Whole,
    section: Section,
    /// The routine that the next "recommended polling time" is of.
    routine: Option<keys::Routine>,
    /// Signs of each command set.
    is_ata: bool,
    is_nvme: bool,
    is_scsi: bool,
    has_nvme_log: bool,
    has_self_tests: bool,
    /// Whether the lines that every NVMe health log has were there.
    said_used: bool,
    said_media: bool,
    /// Whether any line was one of smartctl's.
    known: bool,
    /// Information sections and health lines: two are two reports.
    information: usize,
    health: usize,
}

impl Reader {
    fn new(name: &str) -> Self {
        Self {
            facts: DiskFacts::new(name, SOURCE, Protocol::Unknown),
            ata: AtaFacts::default(),
            nvme: NvmeFacts::default(),
            scsi: ScsiFacts::default(),
            log: SelfTestLog::default(),
            earlier_tests: Vec::new(),
            whole: whole::Whole::default(),
            section: Section::Fields,
            routine: None,
            is_ata: false,
            is_nvme: false,
            is_scsi: false,
            has_nvme_log: false,
            has_self_tests: false,
            said_used: false,
            said_media: false,
            known: false,
            information: 0,
            health: 0,
        }
    }

    fn line(&mut self, line: &str) {
        if self.header(line) {
            return;
        }
        self.whole.line(self.section, line);
        let taken = match self.section {
            Section::Fields => false,
            Section::Attributes => self.attribute(line),
            Section::Errors => self.error(line),
            Section::SelfTests => self.self_test(line),
            Section::NvmeSelfTests => self.nvme_self_test(line),
            Section::NvmeErrors => self.nvme_error(line),
            Section::Statistics => self.statistic(line),
            Section::PendingDefects => self.pending_defect(line),
            Section::Counters => self.counters(line),
            Section::Scan => self.scan(line),
        };
        if !taken {
            self.field(line);
        }
    }

    fn header(&mut self, line: &str) -> bool {
        let start = line.trim_start();
        let Some((_, section)) = HEADERS.iter().find(|(begin, _)| start.starts_with(begin)) else {
            return false;
        };
        self.known = true;
        self.section = *section;
        self.whole.header(*section, start);
        match section {
            Section::Attributes | Section::Errors | Section::Statistics => self.is_ata = true,
            Section::SelfTests => {
                self.has_self_tests = true;
                // The standard log after the extended one mostly repeats it.
                let before = core::mem::take(&mut self.log.entries);
                let known = core::mem::take(&mut self.earlier_tests);
                self.earlier_tests = merged(known, before);
            }
            Section::NvmeSelfTests => (self.is_nvme, self.has_self_tests) = (true, true),
            Section::NvmeErrors => self.is_nvme = true,
            Section::Counters => self.is_scsi = true,
            Section::PendingDefects => self.is_ata = true,
            Section::Scan => {
                self.is_scsi = true;
                self.scsi.background_scan = Some(tables::empty_scan());
            }
            Section::Fields => {
                self.is_nvme |= start.contains("NVMe");
                if start.contains("INFORMATION SECTION") {
                    self.information += 1;
                }
            }
        }
        true
    }

    /// A line about what could not be done.
    fn missed(&mut self, line: &str) {
        let line = safe(line);
        let lines = &mut self.facts.missed;
        if lines.len() < MISSED_MAX && !lines.contains(&line) {
            lines.push(line);
        }
    }

    fn done(mut self) -> DiskFacts {
        let tests = core::mem::take(&mut self.log.entries);
        self.log.entries = merged(self.earlier_tests, tests);
        let mut facts = self.facts;
        facts.cut = self.whole.cut(self.section);
        if self.is_nvme && self.has_nvme_log {
            for (counter, read) in [
                ("Percentage Used", self.said_used),
                ("Media and Data Integrity Errors", self.said_media),
            ] {
                if !read {
                    facts.could_not_read(format!("{counter} is missing"));
                }
            }
        }
        facts.protocol = match (self.is_nvme, self.is_ata, self.is_scsi) {
            (true, _, _) => Protocol::Nvme,
            (_, true, _) => Protocol::Ata,
            (_, _, true) => Protocol::Scsi,
            _ => Protocol::Unknown,
        };
        match facts.protocol {
            Protocol::Ata => facts.ata = Some(self.ata),
            Protocol::Nvme => facts.nvme = self.has_nvme_log.then_some(self.nvme),
            Protocol::Scsi => facts.scsi = Some(self.scsi),
            Protocol::Unknown => {}
        }
        if self.has_self_tests || self.log.last_status.is_some() {
            facts.self_tests = Some(self.log);
        }
        fill_in(&mut facts);
        facts
    }
}
