// SPDX-License-Identifier: Apache-2.0
//! Reads what a disk holds: signatures on the disk and on each of its partitions, and our own layout. Never writes.

use super::device::Device;
use crate::patience::{NoAnswer, answer_within};
use groundstate_api::Bytes;
use groundstate_api::inventory::{FoundFileSystem, FoundLayout, FoundPartition, Signature};
use groundstate_api::plan::Role;
use groundstate_api::units::MIB;
use mos_core::plan::{GS_DATA, GS_ESP, GS_ROOT};
use mos_core::signature::{GptTable, Recognised, Window, read_gpt, read_mbr, recognise};
use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a disk may take to tell what it holds, some 10 MiB: a disk that sleeps wakes within 30 s, and the kernel tries
/// a command that failed again.
pub(super) const ANSWER: Duration = Duration::from_secs(120);
/// What the reading of one disk has in memory at once, at most: both ends of the disk, then both ends of one partition
/// after the other, and what is cut out of them.
pub(super) const READING: u64 = 5 * MIB;
/// What the reading of all disks may have in memory at once, of PID 1's 64 MiB: what is in flight of an image takes 34 MiB,
/// and no step does both.
pub(super) const READING_MAX: u64 = 40 * MIB;
/// So many disks are read at once.
#[allow(clippy::cast_possible_truncation)] // Eight.
pub(super) const AT_ONCE_MAX: usize = (READING_MAX / READING) as usize;

/// What the disk holds.
///
/// # Errors
/// What the kernel says where the disk cannot be read; it is then never taken for empty.
pub fn contents(device: &Path) -> io::Result<(Vec<Signature>, Option<FoundLayout>)> {
    contents_within(ANSWER, device)
}

/// The same of a disk that answers within `limit`.
pub(super) fn contents_within(
    limit: Duration,
    device: &Path,
) -> io::Result<(Vec<Signature>, Option<FoundLayout>)> {
    read_within(limit, device, None, contents_of)
}

/// What `read` reads of a disk that answers within `limit`.
pub(super) fn read_within<T: Send + 'static>(
    limit: Duration,
    device: &Path,
    file_sector: Option<u32>,
    read: impl FnOnce(&Device) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let path = device.to_path_buf();
    let work = move || Device::open_to_read(&path, file_sector).and_then(|device| read(&device));
    answer_within(limit, work).unwrap_or_else(|why| {
        Err(match why {
            NoAnswer::Late => {
                let why = format!("it does not answer within {} s", limit.as_secs());
                io::Error::new(io::ErrorKind::TimedOut, why)
            }
            NoAnswer::Fault => io::Error::other("reading it ended in a fault"),
        })
    })
}

/// Who reads disks now, and since when.
static READERS: Mutex<Vec<(u64, Instant)>> = Mutex::new(Vec::new());
static READER_LEFT: Condvar = Condvar::new();

/// Room in memory for the reading of one disk.
struct Room(u64);

impl Room {
    /// Waits until there is room. Who has read for longer than a disk may take waits for one that does not answer: almost
    /// none of its room is used, and it keeps nobody out.
    fn take() -> Self {
        let mut readers = READERS.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let now = Instant::now();
            let left = |since: &Instant| ANSWER.checked_sub(now.duration_since(*since));
            let reading = readers.iter().filter_map(|(_, since)| left(since));
            let times: Vec<Duration> = reading.collect();
            let Some(soonest) = times.iter().min().filter(|_| times.len() >= AT_ONCE_MAX) else {
                let number = readers.last().map_or(0, |(number, _)| number + 1);
                readers.push((number, now));
                return Self(number);
            };
            let waited = READER_LEFT.wait_timeout(readers, *soonest);
            (readers, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut readers = READERS.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|(number, _)| *number != self.0);
        READER_LEFT.notify_one();
    }
}

/// A partition that a table lists, of whatever kind.
pub(super) struct Slice {
    number: u32,
    pub(super) start: u64,
    pub(super) length: u64,
}

pub(super) fn contents_of(device: &Device) -> io::Result<(Vec<Signature>, Option<FoundLayout>)> {
    contents_read(device, &|offset, length| device.read(offset, length))
}

/// How a disk is read: so many bytes from there.
pub(super) type Reader<'a> = &'a dyn Fn(u64, usize) -> io::Result<Vec<u8>>;

/// The same as `reader` shows the disk.
pub(super) fn contents_read(
    device: &Device,
    reader: Reader<'_>,
) -> io::Result<(Vec<Signature>, Option<FoundLayout>)> {
    let mut found = Vec::new();
    if device.size() == 0 {
        return Ok((found, None));
    }
    let _room = Room::take();
    let mut read = reader;
    let mut disk = Window::new(device.size(), device.sector(), &mut read);
    for one in recognise(&mut disk)? {
        found.push(signature("disk".to_owned(), &one));
    }
    let mut allowance = disk.allowance();
    // Its ends go before those of the partitions come.
    drop(disk);
    let table = gpt(device, reader)?;
    let mut on_partitions = Vec::new();
    for slice in slices_read(device, reader)? {
        let recognised = recognise_slice(device, reader, &slice, &mut allowance)?;
        for one in &recognised {
            found.push(signature(format!("partition {}", slice.number), one));
        }
        on_partitions.push((slice.number, recognised));
    }
    let layout = table.and_then(|table| layout(&table, &on_partitions));
    Ok((found, layout))
}

