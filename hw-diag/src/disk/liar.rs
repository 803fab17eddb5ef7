// SPDX-License-Identifier: Apache-2.0
//! A disk that answers anything: random data, lengths, statuses, sense data and errors. Whatever it says, the asking ends,
//! within a bound of commands, and nothing panics.

use super::path::{AdminPath, SgPath};
use crate::ioctl::{Admin, SgReply};
use crate::{ata, nvme, scsi};
use hw_core::disk::facts::Protocol;
use hw_core::disk::{DiskFacts, judge};
use std::cell::Cell;
use std::io;

/// More commands than any disk needs: a healthy one with all logs takes some 30.
const COMMANDS_MAX: u32 = 120;
/// How many disks lie; each lies differently, and the same in every run.
const LIARS: u64 = 400;

struct Liar {
    state: Cell<u64>,
    asked: Cell<u32>,
    /// One of so many answers is a refusal or an error; the fewer, the deeper the asking goes.
    honest: u64,
}

impl Liar {
    /// xorshift64*.
    fn next(&self) -> u64 {
        let mut x = self.state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.state.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn fill(&self, data: &mut [u8], kind: u8) {
        // Sparse answers look more like real ones than noise does.
        let keep = self.next() % 4;
        for byte in data.iter_mut() {
            let word = self.next().to_le_bytes();
            *byte = if u64::from(word[1]) % 4 >= keep {
                word[0]
            } else {
                0
            };
        }
        // Often the answer has the right head.
        if self.next().is_multiple_of(2)
            && let Some(first) = data.first_mut()
        {
            *first = kind;
        }
    }
    fn error(&self) -> io::Error {
        let numbers = [
            libc::EIO,
            libc::EINVAL,
            libc::EBUSY,
            libc::EPERM,
            libc::ENOMEM,
        ];
        let index = usize::try_from(self.next() % 5).unwrap();
        io::Error::from_raw_os_error(numbers[index])
    }
    fn lies(&self) -> u64 {
        self.asked.set(self.asked.get() + 1);
        self.next() % self.honest
    }
}

impl SgPath for Liar {
    fn sg(&self, cdb: &[u8], data: &mut [u8]) -> io::Result<SgReply> {
        let lie = self.lies();
        if lie == 1 {
            return Err(self.error());
        }
        // A log page's head has its number; a page of statistics has it in the third byte.
        let kind = if cdb[0] == 0x4d { cdb[2] & 0x3f } else { 1 };
        self.fill(data, kind);
        if let (0x85, Some(third)) = (cdb[0], data.get_mut(2)) {
            *third = cdb[10];
        }
        let mut sense = vec![0u8; usize::try_from(self.next() % 40).unwrap()];
        self.fill(&mut sense, [0x70, 0x72][usize::from(cdb[0] & 1)]);
        let length = match self.next() % 3 {
            0 => usize::try_from(self.next()).unwrap() % (data.len() + 1),
            _ => data.len(),
        };
        Ok(SgReply {
            status: if lie == 2 { 2 } else { 0 },
            host_status: if lie == 3 { 7 } else { 0 },
            sense,
            length,
        })
    }
}

impl AdminPath for Liar {
    fn admin(&self, _: Admin, data: &mut [u8]) -> io::Result<i32> {
        match self.lies() {
            1 => Err(self.error()),
            2 => Ok(0x4002),
            _ => {
                self.fill(data, 0);
                Ok(0)
            }
        }
    }
}

#[test]
fn whatever_a_disk_says_the_asking_ends() {
    let mut deepest = 0;
    for seed in 1..=LIARS {
        for protocol in [Protocol::Ata, Protocol::Nvme, Protocol::Scsi] {
            let liar = Liar {
                state: Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                asked: Cell::new(0),
                honest: 4 + seed % 60,
            };
            let mut facts = DiskFacts::new("liar", "ioctl", protocol);
            let so_far = &mut |_: &DiskFacts| {};
            let end = match protocol {
                Protocol::Ata => ata::gather(&liar, &mut facts, so_far),
                Protocol::Nvme => nvme::gather(&liar, &mut facts, so_far),
                Protocol::Scsi | Protocol::Unknown => scsi::gather(&liar, &mut facts, so_far),
            };
            let asked = liar.asked.get();
            assert!(asked <= COMMANDS_MAX, "seed {seed}: {asked} commands");
            assert!(facts.missed.len() <= usize::try_from(asked).unwrap() + 4);
            deepest = deepest.max(asked);
            facts.no_answer = end.err().map(|over| over.0);
            let report = judge(&facts, &[]);
            // A line of a report never carries control characters to a screen.
            for finding in &report.findings {
                assert!(
                    !finding.what.contains(|c: char| c.is_control()),
                    "{finding:?}"
                );
            }
        }
    }
    assert!(deepest >= 20, "no liar was believed for long: {deepest}");
}
