// SPDX-License-Identifier: Apache-2.0
//! The audit trail among the events: which orders are asked for, and how they are found where an engine has no index.

use crate::{JournalError, Reader};
use groundstate_api::audit::Audit;
use groundstate_api::event::{Event, Happened};
use groundstate_api::{Millis, NodeId};

/// Events that are looked at for one answer where there is no index: half a second.
const LOOKED_AT_MAX: usize = 20_000;
/// Events that are read at once.
const READ_AT_ONCE: usize = 1_000;

/// Which orders.
#[derive(Clone, Copy, Debug, Default)]
pub struct Orders<'a> {
    /// Of this caller.
    pub by: Option<&'a str>,
    /// About this node: those whose path names it.
    pub node: Option<&'a NodeId>,
    /// Not before this moment.
    pub since: Option<Millis>,
    /// Before this moment.
    pub until: Option<Millis>,
    /// Without those that only asked what would come of it.
    pub no_dry_runs: bool,
}

/// Orders that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// By rising number.
    pub events: Vec<Event>,
    /// Where the next page goes on.
    pub looked_to: u64,
    /// Whether there may be more.
    pub more: bool,
}

impl Orders<'_> {
    /// Whether an order is one of them.
    #[must_use]
    pub fn wants(&self, at: Millis, audit: &Audit) -> bool {
        self.by.is_none_or(|by| by == audit.by)
            && self
                .node
                .is_none_or(|node| node_of(audit) == Some(node.as_str()))
            && self.wants_when(at, audit.dry_run)
    }

    /// The part of it that neither caller nor node says.
    pub(crate) fn wants_when(&self, at: Millis, dry_run: bool) -> bool {
        self.since.is_none_or(|since| since <= at)
            && self.until.is_none_or(|until| at < until)
            && !(self.no_dry_runs && dry_run)
    }
}

/// The node that an order's path names.
pub(crate) fn node_of(audit: &Audit) -> Option<&str> {
    let path = audit.did.split(' ').nth(1)?;
    path.strip_prefix(PATH)?.split('/').next()
}

/// Before a node's name in a path.
pub(crate) const PATH: &str = "/v1/nodes/";

/// Looks through the events up to `to`; an answer with fewer orders than asked for is not the last one while it says that there is more.
pub(crate) fn by_looking<R: Reader + ?Sized>(
    reader: &R,
    mut after: u64,
    limit: usize,
    (wanted, to): (Orders<'_>, u64),
) -> Result<Audited, JournalError> {
    let (mut events, mut looked_at) = (Vec::new(), 0);
    loop {
        let read = reader.read(after, READ_AT_ONCE, None)?;
        let all = read.len() < READ_AT_ONCE || read.last().is_none_or(|last| last.number >= to);
        looked_at += read.len();
        for event in read.into_iter().take_while(|event| event.number <= to) {
            after = event.number;
            let Happened::Audited { audit } = &event.what else {
                continue;
            };
            if !wanted.wants(event.at, audit) {
                continue;
            }
            events.push(event);
            if events.len() == limit {
                return Ok(Audited {
                    events,
                    looked_to: after,
                    more: true,
                });
            }
        }
        if all || looked_at >= LOOKED_AT_MAX {
            return Ok(Audited {
                events,
                looked_to: after,
                more: !all,
            });
        }
    }
}
