// SPDX-License-Identifier: Apache-2.0
//! The repository with real ext4 images, and its server with curl as the peer.
#![allow(clippy::unwrap_used)]

mod crash;
mod disk;
mod export;
mod fsck;
mod gc;
mod import;
mod serve;
mod update;

use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageKind};
use image_repo::{BootPaths, ImportRequest, RawFile, Repository};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Files to import, and a repository beside them.
struct Bench {
    dir: TempDir,
    root_fs: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
    boot_loader: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("tree")).unwrap();
        std::fs::write(at("tree/noise"), noise(1, 5 << 20)).unwrap();
        std::fs::write(at("tree/words"), "plain words\n".repeat(500_000)).unwrap();
        for (seed, name) in (2u64..).zip(["vmlinuz", "initrd", "boot"]) {
            let bytes = boot_file(name, noise(seed, 300_000));
            std::fs::write(at(name), bytes).unwrap();
        }
        let root_fs = at("root.ext4");
        make_ext4(&at("tree"), &root_fs, "38M");
        Self {
            root_fs,
            kernel: at("vmlinuz"),
            initrd: at("initrd"),
            boot_loader: at("boot"),
            dir,
        }
    }

    fn repository(&self) -> Repository {
        Repository::open(&self.dir.path().join("repository")).unwrap()
    }

    /// Imports with a change to the request.
    fn import<'a>(
        &'a self,
        version: &'a str,
        change: impl FnOnce(&mut ImportRequest<'a>),
    ) -> Result<groundstate_api::image::ImageRef, image_repo::RepoError> {
        let mut request = self.request(version);
        change(&mut request);
        let mut content = RawFile::open(&self.root_fs)?;
        self.repository()
            .import(&request, &mut content, &mut |_, _| {})
    }

    /// Imports another root file system.
    fn import_of(
        &self,
        root_fs: &Path,
    ) -> Result<groundstate_api::image::ImageRef, image_repo::RepoError> {
        let mut content = RawFile::open(root_fs)?;
        self.repository()
            .import(&self.request("1"), &mut content, &mut |_, _| {})
    }

    fn request<'a>(&'a self, version: &'a str) -> ImportRequest<'a> {
        ImportRequest {
            name: "debian-host",
            version,
            kind: ImageKind::RootFsExt4,
            format: ImageFormat::Raw,
            sector_size: 512,
            chunk_size: Some(Bytes::mib(4)),
            boot: Some(BootPaths {
                kernel: &self.kernel,
                initrd: &self.initrd,
                boot_loader: &self.boot_loader,
                cmdline: "quiet",
            }),
        }
    }

    fn stored(&self, kind: &str, hex: &str) -> PathBuf {
        let dir = self.dir.path().join("repository").join(kind);
        if kind == "manifests" {
            dir.join(hex)
        } else {
            dir.join(&hex[..2]).join(hex)
        }
    }
}

fn make_ext4(tree: &Path, image: &Path, size: &str) {
    let made = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-d"])
        .arg(tree)
        .arg(image)
        .arg(size)
        .status()
        .unwrap();
    assert!(made.success());
}

/// Bytes that zstd cannot make smaller; the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
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
