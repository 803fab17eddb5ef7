// SPDX-License-Identifier: Apache-2.0
//! The script by which `debugfs` writes the tree into an empty ext4 file system. Names are quoted; none has control
//! characters, so each command is one line. A name in `<>` would be an inode's number to it, so names are given after
//! `./` wherever it looks one up.

use super::spool::Spool;
use super::tree::{Kind, ROOT, Tree};
use crate::roots::RootsError;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What mke2fs makes itself.
const LOST_AND_FOUND: &[u8] = b"lost+found";

/// A folder of the tree: its index and its path, quoted for a command.
struct Folder {
    index: usize,
    path: Vec<u8>,
}

/// Writes the commands. Values of extended attributes become files in `folder`, because they are any bytes.
pub(super) fn write(
    tree: &Tree,
    spool: &Spool,
    folder: &Path,
    to: &mut dyn Write,
) -> Result<(), RootsError> {
    let values = Values {
        folder: folder.to_path_buf(),
    };
    let path = folder.join("script");
    let mut script = Script {
        tree,
        spool,
        values,
        to,
        places: BTreeMap::new(),
        counts: counts(tree),
    };
    script.all().map_err(RootsError::file("written", &path))
}

/// How many names each node has.
fn counts(tree: &Tree) -> BTreeMap<usize, u32> {
    let mut counts = BTreeMap::new();
    let mut left = vec![ROOT];
    while let Some(folder) = left.pop() {
        for (_, child) in tree.children(folder) {
            *counts.entry(child).or_insert(0) += 1;
            if matches!(tree.node(child).kind, Kind::Folder(_)) {
                left.push(child);
            }
        }
    }
    counts
}

struct Values {
    folder: PathBuf,
}

impl Values {
    fn keep(&self, name: usize, key: usize, value: &[u8]) -> io::Result<PathBuf> {
        let path = self.folder.join(format!("value-{name}-{key}"));
        fs::write(&path, value)?;
        Ok(path)
    }
}

struct Script<'a> {
    tree: &'a Tree,
    spool: &'a Spool,
    values: Values,
    to: &'a mut dyn Write,
    /// Where the first name of a node with several names is, quoted.
    places: BTreeMap<usize, Vec<u8>>,
    counts: BTreeMap<usize, u32>,
}

impl Script<'_> {
    /// Folder by folder, the ones nearest to the root first, so that what lies together is written together.
    fn all(&mut self) -> io::Result<()> {
        let mut folders = std::collections::VecDeque::from([Folder {
            index: ROOT,
            path: b"/".to_vec(),
        }]);
        let mut done = Vec::new();
        while let Some(folder) = folders.pop_front() {
            self.line(&[b"cd", &quoted(&folder.path)])?;
            for (name, child) in self.tree.children(folder.index) {
                let path = below(&folder.path, name);
                if matches!(self.tree.node(child).kind, Kind::Folder(_)) {
                    let is_made = folder.index == ROOT && name == LOST_AND_FOUND;
                    if !is_made {
                        self.line(&[b"mkdir", &quoted(name)])?;
                    }
                    folders.push_back(Folder { index: child, path });
                } else {
                    self.one(name, &path, child)?;
                }
            }
            done.push(folder);
        }
        // A folder's time changes with each name in it, so its fields come last.
        for folder in done {
            self.fields(folder.index, &quoted(&folder.path), 0o040_000)?;
        }
        Ok(())
    }

    fn one(&mut self, name: &[u8], path: &[u8], child: usize) -> io::Result<()> {
        if let Some(place) = self.places.get(&child) {
            let place = place.clone();
            return self.line(&[b"ln", &place, &quoted(name)]);
        }
        let node = self.tree.node(child);
        let kind = match &node.kind {
            Kind::Folder(_) => 0o040_000,
            Kind::File(kept) => {
                let from = self.spool.path(kept.number);
                let from = from.as_os_str().as_encoded_bytes();
                self.line(&[b"write", &quoted(from), &quoted(name)])?;
                0o100_000
            }
            Kind::Link(target) => {
                self.line(&[b"symlink", &quoted(name), &quoted(target)])?;
                0o120_000
            }
            Kind::Char(major, minor) => {
                let numbers = format!("c {major} {minor}");
                self.line(&[b"mknod", &quoted(name), numbers.as_bytes()])?;
                0o020_000
            }
            Kind::Block(major, minor) => {
                let numbers = format!("b {major} {minor}");
                self.line(&[b"mknod", &quoted(name), numbers.as_bytes()])?;
                0o060_000
            }
            Kind::Fifo => {
                self.line(&[b"mknod", &quoted(name), b"p"])?;
                0o010_000
            }
        };
        let mut here = b"./".to_vec();
        here.extend_from_slice(name);
        let here = quoted(&here);
        self.fields(child, &here, kind)?;
        let count = self.counts.get(&child).copied().unwrap_or(1);
        if count > 1 {
            self.field(&here, "links_count", &count.to_string())?;
            self.places.insert(child, quoted(path));
        }
        Ok(())
    }

    fn fields(&mut self, index: usize, place: &[u8], kind: u32) -> io::Result<()> {
        let node = self.tree.node(index);
        self.field(place, "mode", &format!("0{:o}", kind | node.mode))?;
        for (key, value) in [("uid", node.uid), ("gid", node.gid)] {
            if value != 0 {
                self.field(place, key, &value.to_string())?;
            }
        }
        for key in ["mtime", "ctime", "atime"] {
            self.field(place, key, &format!("@{}", node.mtime))?;
        }
        for (number, (key, value)) in node.attributes.iter().enumerate() {
            let value = self.values.keep(index, number, value)?;
            let value = quoted(value.as_os_str().as_encoded_bytes());
            self.line(&[b"ea_set", b"-f", &value, place, key])?;
        }
        Ok(())
    }

    fn field(&mut self, place: &[u8], key: &str, value: &str) -> io::Result<()> {
        self.line(&[b"sif", place, key.as_bytes(), value.as_bytes()])
    }

    fn line(&mut self, words: &[&[u8]]) -> io::Result<()> {
        self.to.write_all(&words.join(&b' '))?;
        self.to.write_all(b"\n")
    }
}

fn below(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = folder.to_vec();
    if path != b"/" {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// A word of a command: quotation marks in it are doubled.
fn quoted(word: &[u8]) -> Vec<u8> {
    let mut text = vec![b'"'];
    for byte in word {
        if *byte == b'"' {
            text.push(b'"');
        }
        text.push(*byte);
    }
    text.push(b'"');
    text
}
