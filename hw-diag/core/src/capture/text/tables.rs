// SPDX-License-Identifier: Apache-2.0
//! Rows of smartctl's tables. Each reader returns whether the line was one of its rows.

use super::lines::{any_base, columns, number, small, words};
use super::{Reader, Section};
use crate::capture::json::{gigabytes, not_moved};
use crate::capture::words::{NOT_DECODED, decisive, kind, result, safe};
use crate::capture::{ATTRIBUTES_MAX, DECISIVE, ERRORS_MAX, SELF_TESTS_MAX, STATISTICS_MAX};
use crate::disk::facts::{
    Attribute, BackgroundScan, ErrorCounters, LoggedError, SelfTest, Statistic, WhenFailed,
};
use alloc::format;
use alloc::string::String;

impl Reader {
    /// Brief: `  5 Name  PO--CK   100   100   010    -    792`; old: `  5 Name  0x0033   100   100   010    Pre-fail
    /// Always       -       792`.
    pub(super) fn attribute(&mut self, line: &str) -> bool {
        if line.trim_start().starts_with("||") {
            self.section = Section::Fields;
            return true;
        }
        let Some(attribute) = attribute(line) else {
            self.broken_row(line);
            return false;
        };
        let raw = attribute.raw_text.as_deref().unwrap_or_default();
        let head = raw.split([' ', '(']).next().unwrap_or_default();
        if DECISIVE.contains(&attribute.id) && decisive(head).is_none() {
            self.ata.raw_unread.push(attribute.id);
            let name = attribute.name.as_deref().unwrap_or_default();
            let line = format!("{} {name} has no raw value that can be read", attribute.id);
            self.facts.could_not_read(line);
        }
        if self.ata.attributes.len() >= ATTRIBUTES_MAX {
            let line = format!("there are more than {ATTRIBUTES_MAX} attributes");
            self.facts.could_not_read(line);
        }
        if self.ata.attributes.len() < ATTRIBUTES_MAX {
            self.ata.attributes.push(attribute);
        }
        true
    }

    /// A row that begins as one of a counter that decides and goes on as none.
    fn broken_row(&mut self, line: &str) {
        let id = line.split_whitespace().next();
        let id = id.and_then(|id| id.parse::<u8>().ok());
        if let Some(id) = id.filter(|id| DECISIVE.contains(id)) {
            let line = format!("the row of attribute {id} cannot be read");
            self.facts.could_not_read(line);
        }
    }

    /// `Error 7 [2] occurred at disk power-on lifetime: 21565 hours (898 days + 13 hours)`, and in its registers' line
    /// `Error: UNC 8 sectors at LBA = 0x001939b0 = 1653168`.
    pub(super) fn error(&mut self, line: &str) -> bool {
        let start = line.trim_start();
        if start.starts_with("No Errors Logged") {
            self.ata.error_count = self.ata.error_count.or(Some(0));
            return true;
        }
        if let Some((head, after)) = start.split_once("occurred at disk power-on lifetime:") {
            let errors = &mut self.ata.errors;
            if errors.len() < ERRORS_MAX {
                errors.push(LoggedError {
                    number: head.strip_prefix("Error ").and_then(number),
                    hours: number(after),
                    what: NOT_DECODED.into(),
                });
            }
            return true;
        }
        if let Some((registers, what)) = start.split_once("  Error: ")
            && !registers.contains(':')
        {
            // Errors beyond those that are kept have no entry to add to.
            let kept = self.ata.errors.len() < ERRORS_MAX;
            let open = self.ata.errors.last_mut();
            if let Some(error) = open.filter(|error| kept || error.what == NOT_DECODED) {
                error.what = safe(what);
            }
            return true;
        }
        // Rows of registers and commands are no fields.
        start.starts_with(|c: char| c.is_ascii_hexdigit())
            && start.get(2..3).is_some_and(|blank| blank == " ")
    }

