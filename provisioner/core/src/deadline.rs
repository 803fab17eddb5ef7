// SPDX-License-Identifier: Apache-2.0
//! Every phase's deadline, and the limits of what is remembered. Each is named, with its unit and its reason.

use crate::node::Node;
use crate::run::is_netboot;
use groundstate_api::Millis;
use groundstate_api::limits::HEARTBEAT;
use groundstate_api::view::Phase;

/// How long a maintenance OS may say nothing while it looks at the hardware. Probes of 100 disks with one that hangs
/// take two minutes; after five nobody is there.
pub const CHECKING_SILENCE_MAX: Millis = Millis::secs(5 * 60);
/// How long checking may take in all, however often the maintenance OS calls: an inventory that is refused, or a node
/// that holds by itself, must not leave its run open for ever. Probes take two minutes, and an image of 100 GiB is read
/// in seventeen.
pub const CHECKING_MAX: Millis = Millis::secs(30 * 60);
/// A plan that has not come is asked for again after this: long enough to read an image of 30 GiB, and a question too
/// many costs nothing, because a run that has its plan is passed over.
pub const PLAN_AGAIN: Millis = Millis::secs(5 * 60);
/// How long a maintenance OS may say nothing while it carries the plan out. It reports twice a second, so ten minutes
/// is a switch that restarts or a provisioner that was away, not a slow disk.
pub const DEPLOYING_SILENCE_MAX: Millis = Millis::secs(10 * 60);
/// How long a plan may stand still while the maintenance OS calls: no report of it was taken. The longest step without
/// figures, making a file system on a large hard disk, takes minutes; after an hour the node holds by itself, or its
/// reports are refused.
pub const DEPLOYING_STILL_MAX: Millis = Millis::secs(60 * 60);
/// How long the key of a run must have said nothing before a restart of its machine is believed. It calls every two seconds
/// or more often, and its longest call takes 20 s: one call that is lost is no restart. A server that lost power is away for
/// longer than this.
pub const FIRST_KEY_QUIET: Millis = Millis::secs(30);
/// How often one run is bound to another boot of its machine. Who loses power more often has a fault that a person must find,
/// and whoever pretends to be the machine does not get to try for ever.
pub const RETURNS_MAX: u32 = 8;
/// A machine that called no longer ago than this runs its maintenance OS still: it calls every 30 seconds or more often.
pub const STILL_THERE: Millis = Millis::secs(60);
/// How long the host may take from its start to its agent's first call. Servers with large memory spend five minutes in
/// firmware alone.
pub const HOST_START_MAX: Millis = Millis::secs(10 * 60);
/// How long a Ready host may say nothing: three missed reports.
pub const READY_SILENCE_MAX: Millis = Millis(3 * HEARTBEAT.0);
/// How many boots of a host before its present one are remembered, so that a ghost of one is known.
pub const PAST_BOOTS_MAX: usize = 8;
/// How many alarms a node keeps. More than a screen full is not read.
pub const ALARMS_MAX: usize = 20;
/// A refusal with the same code is journalled again for the same node only after this, whatever it says in detail: a
/// machine that asks every few seconds must not fill the journal.
pub const REFUSAL_AGAIN: Millis = Millis::secs(60);
/// A sighting of the same kind and file is journalled again for the same node only after this: DHCP and TFTP are open to
/// everybody, and must not fill the journal.
pub const SIGHTING_AGAIN: Millis = Millis::secs(60);
/// How long a refused machine waits before it asks again, when something may change by itself or by an order.
pub const ENROL_RETRY: Millis = Millis::secs(5);
/// How long a machine waits that was refused with an alarm, or is unknown: only a person can change that.
pub const ENROL_RETRY_SLOW: Millis = Millis::secs(30);
/// How long a machine in the waiting room waits before it asks again: a person who accepts it stands beside it.
pub const ENROL_RETRY_WAITING: Millis = Millis::secs(10);
/// How many unknown machines are remembered, so that a flood of invented addresses costs bounded memory.
pub const UNKNOWN_MACHINES_MAX: usize = 256;
/// A foreign DHCP server that goes on answering is an alarm again after this.
pub const FOREIGN_AGAIN: Millis = Millis::secs(60 * 60);
/// Foreign DHCP servers that are remembered; one more within the hour is no alarm of its own.
pub const FOREIGN_MAX: usize = 32;
/// The same unknown machine is journalled again only after this.
pub const UNKNOWN_AGAIN: Millis = Millis::secs(10 * 60);

