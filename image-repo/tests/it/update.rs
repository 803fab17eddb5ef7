// SPDX-License-Identifier: Apache-2.0
//! The second version costs what changed; what is shown and compared; how bytes are read anywhere.

use crate::disk::{
    CHUNK, Memory, chunk_files, disk, folder, import, import_at, read_back, request,
};
use groundstate_api::Bytes;
use groundstate_api::image::BootEntry;
use image_core::facts::ReadAt as _;
use image_repo::{Change, RepoError, Repository};
use std::io::{Read as _, Seek as _, SeekFrom};

#[test]
fn a_second_version_stores_what_changed() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let one = import(&repository, "1", &disk(&[1, 2, 0, 3, 4]));
    assert_eq!((one.chunks, one.new_chunks), (4, 4));
    assert_eq!(one.image.size, Bytes(5 * CHUNK as u64));
    let two = import(&repository, "2", &disk(&[1, 9, 0, 3, 4, 2]));
    assert_eq!((two.chunks, two.new_chunks), (5, 1));
    assert_eq!(chunk_files(dir.path()).len(), 5);
    // With what was read a moment ago as with what was not.
    std::thread::sleep(std::time::Duration::from_millis(150));
    repository.verify(&two.image).unwrap();
    let three = import(&repository, "3", &disk(&[1, 9, 8, 3, 4, 2]));
    assert_eq!((three.chunks, three.new_chunks), (6, 1));
    assert_eq!(
        read_back(&repository, &three.image),
        disk(&[1, 9, 8, 3, 4, 2])
    );
    assert_eq!(read_back(&repository, &one.image), disk(&[1, 2, 0, 3, 4]));
}

#[test]
fn two_images_are_compared_block_by_block() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let first = disk(&[1, 2, 0, 3, 4, 5]);
    let one = import(&repository, "1", &first).image;
    let mut second = first.clone();
    // One byte in the second chunk, data where a hole was, a hole where data was, and one chunk more.
    second[CHUNK + 5000] ^= 1;
    second[2 * CHUNK + 9] = 7;
    second[4 * CHUNK..5 * CHUNK].fill(0);
    second.extend(disk(&[1]));
    let two = import(&repository, "2", &second).image;
    let diff = repository.diff(&one, &two).unwrap();
    let chunk = Bytes(CHUNK as u64);
    let at = |index: u64| Bytes(index * chunk.0);
    let ranges: Vec<_> = diff
        .ranges
        .iter()
        .map(|range| (range.offset, range.length, range.change))
        .collect();
    assert_eq!(
        ranges,
        [
            (at(1), chunk, Change::Changed),
            (at(2), chunk, Change::Added),
            (at(4), chunk, Change::Removed),
            (at(6), chunk, Change::Added),
        ]
    );
    assert_eq!((diff.fetch_chunks, diff.shared_chunks), (2, 4));
    // A block for each byte, the removed chunk as zeros, and the new one.
    assert_eq!(diff.write, Bytes(2 * 4096 + 2 * chunk.0));
    let none = repository.diff(&two, &two).unwrap();
    assert_eq!(
        (none.fetch, none.write, none.range_count),
        (Bytes(0), Bytes(0), 0)
    );
    // Back again: what lies behind the end is not written.
    let back = repository.diff(&two, &one).unwrap();
    assert_eq!(back.write, Bytes(2 * 4096 + chunk.0));
    let show = repository.show(&two).unwrap();
    assert_eq!((show.chunks.count, show.chunks.distinct), (6, 5));
    assert_eq!(show.chunks.shared, 3);
    assert_eq!(show.others[0].image, "disk 1");
    assert_eq!(show.chunks.zeros, chunk);
    assert_eq!(show.boot, BootEntry::None);
    let own = show.chunks.stored.0 - show.chunks.shared_stored.0;
    assert_eq!(show.chunks.own_stored, Bytes(own));
}