/// The partitions that lie on the disk; one that a broken table puts elsewhere is left out.
pub(super) fn slices(device: &Device) -> io::Result<Vec<Slice>> {
    slices_read(device, &|offset, length| device.read(offset, length))
}

fn slices_read(device: &Device, reader: Reader<'_>) -> io::Result<Vec<Slice>> {
    let all = match gpt(device, reader)? {
        Some(table) => table
            .partitions
            .iter()
            .map(|one| Slice {
                number: one.number,
                start: one.start,
                length: one.length,
            })
            .collect(),
        None => mbr(device, reader)?,
    };
    let is_on_disk = |slice: &Slice| {
        slice.length > 0
            && slice
                .start
                .checked_add(slice.length)
                .is_some_and(|end| end <= device.size())
    };
    Ok(all.into_iter().filter(is_on_disk).collect())
}

fn gpt(device: &Device, reader: Reader<'_>) -> io::Result<Option<GptTable>> {
    let mut read = reader;
    read_gpt(&mut Window::new(device.size(), device.sector(), &mut read))
}

fn mbr(device: &Device, reader: Reader<'_>) -> io::Result<Vec<Slice>> {
    let mut read = reader;
    let found = read_mbr(&mut Window::new(device.size(), device.sector(), &mut read))?;
    // A link to further partitions is a table, and the protective entry of a GPT is the disk itself.
    let holds_data = |kind: u8| !matches!(kind, 0x05 | 0x0f | 0x85 | 0xee);
    let slices = found.unwrap_or_default().into_iter();
    Ok(slices
        .filter(|one| holds_data(one.kind))
        .map(|one| Slice {
            number: one.number,
            start: one.start,
            length: one.length,
        })
        .collect())
}

/// What a partition holds, as far as the disk's allowance reaches; what is unread is unknown data.
fn recognise_slice(
    device: &Device,
    reader: Reader<'_>,
    slice: &Slice,
    allowance: &mut u64,
) -> io::Result<Vec<Recognised>> {
    let mut read = |offset: u64, length| reader(slice.start + offset, length);
    let window = Window::new(slice.length, device.sector(), &mut read);
    let mut window = window.partition().may_read(*allowance);
    let found = recognise(&mut window)?;
    *allowance = window.allowance();
    Ok(found)
}

fn signature(at: String, one: &Recognised) -> Signature {
    Signature {
        at,
        what: one.what.clone(),
        label: one.label.clone(),
    }
}

/// Ours by the names that only we write: ESP and root (with data where the machine has one disk), or data alone; or by the
/// disk's GUID, where an image of a whole disk was written or is being written.
fn layout(table: &GptTable, on_partitions: &[(u32, Vec<Recognised>)]) -> Option<FoundLayout> {
    let names: Vec<&str> = table
        .partitions
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    let role = match names.as_slice() {
        [GS_ESP, GS_ROOT] | [GS_ESP, GS_ROOT, GS_DATA] => Role::Os,
        [GS_DATA] => Role::Data,
        // What the image of a whole disk brought has the image's names, and a GUID that only a plan gives.
        others if table.disk_guid.is_derived() && !others.iter().any(is_our_name) => Role::Os,
        _ => return None,
    };
    let partitions = table.partitions.iter().map(|one| FoundPartition {
        number: one.number,
        name: one.name.clone(),
        type_guid: one.type_guid.upper(),
        guid: one.guid.upper(),
        start: Bytes(one.start),
        length: Bytes(one.length),
        file_system: file_system(one.number, on_partitions),
    });
    Some(FoundLayout {
        role,
        disk_guid: table.disk_guid.upper(),
        partition_guids: table
            .partitions
            .iter()
            .map(|one| one.guid.upper())
            .collect(),
        partitions: partitions.collect(),
    })
}

fn is_our_name(name: &&str) -> bool {
    [GS_ESP, GS_ROOT, GS_DATA].contains(name)
}

fn file_system(number: u32, on_partitions: &[(u32, Vec<Recognised>)]) -> Option<FoundFileSystem> {
    let (_, found) = on_partitions.iter().find(|(one, _)| *one == number)?;
    let [one] = found.as_slice() else {
        return None;
    };
    one.is_file_system.then(|| FoundFileSystem {
        what: one.what.clone(),
        uuid: one.uuid.clone(),
        label: one.label.clone(),
    })
}
