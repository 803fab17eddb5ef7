// SPDX-License-Identifier: Apache-2.0
//! The image repository: stores images as chunks and blobs under the digest of their bytes, imports raw file systems,
//! proves what it holds, and serves it.
//!
//! It refuses to do TLS and to know who may have an image; the server that composes [`router`] puts both around it.

mod content;
mod describe;
mod diff;
mod disk_image;
mod error;
mod export;
mod export_file;
mod export_sink;
mod ext4;
pub mod facts;
pub mod formats;
mod fsck;
mod fsck_files;
mod gc;
mod heal;
mod import;
mod leases;
pub mod objects;
mod oci;
mod pack;
mod pipeline;
mod reader;
mod repository;
pub mod roots;
pub mod serve;
mod show;
mod sparse;
mod store;
mod stored;
mod tar;
pub mod trust;
mod verified;
mod verify;
mod wim;

pub use content::{Content, GRAIN, Piece, RawFile};
pub use diff::{Change, DiffRange, DiffReport, PartitionDiff};
pub use error::RepoError;
pub use export::{ExportRequest, Exported};
pub use fsck::{Fault, Finding, FsckReport, FsckVerdict};
pub use gc::{GC_GRACE, GcReport, GcRules, Leased};
pub use import::{BootPaths, ImportOptions, ImportRequest, Imported};
pub use reader::{ImageReader, unpacked};
pub use repository::{Junk, Listing, Repository};
pub use serve::{ServeConfig, Served, router, router_with};
pub use show::{ChunkStatistics, ImageShow, SharedWith};
