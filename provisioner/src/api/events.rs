// SPDX-License-Identifier: Apache-2.0
//! The journal's events for followers: pages, long polls and server-sent events over the same cursor.

use super::guard::revoked;
use super::operator::known;
use super::paging::{PageQuery, link};
use super::problem::Refusal;
use super::scope::{Scope, SiteScopes};
use super::sse;
use super::wrong;
use crate::provisioner::Provisioner;
use crate::serve::Bell;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use groundstate_api::NodeId;
use groundstate_api::event::{Event, Happened};
use groundstate_api::site::Site;
use groundstate_api::view::{EventPage, Phase};
use prov_core::Peer;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The longest wait of a long poll, so that a dead connection is noticed.
pub(super) const WAIT_MAX: Duration = Duration::from_millis(30_000);
/// The most events in one page: with inventories and plans in it, about 2 MiB.
const PAGE_MAX: usize = 200;
/// Events that are looked at for one answer where few are shown: half a second. Whoever asks goes on behind them.
const LOOKED_AT_MAX: usize = 20_000;
/// Where a stream goes on after it was cut off.
const LAST_EVENT_ID: &str = "last-event-id";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    #[serde(default)]
    after: u64,
    node: Option<String>,
    rack: Option<String>,
    #[serde(default, deserialize_with = "super::paging::phase")]
    phase: Option<Phase>,
    #[serde(default)]
    wait_ms: u64,
    /// Not behind `after`, but the newest ones.
    #[serde(default)]
    newest: bool,
    limit: Option<u32>,
}

