// SPDX-License-Identifier: Apache-2.0
//! SMART / Health Information, log page 02h (NVM Express Base 2.0, figure 207), as facts.

use crate::disk::facts::{Assessment, DiskFacts};
use crate::fields::{byte, le16, le32, le128};

/// Length of the log page in bytes.
pub const LOG_LENGTH: usize = 512;

/// Puts the log into the facts. A log of zeros or ones, as controllers without a medium return, is told as missed.
pub fn fill_smart(facts: &mut DiskFacts, log: &[u8]) {
    let Some(log) = log.get(..LOG_LENGTH) else {
        facts
            .missed
            .push("the disk returned a short health log".into());
        return;
    };
    if log.iter().all(|b| *b == 0) || log.iter().all(|b| *b == 0xff) {
        facts
            .missed
            .push("the disk returned an empty health log".into());
        return;
    }
    let count = |at| le128(log, at).map(|wide| u64::try_from(wide).unwrap_or(u64::MAX));
    let nvme = facts.nvme.get_or_insert_default();
    nvme.critical_warning = byte(log, 0);
    nvme.available_spare = byte(log, 3);
    nvme.available_spare_threshold = byte(log, 4);
    nvme.percentage_used = byte(log, 5);
    nvme.data_units_read = count(32);
    nvme.data_units_written = count(48);
    nvme.power_cycles = count(112);
    nvme.unsafe_shutdowns = count(144);
    nvme.media_errors = count(160);
    nvme.error_log_entries = count(176);
    nvme.warning_temperature_minutes = le32(log, 192).map(u64::from);
    nvme.critical_temperature_minutes = le32(log, 196).map(u64::from);
    // The critical warning is the disk's own assessment: one bit and it does not call itself well.
    facts.assessment = match nvme.critical_warning {
        Some(0) => Assessment::Passed,
        Some(_) => Assessment::Failed,
        None => Assessment::NotSaid,
    };
    facts.power_on_hours = count(128);
    // 0 kelvin: the drive does not report its temperature.
    facts.temperature_c = le16(log, 1).filter(|k| *k != 0).and_then(super::celsius);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::facts::Protocol;
    use alloc::format;
    use expect_test::expect;

    fn facts(log: &[u8]) -> DiskFacts {
        let mut facts = DiskFacts::new("nvme0n1", "ioctl", Protocol::Nvme);
        fill_smart(&mut facts, log);
        facts
    }

    fn log() -> Vec<u8> {
        let mut log = vec![0u8; LOG_LENGTH];
        log[1..3].copy_from_slice(&(273u16 + 40).to_le_bytes());
        (log[3], log[4], log[5]) = (100, 10, 4);
        for (at, value) in [
            (32, 1u64),
            (48, 2),
            (112, 3),
            (128, 1234),
            (144, 4),
            (160, 5),
        ] {
            log[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        log[176..192].copy_from_slice(&[0xff; 16]);
        log[192..196].copy_from_slice(&7u32.to_le_bytes());
        log[196..200].copy_from_slice(&8u32.to_le_bytes());
        log
    }

    #[test]
    fn every_field_stands_where_the_specification_puts_it() {
        let facts = facts(&log());
        expect![[r#"
            NvmeFacts {
                critical_warning: Some(
                    0,
                ),
                available_spare: Some(
                    100,
                ),
                available_spare_threshold: Some(
                    10,
                ),
                percentage_used: Some(
                    4,
                ),
                media_errors: Some(
                    5,
                ),
                error_log_entries: Some(
                    18446744073709551615,
                ),
                unsafe_shutdowns: Some(
                    4,
                ),
                power_cycles: Some(
                    3,
                ),
                data_units_read: Some(
                    1,
                ),
                data_units_written: Some(
                    2,
                ),
                warning_temperature_minutes: Some(
                    7,
                ),
                critical_temperature_minutes: Some(
                    8,
                ),
                warning_temperature_c: None,
                critical_temperature_c: None,
                errors: [],
            }"#]]
        .assert_eq(&format!("{:#?}", facts.nvme.unwrap()));
        assert_eq!(facts.assessment, Assessment::Passed);
        assert_eq!(facts.temperature_c, Some(40));
        assert_eq!(facts.power_on_hours, Some(1234));
    }

    #[test]
    fn a_warning_is_no_pass_and_an_empty_log_is_no_log() {
        let mut warned = log();
        warned[0] = 2;
        (warned[1], warned[2]) = (0, 0);
        let seen = facts(&warned);
        assert_eq!(seen.assessment, Assessment::Failed);
        assert_eq!(seen.temperature_c, None);
        for (empty, why) in [
            (vec![0u8; LOG_LENGTH], "empty"),
            (vec![0xff; LOG_LENGTH], "empty"),
            (vec![1; 511], "short"),
        ] {
            let none = facts(&empty);
            assert_eq!(none.assessment, Assessment::NotSaid);
            assert_eq!(none.nvme, None);
            assert_eq!(
                none.missed,
                [format!(
                    "the disk returned a{} {why} health log",
                    if why == "empty" { "n" } else { "" }
                )]
            );
        }
    }
}
