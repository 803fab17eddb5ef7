// SPDX-License-Identifier: Apache-2.0
//! One line a lease: the CRC-32 of what follows as eight hexadecimal digits, a blank, the lease as JSON.
//!
//! A line says by itself whether it was written whole, and a technician can read it.

use crate::lease_file::LeaseFileError;
use groundstate_api::MacAddr;
use pxe_core::dhcp::{Lease, LeaseState};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The first line: what this file is.
pub(super) const HEAD: &[u8] = b"groundstate-leases 2\n";
/// What one write appends at most, in bytes: so far from the end, and no further, a cut can leave lines that were not
/// written whole.
pub(super) const WRITE_MAX: usize = 1 << 20;
/// The longest line, in bytes. A lease has about 200.
const LINE_MAX: u64 = 4_096;
/// What a line has at least, mostly, in bytes: how much room is made before the first is read.
const LINE_USUAL: u64 = 150;
/// Leases that room is made for at most: a log that was long not written anew says each of them several times.
const EXPECTED_MAX: usize = 1 << 17;

/// Adds a lease's line.
pub(super) fn put(lease: &Lease, to: &mut Vec<u8>) {
    let begin = to.len();
    to.extend_from_slice(b"00000000 ");
    let body = to.len();
    // A lease of our own types has nothing that JSON cannot say, and a vector takes everything.
    let _ = serde_json::to_writer(&mut *to, lease);
    let sum = crc32fast::hash(to.get(body..).unwrap_or_default());
    if let Some(mut place) = to.get_mut(begin..) {
        let _ = write!(place, "{sum:08x}");
    }
    to.push(b'\n');
}

/// Reads a line without its end; `None` where it is not what was written.
fn take(line: &[u8]) -> Option<Lease> {
    let (sum, rest) = line.split_at_checked(8)?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    let body = rest.strip_prefix(b" ")?;
    if crc32fast::hash(body) != sum {
        return None;
    }
    super::quick::read(body).or_else(|| serde_json::from_slice(body).ok())
}

/// What is kept: of each address and of each machine the last that was written.
#[derive(Debug, Default)]
pub(super) struct Kept {
    by_address: HashMap<Ipv4Addr, Lease>,
    by_mac: HashMap<MacAddr, Ipv4Addr>,
}

impl Kept {
    /// Makes room for about so many.
    fn expect(&mut self, leases: u64) {
        let leases = usize::try_from(leases)
            .unwrap_or(EXPECTED_MAX)
            .min(EXPECTED_MAX);
        self.by_address.reserve(leases);
        self.by_mac.reserve(leases);
    }

    pub(super) fn put(&mut self, lease: Lease) {
        if let Some(old) = self.by_address.get(&lease.address)
            && self.by_mac.get(&old.mac) == Some(&lease.address)
        {
            self.by_mac.remove(&old.mac);
        }
        // A declined address belongs to nobody; its machine has another one beside it.
        if lease.state != LeaseState::Declined
            && let Some(old) = self.by_mac.insert(lease.mac, lease.address)
            && old != lease.address
        {
            self.by_address.remove(&old);
        }
        self.by_address.insert(lease.address, lease);
    }

    pub(super) fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.by_address.values()
    }

    pub(super) fn into_leases(self) -> Vec<Lease> {
        self.by_address.into_values().collect()
    }
}

/// What was read of a log.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) kept: Kept,
    /// Bytes from the beginning in which every line is whole.
    pub(super) whole: u64,
    /// Lines that are not.
    pub(super) torn: u64,
    /// Whole lines behind the first that is not.
    pub(super) stray: u64,
}