pub(crate) async fn events(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    Extension(scopes): Extension<SiteScopes>,
    bell: Option<Extension<Bell>>,
    headers: HeaderMap,
    uri: Uri,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|error| wrong::query(&error))?;
    let limit = PageQuery {
        limit: query.limit,
        cursor: None,
    };
    let limit = limit.paging()?.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let site = ours.site();
    let scope = scopes.of(&ours, &peer);
    let node = match query.node.as_deref() {
        Some(name) => {
            scope.check_name(name)?;
            Some(known(&ours, name)?)
        }
        None => None,
    };
    let rack = query.rack.map(|rack| (nodes_of(&ours, &rack), rack));
    let streams = wants_stream(&headers);
    if streams && query.newest {
        return Err(no_newest());
    }
    let last_seen = headers.get(LAST_EVENT_ID).filter(|_| streams);
    let after = match last_seen {
        Some(last) => last
            .to_str()
            .ok()
            .and_then(|last| last.trim().parse().ok())
            .ok_or_else(|| Refusal::field("Last-Event-ID", "the number of an event"))?,
        None => query.after,
    };
    let newest = ours.newest_here();
    if let Some(newest) = newest.filter(|newest| after > *newest) {
        let field = last_seen.map_or("after", |_| "Last-Event-ID");
        return Err(beyond(field, after, newest));
    }
    let mut follower = Follower {
        news: ours.follow(),
        ours,
        after,
        node,
        limit,
        shown: Shown {
            peer,
            scopes,
            site,
            scope,
            rack,
            phase: query.phase,
        },
    };
    if query.newest {
        return follower.newest_page().await;
    }
    if streams {
        return Ok(sse::stream(follower, bell.map(|Extension(bell)| bell)));
    }
    let wait = Duration::from_millis(query.wait_ms).min(WAIT_MAX);
    let events = follower.next_page(Instant::now() + wait).await?;
    let next_after = follower.after;
    let more = next_after < *follower.news.borrow();
    let mut response = Json(EventPage { events, next_after }).into_response();
    let next = more.then(|| link(&uri, "after", &next_after.to_string()));
    if let Some(next) = next.flatten() {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

/// The nodes of a rack.
pub(super) fn nodes_of(ours: &Provisioner, rack: &str) -> BTreeSet<NodeId> {
    let site = ours.site();
    let in_rack = site
        .nodes
        .iter()
        .filter(|node| node.slot.as_ref().is_some_and(|slot| slot.rack == rack));
    in_rack.map(|node| node.name.clone()).collect()
}

/// 400: whoever waits behind a number that was never given would wait for long, and miss what comes until then.
fn beyond(field: &str, after: u64, newest: u64) -> Refusal {
    let what = format!(
        "there is no event {after} yet: the newest is {newest}. The journal was restored from an older copy, or the number is another site's"
    );
    let mut refusal = Refusal::field(field, what);
    let from = match field {
        "after" => format!("after={newest}"),
        header => format!("{header}: {newest}"),
    };
    refusal.reason.next_step =
        format!("look at what there is (newest=true), and follow what comes from there: {from}");
    refusal
}

fn no_newest() -> Refusal {
    let what = "a stream goes on behind a number; name it with after, or with Last-Event-ID";
    Refusal::field("newest", what)
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/event-stream"))
}

/// Which events a follower is shown.
pub(super) struct Shown {
    peer: Peer,
    scopes: SiteScopes,
    /// The site that scope and rack are of.
    site: Arc<Site>,
    scope: Scope,
    rack: Option<(BTreeSet<NodeId>, String)>,
    phase: Option<Phase>,
}

impl Shown {
    /// Asks again what the caller may see: a stream outlives sites and certificates.
    ///
    /// # Errors
    /// 403 where its certificate was revoked.
    fn renew(&mut self, ours: &Provisioner) -> Result<(), Refusal> {
        if ours.pki().access().is_revoked(&self.peer) {
            return Err(revoked(&self.peer));
        }
        let site = ours.site();
        if !Arc::ptr_eq(&site, &self.site) {
            self.scope = self.scopes.of(ours, &self.peer);
            if let Some((nodes, rack)) = &mut self.rack {
                *nodes = nodes_of(ours, rack);
            }
            self.site = site;
        }
        Ok(())
    }

    fn shows(&self, event: &Event) -> bool {
        if matches!(event.what, Happened::Audited { .. }) {
            return false; // It has a path of its own, for admins.
        }
        let by_phase = self.phase.is_none_or(
            |phase| matches!(&event.what, Happened::PhaseChanged { to, .. } if *to == phase),
        );
        by_phase
            && match &event.node {
                Some(node) => {
                    let rack = self.rack.as_ref();
                    let in_rack = rack.is_none_or(|(nodes, _)| nodes.contains(node));
                    in_rack && self.scope.sees(node)
                }
                None => self.rack.is_none() && (self.scope.is_all() || of_everybody(&event.what)),
            }
    }
}

/// What concerns everybody, also those that are bound to racks.
fn of_everybody(what: &Happened) -> bool {
    matches!(
        what,
        Happened::Braked { .. } | Happened::LeaderChanged { .. }
    )
}

pub(super) struct Follower {
    ours: Provisioner,
    pub(super) news: watch::Receiver<u64>,
    pub(super) after: u64,
    node: Option<NodeId>,
    limit: usize,
    shown: Shown,
}

impl Follower {
    /// The newest events, the oldest of them first; as many fewer as are not shown. Who follows goes on behind them.
    async fn newest_page(self) -> Result<Response, Refusal> {
        let (ours, node) = (self.ours.clone(), self.node.clone());
        let (newest, limit) = (*self.news.borrow(), self.limit);
        let read = move || ours.latest(limit, node.as_ref());
        let mut events = tokio::task::spawn_blocking(read).await??;
        let next_after = events.last().map_or(newest, |last| last.number.max(newest));
        events.retain(|event| self.shown.shows(event));
        Ok(Json(EventPage { events, next_after }).into_response())
    }

    /// The next events; empty where none came until `deadline`, or where none of very many is shown.
    pub(super) async fn next_page(&mut self, deadline: Instant) -> Result<Vec<Event>, Refusal> {
        let (mut at_once, mut looked_at) = (self.limit, 0);
        loop {
            let newest = *self.news.borrow_and_update();
            if newest > self.after {
                let (ours, node) = (self.ours.clone(), self.node.clone());
                let after = self.after;
                let read = move || ours.events(after, at_once, node.as_ref());
                let mut events = tokio::task::spawn_blocking(read).await??;
                self.shown.renew(&self.ours)?;
                // An event that is not shown moves the cursor too, so that it is not looked at again. What was written while we
                // read is not skipped: the newest that we knew of is not beyond it.
                let full = events.len() == at_once;
                let last = events.last().map_or(newest, |last| last.number);
                self.after = if full { last } else { last.max(newest) };
                looked_at += events.len();
                events.retain(|event| self.shown.shows(event));
                if events.len() > self.limit {
                    events.truncate(self.limit);
                    self.after = events.last().map_or(after, |last| last.number);
                }
                if !events.is_empty() || looked_at >= LOOKED_AT_MAX {
                    return Ok(events);
                }
                if full {
                    // Where little is shown, a small page is not looked for in small pieces.
                    at_once = PAGE_MAX;
                    continue;
                }
            }
            match tokio::time::timeout_at(deadline, self.news.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok(Vec::new()),
            }
        }
    }
}
