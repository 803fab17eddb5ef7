// SPDX-License-Identifier: Apache-2.0
//! The image's way from a real repository, over HTTP on loopback, to a file that stands for the partition.
#![allow(clippy::unwrap_used)]

mod before;
mod faults;
mod restart;
mod rig;
mod tls;
mod trouble;
mod way;
