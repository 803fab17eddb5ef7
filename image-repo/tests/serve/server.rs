// SPDX-License-Identifier: Apache-2.0
//! A repository with an image, a server on loopback, and a plain client.

use groundstate_api::image::{ImageFormat, ImageKind, ImageRef, Manifest};
use groundstate_api::{Bytes, Digest};
use image_repo::objects::{Behind, ReadThrough};
use image_repo::serve::{ServeOptions, run};
use image_repo::{ImportRequest, RawFile, Repository, ServeConfig};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Bytes that zstd cannot make smaller; the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) repository: Arc<Repository>,
    pub(crate) image: ImageRef,
    pub(crate) manifest: Manifest,
}

impl Bench {
    /// A repository with one image of some chunks.
    pub(crate) fn new() -> Self {
        Self::of(2 << 20, Bytes(256 << 10))
    }

    /// The same of so many bytes in chunks of that size.
    pub(crate) fn of(length: usize, chunk_size: Bytes) -> Self {
        let dir = TempDir::new().unwrap();
        let raw = dir.path().join("disk.raw");
        std::fs::write(&raw, noise(7, length)).unwrap();
        let repository = Repository::open(&dir.path().join("repository")).unwrap();
        let request = ImportRequest {
            name: "lab",
            version: "1",
            kind: ImageKind::WholeDisk,
            format: ImageFormat::Raw,
            sector_size: 512,
            chunk_size: Some(chunk_size),
            boot: None,
        };
        let mut content = RawFile::open(&raw).unwrap();
        repository
            .import(&request, &mut content, &mut |_, _| {})
            .unwrap();
        let image = repository.newest("lab").unwrap().unwrap();
        let manifest = repository.manifest(&image.manifest).unwrap();
        Self {
            dir,
            repository: Arc::new(repository),
            image,
            manifest,
        }
    }

    pub(crate) fn stored(&self, kind: &str, digest: &Digest) -> PathBuf {
        let (dir, hex) = (self.dir.path().join("repository").join(kind), digest.hex());
        if kind == "manifests" {
            dir.join(hex)
        } else {
            dir.join(&hex[..2]).join(hex)
        }
    }

    /// A blob of random bytes, in the repository as an import puts it there.
    pub(crate) fn blob(&self, length: usize) -> (Digest, Vec<u8>) {
        let bytes = noise(9, length);
        let digest = Digest::of(&bytes);
        let path = self.stored("blobs", &digest);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &bytes).unwrap();
        (digest, bytes)
    }

    /// Every object of the image: its path on the server, and its file here.
    pub(crate) fn objects(&self) -> Vec<(String, Vec<u8>)> {
        let chunks = self.manifest.chunks.iter();
        let chunks = chunks.map(|chunk| ("chunks", "chunks", chunk.digest));
        chunks
            .chain([("images", "manifests", self.image.manifest)])
            .map(|(url, folder, digest)| {
                let bytes = std::fs::read(self.stored(folder, &digest)).unwrap();
                (format!("/v1/{url}/{}", digest.hex()), bytes)
            })
            .collect()
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) struct Server {
    _runtime: Runtime,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(bench: &Bench, config: ServeConfig) -> Self {
        let repository = Arc::clone(&bench.repository);
        Self::with(ServeOptions {
            repository,
            config,
            tls: None,
        })
    }

    /// A server whose own repository is empty.
    pub(crate) fn before(bucket: Arc<ReadThrough>, empty: &Path) -> Self {
        let runtime = runtime();
        let behind = Behind::new(bucket, runtime.handle().clone());
        let options = ServeOptions {
            repository: Arc::new(Repository::open_before(empty, behind).unwrap()),
            config: ServeConfig::default(),
            tls: None,
        };
        Self::on(runtime, options)
    }

    pub(crate) fn with(options: ServeOptions) -> Self {
        Self::on(runtime(), options)
    }

    fn on(runtime: Runtime, options: ServeOptions) -> Self {
        let bind = tokio::net::TcpListener::bind("127.0.0.1:0");
        let listener = runtime.block_on(bind).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(run(listener, options, std::future::pending()));
        Self {
            _runtime: runtime,
            address,
        }
    }

    pub(crate) fn get(&self, path: &str, fields: &[&str]) -> Answer {
        get(self.address, path, fields)
    }

    /// One number of `/metrics`.
    pub(crate) fn number(&self, name: &str) -> u64 {
        let text = String::from_utf8(self.get("/metrics", &[]).body).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
        line.trim().parse().unwrap()
    }

    /// Waits until it is that: what a server counts comes a moment after what its client sees.
    pub(crate) fn wait_for(&self, name: &str, value: u64) {
        for _ in 0..1_000 {
            if self.number(name) == value {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(self.number(name), value, "{name}");
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// One request on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str, fields: &[&str]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: lab\r\n{fields}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    read(&mut BufReader::new(stream))
}

/// One answer, with a length.
pub(crate) fn read(reader: &mut BufReader<TcpStream>) -> Answer {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut fields = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        fields.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = fields
        .get("content-length")
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; if status == 304 { 0 } else { length }];
    reader.read_exact(&mut body).unwrap();
    Answer {
        status,
        fields,
        body,
    }
}
