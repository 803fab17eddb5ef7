// SPDX-License-Identifier: Apache-2.0
//! The newest events in memory, so that a thousand who follow them do not each read the journal for each one.

use groundstate_api::NodeId;
use groundstate_api::event::{Event, Happened};
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

/// How many are kept: a second of the busiest wave.
const KEPT_MAX: usize = 4_096;

/// The ring.
#[derive(Default)]
pub(crate) struct Recent(RwLock<VecDeque<Kept>>);

struct Kept {
    number: u64,
    node: Option<NodeId>,
    /// Inventories and plans are long: they are read from the journal.
    event: Option<Arc<Event>>,
}

impl Recent {
    /// Takes events in that follow the newest.
    pub(crate) fn keep(&self, events: Vec<Event>) {
        let mut ring = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            let follows = ring.back().is_none_or(|b| b.number + 1 == event.number);
            if !follows {
                ring.clear();
            }
            if ring.len() >= KEPT_MAX {
                ring.pop_front();
            }
            ring.push_back(Kept {
                number: event.number,
                node: event.node.clone(),
                event: is_short(&event.what).then(|| Arc::new(event)),
            });
        }
    }

    /// At most `limit` events above `after`. `None` where the journal is to be asked.
    pub(crate) fn read(
        &self,
        after: u64,
        limit: usize,
        node: Option<&NodeId>,
    ) -> Option<Vec<Event>> {
        let wanted: Vec<Option<Arc<Event>>> = {
            let ring = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let first = ring.front()?.number;
            if after.saturating_add(1) < first {
                return None;
            }
            let skip = usize::try_from(after.saturating_add(1) - first).unwrap_or(usize::MAX);
            let of = |kept: &&Kept| node.is_none_or(|node| kept.node.as_ref() == Some(node));
            let found = ring.iter().skip(skip).filter(of).take(limit);
            found.map(|kept| kept.event.clone()).collect()
        };
        let copy = |event: Option<Arc<Event>>| event.map(|event| Event::clone(&event));
        wanted.into_iter().map(copy).collect()
    }
}

fn is_short(what: &Happened) -> bool {
    !matches!(
        what,
        Happened::InventoryTaken { .. }
            | Happened::Planned { .. }
            | Happened::Adopted { .. }
            | Happened::DiskErased { .. }
            | Happened::MachineSeen { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::Millis;

    #[test]
    fn it_says_what_it_has_and_where_the_journal_must_be_asked() {
        let event = |number: u64, what| Event {
            number,
            at: Millis(number),
            node: Some(format!("n{}", number % 2).parse().unwrap()),
            what,
        };
        let short = |number| event(number, Happened::NodeAdded);
        let recent = Recent::default();
        assert_eq!(recent.read(0, 9, None), None);
        recent.keep((10..20).map(short).collect());
        assert_eq!(recent.read(8, 9, None), None, "9 is in the journal only");
        let numbers = |after, limit, node: Option<&str>| {
            let node = node.map(|n| n.parse().unwrap());
            let events = recent.read(after, limit, node.as_ref()).unwrap();
            events.iter().map(|e| e.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(9, 3, None), [10, 11, 12]);
        assert_eq!(numbers(16, 9, Some("n1")), [17, 19]);
        assert!(numbers(19, 9, None).is_empty());
        assert!(numbers(u64::MAX, 9, None).is_empty());
        recent.keep(vec![short(30)]);
        assert_eq!(recent.read(19, 9, None), None, "20 to 29 are another's");
        recent.keep((31..31 + 5_000).map(short).collect());
        assert_eq!(recent.read(30, 9, None), None);
        assert_eq!(numbers(5_028, 9, None), [5_029, 5_030]);
    }
}
