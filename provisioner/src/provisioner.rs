// SPDX-License-Identifier: Apache-2.0
//! The provisioner as one value: inputs go in, events become durable, and only then somebody hears of it.

mod book;
mod boot_service;
mod campaign;
mod common;
mod desk;
mod due;
mod in_force;
mod keeper;
mod kept_files;
mod only_if;
mod open;
mod ordering;
mod recent;
mod refusing;
mod replay;
mod snapshot;
mod unfolded;

use crate::boots::Boots;
use crate::clock::Clock;
use crate::fan_out::Sources;
use crate::figures::Figures;
use crate::images::Images;
use crate::journal::{EtcdOptions, JournalError, Leader, Reader, log_of_boot};
use crate::leader::{Leadership, MarkFile};
use crate::pki::{Pki, PkiError};
use book::{Book, Queue};
use boot_service::Seen;
use due::Due;
use groundstate_api::action::Action;
use groundstate_api::boot::BootConfig;
use groundstate_api::enrol::EnrolRequest;
use groundstate_api::event::Event;
use groundstate_api::fan_out::{SourcesAnswer, SourcesQuestion};
use groundstate_api::inventory::Inventory;
use groundstate_api::site::Site;
use groundstate_api::view::{NodeList, NodeReport, NodeView};
use groundstate_api::{MacAddr, Millis, NodeId, Reason, RunId, SCHEMA};
use in_force::InForce;
pub(crate) use only_if::OnlyIf;
use prov_core::{Fleet, Input, KeptInventory, Node, Reply};
use recent::Recent;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often deadlines are looked at. They are minutes long; a second is exact enough.
const TICK: Duration = Duration::from_secs(1);
/// Sightings that are brought into the journal at once.
const SIGHTINGS_AT_ONCE: usize = 256;

/// What a provisioner is made of.
pub struct Options {
    /// The site file, checked.
    pub site: Site,
    /// Where the journal and the certificates lie.
    pub state_dir: PathBuf,
    /// The image repository.
    pub images: Arc<dyn Images>,
}

/// Where several provisioners share one journal.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The cluster.
    pub etcd: EtcdOptions,
    /// Who we are: what the others say of us, and to nodes.
    pub me: Leader,
    /// Further names and addresses of this provisioner, for its certificate: a floating address, a name in DNS.
    pub names: Vec<String>,
}

/// The provisioner. Clones are the same one.
#[derive(Clone)]
pub struct Provisioner {
    inner: Arc<Inner>,
    /// For which state of its node this handle's orders count.
    only_if: Option<Arc<OnlyIf>>,
}

struct Inner {
    clock: Clock,
    /// Which site holds. Locked for moments only.
    in_force: RwLock<InForce>,
    pki: Pki,
    images: Arc<dyn Images>,
    /// The writer's lock: decide, make durable, fold in. Held while the disk is written.
    book: Mutex<Book>,
    /// What waits for the writer.
    queue: Queue,
    /// What the journal refused last.
    refusing: refusing::Refusing,
    /// Whether the last write may have been done although it failed: then nothing is answered from memory.
    doubtful: AtomicBool,
    /// Whether a fold ended half way: then nothing is decided any more.
    unfolded: unfolded::Unfolded,
    /// Whose deadline passes next.
    due: Mutex<Due>,
    /// The newest events.
    recent: Recent,
    /// Reads beside the writer.
    reader: Mutex<Box<dyn Reader>>,
    /// Whether we may decide.
    leader: Leadership,
    /// The fold beside the journal.
    keeper: keeper::Keeper,
    /// How far the journal had come.
    mark: Mutex<MarkFile>,
    /// Which journal it is, once that is known.
    journal_id: std::sync::OnceLock<String>,
    /// Dropped, the campaign ends.
    campaign: Mutex<Option<std::sync::mpsc::Sender<()>>>,
    /// What readers see. Written for moments only, so that the boot service is answered within milliseconds.
    fleet: RwLock<Fleet>,
    newest: watch::Sender<u64>,
    figures: Figures,
    webhooks: crate::webhook::Standing,
    /// What the file of the start changed.
    edited: std::sync::OnceLock<Vec<String>>,
    boots: Boots,
    /// Speaks to BMCs.
    power: crate::power::Power,
    /// The last look over the whole fleet.
    fleet_cache: crate::fleet_view::Cache,
    /// Files for hosts that go, unless somebody names them.
    unnamed: kept_files::Unnamed,
    sources: Sources,
    sightings: mpsc::Sender<Seen>,
    plans: mpsc::UnboundedSender<(NodeId, RunId)>,
    /// What is to be carried out at machines.
    actions: mpsc::UnboundedSender<Action>,
    /// The folder of hosts' diagnostics.
    diagnostics: PathBuf,
    /// The other end, until the worker takes it.
    actions_out: Mutex<Option<mpsc::UnboundedReceiver<Action>>>,
    work: Mutex<Option<Work>>,
}

