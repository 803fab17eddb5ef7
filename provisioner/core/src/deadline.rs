// SPDX-License-Identifier: Apache-2.0
//! Every phase's deadline, and the limits of what is remembered. Each is named, with its unit and its reason.

use crate::node::Node;
use groundstate_api::Millis;
use groundstate_api::limits::HEARTBEAT;
use groundstate_api::view::Phase;

/// How long a maintenance OS may say nothing while it looks at the hardware. Probes of 100 disks with one that hangs
/// take two minutes; after five nobody is there.
pub const CHECKING_SILENCE_MAX: Millis = Millis::secs(5 * 60);
/// How long a maintenance OS may say nothing while it carries the plan out. It reports twice a second, so ten minutes
/// is a switch that restarts or a provisioner that was away, not a slow disk.
pub const DEPLOYING_SILENCE_MAX: Millis = Millis::secs(10 * 60);
/// How long the host may take from its start to its agent's first call. Servers with large memory spend five minutes in
/// firmware alone.
pub const HOST_START_MAX: Millis = Millis::secs(10 * 60);
/// How long a Ready host may say nothing: three missed reports.
pub const READY_SILENCE_MAX: Millis = Millis(3 * HEARTBEAT.0);
/// How many alarms a node keeps. More than a screen full is not read.
pub const ALARMS_MAX: usize = 20;
/// The same refusal of the same node is journalled again only after this: a machine that asks every few seconds must
/// not fill the journal.
pub const REFUSAL_AGAIN: Millis = Millis::secs(60);
/// The same sighting of the same node is journalled again only after this.
pub const SIGHTING_AGAIN: Millis = Millis::secs(10);
/// How long a refused machine waits before it asks again, when something may change by itself or by an order.
pub const ENROL_RETRY: Millis = Millis::secs(5);
/// How long a machine waits that was refused with an alarm, or is unknown: only a person can change that.
pub const ENROL_RETRY_SLOW: Millis = Millis::secs(30);
/// How many unknown machines are remembered, so that a flood of invented addresses costs bounded memory.
pub const UNKNOWN_MACHINES_MAX: usize = 256;
/// The same unknown machine is journalled again only after this.
pub const UNKNOWN_AGAIN: Millis = Millis::secs(10 * 60);

impl Node {
    /// When to call [`Node::decide`] with a time-out. `None` when nothing happens by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        // After a restart of ours nobody could have reached us: silence counts from when we began to listen.
        let base = self.since.max(self.live.began);
        match self.phase {
            Phase::Known | Phase::Silent | Phase::Held => None,
            Phase::Ordered | Phase::Booting => self.run.as_ref().map(|run| run.window_closes),
            Phase::Checking => Some(self.last_spoke(base).plus(CHECKING_SILENCE_MAX)),
            Phase::Deploying => Some(self.last_spoke(base).plus(DEPLOYING_SILENCE_MAX)),
            Phase::HandedOver => Some(base.plus(HOST_START_MAX)),
            Phase::Ready => {
                let heard = self.live.heard.map_or(base, |heard| heard.max(base));
                Some(heard.plus(READY_SILENCE_MAX))
            }
        }
    }

    fn last_spoke(&self, base: Millis) -> Millis {
        self.live.spoke.map_or(base, |spoke| spoke.max(base))
    }
}
