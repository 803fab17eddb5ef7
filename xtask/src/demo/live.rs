// SPDX-License-Identifier: Apache-2.0
//! The way of the nodes, live: a line per event, and on a terminal a bar per node below them.

use groundstate_api::boot::BootSighting;
use groundstate_api::headline::headline;
use groundstate_api::run::StepState;
use groundstate_api::view::{NodeReport, Phase};
use groundstate_tests::stage::Stage;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Instant;

/// What is on the screen.
pub(crate) struct Live {
    began: Instant,
    after: u64,
    bars: Option<MultiProgress>,
    nodes: BTreeMap<String, Bar>,
}

struct Bar {
    bar: ProgressBar,
    doing: String,
}

impl Live {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        let bars = std::io::stdout().is_terminal().then(MultiProgress::new);
        Self {
            began: Instant::now(),
            after: 0,
            bars,
            nodes: BTreeMap::new(),
        }
    }

    /// Shows what is new.
    pub(crate) fn show(&mut self, stage: &Stage, reports: &[NodeReport]) {
        // While the servers are away there is nothing new; the next look shows it all.
        for event in stage
            .servers
            .operator()
            .events(self.after)
            .unwrap_or_default()
        {
            let node = event.node.as_ref().map_or("-", |node| node.as_str());
            self.say(&format!("{node:8} {}", headline(&event.what)));
            self.after = event.number;
        }
        for report in reports {
            self.bar(report);
        }
    }

    /// One line of our own.
    pub(crate) fn say(&self, line: &str) {
        let secs = self.began.elapsed().as_secs_f64();
        let text = format!("{secs:6.1} s  {line}");
        match &self.bars {
            // A line that the terminal does not take has nowhere else to go.
            Some(bars) => drop(bars.println(text)),
            None => println!("{text}"),
        }
    }

    /// Takes the bars away.
    pub(crate) fn finish(&mut self) {
        for (_, bar) in std::mem::take(&mut self.nodes) {
            bar.bar.finish_and_clear();
        }
    }

    fn bar(&mut self, report: &NodeReport) {
        let Some(bars) = &self.bars else { return };
        let name = report.view.node.to_string();
        let entry = self.nodes.entry(name.clone()).or_insert_with(|| Bar {
            bar: bars.add(ProgressBar::new_spinner()),
            doing: String::new(),
        });
        let (doing, counted) = doing(report);
        if entry.doing != doing || counted.is_some() != entry.bar.length().is_some() {
            entry.bar.finish_and_clear();
            bars.remove(&entry.bar);
            let fresh = if counted.is_some() {
                ProgressBar::new(0)
            } else {
                ProgressBar::new_spinner()
            };
            entry.bar = bars.add(
                fresh
                    .with_style(style(counted.is_some()))
                    .with_prefix(name)
                    .with_message(doing.clone()),
            );
            entry.doing = doing;
        }
        match counted {
            Some((done, total)) => {
                entry.bar.set_length(total);
                entry.bar.set_position(done);
            }
            None => entry.bar.tick(),
        }
    }
}

/// What a node is doing, in words, and how far it is where that is counted.
fn doing(report: &NodeReport) -> (String, Option<(u64, u64)>) {
    let view = &report.view;
    match (view.phase, &view.step, &view.boot) {
        (
            Phase::Ordered | Phase::Booting,
            _,
            Some(BootSighting::FileProgress { file, done, length }),
        ) => (format!("sending {file}"), Some((done.0, length.0))),
        (Phase::Provisioning, Some((step, StepState::Running { done, total })), _) => {
            (step.says().to_owned(), Some((done.0, total.0)))
        }
        (Phase::Provisioning, Some((step, _)), _) => (step.says().to_owned(), None),
        _ => {
            let open = report
                .timings
                .iter()
                .rev()
                .find(|timing| timing.took.is_none());
            let what = open.map_or(view.phase.as_str(), |timing| timing.what.as_str());
            (what.to_owned(), None)
        }
    }
}

fn style(counted: bool) -> ProgressStyle {
    let template = if counted {
        "{prefix:8} {msg} [{bar:32}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left"
    } else {
        "{prefix:8} {spinner} {msg} ({elapsed})"
    };
    ProgressStyle::with_template(template).expect("the template is well-formed")
}
