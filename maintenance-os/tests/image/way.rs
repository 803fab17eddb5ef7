// SPDX-License-Identifier: Apache-2.0
//! The good way, and the server that goes away and comes back.

use crate::rig::{IMAGE, MIB, Rig, Server, fetch_blob, random, source};
use groundstate_api::{Bytes, ReasonCode};
use image_core::deploy::limits::{FLIGHT_BYTES_MAX, FLIGHT_MAX};
use maintenance_os::image::{Moved, fetch_manifest, read_back, write};
use std::io::Read as _;
use std::net::{Shutdown, TcpListener, TcpStream};

#[test]
fn every_byte_arrives_holes_read_zero_and_nothing_else_is_touched() {
    let rig = Rig::new();
    let server = Server::start(rig.router());
    let source = server.source();
    let target = rig.target(IMAGE + 4 * MIB);
    let manifest = fetch_manifest(&source, &rig.image, &mut |_| {}).unwrap();
    assert_eq!(manifest, rig.manifest);

    let mut done = Vec::new();
    let facts = write(&source, &manifest, &target, &mut |moved| match moved {
        Moved::Progress(so_far) => {
            assert_eq!(so_far.total, Bytes(IMAGE));
            done.push(so_far.done.0);
        }
        other => panic!("nothing is in the way: {other:?}"),
    })
    .unwrap();
    assert!(done.is_sorted() && done.last() == Some(&IMAGE), "{done:?}");

    let written = std::fs::read(&target).unwrap();
    let original = std::fs::read(&rig.root_fs).unwrap();
    let image = usize::try_from(IMAGE).unwrap();
    assert!(written[..image] == original[..]);
    assert!(written[image..] == random(99, IMAGE + 4 * MIB)[image..]);

    let facts = facts.join("\n");
    assert!(facts.contains(&rig.image.manifest.to_string()), "{facts}");
    assert!(facts.contains("opened with O_DIRECT"), "{facts}");
    let peak = facts.split("buffers held at most ").nth(1).unwrap();
    let peak: u64 = peak.split(' ').next().unwrap().parse().unwrap();
    let bound = FLIGHT_BYTES_MAX.0 + FLIGHT_MAX as u64 * 4096;
    assert!(peak >= 4 * MIB && peak <= bound, "{peak} of {bound}");

    let mut done = Vec::new();
    let facts = read_back(&manifest, &target, &mut |moved| {
        if let Moved::Progress(so_far) = moved {
            done.push(so_far.done.0);
        }
    })
    .unwrap();
    assert!(done.is_sorted() && done.last() == Some(&IMAGE), "{done:?}");
    assert!(facts.join("\n").contains("read back"), "{facts:?}");
    // Each chunk came over the wire once, whatever it says twice.
    assert_eq!(server.asked_for("/v1/chunks/"), manifest.chunks.len());
}

#[test]
fn blobs_come_whole_into_a_file() {
    let rig = Rig::new();
    let server = Server::start(rig.router());
    for (blob, name) in [
        (&rig.files().kernel, "vmlinuz"),
        (&rig.files().initrd, "initrd"),
        (&rig.files().boot_loader, "boot"),
    ] {
        let original = std::fs::read(rig.dir.path().join(name)).unwrap();
        let bytes = fetch_blob(&server.source(), blob, name, &mut |_| {}).unwrap();
        assert!(bytes == original);
    }
}

