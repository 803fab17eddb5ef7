// SPDX-License-Identifier: Apache-2.0
//! The thread that asks the provisioner where to get the next pieces.

use super::book::{Ask, Room};
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The longest sleep between two looks at what is late.
const LOOK: Duration = Duration::from_millis(250);

/// Asks until the room is gone or over.
pub(super) fn ask(room: &Weak<Room>, ask: &Ask) {
    while let Some(room) = room.upgrade().filter(|room| !room.is_over()) {
        let (due, gave_back) = {
            let mut ledger = room.ledger();
            let gave_back = ledger.look(room.now());
            (ledger.due(), gave_back)
        };
        if gave_back {
            room.tell();
        }
        let left = Duration::from_millis(due.since(room.now()).0);
        if left > Duration::ZERO {
            room.sleep(left.min(LOOK));
            continue;
        }
        let question = room.question();
        let troubles = question.troubles.clone();
        match ask(&question) {
            Ok(answer) => {
                room.pace.set(answer.rate.map(|rate| rate.0));
                room.shelf().shed(room.pieces(), &answer.shed);
                let changes = !answer.fetch.is_empty();
                room.ledger().take(room.now(), &answer);
                if changes {
                    room.tell();
                }
            }
            Err(said) => {
                room.failures.fetch_add(1, Ordering::Relaxed);
                room.unanswered(troubles, said);
                room.tell();
            }
        }
    }
}
