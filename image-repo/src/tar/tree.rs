// SPDX-License-Identifier: Apache-2.0
//! A root file system's names and what they stand for, in memory. A name that leaves the tree, or would be written
//! through a symbolic link, is refused.

use super::spool::Kept;
use crate::roots::{RootsError, shown};
use sha2::Digest as _;
use std::collections::BTreeMap;

/// The most names: two million take about 400 MiB of memory, and a large server has half a million.
pub(crate) const NAMES_MAX: usize = 2_000_000;
/// The longest name of a file system, in bytes.
const NAME_MAX: usize = 255;
/// The longest path and symbolic link, in bytes: what Linux takes, less what the script of `debugfs` needs for it.
pub(crate) const PATH_MAX: usize = 3800;
/// The most bytes of names, symbolic links and extended attributes: two million names of 60 bytes, and labels on each.
const TEXT_MAX: usize = 512 << 20;
/// How many symbolic links are followed when a file is looked for.
const LINKS_MAX: usize = 32;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder(BTreeMap<Vec<u8>, usize>),
    File(Kept),
    Link(Vec<u8>),
    Char(u32, u32),
    Block(u32, u32),
    Fifo,
}

/// A node: several names may stand for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: i64,
    pub(crate) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Node {
    pub(crate) fn folder() -> Self {
        Self {
            kind: Kind::Folder(BTreeMap::new()),
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            attributes: BTreeMap::new(),
        }
    }

    /// How many bytes its link and its attributes take.
    fn text(&self) -> usize {
        let link = match &self.kind {
            Kind::Link(target) => target.len(),
            Kind::Folder(_) | Kind::File(_) | Kind::Char(..) | Kind::Block(..) | Kind::Fifo => 0,
        };
        let attributes = self.attributes.iter();
        link + attributes
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>()
    }
}

/// The tree. Its root is a folder.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    names: usize,
    /// The bytes of all names, links and attributes that there ever were.
    text: usize,
}

/// The root's index.
pub(crate) const ROOT: usize = 0;

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: vec![Node::folder()],
            names: 0,
            text: 0,
        }
    }
}

impl Tree {
    pub(crate) fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    pub(crate) fn names(&self) -> usize {
        self.names
    }

    pub(crate) fn children(&self, index: usize) -> impl Iterator<Item = (&[u8], usize)> {
        let folder = match &self.nodes[index].kind {
            Kind::Folder(children) => Some(children),
            Kind::File(_) | Kind::Link(_) | Kind::Char(..) | Kind::Block(..) | Kind::Fifo => None,
        };
        let children = folder.into_iter().flatten();
        children.map(|(name, child)| (name.as_slice(), *child))
    }

    /// What the name in the folder stands for.
    pub(super) fn child(&self, folder: usize, name: &[u8]) -> Option<usize> {
        match &self.nodes[folder].kind {
            Kind::Folder(children) => children.get(name).copied(),
            Kind::File(_) | Kind::Link(_) | Kind::Char(..) | Kind::Block(..) | Kind::Fifo => None,
        }
    }

    /// Puts the node at the path. A folder that is there already takes only the new node's owner, mode and time.
    pub(crate) fn put(
        &mut self,
        path: &[Vec<u8>],
        node: Node,
        replaces_folders: bool,
    ) -> Result<(), RootsError> {
        self.count(node.text())?;
        let Some((name, parents)) = path.split_last() else {
            return self.put_root(node);
        };
        let parent = self.parent(parents, path)?;
        let is_folder = |node: &Node| matches!(node.kind, Kind::Folder(_));
        if let Some(there) = self.child(parent, name) {
            let (old, new) = (is_folder(&self.nodes[there]), is_folder(&node));
            if old && new {
                let kind = std::mem::replace(&mut self.nodes[there].kind, Kind::Fifo);
                self.nodes[there] = Node { kind, ..node };
                return Ok(());
            }
            if old && !replaces_folders {
                return Err(RootsError::OverFolder { name: joined(path) });
            }
        }
        let index = self.nodes.len();
        self.nodes.push(node);
        self.name(parent, name, index)
    }

    fn put_root(&mut self, node: Node) -> Result<(), RootsError> {
        if !matches!(node.kind, Kind::Folder(_)) {
            return Err(RootsError::OverFolder { name: "/".into() });
        }
        let kind = std::mem::replace(&mut self.nodes[ROOT].kind, Kind::Fifo);
        self.nodes[ROOT] = Node { kind, ..node };
        Ok(())
    }

