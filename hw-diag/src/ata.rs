// SPDX-License-Identifier: Apache-2.0
//! Asks an ATA disk who it is and how it is, by ATA PASS-THROUGH (16).
//!
//! Only logs that the disk's directory lists are read: some drives hang on others. A disk without a directory is asked for
//! the two that its capabilities name.

use crate::disk::path::{Fault, Over, SgPath, noted, optional, read, send};
use hw_core::ata::{
    Abilities, BLOCK, Command, Directory, Identity, LOG_DIRECTORY, LOG_EXTENDED_ERRORS,
    LOG_EXTENDED_SELF_TEST, LOG_PENDING_DEFECTS, LOG_SCT_STATUS, LOG_SELF_TEST, LOG_STATISTICS,
    LOG_SUMMARY_ERRORS, conclude, data, error_log, fill_sct, identify, pending_defects,
    return_status, self_test_log, statistics,
};
use hw_core::disk::DiskFacts;
use hw_core::disk::facts::{Assessment, Protocol};

/// SCSI status CHECK CONDITION; RETURN STATUS asks for it to see the registers.
const CHECK_CONDITION: u8 = 2;
/// The most pages that SMART READ LOG is asked for at once: the Device Statistics have eight with names.
const STATISTICS_PAGES: u16 = 8;

/// Fills the facts as far as the disk answers; `so_far` sees them after each step.
pub(crate) fn gather(
    path: &impl SgPath,
    facts: &mut DiskFacts,
    so_far: &mut dyn FnMut(&DiskFacts),
) -> Result<(), Over> {
    facts.protocol = Protocol::Ata;
    let block = noted(facts, command(path, Command::Identify))?;
    let Some(identity) = block.as_deref().and_then(identify) else {
        if block.is_some() {
            facts
                .missed
                .push("IDENTIFY DEVICE returned nothing".to_owned());
        }
        return Ok(());
    };
    identity.fill(facts);
    so_far(facts);
    let why_not = match (identity.smart_supported, identity.smart_enabled) {
        (true, true) => None,
        (true, false) => Some("SMART is switched off on this disk"),
        (false, _) => Some("the disk has no SMART"),
    };
    if let Some(why) = why_not {
        facts.missed.push(why.to_owned());
    } else {
        let abilities = smart(path, facts)?;
        conclude(facts);
        so_far(facts);
        logs(path, facts, &identity, abilities, so_far)?;
    }
    Ok(())
}

/// The disk's own assessment, its attributes and thresholds.
fn smart(path: &impl SgPath, facts: &mut DiskFacts) -> Result<Abilities, Over> {
    let status = Command::SmartReturnStatus;
    let reply = noted(facts, send(path, status, &status.cdb(), &mut []))?;
    match reply {
        Some(reply) if matches!(reply.status, 0 | CHECK_CONDITION) => {
            facts.assessment = return_status(&reply.sense);
        }
        Some(reply) => facts
            .missed
            .push(format!("{status}: SCSI status {:#04x}", reply.status)),
        None => {}
    }
    let table = noted(facts, command(path, Command::SmartReadData))?.unwrap_or_default();
    let limits = noted(facts, command(path, Command::SmartReadThresholds))?.unwrap_or_default();
    data::fill(facts, &table, &limits);
    Ok(Abilities::read(&table).unwrap_or_default())
}

/// The logs, of the larger command set first.
fn logs(
    path: &impl SgPath,
    facts: &mut DiskFacts,
    identity: &Identity,
    abilities: Abilities,
    so_far: &mut dyn FnMut(&DiskFacts),
) -> Result<(), Over> {
    let large = if identity.general_purpose_logging {
        directory(
            path,
            Command::ReadLogExt {
                address: LOG_DIRECTORY,
                page: 0,
            },
        )?
    } else {
        None
    };
    let small = directory(
        path,
        Command::SmartReadLog {
            address: LOG_DIRECTORY,
            pages: 1,
        },
    )?;
    let logs = Logs { path, large, small };
    // Without a directory, capabilities stand for it.
    let no_directory = logs.small.is_none();
    logs.errors(
        facts,
        no_directory && (identity.error_log || abilities.error_log),
    )?;
    so_far(facts);
    logs.self_tests(
        facts,
        no_directory && (identity.self_test || abilities.self_test),
    )?;
    so_far(facts);
    logs.statistics(facts)?;
    so_far(facts);
    logs.pending(facts)?;
    conclude(facts);
    logs.sct(facts)
}

fn directory(path: &impl SgPath, read: Command) -> Result<Option<Directory>, Over> {
    let block = optional(command(path, read))?;
    Ok(block.as_deref().and_then(Directory::read))
}

/// Reads one command's blocks.
fn command(path: &impl SgPath, command: Command) -> Result<Vec<u8>, Fault> {
    read(path, command, &command.cdb(), command.blocks() * BLOCK)
}

/// Which logs the disk keeps, and the way to them.
struct Logs<'a, P> {
    path: &'a P,
    large: Option<Directory>,
    small: Option<Directory>,
}

