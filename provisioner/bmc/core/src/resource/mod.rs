// SPDX-License-Identifier: Apache-2.0
//! Redfish resources as far as they are used here. Each is a view on an answer: lenient about what is absent or of another type.

mod boot;
mod media;
mod parts;
mod root;
mod system;
mod task;

pub use boot::Boot;
pub use media::{Media, insert_bodies};
pub use parts::{Dimm, Drive, LogEntry, LogService, Manager, Nic, Processor};
pub use root::{Collection, Root, Sessions};
pub use system::{Led, ResetAction, System, allowed_by_action_info};
pub use task::{Task, TaskState};