    /// Gives the file at `target` another name.
    pub(crate) fn link(&mut self, path: &[Vec<u8>], target: &[Vec<u8>]) -> Result<(), RootsError> {
        let missing = || RootsError::HardLink {
            name: joined(path),
            target: joined(target),
        };
        let mut node = ROOT;
        for part in target {
            node = self.child(node, part).ok_or_else(missing)?;
        }
        let Some((name, parents)) = path.split_last() else {
            return Err(missing());
        };
        if matches!(self.nodes[node].kind, Kind::Folder(_)) {
            return Err(missing());
        }
        let parent = self.parent(parents, path)?;
        if let Some(there) = self.child(parent, name)
            && matches!(self.nodes[there].kind, Kind::Folder(_))
        {
            return Err(RootsError::OverFolder { name: joined(path) });
        }
        self.name(parent, name, node)
    }

    /// Takes a name away from the folder; whether it was there.
    pub(super) fn take(&mut self, folder: usize, name: &[u8]) -> bool {
        match &mut self.nodes[folder].kind {
            Kind::Folder(children) => children.remove(name).is_some(),
            Kind::File(_) | Kind::Link(_) | Kind::Char(..) | Kind::Block(..) | Kind::Fifo => false,
        }
    }

    /// What is at the path; no symbolic link is followed.
    pub(super) fn index(&self, path: &[Vec<u8>]) -> Option<usize> {
        path.iter()
            .try_fold(ROOT, |folder, part| self.child(folder, part))
    }

    /// What the names in the folder at the path are; empty where there is none.
    pub(crate) fn names_in(&self, path: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let folder = self.index(path).into_iter();
        folder
            .flat_map(|folder| self.children(folder))
            .map(|(name, _)| name.to_vec())
            .collect()
    }

    fn name(&mut self, parent: usize, name: &[u8], node: usize) -> Result<(), RootsError> {
        self.names += 1;
        if self.names > NAMES_MAX {
            return Err(RootsError::TooMany { max: NAMES_MAX });
        }
        self.count(name.len())?;
        if let Kind::Folder(children) = &mut self.nodes[parent].kind {
            children.insert(name.to_vec(), node);
        }
        Ok(())
    }

    /// Counts what is kept in memory of an archive's texts.
    fn count(&mut self, length: usize) -> Result<(), RootsError> {
        self.text = self.text.saturating_add(length);
        if self.text > TEXT_MAX {
            return Err(RootsError::TooMuchText { max: TEXT_MAX });
        }
        Ok(())
    }

    /// The folder at the path; those that are missing are made.
    fn parent(&mut self, parents: &[Vec<u8>], path: &[Vec<u8>]) -> Result<usize, RootsError> {
        let mut folder = ROOT;
        for (depth, part) in parents.iter().enumerate() {
            folder = match self.child(folder, part) {
                Some(next) => next,
                None => {
                    let index = self.nodes.len();
                    self.nodes.push(Node::folder());
                    self.name(folder, part, index)?;
                    index
                }
            };
            let so_far = || joined(&parents[..=depth]);
            match &self.nodes[folder].kind {
                Kind::Folder(_) => {}
                Kind::Link(_) => {
                    return Err(RootsError::ThroughLink {
                        name: joined(path),
                        link: so_far(),
                    });
                }
                Kind::File(_) | Kind::Char(..) | Kind::Block(..) | Kind::Fifo => {
                    return Err(RootsError::NotAFolder {
                        name: joined(path),
                        parent: so_far(),
                    });
                }
            }
        }
        Ok(folder)
    }

    /// The node at an absolute path, symbolic links followed within the tree.
    pub(crate) fn find(&self, path: &str) -> Option<&Node> {
        let mut left: Vec<Vec<u8>> = split(path.as_bytes()).rev().collect();
        let mut folders = vec![ROOT];
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == b".." {
                if folders.len() > 1 {
                    folders.pop();
                }
                continue;
            }
            let here = *folders.last()?;
            let next = self.child(here, &part)?;
            if let Kind::Link(target) = &self.nodes[next].kind {
                links += 1;
                if links > LINKS_MAX {
                    return None;
                }
                if target.starts_with(b"/") {
                    folders.truncate(1);
                }
                left.extend(split(target).rev());
            } else {
                folders.push(next);
            }
        }
        folders.last().map(|index| self.node(*index))
    }

    /// What the tree is, so that the same tree has the same identity: names, owners, modes, times, contents.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hash = sha2::Sha256::new();
        let mut seen = BTreeMap::new();
        self.hash(ROOT, b"", &mut hash, &mut seen);
        hash.finalize().into()
    }

    fn hash(
        &self,
        index: usize,
        name: &[u8],
        hash: &mut sha2::Sha256,
        seen: &mut BTreeMap<usize, u64>,
    ) {
        let mut text = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        text(name);
        let number = seen.len() as u64;
        let first = *seen.entry(index).or_insert(number);
        let node = &self.nodes[index];
        text(&first.to_le_bytes());
        text(format!("{:o} {} {} {}", node.mode, node.uid, node.gid, node.mtime).as_bytes());
        for (key, value) in &node.attributes {
            text(key);
            text(value);
        }
        match &node.kind {
            Kind::Folder(children) => {
                text(&(children.len() as u64).to_le_bytes());
                for (name, child) in children {
                    self.hash(*child, name, hash, seen);
                }
            }
            Kind::File(kept) => text(&kept.digest),
            Kind::Link(target) => text(target),
            Kind::Char(major, minor) => text(format!("c{major}:{minor}").as_bytes()),
            Kind::Block(major, minor) => text(format!("b{major}:{minor}").as_bytes()),
            Kind::Fifo => text(b"p"),
        }
    }
}

