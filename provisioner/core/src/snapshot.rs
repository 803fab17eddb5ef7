// SPDX-License-Identifier: Apache-2.0
//! The fold as it stands after an event, as bytes: so that a start need not fold everything that was ever journalled.
//!
//! It holds nothing that the journal does not say: what is only remembered while we run is left out, and what the site says of a
//! node is read from the site. Whoever keeps the bytes verifies them; what is opened here was written by this very build
//! ([`FOLD`]).

use crate::Doing;
use crate::adopt::Tokens;
use crate::counted::Counted;
use crate::earlier::Earlier;
use crate::eta::Medians;
use crate::fleet::Fleet;
use crate::healing::{Brake, Episode};
use crate::health::Reported;
use crate::kept::{KeptInventory, KeptPlan, Packed, plain};
use crate::node::{Host, Node, Run};
use crate::waiting_room::WaitingRoom;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use groundstate_api::action::ActionId;
use groundstate_api::boot::Firmware;
use groundstate_api::site::Site;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, NodeId, PlanId, Reason};
use serde::{Deserialize, Serialize};

/// What this build's fold and types are made of: a snapshot of another one is none.
pub const FOLD: &str = env!("GROUNDSTATE_FOLD");

/// Nodes that are written together: what they have in common is written once, and two threads may open them.
const TOGETHER: usize = 64;

/// A fleet at one moment. To take it takes no longer than to count the nodes, and nobody waits while it is written.
#[derive(Debug)]
pub struct Taken {
    nodes: Vec<Arc<Node>>,
    rest: Rest,
}

/// Why a snapshot is not one of this fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRestored {
    /// Its bytes are not laid out as ours.
    Layout,
    /// A value in it cannot be understood.
    Value(String),
    /// It has a node that the site has not.
    Node(NodeId),
}

impl fmt::Display for NotRestored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout => f.write_str("its bytes are not laid out as ours"),
            Self::Value(why) => write!(f, "a value in it cannot be understood: {why}"),
            Self::Node(node) => write!(f, "it has node {node}, and the site has not"),
        }
    }
}

impl core::error::Error for NotRestored {}

/// What is of no node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    brake: Brake,
    waiting: WaitingRoom,
    medians: Medians,
    tokens: Tokens,
    actions: Vec<(ActionId, NodeId)>,
}

/// What the journal says of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeState {
    name: NodeId,
    phase: Phase,
    since: Millis,
    reason: Option<Reason>,
    run: Option<Run>,
    runs: u64,
    firmware: Option<Firmware>,
    last_good: Option<KeptInventory>,
    figures: Counted,
    earlier: Earlier,
    host: Option<Host>,
    quarantine: BTreeMap<String, Millis>,
    alarms: Vec<Reason>,
    actions: Vec<Doing>,
    troubles: BTreeMap<String, Reported>,
    episode: Option<Episode>,
    taken_by_policy: bool,
    let_go: Vec<PlanId>,
    version: u64,
}

/// Some nodes of a snapshot, opened.
#[derive(Debug)]
pub struct Chunk(Vec<NodeState>);

impl Fleet {
    /// The fleet as it stands.
    #[must_use]
    pub fn take(&self) -> Taken {
        // A node that no event speaks of is as the site says.
        let told = self.nodes.values().filter(|node| node.version > 0);
        let actions = self.index.actions.iter();
        Taken {
            nodes: told.cloned().collect(),
            rest: Rest {
                brake: self.brake.clone(),
                waiting: self.told.clone(),
                medians: self.medians.clone(),
                tokens: self.tokens.clone(),
                actions: actions.map(|(id, node)| (*id, node.clone())).collect(),
            },
        }
    }

    /// The fleet of a site as it stood when the snapshot was taken.
    ///
    /// # Errors
    /// Where the snapshot is not one of this site's fleet.
    pub fn restored(
        site: &Site,
        began: Millis,
        rest: &[u8],
        chunks: Vec<Chunk>,
    ) -> Result<Self, NotRestored> {
        let mut fleet = Self::new(site, began);
        for state in chunks.into_iter().flat_map(|chunk| chunk.0) {
            let name = state.name.clone();
            let Some(node) = fleet.nodes.get_mut(&name).map(Arc::make_mut) else {
                return Err(NotRestored::Node(name));
            };
            state.put_into(node);
            fleet.index.take(None, node);
        }
        let rest: Rest = opened(rest)?;
        fleet.brake = rest.brake;
        fleet.told = rest.waiting.clone();
        fleet.waiting = rest.waiting;
        fleet.medians = rest.medians;
        fleet.tokens = rest.tokens;
        fleet.index.actions = rest.actions.into_iter().collect();
        Ok(fleet)
    }
}

impl Taken {
    /// How many nodes it has.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many times [`Self::chunks`] gives something.
    #[must_use]
    pub fn pieces(&self) -> usize {
        self.nodes.len().div_ceil(TOGETHER)
    }

    /// What is of no node.
    ///
    /// # Errors
    /// Where a value cannot be written: the snapshot is then not to be kept.
    pub fn rest(&self) -> Result<Vec<u8>, serde_json::Error> {
        closed(&self.rest)
    }