impl Node {
    /// When to call [`Node::decide`] with a time-out. `None` when nothing happens by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let all = [
            self.phase_deadline(),
            self.actions_deadline(),
            self.boot_deadline(),
        ];
        all.into_iter().flatten().min()
    }

    /// The deadline of its phase. Those that have none wait for an order: nothing is ordered (enrolled), a person has it at
    /// hand (in repair, rescue), or it is out of use until somebody lets it out (draining, quarantined, held, retired).
    pub(crate) fn phase_deadline(&self) -> Option<Millis> {
        // After a restart of ours nobody could have reached us: silence counts from when we began to listen.
        let base = self.counts_from();
        match self.phase {
            Phase::Enrolled
            | Phase::Draining
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Rescue
            | Phase::Retired => None,
            Phase::Held => self.try_again_at(),
            // Approval and places come when they come; but a machine that waits for them must be there.
            Phase::Planned => Some(self.last_sign(base).plus(CHECKING_SILENCE_MAX)),
            // Once it is silent, the healing policy or a person decides.
            Phase::Suspect if self.is_silent() || self.awaits_agent() => None,
            Phase::Ordered | Phase::Booting => self.run.as_ref().map(|run| run.window_closes),
            Phase::Checking => {
                let silent = self.last_sign(base).plus(CHECKING_SILENCE_MAX);
                let again = self.plan_is_due(base).unwrap_or(silent);
                Some(silent.min(again).min(base.plus(CHECKING_MAX)))
            }
            Phase::Provisioning | Phase::Erasing => {
                let silent = self.last_sign(base).plus(DEPLOYING_SILENCE_MAX);
                Some(silent.min(self.last_moved(base).plus(DEPLOYING_STILL_MAX)))
            }
            Phase::HandedOver => Some(base.plus(HOST_START_MAX)),
            Phase::Ready | Phase::Suspect => {
                let heard = self.live.heard.map_or(base, |heard| heard.max(base));
                Some(heard.plus(READY_SILENCE_MAX))
            }
        }
    }

    /// What the deadline is about: from when silence, stillness and waits count.
    pub(crate) fn counts_from(&self) -> Millis {
        self.since.max(self.live.began)
    }

    /// When the maintenance OS last called, as far as it counts.
    pub(crate) fn last_spoke(&self, base: Millis) -> Millis {
        self.live.spoke.map_or(base, |spoke| spoke.max(base))
    }

    /// When the machine last gave a sign of itself in an open run: its maintenance OS called, the boot service saw it boot from
    /// the network, or a host that is still on its disks called. A machine that comes back after a power loss is not silent
    /// while its firmware takes its time.
    pub(crate) fn last_sign(&self, base: Millis) -> Millis {
        let boots = self.live.boot.as_ref().filter(|(_, seen)| is_netboot(seen));
        let signs = [self.live.heard, boots.map(|(at, _)| *at)];
        let spoke = self.last_spoke(base);
        signs.into_iter().flatten().fold(spoke, Millis::max)
    }

    /// When the last report was taken, as far as it counts.
    pub(crate) fn last_moved(&self, base: Millis) -> Millis {
        self.live.moved.map_or(base, |moved| moved.max(base))
    }

    /// When to ask again for a plan that has not come.
    pub(crate) fn plan_is_due(&self, base: Millis) -> Option<Millis> {
        let run = self.run.as_ref()?;
        let waits = run.inventory.is_some() && run.plan.is_none();
        let asked = self.live.plan_asked.map_or(base, |asked| asked.max(base));
        waits.then(|| asked.plus(PLAN_AGAIN))
    }
}
