// SPDX-License-Identifier: Apache-2.0
//! Racks of nodes with links of stated rates, in simulated time: what the plan is worth. Nothing in it is random.

use crate::fan_out::{Action, Event, FanOut, Settings};
use groundstate_api::fan_out::{
    PIECE_MIN, PeerAddress, PeerTrouble, PieceSet, ROOM_MAX, SourcesAnswer, SourcesQuestion,
    Traffic, TroubleKind,
};
use groundstate_api::{Bytes, Digest, Millis, NodeId};
use std::collections::{BTreeMap, VecDeque};

/// One step of the simulated time.
const STEP: u64 = 10;
/// No byte for so long: the peer is given up.
const STALL: u64 = 2_000;
/// A fetch that takes so long, and four times as long as usual, is given up.
const SLOW: u64 = 4_000;
/// So many times as long a piece takes that is compressed again.
const FROM_DISK: f64 = 2.0;
/// Fetches at once.
const LANES: usize = 6;

/// One node and its cable.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) rack: usize,
    /// Bytes a millisecond, each way.
    pub(super) rate: f64,
    pub(super) joins: u64,
    pub(super) dies: Option<u64>,
    /// It gives wrong bytes.
    pub(super) lies: bool,
    /// It can serve from its disk.
    pub(super) disk: bool,
}

impl Spec {
    pub(super) fn usual(rack: usize) -> Self {
        Self {
            rack,
            // 1 Gb/s.
            rate: 118_000.0,
            joins: 0,
            dies: None,
            lies: false,
            disk: true,
        }
    }
}

#[derive(Clone, Debug)]
struct Transfer {
    piece: u32,
    from: Option<usize>,
    left: f64,
    since: u64,
    moved: u64,
    again: bool,
}

/// Bytes of one step over one lane.
struct Flow {
    index: usize,
    at: usize,
    from: Option<usize>,
    bytes: f64,
}

#[derive(Clone, Debug)]
struct Node {
    spec: Spec,
    id: NodeId,
    have: PieceSet,
    shelf: VecDeque<u32>,
    told: BTreeMap<u32, Option<usize>>,
    active: Vec<Transfer>,
    troubles: Vec<PeerTrouble>,
    ask_at: u64,
    /// An answer on its way, and when it is here.
    answer: Option<(u64, SourcesAnswer)>,
    answered: u64,
    fed: bool,
    done: Option<u64>,
    sent: f64,
    got: Traffic,
    /// How long a fetch takes it, smoothed.
    usual: u64,
}

/// How it went.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// What the repository sent, in images.
    pub(super) egress: f64,
    /// When each node was done, in milliseconds after it joined; none of those that were not.
    pub(super) took: Vec<Option<u64>>,
    /// What each node sent, in images.
    pub(super) sent: Vec<f64>,
    /// Who was named as a liar.
    pub(super) liars: Vec<NodeId>,
    /// How often a liar was asked after it was named.
    pub(super) asked_after: u32,
    pub(super) questions: u32,
    /// Pieces that were compressed again.
    pub(super) again: u32,
}

impl Outcome {
    /// The time below which this part of the nodes that finished were done.
    pub(super) fn quantile(&self, part: f64) -> f64 {
        let mut all: Vec<u64> = self.took.iter().copied().flatten().collect();
        all.sort_unstable();
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let at = ((all.len() as f64 * part).ceil() as usize).clamp(1, all.len()) - 1;
        #[allow(clippy::cast_precision_loss)]
        let value = all[at] as f64;
        value
    }
}

pub(super) struct World {
    pub(super) nodes: Vec<Spec>,
    pub(super) pieces: u32,
    /// Stored bytes of a piece.
    pub(super) piece: f64,
    /// The repository's cable, bytes a millisecond.
    pub(super) server: f64,
    /// Stored bytes that a node keeps in memory.
    pub(super) shelf: u32,
    /// Pieces that a node takes on at a time.
    pub(super) window: u32,
    pub(super) settings: Settings,
    pub(super) until: u64,
}

impl World {
    /// 512 MiB as it is stored, in 1,024 pieces; a repository at 10 Gb/s.
    pub(super) fn new(nodes: Vec<Spec>) -> Self {
        Self {
            nodes,
            pieces: 1_024,
            piece: f64::from(1 << 19),
            server: 1_180_000.0,
            shelf: 16,
            window: 96,
            settings: Settings::default(),
            until: 600_000,
        }
    }

