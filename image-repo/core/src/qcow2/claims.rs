// SPDX-License-Identifier: Apache-2.0
//! Which clusters of the file something claims, so that two places of the disk never share bytes.

use super::error::Qcow2Error;
use super::field::index;
use super::limits::CLUSTERS_MAX;
use alloc::vec;
use alloc::vec::Vec;

/// Two bits for each cluster of the file: whether it is claimed as a whole, and whether compressed clusters lie in it,
/// of which a cluster holds several.
pub(super) struct Claims {
    whole: Vec<u64>,
    packed: Vec<u64>,
    cluster_bits: u32,
}

impl Claims {
    pub(super) fn new(len: u64, cluster_bits: u32) -> Result<Self, Qcow2Error> {
        let clusters = len.div_ceil(1 << cluster_bits);
        if clusters > CLUSTERS_MAX {
            return Err(Qcow2Error::TooManyClusters { clusters });
        }
        let words = index(clusters.div_ceil(64));
        Ok(Self {
            whole: vec![0; words],
            packed: vec![0; words],
            cluster_bits,
        })
    }

    /// Claims every cluster that the bytes touch.
    pub(super) fn whole(
        &mut self,
        what: &'static str,
        at: u64,
        length: u64,
    ) -> Result<(), Qcow2Error> {
        for cluster in self.clusters(at, length) {
            let (word, bit) = place(cluster);
            let packed = self.packed.get(word).copied().unwrap_or(0);
            if let Some(whole) = self.whole.get_mut(word) {
                if (*whole | packed) & bit != 0 {
                    return Err(Qcow2Error::Overlap { what, at });
                }
                *whole |= bit;
            }
        }
        Ok(())
    }

    /// Claims a part of every cluster that the bytes touch, for a compressed one.
    pub(super) fn packed(&mut self, at: u64, length: u64) -> Result<(), Qcow2Error> {
        for cluster in self.clusters(at, length) {
            let (word, bit) = place(cluster);
            let what = "compressed cluster";
            if self.whole.get(word).is_some_and(|whole| whole & bit != 0) {
                return Err(Qcow2Error::Overlap { what, at });
            }
            if let Some(packed) = self.packed.get_mut(word) {
                *packed |= bit;
            }
        }
        Ok(())
    }

    fn clusters(&self, at: u64, length: u64) -> core::ops::Range<u64> {
        let end = at.saturating_add(length).div_ceil(1 << self.cluster_bits);
        at >> self.cluster_bits..end
    }
}

fn place(cluster: u64) -> (usize, u64) {
    (index(cluster / 64), 1 << (cluster % 64))
}
