// SPDX-License-Identifier: Apache-2.0
//! Every format that a disk comes in, as a content: opened as what it is stated to be, never guessed.
//!
//! [`open`] holds the file against its stated format, refuses what is not whole in itself (backing files, data files,
//! parents, keys) and opens nothing else on the host, but for the files of a VMDK that lie beside its descriptor under a
//! plain name. [`propose`] says what a file seems to be, for a person to confirm. Both only read.
//!
//! # What is taken for a bomb
//! Zeros take no space in the repository, so what a stream of them can do is to take time. A compressed stream is refused
//! when its first 256 MiB are all zero ([`limits::LEADING_ZEROS_MAX`]), when it gives more than 500 bytes that are not
//! zero for each of its own after the first GiB ([`limits::DATA_RATIO_MAX`]), and at [`limits::SIZE_MAX`] in any case. A
//! thin disk compresses 1:1000 and more, and is taken. [`Terms::max_size`] lifts all three.

mod codec;
mod counted;
mod disk;
mod error;
mod host_file;
pub mod limits;
mod mark;
mod name;
mod note;
mod open;
mod padded;
mod propose;
mod qcow2;
mod spool;
mod stream;
mod unpack;
mod vhd;
mod vhdx;
mod vmdk;
mod vmdk_sparse;

pub use error::FormatError;
pub use name::name;
pub use note::{Note, Notes};
pub use open::{Input, Opened, Terms, open};
pub use propose::propose;
