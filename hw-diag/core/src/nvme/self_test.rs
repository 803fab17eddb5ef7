// SPDX-License-Identifier: Apache-2.0
//! Device Self-test: the command and log page 06h (NVM Express Base 2.0, 5.9 and figure 212). It reads and never writes.

use super::Controller;
use crate::disk::facts::{SelfTest, SelfTestKind, SelfTestLog, SelfTestResult};
use crate::fields::{byte, le64};
use alloc::format;
use alloc::string::String;

/// Length of the log page: a head of 4 bytes and 20 results of 28.
pub const SELF_TEST_LENGTH: usize = 4 + RESULTS * RESULT;
const RESULTS: usize = 20;
const RESULT: usize = 28;
/// Admin command Device Self-test.
pub const DEVICE_SELF_TEST: u8 = 0x14;
/// A short self-test ends within two minutes (8.6.1).
const SHORT_MINUTES: u32 = 2;
/// Valid Diagnostic Information: the failing address is there.
const ADDRESS_VALID: u8 = 1 << 1;

/// Command Dword 10 to start a self-test; `None` for kinds that NVMe does not have.
#[must_use]
pub const fn start(kind: SelfTestKind) -> Option<u32> {
    match kind {
        SelfTestKind::Short => Some(1),
        SelfTestKind::Extended => Some(2),
        SelfTestKind::Conveyance | SelfTestKind::Selective | SelfTestKind::Other => None,
    }
}

/// Command Dword 10 to end the self-test that runs.
pub const ABORT: u32 = 0xf;

/// Reads the log; `None` when it is short.
#[must_use]
pub fn self_test_log(log: &[u8], controller: Option<&Controller>) -> Option<SelfTestLog> {
    let log = log.get(..SELF_TEST_LENGTH)?;
    let running = (byte(log, 0)? & 0x0f != 0)
        .then(|| byte(log, 1).map(|done| 100 - (done & 0x7f).min(100)))
        .flatten();
    let results = log.get(4..).unwrap_or_default().chunks_exact(RESULT);
    Some(SelfTestLog {
        entries: results.filter_map(self_test).collect(),
        running,
        last_status: None,
        short_minutes: Some(SHORT_MINUTES),
        extended_minutes: controller.and_then(|c| c.extended_minutes),
    })
}

fn self_test(entry: &[u8]) -> Option<SelfTest> {
    let (code, valid) = (byte(entry, 0)?, byte(entry, 2)?);
    let segment = || match byte(entry, 1) {
        Some(segment) if segment != 0 => format!("segment {segment} failed"),
        _ => String::from("a segment failed"),
    };
    let result = match code & 0x0f {
        0 => SelfTestResult::Passed,
        1..=4 | 8 | 9 => SelfTestResult::Aborted,
        5 => SelfTestResult::Failed("fatal or unknown error".into()),
        6 => SelfTestResult::Failed("a segment failed, it is not known which".into()),
        7 => SelfTestResult::Failed(segment()),
        // The entry is not used.
        0x0f => return None,
        other => SelfTestResult::Unknown(format!("result {other}")),
    };
    let kind = match code >> 4 {
        1 => SelfTestKind::Short,
        2 => SelfTestKind::Extended,
        // A log of zeros is an unused one with drives that never ran a test.
        0 if entry.iter().all(|b| *b == 0) => return None,
        _ => SelfTestKind::Other,
    };
    Some(SelfTest {
        kind,
        result,
        hours: le64(entry, 4),
        lba: le64(entry, 16).filter(|_| valid & ADDRESS_VALID != 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_and_results_are_read() {
        let mut log = vec![0u8; SELF_TEST_LENGTH];
        (log[0], log[1]) = (2, 30);
        log[4..8].copy_from_slice(&[0x17, 3, 2, 0]);
        log[8..16].copy_from_slice(&500u64.to_le_bytes());
        log[20..28].copy_from_slice(&99u64.to_le_bytes());
        log[32] = 0x20;
        log[60] = 0x0f;
        log[88] = 0x21;
        let seen = self_test_log(&log, None).unwrap();
        assert_eq!(seen.running, Some(70));
        assert_eq!(seen.extended_minutes, None);
        let lines: Vec<_> = seen
            .entries
            .iter()
            .map(|t| format!("{:?} {:?} {:?} {:?}", t.kind, t.result, t.hours, t.lba))
            .collect();
        assert_eq!(
            lines,
            [
                "Short Failed(\"segment 3 failed\") Some(500) Some(99)",
                "Extended Passed Some(0) None",
                "Extended Aborted Some(0) None",
            ]
        );
        log[0] = 0;
        assert_eq!(self_test_log(&log, None).unwrap().running, None);
        (log[0], log[1]) = (1, 0xff);
        assert_eq!(self_test_log(&log, None).unwrap().running, Some(0));
        assert_eq!(self_test_log(&log[..563], None), None);
        assert_eq!(start(SelfTestKind::Conveyance), None);
    }
}