    pub(super) fn run(&self) -> Outcome {
        let mut run = Run::new(self);
        let mut now = 0;
        while now < self.until && !run.is_over(now) {
            run.ask(now);
            run.start(now);
            run.move_bytes(now);
            now += STEP;
        }
        run.outcome()
    }
}

struct Run<'a> {
    world: &'a World,
    plan: FanOut,
    nodes: Vec<Node>,
    egress: f64,
    liars: Vec<NodeId>,
    asked_after: u32,
    questions: u32,
    again: u32,
}

impl<'a> Run<'a> {
    fn new(world: &'a World) -> Self {
        let nodes = world.nodes.iter().enumerate().map(|(index, spec)| Node {
            spec: spec.clone(),
            id: format!("n{index}").parse().unwrap(),
            have: PieceSet::new(),
            shelf: VecDeque::new(),
            told: BTreeMap::new(),
            active: Vec::new(),
            troubles: Vec::new(),
            ask_at: spec.joins,
            answer: None,
            answered: 0,
            fed: false,
            done: None,
            sent: 0.0,
            got: Traffic::default(),
            usual: 0,
        });
        Self {
            world,
            plan: FanOut::new(world.settings),
            nodes: nodes.collect(),
            egress: 0.0,
            liars: Vec::new(),
            asked_after: 0,
            questions: 0,
            again: 0,
        }
    }

    fn is_alive(&self, node: usize, now: u64) -> bool {
        let spec = &self.nodes[node].spec;
        spec.joins <= now && spec.dies.is_none_or(|at| now < at)
    }

    fn is_over(&self, now: u64) -> bool {
        self.nodes
            .iter()
            .all(|node| node.done.is_some() || node.spec.dies.is_some_and(|at| at <= now))
    }

    fn ask(&mut self, now: u64) {
        for index in 0..self.nodes.len() {
            if !self.is_alive(index, now) {
                continue;
            }
            self.take_answer(index, now);
            // Where the last answer brought something, the next question goes out before that is used up.
            let node = &self.nodes[index];
            let low = node.told.len() <= node.active.len() + 16 && node.done.is_none();
            if low && node.fed && node.ask_at > now && now >= node.answered + 50 {
                self.nodes[index].ask_at = now;
            }
            if self.nodes[index].answer.is_none() && self.nodes[index].ask_at <= now {
                self.question(index, now);
            }
        }
    }

    fn question(&mut self, index: usize, now: u64) {
        self.questions += 1;
        let node = &mut self.nodes[index];
        let under_way: PieceSet = node.told.keys().copied().collect();
        let room = self
            .world
            .window
            .saturating_sub(under_way.len())
            .min(ROOM_MAX);
        let question = SourcesQuestion {
            run: format!("run-{index}").parse().unwrap(),
            image: Digest::of(b"image"),
            chunks: self.world.pieces,
            // A chunk is a piece.
            chunk_size: PIECE_MIN,
            port: Some(4_433),
            disk: node.spec.disk,
            have: node.have.clone(),
            hot: node.shelf.iter().copied().collect(),
            shelf: self.world.shelf,
            under_way,
            room,
            troubles: std::mem::take(&mut node.troubles),
            traffic: node.got,
        };
        let event = Event::Asked {
            node: node.id.clone(),
            rack: format!("rack-{}", node.spec.rack),
            from: [10, 0, 0, 1].into(),
            question,
        };
        let mut out = Vec::new();
        self.plan.handle(Millis(now), event, &mut out);
        if self.plan.deadline().is_some_and(|at| at <= Millis(now)) {
            self.plan.handle(Millis(now), Event::Timeout, &mut out);
        }
        for action in out {
            match action {
                // 4 ms there and back, and 1 ms for each of a rack's ten nodes.
                Action::Answer(answer) => {
                    let answer: SourcesAnswer =
                        serde_json::from_str(&serde_json::to_string(&answer).unwrap()).unwrap();
                    let named = |peer: &&PeerAddress| self.liars.contains(&peer.node);
                    let again = answer.peers.iter().filter(named).count();
                    self.asked_after += u32::try_from(again).unwrap();
                    self.nodes[index].answer = Some((now + 20, answer));
                }
                Action::Lied { peer, .. } => self.liars.push(peer),
                Action::TakenOut { .. } | Action::Doubted { .. } => {}
            }
        }
    }

