// SPDX-License-Identifier: Apache-2.0
//! The journal in etcd, through its JSON gateway: several provisioners share it, and one of them writes.

mod client;
mod common;
mod credentials;
mod documents;
mod journal;
mod keys;
mod lead;
mod options;
mod orders;
mod stored;
mod wire;

pub use common::EtcdCommon;
pub use journal::EtcdJournal;
pub use lead::EtcdElection;
pub use options::{EtcdOptions, OptionsError};

use std::sync::atomic::AtomicU64;

/// The creation revision of our leader's key; 0 where we do not lead. Every write compares it within its transaction.
pub(crate) type Fence = AtomicU64;
