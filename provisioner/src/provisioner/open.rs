// SPDX-License-Identifier: Apache-2.0
//! From a state directory to a provisioner that may decide: certificates, journal, fold; then what was begun goes on.

use super::book::Book;
use super::in_force::{BY_START, InForce};
use super::keeper::Keeper;
use super::{Inner, OpenError, Options, Provisioner, Shared, Work, boot_service};
use crate::clock::Clock;
use crate::fan_out::Sources;
use crate::images::Images;
use crate::journal::{
    Common, Election, EtcdJournal, Journal, JournalError, Leader, Reader, SqliteJournal,
};
use crate::leader::{Leadership, Mark, MarkFile, Standing};
use crate::pki::Pki;
use groundstate_api::Digest;
use groundstate_api::site::Site;
use prov_core::{reasons_site, site_diff};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use tokio::sync::{mpsc, watch};

/// The document that names the journal.
const JOURNAL_ID: &str = "journal-id";
/// The document with the certificate (never the key) of the site's CA.
const SITE_CA: &str = "site-ca";

/// What a provisioner is opened with, beside its journal.
pub(super) struct Parts {
    pub(super) clock: Clock,
    pub(super) site: Site,
    pub(super) pki: Pki,
    pub(super) images: Arc<dyn Images>,
    pub(super) state_dir: PathBuf,
    /// Who we are among several.
    pub(super) me: Leader,
}

/// What goes on once a provisioner is ready.
struct Pending {
    /// The file of the start.
    file: Site,
    election: Option<Box<dyn Election>>,
    watcher: Box<dyn Reader>,
    common: Option<Box<dyn Common>>,
    stopped: std::sync::mpsc::Receiver<()>,
}

