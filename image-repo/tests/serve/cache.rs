// SPDX-License-Identifier: Apache-2.0
//! nginx with `proxy_cache` in front of the server: what it has, the server is not asked for.

use crate::server::{Answer, Bench, Server, get};
use image_repo::ServeConfig;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CHUNKS: &str = "groundstate_image_requests_total{kind=\"chunk\"}";

/// Where `cargo xtask setup` and the benches unpack it, with the libraries that the machine lacks.
const UNPACKED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../target/groundstate/peers/root/nginx-light"
);

/// Where it is installed, or where it was unpacked. None where it is missing; in CI it must not be.
fn nginx() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join("nginx"))
        .chain([
            "/usr/sbin/nginx".into(),
            Path::new(UNPACKED).join("usr/sbin/nginx"),
        ])
        .find(|path| path.is_file());
    assert!(
        found.is_some() || std::env::var_os("CI").is_none(),
        "no nginx, which `cargo xtask setup` unpacks"
    );
    if found.is_none() {
        eprintln!("skipped: no nginx here; `cargo xtask setup` unpacks one");
    }
    found
}

struct Cache {
    child: Child,
    address: SocketAddr,
}

impl Cache {
    fn start(program: &Path, dir: &Path, origin: SocketAddr) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let at = dir.to_str().unwrap();
        // Nothing of it knows what is behind: the origin's own words say what may be kept, and for how long.
        let config = format!(
            "master_process off;\ndaemon off;\npid {at}/pid;\nerror_log {at}/error.log;\n\
             events {{ worker_connections 64; }}\n\
             http {{ access_log off;\n\
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
             uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
             proxy_cache_path {at}/kept keys_zone=kept:1m inactive=1h;\n\
             server {{ listen {address}; location / {{ proxy_pass http://{origin}; proxy_http_version 1.1;\n\
             proxy_cache kept; add_header X-Cache $upstream_cache_status; }} }} }}\n"
        );
        let path = dir.join("nginx.conf");
        std::fs::write(&path, config).unwrap();
        let child = Command::new(program)
            .args(["-p", at, "-e", &format!("{at}/error.log"), "-c"])
            .arg(&path)
            .env(
                "LD_LIBRARY_PATH",
                ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"]
                    .map(|folder| format!("{UNPACKED}/{folder}"))
                    .join(":"),
            )
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let cache = Self { child, address };
        for _ in 0..500 {
            if TcpStream::connect(address).is_ok() {
                return cache;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "nginx does not come up: {}",
            std::fs::read_to_string(dir.join("error.log")).unwrap_or_default()
        );
    }

    fn get(&self, path: &str, fields: &[&str]) -> Answer {
        get(self.address, path, fields)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_cache_in_front_answers_for_the_server() {
    let Some(program) = nginx() else {
        return;
    };
    let bench = Bench::new();
    let config = ServeConfig {
        shared_caches: true,
        ..ServeConfig::default()
    };
    let server = Server::start(&bench, config);
    let cache = Cache::start(&program, bench.dir.path(), server.address);
    let (path, bytes) = &bench.objects()[0];
    let first = cache.get(path, &[]);
    assert!(first.status == 200 && first.body == *bytes);
    assert_eq!(first.fields["x-cache"], "MISS");
    let etag = &first.fields["etag"];
    let asked = server.number(CHUNKS);
    assert_eq!(asked, 1);
    let second = cache.get(path, &[]);
    assert_eq!(second.fields["x-cache"], "HIT");
    assert!(second.body == *bytes);
    let part = cache.get(path, &["Range: bytes=1000-1999"]);
    assert_eq!(part.status, 206);
    assert!(part.body == bytes[1000..2000]);
    assert_eq!(
        part.fields["content-range"],
        format!("bytes 1000-1999/{}", bytes.len())
    );
    let same = format!("If-Range: {etag}");
    let part = cache.get(path, &["Range: bytes=5-", &same]);
    assert!(part.status == 206 && part.body == bytes[5..]);
    let other = cache.get(path, &["Range: bytes=5-", "If-Range: \"sha256:00\""]);
    assert!(other.status == 200 && other.body == *bytes);
    let known = cache.get(path, &[&format!("If-None-Match: {etag}")]);
    assert_eq!(known.status, 304);
    assert_eq!(server.number(CHUNKS), asked, "the server was asked again");
    // What is not there is not kept: it may come.
    let absent = "/v1/chunks/".to_owned() + &"0".repeat(64);
    for _ in 0..2 {
        assert_eq!(cache.get(&absent, &[]).status, 404);
    }
    assert_eq!(server.number(CHUNKS), asked + 2);
}

#[test]
fn a_cache_keeps_nothing_where_the_site_does_not_allow_it() {
    let Some(program) = nginx() else {
        return;
    };
    let bench = Bench::new();
    let server = Server::start(&bench, ServeConfig::default());
    let cache = Cache::start(&program, bench.dir.path(), server.address);
    let (path, bytes) = &bench.objects()[0];
    for asked in 1..=2 {
        assert!(cache.get(path, &[]).body == *bytes);
        assert_eq!(server.number(CHUNKS), asked);
    }
}
