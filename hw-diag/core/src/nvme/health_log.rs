// SPDX-License-Identifier: Apache-2.0
//! SMART / Health Information, log page 02h (NVM Express Base 2.0, figure 207).

use super::Controller;
use crate::fields::{byte, le16, le128};
use crate::health::{Assessment, unknown};
use alloc::format;
use groundstate_api::inventory::Health;

/// Length of the log page in bytes.
pub const LOG_LENGTH: usize = 512;

/// Where the verdict comes from.
const SOURCE: &str = "NVMe SMART / Health log";
/// Percentage Used from which to warn: the vendor's rated endurance is spent. The drive may live on, so it is no
/// failure; critical warning bits 0 and 2 say when it is.
const WEAR_WARN: u8 = 100;
/// 0 °C in kelvin, as the specification rounds it.
const KELVIN_ZERO: u16 = 273;

/// Critical warning bits: what each means, and whether the disk is to be pulled for it.
const CRITICAL: [(&str, bool); 6] = [
    ("available spare is below its threshold", true),
    // Heat is the room's or the fan's doing; the disk can be used once it is cooled.
    ("temperature is over or under a threshold", false),
    ("NVM subsystem reliability degraded", true),
    ("media is in read-only mode", true),
    ("volatile memory backup has failed", true),
    ("persistent memory region is read-only or unreliable", true),
];

/// The health of an NVMe disk from its log page. `controller` supplies the temperature thresholds.
#[must_use]
pub fn health(log: &[u8], controller: Option<&Controller>) -> Health {
    let Some(log) = log.get(..LOG_LENGTH) else {
        return unknown(SOURCE, "the disk returned a short health log");
    };
    if log.iter().all(|b| *b == 0) || log.iter().all(|b| *b == 0xff) {
        return unknown(SOURCE, "the disk returned an empty health log");
    }
    let mut seen = Assessment::new(SOURCE);
    let at = |offset| byte(log, offset).unwrap_or(0);
    critical_warning(at(0), &mut seen);
    let (spare, threshold, used) = (at(3), at(4), at(5));
    if spare < threshold {
        seen.fail(format!(
            "available spare is {spare} %, below the drive's threshold of {threshold} %"
        ));
    }
    if used >= WEAR_WARN {
        seen.warn(format!("{used} % of the rated endurance is used"));
    }
    let errors = le128(log, 160).unwrap_or(0);
    if errors > 0 {
        seen.warn(format!("{errors} media and data integrity errors"));
    }
    temperature(le16(log, 1).unwrap_or(0), controller, &mut seen);
    seen.hours(Some(
        u64::try_from(le128(log, 128).unwrap_or(0)).unwrap_or(u64::MAX),
    ));
    seen.done()
}

fn critical_warning(bits: u8, seen: &mut Assessment) {
    for (number, (meaning, pull)) in CRITICAL.iter().enumerate() {
        if bits & (1 << number) == 0 {
            continue;
        }
        let line = format!("critical warning {bits:#04x}: {meaning}");
        if *pull {
            seen.fail(line);
        } else {
            seen.warn(line);
        }
    }
    if bits >> CRITICAL.len() != 0 {
        seen.warn(format!(
            "critical warning {bits:#04x}: reserved bits are set"
        ));
    }
}

