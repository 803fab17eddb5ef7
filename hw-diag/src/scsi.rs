// SPDX-License-Identifier: Apache-2.0
//! Asks a SCSI or SAS disk who it is and how it is. An ATA disk behind a translation is asked as what it is.
//!
//! Only pages that the disk's lists name are read.

use crate::ata;
use crate::disk::path::{Fault, Over, SgPath, noted, optional, read};
use hw_core::disk::DiskFacts;
use hw_core::disk::facts::{Assessment, Protocol};
use hw_core::scsi::{self, Sense, log_page};

/// Log pages with facts for us, those that rule a verdict first.
const LOG_PAGES: [u8; 9] = [
    log_page::EXCEPTIONS,
    log_page::READ_ERRORS,
    log_page::WRITE_ERRORS,
    log_page::VERIFY_ERRORS,
    log_page::NON_MEDIUM_ERRORS,
    log_page::TEMPERATURE,
    log_page::SELF_TESTS,
    log_page::SOLID_STATE,
    log_page::BACKGROUND_SCAN,
];
/// Additional sense codes that are informational exceptions: a warning, a predicted failure.
const WARNING: u8 = 0x0b;
const FAILURE_PREDICTED: u8 = 0x5d;
/// Length of a log page's head.
const HEAD: u16 = 4;

/// Fills the facts as far as the disk answers; `so_far` sees them after each step.
pub(crate) fn gather(
    path: &impl SgPath,
    facts: &mut DiskFacts,
    so_far: &mut dyn FnMut(&DiskFacts),
) -> Result<(), Over> {
    facts.protocol = Protocol::Scsi;
    if let Some(data) = noted(facts, read(path, "INQUIRY", &scsi::inquiry(), 36))? {
        scsi::fill_inquiry(facts, &data);
    }
    let pages = vital_data(path, facts)?;
    so_far(facts);
    if pages.contains(&scsi::PAGE_ATA) {
        return ata::gather(path, facts, so_far);
    }
    let listed = noted(facts, log(path, log_page::PAGES, 0))?.unwrap_or_default();
    let listed = log_page::supported(&listed);
    for page in LOG_PAGES.into_iter().filter(|page| listed.contains(page)) {
        if let Some(answer) = noted(facts, log(path, page, 0))? {
            scsi::fill_log(facts, page, &answer);
        }
        if page == log_page::SELF_TESTS {
            self_test_progress(path, facts)?;
        }
        so_far(facts);
    }
    if listed.contains(&log_page::BACKGROUND_SCAN) {
        let pending = log(path, log_page::BACKGROUND_SCAN, log_page::PENDING_SUBPAGE);
        if let Some(answer) = optional(pending)? {
            scsi::fill_pending(facts, &answer);
        }
    }
    modes(path, facts)?;
    if facts.assessment == Assessment::NotSaid {
        own_word(path, facts)?;
    }
    defects(path, facts)
}

/// How far the self-test that runs is: the log says only that it runs.
fn self_test_progress(path: &impl SgPath, facts: &mut DiskFacts) -> Result<(), Over> {
    let Some(log) = facts.self_tests.as_mut().filter(|l| l.running.is_some()) else {
        return Ok(());
    };
    let length = usize::from(scsi::SHORT_ANSWER);
    let sense = read(path, "REQUEST SENSE", &scsi::request_sense(), length);
    let sense = optional(sense)?.as_deref().and_then(Sense::read);
    log.running = sense
        .and_then(|sense| sense.self_test_remaining())
        .or(log.running);
    Ok(())
}

/// Serial number, name and rotation from vital product data; returns the pages that there are.
fn vital_data(path: &impl SgPath, facts: &mut DiskFacts) -> Result<Vec<u8>, Over> {
    let page = |number| {
        let name = format!("INQUIRY page {number:02x}h");
        let length = usize::from(scsi::SHORT_ANSWER);
        read(path, name, &scsi::inquiry_page(number), length)
    };
    let pages = scsi::pages(&noted(facts, page(scsi::PAGE_LIST))?.unwrap_or_default());
    if pages.contains(&scsi::PAGE_SERIAL)
        && let Some(answer) = noted(facts, page(scsi::PAGE_SERIAL))?
    {
        let serial = scsi::unit_serial(&answer);
        if !serial.is_empty() {
            facts.identity.serial = serial;
        }
    }
    if pages.contains(&scsi::PAGE_DESIGNATORS)
        && let Some(answer) = noted(facts, page(scsi::PAGE_DESIGNATORS))?
    {
        let name = scsi::unit_name(&answer);
        facts.identity.wwn = name.or_else(|| facts.identity.wwn.take());
    }
    if pages.contains(&scsi::PAGE_CHARACTERISTICS)
        && let Some(answer) = noted(facts, page(scsi::PAGE_CHARACTERISTICS))?
    {
        facts.identity.rotation_rpm = scsi::rotation(&answer).or(facts.identity.rotation_rpm);
    }
    Ok(pages)
}

