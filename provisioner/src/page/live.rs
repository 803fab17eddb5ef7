// SPDX-License-Identifier: Apache-2.0
//! The stream that tells an open page that there is something new: a mark, and nothing else. The page then asks for
//! itself again, so that every word is made in one place.

use super::{Page, harden};
use crate::provisioner::Provisioner;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use groundstate_api::NodeId;
use serde::Deserialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Streams at once: a connection each.
const STREAMS_MAX: usize = 200;
/// How often a node is looked at.
const NODE_EVERY: Duration = Duration::from_secs(1);
/// How often the fleet is: its pages are large.
const FLEET_EVERY: Duration = Duration::from_secs(2);
/// News without an event, so that "for 12 min" does not stand still for long.
const ANYWAY: Duration = Duration::from_secs(30);

/// The streams that are open.
#[derive(Default)]
pub(super) struct Streams(AtomicUsize);

/// A place among them, given back when dropped.
struct Place(Arc<Streams>);

impl Streams {
    fn enter(self: &Arc<Self>) -> Option<Place> {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.clone());
        (before < STREAMS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Deserialize)]
pub(super) struct Of {
    /// The node; the whole fleet where absent.
    #[serde(default)]
    node: Option<String>,
}

/// What a page is about.
#[derive(Clone)]
enum Subject {
    Fleet,
    Node(NodeId),
}

impl Subject {
    fn mark(&self, ours: &Provisioner) -> String {
        match self {
            Self::Fleet => ours.fleet_view().newest.to_string(),
            Self::Node(node) => mark_of(ours, node),
        }
    }
    const fn every(&self) -> Duration {
        match self {
            Self::Fleet => FLEET_EVERY,
            Self::Node(_) => NODE_EVERY,
        }
    }
}

/// What changes when something of a node does: its newest event, how far its step is, what was seen of its boot.
pub(super) fn mark_of(ours: &Provisioner, node: &NodeId) -> String {
    ours.with_node(node, |node| {
        let step = node.live.running.as_ref();
        let step = step.map(|(number, _, state)| format!("{number}{state:?}"));
        let boot = node.live.boot.as_ref().map(|(at, _)| at.0);
        let heard = node.live.heard.map(|at| at.0);
        let live = format!("{step:?}{boot:?}{heard:?}");
        format!("{}-{}", node.version, short(&live))
    })
    .unwrap_or_default()
}

/// Eight digits that differ where the text does.
fn short(text: &str) -> String {
    let digest = groundstate_api::Digest::of(text.as_bytes()).hex();
    digest.chars().take(8).collect()
}

pub(super) async fn stream(State(page): State<Page>, Query(of): Query<Of>) -> Response {
    let subject = match of.node {
        None => Subject::Fleet,
        Some(name) => match page.node(&name) {
            Ok(node) => Subject::Node(node),
            Err(response) => return response,
        },
    };
    let Some(place) = page.streams.enter() else {
        let text = "Too many pages are live at once; this one is not.\n";
        return harden((StatusCode::SERVICE_UNAVAILABLE, text).into_response());
    };
    let follower = Follower {
        ours: page.ours,
        subject,
        told: None,
        at: Instant::now(),
        _place: place,
    };
    let events = futures_util::stream::unfold(follower, |mut follower| async move {
        let mark = follower.next().await;
        Some((Ok::<_, Infallible>(Event::default().data(mark)), follower))
    });
    harden(
        Sse::new(events)
            .keep_alive(KeepAlive::default())
            .into_response(),
    )
}

struct Follower {
    ours: Provisioner,
    subject: Subject,
    told: Option<String>,
    at: Instant,
    _place: Place,
}

impl Follower {
    /// The next mark that was not told, or the same one after a while.
    async fn next(&mut self) -> String {
        loop {
            if self.told.is_some() {
                tokio::time::sleep(self.subject.every()).await;
            }
            let mark = self.subject.mark(&self.ours);
            let anyway = self.at.elapsed() >= ANYWAY;
            if self.told.as_ref() != Some(&mark) || anyway {
                self.told = Some(mark.clone());
                self.at = Instant::now();
                return if anyway { format!("{mark}+") } else { mark };
            }
        }
    }
}
