// SPDX-License-Identifier: Apache-2.0
//! An image and its second version, made of this machine's own files: what packages hold, as densely as they hold it.
//!
//! The second version is the first with files replaced through the file system, not bytes changed in place: the new files
//! get blocks of their own, and directories, inodes and bitmaps change with them.

use super::ground::{Ground, Places, run, text};
use anyhow::{Context as _, Result, ensure};
use groundstate_api::Digest;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The file system.
const SIZE: u64 = 1 << 30;
/// Bytes of files in it.
const FILLED: u64 = 700 << 20;
/// The part of them that the second version replaces, in thousandths.
const CHANGED: u64 = 23;
/// A file that is larger is left out: one of them would rule the figure.
const FILE_MAX: u64 = 64 << 20;
/// Where the files come from.
const FROM: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/share", "/usr/lib"];
/// A change in a file comes after so many bytes, on average.
const EDITS: u64 = 16 << 10;

/// Two versions of an image.
#[derive(Debug)]
pub(super) struct Versions {
    pub(super) first: PathBuf,
    pub(super) second: PathBuf,
    filled: u64,
    replaced: u64,
    changed: u64,
}

impl Versions {
    /// Makes both.
    pub(super) fn make(ground: &Ground) -> Result<Self> {
        ground.say("an ext4 image of this machine's files, and its second version");
        let tree = ground.path("tree");
        fs::create_dir_all(&tree)?;
        let files = copy_files(&tree)?;
        let (first, second) = (ground.path("first.img"), ground.path("second.img"));
        File::create(&first)?.set_len(SIZE)?;
        let arguments = ["-q", "-F", "-d", text(&tree)?, text(&first)?];
        run("mkfs.ext4", &arguments)?;
        fs::remove_dir_all(&tree)?;
        let sparse = ["--sparse=always", text(&first)?, text(&second)?];
        run("cp", &sparse)?;
        let filled = files.iter().map(|(_, length)| length).sum();
        let replaced = replace(ground, &second, &files, filled * CHANGED / 1_000)?;
        run("e2fsck", &["-f", "-n", text(&second)?])?;
        let changed = changed(&first, &second)?;
        Ok(Self {
            first,
            second,
            filled,
            replaced,
            changed,
        })
    }

    pub(super) fn what(&self) -> String {
        format!(
            "{} MiB in a file system of {} MiB",
            self.filled >> 20,
            SIZE >> 20
        )
    }

    pub(super) fn change(&self) -> String {
        format!(
            "the second version: files of {} KiB replaced, {} KiB of 4 KiB blocks differ",
            self.replaced >> 10,
            self.changed >> 10
        )
    }
}

/// Copies files until there are enough; their names in the image and their lengths.
fn copy_files(tree: &Path) -> Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    let mut length = 0;
    let mut folders: Vec<PathBuf> = FROM.iter().map(PathBuf::from).collect();
    let mut number = 0;
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let into = format!("{number:05}");
        number += 1;
        fs::create_dir_all(tree.join(&into))?;
        for path in paths {
            let Ok(data) = fs::symlink_metadata(&path) else {
                continue;
            };
            if data.is_dir() {
                folders.push(path);
            } else if data.is_file() && data.len() <= FILE_MAX && length < FILLED {
                let name = format!("{into}/{:05}", files.len());
                if fs::copy(&path, tree.join(&name)).is_ok() {
                    length += data.len();
                    files.push((name, data.len()));
                }
            }
        }
        if length >= FILLED {
            return Ok(files);
        }
    }
    ensure!(
        length > FILLED / 4,
        "only {length} bytes of files were found"
    );
    Ok(files)
}

/// Replaces files of about so many bytes by others that are like them.
fn replace(ground: &Ground, image: &Path, files: &[(String, u64)], wanted: u64) -> Result<u64> {
    let (old, script) = (ground.path("old"), ground.path("script"));
    let mut places = Places::new(23);
    let mut replaced = 0;
    let mut commands = String::new();
    let mut made = Vec::new();
    for index in places.shuffled(files.len() as u64) {
        let (name, length) = &files[usize::try_from(index)?];
        if replaced >= wanted {
            break;
        }
        if *length == 0 || *length > wanted / 4 {
            continue;
        }
        let dump = format!("dump /{name} {}", text(&old)?);
        run("debugfs", &["-R", &dump, text(image)?])?;
        let new = ground.path(&format!("new-{index}"));
        fs::write(&new, edited(&fs::read(&old)?, &mut places))?;
        let (folder, file) = name.split_once('/').context("a name without a folder")?;
        let new_text = text(&new)?;
        commands.push_str(&format!(
            "cd /{folder}\nrm {file}\nwrite {new_text} {file}\n"
        ));
        made.push(new);
        replaced += length;
    }
    fs::write(&script, commands)?;
    run("debugfs", &["-w", "-f", text(&script)?, text(image)?])?;
    for path in made.iter().chain([&old, &script]) {
        fs::remove_file(path)?;
    }
    Ok(replaced)
}

/// A program built again: most of it is the same, a little further on.
fn edited(old: &[u8], places: &mut Places) -> Vec<u8> {
    let mut new = Vec::with_capacity(old.len() + 64);
    let mut rest = old;
    loop {
        let skip = usize::try_from(places.below(2 * EDITS)).unwrap_or(0);
        let (kept, after) = rest.split_at(skip.min(rest.len()));
        new.extend_from_slice(kept);
        if after.is_empty() {
            return new;
        }
        new.extend_from_slice(&places.below(u64::MAX).to_le_bytes()[..4]);
        rest = after.get(3..).unwrap_or(&[]);
    }
}

/// Bytes of 4 KiB blocks that differ.
fn changed(first: &Path, second: &Path) -> Result<u64> {
    let (mut first, mut second) = (File::open(first)?, File::open(second)?);
    let mut changed = 0;
    let (mut one, mut other) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    for _ in 0..SIZE >> 20 {
        first.read_exact(&mut one)?;
        second.read_exact(&mut other)?;
        let pairs = one.chunks(4_096).zip(other.chunks(4_096));
        changed += 4_096 * pairs.filter(|(one, other)| one != other).count() as u64;
    }
    Ok(changed)
}

/// The SHA-256 of all that comes.
pub(super) fn sha256_of(from: &mut dyn Read) -> Result<String> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let count = from.read(&mut piece).context("reading an image")?;
        if count == 0 {
            return Ok(Digest(hash.finalize().into()).to_string());
        }
        hash.update(piece.get(..count).unwrap_or_default());
    }
}

/// The SHA-256 of a file.
pub(super) fn sha256_of_file(path: &Path) -> Result<String> {
    sha256_of(&mut File::open(path)?)
}