    /// `# 1  Extended offline    Completed: read failure       90%     30649         293776` of ATA;
    /// `# 1  Background long   Completed                   -   48325                 - [-   -    -]` of SCSI.
    pub(super) fn self_test(&mut self, line: &str) -> bool {
        let Some(row) = line.trim_start().strip_prefix('#') else {
            return false;
        };
        let row = row.trim_start();
        let digits = row.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        let mut columns = columns(row.get(digits..).unwrap_or_default()).into_iter();
        let (Some(what), Some(status)) = (columns.next(), columns.next()) else {
            return false;
        };
        let (status, mut remaining) = percent_behind(status);
        let mut rest = columns.peekable();
        if let Some(percent) = rest.next_if(|column| column.ends_with('%')) {
            remaining = small(percent);
        } else if remaining.is_none() {
            // SCSI: the segment's number stands before the hours.
            rest.next();
        }
        let hours = rest.next().and_then(number);
        let lba = rest.next().and_then(number);
        if self.log.entries.len() < SELF_TESTS_MAX {
            self.log.entries.push(SelfTest {
                kind: kind(what),
                result: result(status, remaining),
                hours,
                lba,
            });
        }
        true
    }

    /// ` 0   Extended          Completed without error               16373            -     -   -   -    -`
    pub(super) fn nvme_self_test(&mut self, line: &str) -> bool {
        if let Some(status) = line.trim_start().strip_prefix("Self-test status:") {
            if !status.contains("No self-test") {
                let done = status.split(['(', ',']).nth(1).and_then(small::<u8>);
                let done = done.unwrap_or(0).min(100);
                self.log.running = Some(100u8.saturating_sub(done));
            }
            return true;
        }
        let Some(([index], row)) = words::<1>(line) else {
            return false;
        };
        if index.parse::<u8>().is_err() {
            return false;
        }
        let mut columns = columns(row).into_iter();
        let (Some(what), Some(status)) = (columns.next(), columns.next()) else {
            return false;
        };
        if self.log.entries.len() < SELF_TESTS_MAX {
            self.log.entries.push(SelfTest {
                kind: kind(what),
                result: result(status, None),
                hours: columns.next().and_then(number),
                lba: columns.next().and_then(number),
            });
        }
        true
    }

    /// `  0       1234     0  0x001f  0xc004  0x028            0     1     -  Invalid Field in Command`
    pub(super) fn nvme_error(&mut self, line: &str) -> bool {
        let Some(([index, count, _, _, status], _)) = words::<5>(line) else {
            return false;
        };
        let (Ok(_), Some(status)) = (index.parse::<u8>(), any_base::<u16>(status)) else {
            return false;
        };
        if self.nvme.errors.len() < ERRORS_MAX {
            self.nvme.errors.push(LoggedError {
                number: number(count),
                hours: None,
                what: format!("status {status:#06x}"),
            });
        }
        true
    }

    /// `0x04  0x008  4              27  ---  Number of Reported Uncorrectable Errors`; before 6.5 the page is decimal and
    /// a normalised value has a `~` behind it in place of the flags.
    pub(super) fn statistic(&mut self, line: &str) -> bool {
        let Some(([page, offset, size, value], name)) = words::<4>(line) else {
            return false;
        };
        let fits = offset.starts_with("0x") && size.len() == 1;
        let (Some(page), Some(offset)) = (any_base(page), any_base(offset)) else {
            return false;
        };
        if !fits {
            return false;
        }
        let flags = name.split_whitespace().next().unwrap_or_default();
        let flagged = flags.len() == 3 && flags.chars().all(|c| "-NDCV".contains(c));
        let name = if flagged {
            name.trim_start_matches(flags)
        } else {
            name
        };
        let normalised = value.ends_with('~') || flagged && flags.starts_with('N');
        // A dash is a value that the disk does not have.
        if let Ok(value) = value.trim_end_matches('~').parse()
            && self.ata.statistics.len() < STATISTICS_MAX
        {
            self.ata.statistics.push(Statistic {
                page,
                offset,
                name: safe(name),
                value,
                normalised,
            });
        }
        true
    }

    /// Rows of index, LBA and hours; `... (5 entries not shown)` after them.
    pub(super) fn pending_defect(&mut self, line: &str) -> bool {
        let start = line.trim_start();
        let seen = self.ata.pending_defects.unwrap_or(0);
        if start.starts_with("No Defects Logged") {
            self.ata.pending_defects = Some(0);
        } else if let Some(more) = start.strip_prefix("... (") {
            let more = number(more).unwrap_or(0);
            self.ata.pending_defects = Some(seen.saturating_add(more));
        } else if let Some(([index, lba], _)) = words::<2>(start)
            && index.parse::<u32>().is_ok()
            && lba.parse::<u64>().is_ok()
        {
            self.ata.pending_defects = Some(seen.saturating_add(1));
        } else {
            return false;
        }
        true
    }