#[test]
fn a_server_that_stops_in_the_middle_and_returns() {
    let rig = Rig::new();
    let first = Server::start(rig.router());
    let (address, source) = (first.address, first.source());
    let target = rig.target(IMAGE);
    let mut servers = vec![Some(first)];
    let (mut waits, mut went_on) = (Vec::new(), 0);
    write(&source, &rig.manifest, &target, &mut |moved| match moved {
        // The disk has the first chunk: the server and all its connections go away, once.
        Moved::Progress(_) if servers.len() == 1 => {
            servers[0] = None;
            servers.push(None);
        }
        Moved::Progress(_) => {}
        Moved::Waiting(reason) => {
            waits.push((went_on, reason));
            if waits.len() == 2 {
                servers.push(Some(Server::start_at(address, rig.router())));
            }
        }
        Moved::GoingOn => went_on += 1,
        other => panic!("the only source is waited for: {other:?}"),
    })
    .unwrap();
    assert!(waits.len() >= 2, "{}", waits.len());
    // On a busy machine what was under way may still come after the first wait: each wait is followed by going on.
    assert_eq!(waits.last().map(|(before, _)| before + 1), Some(went_on));
    for (before, reason) in &waits {
        let began = waits.iter().find(|(other, _)| other == before).unwrap();
        assert_eq!(reason.code, ReasonCode::ProvisionerUnreachable);
        assert!(reason.deadline > reason.since && reason.since == began.1.since);
        assert!(reason.next_automatic.contains("asks again"), "{reason}");
    }
    assert!(std::fs::read(&target).unwrap() == std::fs::read(&rig.root_fs).unwrap());
}

#[test]
fn manifest_and_blob_wait_for_a_server_that_is_not_there_yet() {
    let rig = Rig::new();
    let address = Server::start(rig.router()).address;
    let source = source(address);
    let (mut server, mut moves) = (None, Vec::new());
    let mut on = |moved: Moved| {
        if matches!(moved, Moved::Waiting(_)) && server.is_none() {
            server = Some(Server::start_at(address, rig.router()));
        }
        moves.push(moved);
    };
    let manifest = fetch_manifest(&source, &rig.image, &mut on).unwrap();
    assert_eq!(manifest, rig.manifest);
    assert!(
        matches!(
            moves[..],
            [Moved::Waiting(_), Moved::GoingOn, Moved::Progress(_)]
        ),
        "{moves:?}"
    );
}

/// Passes bytes on between the client and the server, and breaks the first connection off after `cut` bytes of answer.
fn cutting_proxy(server: std::net::SocketAddr, cut: u64) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut limit = Some(cut);
        for client in listener.incoming() {
            let client = client.unwrap();
            let upstream = TcpStream::connect(server).unwrap();
            let (mut to_server, mut from_client) =
                (upstream.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_server));
            let limit = limit.take().unwrap_or(u64::MAX);
            std::thread::spawn(move || {
                // Either end may be gone already; that is what this test is about.
                let _ = std::io::copy(
                    &mut upstream.try_clone().unwrap().take(limit),
                    &mut client.try_clone().unwrap(),
                );
                let _ = client.shutdown(Shutdown::Both);
                let _ = upstream.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

#[test]
fn a_connection_that_breaks_off_goes_on_where_it_stopped() {
    let rig = Rig::new();
    let server = Server::start(rig.router());
    // 5 MiB: the initrd of random bytes breaks off in its middle.
    let source = source(cutting_proxy(server.address, 2 * MIB));
    let initrd = fetch_blob(&source, &rig.files().initrd, "the initrd", &mut |_| {}).unwrap();
    assert!(initrd == std::fs::read(rig.dir.path().join("initrd")).unwrap());
    {
        let seen = server.seen.lock().unwrap();
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert_eq!((seen[0].1.as_deref(), seen[0].2), (None, 200));
        let from: u64 = seen[1].1.as_ref().unwrap()["bytes=".len()..]
            .trim_end_matches('-')
            .parse()
            .unwrap();
        assert!(from > MIB && from < 2 * MIB, "{from}");
        assert_eq!(seen[1].2, 206);
    }
    // The same for a chunk of random bytes while the image is written.
    let source = crate::rig::source(cutting_proxy(server.address, 6 * MIB));
    let target = rig.target(IMAGE);
    write(&source, &rig.manifest, &target, &mut |_| {}).unwrap();
    assert!(std::fs::read(&target).unwrap() == std::fs::read(&rig.root_fs).unwrap());
    assert!(
        server
            .seen
            .lock()
            .unwrap()
            .iter()
            .any(|(path, range, status)| path.contains("chunks")
                && range.is_some()
                && *status == 206)
    );
}
