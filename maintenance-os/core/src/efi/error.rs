// SPDX-License-Identifier: Apache-2.0
//! Why bytes are not what UEFI says they are.

use thiserror::Error;

/// Why bytes of a boot variable could not be read or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EfiError {
    /// The bytes end inside a field.
    #[error("the bytes end at {length}, inside {field}")]
    Short {
        /// The field.
        field: &'static str,
        /// How many bytes there were.
        length: usize,
    },
    /// A device path node claims to be shorter than its own header.
    #[error(
        "a device path node of type {kind}/{sub} says it is {length} bytes long; the header alone is 4"
    )]
    NodeLength {
        /// Type.
        kind: u8,
        /// Subtype.
        sub: u8,
        /// Claimed length in bytes.
        length: u16,
    },
    /// The file path list does not end with an End node.
    #[error("the file path list has no End node")]
    NoEnd,
    /// A list of boot numbers has an odd length.
    #[error("a list of boot numbers is {length} bytes long, which is not a multiple of 2")]
    OddList {
        /// Length in bytes.
        length: usize,
    },
    /// A single boot number is not two bytes.
    #[error("a boot number is {length} bytes long, not 2")]
    NumberLength {
        /// Length in bytes.
        length: usize,
    },
    /// A text holds a NUL, which ends texts in UEFI.
    #[error("a text for the firmware holds a NUL character")]
    Nul,
    /// Something is too long for its 16-bit length field.
    #[error("{what} is {length} bytes long; UEFI allows {most}")]
    TooLong {
        /// What.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The most.
        most: usize,
    },
    /// All 65,536 boot numbers are taken.
    #[error("the firmware has no free boot number")]
    NoFreeNumber,
}
