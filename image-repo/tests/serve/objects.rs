// SPDX-License-Identifier: Apache-2.0
//! An image in an object store in memory, and a server that has nothing of its own in front of it.

use crate::server::{Bench, Server};
use groundstate_api::Bytes;
use image_repo::objects::{Bucket, ReadThrough};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};
use std::sync::Arc;

const FETCHED: &str = "groundstate_image_fetched_total";

pub(crate) fn publish(bench: &Bench, bucket: &Bucket) -> image_repo::objects::Published {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut heard = Vec::new();
    let mut hear = |done, all| heard.push((done, all));
    let published = bench.repository.publish_to(&bench.image, bucket, &mut hear);
    let published = runtime.block_on(published).unwrap();
    let (done, all): (Bytes, Bytes) = *heard.last().unwrap();
    assert!(
        done == all && all >= published.sent_bytes,
        "{done} of {all}"
    );
    published
}

#[test]
fn what_is_published_is_served_from_there_and_fetched_once() {
    let bench = Bench::new();
    let store = Arc::new(InMemory::new());
    let bucket = Bucket::over(Arc::clone(&store) as Arc<dyn ObjectStore>, "site/");
    let objects = bench.objects();
    let first = publish(&bench, &bucket);
    assert_eq!(
        (first.objects, first.sent),
        (objects.len() as u64, first.objects)
    );
    let bytes: usize = objects.iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(first.sent_bytes.0, bytes as u64);
    let again = publish(&bench, &bucket);
    assert_eq!((again.objects, again.sent), (first.objects, 0));

    let (dir, empty) = (
        bench.dir.path().join("cache"),
        bench.dir.path().join("empty"),
    );
    let most = Bytes::mib(100);
    let cache = Arc::new(ReadThrough::open(bucket.clone(), &dir, most).unwrap());
    let server = Server::before(Arc::clone(&cache), &empty);
    for _ in 0..2 {
        for (path, bytes) in &objects {
            let answer = server.get(path, &[]);
            assert!(answer.status == 200 && answer.body == *bytes, "{path}");
        }
        assert_eq!(server.number(FETCHED), first.objects);
    }
    assert_eq!(cache.kept().0, bytes as u64);
    let part = server.get(&objects[0].0, &["Range: bytes=10-19"]);
    assert!(part.status == 206 && part.body == objects[0].1[10..20]);
    let absent = "/v1/chunks/".to_owned() + &"0".repeat(64);
    assert_eq!(server.get(&absent, &[]).status, 404);
    // Another process does not clear it under this one.
    let beside = ReadThrough::open(bucket.clone(), &dir, most).unwrap_err();
    assert!(
        beside.to_string().contains("is in use by another"),
        "{beside}"
    );
    // What somebody changes meanwhile is not given out.
    let chunk = &bench.manifest.chunks[0].digest.hex();
    let damaged = dir.join("chunks").join(&chunk[..2]).join(chunk);
    for damage in [&b""[..], b"something else"] {
        std::fs::write(&damaged, damage).unwrap();
        let answer = server.get(&objects[0].0, &[]);
        assert!(answer.status == 200 && answer.body == objects[0].1);
    }
    assert_eq!(server.number(FETCHED), first.objects + 2);
    drop((server, cache));

    // Another process takes over what was kept; what was damaged meanwhile is fetched again.
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let cache = Arc::new(ReadThrough::open(bucket, &dir, most).unwrap());
    let server = Server::before(cache, &empty);
    for (path, bytes) in &objects {
        assert!(server.get(path, &[]).body == *bytes, "{path}");
    }
    assert_eq!(server.number(FETCHED), 1);
}

/// Larger than a part, and no whole number of them.
#[test]
fn what_is_large_goes_there_in_parts_and_comes_back_whole() {
    let bench = Bench::of(37 << 19, Bytes::mib(16));
    let bucket = Bucket::over(Arc::new(InMemory::new()), "");
    let objects = bench.objects();
    assert!(objects.iter().any(|(_, bytes)| bytes.len() > 16 << 20));
    assert_eq!(publish(&bench, &bucket).sent, objects.len() as u64);
    let (dir, empty) = (
        bench.dir.path().join("cache"),
        bench.dir.path().join("empty"),
    );
    let cache = ReadThrough::open(bucket, &dir, Bytes::mib(100)).unwrap();
    let server = Server::before(Arc::new(cache), &empty);
    for (path, bytes) in objects {
        assert!(server.get(&path, &[]).body == bytes, "{path}");
    }
}

