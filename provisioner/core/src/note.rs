// SPDX-License-Identifier: Apache-2.0
//! What is remembered without the journal: figures, sightings, who called when. It decides nothing; after a restart all of it
//! is gone, and nothing is wrong for that.

use crate::deadline::SIGHTING_AGAIN;
use crate::node::Node;
use alloc::boxed::Box;
use alloc::string::String;
use groundstate_api::boot::BootSighting;
use groundstate_api::enrol::RescueShell;
use groundstate_api::healing::MeasureView;
use groundstate_api::plan::Step;
use groundstate_api::run::StepState;
use groundstate_api::{Millis, ReasonCode};

/// What is remembered without the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The host's agent called.
    Heard,
    /// The maintenance OS called.
    Spoke,
    /// A running step's figures.
    Running(u64, Step, StepState),
    /// A sighting.
    Boot(BootSighting),
    /// A refusal of this kind was journalled.
    Refused(ReasonCode),
    /// The machine asked to enrol and was refused.
    Asked,
    /// Another boot of the machine was refused, because the run has its key.
    SecondKey,
    /// A report of the run was taken.
    Moved,
    /// The plan was asked for.
    PlanAsked,
    /// A sighting of this kind and file was journalled.
    Sighted(String),
    /// What its host says of its health was journalled.
    HealthSaid,
    /// Where its plan stands in the queue.
    Place(u32, u32),
    /// What the policy thinks of doing next.
    Considered(Option<Box<MeasureView>>),
    /// How to come into the machine in its rescue.
    Shell(Option<RescueShell>),
    /// Whether the host can set what its firmware boots next.
    BootsNext(bool),
}

impl Node {
    /// Takes a note in.
    pub fn note(&mut self, now: Millis, note: Note) {
        match note {
            Note::Heard => self.live.heard = Some(now),
            Note::Spoke => {
                // A machine is in one boot at a time: who asked in another one before this call is another machine.
                self.live.contested |= self.live.second_key.is_some();
                self.live.spoke = Some(now);
            }
            Note::Running(number, step, state) => self.live.running = Some((number, step, state)),
            Note::Boot(sighting) => self.live.boot = Some((now, sighting)),
            Note::Refused(code) => {
                self.live.refusals.insert(code, now);
            }
            Note::Asked => self.live.asked = Some(now),
            Note::SecondKey => self.live.second_key = Some(now),
            Note::Moved => self.live.moved = Some(now),
            Note::PlanAsked => self.live.plan_asked = Some(now),
            Note::Sighted(kind) => {
                let recent = |at: &Millis| now.since(*at) < SIGHTING_AGAIN;
                self.live.sightings.retain(|_, at| recent(at));
                self.live.sightings.insert(kind, now);
            }
            Note::HealthSaid => self.live.health_said = Some(now),
            Note::Place(place, of) => self.live.place = Some((place, of)),
            Note::Considered(view) => self.live.measure = view,
            Note::Shell(shell) => self.live.shell = shell,
            Note::BootsNext(can) => self.live.boots_next = can,
        }
    }
}
