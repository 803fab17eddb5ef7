// SPDX-License-Identifier: Apache-2.0
//! Signatures and channels: every attack that The Update Framework lists, on files, with minisign as the peer.
#![allow(clippy::unwrap_used)]

mod attacks;
mod bucket;
mod flips;
mod peer;
mod pending;
mod serve;
mod world;
