// SPDX-License-Identifier: Apache-2.0
//! Speaks to BMCs: Redfish over HTTPS with a pinned certificate, IPMI 2.0 through `ipmitool`, behind one trait.
//!
//! What is asked and what an answer means is decided in `bmc-core`. This crate keeps nothing on disk and logs no secret: pins and what
//! was learned are given to it and handed back.

mod address;
mod bmcs;
mod clock;
mod door;
mod drive;
mod ipmi;
mod kind;
mod redfish;
mod secret;
mod session;
mod settings;
mod tls;
mod wire;

pub use address::{Address, BadAddress};
pub use bmc_core as core;
pub use bmc_core::{
    Ladder, Learned, Lesson, MachineKey, PowerState, Reset, Rung, Trouble, credential_missing,
    ladder,
};
pub use bmcs::{Bmcs, Target};
pub use kind::{Asked, Bmc};
pub use secret::{BadSecret, Secret};
pub use session::Session;
pub use settings::Settings;