/// The receiving ends, taken by [`Provisioner::run`].
struct Work {
    sightings: mpsc::Receiver<Seen>,
    plans: mpsc::UnboundedReceiver<(NodeId, RunId)>,
}

/// A node that speaks in its run, as its certificate says.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    /// The node.
    pub(crate) node: NodeId,
    /// The run.
    pub(crate) run: RunId,
    /// Digest of its public key.
    pub(crate) key: String,
}

/// Why what a node said in its run is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unheard {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The run went on in a later boot.
    #[error("{0}")]
    Withdrawn(Box<Reason>),
}

/// Why the provisioner cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state directory.
    #[error("the state directory {path} cannot be made: {source}")]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The certificates.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another provisioner of the site has another CA.
    #[error(
        "the journal is of a site with another CA: copy the folder pki/ of the first provisioner's state directory here, by hand, and start again"
    )]
    OtherCa,
    /// The site file of the start is another one than at the start before, and something stands in its way.
    #[error("the site file is another one than at the last start, and cannot be applied now\n{0}")]
    Edited(Box<Reason>),
}

impl Provisioner {
    /// The certificates.
    #[must_use]
    pub fn pki(&self) -> &Pki {
        &self.inner.pki
    }

    /// The images.
    #[must_use]
    pub fn images(&self) -> &Arc<dyn Images> {
        &self.inner.images
    }

    /// Where the API is for nodes: `https://address:port`. Among several, each tells its own: whoever heard it is there.
    #[must_use]
    pub fn address(&self) -> String {
        if !matches!(self.standing(), crate::leader::Standing::Alone) {
            return self.who().url;
        }
        let network = &self.site().network;
        format!("https://{}:{}", network.address, network.https_port)
    }

    /// What the boot image carries about this site.
    #[must_use]
    pub fn boot_config(&self) -> BootConfig {
        BootConfig {
            schema: SCHEMA,
            site: self.site().name.clone(),
            provisioner: self.address(),
            others: self.others(),
            ca_pem: self.inner.pki.ca_pem().to_owned(),
        }
    }