/// A log page: its head first, to learn its length, since some disks answer nothing when asked for more.
pub(crate) fn log(path: &impl SgPath, page: u8, subpage: u8) -> Result<Vec<u8>, Fault> {
    let name = if subpage == 0 {
        format!("LOG SENSE {page:02x}h")
    } else {
        format!("LOG SENSE {page:02x}h, {subpage:02x}h")
    };
    let ask = |length: u16| {
        let cdb = scsi::log_sense(page, subpage, length);
        read(path, &name, &cdb, usize::from(length))
    };
    let head = ask(HEAD)?;
    match log_page::length(&head) {
        Some(HEAD) => Ok(head),
        // Some adapters refuse odd lengths.
        Some(length) => ask(length.min(scsi::LONG_ANSWER).next_multiple_of(2)),
        None => ask(scsi::LONG_ANSWER),
    }
}

/// Informational Exceptions Control and the extended self-test's time.
fn modes(path: &impl SgPath, facts: &mut DiskFacts) -> Result<(), Over> {
    if let Some((answer, ten)) = mode(path, 0x1c)? {
        scsi::fill_exceptions_control(facts, &answer, ten);
    }
    if let Some((answer, ten)) = mode(path, 0x0a)? {
        scsi::fill_extended_minutes(facts, &answer, ten);
    }
    Ok(())
}

/// A mode page by the short command, or by the long one where the disk has only that.
fn mode(path: &impl SgPath, page: u8) -> Result<Option<(Vec<u8>, bool)>, Over> {
    let length = usize::from(scsi::SHORT_ANSWER);
    let short = optional(read(
        path,
        "MODE SENSE (6)",
        &scsi::mode_sense_6(page),
        length,
    ))?;
    if let Some(answer) = short {
        return Ok(Some((answer, false)));
    }
    let long = optional(read(
        path,
        "MODE SENSE (10)",
        &scsi::mode_sense_10(page),
        length,
    ))?;
    Ok(long.map(|answer| (answer, true)))
}

/// The disk's own assessment where it has no Informational Exceptions log page: it is in REQUEST SENSE, provided that the
/// disk keeps exceptions at all.
fn own_word(path: &impl SgPath, facts: &mut DiskFacts) -> Result<(), Over> {
    if facts.scsi.as_ref().and_then(|s| s.exceptions_disabled) != Some(false) {
        return Ok(());
    }
    let length = usize::from(scsi::SHORT_ANSWER);
    let answer = noted(
        facts,
        read(path, "REQUEST SENSE", &scsi::request_sense(), length),
    )?;
    match answer.as_deref().and_then(Sense::read) {
        Some(sense) if matches!(sense.code, WARNING | FAILURE_PREDICTED) => {
            scsi::exception(facts, sense.code, sense.qualifier);
        }
        Some(_) => scsi::exception(facts, 0, 0),
        None => {}
    }
    Ok(())
}

/// The number of grown defects. Disks without a list (most solid-state ones) refuse, and that says nothing.
fn defects(path: &impl SgPath, facts: &mut DiskFacts) -> Result<(), Over> {
    let twelve = read(path, "READ DEFECT DATA (12)", &scsi::read_defects_12(), 8);
    let mut count = optional(twelve)?.and_then(|answer| scsi::grown_defects(&answer, true));
    if count.is_none() {
        let ten = read(path, "READ DEFECT DATA (10)", &scsi::read_defects_10(), 4);
        count = optional(ten)?.and_then(|answer| scsi::grown_defects(&answer, false));
    }
    facts.scsi.get_or_insert_default().grown_defects = count;
    Ok(())
}

#[cfg(test)]
mod tests;
