// SPDX-License-Identifier: Apache-2.0
//! Bits that flip, sources that lie, stall, die and never end, and what stands on the disk before and after.

use crate::rig::{Rig, Server, random, source};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use groundstate_api::image::{
    BootEntry, Chunk, ImageFormat, ImageKind, MANIFEST_SCHEMA, Manifest, RequiredFirmware,
};
use groundstate_api::{Bytes, Digest, ReasonCode};
use image_core::deploy::limits::HEAD;
use image_core::manifest::{canonical, digest, parse_as};
use maintenance_os::image::{
    ChunkSource, Deployed, Fixed, Former, Moved, Options, Place, Proof, SourceEntry, deploy,
    read_back,
};
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CHUNK: usize = 64 << 10;
const FLIPS: u64 = 1_000;

/// An image in memory whose chunks may be spoilt and counted.
struct Shelf {
    manifest: Manifest,
    stored: Mutex<BTreeMap<Digest, Vec<u8>>>,
    /// So many chunks are given, then none.
    left: AtomicU64,
}

impl ChunkSource for Shelf {
    fn stored(&self, chunk: &Chunk, into: &mut Vec<u8>) -> io::Result<()> {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 0 {
            self.left.store(0, Ordering::Relaxed);
            return Err(io::ErrorKind::NotFound.into());
        }
        let stored = self.stored.lock().unwrap();
        into.extend_from_slice(stored.get(&chunk.digest).ok_or(io::ErrorKind::NotFound)?);
        Ok(())
    }
}

fn shelf(bytes: Vec<u8>) -> Arc<Shelf> {
    let (mut chunks, mut stored) = (Vec::new(), BTreeMap::new());
    for (piece, number) in bytes.chunks(CHUNK).zip(0u64..) {
        if piece.iter().all(|byte| *byte == 0) {
            continue;
        }
        let packed = zstd::bulk::compress(piece, 1).unwrap();
        chunks.push(Chunk {
            offset: Bytes(number * CHUNK as u64),
            length: Bytes(piece.len() as u64),
            digest: Digest::of(piece),
            stored_length: Bytes(packed.len() as u64),
            stored_digest: Digest::of(&packed),
        });
        stored.insert(Digest::of(piece), packed);
    }
    let size = Bytes(bytes.len() as u64);
    let manifest = Manifest {
        schema: MANIFEST_SCHEMA,
        name: "faulty".to_owned(),
        version: "1".to_owned(),
        kind: ImageKind::WholeDisk,
        format: ImageFormat::Raw,
        architecture: None,
        firmware: RequiredFirmware::Any,
        boot: BootEntry::None,
        size,
        sector_size: 512,
        minimum_size: size,
        chunk_size: Bytes(CHUNK as u64),
        merkle_root: image_core::merkle::root(&chunks),
        chunks,
    };
    image_core::manifest::check(&manifest).unwrap();
    Arc::new(Shelf {
        manifest,
        stored: Mutex::new(stored),
        left: AtomicU64::new(u64::MAX),
    })
}

impl Shelf {
    fn onto(
        self: &Arc<Self>,
        target: &Path,
        options: &Options,
    ) -> Result<Deployed, groundstate_api::Reason> {
        let sources = Fixed::local(self.clone());
        deploy(&self.manifest, target, &sources, options, &mut |_| {})
    }
}