#[test]
fn bytes_are_read_at_any_place() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let bytes = disk(&[1, 0, 0, 2, 3, 0]);
    let image = import(&repository, "1", &bytes).image;
    let manifest = repository.manifest(&image.manifest).unwrap();
    let mut reader = repository.reader(&manifest).unwrap();
    let length = bytes.len();
    for (at, count) in [
        (0, 1),
        (CHUNK - 1, 2),
        (CHUNK - 7, 3 * CHUNK),
        (4 * CHUNK + 3, 2 * CHUNK - 3),
        (length, 0),
        (2 * CHUNK, 17),
    ] {
        let mut found = vec![9; count];
        reader.read_at(at as u64, &mut found).unwrap();
        assert_eq!(found, bytes[at..at + count], "{at} {count}");
    }
    let beyond = reader.read_at(length as u64 - 1, &mut [0; 2]).unwrap_err();
    assert!(beyond.said.contains("past the end"), "{beyond}");
    assert!(reader.read_at(u64::MAX, &mut [0; 2]).is_err());
    let mut end = Vec::new();
    reader.seek(SeekFrom::End(-(CHUNK as i64) - 5)).unwrap();
    reader.read_to_end(&mut end).unwrap();
    assert_eq!(end, bytes[length - CHUNK - 5..]);
    // A chunk that is damaged after it was stored gives no byte.
    let path = dir.path().join(&chunk_files(dir.path())[0]);
    let mut stored = std::fs::read(&path).unwrap();
    *stored.last_mut().unwrap() ^= 1;
    std::fs::write(&path, stored).unwrap();
    let mut fresh = repository.reader(&manifest).unwrap();
    let error = fresh.fill(0, &mut vec![0; length]).unwrap_err();
    assert!(matches!(error, RepoError::ChunkDamaged { .. }), "{error}");
}

#[test]
fn an_odd_length_is_padded_to_a_sector_and_says_so() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let mut bytes = disk(&[1, 2]);
    bytes.truncate(CHUNK + 1000);
    let made = import(&repository, "1", &bytes);
    assert_eq!(
        (made.padding, made.image.size),
        (Bytes(24), Bytes(CHUNK as u64 + 1024))
    );
    bytes.resize(CHUNK + 1024, 0);
    assert_eq!(read_back(&repository, &made.image), bytes);
    let mut request = request("disk", "2");
    request.sector_size = 4096;
    let refused = repository.import(&request, &mut Memory::new(&bytes), &mut |_, _| {});
    assert!(
        matches!(refused, Err(RepoError::Manifest(_))),
        "{refused:?}"
    );
    let level = import_at(&repository, 20, "3", &bytes).unwrap_err();
    assert!(level.to_string().contains("1 to 19"), "{level}");
}

#[test]
fn who_only_looks_makes_nothing() {
    let dir = folder();
    let none = dir.path().join("none");
    let error = Repository::open_existing(&none).unwrap_err();
    assert!(matches!(error, RepoError::NoRepository { .. }), "{error}");
    assert!(!none.exists());
    let repository = Repository::open(dir.path()).unwrap();
    let one = import(&repository, "1", &disk(&[1])).image;
    let two = import(&repository, "2", &disk(&[2])).image;
    let look = Repository::open_existing(dir.path()).unwrap();
    assert_eq!(look.find("disk", None).unwrap(), two);
    assert_eq!(look.find("disk", Some("1")).unwrap(), one);
    assert!(matches!(
        look.find("disk", Some("3")),
        Err(RepoError::NoSuchImage { .. })
    ));
}

#[test]
fn a_proved_image_is_not_read_again_until_a_file_changes() {
    let dir = folder();
    let repository = Repository::open(dir.path()).unwrap();
    let image = import(&repository, "1", &disk(&[1, 2, 3])).image;
    std::thread::sleep(std::time::Duration::from_millis(150));
    repository.verify(&image).unwrap();
    let kept = std::fs::read_to_string(dir.path().join("verified")).unwrap();
    assert!(kept.contains(&image.manifest.to_string()), "{kept}");
    // Another process, or this one after a restart, knows it too: it reads less than the chunks are long.
    let before = bytes_read();
    let other = Repository::open_existing(dir.path()).unwrap();
    other.verify(&image).unwrap();
    if std::env::var_os("NEXTEST").is_some() {
        let read = bytes_read() - before;
        assert!(read < CHUNK as u64, "{read} bytes were read");
    }
    // The same length, and its time set back.
    let path = dir.path().join(&chunk_files(dir.path())[1]);
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    let mut stored = std::fs::read(&path).unwrap();
    stored[100] ^= 1;
    std::fs::write(&path, stored).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(time).unwrap();
    assert!(repository.verify(&image).is_err());
    assert!(other.verify(&image).is_err());
}

/// Linux: what this process has read so far.
fn bytes_read() -> u64 {
    let text = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    line.unwrap().parse().unwrap()
}
