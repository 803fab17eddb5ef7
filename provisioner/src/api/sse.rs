// SPDX-License-Identifier: Apache-2.0
//! Events as a stream of server-sent events. Each carries its number as `id`, and a client that connects again with
//! `Last-Event-ID` goes on behind it: nothing is missed and nothing comes twice.
//!
//! A reader that does not take what is ready is not waited for without end: nothing is gathered for it, and after a minute it is
//! told so with an event `closed`, or, where it takes not even that, its connection is closed.

use super::events::{Follower, WAIT_MAX};
use crate::serve::Bell;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::Stream;
use groundstate_api::event::Event;
use groundstate_api::{Reason, ReasonCode};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// How long a reader may leave an event that is ready for it.
const SLOW_MAX: Duration = Duration::from_secs(60);
/// How often it is looked whether a reader takes anything.
const LOOK: Duration = Duration::from_secs(10);
/// A comment is sent where nothing else was for so long, so that both ends notice a dead connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How soon a client that was cut off should come again, in milliseconds.
const COME_AGAIN: Duration = Duration::from_millis(2_000);

/// When something was handed to the reader that it has not taken yet.
type Given = Mutex<Option<Instant>>;

/// The stream of a follower.
pub(super) fn stream(follower: Follower, bell: Option<Bell>) -> Response {
    let given = Arc::new(Given::default());
    if let Some(bell) = bell {
        tokio::spawn(watch_the_reader(Arc::downgrade(&given), bell));
    }
    Sse::new(events(follower, given))
        .keep_alive(KeepAlive::new().interval(HEARTBEAT).text("alive"))
        .into_response()
}

fn events(
    follower: Follower,
    given: Arc<Given>,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    let start = Some((follower, VecDeque::new(), given));
    futures_util::stream::unfold(start, |state| async move {
        let (mut follower, mut ready, given) = state?;
        if let Some(late) = taken(&given).filter(|late| *late > SLOW_MAX) {
            return Some((Ok(closed(late)), None));
        }
        while ready.is_empty() {
            match follower.next_page(Instant::now() + WAIT_MAX).await {
                Ok(page) => ready.extend(page),
                // The journal failed, or the caller may read no more: it connects again with its cursor, and hears which.
                Err(_) => return None,
            }
            if ready.is_empty() && follower.news.has_changed().is_err() {
                return None;
            }
        }
        let event: Event = ready.pop_front()?;
        let data = serde_json::to_string(&event).ok()?;
        let item = sse::Event::default()
            .id(event.number.to_string())
            .retry(COME_AGAIN)
            .data(data);
        *locked(&given) = Some(Instant::now());
        Some((Ok(item), Some((follower, ready, given))))
    })
}

/// The reader took what was given to it: how long that lay there.
fn taken(given: &Given) -> Option<Duration> {
    locked(given).take().map(|at| at.elapsed())
}

fn locked(given: &Given) -> std::sync::MutexGuard<'_, Option<Instant>> {
    // It holds one value.
    given.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last event of a reader that was too slow. It has no number: the client goes on behind the one before.
fn closed(late: Duration) -> sse::Event {
    let reason = Reason::new(
        ReasonCode::TooMany,
        "this stream is closed: its reader takes too little",
        "connect again with Last-Event-ID and read faster, or ask for one node's or one rack's events",
    )
    .seen(format!("an event lay ready for {} s", late.as_secs()));
    let data = serde_json::to_string(&reason).unwrap_or_default();
    sse::Event::default().event("closed").data(data)
}

/// Closes the connection of a reader that takes nothing at all: it cannot be told.
async fn watch_the_reader(given: Weak<Given>, bell: Bell) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(given) = given.upgrade() else {
            return;
        };
        let late = locked(&given).is_some_and(|at| at.elapsed() > SLOW_MAX + LOOK);
        if late {
            tracing::info!("a stream of events is closed: its reader takes nothing");
            bell.0.notify_one();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_too_slow_is_told_why_and_keeps_its_place() {
        let text = format!("{:?}", closed(Duration::from_secs(75)));
        assert!(
            text.contains("event: closed") && text.contains("75 s"),
            "{text}"
        );
        assert!(!text.contains("id:"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_hung_up_on_and_one_that_waits_is_not() {
        let (given, bell) = (Arc::new(Given::default()), Bell(Arc::default()));
        let watching = tokio::spawn(watch_the_reader(Arc::downgrade(&given), bell.clone()));
        let rung = tokio::time::timeout(Duration::from_secs(600), bell.0.notified()).await;
        assert!(rung.is_err(), "nothing was given to it");
        *locked(&given) = Some(Instant::now());
        bell.0.notified().await;
        watching.await.unwrap();
    }
}
