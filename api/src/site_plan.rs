// SPDX-License-Identifier: Apache-2.0
//! What another site file would change, and where machines differ from the one in force.

use crate::ids::NodeId;
use crate::reason::Reason;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What applying a site would do. Nothing is done by asking.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SitePlan {
    /// Version of the site that it was compared with; 0 where there is none.
    pub from: u64,
    /// The changes, by resource.
    pub changes: Vec<SiteChange>,
    /// What does not stand in the way and will be missed: credentials that the site names and that cannot be used, never what
    /// they hold; the image, where the repository has none of the name, or its channel cannot be followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Reason>,
}

impl SitePlan {
    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether something stands in the way.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.changes.iter().any(|change| change.refused.is_some())
    }

    /// A line for each change, for people: `~ node r1-07: slot.unit 3 -> 4`.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.changes.iter().map(SiteChange::line)
    }
}

impl SiteChange {
    /// The change in one line; of more than four keys, how many.
    #[must_use]
    pub fn line(&self) -> String {
        const KEYS_SHOWN: usize = 4;
        let mut line = alloc::format!("{} {}", self.kind.sign(), self.resource);
        if self.kind != ChangeKind::Changed {
            return line;
        }
        for (index, key) in self.keys.iter().take(KEYS_SHOWN).enumerate() {
            line.push_str(if index == 0 { ": " } else { ", " });
            line.push_str(&match key.key == self.resource {
                // `~ policy.image: a -> b`: the key is named already.
                true => key.values(),
                false => key.words(),
            });
        }
        if self.keys.len() > KEYS_SHOWN {
            line.push_str(&alloc::format!(
                " and {} more",
                self.keys.len() - KEYS_SHOWN
            ));
        }
        line
    }
}

impl ChangeKind {
    /// `+`, `~` or `-`.
    #[must_use]
    pub const fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Changed => '~',
            Self::Removed => '-',
        }
    }
}

impl KeyChange {
    /// `slot.unit 3 -> 4`.
    #[must_use]
    pub fn words(&self) -> String {
        alloc::format!("{} {}", self.key, self.values())
    }

    /// `3 -> 4`.
    #[must_use]
    pub fn values(&self) -> String {
        let shown = |text: &str| match text {
            "" => String::from("(nothing)"),
            text => String::from(text),
        };
        alloc::format!("{} -> {}", shown(&self.before), shown(&self.after))
    }
}

/// One change.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteChange {
    /// What it is about: `node r1-07`, `rack r1`, `policy.image`.
    pub resource: String,
    /// What happens to it.
    pub kind: ChangeKind,
    /// The keys that change, each with its values before and after; never a secret.
    pub keys: Vec<KeyChange>,
    /// What follows for machines, in words: `from its next run on`, `at once`; empty where nothing does.
    pub effect: String,
    /// Whether it takes effect only when groundstate is started again.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub restart: bool,
    /// What stands in the way: then nothing of the site is applied.
    pub refused: Option<String>,
}

/// What happens to a resource.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It differs.
    Changed,
    /// It is gone.
    Removed,
}

/// One key.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// Its path: `network.pool_last`.
    pub key: String,
    /// Before; empty where it was not there.
    pub before: String,
    /// After; empty where it is gone.
    pub after: String,
}

/// Where machines differ from the site: `GET /v1/site/drift`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// Version of the site.
    pub version: u64,
    /// Each difference.
    pub drifts: Vec<Drifted>,
}

/// One difference.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drifted {
    /// The node.
    pub node: NodeId,
    /// What differs: `image`, `serial`, `dimm A3`, `disk SERIAL`.
    pub what: String,
    /// What the site says.
    pub wanted: String,
    /// What was seen.
    pub seen: String,
    /// What a person can do.
    pub next_step: String,
}
