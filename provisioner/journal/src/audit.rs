// SPDX-License-Identifier: Apache-2.0
//! The audit trail among the events: which orders are asked for, and how they are found where an engine has no index.

use crate::{JournalError, Reader};
use groundstate_api::NodeId;
use groundstate_api::audit::Audit;
use groundstate_api::event::{Event, Happened};

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
    pub fn wants(&self, audit: &Audit) -> bool {
        let of_node = |node: &NodeId| {
            let path = audit.did.split(' ').nth(1).unwrap_or_default();
            let rest = path
                .strip_prefix(PATH)
                .and_then(|rest| rest.strip_prefix(node.as_str()));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.by.is_none_or(|by| by == audit.by) && self.node.is_none_or(of_node)
    }
}

/// Before a node's name in a path.
pub(crate) const PATH: &str = "/v1/nodes/";

/// Looks through the events; an answer with fewer orders than asked for is not the last one while it says that there is more.
pub(crate) fn by_looking<R: Reader + ?Sized>(
    reader: &R,
    mut after: u64,
    limit: usize,
    wanted: Orders<'_>,
) -> Result<Audited, JournalError> {
    let (mut events, mut looked_at) = (Vec::new(), 0);
    loop {
        let read = reader.read(after, READ_AT_ONCE, None)?;
        let all = read.len() < READ_AT_ONCE;
        looked_at += read.len();
        for event in read {
            after = event.number;
            let Happened::Audited { audit } = &event.what else {
                continue;
            };
            if !wanted.wants(audit) {
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
