// SPDX-License-Identifier: Apache-2.0
//! All nodes of a fleet together: switched on one by one or all at once, silenced, moved to another provisioner, stopped.

use super::call::Trust;
use super::node::{Acknowledged, Node, Pace};
use super::population::Member;
use super::tally::Tally;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A fleet that lives. It stops when it is dropped.
pub struct Swarm {
    shared: Arc<Shared>,
    silent: watch::Sender<BTreeSet<Member>>,
    nodes: JoinSet<()>,
}

/// What all nodes know.
pub(super) struct Shared {
    trust: RwLock<Trust>,
    street: Option<Ipv4Addr>,
    to: RwLock<SocketAddr>,
    pub(super) pace: Pace,
    pub(super) tally: Tally,
    acknowledged: Mutex<Vec<Acknowledged>>,
    silent: watch::Receiver<BTreeSet<Member>>,
    noise: AtomicU64,
}

impl Swarm {
    /// A fleet of which no node is switched on. `seed` makes its jitter.
    #[must_use]
    pub fn new(trust: Trust, to: SocketAddr, pace: Pace, seed: u64) -> Self {
        Self::on_a_street(trust, to, pace, seed, None)
    }

    /// The same, each node with an address of its own: the first has the one after `street`. The machine must answer for them.
    #[must_use]
    pub fn on_a_street(
        trust: Trust,
        to: SocketAddr,
        pace: Pace,
        seed: u64,
        street: Option<Ipv4Addr>,
    ) -> Self {
        let (silent, heard) = watch::channel(BTreeSet::new());
        let shared = Shared {
            trust: RwLock::new(trust),
            street,
            to: RwLock::new(to),
            pace,
            tally: Tally::default(),
            acknowledged: Mutex::default(),
            silent: heard,
            noise: AtomicU64::new(seed | 1),
        };
        Self {
            shared: Arc::new(shared),
            silent,
            nodes: JoinSet::new(),
        }
    }

    /// Switches a node on. It boots from the network.
    pub fn power_on(&mut self, who: Member) {
        let node = Node {
            who,
            shared: self.shared.clone(),
            boots: 0,
            host: None,
        };
        self.nodes.spawn(node.live());
    }

    /// These hosts stop to report, until they are not named any more.
    pub fn silence(&self, who: BTreeSet<Member>) {
        self.silent.send_replace(who);
    }

    /// What is counted.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// From now on the provisioner is there: for lines that are opened after this, or get no answer.
    pub fn move_to(&self, to: SocketAddr) {
        *write(&self.shared.to) = to;
        let moved = self.shared.trust().at(to);
        *write(&self.shared.trust) = moved;
    }

    /// All that was acknowledged so far, in order.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        lock(&self.shared.acknowledged).clone()
    }
}

impl Shared {
    pub(super) fn trust(&self) -> Trust {
        self.trust
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// For the calls of one node.
    pub(super) fn trust_of(&self, who: Member) -> Trust {
        let trust = self.trust();
        match self.street {
            Some(street) => {
                let house = u32::from(street).saturating_add(who.0).saturating_add(1);
                trust.calling_from(Ipv4Addr::from(house))
            }
            None => trust,
        }
    }

    pub(super) fn to(&self) -> SocketAddr {
        *self.to.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn acknowledge(&self, what: Acknowledged) {
        lock(&self.acknowledged).push(what);
    }

    /// Waits while this host is to be silent.
    pub(super) async fn silence(&self, who: Member) {
        let mut silent = self.silent.clone();
        // The swarm is gone only when its nodes are.
        let _ = silent.wait_for(|who_are| !who_are.contains(&who)).await;
    }

    /// That long, less up to a quarter.
    pub(super) fn jitter(&self, wait: Duration) -> Duration {
        wait - self.share(wait / 4)
    }

    /// Some part of it.
    pub(super) fn share(&self, of: Duration) -> Duration {
        // A linear congruence (Knuth's MMIX): the upper bits are what counts.
        let next = |seed: u64| {
            seed.wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407)
        };
        let before = self
            .noise
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seed| {
                Some(next(seed))
            });
        let upper = u32::try_from(next(before.unwrap_or_default()) >> 32).unwrap_or_default();
        of.mul_f64(f64::from(upper) / f64::from(u32::MAX))
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(of: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    of.write().unwrap_or_else(PoisonError::into_inner)
}
