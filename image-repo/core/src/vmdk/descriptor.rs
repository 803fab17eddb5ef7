// SPDX-License-Identifier: Apache-2.0
//! The descriptor: which files a disk consists of.

use super::SECTOR;
use super::error::VmdkError;
use super::header::DESCRIPTOR_MARK;
use super::limits::EXTENTS_MAX;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// What there is of a disk's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtentKind {
    /// The disk's bytes and nothing else (`FLAT`, `VMFS`).
    Flat,
    /// A sparse extent (`SPARSE`).
    Sparse,
    /// Zeros, in no file (`ZERO`).
    Zero,
}

/// A line of the descriptor that names an extent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtentLine {
    /// Bytes of the disk.
    pub length: u64,
    /// What the file is.
    pub kind: ExtentKind,
    /// The file's name as it stands; empty where there is none.
    pub name: String,
    /// Where the bytes begin in a flat file.
    pub offset: u64,
}

/// An extent in a file beside the descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtentFile {
    /// Bytes of the disk.
    pub length: u64,
    /// A plain file name, and where the bytes begin in a flat one; `None`: zeros.
    pub file: Option<(String, ExtentKind, u64)>,
}

/// What the descriptor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// `monolithicSparse` and so on.
    pub create_type: String,
    /// The extents in the disk's order.
    pub extents: Vec<ExtentLine>,
}

impl Descriptor {
    /// Reads the text; after its end there may be zeros, and among them what was left of the same text when it was
    /// longer: QEMU writes the identity `CID` again with fewer digits and leaves the end of the longer text behind.
    ///
    /// # Errors
    /// What is wrong, and in which line; a parent, encryption or another kind of disk.
    pub fn parse(bytes: &[u8]) -> Result<Self, VmdkError> {
        let end = bytes.iter().position(|byte| *byte == 0);
        let (text, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        if !text.ends_with(left_over(rest)) {
            return Err(VmdkError::DescriptorText);
        }
        let mark = text.get(..DESCRIPTOR_MARK.len()).unwrap_or(&[]);
        if !mark.eq_ignore_ascii_case(DESCRIPTOR_MARK) {
            return Err(VmdkError::NotVmdk);
        }
        let text = core::str::from_utf8(text).map_err(|_| VmdkError::DescriptorText)?;
        let mut values = Values::default();
        let mut extents = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if let Some(extent) = extent(text, line, extents.len() + 1)? {
                extents.push(extent);
                let count = extents.len();
                if count > EXTENTS_MAX {
                    let wanted = "8192 are the most";
                    return Err(VmdkError::Extents { count, wanted });
                }
                continue;
            }
            match text.split_once('=') {
                Some((key, value)) => values.take(key.trim(), unquoted(value.trim()))?,
                None => {
                    let text = text.chars().take(80).collect();
                    return Err(VmdkError::Line { line, text });
                }
            }
        }
        Ok(Self {
            create_type: values.admit()?,
            extents,
        })
    }

    /// Checks that the disk is all in the file that the descriptor is in.
    ///
    /// # Errors
    /// It has other extents than one sparse one.
    pub fn in_one_file(&self, sectors: u64) -> Result<(), VmdkError> {
        let count = self.extents.len();
        let [extent] = self.extents.as_slice() else {
            let wanted = "a disk in one file has one";
            return Err(VmdkError::Extents { count, wanted });
        };
        if extent.kind != ExtentKind::Sparse || !self.is(&["monolithicSparse", "streamOptimized"]) {
            return Err(self.wrong_kind(1, extent.kind));
        }
        if extent.length != sectors.saturating_mul(SECTOR) {
            return Err(VmdkError::ExtentSize {
                said: extent.length / SECTOR,
                found: sectors,
            });
        }
        Ok(())
    }

    /// The files of a disk that lies beside its descriptor. The names are plain, and no two are the same.
    ///
    /// # Errors
    /// An extent is not a plain file name, or does not go with the kind of disk.
    pub fn files(&self) -> Result<Vec<ExtentFile>, VmdkError> {
        let flat = self.is(&["monolithicFlat", "twoGbMaxExtentFlat", "vmfs"]);
        let count = self.extents.len();
        if count == 0 {
            let wanted = "one is the fewest";
            return Err(VmdkError::Extents { count, wanted });
        }
        let mut names: Vec<(&str, usize)> = Vec::with_capacity(count);
        let mut files = Vec::with_capacity(count);
        for (number, extent) in (1..).zip(&self.extents) {
            let fits = match extent.kind {
                ExtentKind::Zero => true,
                ExtentKind::Flat => flat,
                ExtentKind::Sparse => self.is(&["twoGbMaxExtentSparse"]),
            };
            if !fits {
                return Err(self.wrong_kind(number, extent.kind));
            }
            let length = extent.length;
            if extent.kind == ExtentKind::Zero {
                files.push(ExtentFile { length, file: None });
                continue;
            }
            if !is_plain(&extent.name) {
                let name = extent.name.clone();
                return Err(VmdkError::ExtentName { number, name });
            }
            names.push((&extent.name, number));
            let file = Some((extent.name.clone(), extent.kind, extent.offset));
            files.push(ExtentFile { length, file });
        }
        names.sort_unstable();
        for pair in names.windows(2) {
            if let [(one, first), (other, second)] = pair
                && one == other
            {
                return Err(VmdkError::ExtentTwice {
                    first: *first,
                    second: *second,
                    name: (*one).into(),
                });
            }
        }
        Ok(files)
    }

