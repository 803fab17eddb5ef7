// SPDX-License-Identifier: Apache-2.0
//! Why a text is not a manifest: a variant per cause, each naming the field.

use crate::limits;
use alloc::format;
use alloc::string::{String, ToString};
use groundstate_api::limits::{CHUNK_SIZE_MAX, CHUNKS_MAX};
use groundstate_api::{Bytes, Digest, Part, Reason, ReasonCode};

/// Why a text is not a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The text is longer than the reader takes.
    #[error("the manifest has {length} bytes; at most {max} are read", length = .length.0, max = .max.0)]
    TooLong {
        /// Its length.
        length: Bytes,
        /// The most that is read.
        max: Bytes,
    },
    /// The bytes are not those that the reference names.
    #[error("the manifest's digest is {found}, but {expected} was asked for")]
    OtherDigest {
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// Not JSON of this shape.
    #[error("the manifest is not readable: {message}")]
    Json {
        /// What the JSON reader says, with line and column.
        message: String,
    },
    /// The same meaning in other bytes, which would have another digest.
    #[error("the manifest is not in its canonical form")]
    NotCanonical,
    /// A schema number that this version does not know.
    #[error("schema: {found} is not known; this version reads {known}", known = groundstate_api::image::MANIFEST_SCHEMA)]
    Schema {
        /// The number.
        found: u32,
    },
    /// A name that cannot be a file name.
    #[error("{field}: {found:?} is not 1 to {max} of a-z, 0-9, `-`, `.`, `_`, beginning with a letter or a digit", max = limits::NAME_MAX)]
    Name {
        /// `name` or `version`.
        field: &'static str,
        /// The text.
        found: String,
    },
    /// Neither 512 nor 4096.
    #[error("sector_size: {found} is neither 512 nor 4096")]
    SectorSize {
        /// The number.
        found: u32,
    },
    /// An image of no bytes, or of half a sector.
    #[error("size: {size} bytes are not a whole number of sectors of {sector_size} bytes, at least one", size = .size.0)]
    Size {
        /// The size.
        size: Bytes,
        /// The sector size.
        sector_size: u32,
    },
    /// A chunk size out of bounds.
    #[error("chunk_size: {found} is not a power of two from {min} to {max}", found = .found.0, min = limits::CHUNK_SIZE_MIN.0, max = CHUNK_SIZE_MAX.0)]
    ChunkSize {
        /// The size.
        found: Bytes,
    },
    /// More chunks than a reader takes.
    #[error("chunks: {found} are more than {max}", max = CHUNKS_MAX)]
    TooManyChunks {
        /// How many.
        found: usize,
    },
    /// A chunk off the grid.
    #[error("chunks[{index}].offset: {offset} is not a multiple of the chunk size", offset = .offset.0)]
    ChunkOffset {
        /// Which chunk.
        index: usize,
        /// Its offset.
        offset: Bytes,
    },
    /// A chunk that overlaps its predecessor or comes out of order.
    #[error("chunks[{index}].offset: {offset} lies before the end of the chunk before it, {end}", offset = .offset.0, end = .end.0)]
    ChunkOrder {
        /// Which chunk.
        index: usize,
        /// Its offset.
        offset: Bytes,
        /// Where the one before ends.
        end: Bytes,
    },
    /// A chunk past the image's end.
    #[error("chunks[{index}].offset: {offset} is not inside the image of {size} bytes", offset = .offset.0, size = .size.0)]
    ChunkPastEnd {
        /// Which chunk.
        index: usize,
        /// Its offset.
        offset: Bytes,
        /// The image's size.
        size: Bytes,
    },
    /// A chunk that is neither of chunk size nor the image's end.
    #[error("chunks[{index}].length: {found}, but a chunk here has {expected} bytes", found = .found.0, expected = .expected.0)]
    ChunkLength {
        /// Which chunk.
        index: usize,
        /// What it says.
        found: Bytes,
        /// What it must be.
        expected: Bytes,
    },
    /// A stored length that zstd cannot have made.
    #[error("chunks[{index}].stored_length: {found} is not from 1 to {max}, which is all that zstd makes of its bytes", found = .found.0, max = .max.0)]
    ChunkStored {
        /// Which chunk.
        index: usize,
        /// What it says.
        found: Bytes,
        /// The most that can be.
        max: Bytes,
    },
    /// A blob of no bytes or too many.
    #[error("{field}.length: {found} is not from 1 to {max}", found = .found.0, max = limits::BLOB_MAX.0)]
    BlobLength {
        /// `boot.kernel`, `boot.initrd` or `boot.boot_loader`.
        field: &'static str,
        /// What it says.
        found: Bytes,
    },
    /// A command line that is too long.
    #[error("boot.cmdline: {found} bytes are more than {max}", max = limits::CMDLINE_MAX)]
    CmdlineLong {
        /// How many.
        found: usize,
    },
    /// A character that does not belong on a command line.
    #[error("boot.cmdline: the character {found:?} at {at} is not printable ASCII")]
    CmdlineChar {
        /// Which byte of the command line.
        at: usize,
        /// The character.
        found: char,
    },
    /// A target that is smaller than the image.
    #[error("minimum_size: {found} is smaller than the image's {size} bytes, or no whole number of sectors", found = .found.0, size = .size.0)]
    MinimumSize {
        /// What it says.
        found: Bytes,
        /// The image's size.
        size: Bytes,
    },
    /// The root over the chunks is another.
    #[error("merkle_root: {stated} is stated, the chunks have {found}")]
    MerkleRoot {
        /// What it says.
        stated: Digest,
        /// What the chunks have.
        found: Digest,
    },
    /// A root file system needs kernel, initrd and boot loader beside it; a whole disk has its own.
    #[error("boot: a root file system is booted with files beside it, a whole disk is not")]
    BootOfKind,
    /// A boot loader that cannot be a file on an EFI system partition.
    #[error("boot.path: {path:?} on partition {partition} is not a path from the root of a partition, with backslashes, at most {max} bytes", max = limits::LOADER_PATH_MAX)]
    Loader {
        /// The partition.
        partition: u32,
        /// The path.
        path: String,
    },
    /// `root=` is the plan's to say.
    #[error("boot.cmdline: `{found}` does not belong there; the plan names the root partition")]
    CmdlineRoot {
        /// The option.
        found: String,
    },
}

