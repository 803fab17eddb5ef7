// SPDX-License-Identifier: Apache-2.0
//! The server that stands alone, under load, behind a cache, and in front of an object store.
#![allow(clippy::unwrap_used)]

mod cache;
mod certificates;
mod objects;
mod overload;
mod s3;
mod server;
