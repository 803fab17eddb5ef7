// SPDX-License-Identifier: Apache-2.0
//! The decisions of the image repository, as a whole.
#![allow(clippy::unwrap_used)]

mod admission;
mod behind;
mod deploy;
mod former;
mod manifest;