    fn take_answer(&mut self, index: usize, now: u64) {
        let Some((at, _)) = &self.nodes[index].answer else {
            return;
        };
        if *at > now {
            return;
        }
        let (_, answer) = self.nodes[index].answer.take().unwrap();
        self.nodes[index].ask_at = now + answer.again.0;
        self.nodes[index].answered = now;
        self.nodes[index].fed = !answer.fetch.is_empty();
        self.nodes[index]
            .shelf
            .retain(|piece| !answer.shed.has(*piece));
        for share in &answer.fetch {
            let from = share.peer.map(|peer| {
                let name = &answer.peers[usize::from(peer)].node;
                name.as_str()[1..].parse::<usize>().unwrap()
            });
            for piece in share.pieces() {
                // What came since the question needs no place to come from.
                if self.nodes[index].have.has(piece) {
                    continue;
                }
                let before = self.nodes[index].told.insert(piece, from);
                assert_ne!(before, Some(from), "told twice");
                // From elsewhere now: what is under way is let go.
                if before.is_some() {
                    self.nodes[index].active.retain(|each| each.piece != piece);
                }
            }
        }
    }

    /// Begins fetches where there are lanes free: two from one source at most.
    fn start(&mut self, now: u64) {
        for index in 0..self.nodes.len() {
            if !self.is_alive(index, now) {
                continue;
            }
            while self.nodes[index].active.len() < LANES {
                let node = &self.nodes[index];
                if node.told.len() == node.active.len() {
                    break;
                }
                let next = node.told.iter().find(|(piece, from)| {
                    let same = node
                        .active
                        .iter()
                        .filter(|each| each.from == **from)
                        .count();
                    same < 2 && node.active.iter().all(|each| each.piece != **piece)
                });
                let Some((piece, from)) = next.map(|(piece, from)| (*piece, *from)) else {
                    break;
                };
                let mut again = false;
                if let Some(peer) = from {
                    let other = &self.nodes[peer];
                    let hot = other.shelf.contains(&piece);
                    again = !hot && other.spec.disk && other.have.has(piece);
                    if !hot && !again && self.is_alive(peer, now) {
                        self.give_back(index, peer, piece, TroubleKind::Gone);
                        continue;
                    }
                }
                let bytes = self.world.piece * if again { FROM_DISK } else { 1.0 };
                self.nodes[index].active.push(Transfer {
                    piece,
                    from,
                    left: bytes,
                    since: now,
                    moved: now,
                    again,
                });
            }
        }
    }

    fn give_back(&mut self, index: usize, peer: usize, piece: u32, what: TroubleKind) {
        let peer = self.nodes[peer].id.clone();
        let node = &mut self.nodes[index];
        node.told.remove(&piece);
        node.active.retain(|each| each.piece != piece);
        node.troubles.push(PeerTrouble { peer, piece, what });
        node.ask_at = 0;
    }

    /// The flows that there are: who fetches, which of its lanes, from whom.
    fn flows(&self, now: u64) -> Vec<Flow> {
        let mut flows = Vec::new();
        for index in (0..self.nodes.len()).filter(|index| self.is_alive(*index, now)) {
            for (at, transfer) in self.nodes[index].active.iter().enumerate() {
                let from = transfer.from;
                if from.is_none_or(|peer| self.is_alive(peer, now)) {
                    flows.push(Flow {
                        index,
                        at,
                        from,
                        bytes: 0.0,
                    });
                }
            }
        }
        flows
    }

