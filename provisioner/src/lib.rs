// SPDX-License-Identifier: Apache-2.0
//! Acts for the provisioner: the journal, the certificates, the HTTPS API and the page.
//!
//! What a node shall do is decided in `prov-core`, how its disks are laid out in `mos-core`, whether its hardware is
//! right in `hw-core`. This crate makes their wishes durable and visible, in that order. It never touches a node's
//! disk, and it never decides.

pub mod api;
mod boots;
pub mod clock;
pub mod credential;
pub mod erase;
mod fan_out;
mod figures;
mod fleet_view;
mod hardware;
mod healing;
mod images;
pub mod journal;
pub mod leader;
pub mod page;
#[cfg(any(test, feature = "peer"))]
pub mod peer;
pub mod pki;
mod planner;
mod planner_files;
mod power;
mod provisioner;
pub mod serve;
pub mod site;
mod ticket;
mod webhook;

pub use boots::BootSource;
pub use images::Images;
pub use planner::preview_offline;
pub use provisioner::{OpenError, Options, Provisioner, Shared};
