// SPDX-License-Identifier: Apache-2.0
//! The boot answers as a boot service on another machine has them: a table that was fetched some time ago.
//!
//! It answers from memory. It refuses to send a machine into the maintenance OS on the word of an old table: whether a run
//! is still ordered is then unknown, and a machine whose run is unknown boots its own disk.

use crate::reasons;
use alloc::string::ToString as _;
use groundstate_api::boot::{BootAnswer, BootQuestion};
use groundstate_api::boot_answers::BootAnswers;
use groundstate_api::limits::ENROLMENT_WINDOW_MAX;
use groundstate_api::{MacAddr, Millis, SCHEMA};

/// A table is old after this: an order that was open when it was fetched has lapsed by now.
pub const STALE: Millis = ENROLMENT_WINDOW_MAX;

/// How fresh the answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// No table was ever fetched.
    Absent,
    /// The table is as old as said, and counts.
    Fresh(Millis),
    /// The table is as old as said, and too old.
    Stale(Millis),
}

/// The mirrored table.
#[derive(Clone, Debug, Default)]
pub struct BootMirror {
    table: Option<(Millis, BootAnswers)>,
}

impl BootMirror {
    /// Takes a table in that was right at this moment. One of another schema, or one that comes from the future, is not
    /// taken.
    pub fn take(&mut self, now: Millis, right_at: Millis, table: BootAnswers) -> bool {
        let good = table.schema == SCHEMA && right_at <= now;
        if good {
            self.table = Some((right_at, table));
        }
        good
    }

    /// The provisioner has just said that the table is still right.
    pub fn still_right(&mut self, now: Millis) {
        if let Some((right_at, _)) = &mut self.table {
            *right_at = now;
        }
    }

    /// The table, and when it was right.
    #[must_use]
    pub const fn table(&self) -> Option<&(Millis, BootAnswers)> {
        self.table.as_ref()
    }

    /// How fresh the answers are.
    #[must_use]
    pub fn freshness(&self, now: Millis) -> Freshness {
        match &self.table {
            None => Freshness::Absent,
            // A clock that was set back says nothing about age.
            Some((right_at, _)) if now < *right_at => Freshness::Stale(Millis(0)),
            Some((right_at, _)) => match now.since(*right_at) {
                age if age < STALE => Freshness::Fresh(age),
                age => Freshness::Stale(age),
            },
        }
    }

    /// Whether the machine is a node's.
    #[must_use]
    pub fn knows(&self, mac: MacAddr) -> bool {
        let table = self.table.as_ref().map(|(_, table)| table);
        table.is_some_and(|table| table.of(mac).is_some())
    }

    /// Answers the boot service's one question.
    #[must_use]
    pub fn ask(&self, now: Millis, question: &BootQuestion) -> BootAnswer {
        let Some((_, table)) = &self.table else {
            return BootAnswer::LOCAL_DISK;
        };
        let fresh = matches!(self.freshness(now), Freshness::Fresh(_));
        match (table.of(question.mac), &table.strangers) {
            (Some(node), _) if fresh => node.to(question).clone(),
            (Some(node), _) => safe(&node.away),
            (None, BootAnswer::Refuse { .. }) => BootAnswer::Refuse {
                reason: reasons::unknown_machine(&question.mac.to_string()),
            },
            (None, strangers) if fresh => strangers.clone(),
            (None, strangers) => safe(strangers),
        }
    }
}

/// The answer where it sends a machine to its own disk; else the local disk in the usual way.
fn safe(answer: &BootAnswer) -> BootAnswer {
    match answer {
        BootAnswer::LocalDisk { .. } => answer.clone(),
        BootAnswer::MaintenanceOs
        | BootAnswer::Recipe { .. }
        | BootAnswer::Nothing
        | BootAnswer::Refuse { .. } => BootAnswer::LOCAL_DISK,
    }
}
