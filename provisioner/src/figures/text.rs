// SPDX-License-Identifier: Apache-2.0
//! The text format of Prometheus. What a metric is, and what it is called, stands in [`groundstate_api::metrics`].

use super::histogram::{Histogram, seconds};
use groundstate_api::metrics::{MetricKind, PROVISIONER};
use std::fmt::Write as _;

type Labels = Vec<(&'static str, String)>;

/// One value with its labels.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    labels: Labels,
    value: u64,
}

impl Sample {
    pub(crate) fn of(labels: Labels, value: u64) -> Self {
        Self { labels, value }
    }
}

/// A page of metrics.
#[derive(Debug, Default)]
pub(crate) struct Page(String);

impl Page {
    /// A counter or a gauge.
    pub(crate) fn metric(&mut self, name: &str, samples: &[Sample]) {
        self.head(name);
        for sample in samples {
            self.line(name, &sample.labels, &sample.value.to_string());
        }
    }

    /// A histogram.
    pub(crate) fn histogram(&mut self, name: &str, all: &[(Labels, &Histogram)]) {
        self.head(name);
        for (labels, histogram) in all {
            let count = histogram.count();
            let (buckets, micros) = histogram.read();
            let all = buckets.into_iter().chain([("+Inf".to_owned(), count)]);
            for (bound, up_to) in all {
                let mut labels = labels.clone();
                labels.push(("le", bound));
                self.line(&format!("{name}_bucket"), &labels, &up_to.to_string());
            }
            self.line(&format!("{name}_sum"), labels, &seconds(micros));
            self.line(&format!("{name}_count"), labels, &count.to_string());
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str) {
        let known = PROVISIONER.iter().find(|(known, _, _)| *known == name);
        let (kind, help) = known.map_or((MetricKind::Gauge, ""), |(_, kind, help)| (*kind, *help));
        // Writing to a string does not fail.
        let _ = write!(
            self.0,
            "# HELP {name} {help}\n# TYPE {name} {}\n",
            kind.as_str()
        );
    }

    fn line(&mut self, name: &str, labels: &Labels, value: &str) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
