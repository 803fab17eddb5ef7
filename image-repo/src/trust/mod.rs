// SPDX-License-Identifier: Apache-2.0
//! Signatures of the repository: the files that hold them, the root that this machine has pinned, and what comes of both.
//!
//! What is believed is decided in `image_core::trust`; here are its files and its clock. Nothing here keeps a secret key
//! longer than one signature takes, and nothing is put into its place before enough signatures are beside it.

mod error;
mod files;
mod follow;
mod offer;
mod pin;
mod question;
mod secret_key;
mod serve;
mod subject;

pub use error::TrustFault;
pub use files::{TrustFiles, TrustedBy};
pub use follow::follow;
pub use offer::{Offer, Outcome, add_signature, offer};
pub use pin::Pin;
pub use question::{believed, catalogue_to_change, peek, resolve, root, status, verify};
pub use secret_key::{SecretKey, SecretKeyError};
pub use serve::trust_router;
pub(crate) use subject::{Subject, beyond};
