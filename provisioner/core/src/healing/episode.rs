// SPDX-License-Identifier: Apache-2.0
//! One trouble of a node with what was tried about it. It is over when the node has been well for a while, or when a person has
//! taken the node over: trouble that comes back a minute after a restart is the same trouble, and the next step is a harder one.

use crate::node::Node;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::Millis;
use groundstate_api::action::Outcome;
use groundstate_api::healing::Measure;

/// How long a node must have been well before trouble is another one.
const CALM: Millis = Millis::secs(30 * 60);
/// What is remembered of one trouble: no ladder is longer.
const TRIED_MAX: usize = 64;

/// One trouble.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Episode {
    /// When it began.
    pub began: Millis,
    /// When the node became well again.
    pub calm: Option<Millis>,
    /// What was tried, when it ended, and whether it worked as such.
    pub tried: Vec<(Measure, Millis, bool)>,
    /// Who forbade the next step, and why.
    vetoed: Option<(String, String)>,
}

impl Episode {
    /// Who forbade what the policy wanted about it, and why.
    #[must_use]
    pub fn vetoed(&self) -> Option<(&str, &str)> {
        self.vetoed
            .as_ref()
            .map(|(by, why)| (by.as_str(), why.as_str()))
    }

    /// How often a measure was tried.
    #[must_use]
    pub fn times(&self, measure: Measure) -> u32 {
        let tried = self.tried.iter().filter(|(what, ..)| *what == measure);
        u32::try_from(tried.count()).unwrap_or(u32::MAX)
    }

    /// When the last try ended.
    #[must_use]
    pub fn last(&self) -> Option<Millis> {
        self.tried.last().map(|(_, at, _)| *at)
    }
}

impl Node {
    /// There is trouble, new or as before.
    pub(crate) fn trouble_began(&mut self, at: Millis) {
        let calm = |episode: &Episode| episode.calm.is_some_and(|since| at.since(since) >= CALM);
        match self.episode.as_mut().filter(|episode| !calm(episode)) {
            Some(episode) => episode.calm = None,
            None => {
                self.episode = Some(Episode {
                    began: at,
                    calm: None,
                    tried: Vec::new(),
                    vetoed: None,
                });
            }
        }
    }

    /// The node is well. What somebody forbade about this trouble stays forbidden while it may come back.
    pub(crate) fn trouble_ended(&mut self, at: Millis) {
        if let Some(episode) = &mut self.episode {
            episode.calm.get_or_insert(at);
        }
    }

    /// A measure ended. One that lapsed, or was no longer needed, was not tried; one that somebody forbade stops the ladder.
    pub(crate) fn tried(&mut self, at: Millis, measure: Measure, outcome: &Outcome) {
        let Some(episode) = &mut self.episode else {
            return;
        };
        let worked = match outcome {
            Outcome::Done { .. } => true,
            Outcome::Failed { .. } => false,
            Outcome::Vetoed { by, why } => {
                if by != crate::action::BY_POLICY {
                    episode.vetoed = Some((by.to_string(), why.to_string()));
                }
                return;
            }
        };
        if episode.tried.len() < TRIED_MAX {
            episode.tried.push((measure, at, worked));
        }
    }
}
