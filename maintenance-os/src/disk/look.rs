// SPDX-License-Identifier: Apache-2.0
//! Looks at what the machine's disks hold, at several at once: a shelf takes as long as a few of its disks do, and one
//! that does not answer keeps no other.
//!
//! It never takes what it could not read for empty.

use super::contents::{AT_ONCE_MAX, contents};
use groundstate_api::inventory::{Disk, Signature};
use mos_core::guard::UNREADABLE;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// What a look at the machine's disks is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Who the disks are. No disk is read.
    Identities,
    /// What each disk holds, too.
    Contents,
    /// What the disks with these serial numbers hold.
    ContentsOf(Vec<String>),
}

impl Look {
    fn wants(&self, disk: &Disk) -> bool {
        match self {
            Self::Identities => false,
            Self::Contents => true,
            Self::ContentsOf(serials) => serials.contains(&disk.serial),
        }
    }
}

/// Reads what the disks hold, as far as it is wanted, and tells which could not be read and why. Such a disk holds
/// [`UNREADABLE`], and planner and guard see it.
pub fn fill_contents(disks: &mut [Disk], wanted: &Look) -> Vec<String> {
    let read = at_once(disks, |disk| {
        wanted
            .wants(disk)
            .then(|| contents(&Path::new("/dev").join(&disk.kernel_name)))
    });
    let mut problems = Vec::new();
    for (disk, read) in disks.iter_mut().zip(read) {
        match read {
            None => {}
            Some(Ok((contents, layout))) => {
                disk.contents = contents;
                disk.layout = layout;
            }
            Some(Err(error)) => {
                disk.contents = vec![Signature {
                    at: "disk".to_owned(),
                    what: UNREADABLE.to_owned(),
                    label: None,
                }];
                disk.layout = None;
                problems.push(format!(
                    "what disk {} holds cannot be read: {error}",
                    disk.serial
                ));
            }
        }
    }
    problems
}

/// Does the same with each, several at once, and gives the answers in their order.
pub(super) fn at_once<Item: Sync, Answer: Send>(
    items: &[Item],
    each: impl Fn(&Item) -> Answer + Sync,
) -> Vec<Answer> {
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<(usize, Answer)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..items.len().min(AT_ONCE_MAX) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let answer = each(item);
                    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                    answers.push((at, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_unstable_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::super::contents::{READING, READING_MAX};
    use super::*;
    use crate::medium::stand_in::{Call, Fault, Image, StandIn, Trouble, plug_in};
    use groundstate_api::units::MIB;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    #[test]
    fn answers_stand_in_the_order_of_their_items_and_no_more_than_a_few_are_under_way() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let items: Vec<usize> = (0..200).collect();
        let answers = at_once(&items, |item| {
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::yield_now();
            NOW.fetch_sub(1, Ordering::SeqCst);
            *item
        });
        assert_eq!(answers, items);
        assert!(MOST.load(Ordering::SeqCst) <= AT_ONCE_MAX);
    }

    fn shelf(name: &str, count: usize) -> (Vec<PathBuf>, Vec<Arc<StandIn>>) {
        let path = |number| PathBuf::from(format!("/stand-in/{name}/sd{number}x"));
        let paths: Vec<PathBuf> = (0..count).map(path).collect();
        let disk = |path: &PathBuf| {
            let mut image = Image::blank(64 * MIB);
            // Both ends are of ones, so that every byte that is read takes memory.
            image.write(&[0xff; 4 << 20], 0);
            image.write(&[0xff; 4 << 20], 60 * MIB);
            let disk = StandIn::new(image, 512);
            plug_in(path, &disk, &[]);
            disk
        };
        let disks = paths.iter().map(disk).collect();
        (paths, disks)
    }

    /// Several disks hang, and as many as are read at once: the others are read, and those are named.
    #[test]
    fn disks_that_hang_keep_no_others_from_being_read() {
        let (paths, disks) = shelf("look", 3 * AT_ONCE_MAX);
        for disk in disks.iter().take(AT_ONCE_MAX) {
            disk.fail(Some(Trouble {
                call: Some(Call::Read),
                after: 0,
                fault: Fault::Hang,
            }));
        }
        let limit = Duration::from_secs(2);
        let read = at_once(&paths, |path| {
            crate::patience::answer_within(limit, {
                let path = path.clone();
                move || {
                    let device = super::super::device::Device::open_to_read(&path, None);
                    device.and_then(|device| device.read(0, 4_096)).is_ok()
                }
            })
        });
        let (hung, well) = read.split_at(AT_ONCE_MAX);
        assert!(hung.iter().all(Result::is_err));
        assert!(well.iter().all(|read| *read == Ok(true)));
        disks.iter().for_each(|disk| disk.release());
    }

    /// The most memory that this process ever had, in bytes.
    fn peak() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// What the limits are made of. Of several at once the C library's heaps tell nothing certain, so it is one disk.
    #[test]
    fn one_disk_is_read_in_its_share_of_memory() {
        let (paths, _disks) = shelf("memory", 1);
        let device = super::super::device::Device::open_to_read(&paths[0], None).unwrap();
        let before = peak();
        super::super::contents::contents_of(&device).unwrap();
        let took = peak() - before;
        assert!((MIB..=READING).contains(&took), "{took} bytes");
        assert!(READING * AT_ONCE_MAX as u64 <= READING_MAX);
    }
}
