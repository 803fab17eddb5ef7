// SPDX-License-Identifier: Apache-2.0
//! Puts an archive's entries into the tree, in order.

use super::bomb::Allowance;
use super::layer::Layer;
use super::packed::{self, Count};
use super::reader::{Archive, Entry};
use super::spool::Spool;
use super::tree::{Kind, Node, PATH_MAX, Tree, layer_path, path};
use crate::roots::{Progress, RootsError, shown};
use groundstate_api::Bytes;
use std::collections::BTreeMap;
use std::io::{self, Read};

/// The largest time that the file system that is made keeps without a trick, in seconds since 1970.
const TIME_MAX: i64 = 0x7fff_ffff;
/// The largest numbers of a device: Linux has twelve bits of a major one, and debugfs writes sixteen of a minor one.
const MAJOR_MAX: u32 = 4095;
const MINOR_MAX: u32 = 65_535;
/// The longest name of an extended attribute, in bytes (Linux, `XATTR_NAME_MAX`).
const ATTRIBUTE_NAME_MAX: usize = 255;

/// What ext4 keeps of a file's extended attributes without an inode of their own, in bytes: a block, and what an inode of 256
/// bytes has left; each takes an entry beside its value (Linux, Documentation/filesystems/ext4/attributes.rst).
const ATTRIBUTES_MAX: usize = 4096 + 96;
const ATTRIBUTE_HEAD: usize = 16;

/// Whether names of a kind take others away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whiteouts {
    /// A plain archive: every name is a name.
    No,
    /// An OCI layer (OCI Image Specification 1.1, "Layer Filesystem Changeset").
    Oci,
}

impl Whiteouts {
    fn path(self, name: &[u8]) -> Result<Vec<Vec<u8>>, RootsError> {
        match self {
            Self::No => path(name),
            Self::Oci => layer_path(name),
        }
    }
}

/// What was left out, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Entries whose access control lists are text.
    pub(crate) lists: u64,
    /// Sockets, which no program finds useful in an archive.
    pub(crate) sockets: u64,
    /// Entries of a time before 1970 or after 2038-01-19, which get the nearest one that is kept.
    pub(crate) times: u64,
}

/// Puts the archive into the tree. `total` is the input's length, where it is known.
pub(crate) fn unpack(
    input: &mut dyn Read,
    total: Option<Bytes>,
    whiteouts: Whiteouts,
    (tree, spool): (&mut Tree, &mut Spool),
    allowance: &mut Allowance,
    progress: Progress<'_>,
) -> Result<LeftOut, RootsError> {
    let (mut plain, count) = packed::open(input)?;
    allowance.begin();
    let mut archive = Archive::new(&mut *plain);
    if whiteouts == Whiteouts::Oci {
        archive = archive.without_mark();
    }
    let mut left_out = LeftOut::default();
    let mut entries = 0u64;
    let mut layer = (whiteouts == Whiteouts::Oci).then(Layer::default);
    while let Some(entry) = archive.next()? {
        entries += 1;
        left_out.lists += u64::from(entry.has_lists);
        let path = whiteouts.path(&entry.header.name)?;
        let is_whiteout = layer
            .as_mut()
            .is_some_and(|layer| layer.takes_away(tree, &path));
        if is_whiteout {
            continue;
        }
        place(
            &mut archive,
            entry,
            &path,
            (&mut *tree, &mut *spool, layer.is_some()),
            (&mut *allowance, &count),
            &mut left_out,
        )?;
        if let Some(layer) = &mut layer {
            layer.brings(tree, &path);
        }
        progress(Bytes(count.value()), total);
    }
    if entries == 0 && whiteouts == Whiteouts::No {
        return Err(RootsError::Empty);
    }
    Ok(left_out)
}

