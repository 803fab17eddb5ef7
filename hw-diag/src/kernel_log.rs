// SPDX-License-Identifier: Apache-2.0
//! The kernel's log since boot, as far as its ring still holds it.

use crate::sysfs::Tree;
use hw_core::machine::kernel_log::LogFacts;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;

const FILE: &str = "dev/kmsg";
/// The most records: a ring of 16 MiB with lines of 100 bytes. New ones that come meanwhile cannot keep us here.
const RECORDS_MAX: u32 = 160_000;
/// A record's longest text; the kernel's own limit is 8 KiB with what it adds.
const RECORD_MAX: usize = 8 * 1024;

/// What the log says of firmware files and machine checks.
pub(crate) fn log(tree: &Tree, missed: &mut Vec<String>) -> LogFacts {
    let mut facts = LogFacts::default();
    let open = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(tree.path(FILE));
    let mut file = match open {
        Ok(file) => file,
        Err(error) => {
            missed.push(format!("kernel log: /{FILE}: {error}"));
            return facts;
        }
    };
    let mut record = vec![0u8; RECORD_MAX];
    for _ in 0..RECORDS_MAX {
        match file.read(&mut record) {
            Ok(0) => break,
            Ok(length) => {
                let text = String::from_utf8_lossy(record.get(..length).unwrap_or_default());
                for line in text.lines() {
                    facts.take(message(line).unwrap_or_default());
                }
            }
            // The end of what is there.
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // The record that was next has been overwritten (EPIPE): the reading goes on with the oldest one there is.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) => {
                missed.push(format!("kernel log: /{FILE}: {error}"));
                break;
            }
        }
    }
    facts
}

/// `priority,number,time,flags;text`; lines that begin with a blank carry the record's device and are no message.
fn message(line: &str) -> Option<&str> {
    let (head, text) = line.split_once(';')?;
    (!line.starts_with(' ') && head.contains(',')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn records_are_read_without_their_heads() {
        let fixture = Fixture::new();
        let mut missed = Vec::new();
        assert_eq!(log(&fixture.tree(), &mut missed), LogFacts::default());
        assert_eq!(missed.len(), 1);
        fixture.file(
            FILE,
            "4,812,5140900,-;bnx2 0000:3b:00.0: Direct firmware load for bnx2/x.fw failed with error -2\n SUBSYSTEM=pci\n DEVICE=+pci:0000:3b:00.0\n2,9,1,-;mce: [Hardware Error]: CPU 1\njunk\n",
        );
        let seen = log(&fixture.tree(), &mut missed);
        assert_eq!(seen.missing_firmware[0].file, "bnx2/x.fw");
        assert_eq!((seen.machine_check_count, missed.len()), (1, 1));
    }
}