    fn is(&self, types: &[&str]) -> bool {
        let mut types = types.iter();
        types.any(|one| one.eq_ignore_ascii_case(&self.create_type))
    }

    fn wrong_kind(&self, number: usize, kind: ExtentKind) -> VmdkError {
        let kind = match kind {
            ExtentKind::Flat => "FLAT",
            ExtentKind::Sparse => "SPARSE",
            ExtentKind::Zero => "ZERO",
        };
        VmdkError::ExtentKind {
            number,
            kind: kind.into(),
            create: self.create_type.clone(),
        }
    }
}

/// Types of disk that are taken.
const TYPES: [&str; 6] = [
    "monolithicSparse",
    "streamOptimized",
    "monolithicFlat",
    "twoGbMaxExtentSparse",
    "twoGbMaxExtentFlat",
    "vmfs",
];

/// The values that decide whether the disk is taken.
#[derive(Default)]
struct Values {
    create_type: Option<String>,
    parent_cid: Option<String>,
    parent_name: Option<String>,
    encrypted: Option<String>,
}

impl Values {
    fn take(&mut self, key: &str, value: &str) -> Result<(), VmdkError> {
        let lower = key.to_ascii_lowercase();
        let place = match lower.as_str() {
            "createtype" => &mut self.create_type,
            "parentcid" => &mut self.parent_cid,
            "parentfilenamehint" => &mut self.parent_name,
            _ if lower.starts_with("encryption") => {
                self.encrypted = Some(key.into());
                return Ok(());
            }
            _ => return Ok(()),
        };
        if place.replace(value.into()).is_some() {
            return Err(VmdkError::Twice { key: key.into() });
        }
        Ok(())
    }

    /// The type of a disk that is whole in itself.
    fn admit(self) -> Result<String, VmdkError> {
        if let Some(key) = self.encrypted {
            return Err(VmdkError::Encrypted { key });
        }
        let what = "parentCID";
        let cid = self.parent_cid.ok_or(VmdkError::Missing { what })?;
        if !cid.eq_ignore_ascii_case("ffffffff") || self.parent_name.is_some() {
            let name = self.parent_name.unwrap_or_default();
            return Err(VmdkError::Parent { cid, name });
        }
        let what = "createType";
        let found = self.create_type.ok_or(VmdkError::Missing { what })?;
        if TYPES.iter().any(|one| one.eq_ignore_ascii_case(&found)) {
            return Ok(found);
        }
        Err(VmdkError::CreateType { found })
    }
}

/// An extent, where the line begins as one does: access, sectors, type, name in quotes, offset in sectors.
fn extent(text: &str, line: usize, number: usize) -> Result<Option<ExtentLine>, VmdkError> {
    let mut words = text.splitn(4, char::is_whitespace);
    let access = words.next().unwrap_or_default();
    if !matches!(access, "RW" | "RDONLY" | "NOACCESS") {
        return Ok(None);
    }
    if access == "NOACCESS" {
        let access = access.to_string();
        return Err(VmdkError::Access { number, access });
    }
    let unread = || VmdkError::Line {
        line,
        text: text.chars().take(80).collect(),
    };
    let sectors: u64 = words
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(unread)?;
    let kind = words.next().unwrap_or_default();
    let (name, offset) = name_and_offset(words.next().unwrap_or_default()).ok_or_else(unread)?;
    let kind = match kind {
        "FLAT" | "VMFS" => ExtentKind::Flat,
        "SPARSE" => ExtentKind::Sparse,
        "ZERO" => ExtentKind::Zero,
        other => {
            let kind = other.into();
            return Err(VmdkError::ExtentType { number, kind });
        }
    };
    let bytes = |sectors: u64| sectors.checked_mul(SECTOR).ok_or(VmdkError::ExtentSum);
    Ok(Some(ExtentLine {
        length: bytes(sectors)?,
        kind,
        name: name.into(),
        offset: bytes(offset)?,
    }))
}

/// A name in quotes and a number; neither where there is nothing.
fn name_and_offset(text: &str) -> Option<(&str, u64)> {
    let text = text.trim();
    if text.is_empty() {
        return Some(("", 0));
    }
    let (name, offset) = text.strip_prefix('"')?.rsplit_once('"')?;
    let offset = offset.trim();
    if offset.is_empty() {
        return Some((name, 0));
    }
    // Devices have further words, and are refused by their type.
    let first = offset.split_whitespace().next()?;
    Some((name, first.parse().ok()?))
}

fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"');
    inner
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value)
}

/// A name that leads nowhere but to a file in the same folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !matches!(name, "." | "..")
        && !name
            .chars()
            .any(|one| matches!(one, '/' | '\\') || one.is_control())
}

/// The bytes between the zeros after a text.
fn left_over(rest: &[u8]) -> &[u8] {
    let begin = rest.iter().position(|byte| *byte != 0);
    let end = rest.iter().rposition(|byte| *byte != 0);
    match (begin, end) {
        (Some(begin), Some(end)) => rest.get(begin..=end).unwrap_or_default(),
        _ => &[],
    }
}
