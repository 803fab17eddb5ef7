// SPDX-License-Identifier: Apache-2.0
//! What must not get through, and what it says then.

use crate::rig::{IMAGE, MIB, Rig, Server, fetch_blob, flip_a_bit, random, says};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use groundstate_api::image::Manifest;
use groundstate_api::{Bytes, Digest, Reason, ReasonCode};
use maintenance_os::image::{Moved, Source, fetch_manifest, read_back, write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Writes and expects a corrupt chunk: no byte of it is written, and the target's head is cleared, so that nothing starts.
fn corrupt(source: &Source, manifest: &Manifest, index: usize, target: &Path, words: &[&str]) {
    let before = std::fs::read(target).unwrap();
    let reason = write(source, manifest, target, &mut |_| {}).unwrap_err();
    assert_eq!(reason.code, ReasonCode::ChunkCorrupt, "{reason}");
    let chunk = manifest.chunks[index];
    says(
        &reason,
        &[
            "debian-host 12.11-1",
            &format!("at byte {} ", chunk.offset.0),
            &chunk.digest.to_string(),
            "fetched 4 times",
        ],
    );
    says(&reason, words);
    let after = std::fs::read(target).unwrap();
    let at = |offset: u64| usize::try_from(offset).unwrap();
    let place = at(chunk.offset.0)..at(chunk.offset.0 + chunk.length.0);
    let head = at(image_core::deploy::limits::HEAD.0);
    assert!(
        after[place.clone()][head..] == before[place][head..],
        "something of the corrupt chunk was written"
    );
    assert!(
        after == before || after[..head].iter().all(|byte| *byte == 0),
        "the head is neither untouched nor cleared"
    );
}

#[test]
fn a_flipped_bit_is_fetched_again_and_then_refused() {
    let rig = Rig::new();
    rig.repository.verify(&rig.image).unwrap();
    flip_a_bit(&rig.chunk_file(2));
    let reason = rig.repository.verify(&rig.image).unwrap_err();
    assert_eq!(reason.code, ReasonCode::ChunkCorrupt);
    says(
        &reason,
        &[
            "debian-host 12.11-1",
            &rig.chunk_file(2).display().to_string(),
        ],
    );
    let server = Server::start(rig.router());
    corrupt(
        &server.source(),
        &rig.manifest,
        2,
        &rig.target(IMAGE),
        &["the stored bytes have the digest"],
    );
    assert_eq!(server.asked_for(&rig.manifest.chunks[2].digest.hex()), 4);
}

#[test]
fn a_truncated_chunk_is_refused() {
    let rig = Rig::new();
    let path = rig.chunk_file(1);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let server = Server::start(rig.router());
    corrupt(
        &server.source(),
        &rig.manifest,
        1,
        &rig.target(IMAGE),
        &["stored bytes came"],
    );
}

#[test]
fn a_chunk_that_expands_to_more_or_less_or_other_bytes_is_refused() {
    let rig = Rig::new();
    let server = Server::start(rig.router());
    let zeros =
        |length: u64| zstd::bulk::compress(&vec![0; usize::try_from(length).unwrap()], 3).unwrap();
    // Two frames: one of the right length, and one that a careless reader would append.
    let twice = [zeros(4 * MIB), zeros(1)].concat();
    for (stored, words) in [
        (zeros(256 * MIB), "decompression into 4194304 bytes failed"),
        (twice, "decompression into 4194304 bytes failed"),
        (zeros(4 * MIB - 1), "it expands to 4194303 bytes"),
        (zeros(4 * MIB), "the bytes have the digest"),
        (
            b"not zstd at all".to_vec(),
            "decompression into 4194304 bytes failed",
        ),
    ] {
        let mut manifest = rig.manifest.clone();
        manifest.chunks[1].stored_length = Bytes(stored.len() as u64);
        manifest.chunks[1].stored_digest = Digest::of(&stored);
        std::fs::write(rig.chunk_file(1), &stored).unwrap();
        corrupt(&server.source(), &manifest, 1, &rig.target(IMAGE), &[words]);
    }
}

#[test]
fn a_chunk_that_is_gone_is_said_at_once() {
    let rig = Rig::new();
    std::fs::remove_file(rig.chunk_file(1)).unwrap();
    assert_eq!(
        rig.repository.verify(&rig.image).unwrap_err().code,
        ReasonCode::ImageMissing
    );
    let server = Server::start(rig.router());
    let reason = write(
        &server.source(),
        &rig.manifest,
        &rig.target(IMAGE),
        &mut |_| {},
    )
    .unwrap_err();
    assert_eq!(reason.code, ReasonCode::ImageMissing);
    says(
        &reason,
        &[&rig.manifest.chunks[1].digest.to_string(), "404"],
    );
}

#[test]
fn a_target_that_is_too_small_is_not_touched() {
    let rig = Rig::new();
    let server = Server::start(rig.router());
    let target = rig.target(IMAGE - 512);
    let reason = write(&server.source(), &rig.manifest, &target, &mut |_| {}).unwrap_err();
    assert_eq!(reason.code, ReasonCode::DiskFull);
    says(
        &reason,
        &[
            &IMAGE.to_string(),
            &(IMAGE - 512).to_string(),
            "nothing was written",
        ],
    );
    assert!(std::fs::read(&target).unwrap() == random(99, IMAGE - 512));
    assert_eq!(server.asked_for("/"), 0);
    // Nor is a disk of the wrong sectors, or one that is not there.
    let mut manifest = rig.manifest.clone();
    manifest.sector_size = 4096;
    let target = rig.target(IMAGE);
    let reason = write(&server.source(), &manifest, &target, &mut |_| {}).unwrap_err();
    assert_eq!(reason.code, ReasonCode::PlanRefused);
    let reason = write(
        &server.source(),
        &manifest,
        Path::new("/dev/no-such-disk"),
        &mut |_| {},
    )
    .unwrap_err();
    assert_eq!(reason.code, ReasonCode::DiskError);
}

#[test]
fn a_disk_that_fails_is_named() {
    let rig = Rig::new();
    let server = Server::start(rig.router());
    // Every write to it fails with ENOSPC; it has no length, so the length is what is said first.
    let reason = write(
        &server.source(),
        &rig.manifest,
        Path::new("/dev/full"),
        &mut |_| {},
    )
    .unwrap_err();
    assert_eq!(reason.code, ReasonCode::DiskFull);
    says(&reason, &["/dev/full"]);
}

#[test]
fn the_read_back_finds_one_flipped_bit_and_one_set_byte() {
    let rig = Rig::new();
    let server = Server::start(rig.router());
    let target = rig.target(IMAGE);
    write(&server.source(), &rig.manifest, &target, &mut |_| {}).unwrap();
    read_back(&rig.manifest, &target, &mut |_| {}).unwrap();
    let good = std::fs::read(&target).unwrap();
    let covered = |at: u64| {
        rig.manifest
            .chunks
            .iter()
            .any(|c| (c.offset.0..c.offset.0 + c.length.0).contains(&at))
    };
    let hole = (0..IMAGE).step_by(512).find(|at| !covered(*at)).unwrap() + 77;
    for (at, word) in [
        (
            rig.manifest.chunks[1].offset.0 + 5,
            "the manifest says sha256:",
        ),
        (hole, "the manifest says that it is zero"),
    ] {
        let mut bad = good.clone();
        bad[usize::try_from(at).unwrap()] ^= 1;
        std::fs::write(&target, &bad).unwrap();
        let reason = read_back(&rig.manifest, &target, &mut |_| {}).unwrap_err();
        assert_eq!(reason.code, ReasonCode::DiskError);
        says(&reason, &[word, &target.display().to_string()]);
    }
}

#[test]
fn a_damaged_manifest_or_blob_is_refused() {
    let rig = Rig::new();
    let server = Server::start(rig.router());
    let source = server.source();
    let mut other = rig.image.clone();
    other.size = Bytes(IMAGE - 512);
    assert_eq!(
        fetch_manifest(&source, &other, &mut |_| {})
            .unwrap_err()
            .code,
        ReasonCode::PlanRefused
    );
    other.manifest = Digest::of(b"another");
    assert_eq!(
        fetch_manifest(&source, &other, &mut |_| {})
            .unwrap_err()
            .code,
        ReasonCode::ImageMissing
    );
    flip_a_bit(&rig.stored("manifests", &rig.image.manifest));
    assert_eq!(
        fetch_manifest(&source, &rig.image, &mut |_| {})
            .unwrap_err()
            .code,
        ReasonCode::ChunkCorrupt
    );

    let kernel = &rig.files().kernel;
    flip_a_bit(&rig.stored("blobs", &kernel.digest));
    let reason = fetch_blob(&source, kernel, "the kernel", &mut |_| {}).unwrap_err();
    assert_eq!(reason.code, ReasonCode::ChunkCorrupt);
    says(
        &reason,
        &["the kernel", &kernel.digest.to_string(), "fetched 4 times"],
    );
    std::fs::remove_file(rig.stored("blobs", &kernel.digest)).unwrap();
    assert_eq!(
        fetch_blob(&source, kernel, "the kernel", &mut |_| {})
            .unwrap_err()
            .code,
        ReasonCode::ImageMissing
    );
}

#[test]
fn a_server_in_trouble_is_waited_for_and_a_refusal_is_not() {
    let rig = Rig::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let busy = rig
        .router()
        .layer(from_fn(move |request: Request, next: Next| {
            let first = count.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                if first {
                    StatusCode::SERVICE_UNAVAILABLE.into_response()
                } else {
                    next.run(request).await
                }
            }
        }));
    let server = Server::start(busy);
    let mut waits = 0;
    let kernel = fetch_blob(
        &server.source(),
        &rig.files().kernel,
        "the kernel",
        &mut |moved| {
            if let Moved::Waiting(reason) = moved {
                says(&reason, &["503"]);
                waits += 1;
            }
        },
    );
    assert_eq!(kernel.unwrap().len() as u64, rig.files().kernel.length.0);
    assert_eq!(waits, 1);

    let refusal = Reason::new(
        ReasonCode::EnrolmentExpired,
        "the run is over",
        "order a new run",
    );
    let text = format!(
        "{{\"type\":\"urn:groundstate:reason:enrolment-expired\",\"title\":\"the run is over\",\"status\":403,\"reason\":{}}}",
        serde_json::to_string(&refusal).unwrap()
    );
    let closed = Router::new().fallback(move || async move { (StatusCode::FORBIDDEN, text) });
    let server = Server::start(closed);
    let reason = write(
        &server.source(),
        &rig.manifest,
        &rig.target(IMAGE),
        &mut |_| {},
    )
    .unwrap_err();
    assert_eq!(
        (reason.code, reason.what.as_str()),
        (ReasonCode::EnrolmentExpired, "the run is over")
    );
    let elsewhere = Router::new()
        .fallback(|| async { (StatusCode::FOUND, [("location", "http://127.0.0.1:1/")]) });
    let server = Server::start(elsewhere);
    let reason = fetch_blob(
        &server.source(),
        &rig.files().kernel,
        "the kernel",
        &mut |_| {},
    )
    .unwrap_err();
    says(&reason, &["302"]);
    assert_eq!(server.asked_for("/"), 1);
}
