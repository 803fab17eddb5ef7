// SPDX-License-Identifier: Apache-2.0
//! The index of the audit trail: what orders are found by, written in the transaction that writes their events, so that a filter
//! reads nothing but what it asks for, however long the journal is.
//!
//! A journal that an older groundstate began has orders without an index before the number under `orders-from`; those are looked
//! for among the events, page by page.

use super::journal::{EtcdJournal, nonsense};
use super::keys::{Keys, OrdersOf, number_of};
use super::wire::{KeyValue, TxnAnswer, get, put, txn, values, within};
use crate::audit::{Audited, Orders, by_looking, node_of};
use crate::{JournalError, Reader as _};
use groundstate_api::event::{Event, Happened};
use groundstate_api::{Millis, NodeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Entries of the index that are read at once; each has about 100 bytes.
const ENTRIES: usize = 1_000;
/// Events that are asked for at once: operations of one transaction.
const AT_ONCE: usize = 100;

/// What an order is filtered by.
#[derive(Serialize, Deserialize)]
struct Entry {
    at: Millis,
    by: String,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    dry_run: bool,
}

impl Entry {
    fn is_wanted(&self, wanted: &Orders<'_>) -> bool {
        wanted.by.is_none_or(|by| by == self.by) && wanted.wants_when(self.at, self.dry_run)
    }
}

/// The operation that writes an event's entries; `None` where it is no order.
pub(super) fn entries(keys: &Keys, event: &Event) -> Result<Option<Value>, JournalError> {
    let Happened::Audited { audit } = &event.what else {
        return Ok(None);
    };
    let entry = Entry {
        at: event.at,
        by: audit.by.clone(),
        dry_run: audit.dry_run,
    };
    let value = serde_json::to_vec(&entry).map_err(JournalError::Encode)?;
    let node: Option<NodeId> = node_of(audit).and_then(|node| node.parse().ok());
    let places = [
        Some(OrdersOf::All),
        Some(OrdersOf::Caller(&audit.by)),
        node.as_ref().map(OrdersOf::Node),
    ];
    let places = places.into_iter().flatten();
    let puts: Vec<Value> = places
        .map(|of| put(&keys.order(event.number, of), &value))
        .collect();
    Ok(Some(within(&puts)))
}

impl EtcdJournal {
    /// The number from which on orders stand in the index.
    pub(super) fn orders_from(&self) -> Result<Option<u64>, JournalError> {
        let Some((value, _)) = self.get(&self.keys.orders_from())? else {
            return Ok(None);
        };
        let number = String::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok());
        number
            .map(Some)
            .ok_or(JournalError::Range("where the index of orders begins"))
    }

    pub(super) fn orders(
        &self,
        after: u64,
        limit: usize,
        wanted: Orders<'_>,
    ) -> Result<Audited, JournalError> {
        // Before the look: what is written beside it is found by the next one.
        let newest = self.newest()?;
        let from = self.orders_from()?;
        // Where nobody has written an order with an index, every one is looked for.
        let unlisted = from.map_or(u64::MAX, |from| from.saturating_sub(1));
        let mut found = Audited {
            events: Vec::new(),
            looked_to: after,
            more: true,
        };
        if after < unlisted.min(newest) {
            found = by_looking(self, after, limit, (wanted, unlisted))?;
            if found.more || from.is_none() {
                return Ok(found);
            }
        }
        let (mut next, mut ended) = (
            found.looked_to.max(unlisted).saturating_add(1),
            from.is_none(),
        );
        while found.events.len() < limit && !ended {
            let (numbers, last) = self.listed(next, &wanted)?;
            ended = last.is_none();
            next = last.map_or(next, |last| last.saturating_add(1));
            let room = limit - found.events.len();
            found.events.extend(self.numbered(&numbers, room)?);
        }
        let full = found.events.len() >= limit;
        let last = found.events.last().map(|event| event.number);
        found.looked_to = match last {
            Some(last) if full => last,
            Some(last) => newest.max(after).max(last),
            None => newest.max(after),
        };
        found.more = full;
        Ok(found)
    }

    /// Numbers of wanted orders from one on, of one page of the index; and the last number in that page, where it was full.
    fn listed(
        &self,
        next: u64,
        wanted: &Orders<'_>,
    ) -> Result<(Vec<u64>, Option<u64>), JournalError> {
        let of = match (wanted.node, wanted.by) {
            (Some(node), _) => OrdersOf::Node(node),
            (None, Some(by)) => OrdersOf::Caller(by),
            (None, None) => OrdersOf::All,
        };
        let (first, end) = (self.keys.order(next, of), self.keys.orders_end(of));
        let page = self.page(&first, &end, ENTRIES)?;
        let (mut numbers, mut last) = (Vec::new(), None);
        for kv in &page.kvs {
            let number = kv.key().as_deref().and_then(number_of);
            let number = number.ok_or(JournalError::Range("an order's key"))?;
            last = Some(number);
            if entry_of(number, kv)?.is_wanted(wanted) {
                numbers.push(number);
            }
        }
        Ok((numbers, last.filter(|_| page.kvs.len() == ENTRIES)))
    }

    /// The events of these numbers, at most `limit`.
    fn numbered(&self, numbers: &[u64], limit: usize) -> Result<Vec<Event>, JournalError> {
        let mut events = Vec::new();
        let numbers = numbers.get(..limit.min(numbers.len())).unwrap_or_default();
        for some in numbers.chunks(AT_ONCE) {
            let gets: Vec<Value> = some.iter().map(|n| get(&self.keys.event(*n))).collect();
            let answer: TxnAnswer = self.ask("kv/txn", &txn(&[], &gets, &[]))?;
            for (number, value) in some.iter().zip(values(&answer)) {
                events.push(self.event(*number, &value)?);
            }
        }
        Ok(events)
    }
}

fn entry_of(number: u64, kv: &KeyValue) -> Result<Entry, JournalError> {
    let value = kv.value().ok_or(nonsense("a value that is no base64"))?;
    serde_json::from_slice(&value).map_err(|source| JournalError::Event { number, source })
}
