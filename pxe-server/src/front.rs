// SPDX-License-Identifier: Apache-2.0
//! What a service needs of the others: the boot policy, the ear for sightings and steps, the clock, the counters.

use crate::desk::Desk;
use crate::metrics::Metric;
use groundstate_api::boot::{BootAnswer, BootQuestion, BootSighting};
use groundstate_api::boot_session::BootStep;
use groundstate_api::{MacAddr, Millis};

/// It answers from memory and does not wait.
pub(crate) trait Front: Send + Sync {
    /// Milliseconds since 1970, never backwards.
    fn now(&self) -> Millis;
    /// What shall this machine boot?
    fn ask(&self, question: &BootQuestion) -> BootAnswer;
    /// This was seen.
    fn saw(&self, mac: MacAddr, sighting: BootSighting);
    /// This belongs to the machine's boot session.
    fn step(&self, mac: MacAddr, step: BootStep);
    /// So many more of these.
    fn count(&self, metric: Metric, n: u64);
}

impl Front for Desk {
    fn now(&self) -> Millis {
        self.clock.now()
    }
    fn ask(&self, question: &BootQuestion) -> BootAnswer {
        self.policy.ask(question)
    }
    fn saw(&self, mac: MacAddr, sighting: BootSighting) {
        Self::saw(self, mac, sighting);
    }
    fn step(&self, mac: MacAddr, step: BootStep) {
        Self::step(self, mac, step);
    }
    fn count(&self, metric: Metric, n: u64) {
        Self::count(self, metric, n);
    }
}