fn temperature(kelvin: u16, controller: Option<&Controller>, seen: &mut Assessment) {
    if kelvin == 0 {
        seen.note("the drive does not report its temperature");
        return;
    }
    let celsius = |k: u16| i16::try_from(i32::from(k) - i32::from(KELVIN_ZERO)).ok();
    seen.temperature(celsius(kelvin));
    let limit = controller.and_then(|c| c.warning_kelvin.or(c.critical_kelvin));
    if let Some(limit) = limit.filter(|limit| kelvin >= *limit) {
        seen.warn(format!(
            "{} °C, at or above the drive's warning threshold of {} °C",
            i32::from(kelvin) - i32::from(KELVIN_ZERO),
            i32::from(limit) - i32::from(KELVIN_ZERO)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(change: fn(&mut [u8]), expect: Expect) {
        let mut log = vec![0u8; LOG_LENGTH];
        log[1..3].copy_from_slice(&(273u16 + 40).to_le_bytes());
        (log[3], log[4], log[5]) = (100, 10, 4);
        log[128..130].copy_from_slice(&1234u16.to_le_bytes());
        change(&mut log);
        let controller = Controller {
            serial: "S".into(),
            model: "M".into(),
            revision: "R".into(),
            warning_kelvin: Some(343),
            critical_kelvin: Some(353),
        };
        let found = health(&log, Some(&controller));
        expect.assert_eq(&format!(
            "{:?} {:?} {:?} °C {:?} h",
            found.verdict, found.evidence, found.temperature_c, found.power_on_hours
        ));
    }

    #[test]
    fn each_critical_warning_bit_is_named() {
        check(|_| {}, expect!["Ok [] Some(40) °C Some(1234) h"]);
        check(
            |l| l[0] = 0x01,
            expect![[
                r#"Fail ["critical warning 0x01: available spare is below its threshold"] Some(40) °C Some(1234) h"#
            ]],
        );
        check(
            |l| l[0] = 0x02,
            expect![[
                r#"Warn ["critical warning 0x02: temperature is over or under a threshold"] Some(40) °C Some(1234) h"#
            ]],
        );
        check(
            |l| l[0] = 0x04,
            expect![[
                r#"Fail ["critical warning 0x04: NVM subsystem reliability degraded"] Some(40) °C Some(1234) h"#
            ]],
        );
        check(
            |l| l[0] = 0x08,
            expect![[
                r#"Fail ["critical warning 0x08: media is in read-only mode"] Some(40) °C Some(1234) h"#
            ]],
        );
        check(
            |l| l[0] = 0x10,
            expect![[
                r#"Fail ["critical warning 0x10: volatile memory backup has failed"] Some(40) °C Some(1234) h"#
            ]],
        );
        check(
            |l| l[0] = 0x20,
            expect![[
                r#"Fail ["critical warning 0x20: persistent memory region is read-only or unreliable"] Some(40) °C Some(1234) h"#
            ]],
        );
        check(
            |l| l[0] = 0x40,
            expect![[
                r#"Warn ["critical warning 0x40: reserved bits are set"] Some(40) °C Some(1234) h"#
            ]],
        );
        check(
            |l| l[0] = 0x06,
            expect![[
                r#"Fail ["critical warning 0x06: NVM subsystem reliability degraded", "critical warning 0x06: temperature is over or under a threshold"] Some(40) °C Some(1234) h"#
            ]],
        );
    }

    #[test]
    fn spare_wear_errors_and_heat_have_their_say() {
        check(
            |l| l[3] = 9,
            expect![[
                r#"Fail ["available spare is 9 %, below the drive's threshold of 10 %"] Some(40) °C Some(1234) h"#
            ]],
        );
        check(|l| l[3] = 10, expect!["Ok [] Some(40) °C Some(1234) h"]);
        check(|l| l[5] = 99, expect!["Ok [] Some(40) °C Some(1234) h"]);
        check(
            |l| l[5] = 100,
            expect![[r#"Warn ["100 % of the rated endurance is used"] Some(40) °C Some(1234) h"#]],
        );
        check(
            |l| l[160] = 1,
            expect![[r#"Warn ["1 media and data integrity errors"] Some(40) °C Some(1234) h"#]],
        );
        check(
            |l| l[1..3].copy_from_slice(&343u16.to_le_bytes()),
            expect![[
                r#"Warn ["70 °C, at or above the drive's warning threshold of 70 °C"] Some(70) °C Some(1234) h"#
            ]],
        );
        check(
            |l| l.fill(0),
            expect![[r#"Unknown ["the disk returned an empty health log"] None °C None h"#]],
        );
        check(
            |l| l.fill(0xff),
            expect![[r#"Unknown ["the disk returned an empty health log"] None °C None h"#]],
        );
    }
}