impl Provisioner {
    /// Opens the state directory, folds the journal, and adds the nodes that are new in the site file.
    ///
    /// # Errors
    /// Where the certificates or the journal cannot be used.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        Self::open_when(options, |_| Ok(()))
    }

    /// The same, once `ready` has looked at the site that will be in force: what it refuses has changed nothing in the journal, so
    /// that the file of this start is still told as another one at the next.
    ///
    /// # Errors
    /// As [`Self::open`], and what `ready` says.
    pub fn open_when<E: From<OpenError>>(
        options: Options,
        ready: impl FnOnce(&Site) -> Result<(), E>,
    ) -> Result<Self, E> {
        let path = options.state_dir.join("journal.db");
        let parts = Parts::of(options, None)?;
        let journal = SqliteJournal::open(&path).map_err(OpenError::from)?;
        Self::with_parts_when(parts, Box::new(journal), ready)
    }

    /// The same over a journal of the caller's, whatever keeps it.
    ///
    /// # Errors
    /// Where the certificates or the journal cannot be used.
    pub fn open_over(options: Options, journal: Box<dyn Journal>) -> Result<Self, OpenError> {
        Self::with_parts(Parts::of(options, None)?, journal)
    }

    /// The same over a journal that several provisioners share: this one follows until it is elected. Each has the same CA:
    /// `pki/` of the first one's state directory, copied by hand to the others before they start.
    ///
    /// # Errors
    /// Where the certificates or the journal cannot be used, or the CA is another one than the site's.
    pub fn open_shared(options: Options, shared: Shared) -> Result<Self, OpenError> {
        Self::open_shared_when(options, shared, |_| Ok(()))
    }

    /// The same, once `ready` has looked at the site that is in force: it joins no election before.
    ///
    /// # Errors
    /// As [`Self::open_shared`], and what `ready` says.
    pub fn open_shared_when<E: From<OpenError>>(
        options: Options,
        shared: Shared,
        ready: impl FnOnce(&Site) -> Result<(), E>,
    ) -> Result<Self, E> {
        let journal = EtcdJournal::open(&shared.etcd).map_err(OpenError::from)?;
        let parts = Parts::of(options, Some((shared.me, shared.names)))?;
        Self::with_parts_when(parts, Box::new(journal), ready)
    }

    pub(super) fn with_parts(parts: Parts, journal: Box<dyn Journal>) -> Result<Self, OpenError> {
        Self::with_parts_when(parts, journal, |_| Ok(()))
    }

    fn with_parts_when<E: From<OpenError>>(
        parts: Parts,
        journal: Box<dyn Journal>,
        ready: impl FnOnce(&Site) -> Result<(), E>,
    ) -> Result<Self, E> {
        let (this, pending) = Self::folded(parts, journal)?;
        let before = this.in_force();
        let will_hold = match this.standing() {
            Standing::Alone if is_edited(&before, &pending.file).map_err(OpenError::from)? => {
                &pending.file
            }
            Standing::Alone
            | Standing::Refuses(_)
            | Standing::Leads { .. }
            | Standing::Follows(_) => &before.site,
        };
        ready(will_hold)?;
        this.goes_on(pending)?;
        Ok(this)
    }

    /// What was begun goes on, under the site that holds from now on.
    fn goes_on(&self, pending: Pending) -> Result<(), OpenError> {
        let Pending {
            file,
            election,
            watcher,
            common,
            stopped,
        } = pending;
        match (self.standing(), election) {
            (Standing::Alone, _) => {
                self.apply_edited(file)?;
                self.begin()?;
            }
            (Standing::Follows(_), Some(election)) => {
                self.campaign(election, watcher, stopped);
                if let Some(common) = common {
                    self.share(common);
                }
            }
            (Standing::Refuses(_) | Standing::Leads { .. } | Standing::Follows(_), _) => {}
        }
        Ok(())
    }

    /// The provisioner as its journal says; nothing of it goes on yet.
    #[expect(clippy::too_many_lines, reason = "every part of a provisioner, once")]
    fn folded(parts: Parts, journal: Box<dyn Journal>) -> Result<(Self, Pending), OpenError> {
        let Parts {
            clock,
            site,
            mut pki,
            images,
            state_dir,
            me,
        } = parts;
        let ca = journal.document(SITE_CA)?;
        if ca.is_some_and(|ca| ca != pki.ca_pem().as_bytes()) {
            return Err(OpenError::OtherCa);
        }
        let id = journal_id(journal.as_ref())?;
        let (reader, watcher) = (journal.reader()?, journal.reader()?);
        let (election, common) = (journal.election(), journal.common());
        let keeper = Keeper::of(&state_dir);
        let began = clock.steady();
        let (fleet, in_force, book) =
            Book::replay(site.clone(), journal, began, (&keeper, id.as_deref()))?;
        if !is_edited(&in_force, &site)? {
            // The file may name an address that an applied site has overtaken.
            pki.serve_at(in_force.site.network.address)?;
        }
        let mark = MarkFile::open(&state_dir);
        let standing = standing(mark.refuses(id.as_deref(), book.newest), election.is_some());
        let (sightings, sightings_out) = mpsc::channel(boot_service::SIGHTINGS_MAX);
        // At most one plan per node's run is asked for, so the number of nodes bounds this queue.
        let (plans, plans_out) = mpsc::unbounded_channel();
        // Each node has a few open actions at most, which bounds this one.
        let (actions, actions_out) = mpsc::unbounded_channel();
        let (newest, _) = watch::channel(book.newest);
        let (stop, stopped) = std::sync::mpsc::channel();
        let this = Self {
            only_if: None,
            inner: Arc::new(Inner {
                clock,
                sources: Sources::new(&in_force.site.images),
                in_force: RwLock::new(in_force),
                pki,
                images,
                book: Mutex::new(book),
                queue: Mutex::default(),
                refusing: super::refusing::Refusing::default(),
                doubtful: false.into(),
                unfolded: super::unfolded::Unfolded::default(),
                due: Mutex::default(),
                recent: super::Recent::default(),
                reader: Mutex::new(reader),
                leader: Leadership::new(me, standing),
                keeper,
                mark: Mutex::new(mark),
                journal_id: id.map(OnceLock::from).unwrap_or_default(),
                campaign: Mutex::new(Some(stop)),
                fleet: RwLock::new(fleet),
                newest,
                figures: crate::figures::Figures::default(),
                webhooks: crate::webhook::Standing::default(),
                edited: OnceLock::new(),
                boots: crate::boots::Boots::default(),
                power: crate::power::Power::new(&state_dir),
                fleet_cache: crate::fleet_view::Cache::default(),
                unnamed: super::kept_files::Unnamed::default(),
                sightings,
                plans,
                actions,
                diagnostics: state_dir.join("diagnostics"),
                actions_out: Mutex::new(Some(actions_out)),
                work: Mutex::new(Some(Work {
                    sightings: sightings_out,
                    plans: plans_out,
                })),
            }),
        };
        let pending = Pending {
            file: site,
            election,
            watcher,
            common,
            stopped,
        };
        Ok((this, pending))
    }

    /// Applies the file of the start where it is another one than at the start before. What stands in the way of any other site
    /// stands in its way too.
    fn apply_edited(&self, file: Site) -> Result<(), OpenError> {
        let before = self.in_force();
        if !is_edited(&before, &file)? {
            return Ok(());
        }
        if before.version == 0 {
            self.apply_site(file, BY_START)?;
            return Ok(());
        }
        let mut said = Vec::new();
        self.site_changed(BY_START, |old, version, fleet| {
            let plan = site_diff::plan(Some((version, old)), &file, Some(fleet))
                .map_err(JournalError::Encode)?;
            if let Some(reason) = reasons_site::refused_at_start(&plan) {
                return Err(OpenError::Edited(Box::new(reason)));
            }
            said = plan.lines().collect();
            Ok((file, said.clone()))
        })?;
        self.inner.edited.get_or_init(|| said);
        Ok(())
    }

    /// What the site file changed at this start, a line each; `None` where it is the one of the start before.
    #[must_use]
    pub fn edited(&self) -> Option<&[String]> {
        self.inner.edited.get().map(Vec::as_slice)
    }

    /// Whether another site is in force than the file of this start: one that was applied after the start before. Among several
    /// provisioners each has a file, and none of them is asked.
    #[must_use]
    pub fn is_overtaken(&self) -> bool {
        let in_force = self.in_force();
        matches!(self.standing(), Standing::Alone)
            && in_force.of_start.is_some()
            && in_force.of_start != in_force.digest
    }

    /// Writes down which journal it is, and whose site's, where nobody has done so.
    pub(super) fn know_the_journal(&self) -> Result<(), JournalError> {
        let mut book = self.book();
        let ours = self.pki().ca_pem().as_bytes();
        match book.journal.document(SITE_CA)? {
            None => book.journal.put_document(SITE_CA, ours)?,
            Some(ca) if ca == ours => {}
            Some(_) => {
                let why = OpenError::OtherCa.to_string();
                return Err(JournalError::Unusable { why });
            }
        }
        let id = match journal_id(book.journal.as_ref())? {
            Some(id) => id,
            None => {
                let id = new_id()?;
                book.journal.put_document(JOURNAL_ID, id.as_bytes())?;
                id
            }
        };
        self.inner.journal_id.get_or_init(|| id);
        Ok(())
    }

    /// Keeps how far the journal has come beside it.
    pub(super) fn remember_how_far(&self) {
        if matches!(self.standing(), Standing::Refuses(_)) {
            return;
        }
        let Some(journal) = self.inner.journal_id.get().cloned() else {
            return;
        };
        let mut mark = self
            .inner
            .mark
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        mark.write(Mark {
            journal,
            newest: *self.inner.newest.borrow(),
            site: self.in_force().digest,
        });
    }

    /// Stops to lead at once, so that another one need not wait for the lease to end.
    pub(super) fn leave(&self) {
        self.remember_how_far();
        self.snapshot_at_the_end();
        let campaign = &self.inner.campaign;
        drop(
            campaign
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}

impl Parts {
    fn of(options: Options, among: Option<(Leader, Vec<String>)>) -> Result<Self, OpenError> {
        let Options {
            site,
            state_dir,
            images,
        } = options;
        let unmade = |source| OpenError::StateDir {
            path: state_dir.clone(),
            source,
        };
        std::fs::create_dir_all(&state_dir).map_err(unmade)?;
        let url = format!(
            "https://{}:{}",
            site.network.address, site.network.https_port
        );
        let (me, names) = match among {
            None => (
                Leader {
                    name: site.name.clone(),
                    url,
                },
                Vec::new(),
            ),
            Some((me, mut names)) => {
                names.extend(host_of(&me.url));
                (me, names)
            }
        };
        Ok(Self {
            clock: Clock::new(),
            pki: Pki::open_as(&state_dir, &site, &names)?,
            me,
            site,
            images,
            state_dir,
        })
    }
}

/// The host in `https://host:port`, without the brackets of an IPv6 address.
fn host_of(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let host = match rest.strip_prefix('[') {
        Some(six) => six.split_once(']')?.0,
        None => rest.split_once(':').map_or(rest, |(host, _)| host),
    };
    (!host.is_empty()).then(|| host.to_owned())
}

/// Whether the file of the start is another one than at the start before.
fn is_edited(in_force: &InForce, file: &Site) -> Result<bool, JournalError> {
    let json = serde_json::to_vec(file).map_err(JournalError::Encode)?;
    Ok(in_force.of_start != Some(Digest::of(&json)))
}

fn journal_id(journal: &dyn Journal) -> Result<Option<String>, JournalError> {
    let text = journal.document(JOURNAL_ID)?;
    Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
}

/// 128 bits that no other journal has.
fn new_id() -> Result<String, JournalError> {
    let mut bytes = [0; 16];
    std::fs::File::open(Path::new("/dev/urandom"))
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| JournalError::Unusable {
            why: format!("/dev/urandom cannot be read: {error}"),
        })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// How a provisioner begins.
fn standing(refused: Option<String>, is_shared: bool) -> Standing {
    match (refused, is_shared) {
        (Some(why), _) => {
            tracing::error!(why, "the journal is not used");
            Standing::Refuses(why)
        }
        (None, true) => Standing::Follows(None),
        (None, false) => Standing::Alone,
    }
}
