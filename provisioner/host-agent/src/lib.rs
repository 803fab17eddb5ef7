// SPDX-License-Identifier: Apache-2.0
//! What runs on the provisioned host: it specialises the host once, registers it, and reports.
//!
//! It never touches a disk but for growing the root file system into its own partition, it opens no port, and it never
//! gives up when the provisioner is away: hosts keep running without us.

mod acts;
mod adopt;
mod boot_facts;
mod contact;
mod conversation;
mod diagnostics;
mod documents;
mod efivars;
mod error;
mod host;
mod next_boot;
mod provisioner;
mod root;
mod run;
mod say;
mod specialise;
mod status;
mod step;
mod troubles;

pub use adopt::{AGENT_PATH, KEY_PATH, Placed, UNIT_PATH, foreign, place, remove, written};
pub use boot_facts::BootFacts;
pub use conversation::{Action, Conversation, Event, Failure};
pub use documents::{Specialised, Specialising};
pub use efivars::EfiVars;
pub use error::AgentError;
pub use host::{CommandFailed, Host, ThisHost};
pub use next_boot::{NextBootError, boot_next, set_next_boot};
pub use provisioner::Provisioner;
pub use root::Root;
pub use run::run_forever;
pub use specialise::{Moment, Specialisation};
pub use status::{StatusError, status_text};
