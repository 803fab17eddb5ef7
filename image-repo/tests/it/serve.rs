// SPDX-License-Identifier: Apache-2.0
//! The server with curl as its peer.

use crate::Bench;
use groundstate_api::Digest;
use groundstate_api::view::Problem;
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

struct Server {
    _runtime: tokio::runtime::Runtime,
    base: String,
}

impl Server {
    fn start(bench: &Bench) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = image_repo::router(Arc::new(bench.repository()));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            _runtime: runtime,
            base,
        }
    }

    fn curl(&self, path: &str, options: &[&str]) -> Answer {
        let out = Command::new("curl")
            .args([
                "-s",
                "-S",
                "--path-as-is",
                "-i",
                "--noproxy",
                "*",
                "--max-time",
                "60",
            ])
            .args(options)
            .arg(format!("{}{path}", self.base))
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        let end = out
            .stdout
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(out.stdout[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let fields = lines.filter_map(|line| line.split_once(": "));
        Answer {
            status,
            fields: fields
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_string()))
                .collect(),
            body: out.stdout[end + 4..].to_vec(),
        }
    }
}

struct Answer {
    status: u16,
    fields: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn is(&self, name: &str, value: &str) {
        assert_eq!(
            self.fields.get(name).map(String::as_str),
            Some(value),
            "{name} of {:?}",
            self.fields
        );
    }
    fn problem(&self, status: u16, code: &str) -> Problem {
        assert_eq!(self.status, status);
        self.is("content-type", "application/problem+json");
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(
            (problem.status, problem.kind.as_str()),
            (status, format!("urn:groundstate:reason:{code}").as_str())
        );
        problem
    }
}

#[test]
fn whole_parts_and_heads_as_rfc_9110_has_them() {
    let bench = Bench::new();
    let image = bench.import("1", |_| {}).unwrap();
    let manifest = bench.repository().manifest(&image.manifest).unwrap();
    let server = Server::start(&bench);
    let chunk = manifest
        .chunks
        .iter()
        .max_by_key(|chunk| chunk.stored_length)
        .unwrap();
    for (kind, folder, digest, media) in [
        ("images", "manifests", image.manifest, "application/json"),
        ("chunks", "chunks", chunk.digest, "application/zstd"),
        (
            "blobs",
            "blobs",
            manifest.boot_files().unwrap().kernel.digest,
            "application/octet-stream",
        ),
    ] {
        let path = format!("/v1/{kind}/{}", digest.hex());
        let bytes = std::fs::read(bench.stored(folder, &digest.hex())).unwrap();
        let length = bytes.len();
        let etag = format!("\"{digest}\"");

        let whole = server.curl(&path, &[]);
        assert_eq!(whole.status, 200);
        assert!(whole.body == bytes);
        whole.is("content-length", &length.to_string());
        whole.is("content-type", media);
        whole.is("etag", &etag);
        whole.is("accept-ranges", "bytes");
        assert!(whole.fields["cache-control"].contains("immutable"));

        let head = server.curl(&path, &["--head"]);
        assert_eq!((head.status, head.body.len()), (200, 0));
        head.is("content-length", &length.to_string());
        head.is("etag", &etag);

        for (range, from, to) in [
            ("0-0", 0, 1),
            ("5-99", 5, 100),
            ("7-", 7, length),
            ("-3", length - 3, length),
            ("0-99999999", 0, length),
        ] {
            let part = server.curl(&path, &["-r", range]);
            assert_eq!(part.status, 206, "{range}");
            assert!(part.body == bytes[from..to], "{range}");
            part.is(
                "content-range",
                &format!("bytes {from}-{}/{length}", to - 1),
            );
            part.is("content-length", &(to - from).to_string());
        }
        let beyond = server.curl(&path, &["-r", &format!("{length}-")]);
        beyond.problem(416, "chunk-corrupt");
        beyond.is("content-range", &format!("bytes */{length}"));
        assert_eq!(server.curl(&path, &["-r", "0-1,4-5"]).status, 200);

        conditions(&server, &path, &etag, length);
    }
}

