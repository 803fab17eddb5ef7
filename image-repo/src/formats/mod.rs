// SPDX-License-Identifier: Apache-2.0
//! Every format that an image comes in, as a content: opened as what it is stated to be, never guessed.

mod error;

pub use error::FormatError;
