// SPDX-License-Identifier: Apache-2.0
//! Counters of what is served: one atomic number each, never a name that a client sent. The names are words of
//! `groundstate_api::metrics`.

use crate::store::Kind;
use groundstate_api::metrics::{IMAGE_SERVICE, MetricKind};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is counted, beside requests and bytes by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// Requests that were refused because the server is full.
    RefusedServer,
    /// Requests that were refused because their client has too many.
    RefusedClient,
    /// Connections that were closed because their reader is too slow.
    CutOff,
    /// Pieces that were in memory.
    CacheHits,
    /// Pieces for which the disk was asked.
    CacheMisses,
}

const COUNTS: usize = 5;
const KINDS: usize = 3;
/// Upper ends of the waits for a turn, in milliseconds.
const WAITS: [u64; 9] = [1, 5, 20, 50, 200, 500, 2_000, 5_000, 20_000];

/// What others count, at this moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Now {
    /// Requests in work.
    pub(super) in_work: u64,
    /// Bytes given and not yet taken.
    pub(super) window: u64,
    /// Objects that were fetched from the store behind this one.
    pub(super) fetched: u64,
    /// Objects that could not be fetched from there, or were not what their digest says.
    pub(super) failed: u64,
}

/// The numbers.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: [AtomicU64; KINDS],
    missing: [AtomicU64; KINDS],
    bytes: [AtomicU64; KINDS],
    counts: [AtomicU64; COUNTS],
    waits: [AtomicU64; WAITS.len() + 1],
    wait_millis: AtomicU64,
}

const fn place(kind: Kind) -> usize {
    match kind {
        Kind::Manifest => 0,
        Kind::Chunk => 1,
        Kind::Blob => 2,
    }
}

const KIND_WORDS: [&str; KINDS] = ["manifest", "chunk", "blob"];

impl Metrics {
    pub(crate) fn count(&self, what: Count) {
        self.counts[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn asked(&self, kind: Kind) {
        self.requests[place(kind)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn missing(&self, kind: Kind) {
        self.missing[place(kind)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, kind: Kind, bytes: u64) {
        self.bytes[place(kind)].fetch_add(bytes, Ordering::Relaxed);
    }

    /// How long a piece waited for its turn.
    pub(super) fn waited(&self, wait: Duration) {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let at = WAITS.iter().position(|end| millis <= *end);
        self.waits[at.unwrap_or(WAITS.len())].fetch_add(1, Ordering::Relaxed);
        self.wait_millis.fetch_add(millis, Ordering::Relaxed);
    }

    /// In Prometheus' text format 0.0.4.
    pub(super) fn text(&self, now: Now) -> String {
        let mut text = String::new();
        for (name, kind) in IMAGE_SERVICE {
            // A String takes every write.
            let _ = writeln!(text, "# HELP {name} {}", help(name));
            let _ = writeln!(text, "# TYPE {name} {}", kind.as_str());
            match kind {
                MetricKind::Histogram => self.histogram(&mut text, name),
                MetricKind::Counter | MetricKind::Gauge => {
                    for (labels, value) in self.values(name, now) {
                        let _ = writeln!(text, "{name}{labels} {value}");
                    }
                }
            }
        }
        text
    }

    fn histogram(&self, text: &mut String, name: &str) {
        let mut all = 0;
        let ends = WAITS.iter().map(|end| seconds(*end)).map(Some);
        for (count, end) in self.waits.iter().zip(ends.chain([None])) {
            all += count.load(Ordering::Relaxed);
            let end = end.unwrap_or_else(|| "+Inf".to_owned());
            let _ = writeln!(text, "{name}_bucket{{le=\"{end}\"}} {all}");
        }
        let sum = seconds(self.wait_millis.load(Ordering::Relaxed));
        let _ = writeln!(text, "{name}_sum {sum}");
        let _ = writeln!(text, "{name}_count {all}");
    }

    fn values(&self, name: &str, now: Now) -> Vec<(String, u64)> {
        let get = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let kinds = |numbers: &[AtomicU64; KINDS]| {
            let labels = KIND_WORDS.map(|word| format!("{{kind=\"{word}\"}}"));
            labels.into_iter().zip(numbers.iter().map(get)).collect()
        };
        let count = |what: Count| get(&self.counts[what as usize]);
        let one = |value| vec![(String::new(), value)];
        match name {
            "groundstate_image_requests_total" => kinds(&self.requests),
            "groundstate_image_missing_total" => kinds(&self.missing),
            "groundstate_image_sent_bytes_total" => kinds(&self.bytes),
            "groundstate_image_refused_total" => vec![
                ("{full=\"server\"}".into(), count(Count::RefusedServer)),
                ("{full=\"client\"}".into(), count(Count::RefusedClient)),
            ],
            "groundstate_image_cut_off_total" => one(count(Count::CutOff)),
            "groundstate_image_cache_hits_total" => one(count(Count::CacheHits)),
            "groundstate_image_cache_misses_total" => one(count(Count::CacheMisses)),
            "groundstate_image_fetched_total" => one(now.fetched),
            "groundstate_image_fetch_failed_total" => one(now.failed),
            "groundstate_image_requests_in_work" => one(now.in_work),
            "groundstate_image_window_bytes" => one(now.window),
            _ => Vec::new(),
        }
    }
}

fn help(name: &str) -> &'static str {
    match name {
        "groundstate_image_requests_total" => "Requests for parts of images",
        "groundstate_image_missing_total" => "Requests for what is not in the repository",
        "groundstate_image_sent_bytes_total" => "Bytes of images handed to connections",
        "groundstate_image_refused_total" => "Requests told to come back, by what was full",
        "groundstate_image_cut_off_total" => "Connections closed because their reader was too slow",
        "groundstate_image_cache_hits_total" => "Pieces that were in the page cache",
        "groundstate_image_cache_misses_total" => "Pieces for which the disk was asked",
        "groundstate_image_fetched_total" => "Objects fetched from the object store",
        "groundstate_image_fetch_failed_total" => "Objects that could not be fetched or were wrong",
        "groundstate_image_requests_in_work" => "Requests in work",
        "groundstate_image_window_bytes" => "Bytes read and not yet taken",
        "groundstate_image_turn_seconds" => "How long a piece waited for its turn",
        _ => "",
    }
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_help_and_a_value() {
        let metrics = Metrics::default();
        metrics.asked(Kind::Chunk);
        metrics.sent(Kind::Blob, 7);
        metrics.waited(Duration::from_millis(3));
        metrics.waited(Duration::from_secs(99));
        let now = Now {
            in_work: 2,
            failed: 1,
            ..Now::default()
        };
        let text = metrics.text(now);
        for (name, kind) in IMAGE_SERVICE {
            assert!(!help(name).is_empty(), "{name}");
            let values = metrics.values(name, now).len();
            assert_eq!(values == 0, *kind == MetricKind::Histogram, "{name}");
        }
        for line in [
            "groundstate_image_requests_total{kind=\"chunk\"} 1",
            "groundstate_image_sent_bytes_total{kind=\"blob\"} 7",
            "groundstate_image_fetch_failed_total 1",
            "groundstate_image_requests_in_work 2",
            "groundstate_image_turn_seconds_bucket{le=\"0.001\"} 0",
            "groundstate_image_turn_seconds_bucket{le=\"0.005\"} 1",
            "groundstate_image_turn_seconds_bucket{le=\"+Inf\"} 2",
            "groundstate_image_turn_seconds_sum 99.003",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
