// SPDX-License-Identifier: Apache-2.0
//! A file system that can be looked into: ext2 to ext4 and FAT. Of any other only the name is known.

use super::ext::Ext;
use super::fat::Fat;
use super::image_facts::FileSystemFacts;
use super::read::{Found, Region, Source};
use alloc::string::String;
use alloc::vec::Vec;

/// The longest folder that is read, in bytes: some 10,000 names.
pub(super) const FOLDER_MAX: usize = 1 << 20;
/// The longest label that is kept, in characters.
pub(super) const LABEL_MAX: usize = 64;

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) is_folder: bool,
}

pub(super) enum Tree {
    Ext(Ext),
    Fat(Fat),
}

impl Tree {
    /// The file system in the region, where it is one of those that are looked into.
    pub(super) fn open(source: &mut Source<'_>, region: Region) -> Found<Option<Self>> {
        if let Some(ext) = Ext::open(source, region)? {
            return Ok(Some(Self::Ext(ext)));
        }
        Ok(Fat::open(source, region)?.map(Self::Fat))
    }

    pub(super) fn facts(&self) -> &FileSystemFacts {
        match self {
            Self::Ext(ext) => &ext.facts,
            Self::Fat(fat) => &fat.facts,
        }
    }

    /// The names in the folder; `None` where there is no such folder.
    pub(super) fn list(&self, source: &mut Source<'_>, path: &str) -> Found<Option<Vec<Name>>> {
        match self {
            Self::Ext(ext) => ext.list(source, path),
            Self::Fat(fat) => fat.list(source, path),
        }
    }

    /// The first bytes of the file, at most `max`; `None` where there is no such file.
    pub(super) fn head(
        &self,
        source: &mut Source<'_>,
        path: &str,
        max: usize,
    ) -> Found<Option<Vec<u8>>> {
        match self {
            Self::Ext(ext) => ext.head(source, path, max),
            Self::Fat(fat) => fat.head(source, path, max),
        }
    }
}

/// Foreign text for a screen: at most `max` characters, and no control characters.
pub(super) fn printable(text: &str, max: usize) -> String {
    let shown = text
        .chars()
        .take(max)
        .map(|c| if c.is_control() { '?' } else { c });
    let text: String = shown.collect();
    String::from(text.trim_end())
}

/// A label that ends at its first NUL; `None` where it is empty.
pub(super) fn label(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0);
    let bytes = bytes.get(..end.unwrap_or(bytes.len()))?;
    let text = printable(&String::from_utf8_lossy(bytes), LABEL_MAX);
    (!text.is_empty()).then_some(text)
}
