// SPDX-License-Identifier: Apache-2.0
//! What one layer of a container brings and takes away (OCI Image Specification 1.1, "Layer Filesystem Changeset"): a
//! whiteout means what the layers below have, and never what its own layer brings, wherever in the layer it stands.

use super::tree::{ROOT, Tree};
use std::collections::BTreeSet;

/// How the name of a whiteout begins, and the whole name of one that means all in its folder.
const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What a layer has done so far.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// The names that it brought, and those of the folders above them, each with its folder's index.
    own: BTreeSet<(usize, Vec<u8>)>,
    /// The folders in which nothing of the layers below is left.
    cleared: BTreeSet<usize>,
}

impl Layer {
    /// The layer brought what is at the path.
    pub(super) fn brings(&mut self, tree: &Tree, path: &[Vec<u8>]) {
        let mut folder = ROOT;
        for name in path {
            self.own.insert((folder, name.clone()));
            match tree.child(folder, name) {
                Some(next) => folder = next,
                None => return,
            }
        }
    }

    /// Takes away what the name means, where it is a whiteout's; whether it is.
    pub(super) fn takes_away(&mut self, tree: &mut Tree, path: &[Vec<u8>]) -> bool {
        let Some((name, parents)) = path.split_last() else {
            return false;
        };
        let Some(gone) = name.strip_prefix(PREFIX) else {
            return false;
        };
        let Some(folder) = tree.index(parents) else {
            return true;
        };
        if name == OPAQUE {
            self.clear(tree, folder);
        } else if !self.own.contains(&(folder, gone.to_vec())) {
            tree.take(folder, gone);
        } else if let Some(child) = tree.child(folder, gone) {
            self.clear(tree, child);
        }
        true
    }

    /// Takes away what other layers have in the folder. Each folder is gone through once, however often it is asked for.
    fn clear(&mut self, tree: &mut Tree, folder: usize) {
        let mut left = vec![folder];
        while let Some(folder) = left.pop() {
            if !self.cleared.insert(folder) {
                continue;
            }
            let children: Vec<_> = tree
                .children(folder)
                .map(|(name, child)| (name.to_vec(), child))
                .collect();
            for (name, child) in children {
                let place = (folder, name);
                if self.own.contains(&place) {
                    left.push(child);
                } else {
                    tree.take(folder, &place.1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Kind, Node, path};
    use super::*;
    use std::collections::BTreeMap;

    /// Layers one upon the other, a line of names each: `d/` is a folder. What is then there.
    fn after(layers: &[&str]) -> Vec<String> {
        let mut tree = Tree::default();
        for layer in layers {
            let mut own = Layer::default();
            for name in layer.split(' ') {
                let path = path(name.as_bytes()).unwrap();
                if own.takes_away(&mut tree, &path) {
                    continue;
                }
                let kind = if name.ends_with('/') {
                    Kind::Folder(BTreeMap::new())
                } else {
                    Kind::Fifo
                };
                let node = Node {
                    kind,
                    ..Node::folder()
                };
                tree.put(&path, node, true).unwrap();
                own.brings(&tree, &path);
            }
        }
        let mut found = Vec::new();
        let mut left = vec![(ROOT, String::new())];
        while let Some((folder, path)) = left.pop() {
            for (name, child) in tree.children(folder) {
                let path = format!("{path}/{}", String::from_utf8_lossy(name));
                left.push((child, path.clone()));
                found.push(path);
            }
        }
        found.sort();
        found
    }

    #[test]
    fn a_whiteout_means_the_layers_below_wherever_it_stands() {
        for (layers, there) in [
            (&["a b", ".wh.a"][..], &["/b"][..]),
            (&["d/ d/a d/b", "d/.wh.a"], &["/d", "/d/b"]),
            // What the same layer brings stays, whichever comes first.
            (&["a", "a .wh.a"], &["/a"]),
            (&["a", ".wh.a a"], &["/a"]),
            // A folder that is brought anew has nothing of the old one.
            (&["d/ d/old", "d/ d/new .wh.d"], &["/d", "/d/new"]),
            (&["d/ d/old", ".wh.d d/ d/new"], &["/d", "/d/new"]),
            (&["d/ d/old", "d/new d/.wh..wh..opq"], &["/d", "/d/new"]),
            (&["d/ d/old", "d/.wh..wh..opq d/new"], &["/d", "/d/new"]),
            // So have the folders in it, also where only a file in them is brought.
            (
                &["d/ d/e/ d/e/old", "d/e/ d/e/new d/.wh..wh..opq"],
                &["/d", "/d/e", "/d/e/new"],
            ),
            (
                &["d/ d/e/ d/e/old d/old", "d/e/new d/.wh..wh..opq"],
                &["/d", "/d/e", "/d/e/new"],
            ),
            // The next layer means this one.
            (&["a", "b", ".wh.b"], &["/a"]),
            (&["d/ d/a", "d/b", ".wh..wh..opq c"], &["/c"]),
            // Names that are not there.
            (&["a", ".wh.x x/.wh.y x/.wh..wh..opq .wh."], &["/a"]),
        ] {
            assert_eq!(after(layers), there, "{layers:?}");
        }
    }

    #[test]
    fn a_folder_is_cleared_once() {
        let mut tree = Tree::default();
        let mut layer = Layer::default();
        for number in 0..20_000 {
            let path = path(format!("d/{number}").as_bytes()).unwrap();
            tree.put(&path, Node::folder(), true).unwrap();
            layer.brings(&tree, &path);
        }
        let opaque = path(b"d/.wh..wh..opq").unwrap();
        let began = std::time::Instant::now();
        for _ in 0..20_000 {
            assert!(layer.takes_away(&mut tree, &opaque));
        }
        assert_eq!(tree.names_in(&path(b"d").unwrap()).len(), 20_000);
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }
}