    /// Does what happens by itself until `stop` is true: deadlines, sightings, plans.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let work = self
            .inner
            .work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(Work {
            mut sightings,
            plans,
        }) = work
        else {
            tracing::error!("the provisioner runs already");
            return;
        };
        let planner = tokio::spawn(self.clone().make_plans(plans));
        if let Some(actions) = self.take_actions() {
            tokio::spawn(crate::power::work(self.clone(), actions, stop.clone()));
        }
        let webhooks = tokio::spawn(crate::webhook::run(self.clone(), stop.clone()));
        tokio::spawn(self.clone().clear_files_by_itself(stop.clone()));
        let mut tick = tokio::time::interval(TICK);
        let mut seen = Vec::new();
        loop {
            tokio::select! {
                () = crate::serve::stopped(&mut stop) => break,
                _ = sightings.recv_many(&mut seen, SIGHTINGS_AT_ONCE) => {
                    let (this, seen) = (self.clone(), std::mem::take(&mut seen));
                    blocking(move || this.take(seen)).await;
                }
                _ = tick.tick() => {
                    let this = self.clone();
                    blocking(move || this.tick()).await;
                }
            }
        }
        planner.abort();
        let this = self.clone();
        blocking(move || this.leave()).await;
        webhooks.abort();
    }

    /// The nodes by name.
    #[must_use]
    pub fn list(&self) -> NodeList {
        NodeList {
            nodes: self.fleet().nodes().map(Node::view).collect(),
        }
    }

    /// A node in the list.
    #[must_use]
    pub fn view(&self, node: &NodeId) -> Option<NodeView> {
        self.fleet().node(node).map(Node::view)
    }

    /// A node in full.
    #[must_use]
    pub fn report(&self, node: &NodeId) -> Option<NodeReport> {
        self.with_node(node, |node| {
            let mut report = node.report();
            report.hardware = crate::hardware::of(node, &report);
            report
        })
    }

    /// Where a node gets the next pieces of its image. Nothing of it is durable: every question tells the whole.
    pub(crate) fn sources(
        &self,
        node: &NodeId,
        from: IpAddr,
        question: SourcesQuestion,
    ) -> SourcesAnswer {
        let site = self.site();
        let slot = |node: &Node| node.site.slot.as_ref().map(|slot| slot.rack.clone());
        let rack = match self.with_node(node, slot).flatten() {
            Some(rack) => rack,
            None => site.images.rack_of(node, from).to_owned(),
        };
        self.inner
            .sources
            .answer(self.now(), rack, node, from, question)
    }

    /// Reads a node's state.
    pub(crate) fn with_node<T>(&self, node: &NodeId, read: impl FnOnce(&Node) -> T) -> Option<T> {
        self.fleet().node(node).map(read)
    }

    /// Reads the fleet. Writers wait meanwhile: for moments only.
    pub(crate) fn with_fleet<T>(&self, read: impl FnOnce(&Fleet) -> T) -> T {
        read(&self.fleet())
    }

    pub(crate) fn power(&self) -> &crate::power::Power {
        &self.inner.power
    }

    pub(crate) fn fleet_cache(&self) -> &crate::fleet_view::Cache {
        &self.inner.fleet_cache
    }

    /// Names of the nodes.
    pub(crate) fn names(&self) -> Vec<String> {
        self.fleet().nodes().map(|n| n.id().to_string()).collect()
    }

    /// The number of the newest event, to be waited on.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.inner.newest.subscribe()
    }

    /// Reads events from the journal. Blocks.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn events(
        &self,
        after: u64,
        limit: usize,
        node: Option<&NodeId>,
    ) -> Result<Vec<Event>, JournalError> {
        if after >= *self.inner.newest.borrow() {
            return Ok(Vec::new());
        }
        let mut events = match self.inner.recent.read(after, limit, node) {
            Some(events) => events,
            None => self.reader().read(after, limit, node)?,
        };
        events.iter_mut().for_each(prov_core::named::event);
        Ok(events)
    }

    /// The newest events, at most `limit`, the oldest of them first. Blocks.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn latest(&self, limit: usize, node: Option<&NodeId>) -> Result<Vec<Event>, JournalError> {
        let mut events = self.reader().latest(limit, node)?;
        events.iter_mut().for_each(prov_core::named::event);
        Ok(events)
    }

    /// A run's log. Blocks.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn log(&self, node: &NodeId, run: &RunId) -> Result<Option<String>, JournalError> {
        self.reader().log(node, run)
    }

    /// Keeps a piece of a run's log. Blocks.
    pub(crate) fn append_log(
        &self,
        from: &Speaker,
        offset: u64,
        text: &str,
    ) -> Result<(), Unheard> {
        let mut book = self.book();
        self.may_decide()?;
        book::believe(&self.fleet(), Some(from))?;
        let of_run = |node: &Node| {
            let run = node.run.as_ref().filter(|run| run.id == from.run);
            run.map_or(1, |run| run.boots)
        };
        let boot = self.with_node(&from.node, of_run).unwrap_or(1);
        let offset = log_of_boot(boot).saturating_add(offset);
        Ok(book
            .journal
            .append_log(&from.node, &from.run, offset, text)?)
    }

    /// The time that signatures expire by.
    pub(crate) fn wall(&self) -> Millis {
        self.inner.clock.wall()
    }

    /// A machine of no node asks to enrol.
    pub(crate) fn stranger_enrols(
        &self,
        request: &EnrolRequest,
        from: Option<IpAddr>,
    ) -> Result<Option<Reply>, JournalError> {
        self.decide_alone(None, |fleet, at, wishes| {
            fleet.stranger_enrols(at, request, from, wishes);
        })
    }

    pub(crate) fn find(&self, boot_mac: MacAddr, macs: &[MacAddr]) -> prov_core::Found {
        self.fleet().find(boot_mac, macs)
    }

    /// The time that decisions are made on.
    pub(crate) fn now(&self) -> Millis {
        self.inner.clock.steady()
    }

    /// Judges an inventory and decides on it.
    pub(crate) fn inventory(
        &self,
        from: &Speaker,
        inventory: Box<Inventory>,
    ) -> Result<Option<Reply>, Unheard> {
        let site = self.site();
        let judged = self.with_node(&from.node, |n| {
            let last_good = n.last_good.as_ref().map(KeptInventory::get);
            let earlier = n.earlier.get();
            let findings = hw_core::judge_node(&n.site, last_good.as_deref(), &earlier, &inventory);
            let findings = prov_core::allowance::allow(n, &site.policy, &inventory, findings);
            (findings, crate::hardware::troubles(n, &inventory))
        });
        let (findings, troubles) = judged.unwrap_or_default();
        let reply = self.submit_from(
            from,
            Input::InventoryReceived {
                run: from.run.clone(),
                inventory,
                findings,
            },
        )?;
        let by = prov_core::health::BY_HARDWARE.to_owned();
        let told = self.with_node(&from.node, |n| n.troubles.contains_key(&by));
        if !troubles.is_empty() || told == Some(true) {
            self.submit_from(from, Input::HealthReported { by, troubles })?;
        }
        Ok(reply)
    }

    /// Whether a decision may be made here and now.
    pub(crate) fn may_decide(&self) -> Result<(), JournalError> {
        self.is_folded()?;
        self.inner.leader.may_decide()
    }

    /// Where this provisioner stands among those of its site.
    #[must_use]
    pub fn standing(&self) -> crate::leader::Standing {
        self.inner.leader.standing()
    }

    /// Who we are.
    pub(crate) fn who(&self) -> Leader {
        self.inner.leader.me().clone()
    }

    /// The newest number in the journal itself. Blocks.
    pub(crate) fn newest_in_journal(&self) -> Result<u64, JournalError> {
        self.reader().newest()
    }

    fn reader(&self) -> MutexGuard<'_, Box<dyn Reader>> {
        self.inner
            .reader
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        self.inner
            .due
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn fleet(&self) -> RwLockReadGuard<'_, Fleet> {
        self.inner
            .fleet
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn fleet_mut(&self) -> RwLockWriteGuard<'_, Fleet> {
        self.inner
            .fleet
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tick(&self) {
        self.remember_how_far();
        self.snapshot_when_due();
        if self.may_decide().is_err() {
            return;
        }
        self.keep_bmcs();
        self.try_again();
        let due = {
            let fleet = self.fleet();
            let deadline = |id: &NodeId| fleet.node(id).and_then(Node::deadline);
            self.due().pass(self.now(), deadline)
        };
        let inputs = due.iter().map(|node| (node.clone(), Input::Timeout));
        let outcomes = self.submit_all(inputs.collect());
        for (node, outcome) in due.iter().zip(outcomes) {
            if let Err(error) = outcome {
                tracing::error!(%node, %error, "a deadline is not in the journal; it is tried again");
            }
        }
        self.own_tick();
    }

    pub(crate) fn diagnostics(&self) -> &std::path::Path {
        &self.inner.diagnostics
    }

    pub(crate) fn actions_out(&self) -> MutexGuard<'_, Option<mpsc::UnboundedReceiver<Action>>> {
        self.inner
            .actions_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) async fn blocking(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::error!(%error, "a task of the provisioner failed");
    }
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod racing;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod unfolded_tests;
