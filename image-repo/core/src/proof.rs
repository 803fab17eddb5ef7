// SPDX-License-Identifier: Apache-2.0
//! Whether bytes are what the manifest says: first as they are stored, then as they are.
//!
//! It decompresses nothing. The caller decompresses into a buffer of exactly [`Chunk::length`] bytes, so that no chunk
//! can take more memory than the manifest says.

use alloc::format;
use alloc::string::{String, ToString as _};
use groundstate_api::image::{Blob, Chunk};
use groundstate_api::{Bytes, Digest, Part, Reason, ReasonCode};

/// How bytes differ from what the manifest says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// Another number of stored bytes.
    #[error("{found} stored bytes came, the manifest says {expected}", found = .found.0, expected = .expected.0)]
    StoredLength {
        /// What the manifest says.
        expected: Bytes,
        /// What came.
        found: Bytes,
    },
    /// Other stored bytes.
    #[error("the stored bytes have the digest {found}, the manifest says {expected}")]
    StoredDigest {
        /// What the manifest says.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// Not a zstd frame, or one that expands to more than the manifest says.
    #[error("decompression into {length} bytes failed: {said}", length = .length.0)]
    Decompress {
        /// What the manifest says.
        length: Bytes,
        /// What the decompressor says.
        said: String,
    },
    /// It expands to fewer bytes.
    #[error("it expands to {found} bytes, the manifest says {expected}", found = .found.0, expected = .expected.0)]
    Length {
        /// What the manifest says.
        expected: Bytes,
        /// What came.
        found: Bytes,
    },
    /// It expands to other bytes.
    #[error("the bytes have the digest {found}, the manifest says {expected}")]
    Digest {
        /// What the manifest says.
        expected: Digest,
        /// What came.
        found: Digest,
    },
}

/// Checks a chunk's stored bytes, before anything decompresses them.
///
/// # Errors
/// How they differ.
pub fn stored(chunk: &Chunk, bytes: &[u8]) -> Result<(), Corrupt> {
    let found = Bytes(bytes.len() as u64);
    if found != chunk.stored_length {
        return Err(Corrupt::StoredLength {
            expected: chunk.stored_length,
            found,
        });
    }
    let found = Digest::of(bytes);
    if found != chunk.stored_digest {
        return Err(Corrupt::StoredDigest {
            expected: chunk.stored_digest,
            found,
        });
    }
    Ok(())
}

/// Checks a chunk's plain bytes.
///
/// # Errors
/// How they differ.
pub fn plain(chunk: &Chunk, bytes: &[u8]) -> Result<(), Corrupt> {
    whole(chunk.length, &chunk.digest, bytes)
}

fn whole(length: Bytes, digest: &Digest, bytes: &[u8]) -> Result<(), Corrupt> {
    let found = Bytes(bytes.len() as u64);
    if found != length {
        return Err(Corrupt::Length {
            expected: length,
            found,
        });
    }
    let found = Digest::of(bytes);
    if found != *digest {
        return Err(Corrupt::Digest {
            expected: *digest,
            found,
        });
    }
    Ok(())
}

/// A corrupt chunk for people: image, place and digest.
#[must_use]
pub fn chunk_reason(image: &str, chunk: &Chunk, fault: &Corrupt) -> Reason {
    Reason::new(
        ReasonCode::ChunkCorrupt,
        format!(
            "a chunk of {image} at byte {} of the image is not what its manifest says",
            chunk.offset.0
        ),
        "import the image again, then order the run anew; if it happens again, test the repository's disk and memory",
    )
    .about(Part::Image {
        image: image.into(),
        digest: Some(chunk.digest.to_string()),
    })
    .seen(fault.to_string())
}

/// A corrupt blob for people.
#[must_use]
pub fn blob_reason(what: &str, blob: &Blob, fault: &Corrupt) -> Reason {
    Reason::new(
        ReasonCode::ChunkCorrupt,
        format!("{what} is not what the image's manifest says"),
        "import the image again, then order the run anew; if it happens again, test the repository's disk and memory",
    )
    .about(Part::Image {
        image: what.into(),
        digest: Some(blob.digest.to_string()),
    })
    .seen(fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_is_named() {
        let chunk = Chunk {
            offset: Bytes(0),
            length: Bytes(5),
            digest: Digest::of(b"plain"),
            stored_length: Bytes(6),
            stored_digest: Digest::of(b"stored"),
        };
        assert_eq!(stored(&chunk, b"stored"), Ok(()));
        assert_eq!(plain(&chunk, b"plain"), Ok(()));
        assert!(matches!(
            stored(&chunk, b"store"),
            Err(Corrupt::StoredLength { .. })
        ));
        assert!(matches!(
            stored(&chunk, b"storeD"),
            Err(Corrupt::StoredDigest { .. })
        ));
        assert!(matches!(
            plain(&chunk, b"plai"),
            Err(Corrupt::Length { .. })
        ));
        assert!(matches!(
            plain(&chunk, b"Plain"),
            Err(Corrupt::Digest { .. })
        ));
        let reason = chunk_reason("debian 1", &chunk, &stored(&chunk, b"storeD").unwrap_err());
        assert_eq!(reason.code, ReasonCode::ChunkCorrupt);
        assert!(reason.to_string().contains(&chunk.digest.to_string()));
        assert!(reason.to_string().contains("at byte 0"));
    }
}
