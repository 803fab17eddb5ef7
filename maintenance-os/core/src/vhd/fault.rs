// SPDX-License-Identifier: Apache-2.0
//! What `check` finds in a VHD that is still recognised as one.

use super::footer::FooterError;
use thiserror::Error;

/// At most this many faults are told of one file; a broken table would otherwise fill memory.
pub const FAULTS_MAX: usize = 1_000;

/// A structure of the file that a block can wrongly lie on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structure {
    /// The copy of the footer at byte 0.
    FooterCopy,
    /// The dynamic header.
    Header,
    /// The block allocation table.
    Table,
    /// A path of the parent.
    Locator,
    /// The footer at the end.
    Footer,
}

impl Structure {
    /// As it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FooterCopy => "copy of the footer",
            Self::Header => "dynamic header",
            Self::Table => "block allocation table",
            Self::Locator => "path of the parent",
            Self::Footer => "footer",
        }
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The footer at the end is missing or torn; its copy at byte 0 serves.
    #[error("the footer at the end is not there ({why}); its copy at byte 0 is used")]
    TrailingFooter {
        /// What is wrong with the last 512 bytes.
        why: FooterError,
    },
    /// The copy at byte 0 is damaged; QEMU then does not open the file.
    #[error("the copy of the footer at byte 0 is damaged: {why}")]
    FooterCopy {
        /// What is wrong with it.
        why: FooterError,
    },
    /// The copies agree on the disk but not on every field.
    #[error("the footer at the end and its copy at byte 0 differ in {what}")]
    CopiesDiffer {
        /// The first field that differs.
        what: &'static str,
    },
    /// Bytes between the disk and the footer of a fixed VHD.
    #[error("{bytes} bytes lie between the disk's end and the footer")]
    Surplus {
        /// How many.
        bytes: u64,
    },
    /// A block lies outside the file.
    #[error("block {block} at byte {at} needs the file to have {end} bytes, and it has {file}")]
    BlockOutside {
        /// Which.
        block: u32,
        /// Where.
        at: u64,
        /// Where it ends.
        end: u64,
        /// Length of the file.
        file: u64,
    },
    /// A block lies on another structure.
    #[error("block {block} at byte {at} lies on the {}", .structure.as_str())]
    BlockOver {
        /// Which.
        block: u32,
        /// Where.
        at: u64,
        /// On what.
        structure: Structure,
    },
    /// Two blocks share bytes.
    #[error("blocks {first} and {second} overlap at byte {at}")]
    BlocksOverlap {
        /// The one that begins earlier.
        first: u32,
        /// The other.
        second: u32,
        /// Where the second begins.
        at: u64,
    },
    /// The table names more blocks than the file has room for.
    #[error("the table names more blocks than the file has room for ({room}), so some overlap")]
    MoreBlocksThanRoom {
        /// How many there is room for.
        room: u64,
    },
    /// The bitmap says that a sector was never written, and there are bytes: readers differ on them.
    #[error(
        "the bitmap of block {block} says that sector {sector} was never written, but bytes are there: \
         QEMU reads them, others read zero"
    )]
    HiddenData {
        /// Which block.
        block: u32,
        /// Which sector of the block.
        sector: u32,
    },
}

impl Fault {
    /// Whether the table cannot be trusted, so that the file is not opened.
    #[must_use]
    pub const fn is_serious(&self) -> bool {
        match self {
            Self::BlockOutside { .. }
            | Self::BlockOver { .. }
            | Self::BlocksOverlap { .. }
            | Self::MoreBlocksThanRoom { .. } => true,
            Self::TrailingFooter { .. }
            | Self::FooterCopy { .. }
            | Self::CopiesDiffer { .. }
            | Self::Surplus { .. }
            | Self::HiddenData { .. } => false,
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TrailingFooter { .. } => "trailing-footer",
            Self::FooterCopy { .. } => "footer-copy",
            Self::CopiesDiffer { .. } => "copies-differ",
            Self::Surplus { .. } => "surplus",
            Self::BlockOutside { .. } => "block-outside",
            Self::BlockOver { .. } => "block-over-structure",
            Self::BlocksOverlap { .. } => "blocks-overlap",
            Self::MoreBlocksThanRoom { .. } => "more-blocks-than-room",
            Self::HiddenData { .. } => "hidden-data",
        }
    }
}