impl<P: SgPath> Logs<'_, P> {
    fn large_pages(&self, address: u8) -> u16 {
        self.large.as_ref().map_or(0, |d| d.pages(address))
    }

    fn small_pages(&self, address: u8) -> u16 {
        self.small.as_ref().map_or(0, |d| d.pages(address))
    }

    /// A reader of single pages that remembers the first thing that went wrong.
    fn pages(&self, address: u8, fault: &mut Option<Fault>) -> impl FnMut(u16) -> Option<Vec<u8>> {
        move |page| {
            let read = command(self.path, Command::ReadLogExt { address, page });
            read.map_err(|why| fault.get_or_insert(why).clone()).ok()
        }
    }

    fn errors(&self, facts: &mut DiskFacts, unlisted: bool) -> Result<(), Over> {
        let count = self.large_pages(LOG_EXTENDED_ERRORS);
        if count > 0 {
            let mut fault = None;
            let ata = facts.ata.get_or_insert_default();
            let pages = self.pages(LOG_EXTENDED_ERRORS, &mut fault);
            let filled = error_log::fill_extended(ata, count, pages);
            noted(facts, fault.map_or(Ok(()), Err))?;
            if filled {
                return Ok(());
            }
        }
        if self.small_pages(LOG_SUMMARY_ERRORS) == 0 && !unlisted {
            return Ok(());
        }
        let summary = Command::SmartReadLog {
            address: LOG_SUMMARY_ERRORS,
            pages: 1,
        };
        if let Some(block) = noted(facts, command(self.path, summary))? {
            error_log::fill_summary(facts.ata.get_or_insert_default(), &block);
        }
        Ok(())
    }

    fn self_tests(&self, facts: &mut DiskFacts, unlisted: bool) -> Result<(), Over> {
        let count = self.large_pages(LOG_EXTENDED_SELF_TEST);
        if count > 0 {
            let mut fault = None;
            let pages = self.pages(LOG_EXTENDED_SELF_TEST, &mut fault);
            let filled = self_test_log::fill_extended(facts, count, pages);
            noted(facts, fault.map_or(Ok(()), Err))?;
            if filled {
                return Ok(());
            }
        }
        if self.small_pages(LOG_SELF_TEST) == 0 && !unlisted {
            return Ok(());
        }
        let short = Command::SmartReadLog {
            address: LOG_SELF_TEST,
            pages: 1,
        };
        if let Some(block) = noted(facts, command(self.path, short))? {
            self_test_log::fill_short(facts, &block);
        }
        Ok(())
    }

    fn statistics(&self, facts: &mut DiskFacts) -> Result<(), Over> {
        if self.large_pages(LOG_STATISTICS) > 0 {
            let page = |page| Command::ReadLogExt {
                address: LOG_STATISTICS,
                page,
            };
            let first = noted(facts, command(self.path, page(0)))?.unwrap_or_default();
            let listed = statistics::pages(&first);
            for number in &listed {
                let read = command(self.path, page(u16::from(*number)));
                if let Some(block) = noted(facts, read)? {
                    statistics::fill(facts.ata.get_or_insert_default(), *number, &block);
                }
            }
            if !listed.is_empty() {
                return Ok(());
            }
        }
        let pages = self.small_pages(LOG_STATISTICS).min(STATISTICS_PAGES);
        let Ok(pages @ 1..) = u8::try_from(pages) else {
            return Ok(());
        };
        let whole = Command::SmartReadLog {
            address: LOG_STATISTICS,
            pages,
        };
        if let Some(log) = noted(facts, command(self.path, whole))? {
            let listed = statistics::pages(&log);
            let ata = facts.ata.get_or_insert_default();
            // Here the pages stand one after the other, page n as the n-th block.
            for (number, block) in (0u8..).zip(log.chunks_exact(BLOCK)) {
                if listed.contains(&number) {
                    statistics::fill(ata, number, block);
                }
            }
        }
        Ok(())
    }

    /// Only where the assessment or the temperature did not come through: both stand there once more.
    fn sct(&self, facts: &mut DiskFacts) -> Result<(), Over> {
        let told = facts.assessment != Assessment::NotSaid && facts.temperature_c.is_some();
        let status = if self.large_pages(LOG_SCT_STATUS) > 0 {
            Command::ReadLogExt {
                address: LOG_SCT_STATUS,
                page: 0,
            }
        } else if self.small_pages(LOG_SCT_STATUS) > 0 {
            Command::SmartReadLog {
                address: LOG_SCT_STATUS,
                pages: 1,
            }
        } else {
            return Ok(());
        };
        if !told && let Some(block) = noted(facts, command(self.path, status))? {
            fill_sct(facts, &block);
        }
        Ok(())
    }

    fn pending(&self, facts: &mut DiskFacts) -> Result<(), Over> {
        if self.large_pages(LOG_PENDING_DEFECTS) > 0 {
            let first = Command::ReadLogExt {
                address: LOG_PENDING_DEFECTS,
                page: 0,
            };
            let block = noted(facts, command(self.path, first))?;
            facts.ata.get_or_insert_default().pending_defects =
                block.as_deref().and_then(pending_defects);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
