// SPDX-License-Identifier: Apache-2.0
//! When a run is expected to be done: from the medians of the fleet's own runs, of the same model and image where there are
//! enough of them, else of the same image, else of all.
//!
//! It never guesses: where no run has finished there is no time.

use crate::node::{Node, Run};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::Millis;
use groundstate_api::fleet::{Eta, EtaFrom};
use serde::{Deserialize, Serialize};

/// Runs that each median is of: enough to be steady, few enough to follow a new version of the image.
const RUNS_MAX: usize = 31;
/// Runs from which on a narrower median is believed.
const RUNS_MIN: usize = 3;
/// Kinds of runs that are remembered: models times images.
const KINDS_MAX: usize = 1_024;

/// What runs have taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(Kind, Runs)>", into = "Vec<(Kind, Runs)>")]
pub(crate) struct Medians {
    kinds: BTreeMap<Kind, Runs>,
}

/// What a median is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Kind {
    All,
    Image(String),
    ModelAndImage(String, String),
}

/// The newest runs of a kind: the spans of each, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Runs {
    spans: VecDeque<Vec<(String, Millis)>>,
}

/// A kind is no key of JSON.
impl From<Vec<(Kind, Runs)>> for Medians {
    fn from(kinds: Vec<(Kind, Runs)>) -> Self {
        Self {
            kinds: kinds.into_iter().collect(),
        }
    }
}

impl From<Medians> for Vec<(Kind, Runs)> {
    fn from(medians: Medians) -> Self {
        medians.kinds.into_iter().collect()
    }
}

impl Medians {
    /// Takes a finished run in.
    pub(crate) fn learn(&mut self, node: &Node) {
        let Some(run) = node.run.as_ref().filter(|run| run.terms.erase.is_none()) else {
            return;
        };
        let spans: Vec<(String, Millis)> = run
            .timings
            .iter()
            .filter_map(|timing| Some((timing.what.clone(), timing.took?)))
            .collect();
        if spans.is_empty() {
            return;
        }
        for kind in kinds(run) {
            if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&kind) {
                continue;
            }
            let runs = &mut self.kinds.entry(kind).or_default().spans;
            runs.push_back(spans.clone());
            if runs.len() > RUNS_MAX {
                runs.pop_front();
            }
        }
    }

    /// When the run of this node is expected to be done.
    #[must_use]
    pub(crate) fn eta(&self, node: &Node, now: Millis) -> Option<Eta> {
        let run = node.run.as_ref().filter(|run| run.terms.erase.is_none())?;
        let mut known = kinds(run).into_iter().filter_map(|kind| {
            let runs = self.kinds.get(&kind)?;
            Some((kind, runs))
        });
        let enough =
            |(kind, runs): &(Kind, &Runs)| *kind == Kind::All || runs.spans.len() >= RUNS_MIN;
        let (kind, runs) = known.find(enough)?;
        let left = runs.left(run, now);
        Some(Eta {
            node: node.id().clone(),
            at: now.plus(left),
            from: match kind {
                Kind::All => EtaFrom::All,
                Kind::Image(_) => EtaFrom::Image,
                Kind::ModelAndImage(..) => EtaFrom::ModelAndImage,
            },
            runs: u32::try_from(runs.spans.len()).unwrap_or(u32::MAX),
        })
    }
}

/// The kinds that a run is of, the narrowest first.
fn kinds(run: &Run) -> Vec<Kind> {
    let image = run.plan.as_ref().map(|plan| plan.image.name.clone());
    let model = run.inventory.as_ref().map(|seen| {
        let system = &seen.system;
        format!("{} {}", system.manufacturer.trim(), system.product.trim())
    });
    let narrow = model
        .zip(image.clone())
        .map(|(model, image)| Kind::ModelAndImage(model, image));
    let image = image.map(Kind::Image);
    narrow.into_iter().chain(image).chain([Kind::All]).collect()
}

impl Runs {
    /// What a run has yet to take: of each span that finished runs had, the median, less what has passed of it.
    fn left(&self, run: &Run, now: Millis) -> Millis {
        let mut lengths: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (what, took) in self.spans.iter().flatten() {
            lengths.entry(what).or_default().push(took.0);
        }
        let half = self.spans.len().div_ceil(2);
        let mut left = 0u64;
        for (what, mut took) in lengths {
            // What most runs did not have, such as a second boot, is not expected.
            if took.len() < half {
                continue;
            }
            took.sort_unstable();
            let median = took.get(took.len() / 2).copied().unwrap_or_default();
            let mut spans = run.timings.iter().rev();
            left = left.saturating_add(match spans.find(|timing| timing.what == what) {
                Some(timing) if timing.took.is_some() => 0,
                Some(timing) => median.saturating_sub(now.since(timing.began).0),
                None if is_past(run, what) => 0,
                None => median,
            });
        }
        Millis(left)
    }
}

/// Whether a span that the run does not have lies behind it: it came another way, for example without a boot file.
fn is_past(run: &Run, what: &str) -> bool {
    let boots = [
        "waiting for the machine",
        "firmware and DHCP",
        "boot files",
        "kernel and network",
    ];
    let enrolled = run.key.is_some();
    let checked = run.plan.is_some();
    (enrolled && boots.contains(&what)) || (checked && ["checks", "plan"].contains(&what))
}
