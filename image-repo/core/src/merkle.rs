// SPDX-License-Identifier: Apache-2.0
//! The root of the Merkle tree over an image's chunks, as RFC 9162 section 2.1.1 hashes a list.

use groundstate_api::Digest;
use groundstate_api::image::Chunk;
use sha2::{Digest as _, Sha256};

/// The root over `chunks`; of no chunks, the digest of no bytes.
#[must_use]
pub fn root(chunks: &[Chunk]) -> Digest {
    match chunks {
        [] => Digest::of(b""),
        [only] => leaf(only),
        many => {
            // The largest power of two that is less than their number.
            let left = many.len().next_power_of_two() / 2;
            let (left, right) = many.split_at(left);
            let (left, right) = (root(left), root(right));
            let hash = Sha256::new_with_prefix([1]);
            Digest(
                hash.chain_update(left.0)
                    .chain_update(right.0)
                    .finalize()
                    .into(),
            )
        }
    }
}

fn leaf(chunk: &Chunk) -> Digest {
    let hash = Sha256::new_with_prefix([0])
        .chain_update(chunk.offset.0.to_le_bytes())
        .chain_update(chunk.length.0.to_le_bytes())
        .chain_update(chunk.digest.0);
    Digest(hash.finalize().into())
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;
    use groundstate_api::Bytes;

    fn chunks(count: u64) -> Vec<Chunk> {
        let one = |index: u64| Chunk {
            offset: Bytes(index * 65_536),
            length: Bytes(65_536),
            digest: Digest::of(&index.to_le_bytes()),
            stored_length: Bytes(10),
            stored_digest: Digest::of(b"stored"),
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn the_tree_is_split_as_the_rfc_splits_it() {
        let five = chunks(5);
        let node = |left: Digest, right: Digest| {
            let text: Vec<u8> = [&[1][..], &left.0, &right.0].concat();
            Digest::of(&text)
        };
        let leaves: Vec<Digest> = five.iter().map(leaf).collect();
        let four = node(node(leaves[0], leaves[1]), node(leaves[2], leaves[3]));
        assert_eq!(root(&five), node(four, leaves[4]));
        assert_eq!(root(&[]), Digest::of(b""));
    }

    #[test]
    fn place_length_bytes_and_order_count() {
        let honest = chunks(7);
        for index in 0..7 {
            for change in 0..3 {
                let mut other = honest.clone();
                match change {
                    0 => other[index].offset.0 += 1,
                    1 => other[index].length.0 -= 1,
                    _ => other[index].digest = Digest::of(b"other"),
                }
                assert_ne!(root(&other), root(&honest), "{index} {change}");
            }
        }
        assert_ne!(root(&honest[..6]), root(&honest));
    }
}
