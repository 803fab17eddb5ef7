// SPDX-License-Identifier: Apache-2.0
//! Makes the bytes of an image out of what is none yet: a root file system's tar archive, an OCI image layout, a WIM file.
//!
//! Everything happens in a folder that the caller gives and removes. Nothing of the input becomes a path outside of it,
//! and nothing is run from the input. The bytes that come out are then imported as any others.

mod command;
mod error;
mod options;
mod prepare;
mod release;

pub use error::RootsError;
pub use options::{OwnedBootPaths, PrepareOptions, Prepared, RootsInput};
pub use prepare::prepare;

pub(crate) use prepare::from_tree;

pub(crate) use command::{Tool, run};
pub(crate) use error::shown;
pub(crate) use release::newest;

/// Hears how many bytes of the input are done, of how many where that is known.
pub type Progress<'a> = &'a mut dyn FnMut(groundstate_api::Bytes, Option<groundstate_api::Bytes>);
