// SPDX-License-Identifier: Apache-2.0
//! Decides each node's next state.
//!
//! A node is the fold of its journal events ([`Node::apply`]); a decision is a list of wishes ([`Wish`]) that the
//! shell carries out: append these events, answer that, write a plan. This crate refuses to know clocks, sockets,
//! files, certificates or randomness: time comes in as an argument, a key comes in as its digest.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]
extern crate alloc;

pub mod access;
pub mod action;
pub mod adopt;
pub mod allowance;
mod boot_check;
pub mod boot_mirror;
pub mod boot_policy;
mod boot_saga;
mod callers_check;
mod counted;
pub mod custom;
mod custom_check;
pub mod deadline;
pub mod decide;
pub mod drift;
mod earlier;
mod enrolment;
mod erase;
mod eta;
mod fleet;
pub mod fold;
pub mod healing;
mod healing_check;
pub mod health;
mod host;
mod index;
mod kept;
pub mod life;
pub mod named;
pub mod near;
pub mod needs;
mod node;
mod note;
mod parts_check;
mod pool_check;
pub mod profile;
mod rack_check;
pub mod reasons;
pub mod reasons_action;
pub mod reasons_adopt;
pub mod reasons_life;
pub mod reasons_power;
pub mod reasons_site;
mod reconcile;
pub mod retry;
mod run;
mod settle;
pub mod site_check;
pub mod site_diff;
pub mod site_limits;
pub mod site_text;
pub mod snapshot;
pub mod ticket;
mod timings;
mod view;
pub mod waiting_room;

pub use access::{Peer, Route, Who};
pub use action::Doing;
pub use counted::{Counted, DiskFigures};
pub use decide::{Input, Note, Reply, Wish};
pub use earlier::Earlier;
pub use fleet::{Fleet, Found};
pub use healing::Own;
pub use index::ActionsWanted;
pub use kept::{Figures, Kept, KeptInventory, KeptPlan, Seen, Written};
pub use life::LifeOrder;
pub use node::{BoundKey, Host, Live, Node, Rules, Run};
pub use reconcile::Reconciled;
pub use settle::{Settled, settle};
