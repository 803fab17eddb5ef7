// SPDX-License-Identifier: Apache-2.0
//! The image repository: stores images as chunks and blobs under the digest of their bytes, imports raw file systems,
//! proves what it holds, and serves it.
//!
//! It refuses to do TLS and to know who may have an image; the server that composes [`router`] puts both around it.

mod content;
mod describe;
mod error;
mod ext4;
pub mod formats;
mod heal;
mod import;
mod pack;
mod pipeline;
mod reader;
mod repository;
pub mod serve;
mod sparse;
mod store;
pub mod trust;
mod verified;
mod verify;

pub use content::{Content, GRAIN, Piece, RawFile};
pub use error::RepoError;
pub use import::{BootPaths, ImportRequest, Imported};
pub use reader::ImageReader;
pub use repository::Repository;
pub use serve::{ServeConfig, Served, router, router_with};
