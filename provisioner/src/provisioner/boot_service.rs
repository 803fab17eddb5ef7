// SPDX-License-Identifier: Apache-2.0
//! What boot services ask and tell: answers from memory, sightings into the journal, sessions kept beside it.

use super::Provisioner;
use crate::boots::BootSource;
use groundstate_api::MacAddr;
use groundstate_api::boot::{BootAnswer, BootQuestion, BootSighting};
use groundstate_api::boot_answers::BootAnswers;
use groundstate_api::boot_session::{BootReport, BootSessions, ForeignServer};
use prov_core::Input;
use std::sync::Arc;

/// Sightings that wait to be journalled. A boot storm of a thousand machines makes about five each.
pub(super) const SIGHTINGS_MAX: usize = 8_192;

/// What a boot service saw, on its way into the journal.
pub(super) enum Seen {
    Boot(MacAddr, BootSighting),
    ForeignDhcp(ForeignServer),
}

impl Provisioner {
    /// What a machine shall boot. Answers from memory.
    #[must_use]
    pub fn boot(&self, question: &BootQuestion) -> BootAnswer {
        self.fleet().boot(question)
    }

    /// Takes a sighting of the boot service in. Never blocks; a sighting too many is dropped with a warning, because
    /// the boot itself must not wait for the journal.
    pub fn saw(&self, mac: MacAddr, sighting: BootSighting) {
        self.seen(Seen::Boot(mac, sighting));
    }

    /// Takes in that another DHCP server was heard: an alarm, at most once an hour of each. Never blocks.
    pub fn foreign_dhcp(&self, server: ForeignServer) {
        self.seen(Seen::ForeignDhcp(server));
    }

    fn seen(&self, seen: Seen) {
        if self.inner.sightings.try_send(seen).is_err() {
            tracing::warn!("a sighting was dropped: {SIGHTINGS_MAX} are waiting for the journal");
        }
    }

    /// Whether a node boots from this MAC address.
    #[must_use]
    pub fn knows(&self, mac: MacAddr) -> bool {
        self.fleet().by_mac(mac).is_some()
    }

    /// Every boot answer in one table.
    pub(crate) fn boot_answers(&self) -> BootAnswers {
        self.fleet().boot_answers()
    }

    /// Reads the sessions of a boot service in this process there from now on.
    pub fn read_boots_from(&self, source: Arc<dyn BootSource>) {
        self.inner.boots.read_from(source);
    }

    /// Boot sessions, newest first; of one machine, or of all.
    pub(crate) fn boots(&self, mac: Option<MacAddr>) -> BootSessions {
        self.inner.boots.all(mac)
    }

    /// Takes a report of a boot service on another machine in.
    pub(crate) fn boot_report(&self, mut report: BootReport) {
        for seen in std::mem::take(&mut report.sightings) {
            self.saw(seen.mac, seen.sighting);
        }
        for server in &report.foreign {
            self.foreign_dhcp(server.clone());
        }
        self.inner.boots.report(self.now(), report);
    }

    /// Brings what was seen into the journal, in one go where it is of nodes. Blocks.
    pub(super) fn take(&self, seen: Vec<Seen>) {
        let mut inputs = Vec::new();
        for seen in seen {
            match seen {
                Seen::Boot(mac, sighting) => match self.find(mac, &[]) {
                    prov_core::Found::Node(node) => inputs.push((node, Input::Sighted(sighting))),
                    prov_core::Found::Nobody(_) => self.strange(mac, sighting),
                },
                Seen::ForeignDhcp(server) => self.heard_foreign(server),
            }
        }
        for outcome in self.submit_all(inputs) {
            if let Err(error) = outcome {
                tracing::error!(%error, "a sighting is not in the journal");
            }
        }
    }

    fn strange(&self, mac: MacAddr, sighting: BootSighting) {
        let done = self.decide_alone(None, |fleet, at, wishes| {
            fleet.stranger_boots(at, mac, sighting, wishes);
        });
        if let Err(error) = done {
            tracing::error!(%mac, %error, "a sighting is not in the journal");
        }
    }

    fn heard_foreign(&self, server: ForeignServer) {
        let done = self.decide_alone(None, |fleet, at, wishes| {
            fleet.foreign_dhcp(at, server, wishes);
        });
        if let Err(error) = done {
            tracing::error!(%error, "a foreign DHCP server is not in the journal");
        }
    }
}
