// SPDX-License-Identifier: Apache-2.0
//! Tells programs of events by signed requests: at least once, in order for each webhook, from a cursor that the journal keeps.
//!
//! It follows no redirect, speaks plain HTTP to this machine only, and refuses addresses that are nobody's business: link-local
//! ones and the metadata services of clouds. Keys are read from credentials at each request and are shown nowhere.

mod address;
mod pause;
mod send;
mod sign;
mod target;

use crate::api::Refusal;
use crate::credential::Credentials;
use crate::journal::JournalError;
use crate::provisioner::Provisioner;
use axum::Json;
use axum::extract::State;
use groundstate_api::audit::{WebhookList, WebhookView};
use groundstate_api::event::{Event, Happened};
use groundstate_api::site_parts::Webhook;
use groundstate_api::view::EventPage;
use groundstate_api::{Millis, Reason, ReasonCode};
use prov_core::reasons_power::Opens;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Events in one request.
const EVENTS_MAX: usize = 100;
/// The longest body, in bytes, of a request with more than one event.
const BODY_MAX: usize = 1 << 20;
/// Events that are passed over, because they are not for a webhook, before its cursor is kept: the next start looks at them again,
/// and the journal is not written for each one.
const PASSED_MAX: u64 = 1_000;
/// How often it is looked whether the site has other webhooks now.
const LOOK: Duration = Duration::from_secs(2);
/// How long to wait for events before looking whether anything else has changed.
const WAIT: Duration = Duration::from_secs(30);

/// How each webhook stands.
#[derive(Debug, Default)]
pub(crate) struct Standing(Mutex<BTreeMap<String, WebhookView>>);

impl Standing {
    fn change(&self, name: &str, change: impl FnOnce(&mut WebhookView)) {
        if let Some(view) = self.lock().get_mut(name) {
            change(view);
        }
    }

    /// The webhooks of a site by name, with how each stands and what the newest event is now. Of one whose teller has not begun
    /// here, or which another provisioner tells, `kept` says how far it was told.
    fn list<E>(
        &self,
        hooks: &[Webhook],
        newest: u64,
        kept: impl Fn(&Webhook) -> Result<u64, E>,
    ) -> Result<WebhookList, E> {
        let standing = self.lock().clone();
        let view = |hook: &Webhook| -> Result<WebhookView, E> {
            let of_site = WebhookView::of(hook);
            let stands = standing
                .get(&hook.name)
                .filter(|view| (&view.url, &view.events) == (&of_site.url, &of_site.events));
            let mut view = stands.cloned().unwrap_or(of_site);
            if view.told == 0 {
                view.told = kept(hook)?;
            }
            view.newest = newest;
            Ok(view)
        };
        let mut webhooks: Vec<WebhookView> = hooks.iter().map(view).collect::<Result<_, E>>()?;
        webhooks.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(WebhookList { webhooks })
    }

