// SPDX-License-Identifier: Apache-2.0
//! Plans who fetches which piece of an image from whom, so that what the repository sends grows with racks, not with nodes.
//!
//! Each piece is fetched from the repository by one member of a rack, which keeps it in memory as it is stored; the others
//! of the rack get it from that one. A piece that is in nobody's memory any more comes from a member's disk, and from the
//! repository again where nobody has it. Every question tells the whole of what a member has, so that a lost answer, a
//! member's death or a restart of the one who plans costs a moment and no more.
//!
//! Who is slow is judged by the pace of the others, so that a rack whose processors are busy does not go back to the
//! repository for what is on its way.
//!
//! It refuses to believe: what a member says it has is only where another is sent, and every chunk is verified by who
//! fetches it. It moves no byte, and it knows no clock.

mod choose;
mod group;
mod member;
mod pace;
mod trouble;

#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use groundstate_api::fan_out::{SourcesAnswer, SourcesQuestion, Traffic};
use groundstate_api::{Bytes, Digest, Millis, NodeId, RunId};
pub use group::everything_from_the_repository;
use group::{Group, Key};

/// A member that was not heard for so long is forgotten.
pub const FORGET: Millis = Millis::secs(60);
/// A member that was not heard for so long serves nobody: it has died, or was handed over.
pub const PRESENT: Millis = Millis::secs(10);
/// A member that fetches and was not heard for so long no longer keeps others from fetching the same pieces, and nothing is
/// waited for that it has; longer where all members are slow to ask.
pub const ABSENT: Millis = Millis::secs(3);
/// The most members of one rack and image; a rack of machines has fewer than a hundred.
pub const MEMBERS_MAX: usize = 1_024;
/// The most racks times images that are planned for at once; more get everything from the repository.
pub const GROUPS_MAX: usize = 256;

/// What the site says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The most bytes that a member may send to others in a second.
    pub rate: Option<Bytes>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A member told what it has, and asked for more.
    Asked {
        /// Who.
        node: NodeId,
        /// The rack that it stands in.
        rack: String,
        /// The address that it called from.
        from: IpAddr,
        /// What it said.
        question: SourcesQuestion,
    },
    /// A member's run is over: it serves nobody any more.
    Left {
        /// Who.
        node: NodeId,
    },
    /// The deadline has come.
    Timeout,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The answer to the question.
    Answer(SourcesAnswer),
    /// A member gave what the manifest does not say; nobody is sent to it again in its run.
    Lied {
        /// The image.
        image: Digest,
        /// Who gave it.
        peer: NodeId,
        /// Who found out.
        reporter: NodeId,
        /// Which piece it was.
        piece: u32,
    },
    /// A member cannot be fetched from; nobody is sent to it for a while.
    TakenOut {
        /// Who.
        peer: NodeId,
        /// Until when.
        until: Millis,
    },
    /// A member accuses more of the others than can be right; from now on it is believed for itself only.
    Doubted {
        /// Who.
        reporter: NodeId,
    },
}

/// The plan for every image that is on its way. Moments are milliseconds of a clock that never runs backwards.
#[derive(Clone, Debug, Default)]
pub struct FanOut {
    settings: Settings,
    groups: BTreeMap<Key, Group>,
    /// Who lied, in which run.
    liars: BTreeMap<NodeId, RunId>,
}

impl FanOut {
    /// Nobody has asked yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// When to call [`FanOut::handle`] with [`Event::Timeout`].
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.groups.values().filter_map(Group::deadline).min()
    }

    /// Takes one event and appends what to do. A question has exactly one answer.
    pub fn handle(&mut self, now: Millis, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Asked {
                node,
                rack,
                from,
                question,
            } => self.asked(now, node, rack, from, question, out),
            Event::Left { node } => {
                for group in self.groups.values_mut() {
                    group.left(&node);
                }
            }
            Event::Timeout => {
                for group in self.groups.values_mut() {
                    group.forget(now);
                }
                self.groups.retain(|_, group| !group.is_empty());
                let groups = &self.groups;
                self.liars
                    .retain(|node, _| groups.values().any(|group| group.knows(node)));
            }
        }
    }

    /// What came to a node from where, as it last said.
    #[must_use]
    pub fn traffic(&self, node: &NodeId) -> Option<Traffic> {
        self.groups.values().find_map(|group| group.traffic(node))
    }

    fn asked(
        &mut self,
        now: Millis,
        node: NodeId,
        rack: String,
        from: IpAddr,
        question: SourcesQuestion,
        out: &mut Vec<Action>,
    ) {
        // It has gone over to another image, or to another rack.
        let key = Key {
            image: question.image,
            chunks: question.chunks,
            chunk_size: question.chunk_size,
            rack,
        };
        for (other, group) in &mut self.groups {
            if *other != key {
                group.left(&node);
            }
        }
        // A new run of a node that lied begins with a clean sheet: the machine has started again.
        if self
            .liars
            .get(&node)
            .is_some_and(|run| *run != question.run)
        {
            self.liars.remove(&node);
        }
        let is_full = self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(&key);
        if is_full {
            out.push(Action::Answer(group::everything_from_the_repository(
                &question,
                self.settings.rate,
            )));
            return;
        }
        let members = self.groups.values().map(Group::present).sum();
        let group = self.groups.entry(key).or_insert_with_key(Group::new);
        let scene = group::Scene {
            now,
            settings: self.settings,
            members,
        };
        group.asked(&scene, node, from, question, &mut self.liars, out);
    }
}
