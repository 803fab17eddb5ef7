// SPDX-License-Identifier: Apache-2.0
//! Things made once: a folder that carries the digest of what it was made from, and appears whole or not at all.

use anyhow::{Context as _, Result};
use groundstate_api::digest::Digest;
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the file in a made folder that holds the digest of its inputs.
const KEY_FILE: &str = "made-from";

/// Collects what a thing is made from.
#[derive(Default)]
pub(crate) struct Inputs(String);

impl Inputs {
    /// Adds a named text.
    pub(crate) fn text(mut self, name: &str, value: &str) -> Self {
        self.0
            .push_str(&format!("{name} {}\n", Digest::of(value.as_bytes())));
        self
    }

    /// Adds a file's content.
    pub(crate) fn file(mut self, path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        self.0
            .push_str(&format!("{} {}\n", path.display(), Digest::of(&bytes)));
        Ok(self)
    }

    /// The digest of them all.
    pub(crate) fn key(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }
}

/// Whether `folder` was made from these inputs.
pub(crate) fn fresh(folder: &Path, key: Digest) -> bool {
    fs::read_to_string(folder.join(KEY_FILE)).is_ok_and(|text| text.trim() == key.to_string())
}

/// Makes `folder` by filling an empty one beside it and renaming it: a reader sees the old one or the new one.
pub(crate) fn make(
    folder: &Path,
    key: Digest,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let parent = folder.parent().context("a made folder has a parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let work = Workspace::new(folder)?;
    fill(&work.0)?;
    fs::write(work.0.join(KEY_FILE), format!("{key}\n"))?;
    let old = beside(folder, "old");
    remove(&old)?;
    if folder.exists() {
        fs::rename(folder, &old).with_context(|| format!("cannot move {}", folder.display()))?;
    }
    fs::rename(&work.0, folder).with_context(|| format!("cannot place {}", folder.display()))?;
    remove(&old)
}

/// A folder beside its destination that is removed when the work on it is given up.
struct Workspace(PathBuf);

impl Workspace {
    fn new(folder: &Path) -> Result<Self> {
        let path = beside(folder, &format!("new-{}", std::process::id()));
        remove(&path)?;
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // After the rename there is nothing here; after a failure the rest of it goes. A leftover does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{suffix}"));
    folder.with_file_name(name)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let room = tempfile::tempdir().unwrap();
        let folder = room.path().join("thing");
        let first = Inputs::default().text("a", "1").key();
        let second = Inputs::default().text("a", "2").key();
        assert_ne!(first, second);
        make(&folder, first, |dir| Ok(fs::write(dir.join("x"), "old")?)).unwrap();
        assert!(fresh(&folder, first) && !fresh(&folder, second));
        make(&folder, second, |dir| {
            fs::write(dir.join("x"), "half")?;
            anyhow::bail!("power cut")
        })
        .unwrap_err();
        assert_eq!(fs::read_to_string(folder.join("x")).unwrap(), "old");
        make(&folder, second, |dir| Ok(fs::write(dir.join("x"), "new")?)).unwrap();
        assert_eq!(fs::read_to_string(folder.join("x")).unwrap(), "new");
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 1);
    }
}