impl ManifestError {
    /// The path of the field that is wrong; `manifest` where it is the whole.
    #[must_use]
    pub fn field(&self) -> String {
        match self {
            Self::TooLong { .. }
            | Self::OtherDigest { .. }
            | Self::Json { .. }
            | Self::NotCanonical => "manifest".to_string(),
            Self::Schema { .. } => "schema".to_string(),
            Self::Name { field, .. } => (*field).to_string(),
            Self::SectorSize { .. } => "sector_size".to_string(),
            Self::Size { .. } => "size".to_string(),
            Self::ChunkSize { .. } => "chunk_size".to_string(),
            Self::TooManyChunks { .. } => "chunks".to_string(),
            Self::ChunkOffset { index, .. }
            | Self::ChunkOrder { index, .. }
            | Self::ChunkPastEnd { index, .. } => format!("chunks[{index}].offset"),
            Self::ChunkLength { index, .. } => format!("chunks[{index}].length"),
            Self::ChunkStored { index, .. } => format!("chunks[{index}].stored_length"),
            Self::BlobLength { field, .. } => format!("{field}.length"),
            Self::MinimumSize { .. } => "minimum_size".to_string(),
            Self::MerkleRoot { .. } => "merkle_root".to_string(),
            Self::BootOfKind => "boot".to_string(),
            Self::Loader { .. } => "boot.path".to_string(),
            Self::CmdlineLong { .. } | Self::CmdlineChar { .. } | Self::CmdlineRoot { .. } => {
                "boot.cmdline".to_string()
            }
        }
    }

    /// The same for people: what is wrong with `image` (name and version) and what to do.
    #[must_use]
    pub fn reason(&self, image: &str) -> Reason {
        let next_step = "import the image again; if the manifest was written by another program, correct it there";
        match self {
            Self::OtherDigest { expected, .. } => Reason::new(
                ReasonCode::ChunkCorrupt,
                format!("the manifest of {image} is not the one that the plan names"),
                "import the image again and order the run anew",
            )
            .about(Part::Image {
                image: image.to_string(),
                digest: Some(expected.to_string()),
            })
            .seen(self.to_string()),
            Self::TooLong { .. }
            | Self::Json { .. }
            | Self::NotCanonical
            | Self::Schema { .. }
            | Self::Name { .. }
            | Self::SectorSize { .. }
            | Self::Size { .. }
            | Self::ChunkSize { .. }
            | Self::TooManyChunks { .. }
            | Self::ChunkOffset { .. }
            | Self::ChunkOrder { .. }
            | Self::ChunkPastEnd { .. }
            | Self::ChunkLength { .. }
            | Self::ChunkStored { .. }
            | Self::BlobLength { .. }
            | Self::MinimumSize { .. }
            | Self::MerkleRoot { .. }
            | Self::BootOfKind
            | Self::Loader { .. }
            | Self::CmdlineLong { .. }
            | Self::CmdlineChar { .. }
            | Self::CmdlineRoot { .. } => Reason::new(
                ReasonCode::PlanRefused,
                format!("the manifest of {image} cannot be used: {self}"),
                next_step,
            )
            .about(Part::Field { path: self.field() }),
        }
    }
}
