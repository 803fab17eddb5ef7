// SPDX-License-Identifier: Apache-2.0
//! The provisioner as one value: inputs go in, events become durable, and only then somebody hears of it.

mod boot_service;
mod in_force;

use crate::boots::Boots;
use crate::clock::Clock;
use crate::fan_out::Sources;
use crate::images::Images;
use crate::journal::{Journal, JournalError, SqliteJournal, log_of_boot};
use crate::pki::{Pki, PkiError};
use crate::planner::image_of;
use boot_service::Seen;
use groundstate_api::boot::BootConfig;
use groundstate_api::event::Event;
use groundstate_api::fan_out::{SourcesAnswer, SourcesQuestion};
use groundstate_api::inventory::Inventory;
use groundstate_api::plan::OrderTerms;
use groundstate_api::site::Site;
use groundstate_api::view::{NodeList, NodeReport, NodeView};
use groundstate_api::{Digest, MacAddr, Millis, NodeId, Reason, RunId, SCHEMA};
use in_force::{BY_START, InForce};
use prov_core::{Fleet, Input, Node, Reply, Wish};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often deadlines are looked at. They are minutes long; a second is exact enough.
const TICK: Duration = Duration::from_secs(1);
/// Events that are read from the journal at once when we start.
const REPLAY_PAGE: usize = 1_000;

/// What a provisioner is made of.
pub struct Options {
    /// The site file, checked.
    pub site: Site,
    /// Where the journal and the certificates lie.
    pub state_dir: PathBuf,
    /// The image repository.
    pub images: Arc<dyn Images>,
}

/// The provisioner. Clones are the same one.
#[derive(Clone)]
pub struct Provisioner {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    /// Which site holds. Locked for moments only.
    in_force: RwLock<InForce>,
    pki: Pki,
    images: Arc<dyn Images>,
    /// The writer's lock: decide, make durable, fold in. Held while the disk is written.
    book: Mutex<Book>,
    /// What readers see. Written for moments only, so that the boot service is answered within milliseconds.
    fleet: RwLock<Fleet>,
    newest: watch::Sender<u64>,
    boots: Boots,
    /// The last look over the whole fleet.
    fleet_cache: crate::fleet_view::Cache,
    sources: Sources,
    sightings: mpsc::Sender<Seen>,
    plans: mpsc::UnboundedSender<(NodeId, RunId)>,
    work: Mutex<Option<Work>>,
}

/// The receiving ends, taken by [`Provisioner::run`].
struct Work {
    sightings: mpsc::Receiver<Seen>,
    plans: mpsc::UnboundedReceiver<(NodeId, RunId)>,
}

struct Book {
    journal: Box<dyn Journal>,
    newest: u64,
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
}

