// SPDX-License-Identifier: Apache-2.0
//! A repository with a real ext4 image in it, the real server around it, and a target full of random bytes.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use groundstate_api::image::{Blob, BootFiles, ImageFormat, ImageKind, ImageRef, Manifest};
use groundstate_api::{Bytes, Digest, Reason};
use image_repo::{BootPaths, ImportRequest, RawFile, Repository};
use maintenance_os::image::{Moved, Source, fetch_blob_into};
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub(crate) const MIB: u64 = 1 << 20;
/// Not a multiple of the chunk size, so that the last chunk is a short one.
pub(crate) const IMAGE: u64 = 46 * MIB;

/// The blob as it then stands in its file, which held something else before.
pub(crate) fn fetch_blob(
    source: &Source,
    blob: &Blob,
    what: &str,
    on: &mut dyn FnMut(Moved),
) -> Result<Vec<u8>, Reason> {
    let mut file = maintenance_os::handover::memory_file(what)?;
    file.set_len(9 * MIB).unwrap();
    fetch_blob_into(source, blob, what, &mut file, on)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

pub(crate) struct Rig {
    pub(crate) dir: TempDir,
    pub(crate) repository: Arc<Repository>,
    pub(crate) image: ImageRef,
    pub(crate) manifest: Manifest,
    pub(crate) root_fs: PathBuf,
}

impl Rig {
    pub(crate) fn files(&self) -> &BootFiles {
        self.manifest.boot_files().unwrap()
    }
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("tree/usr")).unwrap();
        std::fs::write(at("tree/usr/random"), random(1, 9 * MIB)).unwrap();
        let words = "in words that a technician understands\n".repeat(200_000);
        std::fs::write(at("tree/words"), words).unwrap();
        for (seed, name, length) in [
            (2, "vmlinuz", 3 * MIB),
            (3, "initrd", 5 * MIB),
            (4, "boot", 100_000),
        ] {
            std::fs::write(at(name), boot_file(name, random(seed, length))).unwrap();
        }
        let root_fs = at("root.ext4");
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-F", "-L", "GS", "-d"])
            .arg(at("tree"))
            .arg(&root_fs)
            .arg(format!("{}k", IMAGE / 1024))
            .status()
            .unwrap();
        assert!(made.success());
        let repository = Repository::open(&at("repository")).unwrap();
        let request = ImportRequest {
            name: "debian-host",
            version: "12.11-1",
            kind: ImageKind::RootFsExt4,
            format: ImageFormat::Raw,
            sector_size: 512,
            chunk_size: Some(Bytes::mib(4)),
            boot: Some(BootPaths {
                kernel: &at("vmlinuz"),
                initrd: &at("initrd"),
                boot_loader: &at("boot"),
                cmdline: "console=ttyS0 quiet",
            }),
        };
        let mut content = RawFile::open(&root_fs).unwrap();
        let image = repository
            .import(&request, &mut content, &mut |_, _| {})
            .unwrap();
        let manifest = repository.manifest(&image.manifest).unwrap();
        assert!(manifest.chunks.len() >= 4, "{}", manifest.chunks.len());
        assert!(
            image_core::manifest::data(&manifest).0 < IMAGE,
            "it has holes"
        );
        Self {
            repository: Arc::new(repository),
            image,
            manifest,
            root_fs,
            dir,
        }
    }

    pub(crate) fn router(&self) -> Router {
        image_repo::router(self.repository.clone())
    }

    /// A file of `length` random bytes that stands for the partition.
    pub(crate) fn target(&self, length: u64) -> PathBuf {
        let path = self.dir.path().join("target");
        std::fs::write(&path, random(99, length)).unwrap();
        path
    }

    /// Where a chunk's stored bytes lie.
    pub(crate) fn chunk_file(&self, index: usize) -> PathBuf {
        self.stored("chunks", &self.manifest.chunks[index].digest)
    }

    pub(crate) fn stored(&self, kind: &str, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let dir = self.dir.path().join("repository").join(kind);
        if kind == "manifests" {
            dir.join(hex)
        } else {
            dir.join(&hex[..2]).join(hex)
        }
    }
}

/// The same `length` bytes for the same `seed`.
pub(crate) fn random(seed: u64, length: u64) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(usize::try_from(length).unwrap());
    bytes
}

pub(crate) fn flip_a_bit(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

/// Path and `Range` of a request, and the status of its answer.
pub(crate) type Seen = (String, Option<String>, u16);

/// A server on loopback; it goes away, with every connection, when it is dropped.
pub(crate) struct Server {
    runtime: Option<tokio::runtime::Runtime>,
    pub(crate) address: SocketAddr,
    /// Every request that was answered.
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) fn start(router: Router) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), router)
    }

    pub(crate) fn start_at(address: SocketAddr, router: Router) -> Self {
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let log = seen.clone();
        let router = router.layer(from_fn(move |request: Request, next: Next| {
            let log = log.clone();
            async move {
                let path = request.uri().path().to_string();
                let range = request
                    .headers()
                    .get("range")
                    .map(|r| r.to_str().unwrap().to_string());
                let response = next.run(request).await;
                log.lock()
                    .unwrap()
                    .push((path, range, response.status().as_u16()));
                response
            }
        }));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(address))
            .unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            runtime: Some(runtime),
            address,
            seen,
        }
    }

    pub(crate) fn source(&self) -> Source {
        source(self.address)
    }

    pub(crate) fn asked_for(&self, part: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(path, ..)| path.contains(part)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(std::time::Duration::from_secs(5));
        }
    }
}

pub(crate) fn source(address: SocketAddr) -> Source {
    Source::plain(format!("http://{address}"))
}

/// The reason's text holds every one of `words`.
pub(crate) fn says(reason: &Reason, words: &[&str]) {
    let text = reason.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
}

/// The bytes with the marks by which a kernel, an initial RAM file system and a boot loader are known.
fn boot_file(name: &str, mut bytes: Vec<u8>) -> Vec<u8> {
    let marks: &[(usize, &[u8])] = match name {
        "vmlinuz" => &[
            (0, b"\0"),
            (0x1f1, b"\x01\0\0\0\0\0\0"),
            (0x1fe, b"\x55\xaa\0\0HdrS"),
            (0x236, b"\x01"),
        ],
        "initrd" => &[(0, b"070701")],
        _ => &[
            (0, b"MZ"),
            (0x3c, b"\x80\0\0\0"),
            (0x80, b"PE\0\0\x64\x86\0\0"),
            (0x80 + 24 + 68, b"\x0a\0"),
        ],
    };
    for (at, mark) in marks {
        bytes[*at..at + mark.len()].copy_from_slice(mark);
    }
    bytes
}
