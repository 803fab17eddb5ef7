// SPDX-License-Identifier: Apache-2.0
//! A room and its callers, over TLS on the loopback.

use super::book::{Book, Setting};
use super::tls::Identity;
use crate::image::{Source, SourceBook as _};
use groundstate_api::fan_out::{PEER_DOMAIN, Share, SourcesAnswer, peer_name};
use groundstate_api::image::Manifest;
use groundstate_api::{Bytes, Digest, Millis, NodeId, paths};
use image_core::limits::LEVEL;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

struct Site {
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
}

impl Site {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, ca_pem }
    }

    /// Certificate and key with this name, or with none.
    fn sign(&self, name: Option<&str>) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = name
            .map(|name| SanType::DnsName(name.try_into().unwrap()))
            .into_iter()
            .collect();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn identity(&self, name: Option<&str>) -> Identity {
        let (certificate, key) = self.sign(name);
        Identity::read(&self.ca_pem, &certificate, &key).unwrap()
    }
}

fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

const CHUNK: usize = 64 * 1024;

fn image() -> (Manifest, Vec<u8>, Vec<Vec<u8>>) {
    let bytes: Vec<u8> = (0..u32::try_from(8 * CHUNK / 4).unwrap())
        .flat_map(|word| (word / 7).to_le_bytes())
        .collect();
    let stored = bytes
        .chunks(CHUNK)
        .map(|piece| zstd::bulk::compress(piece, LEVEL).unwrap())
        .collect::<Vec<_>>();
    let chunks = bytes.chunks(CHUNK).zip(&stored).zip(0u64..);
    let chunks = chunks.map(|((piece, stored), number)| groundstate_api::image::Chunk {
        offset: Bytes(number * CHUNK as u64),
        length: Bytes(piece.len() as u64),
        digest: Digest::of(piece),
        stored_length: Bytes(stored.len() as u64),
        stored_digest: Digest::of(stored),
    });
    let chunks: Vec<_> = chunks.collect();
    let manifest = Manifest {
        schema: groundstate_api::image::MANIFEST_SCHEMA,
        name: "any".to_owned(),
        version: "1".to_owned(),
        kind: groundstate_api::image::ImageKind::WholeDisk,
        format: groundstate_api::image::ImageFormat::Raw,
        architecture: None,
        firmware: groundstate_api::image::RequiredFirmware::Any,
        boot: groundstate_api::image::BootEntry::None,
        minimum_size: Bytes(bytes.len() as u64),
        merkle_root: image_core::merkle::root(&chunks),
        size: Bytes(bytes.len() as u64),
        sector_size: 512,
        chunk_size: Bytes(CHUNK as u64),
        chunks,
    };
    (manifest, bytes, stored)
}

/// A room of `n1` that was told to fetch everything from the repository.
fn room(site: &Site, manifest: &Manifest, target: Option<std::path::PathBuf>) -> Book {
    let (certificate_pem, key_pem) = site.sign(Some(&peer_name(&node("n1"))));
    let book = Book::open(Setting {
        run: "run-1".parse().unwrap(),
        image: Digest::of(b"manifest"),
        manifest: Arc::new(manifest.clone()),
        repository: Source::plain("http://127.0.0.1:9"),
        target,
        ca_pem: site.ca_pem.clone(),
        certificate_pem,
        key_pem,
        ask: Box::new(|question| {
            let all = Share {
                first: 0,
                end: question.chunks,
                peer: None,
            };
            Ok(SourcesAnswer {
                peers: Vec::new(),
                fetch: if question.room == 0 {
                    Vec::new()
                } else {
                    vec![all]
                },
                shed: question.have.clone(),
                again: Millis(20),
                rate: None,
            })
        }),
    });
    let book = book.unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !book.sources()[0].holds.as_ref().unwrap().contains(0) {
        assert!(Instant::now() < until, "the plan does not come");
        std::thread::sleep(Duration::from_millis(5));
    }
    book
}

/// Status and body of one answer after the other on one connection; the questions go out together.
fn get(
    port: u16,
    caller: &Identity,
    whom: &str,
    digests: &[Digest],
) -> std::io::Result<Vec<(u16, Vec<u8>)>> {
    let tls = caller.client(&node(whom)).unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let session = ClientConnection::new(tls, name).map_err(std::io::Error::other)?;
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut stream = StreamOwned::new(session, stream);
    for digest in digests {
        let path = paths::CHUNK.replace("{digest}", &digest.hex());
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")?;
    }
    stream.flush()?;
    let mut answers = Vec::new();
    for _ in digests {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.split("Content-Length: ").nth(1).unwrap();
        let length = length.split("\r\n").next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        answers.push((head[9..12].parse().unwrap(), body));
    }
    Ok(answers)
}

#[test]
fn what_came_from_the_repository_is_served_to_nodes_of_this_site_only() {
    let site = Site::new();
    let (manifest, _, stored) = image();
    let book = room(&site, &manifest, None);
    book.proved(2, &manifest.chunks[2], &stored[2]);
    let wanted = [manifest.chunks[2].digest, manifest.chunks[3].digest];
    let other = site.identity(Some(&peer_name(&node("n2"))));
    let answers = get(book.port(), &other, "n1", &wanted).unwrap();
    assert_eq!(answers[0], (200, stored[2].clone()));
    assert_eq!(answers[1].0, 404);
    assert_eq!(book.traffic().to_peers.0, stored[2].len() as u64);
    // Of this site, but no node: a host, an operator, and one whose name only looks like one.
    let foreign = format!("n3{PEER_DOMAIN}");
    for name in [None, Some("localhost"), Some(foreign.as_str())] {
        let answers = get(book.port(), &site.identity(name), "n1", &wanted[..1]).unwrap();
        assert_eq!(answers[0].0, 403, "{name:?}");
    }
    // Of another site; and a caller that wants another node.
    let stranger = Site::new().identity(Some(&peer_name(&node("n2"))));
    assert!(get(book.port(), &stranger, "n1", &wanted).is_err());
    assert!(get(book.port(), &other, "n9", &wanted).is_err());
}

#[test]
fn what_stands_on_the_disk_is_served_in_the_form_that_the_manifest_names() {
    let site = Site::new();
    let (manifest, mut bytes, stored) = image();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("disk");
    // The third chunk was written to since.
    bytes[2 * CHUNK] ^= 1;
    std::fs::write(&target, &bytes).unwrap();
    let book = room(&site, &manifest, Some(target));
    for chunk in 0..4 {
        book.on_disk(chunk);
    }
    let wanted: Vec<Digest> = manifest.chunks.iter().map(|chunk| chunk.digest).collect();
    let other = site.identity(Some(&peer_name(&node("n2"))));
    let answers = get(book.port(), &other, "n1", &wanted).unwrap();
    for (chunk, (status, body)) in answers.iter().enumerate() {
        if matches!(chunk, 0 | 1 | 3) {
            assert_eq!((*status, body), (200, &stored[chunk]), "{chunk}");
        } else {
            assert_eq!(*status, 404, "{chunk}");
        }
    }
}

#[test]
fn a_room_ends_with_its_book() {
    let site = Site::new();
    let (manifest, _, _) = image();
    let book = room(&site, &manifest, None);
    let port = book.port();
    drop(book);
    let until = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(Instant::now() < until, "the port stays open");
        std::thread::sleep(Duration::from_millis(5));
    }
}
