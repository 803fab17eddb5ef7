// SPDX-License-Identifier: Apache-2.0
//! The documents over HTTP, with curl as the peer: what comes is what is believed.

use crate::world::{NOW, World};
use groundstate_api::trust::{Seen, Signed};
use image_core::trust::trusted;
use std::process::Command;
use std::sync::Arc;

fn curl(url: &str, more: &[&str]) -> (String, String) {
    let out = Command::new("curl")
        .args(["-sS", "-D", "-", "--max-time", "20"])
        .args(more)
        .arg(url)
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let text = String::from_utf8(out.stdout).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_string())
}

#[test]
fn the_documents_are_served_with_their_signatures() {
    let world = World::new();
    let manifest = world.image("1").manifest;
    let pinned = world.pin.root().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let World {
        repository, dir, ..
    } = world;
    let router = image_repo::trust::trust_router(Arc::new(repository));
    runtime.spawn(async move { axum::serve(listener, router).await });

    let (head, body) = curl(&format!("{at}/v1/trust/catalogue"), &[]);
    assert!(
        head.contains("200 ok") && head.contains("cache-control: no-cache"),
        "{head}"
    );
    let catalogue: Signed = serde_json::from_str(&body).unwrap();
    let (head, body) = curl(&format!("{at}/v1/trust/images/{}", manifest.hex()), &[]);
    assert!(head.contains("200 ok"), "{head}");
    let statement: Signed = serde_json::from_str(&body).unwrap();
    let believed = trusted(&pinned, &[], Some(&catalogue), &Seen::default(), NOW).unwrap();
    let row = believed.channel("debian", "stable").unwrap();
    assert_eq!(row.manifest, manifest);
    assert_eq!(statement.signatures.len(), 1);

    let tag = head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap();
    let same = format!("If-None-Match: {tag}");
    let (head, _) = curl(
        &format!("{at}/v1/trust/images/{}", manifest.hex()),
        &["-H", &same],
    );
    assert!(head.contains("304"), "{head}");
    for path in [
        "root/1",
        "root/x",
        "root/../catalogue",
        "images/..",
        "images/ab",
    ] {
        let (head, body) = curl(&format!("{at}/v1/trust/{path}"), &["--path-as-is"]);
        assert!(head.contains("404"), "{path}: {head} {body}");
    }
    drop(dir);
}
