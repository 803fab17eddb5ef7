// SPDX-License-Identifier: Apache-2.0
//! A decision's wishes, sorted for whoever makes them durable: events with their numbers, and actions with the numbers of the
//! events that began them.

use crate::decide::{Note, Reply, Wish};
use alloc::vec::Vec;
use groundstate_api::action::{Action, ActionId};
use groundstate_api::event::{Event, Happened};
use groundstate_api::{Millis, NodeId, RunId};

/// A decision's wishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// To be made durable, all of them or none, and folded in.
    pub events: Vec<Event>,
    /// To be taken in after that.
    pub notes: Vec<Note>,
    /// Runs whose plans are to be made.
    pub plans: Vec<RunId>,
    /// To be carried out at the machine, once the events are durable.
    pub carry: Vec<Action>,
    /// To be answered, once the events are durable.
    pub reply: Option<Reply>,
}

/// Sorts the wishes of a decision; its first event has the number `first`.
#[must_use]
pub fn settle(first: u64, at: Millis, node: Option<&NodeId>, wishes: Vec<Wish>) -> Settled {
    let mut settled = Settled::default();
    let mut number = first;
    let mut begun = ActionId(0);
    // An action that was begun here has no number of its own yet.
    let numbered = |mut action: Action, begun: ActionId| {
        if action.id == ActionId(0) {
            action.id = begun;
        }
        action
    };
    for wish in wishes {
        match wish {
            Wish::Append(mut what) => {
                if let Happened::ActionBegun { action } = &mut what {
                    begun = ActionId(number);
                    action.id = begun;
                }
                settled.events.push(Event {
                    number,
                    at,
                    node: node.cloned(),
                    what,
                });
                number = number.saturating_add(1);
            }
            Wish::Note(note) => settled.notes.push(note),
            Wish::MakePlan(run) => settled.plans.push(run),
            Wish::Carry(action) => settled.carry.push(numbered(action, begun)),
            Wish::Reply(Reply::Action(action)) => {
                settled.reply = Some(Reply::Action(alloc::boxed::Box::new(numbered(
                    *action, begun,
                ))));
            }
            Wish::Reply(reply) => settled.reply = Some(reply),
        }
    }
    settled
}