    /// `read:          0      941       941       941       1090      47812.883           0`
    pub(super) fn counters(&mut self, line: &str) -> bool {
        let Some(([way, _, _, retried, corrected, _, bytes, uncorrected], _)) = words::<8>(line)
        else {
            return false;
        };
        let counters = Some(ErrorCounters {
            corrected: number(corrected),
            uncorrected: decisive(uncorrected),
            retried: number(retried),
            bytes: gigabytes(bytes),
        });
        if matches!(way, "read:" | "write:" | "verify:") && decisive(uncorrected).is_none() {
            let way = way.trim_end_matches(':');
            let line = format!("the uncorrected errors of {way} hold no count");
            self.facts.could_not_read(line);
        }
        match way {
            "read:" => self.scsi.read = counters,
            "write:" => self.scsi.write = counters,
            "verify:" => self.scsi.verify = counters,
            _ => return false,
        }
        true
    }

    /// `  Status: scan is active`, then `   1 3227:28  0000000072cf4000  [4,9,0]   Successfully reassigned`.
    pub(super) fn scan(&mut self, line: &str) -> bool {
        let Some(scan) = &mut self.scsi.background_scan else {
            return false;
        };
        if let Some(status) = line.trim_start().strip_prefix("Status:") {
            scan.status = safe(status);
            return true;
        }
        let Some(([index, when, _], rest)) = words::<3>(line) else {
            return false;
        };
        if index.parse::<u32>().is_err() || !when.contains(':') || !rest.starts_with('[') {
            return false;
        }
        let (sense, status) = rest.split_once(']').unwrap_or((rest, ""));
        if sense.trim_start_matches('[').trim_start().starts_with('3') {
            scan.medium_errors = scan.medium_errors.map(|count| count.saturating_add(1));
        }
        if not_moved(status) {
            scan.not_reassigned = scan.not_reassigned.map(|count| count.saturating_add(1));
        }
        true
    }
}

/// A scan without entries so far.
pub(super) fn empty_scan() -> BackgroundScan {
    BackgroundScan {
        status: String::new(),
        medium_errors: Some(0),
        not_reassigned: Some(0),
    }
}

/// A percentage at the end of a status that was too long for its column: `electrical failure 00%`.
fn percent_behind(status: &str) -> (&str, Option<u8>) {
    match status.rsplit_once(' ') {
        Some((words, percent)) if percent.ends_with('%') => (words, small(percent)),
        _ => (status, None),
    }
}

/// The raw value; digits that do not fit are the largest there is.
fn raw_value(digits: &str, raw: &str) -> u64 {
    let read = any_base(digits).or_else(|| number(raw));
    read.or_else(|| decisive(digits)).unwrap_or(0)
}

fn attribute(line: &str) -> Option<Attribute> {
    let ([id, name, flags, current, worst, threshold], rest) = words::<6>(line)?;
    let id = any_base::<u8>(id).filter(|id| *id != 0)?;
    let value = |text: &str| {
        // Absent values are dashes.
        if text.chars().all(|c| c == '-') {
            Some(None)
        } else {
            any_base::<u8>(text).map(Some)
        }
    };
    let (current, worst, threshold) = (value(current)?, value(worst)?, value(threshold)?);
    let (prefail, when, raw) = if let Some(hex) = flags.strip_prefix("0x") {
        let flags = u16::from_str_radix(hex, 16).ok()?;
        // Type and update stand before WHEN_FAILED, in the formats old and hex.
        let ([_, _, when], raw) = words::<3>(rest)?;
        (flags & 1 != 0, when, raw)
    } else if flags.len() >= 6 && flags.chars().all(|c| "POSRCK-+".contains(c)) {
        let ([when], raw) = words::<1>(rest)?;
        (flags.starts_with('P'), when, raw)
    } else {
        return None;
    };
    let when_failed = match when.to_ascii_lowercase().as_str() {
        "now" | "failing_now" => WhenFailed::Now,
        "past" | "in_the_past" => WhenFailed::Past,
        _ => WhenFailed::Never,
    };
    let digits = raw.split(|c: char| !c.is_ascii_alphanumeric()).next();
    let digits = digits.unwrap_or_default();
    Some(Attribute {
        id,
        name: Some(safe(name)),
        prefail,
        current,
        worst,
        threshold,
        raw: raw_value(digits, raw),
        raw_text: Some(safe(raw)),
        when_failed,
    })
}
