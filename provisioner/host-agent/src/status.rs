// SPDX-License-Identifier: Apache-2.0
//! `host-agent status`: what a technician at the host wants to know. It asks nobody and changes nothing.

use crate::contact::{CONTACT_PATH, Contact};
use crate::documents::{SPECIALISING_PATH, Specialised, Specialising};
use crate::error::AgentError;
use crate::root::Root;
use groundstate_api::Millis;
use groundstate_api::host::{HostSeed, SEED_PATH, SPECIALISED_PATH};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// Why there is no status.
#[derive(Debug, Error)]
pub enum StatusError {
    /// The host was not made by Groundstate.
    #[error("{path} is not there: this host was not made by Groundstate")]
    NotAHost {
        /// The seed.
        path: PathBuf,
    },
    /// A document cannot be read.
    #[error(transparent)]
    Read(#[from] AgentError),
}

/// The status as text.
///
/// # Errors
/// The host has no seed, or a document cannot be read (it is for root only).
pub fn status_text(root: &Root) -> Result<String, StatusError> {
    let not_a_host = || StatusError::NotAHost {
        path: root.at(SEED_PATH),
    };
    let seed: HostSeed = root.read_json(SEED_PATH)?.ok_or_else(not_a_host)?;
    let mut text = String::new();
    let mut line = |words: std::fmt::Arguments<'_>| {
        writeln!(text, "{words}").expect("a String takes every line")
    };
    line(format_args!("node         {}", seed.node));
    if seed.adopted {
        line(format_args!(
            "adopted      as it runs; nothing of it was changed"
        ));
    } else {
        line(format_args!("plan         {}", seed.plan));
        line(format_args!("run          {}", seed.run));
    }
    line(format_args!("provisioner  {}", seed.provisioner));
    line(format_args!(
        "network boot {} over {}",
        seed.network_boot.firmware.as_str(),
        seed.network_boot.mac
    ));
    match root
        .read_json::<Specialised>(SPECIALISED_PATH)?
        .filter(|done| done.plan == seed.plan)
    {
        Some(done) => {
            line(format_args!("specialised  in boot {}", done.boot_id));
            for change in &done.changes {
                line(format_args!(
                    "  {}: {} -> {}",
                    change.what, change.before, change.after
                ));
            }
        }
        None if seed.adopted => {}
        None => {
            let notes = root.read_json::<Specialising>(SPECIALISING_PATH)?;
            let begun = notes.map_or_else(Vec::new, |notes| notes.steps);
            line(format_args!(
                "specialised  not yet; {} step(s) begun",
                begun.len()
            ));
            for step in begun.iter().filter(|step| step.after.is_none()) {
                line(format_args!("  at: {} (was: {})", step.what, step.before));
            }
        }
    }
    match root.read_json::<Contact>(CONTACT_PATH)? {
        Some(contact) => {
            let heard = contact.last_answer.map_or_else(
                || "never in this boot".into(),
                |at| format!("{} ago", now().since(at)),
            );
            line(format_args!(
                "last answer  {heard}; {} heartbeat(s) in boot {}",
                contact.heartbeats, contact.boot_id
            ));
            if let Some(trouble) = contact.trouble {
                line(format_args!("trouble      {trouble}"));
            }
        }
        None => line(format_args!(
            "last answer  none: the agent has not run in this boot (systemctl status host-agent)"
        )),
    }
    Ok(text)
}

/// Milliseconds since 1970 by the host's clock.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
