// SPDX-License-Identifier: Apache-2.0
//! What is counted for `/metrics`, in the text format of Prometheus. No label's value is chosen by a caller, and none names a
//! node: a fleet of 10,000 has as many series as one of ten.

mod histogram;
mod text;

use groundstate_api::action::Outcome;
use groundstate_api::event::{Event, Happened};
use groundstate_api::view::Phase;
use histogram::Histogram;
use prov_core::Route;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;
pub(crate) use text::{Page, Sample};

/// Ways that carry actions out; what is not among them is counted as `other`.
const WAYS: [&str; 7] = [
    "redfish-once",
    "redfish-persistent",
    "ipmi",
    "in-os-boot-next",
    "boot-service",
    "host-agent",
    "person",
];

/// The numbers of one provisioner since it started.
#[derive(Default)]
pub(crate) struct Figures {
    calls: OnceLock<Vec<Call>>,
    journal: Histogram,
    counts: Mutex<Counts>,
    /// Numbers of what is composed with us: the image repository's.
    beside: OnceLock<Box<dyn Fn() -> String + Send + Sync>>,
}

/// The calls of one route.
#[derive(Default)]
struct Call {
    took: Histogram,
    /// By the first digit of the status, 2 to 5.
    answers: [AtomicU64; 4],
}

#[derive(Default)]
struct Counts {
    phases: BTreeMap<Phase, u64>,
    begun: u64,
    ended: BTreeMap<(&'static str, &'static str), u64>,
    webhooks: BTreeMap<&'static str, u64>,
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Figures")
    }
}

impl Figures {
    /// A call of the API was answered.
    pub(crate) fn answered(&self, row: &Route, status: u16, took: Duration) {
        let Some(index) = Route::ALL.iter().position(|other| other == row) else {
            return;
        };
        let Some(call) = self.calls().get(index) else {
            return;
        };
        call.took.observe(took);
        let class = usize::from(status / 100).saturating_sub(2).min(3);
        if let Some(count) = call.answers.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Events became durable in this time.
    pub(crate) fn wrote(&self, events: &[Event], took: Duration) {
        if events.is_empty() {
            return;
        }
        self.journal.observe(took);
        let mut counts = self.counts();
        for event in events {
            match &event.what {
                Happened::PhaseChanged { to, .. } => *counts.phases.entry(*to).or_default() += 1,
                Happened::ActionBegun { .. } => counts.begun += 1,
                Happened::ActionEnded { outcome, .. } => {
                    *counts.ended.entry(ended(outcome)).or_default() += 1;
                }
                _ => {}
            }
        }
    }

    /// A webhook was delivered, refused by its receiver, or could not be sent.
    pub(crate) fn webhook(&self, outcome: &'static str) {
        *self.counts().webhooks.entry(outcome).or_default() += 1;
    }

    /// Says whose numbers stand beside these.
    pub(crate) fn beside(&self, text: impl Fn() -> String + Send + Sync + 'static) {
        if self.beside.set(Box::new(text)).is_err() {
            tracing::warn!("the numbers beside the provisioner's are set already");
        }
    }

    /// All of them, with the gauges that the fleet gives.
    pub(crate) fn text(&self, gauges: &[(&'static str, Vec<Sample>)]) -> String {
        let mut page = Page::default();
        for (name, samples) in gauges {
            page.metric(name, samples);
        }
        self.api(&mut page);
        page.histogram(
            "groundstate_journal_write_seconds",
            &[(Vec::new(), &self.journal)],
        );
        self.counted(&mut page);
        let mut text = page.into_text();
        if let Some(beside) = self.beside.get() {
            text.push_str(&beside());
        }
        text
    }

    fn api(&self, page: &mut Page) {
        let rows = || Route::ALL.iter().zip(self.calls());
        let labels = |row: &Route| {
            vec![
                ("method", row.method.to_owned()),
                ("route", row.path.to_owned()),
            ]
        };
        let called = rows().filter(|(_, call)| call.took.count() > 0);
        let took: Vec<_> = called
            .map(|(row, call)| (labels(row), &call.took))
            .collect();
        page.histogram("groundstate_api_request_seconds", &took);
        let mut answers = Vec::new();
        for (row, call) in rows() {
            for (class, count) in ["2xx", "3xx", "4xx", "5xx"].into_iter().zip(&call.answers) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let mut labels = labels(row);
                    labels.push(("status", class.to_owned()));
                    answers.push(Sample::of(labels, count));
                }
            }
        }
        page.metric("groundstate_api_answers_total", &answers);
    }

    fn counted(&self, page: &mut Page) {
        let counts = self.counts();
        let by_phase = Phase::ALL.into_iter().map(|phase| {
            let count = counts.phases.get(&phase).copied().unwrap_or_default();
            Sample::of(vec![("to", phase.as_str().to_owned())], count)
        });
        page.metric(
            "groundstate_transitions_total",
            &by_phase.collect::<Vec<_>>(),
        );
        page.metric(
            "groundstate_actions_begun_total",
            &[Sample::of(Vec::new(), counts.begun)],
        );
        let ended = counts.ended.iter().map(|((outcome, way), count)| {
            let labels = vec![
                ("outcome", (*outcome).to_owned()),
                ("way", (*way).to_owned()),
            ];
            Sample::of(labels, *count)
        });
        page.metric(
            "groundstate_actions_ended_total",
            &ended.collect::<Vec<_>>(),
        );
        let sent = counts
            .webhooks
            .iter()
            .map(|(outcome, count)| Sample::of(vec![("outcome", (*outcome).to_owned())], *count));
        page.metric(
            "groundstate_webhook_deliveries_total",
            &sent.collect::<Vec<_>>(),
        );
    }

    fn calls(&self) -> &Vec<Call> {
        self.calls
            .get_or_init(|| Route::ALL.iter().map(|_| Call::default()).collect())
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        // Counts are added one by one.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended(outcome: &Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Done { by, .. } => {
            let way = WAYS.into_iter().find(|way| way == by);
            ("done", way.unwrap_or("other"))
        }
        Outcome::Failed { .. } => ("failed", "none"),
        Outcome::Vetoed { .. } => ("vetoed", "none"),
    }
}

#[cfg(test)]
mod tests;
