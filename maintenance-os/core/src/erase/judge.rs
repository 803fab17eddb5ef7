// SPDX-License-Identifier: Apache-2.0
//! Whether a record proves what it says. The node judges by it, and the provisioner once more before it signs.

use super::sample::{END, RANDOM_BLOCKS, WHOLE_MAX};
use alloc::format;
use alloc::string::{String, ToString as _};
use groundstate_api::erase::{EraseClass, EraseOutcome, EraseRecord, ReadsAs};

/// Whether the record proves that the disk is erased as well as was wanted. A record of quarantine proves what it says.
///
/// # Errors
/// The first thing that does not stand, in a sentence.
pub fn proves(record: &EraseRecord, level: EraseClass) -> Result<(), String> {
    let EraseOutcome::Erased { method, class } = record.outcome else {
        return Ok(());
    };
    let sample = &record.sample;
    if class != method.class(record.rotational) || class < level {
        return Err(format!(
            "{method} is worth {} on this medium, the record says {class} and the order wants {level}",
            method.class(record.rotational)
        ));
    }
    let read = sample.sectors.saturating_mul(u64::from(sample.sector));
    let (enough, must) = if record.size.0 <= WHOLE_MAX {
        (sample.whole && read == record.size.0, record.size.0)
    } else {
        let must = 2 * END + RANDOM_BLOCKS * u64::from(sample.sector);
        (sample.whole && read == record.size.0 || read >= must, must)
    };
    if !enough || sample.blocks == 0 {
        return Err(format!("{read} bytes were read back, and {must} must be"));
    }
    if sample.unreadable > 0 {
        return Err(format!(
            "{} of {} blocks cannot be read back",
            sample.unreadable, sample.blocks
        ));
    }
    if sample.unchanged > 0 {
        return Err(format!(
            "{} of {} blocks still hold what was there before",
            sample.unchanged, sample.blocks
        ));
    }
    if sample.witnesses == 0 {
        return Err("nothing was read before that could witness the erase".to_string());
    }
    let (should, are) = match method.reads_as() {
        ReadsAs::Zeros => ("zeros", sample.zeros),
        ReadsAs::Uniform => ("blank", sample.blank),
        ReadsAs::Changed => ("blank or changed", sample.blank + sample.changed),
    };
    if are != sample.blocks {
        return Err(format!(
            "{} of {} blocks are not {should}, as they are after {method}",
            sample.blocks.abs_diff(are),
            sample.blocks
        ));
    }
    match sample.recognised.first() {
        Some(what) => Err(format!("the disk still holds {what}")),
        None => Ok(()),
    }
}
