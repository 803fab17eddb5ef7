// SPDX-License-Identifier: Apache-2.0
//! Who answers machines goes before who works: an image that is imported on the same processors, or a busy host.
//!
//! A second of a thousand machines costs these threads some hundredths of a second of processor time.

use rustix::process::setpriority_process;

/// As `nice -n` counts: before everything that runs as usual, behind what the system sets before us.
const NICE: i32 = -10;

/// Sets the calling thread's priority, where the system lets us (CAP_SYS_NICE, or `Nice=` in a unit did it already).
pub(super) fn before_others() {
    // On Linux the number is the thread's own, and none means the one that calls.
    if let Err(error) = setpriority_process(None, NICE) {
        tracing::debug!(%error, "DHCP: answers with the usual priority");
    }
}