fn place(
    archive: &mut Archive<'_>,
    entry: Entry,
    path: &[Vec<u8>],
    (tree, spool, is_layer): (&mut Tree, &mut Spool, bool),
    (allowance, count): (&mut Allowance, &Count),
    left_out: &mut LeftOut,
) -> Result<(), RootsError> {
    let header = &entry.header;
    left_out.times += u64::from(!(0..=TIME_MAX).contains(&header.mtime));
    let name = || shown(&header.name);
    let device = |number: u64, max: u32| {
        let number = u32::try_from(number).ok().filter(|number| *number <= max);
        number.ok_or_else(|| RootsError::Field {
            name: name(),
            what: "the device number",
        })
    };
    let is_old_folder = matches!(header.kind, b'0' | 0) && header.name.ends_with(b"/");
    let kind = match header.kind {
        b'5' => Kind::Folder(BTreeMap::new()),
        _ if is_old_folder => Kind::Folder(BTreeMap::new()),
        b'0' | 0 | b'7' => {
            allowance.take(0, 0, count.value())?;
            if entry.length > allowance.left() {
                return Err(allowance.too_large());
            }
            let at = archive.at();
            let failed = |source: io::Error| match source.kind() {
                io::ErrorKind::UnexpectedEof => RootsError::CutOff { at },
                _ => RootsError::Archive { at, source },
            };
            Kind::File(spool.keep(archive, &failed, &mut |total, data| {
                allowance.take(total, data, count.value())
            })?)
        }
        b'1' if is_layer => return tree.link(path, &layer_path(&header.link)?),
        b'1' => return tree.link(path, &self::path(&header.link)?),
        b'2' => Kind::Link(target(&header.name, &header.link)?),
        b'3' => Kind::Char(
            device(header.major, MAJOR_MAX)?,
            device(header.minor, MINOR_MAX)?,
        ),
        b'4' => Kind::Block(
            device(header.major, MAJOR_MAX)?,
            device(header.minor, MINOR_MAX)?,
        ),
        b'6' => Kind::Fifo,
        b's' => {
            left_out.sockets += 1;
            return Ok(());
        }
        other => {
            return Err(RootsError::EntryKind {
                name: name(),
                kind: char::from(other),
            });
        }
    };
    tree.put(path, node(entry, kind)?, is_layer)
}

fn node(entry: Entry, kind: Kind) -> Result<Node, RootsError> {
    let header = &entry.header;
    let field = |value: u64, what| {
        u32::try_from(value).map_err(|_| RootsError::Field {
            name: shown(&header.name),
            what,
        })
    };
    let mut attributes = BTreeMap::new();
    for (key, value) in entry.attributes {
        let is_plain = key.len() <= ATTRIBUTE_NAME_MAX
            && key
                .iter()
                .all(|byte| byte.is_ascii_graphic() && *byte != b'"');
        if !is_plain {
            return Err(RootsError::Field {
                name: shown(&header.name),
                what: "the name of an extended attribute",
            });
        }
        attributes.insert(key, value);
    }
    let length = attributes
        .values()
        .map(|value| value.len() + ATTRIBUTE_HEAD)
        .sum();
    if length > ATTRIBUTES_MAX {
        return Err(RootsError::Attributes {
            name: shown(&header.name),
            length,
            max: ATTRIBUTES_MAX,
        });
    }
    Ok(Node {
        kind,
        mode: field(header.mode & 0o7777, "the mode")?,
        uid: field(header.uid, "the owner")?,
        gid: field(header.gid, "the group")?,
        mtime: header.mtime.clamp(0, TIME_MAX),
        attributes,
    })
}

fn target(name: &[u8], target: &[u8]) -> Result<Vec<u8>, RootsError> {
    let is_plain =
        !target.is_empty() && target.len() <= PATH_MAX && !target.iter().any(u8::is_ascii_control);
    if is_plain {
        Ok(target.to_vec())
    } else {
        Err(RootsError::Field {
            name: shown(name),
            what: "the target of the symbolic link",
        })
    }
}
