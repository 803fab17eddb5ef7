// SPDX-License-Identifier: Apache-2.0
//! Why a file is not read or written as a VHD.

use super::fault::Fault;
use super::footer::FooterError;
use super::header::HeaderError;
use thiserror::Error;

/// Why a VHD is not opened, read or written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VhdError<E> {
    /// The file beneath could not be read or written.
    #[error("{0}")]
    Io(E),
    /// The bytes are not what they must be.
    #[error("{0}")]
    Refused(#[from] Refusal),
}

/// What is refused, by name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Shorter than a footer.
    #[error("{0} bytes are too short for a VHD, whose footer alone has 512")]
    TooShort(u64),
    /// No footer where one must be.
    #[error("no VHD: there is no `conectix` footer in its last 512 bytes, nor a copy at its start")]
    NoFooter,
    /// Virtual PC before 2004 wrote a footer of 511 bytes.
    #[error("its footer has 511 bytes, as Virtual PC before 2004 wrote it; that is not read")]
    ShortFooter,
    /// There is a footer, but not where it must be.
    #[error(
        "a VHD footer stands at byte {at} and not at the end of the file: it was cut or appended to"
    )]
    FooterInTheMiddle {
        /// Where.
        at: u64,
    },
    /// The footer is broken, and so is its copy.
    #[error("{0}")]
    Footer(#[from] FooterError),
    /// The copy at the start is that of another disk, and programs differ in which they believe.
    #[error("the footer at the end and its copy at byte 0 differ in {what}")]
    CopiesDiffer {
        /// The first field that differs.
        what: &'static str,
    },
    /// The dynamic header is broken.
    #[error("{0}")]
    Header(#[from] HeaderError),
    /// The header or the table does not lie in the file, or on another structure.
    #[error(
        "the {what} at byte {at} with {length} bytes lies outside the file of {file} bytes or on the footer"
    )]
    Misplaced {
        /// What.
        what: &'static str,
        /// Where it would begin.
        at: u64,
        /// How long it would be.
        length: u64,
        /// Length of the file.
        file: u64,
    },
    /// The table has too few entries for the disk.
    #[error("a table of {entries} entries is too small for a disk that needs {needed}")]
    TableTooSmall {
        /// Entries in the table.
        entries: u32,
        /// Blocks of the disk.
        needed: u64,
    },
    /// More blocks than are read.
    #[error("a disk of {0} blocks is not read; 8,388,608 are the most")]
    TooManyBlocks(u64),
    /// A fixed VHD whose file ends too early.
    #[error("the file has {has} bytes of the disk's {needs}: it was cut")]
    Truncated {
        /// Bytes that the footer says the disk has.
        needs: u64,
        /// Bytes before the footer.
        has: u64,
    },
    /// The table cannot be trusted.
    #[error("{0}")]
    Damaged(Fault),
    /// Beyond the end of the disk.
    #[error("{length} bytes at {at} lie beyond the disk's end at {size}")]
    BeyondEnd {
        /// Where.
        at: u64,
        /// How many.
        length: u64,
        /// Size of the disk.
        size: u64,
    },
    /// A differencing VHD cannot be read alone.
    #[error("a differencing VHD is only read with its parent, and none is attached")]
    NoParent,
    /// Only a differencing VHD has a parent.
    #[error("a {0} VHD has no parent")]
    NotDifferencing(&'static str),
    /// Another disk than the one it was made from.
    #[error("the parent's id is {found}, the child was made from {said}")]
    ParentId {
        /// In the child.
        said: groundstate_api::SystemUuid,
        /// The candidate's.
        found: groundstate_api::SystemUuid,
    },
    /// A parent of another size.
    #[error("the parent has {found} bytes and the child {said}")]
    ParentSize {
        /// The child's.
        said: u64,
        /// The parent's.
        found: u64,
    },
    /// The parent was changed after the child was made from it, so the two no longer make one disk.
    #[error(
        "the parent was last changed at {found} s, the child was made from it as of {said} s (since 2000-01-01 UTC)"
    )]
    ParentChanged {
        /// In the child.
        said: u32,
        /// The file's.
        found: u32,
    },
    /// A VHD that is its own ancestor.
    #[error("the chain of parents comes back to VHD {0}")]
    ParentLoop(groundstate_api::SystemUuid),
    /// More ancestors than are read.
    #[error("more than {0} VHDs in a chain of parents")]
    ChainTooLong(usize),
    /// The path of a parent that is longer than any path.
    #[error("a parent path of {0} bytes is longer than any path (65,534)")]
    LongLocator(u32),
    /// Written only where a torn write can be survived.
    #[error("the copy of the footer at byte 0 is damaged; the VHD is read but not written")]
    NoCopy,
    /// The table's 32 bits of sectors end at 2 TiB.
    #[error("the file would be larger than the 2 TiB that a VHD's table can address")]
    FileFull,
}
