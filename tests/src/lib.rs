// SPDX-License-Identifier: Apache-2.0
//! The virtual rack: virtual servers on a virtual network, for tests and for `cargo xtask demo`.
//!
//! This crate refuses to be part of the product: nothing in the product depends on it, and it does nothing to a
//! product's process except start it.

pub mod compare;
#[cfg(feature = "fleet")]
pub mod fleet;
pub mod matrix;
pub mod rack;
pub mod stage;
pub mod world;