    /// Shares every cable among its flows; what one cannot use the others get, in a few rounds.
    #[allow(clippy::cast_precision_loss)]
    fn share(&self, flows: &mut [Flow]) {
        let step = STEP as f64;
        let mut down: Vec<f64> = self
            .nodes
            .iter()
            .map(|node| node.spec.rate * step)
            .collect();
        let mut up = down.clone();
        let mut server = self.world.server * step;
        for _ in 0..3 {
            let (mut downs, mut ups, mut servers) =
                (vec![0.0; down.len()], vec![0.0; up.len()], 0.0);
            let open = |flow: &Flow, down: &[f64], up: &[f64], server: f64| {
                let source = flow.from.map_or(server, |peer| up[peer]);
                down[flow.index] > 1.0 && source > 1.0
            };
            for flow in flows.iter().filter(|flow| open(flow, &down, &up, server)) {
                downs[flow.index] += 1.0;
                match flow.from {
                    Some(peer) => ups[peer] += 1.0,
                    None => servers += 1.0,
                }
            }
            let (was_down, was_up, was_server) = (down.clone(), up.clone(), server);
            for flow in flows.iter_mut() {
                if !open(flow, &was_down, &was_up, was_server) {
                    continue;
                }
                let source = flow
                    .from
                    .map_or(was_server / servers, |peer| was_up[peer] / ups[peer]);
                let more = source.min(was_down[flow.index] / downs[flow.index]);
                flow.bytes += more;
                down[flow.index] -= more;
                match flow.from {
                    Some(peer) => up[peer] -= more,
                    None => server -= more,
                }
            }
        }
    }

    fn move_bytes(&mut self, now: u64) {
        let mut flows = self.flows(now);
        self.share(&mut flows);
        for flow in flows {
            let transfer = &mut self.nodes[flow.index].active[flow.at];
            let bytes = flow.bytes.min(transfer.left);
            transfer.left -= bytes;
            if bytes > 0.0 {
                transfer.moved = now;
            }
            match flow.from {
                None => self.egress += bytes,
                Some(peer) => self.nodes[peer].sent += bytes,
            }
        }
        for index in (0..self.nodes.len())
            .filter(|index| self.is_alive(*index, now))
            .collect::<Vec<_>>()
        {
            let slow = SLOW.max(self.nodes[index].usual * 4);
            let over = |each: &Transfer| {
                each.left < 1.0
                    || now - each.moved >= STALL
                    || each.from.is_some() && now - each.since >= slow
            };
            let over: Vec<Transfer> = self.nodes[index]
                .active
                .iter()
                .filter(|each| over(each))
                .cloned()
                .collect();
            for transfer in over {
                self.end(index, &transfer, now);
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn end(&mut self, index: usize, transfer: &Transfer, now: u64) {
        let piece = transfer.piece;
        if let Some(peer) = transfer.from {
            if transfer.left >= 1.0 {
                // Whoever is dead keeps all that was to come from it.
                let others: Vec<u32> = self.nodes[index]
                    .told
                    .iter()
                    .filter(|(_, from)| **from == Some(peer))
                    .map(|(piece, _)| *piece)
                    .collect();
                let what = if now - transfer.moved >= STALL {
                    TroubleKind::Away
                } else {
                    TroubleKind::Slow
                };
                for piece in others {
                    self.give_back(index, peer, piece, what);
                }
                return;
            }
            if self.nodes[peer].spec.lies {
                self.give_back(index, peer, piece, TroubleKind::Lied);
                return;
            }
        }
        let shelf = usize::try_from(self.world.shelf).unwrap();
        let bytes = self.world.piece as u64;
        let pieces = self.world.pieces;
        let node = &mut self.nodes[index];
        self.again += u32::from(transfer.again);
        let time = now - transfer.since;
        node.usual = if node.usual == 0 {
            time
        } else {
            (node.usual * 7 + time) / 8
        };
        node.told.remove(&piece);
        node.active.retain(|each| each.piece != piece);
        node.have.add(piece);
        if transfer.from.is_none() {
            node.got.from_repository.0 += bytes;
            node.shelf.push_back(piece);
            if node.shelf.len() > shelf {
                node.shelf.pop_front();
            }
        } else {
            node.got.from_peers.0 += bytes;
        }
        if node.have.len() == pieces {
            node.done = Some(now - node.spec.joins);
        }
    }

    fn outcome(self) -> Outcome {
        let image = self.world.piece * f64::from(self.world.pieces);
        Outcome {
            egress: self.egress / image,
            took: self.nodes.iter().map(|node| node.done).collect(),
            sent: self.nodes.iter().map(|node| node.sent / image).collect(),
            liars: self.liars,
            asked_after: self.asked_after,
            questions: self.questions,
            again: self.again,
        }
    }
}

/// The cap of what a node sends, as a site says it.
pub(super) const fn capped(rate: u64) -> Settings {
    Settings {
        rate: Some(Bytes(rate)),
    }
}