    /// How far the one that is furthest behind is behind.
    pub(crate) fn furthest_behind(&self, newest: u64) -> u64 {
        let behind = |view: &WebhookView| newest.saturating_sub(view.told);
        self.lock().values().map(behind).max().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, WebhookView>> {
        // Views change field by field; a half changed one is put right by the next request.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// GET [`groundstate_api::paths::WEBHOOKS`].
pub(crate) async fn webhooks(
    State(ours): State<Provisioner>,
) -> Result<Json<WebhookList>, Refusal> {
    let newest = *ours.follow().borrow();
    let list = move || {
        let kept = |hook: &Webhook| -> Result<u64, JournalError> {
            if ours.may_decide().is_ok() {
                return begun(&ours, hook, newest);
            }
            // Another provisioner tells it, and begins it.
            let kept = cursor_in(ours.read_document(&document(hook))?);
            Ok(kept.map_or(newest, |cursor| cursor.min(newest)))
        };
        let site = ours.site();
        ours.webhook_standing().list(&site.webhooks, newest, kept)
    };
    Ok(Json(tokio::task::spawn_blocking(list).await??))
}

/// Keeps a teller running for each webhook of the site in force until `stop` is true.
pub(crate) async fn run(ours: Provisioner, mut stop: watch::Receiver<bool>) {
    let mut tellers: BTreeMap<String, (Webhook, JoinHandle<()>)> = BTreeMap::new();
    loop {
        let site = ours.site();
        // Where several provisioners share a journal, the one that leads tells.
        let leads = ours.may_decide().is_ok();
        let hooks = site.webhooks.iter().filter(|_| leads);
        let wanted: BTreeMap<&str, &Webhook> =
            hooks.map(|hook| (hook.name.as_str(), hook)).collect();
        tellers.retain(|name, (hook, teller)| {
            let stays = wanted.get(name.as_str()) == Some(&&*hook) && !teller.is_finished();
            if !stays {
                teller.abort();
                ours.webhook_standing().lock().remove(name);
            }
            stays
        });
        for (name, hook) in wanted {
            if !tellers.contains_key(name) {
                let view = WebhookView::of(hook);
                let standing = ours.webhook_standing();
                standing.lock().insert(name.to_owned(), view);
                let teller = tokio::spawn(tell(ours.clone(), hook.clone()));
                tellers.insert(name.to_owned(), (hook.clone(), teller));
            }
        }
        tokio::select! {
            () = crate::serve::stopped(&mut stop) => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    tellers.values().for_each(|(_, teller)| teller.abort());
}

/// Tells one webhook of everything behind its cursor, and of what comes. It ends where the journal cannot be read, and is begun
/// again.
async fn tell(ours: Provisioner, hook: Webhook) {
    let standing = || ours.webhook_standing();
    let mut cursor = match begin(&ours, &hook).await {
        Ok(cursor) => cursor,
        Err(error) => {
            tracing::error!(webhook = hook.name, %error, "the cursor of a webhook cannot be read");
            return;
        }
    };
    standing().change(&hook.name, |view| view.told = cursor);
    let (mut news, mut tries, mut kept) = (ours.follow(), 0, cursor);
    // What was not taken is sent again as it was, whatever has happened since.
    let mut again = None;
    loop {
        let newest = *news.borrow_and_update();
        let next = match again.take() {
            Some(batch) => Ok(batch),
            None => read(&ours, &hook, cursor, newest).await,
        };
        let batch = match next {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(webhook = hook.name, %error, "events cannot be read for a webhook");
                return;
            }
        };
        if batch.page.events.is_empty() && batch.page.next_after == cursor {
            // The end of the wait says no more than that it is time to look again.
            let _ = tokio::time::timeout(WAIT, news.changed()).await;
            continue;
        }
        let sent = match batch.page.events.is_empty() {
            true => Ok(()), // None of these is told.
            false => deliver(&ours, &hook, &batch).await,
        };
        match sent {
            Ok(()) => {
                (cursor, tries) = (batch.page.next_after, 0);
                let told = !batch.page.events.is_empty();
                if told || cursor - kept >= PASSED_MAX {
                    keep(&ours, &hook, cursor).await;
                    kept = cursor;
                }
                standing().change(&hook.name, |view| {
                    view.told = cursor;
                    view.tries = 0;
                    view.failing = None;
                    view.next_try = None;
                    if told {
                        view.last_told = Some(ours.written_now());
                    }
                });
            }
            Err(reason) => {
                again = Some(batch);
                tries += 1;
                let wait = pause::before(tries);
                let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                let next = Millis(ours.written_now().0.saturating_add(millis));
                tracing::warn!(webhook = hook.name, tries, %reason, "a webhook was not told");
                standing().change(&hook.name, |view| {
                    view.tries = tries;
                    view.failing = Some(reason);
                    view.next_try = Some(next);
                });
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// Events that go in one request.
struct Batch {
    page: EventPage,
    body: Vec<u8>,
}

/// The next events for this webhook.
async fn read(
    ours: &Provisioner,
    hook: &Webhook,
    after: u64,
    newest: u64,
) -> Result<Batch, JournalError> {
    let (asked, kinds) = (ours.clone(), hook.events.clone());
    let look = move || -> Result<Batch, JournalError> {
        let events = asked.events(after, EVENTS_MAX, None)?;
        let full = events.len() == EVENTS_MAX;
        let mut page = EventPage {
            events: Vec::new(),
            next_after: after,
        };
        let mut size = 0;
        for event in events {
            if wanted(&kinds, &event) {
                let bytes = serde_json::to_vec(&event)
                    .map_err(JournalError::Encode)?
                    .len();
                if size > 0 && size + bytes > BODY_MAX {
                    break;
                }
                size += bytes + 1;
                page.next_after = event.number;
                page.events.push(event);
            } else {
                page.next_after = event.number;
            }
        }
        if !full && size == 0 {
            page.next_after = page.next_after.max(newest);
        }
        let body = serde_json::to_vec(&page).map_err(JournalError::Encode)?;
        Ok(Batch { page, body })
    };
    match tokio::task::spawn_blocking(look).await {
        Ok(batch) => batch,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Whether a webhook is told of an event. The audit trail is told only where it is named.
fn wanted(kinds: &[String], event: &Event) -> bool {
    if kinds.is_empty() {
        return !matches!(event.what, Happened::Audited { .. });
    }
    let value = serde_json::to_value(&event.what).unwrap_or_default();
    let kind = value.get("happened").and_then(|kind| kind.as_str());
    kind.is_some_and(|kind| kinds.iter().any(|wanted| wanted == kind))
}

/// Sends one request.
async fn deliver(ours: &Provisioner, hook: &Webhook, batch: &Batch) -> Result<(), Reason> {
    let credentials = Credentials::new(ours.pki().state_dir());
    let name = hook.credential.clone();
    let secret = tokio::task::spawn_blocking(move || credentials.read(&name)).await;
    let secret = match secret {
        Ok(Ok(secret)) => secret,
        Ok(Err(error)) => return Err(error.reason(Opens::Webhook)),
        Err(error) => return Err(failed(hook, error.to_string())),
    };
    let now = ours.written_now().0 / 1_000;
    let signature = sign::header(secret.text().as_bytes(), now, &batch.body);
    let first = batch.page.events.first().map_or(0, |event| event.number);
    let last = batch.page.events.last().map_or(0, |event| event.number);
    let head = send::Head {
        webhook: hook.name.clone(),
        signature,
        delivery: format!("{first}-{last}"),
    };
    let ca = ours.pki().ca_pem();
    let sent = send::post(
        &hook.url,
        &head,
        batch.body.clone(),
        ca,
        ours.pki().state_dir(),
    )
    .await;
    ours.figures().webhook(match &sent {
        Ok(()) => "delivered",
        Err(send::SendError::Answer(_) | send::SendError::Redirect(_)) => "refused",
        Err(_) => "unreachable",
    });
    sent.map_err(|error| failed(hook, error.to_string()))
}

fn failed(hook: &Webhook, seen: String) -> Reason {
    Reason::new(
        ReasonCode::ActionFailed,
        format!("the webhook {} was not told of events", hook.name),
        "look at its receiver, and at its url and credential in the site file",
    )
    .seen(seen)
    .then("it is tried again with growing pauses; no event is left out")
}

fn document(hook: &Webhook) -> String {
    format!("webhook/{}", hook.name)
}

/// The cursor that is kept.
fn cursor_in(kept: Option<Vec<u8>>) -> Option<u64> {
    String::from_utf8(kept?).ok()?.parse().ok()
}

/// Where the webhook goes on; for a new one, behind what happened before it was there.
async fn begin(ours: &Provisioner, hook: &Webhook) -> Result<u64, JournalError> {
    let (asked, hook) = (ours.clone(), hook.clone());
    let newest = *ours.follow().borrow();
    let read = move || begun(&asked, &hook, newest);
    match tokio::task::spawn_blocking(read).await {
        Ok(cursor) => cursor,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The same; from then on everything behind it is told. Blocks.
fn begun(ours: &Provisioner, hook: &Webhook, newest: u64) -> Result<u64, JournalError> {
    ours.change_document(&document(hook), |kept| match cursor_in(kept) {
        // A journal that was restored to an older state has fewer events than were told.
        Some(cursor) => (None, cursor.min(newest)),
        None => (Some(newest.to_string().into_bytes()), newest),
    })
}

/// Keeps how far a webhook was told. Where that fails, it hears its last events again after the next start.
async fn keep(ours: &Provisioner, hook: &Webhook, cursor: u64) {
    let (asked, name) = (ours.clone(), document(hook));
    let bytes = cursor.to_string().into_bytes();
    let keep = move || asked.change_document(&name, |_| (Some(bytes), ()));
    match tokio::task::spawn_blocking(keep).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(webhook = hook.name, %error, "a webhook's cursor is not kept: it hears the last events again");
        }
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
