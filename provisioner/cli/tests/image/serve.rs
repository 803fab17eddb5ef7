// SPDX-License-Identifier: Apache-2.0
//! An image from another machine's `image serve`, by the digest of its manifest.

use crate::world::{World, has};
use groundstate_api::trust::KeyId;
use image_repo::trust::SecretKey;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn new(world: &World, arguments: &str) -> Self {
        let mut child = world
            .command(&format!("serve --listen 127.0.0.1:0 {arguments}"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        said.read_line(&mut line).unwrap();
        let url = line.split(" at ").nth(1).unwrap();
        let url = url.split(';').next().unwrap().to_owned();
        // Its other lines go nowhere, and it must not wait for a reader.
        std::thread::spawn(move || for _ in said.lines() {});
        Self { child, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

#[test]
fn a_rate_of_nothing_is_refused() {
    let world = World::new();
    world.import_disk("d", "1");
    for rate in ["--rate", "--client-rate"] {
        let line = format!("serve --listen 127.0.0.1:0 {rate} 0");
        has(&world.refused(&line, 1), &[rate, "leave it out"]);
    }
}

#[test]
fn an_image_is_written_from_a_server_by_its_digest() {
    let world = World::new();
    world.import_disk("d", "1");
    let digest = world.json("ls")[0]["manifest"].as_str().unwrap().to_owned();
    self_signed(&world, "server", "127.0.0.1");
    for tls in [false, true] {
        let (serve, ca) = if tls {
            (
                "--tls-cert server.crt --tls-key server.key",
                "--ca server.crt",
            )
        } else {
            ("", "")
        };
        let server = Server::new(&world, serve);
        assert_eq!(server.url.starts_with("https://"), tls, "{}", server.url);
        let from = format!("--from {} {ca}", server.url);
        let name = format!("lab-{tls}.img");
        has(
            &world.refused(&format!("write {digest} {name} --size 100MiB {from}"), 3),
            &["--allow-unsigned"],
        );
        has(
            &world.refused(
                &format!("write d {name} --size 100MiB {from} --allow-unsigned"),
                1,
            ),
            &["NAME@CHANNEL, or by the digest"],
        );
        let line = format!("write {digest} {name} --size 100MiB {from} --allow-unsigned");
        let written = world.json(&line);
        assert!(written["fetched"].as_u64() > Some(0), "{written}");
        has(
            &world.tool("sgdisk", &format!("-v {name}")),
            &["No problems found"],
        );
        if tls {
            let line = line.replace("--ca server.crt", "");
            has(&world.refused(&format!("{line} --yes"), 1), &["--ca FILE"]);
        }
    }
}

/// A certificate for this name that is its own authority, with its key: `FILE.crt` and `FILE.key`.
fn self_signed(world: &World, file: &str, name: &str) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = made.signing_key.serialize_pem();
    std::fs::write(world.path(&format!("{file}.crt")), made.cert.pem()).unwrap();
    std::fs::write(world.path(&format!("{file}.key")), key).unwrap();
}

/// A certificate of its own authority, in the folder's files as a client has them.
fn credential(world: &World, authority: &str) {
    std::fs::create_dir(world.path("me")).unwrap();
    self_signed(world, "me/operator", "operator");
    std::fs::copy(world.path(authority), world.path("me/ca.crt")).unwrap();
}

#[test]
fn a_server_that_asks_who_calls_gives_documents_and_chunks_to_the_credential() {
    let world = World::new();
    world.import_disk("d", "1");
    let digest = world.json("ls")[0]["manifest"].as_str().unwrap().to_owned();
    self_signed(&world, "server", "127.0.0.1");
    credential(&world, "server.crt");
    let server = Server::new(
        &world,
        "--tls-cert server.crt --tls-key server.key --client-ca me/operator.crt",
    );
    let line = format!(
        "write {digest} lab.img --size 100MiB --allow-unsigned --from {}",
        server.url
    );
    has(
        &world.refused(&format!("{line} --ca server.crt"), 3),
        &[
            "asks for a certificate of who asks, and none was given",
            "--from-credential DIR",
            "--client-ca",
        ],
    );
    std::fs::create_dir(world.path("other")).unwrap();
    self_signed(&world, "other/operator", "operator");
    std::fs::copy(world.path("server.crt"), world.path("other/ca.crt")).unwrap();
    has(
        &world.refused(&format!("{line} --from-credential other"), 3),
        &["does not accept the certificate of --from-credential"],
    );
    has(
        &world.refused(&format!("{line} --ca me/operator.crt"), 3),
        &["not of the authority that is trusted here", "--ca FILE"],
    );
    let plain = line.replace("https://", "http://");
    has(&world.refused(&plain, 1), &["say https://"]);
    let written = world.json(&format!("{line} --from-credential me"));
    assert!(written["fetched"].as_u64() > Some(0), "{written}");
    std::fs::remove_file(world.path("me/operator.key")).unwrap();
    has(
        &world.refused(&format!("{line} --from-credential me"), 1),
        &["me/operator.key cannot be read"],
    );
}

/// Signed by a key of minisign's form, promoted on the server's machine, and believed on another by the root it has pinned.
#[test]
fn a_channel_is_followed_on_another_machine_by_the_root_that_it_has_pinned() {
    let (here, there) = (World::new(), World::new());
    let key = SecretKey::of(KeyId(0x0A01), &[1; 32]);
    std::fs::write(here.path("a.key"), key.file_without_password()).unwrap();
    std::fs::write(here.path("a.pub"), key.public_file()).unwrap();
    here.import_disk("d", "1");
    here.done("trust init --key a.pub");
    here.done("sign d 1 --key a.key");
    here.done("promote d 1 --channel stable --key a.key --expires 7d");
    // Without a fleet, on the machine itself.
    has(
        &here.done("write d@stable own.img --size 100MiB --no-read-back"),
        &["d 1 stands on own.img"],
    );
    let server = Server::new(&here, "");
    let line = format!("write d@stable lab.img --size 100MiB --from {}", server.url);
    has(&there.refused(&line, 3), &["no trust root"]);
    std::fs::create_dir_all(there.path("state/trust")).unwrap();
    std::fs::copy(
        here.path("state/trust/root.json"),
        there.path("state/trust/root.json"),
    )
    .unwrap();
    has(&there.done(&line), &["d 1 stands on lab.img"]);
    has(&there.tool("sgdisk", "-v lab.img"), &["No problems found"]);
    let other = line.replace("stable", "none").replace("lab", "none");
    has(&there.refused(&other, 3), &["do now:"]);
    // What was signed and is then revoked is not written, wherever it is asked for.
    here.done("revoke d 1 --why CVE-2026-1 --key a.key");
    has(
        &there.refused(&line.replace("lab", "late"), 3),
        &["CVE-2026-1"],
    );
    // Nor where unsigned images are taken: this one was signed.
    let digest = here.json("ls")[0]["manifest"].as_str().unwrap().to_owned();
    for (world, line) in [
        (&here, "write d 1 late.img --size 100MiB".to_owned()),
        (
            &there,
            format!(
                "write {digest} late.img --size 100MiB --from {}",
                server.url
            ),
        ),
    ] {
        for more in ["", " --allow-unsigned"] {
            has(&world.refused(&format!("{line}{more}"), 3), &["CVE-2026-1"]);
        }
        assert!(!world.path("late.img").exists());
    }
}

#[test]
fn where_nobody_answers_it_ends_with_an_error_whatever_is_asked() {
    let world = World::new();
    self_signed(&world, "ca", "127.0.0.1");
    let digest = groundstate_api::Digest::of(b"no image");
    for line in [
        format!("verify {digest}"),
        format!("write {digest} lab.img --size 100MiB --allow-unsigned"),
    ] {
        for from in ["https://127.0.0.1:1 --ca ca.crt", "http://127.0.0.1:1"] {
            let said = world.refused(&format!("{line} --from {from}"), 1);
            has(&said, &["127.0.0.1:1 cannot be reached", "do now:"]);
        }
        let said = world.refused(&format!("{line} --from ftp://127.0.0.1:1"), 1);
        has(&said, &["should begin with https:// or http://"]);
    }
}

/// A provisioner answers so who does not say who asks, or may not.
#[test]
fn who_is_given_nothing_hears_how_to_say_who_asks() {
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let answer =
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            std::io::Write::write_all(&mut &stream, answer).unwrap();
        }
    });
    let digest = groundstate_api::Digest::of(b"no image");
    let line = format!("write {digest} lab.img --size 100MiB --allow-unsigned --from {url}");
    has(
        &world.refused(&line, 3),
        &[
            "who does not say who asks",
            "status 403",
            "do now:",
            "--from-credential DIR",
        ],
    );
    has(
        &world.refused(&format!("{line} --from-credential me"), 3),
        &["whom --from-credential names", "groundstate access"],
    );
    assert!(!world.path("lab.img").exists());
}