#[test]
fn what_is_not_what_its_digest_says_is_not_given_out() {
    let bench = Bench::new();
    let store = Arc::new(InMemory::new());
    let bucket = Bucket::over(Arc::clone(&store) as Arc<dyn ObjectStore>, "");
    publish(&bench, &bucket);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // A flipped bit, another chunk's bytes, half of it, and nothing.
    let chunks = &bench.manifest.chunks;
    let whole = |at: usize| std::fs::read(bench.stored("chunks", &chunks[at].digest)).unwrap();
    let mut flipped = whole(0);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    let lies = [flipped, whole(0), whole(2)[..5000].to_vec(), Vec::new()];
    for (at, lie) in lies.into_iter().enumerate() {
        let hex = chunks[at].digest.hex();
        let key = Key::from(format!("v1/chunks/{hex}"));
        runtime.block_on(store.put(&key, lie.into())).unwrap();
    }
    let (dir, empty) = (
        bench.dir.path().join("cache"),
        bench.dir.path().join("empty"),
    );
    let cache = Arc::new(ReadThrough::open(bucket, &dir, Bytes::mib(100)).unwrap());
    let server = Server::before(Arc::clone(&cache), &empty);
    for chunk in chunks.iter().take(4) {
        let answer = server.get(&format!("/v1/chunks/{}", chunk.digest.hex()), &[]);
        assert_eq!(answer.status, 500);
        assert_eq!(answer.fields["cache-control"], "no-store");
    }
    assert_eq!(server.number("groundstate_image_fetch_failed_total"), 4);
    assert_eq!(cache.kept(), Bytes(0));
    assert!(std::fs::read_dir(dir.join("tmp")).unwrap().next().is_none());
}

#[test]
fn what_is_kept_stays_within_its_bound() {
    let bench = Bench::new();
    let bucket = Bucket::over(Arc::new(InMemory::new()), "");
    publish(&bench, &bucket);
    let (dir, empty) = (
        bench.dir.path().join("cache"),
        bench.dir.path().join("empty"),
    );
    // Two chunks of 256 KiB and a bit.
    let most = Bytes(600 << 10);
    let cache = Arc::new(ReadThrough::open(bucket, &dir, most).unwrap());
    let server = Server::before(Arc::clone(&cache), &empty);
    let objects = bench.objects();
    for (path, bytes) in objects.iter().chain(&objects) {
        assert!(server.get(path, &[]).body == *bytes, "{path}");
        assert!(cache.kept() <= most);
    }
    let on_disk: u64 = walk(&dir);
    assert_eq!(on_disk, cache.kept().0);
}

fn walk(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let about = entry.metadata().unwrap();
            if about.is_dir() {
                walk(&entry.path())
            } else {
                about.len()
            }
        })
        .sum()
}

/// What lies in the folder and is not the cache's: links lead nowhere, and a smaller bound counts at once.
#[test]
fn links_are_not_followed_and_a_smaller_bound_counts_at_once() {
    let bench = Bench::new();
    let bucket = Bucket::over(Arc::new(InMemory::new()), "site/");
    publish(&bench, &bucket);
    let path = |name: &str| bench.dir.path().join(name);
    let (dir, precious) = (path("cache"), path("precious"));
    std::fs::create_dir_all(dir.join("tmp")).unwrap();
    std::fs::create_dir_all(dir.join("chunks")).unwrap();
    std::fs::create_dir_all(&precious).unwrap();
    std::fs::write(precious.join("file"), "kept").unwrap();
    std::os::unix::fs::symlink(&precious, dir.join("tmp/link")).unwrap();
    let dangling = dir.join("chunks").join("0".repeat(64));
    std::os::unix::fs::symlink("/nowhere", dangling).unwrap();
    let cache = Arc::new(ReadThrough::open(bucket.clone(), &dir, Bytes::mib(100)).unwrap());
    let server = Server::before(Arc::clone(&cache), &path("empty"));
    for (path, bytes) in &bench.objects() {
        assert!(server.get(path, &[]).body == *bytes, "{path}");
    }
    let all = cache.kept();
    drop((server, cache));
    assert_eq!(std::fs::read(precious.join("file")).unwrap(), b"kept");
    let half = Bytes(all.0 / 2);
    let cache = ReadThrough::open(bucket, &dir, half).unwrap();
    assert!(
        cache.kept() <= half && cache.kept() > Bytes(0),
        "{}",
        cache.kept()
    );
}
