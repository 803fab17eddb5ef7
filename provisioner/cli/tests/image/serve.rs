// SPDX-License-Identifier: Apache-2.0
//! An image from another machine's `image serve`, by the digest of its manifest.

use crate::world::{World, has};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn new(world: &World, arguments: &str) -> Self {
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
fn an_image_is_written_from_a_server_by_its_digest() {
    let world = World::new();
    world.import_disk("d", "1");
    let digest = world.json("ls")[0]["manifest"].as_str().unwrap().to_owned();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(world.path("server.crt"), made.cert.pem()).unwrap();
    std::fs::write(world.path("server.key"), made.signing_key.serialize_pem()).unwrap();
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
            &["by the digest of its manifest"],
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