/// `If-Range`, `If-Match` and `If-None-Match`, which go by the tag alone.
fn conditions(server: &Server, path: &str, etag: &str, length: usize) {
    let same = format!("If-Range: {etag}");
    assert_eq!(server.curl(path, &["-r", "5-99", "-H", &same]).status, 206);
    for other in [
        "If-Range: \"sha256:00\"",
        "If-Range: Sun, 22 Nov 2026 00:00:00 GMT",
    ] {
        let answer = server.curl(path, &["-r", "5-99", "-H", other]);
        assert_eq!((answer.status, answer.body.len()), (200, length), "{other}");
    }
    for known in [
        etag.to_string(),
        format!("\"x\", W/{etag}"),
        "*".to_string(),
    ] {
        let known = server.curl(path, &["-H", &format!("If-None-Match: {known}")]);
        assert_eq!((known.status, known.body.len()), (304, 0));
        known.is("etag", etag);
        assert!(known.fields["cache-control"].contains("immutable"));
    }
    for (wanted, status) in [
        (etag.to_string(), 200),
        ("*".to_string(), 200),
        (format!("\"x\", {etag}"), 200),
        (format!("W/{etag}"), 412),
        ("\"x\"".to_string(), 412),
    ] {
        let answer = server.curl(path, &["-H", &format!("If-Match: {wanted}")]);
        assert_eq!(answer.status, status, "{wanted}");
        let is_kept = answer.fields["cache-control"].contains("immutable");
        assert_eq!(is_kept, status == 200, "{wanted}");
    }
    let other = server.curl(path, &["-H", "If-None-Match: \"x\""]);
    assert_eq!((other.status, other.body.len()), (200, length));
    assert!(!other.fields.contains_key("content-encoding"));
    // A range is for GET only.
    let head = server.curl(path, &["--head", "-r", "0-0"]);
    assert_eq!(head.status, 200);
}

#[test]
fn an_interrupted_download_goes_on_with_curl() {
    let bench = Bench::new();
    let image = bench.import("1", |_| {}).unwrap();
    let manifest = bench.repository().manifest(&image.manifest).unwrap();
    let kernel = manifest.boot_files().unwrap().kernel;
    let server = Server::start(&bench);
    let part = bench.dir.path().join("part");
    let bytes = std::fs::read(&bench.kernel).unwrap();
    std::fs::write(&part, &bytes[..100_001]).unwrap();
    let done = Command::new("curl")
        .args(["-s", "-S", "--noproxy", "*", "-C", "-", "-o"])
        .arg(&part)
        .arg(format!("{}/v1/blobs/{}", server.base, kernel.digest.hex()))
        .status()
        .unwrap();
    assert!(done.success());
    assert!(std::fs::read(&part).unwrap() == bytes);
}

#[test]
fn what_is_not_there_is_a_problem_and_no_path_gets_out() {
    let bench = Bench::new();
    bench.import("1", |_| {}).unwrap();
    let server = Server::start(&bench);
    let absent = Digest::of(b"absent").hex();
    for kind in ["images", "chunks", "blobs"] {
        for name in [
            absent.as_str(),
            "..%2f..%2fnames",
            "%2e%2e",
            "debian-host",
            &absent.to_uppercase(),
            "%00",
            "..%2f..%2f..%2f..%2fetc%2fpasswd",
        ] {
            server
                .curl(&format!("/v1/{kind}/{name}"), &[])
                .problem(404, "image-missing");
        }
        // What is no digest is told with what one looks like, and not sent to import something.
        let said = server.curl(&format!("/v1/{kind}/00"), &[]);
        let said = said.problem(404, "image-missing");
        assert!(said.title.starts_with("digest: "), "{said:?}");
        assert!(said.reason.next_step.contains("for example"), "{said:?}");
        assert_eq!(
            server
                .curl(&format!("/v1/{kind}/../../names/debian-host/1"), &[])
                .status,
            404
        );
        assert_eq!(
            server
                .curl(&format!("/v1/{kind}/{absent}"), &["-X", "PUT", "-d", "x"])
                .status,
            405
        );
    }
}
