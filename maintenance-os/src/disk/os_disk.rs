// SPDX-License-Identifier: Apache-2.0
//! Work on the OS disk's file systems, which goes through the kernel: where the disk does not answer it never comes back,
//! and the disk is named.

use super::error::{about_os_disk, no_answer};
use crate::patience::{NoAnswer, answer_within};
use groundstate_api::plan::Plan;
use groundstate_api::{Reason, ReasonCode};
use std::time::Duration;

/// How long the OS disk may take to be opened. The kernel's own way with a disk that does not answer (30 s for a command,
/// five tries, resets of link and controller) ends within five minutes.
pub const OPEN_MAX: Duration = Duration::from_secs(5 * 60);
/// How long it may take to be mounted, for a boot loader, kernel and initrd to be written and read back, and to be
/// unmounted: the same five minutes, and five more in which a slow disk moves an ESP of 512 MiB at 4 MiB/s both ways.
pub const FILES_MAX: Duration = Duration::from_secs(10 * 60);

/// What `work` gives, where it gives it within `limit`; `doing` says what it is.
///
/// # Errors
/// The work's own, or that the OS disk does not answer.
pub fn on_os_disk<T: Send + 'static>(
    plan: &Plan,
    limit: Duration,
    doing: &str,
    work: impl FnOnce() -> Result<T, Reason> + Send + 'static,
) -> Result<T, Reason> {
    let done = answer_within(limit, work).unwrap_or_else(|why| {
        Err(match why {
            NoAnswer::Late => no_answer(limit).seen(doing),
            NoAnswer::Fault => Reason::new(
                ReasonCode::Internal,
                format!("{doing} ended in a fault of the maintenance OS"),
                "report it with the node's log (`groundstate node log NODE`)",
            ),
        })
    });
    done.map_err(|reason| about_os_disk(plan, reason))
}
