// SPDX-License-Identifier: Apache-2.0
//! What the fleet does by itself, carried into the journal: places for plans, measures of the healing policy, the brake; and
//! the judgement on hardware, told as trouble. It decides nothing: [`prov_core::Fleet::own`] does.

use crate::journal::JournalError;
use crate::provisioner::Provisioner;
use groundstate_api::action::{Action, ActionId, ActionList};
use groundstate_api::event::Happened;
use groundstate_api::fleet::Eta;
use groundstate_api::healing::{BrakeView, MeasureView};
use groundstate_api::{NodeId, Reason};
use prov_core::{ActionsWanted, Input, Own, Wish};
use tokio::sync::mpsc;

impl Provisioner {
    /// Asks the fleet what it does by itself now, and lets that happen. Blocks for the journal.
    pub(crate) fn own_tick(&self) {
        let now = self.now();
        let own = self.with_fleet(|fleet| fleet.own(now));
        let mut inputs: Vec<(NodeId, Input)> = Vec::new();
        for one in own {
            match one {
                Own::Node(node, input) => inputs.push((node, input)),
                Own::Site(what) => {
                    let append = |out: &mut Vec<Wish>| out.push(Wish::Append(what));
                    if let Err(error) = self.decide_alone(None, |_, _, out| append(out)) {
                        tracing::error!(%error, "the brake is not in the journal; it is tried again");
                        // Nothing begins that the brake was to stop.
                        return;
                    }
                }
            }
        }
        for outcome in self.submit_all(inputs) {
            if let Err(error) = outcome {
                tracing::error!(%error, "a measure is not in the journal; it is tried again");
            }
        }
    }

    /// What is to be carried out at machines, for the one worker that does it. `None` for whoever comes second.
    #[must_use]
    pub fn take_actions(&self) -> Option<mpsc::UnboundedReceiver<Action>> {
        self.actions_out().take()
    }

    /// The brake.
    #[must_use]
    pub fn brake(&self) -> BrakeView {
        self.with_fleet(prov_core::Fleet::brake)
    }

    /// Sets the brake or lets it go. Blocks.
    ///
    /// # Errors
    /// Where the journal cannot be written.
    pub(crate) fn set_brake(
        &self,
        on: bool,
        by: String,
        reason: Option<Reason>,
    ) -> Result<BrakeView, JournalError> {
        self.decide_alone(None, |fleet, _, out| {
            if fleet.brake().on != on {
                out.push(Wish::Append(Happened::Braked { on, by, reason }));
            }
        })?;
        Ok(self.brake())
    }

    /// What the policy wants or does, in the whole fleet.
    #[must_use]
    pub fn measures(&self) -> Vec<MeasureView> {
        self.with_fleet(prov_core::Fleet::measures)
    }

    /// Actions, newest first.
    #[must_use]
    pub fn actions(&self, wanted: ActionsWanted<'_>) -> ActionList {
        self.with_fleet(|fleet| fleet.actions(wanted))
    }

    /// Whose action it is.
    #[must_use]
    pub fn action_node(&self, id: ActionId) -> Option<NodeId> {
        self.with_fleet(|fleet| fleet.action_node(id).cloned())
    }

    /// When each run that goes on is expected to be done.
    #[must_use]
    pub fn etas(&self) -> Vec<Eta> {
        let now = self.now();
        self.with_fleet(|fleet| fleet.etas(now))
    }
}
