// SPDX-License-Identifier: Apache-2.0
//! One figure: what we took, what the peer took, their ratio pair by pair, and the goal.
//!
//! A figure is judged by its median. Without a goal it is reported and never short.

use serde::{Deserialize, Serialize};

/// What `compare` prints, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// What it does now.
    Doing(String),
    /// A figure is ready.
    Figure(Figure),
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The unit of both sides' values.
    pub unit: String,
    /// Ours.
    pub ours: Side,
    /// The peer's; none where a figure is judged by itself.
    pub peer: Option<Side>,
    /// What the ratio is, in words: `ours / peer`.
    pub ratio_of: String,
    /// The ratio of each pair; empty without a peer.
    pub ratios: Vec<f64>,
    /// What it should be.
    pub goal: Option<Goal>,
    /// What else is to be known: what was checked, and what the machine does not offer.
    pub notes: Vec<String>,
    /// Why there is no figure; it is then short.
    pub missing: Option<String>,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// What ran.
    pub what: String,
    /// One value a run.
    pub values: Vec<f64>,
}

/// What a figure should be: its ratio, or its own value where it has no peer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// How a figure stands to its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is reached.
    Ok,
    /// It is not reached, or there is no figure.
    Short,
    /// There is no goal.
    Reported,
}

impl Verdict {
    /// As it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Short => "short",
            Self::Reported => "reported",
        }
    }
}

/// The middle of some values, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one; of an even number, the mean of the two in the middle.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of these values; none of no values.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let upper = *sorted.get(half)?;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(*sorted.get(half - 1)?, upper)
        } else {
            upper
        };
        Some(Self { min, median, max })
    }
}

impl Figure {
    /// A figure without a peer, goal or note.
    #[must_use]
    pub fn new(name: &str, unit: &str, ours: &str, values: Vec<f64>) -> Self {
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            ours: Side {
                what: ours.to_owned(),
                values,
            },
            peer: None,
            ratio_of: String::new(),
            ratios: Vec::new(),
            goal: None,
            notes: Vec::new(),
            missing: None,
        }
    }

    /// A figure that could not be taken.
    #[must_use]
    pub fn missing(name: &str, why: String) -> Self {
        let mut figure = Self::new(name, "", "", Vec::new());
        figure.missing = Some(why);
        figure
    }

    /// Against this peer, with the ratio that is judged.
    #[must_use]
    pub fn against(mut self, peer: &str, values: Vec<f64>, of: &str, ratios: Vec<f64>) -> Self {
        self.peer = Some(Side {
            what: peer.to_owned(),
            values,
        });
        of.clone_into(&mut self.ratio_of);
        self.ratios = ratios;
        self
    }

    /// With a goal.
    #[must_use]
    pub const fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    /// With a note.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// What is judged: the ratio, or its own value where there is no peer.
    #[must_use]
    pub fn judged(&self) -> Option<Spread> {
        match self.peer {
            Some(_) => Spread::of(&self.ratios),
            None => Spread::of(&self.ours.values),
        }
    }

    /// How it stands to its goal.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.missing.is_some() {
            return Verdict::Short;
        }
        let Some(judged) = self.judged() else {
            return Verdict::Short;
        };
        let reached = match self.goal {
            None => return Verdict::Reported,
            Some(Goal::AtMost(most)) => judged.median <= most,
            Some(Goal::AtLeast(least)) => judged.median >= least,
        };
        if reached { Verdict::Ok } else { Verdict::Short }
    }
}

/// Each value divided by its partner.
#[must_use]
pub fn ratios(over: &[f64], under: &[f64]) -> Vec<f64> {
    over.iter()
        .zip(under)
        .map(|(over, under)| over / under)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_values_and_how_far_they_spread() {
        let spread = Spread::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of(&[1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_figure_is_judged_by_its_ratio_or_by_itself() {
        let alone = Figure::new("x", "ms", "us", vec![900.0, 1_100.0, 800.0]);
        assert_eq!(alone.verdict(), Verdict::Reported);
        assert_eq!(
            alone.clone().goal(Goal::AtMost(1_000.0)).verdict(),
            Verdict::Ok
        );
        assert_eq!(
            alone.clone().goal(Goal::AtLeast(901.0)).verdict(),
            Verdict::Short
        );
        let pair = alone.against("them", vec![450.0; 3], "ours / peer", vec![2.0; 3]);
        assert_eq!(
            pair.clone().goal(Goal::AtMost(1.1)).verdict(),
            Verdict::Short
        );
        assert_eq!(pair.goal(Goal::AtLeast(2.0)).verdict(), Verdict::Ok);
    }

    #[test]
    fn what_could_not_be_taken_is_short() {
        let missing = Figure::missing("x", "no qemu-io".to_owned());
        assert_eq!(missing.verdict(), Verdict::Short);
        let empty = Figure::new("x", "ms", "us", Vec::new());
        assert_eq!(empty.verdict(), Verdict::Short);
    }

    #[test]
    fn a_line_comes_back_as_it_was_printed() {
        let figure = Figure::new("x", "ms", "us", vec![1.5]).goal(Goal::AtMost(2.0));
        let line = Line::Figure(figure.note("checked"));
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }
}
