// SPDX-License-Identifier: Apache-2.0
//! The journal's events for followers: pages, long polls and server-sent events over the same cursor.

use super::operator::known;
use super::problem::Refusal;
use crate::provisioner::Provisioner;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use groundstate_api::NodeId;
use groundstate_api::event::Event;
use groundstate_api::view::EventPage;
use serde::Deserialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The longest wait of a long poll, so that a dead connection is noticed.
const WAIT_MAX: Duration = Duration::from_millis(30_000);
/// The most events in one page: with inventories and plans in it, about 2 MiB.
const PAGE_MAX: usize = 200;

#[derive(Deserialize)]
pub(crate) struct EventsQuery {
    #[serde(default)]
    after: u64,
    node: Option<String>,
    #[serde(default)]
    wait_ms: u64,
}

pub(crate) async fn events(
    State(ours): State<Provisioner>,
    headers: HeaderMap,
    query: Result<Query<EventsQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::field("query", error.body_text()))?;
    let node = query
        .node
        .as_deref()
        .map(|name| known(&ours, name))
        .transpose()?;
    let mut follower = Follower {
        news: ours.follow(),
        ours,
        after: query.after,
        node,
    };
    if wants_stream(&headers) {
        return Ok(stream(follower));
    }
    let wait = Duration::from_millis(query.wait_ms).min(WAIT_MAX);
    let events = follower.next_page(Instant::now() + wait).await?;
    let next_after = follower.after;
    Ok(Json(EventPage { events, next_after }).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/event-stream"))
}

struct Follower {
    ours: Provisioner,
    news: watch::Receiver<u64>,
    after: u64,
    node: Option<NodeId>,
}

impl Follower {
    /// The next events; empty where none came until `deadline`.
    async fn next_page(&mut self, deadline: Instant) -> Result<Vec<Event>, Refusal> {
        loop {
            let newest = *self.news.borrow_and_update();
            if newest > self.after {
                let (ours, node, after) = (self.ours.clone(), self.node.clone(), self.after);
                let read = move || ours.events(after, PAGE_MAX, node.as_ref());
                let events = tokio::task::spawn_blocking(read).await??;
                // An event of another node moves the cursor too, so that it is not looked at again.
                self.after = events.last().map_or(newest, |last| last.number);
                if !events.is_empty() {
                    return Ok(events);
                }
            }
            match tokio::time::timeout_at(deadline, self.news.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok(Vec::new()),
            }
        }
    }
}

fn stream(follower: Follower) -> Response {
    let start = (follower, VecDeque::new());
    let events = futures_util::stream::unfold(start, |(mut follower, mut ready)| async move {
        while ready.is_empty() {
            let page = follower.next_page(Instant::now() + WAIT_MAX).await;
            match page {
                Ok(page) => ready.extend(page),
                Err(_) => return None, // The journal failed; the client connects again with its cursor.
            }
            if follower.news.has_changed().is_err() {
                return None;
            }
        }
        let event: Event = ready.pop_front()?;
        let data = serde_json::to_string(&event).ok()?;
        let item = sse::Event::default()
            .id(event.number.to_string())
            .data(data);
        Some((Ok::<_, Infallible>(item), (follower, ready)))
    });
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}