    /// The nodes, some at a time.
    ///
    /// # Errors
    /// Where a value cannot be written: the snapshot is then not to be kept.
    pub fn chunks(&self) -> impl Iterator<Item = Result<Vec<u8>, serde_json::Error>> + '_ {
        self.nodes.chunks(TOGETHER).map(|nodes| {
            let mut list = Vec::new();
            let states: Vec<NodeState> = nodes
                .iter()
                .map(|node| {
                    let mut state = NodeState::of(node);
                    state.each_packed(&mut |packed| packed.put_into(&mut list));
                    state
                })
                .collect();
            let mut bytes = Vec::new();
            put(&mut bytes, &closed(&states)?);
            list.iter().for_each(|one| put(&mut bytes, one));
            Ok(bytes)
        })
    }
}

/// Opens some nodes of a snapshot.
///
/// # Errors
/// Where the bytes are none of [`Taken::chunks`].
pub fn open(mut bytes: &[u8]) -> Result<Chunk, NotRestored> {
    let states = piece(&mut bytes)?;
    let mut states: Vec<NodeState> = opened(states)?;
    let mut list: Vec<Arc<[u8]>> = Vec::new();
    while !bytes.is_empty() {
        list.push(piece(&mut bytes)?.into());
    }
    for state in &mut states {
        let mut all = true;
        state.each_packed(&mut |packed| all &= packed.take_from(&list));
        if !all {
            return Err(NotRestored::Layout);
        }
        state.share();
    }
    Ok(Chunk(states))
}

fn closed(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let json = serde_json::to_vec(value)?;
    Ok(lz4_flex::block::compress_prepend_size(&json))
}

fn opened<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, NotRestored> {
    let json = plain(bytes).ok_or(NotRestored::Layout)?;
    serde_json::from_slice(&json).map_err(|error| NotRestored::Value(error.to_string()))
}

/// A length of four bytes, and the bytes.
fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(bytes);
}

fn piece<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], NotRestored> {
    let (length, rest) = from.split_first_chunk().ok_or(NotRestored::Layout)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (piece, rest) = rest.split_at_checked(length).ok_or(NotRestored::Layout)?;
    *from = rest;
    Ok(piece)
}

impl NodeState {
    fn of(node: &Node) -> Self {
        // Whoever adds to a node decides here whether the journal says it.
        let Node {
            site,
            policy_hand_over: _,
            rules: _,
            phase,
            since,
            reason,
            run,
            runs,
            firmware,
            last_good,
            figures,
            earlier,
            host,
            quarantine,
            alarms,
            actions,
            troubles,
            episode,
            taken_by_policy,
            let_go,
            version,
            live: _,
        } = node;
        Self {
            name: site.name.clone(),
            phase: *phase,
            since: *since,
            reason: reason.clone(),
            run: run.clone(),
            runs: *runs,
            firmware: *firmware,
            last_good: last_good.clone(),
            figures: figures.clone(),
            earlier: earlier.clone(),
            host: host.clone(),
            quarantine: quarantine.clone(),
            alarms: alarms.clone(),
            actions: actions.clone(),
            troubles: troubles.clone(),
            episode: episode.clone(),
            taken_by_policy: *taken_by_policy,
            let_go: let_go.clone(),
            version: *version,
        }
    }

    fn put_into(self, node: &mut Node) {
        let Self {
            name: _,
            phase,
            since,
            reason,
            run,
            runs,
            firmware,
            last_good,
            figures,
            earlier,
            host,
            quarantine,
            alarms,
            actions,
            troubles,
            episode,
            taken_by_policy,
            let_go,
            version,
        } = self;
        node.phase = phase;
        node.since = since;
        node.reason = reason;
        node.run = run;
        node.runs = runs;
        node.firmware = firmware;
        node.last_good = last_good;
        node.figures = figures;
        node.earlier = earlier;
        node.host = host;
        node.quarantine = quarantine;
        node.alarms = alarms;
        node.actions = actions;
        node.troubles = troubles;
        node.episode = episode;
        node.taken_by_policy = taken_by_policy;
        node.let_go = let_go;
        node.version = version;
    }

    /// Every long value of the node.
    fn each_packed(&mut self, each: &mut dyn FnMut(&mut Packed)) {
        let run = self.run.iter_mut();
        let (inventories, plans): (Vec<_>, Vec<_>) = run
            .map(|run| (run.inventory.as_mut(), run.plan.as_mut()))
            .unzip();
        let inventories = inventories.into_iter().flatten();
        for inventory in inventories.chain(self.last_good.as_mut()) {
            each(inventory.packed_mut());
        }
        let host = self.host.as_mut().and_then(|host| host.plan.as_mut());
        for plan in plans.into_iter().flatten().chain(host) {
            each(plan.packed_mut());
        }
        if let Some(figures) = self.figures.packed_mut() {
            each(figures);
        }
        self.earlier.each_packed(each);
    }

    /// What is equal is held once again, as the fold holds it.
    fn share(&mut self) {
        if let Some(run) = &mut self.run
            && run.inventory == self.last_good
        {
            run.inventory.clone_from(&self.last_good);
        }
        let run = self.run.as_mut().and_then(|run| run.plan.as_mut());
        let host = self.host.as_mut().and_then(|host| host.plan.as_mut());
        let others = run.into_iter().chain(host);
        let mut known: Vec<KeptPlan> = Vec::new();
        for plan in others.chain(self.earlier.plans_mut()) {
            match known.iter().find(|one| *one == plan) {
                Some(one) => *plan = one.clone(),
                None => known.push(plan.clone()),
            }
        }
    }
}