fn split(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
}

pub(crate) fn joined(path: &[Vec<u8>]) -> String {
    shown(&path.join(&b'/'))
}

/// A layer's name as a path within the tree: tools write some names of layers with a slash before them, which here can
/// mean nothing but the tree's root.
pub(crate) fn layer_path(name: &[u8]) -> Result<Vec<Vec<u8>>, RootsError> {
    let start = name.iter().take_while(|byte| **byte == b'/').count();
    match name.get(start..) {
        Some([]) if start > 0 => Ok(Vec::new()),
        rest => path(rest.unwrap_or_default()),
    }
}

/// An archive's name as a path within the tree.
pub(crate) fn path(name: &[u8]) -> Result<Vec<Vec<u8>>, RootsError> {
    let refused = |why| {
        Err(RootsError::Name {
            name: shown(name),
            why,
        })
    };
    if name.is_empty() {
        return refused("empty");
    }
    if name.starts_with(b"/") {
        return refused("absolute");
    }
    if name.len() > PATH_MAX {
        return refused("longer than 3800 bytes");
    }
    if name.iter().any(|byte| byte.is_ascii_control()) {
        return refused("not taken, because it has control characters");
    }
    let parts: Vec<Vec<u8>> = split(name).collect();
    if parts.iter().any(|part| part == b"..") {
        return refused("outside, because it has ..");
    }
    if parts.iter().any(|part| part.len() > NAME_MAX) {
        return refused("longer than a file system takes, 255 bytes");
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Node {
        Node {
            kind: Kind::Fifo,
            ..Node::folder()
        }
    }

    fn link(target: &str) -> Node {
        Node {
            kind: Kind::Link(target.as_bytes().to_vec()),
            ..Node::folder()
        }
    }

    fn put(tree: &mut Tree, name: &str, node: Node) -> Result<(), RootsError> {
        tree.put(&path(name.as_bytes())?, node, false)
    }

    #[test]
    fn names_that_leave_the_tree_are_refused() {
        let mut tree = Tree::default();
        for bad in ["/etc/passwd", "../x", "a/../../x", "a/..", "", "a\nb"] {
            assert!(
                matches!(put(&mut tree, bad, file()), Err(RootsError::Name { .. })),
                "{bad:?}"
            );
        }
        assert_eq!(layer_path(b"//").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(layer_path(b"/a/b").unwrap(), path(b"a/b").unwrap());
        assert!(layer_path(b"/a/../b").is_err() && layer_path(b"").is_err());
        put(&mut tree, "./lib", link("/etc")).unwrap();
        let through = put(&mut tree, "lib/shadow", file());
        assert!(matches!(through, Err(RootsError::ThroughLink { .. })));
        put(&mut tree, "file", file()).unwrap();
        let below = put(&mut tree, "file/x", file());
        assert!(matches!(below, Err(RootsError::NotAFolder { .. })));
        put(&mut tree, "etc/x", file()).unwrap();
        let over = put(&mut tree, "etc", file());
        assert!(matches!(over, Err(RootsError::OverFolder { .. })));
        let parts = |name: &str| path(name.as_bytes()).unwrap();
        let missing = tree.link(&parts("hard"), &parts("lib/x"));
        assert!(matches!(missing, Err(RootsError::HardLink { .. })));
        tree.link(&parts("hard"), &parts("etc/x")).unwrap();
        assert!(tree.find("/lib/x").is_some() && tree.find("/hard").is_some());
    }

    #[test]
    fn links_are_followed_within_the_tree_and_circles_end() {
        let mut tree = Tree::default();
        put(&mut tree, "usr/lib/os-release", file()).unwrap();
        put(&mut tree, "etc/os-release", link("../usr/lib/os-release")).unwrap();
        put(&mut tree, "out", link("../../../../etc/os-release")).unwrap();
        put(&mut tree, "circle", link("circle")).unwrap();
        assert_eq!(tree.find("/etc/os-release").unwrap().kind, Kind::Fifo);
        assert_eq!(tree.find("/out").unwrap().kind, Kind::Fifo);
        assert_eq!(tree.find("/circle"), None);
        let before = tree.digest();
        let usr = tree.index(&path(b"usr").unwrap()).unwrap();
        assert!(tree.take(usr, b"lib") && !tree.take(usr, b"lib"));
        assert_ne!(tree.digest(), before);
    }
}