impl Provisioner {
    /// Opens the state directory, folds the journal, and adds the nodes that are new in the site file.
    ///
    /// # Errors
    /// Where the certificates or the journal cannot be used.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let Options {
            site,
            state_dir,
            images,
        } = options;
        std::fs::create_dir_all(&state_dir).map_err(|source| OpenError::StateDir {
            path: state_dir.clone(),
            source,
        })?;
        let pki = Pki::open(&state_dir, &site)?;
        let journal = SqliteJournal::open(&state_dir.join("journal.db"))?;
        Self::with_journal(Clock::new(), site, pki, images, Box::new(journal))
    }

    fn with_journal(
        clock: Clock,
        site: Site,
        pki: Pki,
        images: Arc<dyn Images>,
        journal: Box<dyn Journal>,
    ) -> Result<Self, OpenError> {
        let file = site.clone();
        let (fleet, in_force, book) = Book::replay(site, journal, clock.steady())?;
        let sources = Sources::new(&in_force.site.images);
        let (sightings, sightings_out) = mpsc::channel(boot_service::SIGHTINGS_MAX);
        // At most one plan per node's run is asked for, so the number of nodes bounds this queue.
        let (plans, plans_out) = mpsc::unbounded_channel();
        let (newest, _) = watch::channel(book.newest);
        let work = Work {
            sightings: sightings_out,
            plans: plans_out,
        };
        let this = Self {
            inner: Arc::new(Inner {
                clock,
                in_force: RwLock::new(in_force),
                pki,
                images,
                book: Mutex::new(book),
                fleet: RwLock::new(fleet),
                newest,
                boots: Boots::default(),
                fleet_cache: crate::fleet_view::Cache::default(),
                sources,
                sightings,
                plans,
                work: Mutex::new(Some(work)),
            }),
        };
        this.begin_with(file)?;
        Ok(this)
    }

    /// Applies the file of the start where it is another one than at the start before, and tells every node that we are there.
    fn begin_with(&self, file: Site) -> Result<(), JournalError> {
        let json = serde_json::to_vec(&file).map_err(JournalError::Encode)?;
        if self.in_force().of_start != Some(Digest::of(&json)) {
            self.apply_site(file, BY_START)?;
        }
        let names: Vec<NodeId> = self.fleet().nodes().map(|n| n.id().clone()).collect();
        for name in names {
            let is_new = self.fleet().node(&name).is_some_and(|n| n.version == 0);
            let input = if is_new {
                Input::Added
            } else {
                Input::Restarted
            };
            self.submit(&name, input)?;
        }
        Ok(())
    }

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

    /// Where the API is for nodes: `https://address:port`.
    #[must_use]
    pub fn address(&self) -> String {
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
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                () = crate::serve::stopped(&mut stop) => break,
                Some(seen) = sightings.recv() => {
                    let this = self.clone();
                    blocking(move || this.take(seen)).await;
                }
                _ = tick.tick() => {
                    let this = self.clone();
                    blocking(move || this.tick()).await;
                }
            }
        }
        planner.abort();
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
        self.inner
            .sources
            .answer(self.now(), &site.images, node, from, question)
    }

    /// Reads a node's state.
    pub(crate) fn with_node<T>(&self, node: &NodeId, read: impl FnOnce(&Node) -> T) -> Option<T> {
        self.fleet().node(node).map(read)
    }

    /// Reads the fleet. Writers wait meanwhile: for moments only.
    pub(crate) fn with_fleet<T>(&self, read: impl FnOnce(&Fleet) -> T) -> T {
        read(&self.fleet())
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
        self.book().journal.read(after, limit, node)
    }

    /// A run's log. Blocks.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn log(&self, node: &NodeId, run: &RunId) -> Result<Option<String>, JournalError> {
        self.book().journal.log(node, run)
    }

    /// Keeps a piece of a run's log. Blocks.
    pub(crate) fn append_log(
        &self,
        from: &Speaker,
        offset: u64,
        text: &str,
    ) -> Result<(), Unheard> {
        let mut book = self.book();
        self.believe(from)?;
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

    /// Decides on an input for a node, makes what follows durable, and answers. Blocks for the journal.
    ///
    /// # Errors
    /// Where the journal cannot be written: then nothing has changed.
    pub fn submit(&self, node: &NodeId, input: Input) -> Result<Option<Reply>, JournalError> {
        let mut book = self.book();
        let at = self.now();
        let mut wishes = Vec::new();
        self.fleet().decide(at, node, input, &mut wishes);
        self.fulfil(&mut book, at, Some(node), wishes)
    }

    /// The same for what a node says in its run: nothing is taken from a boot that a later one has replaced, not even what was
    /// on its way when it was. Blocks.
    pub(crate) fn submit_from(
        &self,
        from: &Speaker,
        input: Input,
    ) -> Result<Option<Reply>, Unheard> {
        let mut book = self.book();
        self.believe(from)?;
        let (at, mut wishes) = (self.now(), Vec::new());
        self.fleet().decide(at, &from.node, input, &mut wishes);
        Ok(self.fulfil(&mut book, at, Some(&from.node), wishes)?)
    }

    /// The caller has the book open, so that no other boot of the machine comes in between.
    fn believe(&self, from: &Speaker) -> Result<(), Unheard> {
        let withdrawn = |node: &Node| node.withdrawn(&from.run, &from.key);
        match self.with_node(&from.node, withdrawn).flatten() {
            Some(reason) => Err(Unheard::Withdrawn(Box::new(reason))),
            None => Ok(()),
        }
    }

    /// Orders a run of a node. The id is unique in the journal.
    ///
    /// # Errors
    /// Where the journal cannot be written: then nothing is ordered.
    pub fn order(
        &self,
        node: &NodeId,
        hand_over: Option<groundstate_api::plan::HandOver>,
        again: bool,
        terms: OrderTerms,
    ) -> Result<Option<Reply>, JournalError> {
        let deploys = terms.rebuild.is_none() && terms.erase.is_none();
        if let Some(refused) = self.refused_channel().filter(|_| deploys) {
            return Ok(Some(Reply::Conflict(refused)));
        }
        let runs = self.with_node(node, |n| n.runs).unwrap_or_default();
        // A node's name has at most 63 characters, so the id has at most 80.
        let id = format!("{node}-{:03}-{:x}", runs + 1, self.now().0 / 1_000);
        let Ok(run) = id.parse() else {
            return Err(JournalError::Range("a run's id"));
        };
        self.submit(
            node,
            Input::Ordered {
                run,
                hand_over,
                again,
                terms,
            },
        )
    }

    /// Why the policy's channel gives no image now. What a name without a channel gives is looked for when the plan is made:
    /// an import may still come.
    fn refused_channel(&self) -> Option<Reason> {
        let policy = &self.site().policy;
        let has_channel = policy.image.contains('@');
        let image = || image_of(policy, self.images().as_ref(), self.wall());
        has_channel.then(image)?.err()
    }

    /// The time that signatures expire by.
    pub(crate) fn wall(&self) -> Millis {
        self.inner.clock.wall()
    }

    /// A machine of no node asks to enrol.
    pub(crate) fn stranger_enrols(&self, mac: MacAddr) -> Result<Option<Reply>, JournalError> {
        let mut book = self.book();
        let (at, mut wishes) = (self.now(), Vec::new());
        self.fleet_mut().stranger_enrols(at, mac, &mut wishes);
        self.fulfil(&mut book, at, None, wishes)
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
        let findings = self.with_node(&from.node, |n| {
            let findings =
                hw_core::judge_node(&n.site, n.last_good.as_deref(), &n.earlier, &inventory);
            prov_core::allowance::allow(n, &site.policy, &inventory, findings)
        });
        let findings = findings.unwrap_or_default();
        self.submit_from(
            from,
            Input::InventoryReceived {
                run: from.run.clone(),
                inventory,
                findings,
            },
        )
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic while the book was open cannot have left a half change: events are folded one by one, after they
        // are durable.
        self.inner
            .book
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

    fn fulfil(
        &self,
        book: &mut Book,
        at: Millis,
        node: Option<&NodeId>,
        wishes: Vec<Wish>,
    ) -> Result<Option<Reply>, JournalError> {
        let mut events = Vec::new();
        let (mut notes, mut plans, mut reply) = (Vec::new(), Vec::new(), None);
        let mut number = book.newest;
        for wish in wishes {
            match wish {
                Wish::Append(what) => {
                    number += 1;
                    events.push(Event {
                        number,
                        at,
                        node: node.cloned(),
                        what,
                    });
                }
                Wish::Note(note) => notes.push(note),
                Wish::MakePlan(run) => plans.push(run),
                Wish::Reply(answer) => reply = Some(answer),
            }
        }
        if !events.is_empty() {
            self.write(book, &events)?;
            book.newest = number;
            let mut fleet = self.fleet_mut();
            events.iter().for_each(|event| fleet.apply(event));
        }
        if let Some(node) = node {
            if let Some(state) = self.fleet_mut().node_mut(node) {
                notes.into_iter().for_each(|note| state.note(at, note));
            }
            for run in plans {
                // The receiver is gone only when we stop; then the plan is made after the next start.
                let _stopped = self.inner.plans.send((node.clone(), run));
            }
        }
        if !events.is_empty() {
            self.inner.newest.send_replace(number);
        }
        Ok(reply)
    }

    /// Makes events durable, with the time that the wall clock says.
    fn write(&self, book: &mut Book, events: &[Event]) -> Result<(), JournalError> {
        let mut written = events.to_vec();
        for event in &mut written {
            event.at = self.inner.clock.written(event.at);
        }
        book.journal.append(&written)
    }

    pub(crate) fn tick(&self) {
        let due = self.fleet().due(self.now());
        for node in due {
            if let Err(error) = self.submit(&node, Input::Timeout) {
                tracing::error!(%node, %error, "a deadline is not in the journal; it is tried again");
            }
        }
    }
}

pub(crate) async fn blocking(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::error!(%error, "a task of the provisioner failed");
    }
}

#[cfg(test)]
mod tests;