/// Where a log ends: behind its last byte that is not zero. Zeros are written ahead.
pub(super) fn end(file: &File, room: u64) -> io::Result<u64> {
    let mut piece = [0; 64 << 10];
    let mut end = room;
    while end > 0 {
        let begin = end.saturating_sub(to_u64(piece.len()));
        let length = usize::try_from(end - begin).unwrap_or_default();
        let part = piece.get_mut(..length).unwrap_or_default();
        file.read_exact_at(part, begin)?;
        if let Some(last) = part.iter().rposition(|byte| *byte != 0) {
            return Ok(begin + to_u64(last) + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// Reads a log of `length` bytes. Lines that are not whole are what a power cut leaves of the last write: they are left
/// out, and counted. Further from the end they are damage, which is refused.
pub(super) fn read(from: impl BufRead, length: u64, path: &Path) -> Result<Log, LeaseFileError> {
    let io = |source| LeaseFileError::Io {
        doing: "read",
        path: path.to_path_buf(),
        source,
    };
    let damage = |what| LeaseFileError::Content {
        path: path.to_path_buf(),
        what,
    };
    let (mut from, mut log, mut at) = (from, Log::default(), 0u64);
    log.kept.expect(length / LINE_USUAL);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = next_line(&mut from, &mut line).map_err(io)?;
        if read == 0 {
            return Ok(log);
        }
        let begin = at;
        at += read;
        let whole = line.strip_suffix(b"\n");
        if begin == 0 {
            match whole {
                Some(head) if head == HEAD.trim_ascii_end() => log.whole = at,
                // The very first write was cut short.
                _ if HEAD.starts_with(&line) => log.torn += 1,
                _ => return Err(damage("its first line is another".to_owned())),
            }
            continue;
        }
        match whole.and_then(take) {
            Some(lease) => {
                log.kept.put(lease);
                if log.torn == 0 {
                    log.whole = at;
                } else {
                    log.stray += 1;
                }
            }
            None if length.saturating_sub(begin) > to_u64(WRITE_MAX) => {
                let behind = length.saturating_sub(begin);
                return Err(damage(format!(
                    "the line at byte {begin} is damaged, {behind} bytes before the end"
                )));
            }
            None => log.torn += 1,
        }
    }
}

/// Reads up to a line's end, or [`LINE_MAX`] bytes of something that is no line.
fn next_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    let read = io::Read::take(from, LINE_MAX).read_until(b'\n', line)?;
    Ok(to_u64(read))
}

/// A length as 64 bits; no machine of ours has longer ones.
pub(super) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::Millis;

    fn lease(address: u8, mac: u8, state: LeaseState) -> Lease {
        Lease {
            address: [10, 77, 0, address].into(),
            mac: MacAddr([2, 0, 0, 0, 0, mac]),
            state,
            until: Millis(7_000),
            ..super::super::test_lease()
        }
    }

    fn log(leases: &[Lease]) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        for lease in leases {
            put(lease, &mut bytes);
        }
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> Result<Log, LeaseFileError> {
        read(bytes, to_u64(bytes.len()), Path::new("leases.log"))
    }

    fn sorted(log: Log) -> Vec<Lease> {
        let mut leases = log.kept.into_leases();
        leases.sort_by_key(|lease| lease.address);
        leases
    }

    #[test]
    fn the_last_word_on_each_address_and_each_machine_counts() {
        use LeaseState::{Bound, Declined};
        let bytes = log(&[
            lease(1, 1, Bound),
            lease(2, 2, Bound),
            // Machine 1 moves, its old address goes with it.
            lease(3, 1, Bound),
            // Machine 2 declines its address and gets another: the declined one stays known.
            lease(2, 2, Declined),
            lease(4, 2, Bound),
            // Machine 3 gets what machine 1 has had.
            lease(3, 3, Bound),
        ]);
        let read = read_bytes(&bytes).unwrap();
        assert_eq!((read.whole, read.torn), (to_u64(bytes.len()), 0));
        assert_eq!(
            sorted(read),
            [
                lease(2, 2, Declined),
                lease(3, 3, Bound),
                lease(4, 2, Bound)
            ]
        );
    }

    #[test]
    fn wherever_a_write_is_cut_what_was_whole_is_read() {
        let leases: Vec<Lease> = (1..4).map(|n| lease(n, n, LeaseState::Bound)).collect();
        let bytes = log(&leases);
        let ends: Vec<usize> = (0..=3).map(|n| log(&leases[..n]).len()).collect();
        for cut in 0..bytes.len() {
            let read = read_bytes(&bytes[..cut]).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(
                read.torn,
                u64::from(cut != 0 && !ends.contains(&cut)),
                "{cut}"
            );
            assert_eq!(sorted(read), leases[..whole.saturating_sub(1)], "{cut}");
        }
    }

    #[test]
    fn a_hole_near_the_end_is_left_out_and_one_far_from_it_is_refused() {
        let leases: Vec<Lease> = (1..4).map(|n| lease(n, n, LeaseState::Bound)).collect();
        let mut bytes = log(&leases);
        let second = log(&leases[..1]).len();
        // A page that never reached the disk reads as zeros.
        bytes[second + 3..second + 40].fill(0);
        let read = read_bytes(&bytes).unwrap();
        assert_eq!((read.torn, read.stray), (1, 1));
        assert_eq!(sorted(read), [leases[0], leases[2]]);
        while bytes.len() < second + WRITE_MAX + 1 {
            put(&leases[2], &mut bytes);
        }
        let error = read_bytes(&bytes).unwrap_err().to_string();
        assert!(
            error.contains("leases.log") && error.contains(&format!("byte {second} is damaged")),
            "{error}"
        );
        assert!(error.contains("move it away"), "{error}");
    }

    #[test]
    fn the_end_is_before_the_zeros_that_were_written_ahead() {
        let mut file = tempfile::tempfile().unwrap();
        assert_eq!(end(&file, 0).unwrap(), 0);
        file.write_all(&log(&[])).unwrap();
        let length = to_u64(HEAD.len());
        assert_eq!(end(&file, length).unwrap(), length);
        for room in [length + 1, 70_000, 1 << 20] {
            file.set_len(room).unwrap();
            assert_eq!(end(&file, room).unwrap(), length);
        }
    }

    #[test]
    fn another_file_is_refused() {
        for other in [
            &b"{\"schema\":1}"[..],
            b"\0\0\0\0",
            b"groundstate-leases 3\n",
        ] {
            assert!(read_bytes(other).is_err());
        }
        assert_eq!(read_bytes(b"").unwrap().torn, 0);
    }
}