fn at(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

#[test]
fn one_flipped_bit_at_a_thousand_places_is_refused_a_thousand_times() {
    let mut bytes = random(5, 6 * CHUNK as u64);
    // Some of it is text, so that flips hit every part of a zstd frame.
    bytes[2 * CHUNK..4 * CHUNK].fill(b'a');
    bytes[2 * CHUNK..3 * CHUNK]
        .iter_mut()
        .step_by(7)
        .for_each(|byte| *byte = b'\n');
    let shelf = shelf(bytes);
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    let before = random(6, shelf.manifest.size.0);
    let document = canonical(&shelf.manifest);
    let name = digest(&shelf.manifest);
    let stored: u64 = shelf
        .manifest
        .chunks
        .iter()
        .map(|chunk| chunk.stored_length.0)
        .sum();
    let places = random(7, FLIPS * 8);
    let mut refused = 0;
    for place in places.as_chunks::<8>().0 {
        let bit = u64::from_le_bytes(*place) % ((stored + document.len() as u64) * 8);
        let (mut byte, mask) = (bit / 8, 1u8 << (bit % 8));
        if byte < document.len() as u64 {
            let mut spoilt = document.clone();
            spoilt[at(byte)] ^= mask;
            assert!(
                parse_as(&spoilt, &name, Bytes::mib(8)).is_err(),
                "byte {byte}"
            );
            refused += 1;
            continue;
        }
        byte -= document.len() as u64;
        let mut rows = shelf.manifest.chunks.iter();
        let chunk = rows.find(|chunk| {
            let is_here = byte < chunk.stored_length.0;
            byte -= if is_here { 0 } else { chunk.stored_length.0 };
            is_here
        });
        let chunk = *chunk.unwrap();
        let flip = |shelf: &Shelf| {
            shelf.stored.lock().unwrap().get_mut(&chunk.digest).unwrap()[at(byte)] ^= mask;
        };
        flip(&shelf);
        std::fs::write(&target, &before).unwrap();
        let reason = shelf.onto(&target, &Options::default()).unwrap_err();
        flip(&shelf);
        assert_eq!(reason.code, ReasonCode::ChunkCorrupt, "{reason}");
        // All of this image is head: not a byte of it is written before everything is right.
        let after = std::fs::read(&target).unwrap();
        assert!(after == before || after.iter().all(|byte| *byte == 0));
        refused += 1;
    }
    assert_eq!(refused, FLIPS);
}

#[test]
fn a_target_that_has_the_image_is_neither_asked_for_nor_written() {
    let mut bytes = random(8, 12 << 20);
    bytes[3 << 20..7 << 20].fill(0);
    let first = shelf(bytes.clone());
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    std::fs::write(&target, random(9, 13 << 20)).unwrap();
    let deployed = first.onto(&target, &Options::default()).unwrap();
    assert_eq!(
        deployed.counts.chunks_fetched,
        first.manifest.chunks.len() as u64
    );
    assert!(std::fs::read(&target).unwrap()[..12 << 20] == bytes);
    let again = first.onto(&target, &Options::default()).unwrap();
    assert_eq!(
        (again.counts.fetched, again.counts.written),
        (Bytes(0), Bytes(0))
    );
    assert_eq!(again.counts.kept, first.manifest.size);

    // The second version: four blocks of two chunks, and a set byte in the zeros of the disk.
    for block in [
        40 * CHUNK,
        40 * CHUNK + 8192,
        130 * CHUNK,
        130 * CHUNK + 4096,
    ] {
        bytes[(3 << 20) * usize::from(block >= 130 * CHUNK) + block..][..4096].fill(7);
    }
    let second = shelf(bytes.clone());
    let mut disk = std::fs::read(&target).unwrap();
    disk[5 << 20] = 1;
    std::fs::write(&target, &disk).unwrap();
    let changed = second.manifest.chunks.iter().filter(|chunk| {
        let was = first
            .manifest
            .chunks
            .iter()
            .find(|was| was.offset == chunk.offset);
        was.is_none_or(|was| was.digest != chunk.digest)
    });
    let changed = changed.count() as u64;
    let options = Options {
        proof: Proof::Stored,
        ..Options::default()
    };
    let deployed = second.onto(&target, &options).unwrap();
    let head = HEAD.0 / CHUNK as u64;
    assert_eq!(deployed.counts.chunks_fetched, changed + head);
    let most = 5 * 4096 + 2 * HEAD.0;
    assert!(deployed.counts.written.0 <= most, "{:?}", deployed.counts);
    assert!(std::fs::read(&target).unwrap()[..12 << 20] == bytes);
    read_back(&second.manifest, &target, &mut |_| {}).unwrap();
}

#[test]
fn chunks_that_moved_are_found_where_the_image_before_had_them() {
    let bytes = random(10, 16 << 20);
    let first = shelf(bytes.clone());
    // The third and the twelfth MiB change places, and one of them is moved on by a chunk.
    let mut moved = bytes.clone();
    moved[2 << 20..3 << 20].copy_from_slice(&bytes[12 << 20..13 << 20]);
    moved[(5 << 20) + CHUNK..(6 << 20) + CHUNK].copy_from_slice(&bytes[8 << 20..9 << 20]);
    let second = shelf(moved.clone());
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    std::fs::write(&target, &bytes).unwrap();
    let options = Options {
        former: Some(Former::of(&first.manifest)),
        ..Options::default()
    };
    let deployed = second.onto(&target, &options).unwrap();
    assert!(std::fs::read(&target).unwrap() == moved);
    let head = HEAD.0 / CHUNK as u64;
    assert_eq!(
        deployed.counts.chunks_fetched, head,
        "{:?}",
        deployed.counts
    );
    // What came from another place of the disk came from no source.
    let heads = second.manifest.chunks.iter();
    let heads = heads.filter(|chunk| chunk.offset.0 < HEAD.0);
    let stored: u64 = heads.map(|chunk| chunk.stored_length.0).sum();
    assert_eq!(deployed.counts.needed, Bytes(stored));
    assert_eq!(deployed.counts.in_vain(), Bytes(0));
}

#[test]
fn a_deploy_that_was_cut_fetches_nothing_that_stands_there() {
    let bytes = random(11, 40 << 20);
    let shelf = shelf(bytes.clone());
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("target");
    std::fs::write(&target, random(12, 40 << 20)).unwrap();
    shelf.left.store(400, Ordering::Relaxed);
    let reason = shelf.onto(&target, &Options::default()).unwrap_err();
    assert_eq!(reason.code, ReasonCode::ImageMissing);
    let disk = std::fs::read(&target).unwrap();
    let head = at(HEAD.0);
    assert!(disk[..head].iter().all(|byte| *byte == 0), "nothing starts");
    let pairs = disk.chunks(CHUNK).zip(bytes.chunks(CHUNK));
    let stands = pairs.filter(|(is, should)| is == should).count() as u64;
    assert!(stands > 100, "{stands}");
    shelf.left.store(u64::MAX, Ordering::Relaxed);
    let deployed = shelf.onto(&target, &Options::default()).unwrap();
    let all = shelf.manifest.chunks.len() as u64;
    assert_eq!(deployed.counts.chunks_fetched, all - stands);
    assert!(std::fs::read(&target).unwrap() == bytes);
}

/// Brings the rig's image from a bad source beside the repository and tells who was dropped.
fn beside(rig: &Rig, bad: SocketAddr) -> Vec<String> {
    let server = Server::start(rig.router());
    let peer = SourceEntry {
        name: "peer".to_owned(),
        last: false,
        weight: 1,
        place: Place::Http(source(bad)),
        holds: None,
    };
    let sources = Fixed(vec![peer, SourceEntry::repository(server.source())]);
    let target = rig.target(crate::rig::IMAGE);
    let mut dropped = Vec::new();
    let deployed = deploy(
        &rig.manifest,
        &target,
        &sources,
        &Options::default(),
        &mut |moved| match moved {
            Moved::Dropped { source, .. } => dropped.push(source),
            Moved::Waiting(reason) => panic!("the repository is there: {reason}"),
            Moved::Progress(_) | Moved::GoingOn | Moved::Returned { .. } => {}
        },
    );
    let deployed = deployed.unwrap();
    assert_eq!(deployed.dropped.len(), dropped.len());
    assert!(std::fs::read(&target).unwrap() == std::fs::read(&rig.root_fs).unwrap());
    dropped
}

#[test]
fn a_source_that_lies_is_dropped_and_named() {
    let rig = Rig::new();
    let liar = rig
        .router()
        .layer(from_fn(|request: Request, next: Next| async move {
            let (head, body) = next.run(request).await.into_parts();
            let mut bytes = to_bytes(body, 64 << 20).await.unwrap().to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            axum::response::Response::from_parts(head, Body::from(bytes))
        }));
    let liar = Server::start(liar);
    assert_eq!(beside(&rig, liar.address), ["peer"]);
}

/// Passes on what the client asks, and what the server answers as `pass` does it.
fn proxy(server: SocketAddr, pass: fn(TcpStream, TcpStream)) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let upstream = TcpStream::connect(server).unwrap();
            let (mut to, mut from) = (upstream.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || io::copy(&mut from, &mut to));
            std::thread::spawn(move || pass(upstream, client));
        }
    });
    address
}

#[test]
fn a_source_that_gives_a_byte_a_second_is_dropped_and_named() {
    let rig = Rig::new();
    let server = Server::start(rig.router());
    let slow = proxy(server.address, |mut from, mut to| {
        let mut byte = [0];
        while from.read_exact(&mut byte).is_ok() && to.write_all(&byte).is_ok() {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    assert_eq!(beside(&rig, slow), ["peer"]);
}

#[test]
fn a_source_that_dies_is_dropped_and_named() {
    let rig = Rig::new();
    let server = Server::start(rig.router());
    let dies = proxy(server.address, |from, mut to| {
        // The end is what this is about.
        let _ = io::copy(&mut from.take(200_000), &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    assert_eq!(beside(&rig, dies), ["peer"]);
}

#[test]
fn a_source_that_never_ends_is_dropped_and_named() {
    let rig = Rig::new();
    let server = Server::start(rig.router());
    let endless = proxy(server.address, |_, mut to| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/zstd\r\n\r\n";
        let mut alive = to.write_all(head).is_ok();
        while alive {
            alive = to.write_all(&[0x5a; 4096]).is_ok();
        }
    });
    assert_eq!(beside(&rig, endless), ["peer"]);
}
