// SPDX-License-Identifier: Apache-2.0
//! Power may go at any write: of what was written since the last flush any part may be missing. The VHD opens, what was
//! flushed is there, and each sector reads as before or after.

use super::*;
use crate::random_access::ReadAt;
use alloc::string::String;

/// Bytes and where they were written.
type Written = (u64, Vec<u8>);

/// A file that remembers every write since the last flush.
#[derive(Clone, Debug, Default)]
struct Disk {
    durable: Vec<u8>,
    now: Vec<u8>,
    writes: Vec<Written>,
    /// Each moment at which power may go: what is durable, and what is on its way.
    moments: Vec<(Vec<u8>, Vec<Written>)>,
}

impl ReadAt for Disk {
    type Error = String;
    fn len(&self) -> u64 {
        self.now.len() as u64
    }
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), String> {
        self.now.read_at(at, into)
    }
}

impl crate::random_access::WriteAt for Disk {
    fn write_at(&mut self, at: u64, from: &[u8]) -> Result<(), String> {
        self.writes.push((at, from.to_vec()));
        self.now.write_at(at, from)
    }
    fn flush(&mut self) -> Result<(), String> {
        let writes = core::mem::take(&mut self.writes);
        self.moments.push((self.durable.clone(), writes));
        self.durable.clone_from(&self.now);
        Ok(())
    }
}

/// A small generator; seeds make every run the same.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

const SIZE: u64 = 4 << 20;

/// A content, and how many flushes of the file had ended when it was durable.
type State = (usize, Vec<u8>);

/// Writes to a VHD, flushing between, and returns the disk's content after each flush.
fn play(file: Vec<u8>) -> (Disk, Vec<State>) {
    let disk = Disk {
        durable: file.clone(),
        now: file,
        ..Disk::default()
    };
    let mut vhd = Vhd::open(disk).unwrap();
    if vhd.footer().kind == Kind::Differencing {
        vhd.attach(parent(), ParentTime::Any).unwrap();
    }
    let mut states = vec![(0, content(&mut vhd))];
    for (round, at) in [100u64, 2 << 20, 700_000, 300].into_iter().enumerate() {
        vhd.write_at(at, &vec![round as u8 + 1; 3_000]).unwrap();
        vhd.write_at(at + 1_048_576, &vec![round as u8 + 11; 512])
            .unwrap();
        vhd.flush().unwrap();
        let flushes = vhd.source().moments.len();
        states.push((flushes, content(&mut vhd)));
    }
    (vhd.into_source(), states)
}

fn parent() -> Vhd<Disk> {
    let mut file = new(SIZE, [1; 16], Shape::Fixed);
    file[..4 << 20].fill(0x55);
    Vhd::open(Disk {
        durable: file.clone(),
        now: file,
        ..Disk::default()
    })
    .unwrap()
}

fn content<S: ReadAt<Error = String>>(vhd: &mut Vhd<S>) -> Vec<u8> {
    let mut bytes = vec![0; SIZE as usize];
    vhd.read_at(0, &mut bytes).unwrap();
    bytes
}

/// Every sector of what survived is that of the state before or of the one after.
fn judge(survived: Vec<u8>, before: &[u8], after: &[u8], moment: usize) {
    let disk = Disk {
        durable: survived.clone(),
        now: survived,
        ..Disk::default()
    };
    let mut vhd = Vhd::open(disk).unwrap_or_else(|error| panic!("moment {moment}: {error}"));
    if vhd.footer().kind == Kind::Differencing {
        vhd.attach(parent(), ParentTime::Any).unwrap();
    }
    let found = content(&mut vhd);
    if found == before || found == after {
        return;
    }
    let sectors = found
        .chunks(512)
        .zip(before.chunks(512))
        .zip(after.chunks(512));
    for (sector, ((found, before), after)) in sectors.enumerate() {
        assert!(
            found == before || found == after,
            "moment {moment}: sector {sector} is neither old nor new"
        );
    }
}

#[test]
fn a_loss_of_power_leaves_every_sector_old_or_new() {
    let mut seed = 0x1234_5678_9abc_def1u64;
    let mut seen = 0;
    for shape in [
        Shape::Dynamic {
            preallocated: false,
        },
        child_of([1; 16], false),
        child_of([1; 16], true),
    ] {
        let (disk, states) = play(new(SIZE, ID, shape));
        for (moment, (durable, writes)) in disk.moments.iter().enumerate() {
            for _ in 0..24 {
                let mut survived = durable.clone();
                for (at, bytes) in writes {
                    // A write arrives whole, not at all, or up to a sector of the file.
                    let end = at + bytes.len() as u64;
                    let cut = match random(&mut seed) % 3 {
                        0 => continue,
                        1 => end,
                        _ => (at + random(&mut seed) % (end - at)) / 512 * 512,
                    };
                    let kept = usize::try_from(cut.saturating_sub(*at)).unwrap();
                    survived.write_at(*at, &bytes[..kept]).unwrap();
                }
                let reached = states.iter().rposition(|(flushes, _)| *flushes <= moment);
                let before = reached.unwrap();
                let after = (before + 1).min(states.len() - 1);
                let (before, after) = (&states[before].1, &states[after].1);
                judge(survived, before, after, moment);
                seen += 1;
            }
        }
    }
    assert!(seen > 500, "{seen} states");
}
