// SPDX-License-Identifier: Apache-2.0
//! The words: everything the rooms of Groundstate say to each other, or over the network, is a type of this crate.
//!
//! This crate refuses to do anything: no I/O, no clock, no randomness. It is `no_std` + `alloc`, and it depends on
//! nothing of ours. A document that travels or is stored carries a `schema` number; a reader refuses a number it
//! does not know.
#![cfg_attr(not(test), no_std)]
extern crate alloc;

pub mod action;
pub mod adopt;
pub mod audit;
pub mod bmc;
pub mod boot;
pub mod boot_answers;
pub mod boot_rules;
pub mod boot_session;
pub mod customise;
pub mod digest;
pub mod disk_policy;
pub mod enrol;
pub mod erase;
pub mod event;
pub mod explain;
pub mod fan_out;
pub mod fleet;
pub mod glob;
pub mod headline;
pub mod healing;
pub mod health;
pub mod host;
pub mod ids;
pub mod image;
pub mod inventory;
pub mod limits;
pub mod machine;
pub mod metrics;
pub mod order_terms;
pub mod paths;
pub mod plan;
mod plan_preview;
mod plan_vhd;
pub mod ready;
pub mod reason;
pub mod run;
#[cfg(feature = "schema")]
mod schema;
pub mod site;
pub mod site_parts;
pub mod site_plan;
pub mod site_pool;
pub mod template;
pub mod text;
pub mod ticket;
pub mod trust;
pub mod units;
pub mod view;

pub use digest::Digest;
pub use ids::{BootId, MacAddr, NodeId, ParseIdError, PlanId, RunId, SystemUuid};
pub use reason::{Part, Reason, ReasonCode};
pub use units::{Bytes, Millis};

/// The schema number that every document of this version carries.
pub const SCHEMA: u32 = 1;
