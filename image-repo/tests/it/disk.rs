// SPDX-License-Identifier: Apache-2.0
//! Whole disks in memory, and a repository where making things durable costs nothing.

use crate::noise;
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageKind, ImageRef};
use image_repo::{Content, ImportOptions, ImportRequest, Imported, Piece, RepoError, Repository};
use std::io::Read as _;
use std::path::Path;
use tempfile::TempDir;

/// The chunk size of these tests.
pub(crate) const CHUNK: usize = 64 * 1024;

/// Bytes that are an image, told a piece at a time; `fails_at`: where reading fails.
pub(crate) struct Memory {
    pub(crate) bytes: Vec<u8>,
    pub(crate) at: usize,
    pub(crate) fails_at: Option<usize>,
}

impl Memory {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            at: 0,
            fails_at: None,
        }
    }
}

impl Content for Memory {
    fn size(&self) -> Option<Bytes> {
        Some(Bytes(self.bytes.len() as u64))
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, RepoError> {
        if self.fails_at.is_some_and(|at| self.at >= at) {
            return Err(RepoError::File {
                done: "read",
                path: "memory".into(),
                source: std::io::Error::other("it fails here"),
            });
        }
        let count = buffer.len().min(self.bytes.len() - self.at);
        if count == 0 {
            return Ok(Piece::End);
        }
        buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        Ok(Piece::Data(count))
    }
}

/// A folder in memory where there is one.
pub(crate) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        TempDir::new_in(memory).unwrap()
    } else {
        TempDir::new().unwrap()
    }
}

/// A disk of chunks, each by its seed; 0 is a chunk of zeros.
pub(crate) fn disk(seeds: &[u64]) -> Vec<u8> {
    seeds
        .iter()
        .flat_map(|seed| match seed {
            0 => vec![0; CHUNK],
            // Half of it can be compressed, so that levels differ.
            seed => {
                let mut bytes = noise(*seed, CHUNK / 2);
                let words = format!("chunk {seed}; {}; ", seed % 7).repeat(CHUNK / 8);
                bytes.extend_from_slice(&words.as_bytes()[..CHUNK / 2]);
                bytes
            }
        })
        .collect()
}

pub(crate) fn request<'a>(name: &'a str, version: &'a str) -> ImportRequest<'a> {
    ImportRequest {
        name,
        version,
        kind: ImageKind::WholeDisk,
        format: ImageFormat::Raw,
        sector_size: 512,
        chunk_size: Some(Bytes(CHUNK as u64)),
        boot: None,
    }
}

pub(crate) fn import_at(
    repository: &Repository,
    level: i32,
    version: &str,
    bytes: &[u8],
) -> Result<Imported, RepoError> {
    let options = ImportOptions {
        level,
        replace: true,
        ..ImportOptions::default()
    };
    let mut content = Memory::new(bytes);
    repository.import_with(
        &options,
        &request("disk", version),
        &mut content,
        &mut |_, _| {},
    )
}

pub(crate) fn import(repository: &Repository, version: &str, bytes: &[u8]) -> Imported {
    import_at(repository, 1, version, bytes).unwrap()
}

/// The image's bytes, read through the repository.
pub(crate) fn read_back(repository: &Repository, image: &ImageRef) -> Vec<u8> {
    let manifest = repository.manifest(&image.manifest).unwrap();
    let mut bytes = Vec::new();
    let mut reader = repository.reader(&manifest).unwrap();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Every file below a folder, with its path from there.
pub(crate) fn files(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(at) = left.pop() {
        for entry in std::fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let below = path.strip_prefix(dir).unwrap();
                all.push(below.to_str().unwrap().to_string());
            }
        }
    }
    all.sort();
    all
}

pub(crate) fn chunk_files(dir: &Path) -> Vec<String> {
    let mut all = files(dir);
    all.retain(|path| path.starts_with("chunks/"));
    all
}
