// SPDX-License-Identifier: Apache-2.0
//! Has the plan made: image verified first, then the planner of `mos-core`, which the node trusts too.

use crate::images::Images;
use crate::planner_files::Files;
use crate::provisioner::{Provisioner, blocking};
use groundstate_api::customise::PlannedFile;
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::Inventory;
use groundstate_api::plan::{
    DECIDED_AT_THE_ORDER, EarlierDisks, HandOver, OrderTerms, Plan, PlanPreview,
};
use groundstate_api::site::{Network, Node, Policy, Site};
use groundstate_api::trust::{ImageChoice, ParseChoiceError};
use groundstate_api::view::Phase;
use groundstate_api::{Digest, MacAddr, Millis, NodeId, Part, Reason, ReasonCode, RunId};
use mos_core::plan::{PlanRequest, Rebuild, plan, plan_erase};
use prov_core::{Input, reasons};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

/// Plans that are computed at once: each takes milliseconds of one core, and the API needs cores too.
const PLANS_AT_ONCE: usize = 2;

impl Provisioner {
    /// Makes plans, several at once, until nobody can ask for another one. Whatever happens to a plan, its run hears of it: an
    /// image that cannot be read to its end must not leave a node that waits for ever. Who needs the same image waits for one
    /// reading of it, and for nobody else.
    pub(crate) async fn make_plans(self, mut asked: UnboundedReceiver<(NodeId, RunId)>) {
        let (proofs, at_once) = (Proofs::default(), Arc::new(Semaphore::new(PLANS_AT_ONCE)));
        let mut making = JoinSet::new();
        loop {
            tokio::select! {
                next = asked.recv() => {
                    let Some((node, run)) = next else { break };
                    let (ours, proofs, at_once) = (self.clone(), proofs.clone(), at_once.clone());
                    making.spawn(async move { ours.see_to_plan(node, run, &proofs, &at_once).await });
                }
                Some(done) = making.join_next() => {
                    if let Err(error) = done {
                        tracing::error!(%error, "a plan was dropped; it is asked for again");
                    }
                }
            }
        }
        while making.join_next().await.is_some() {}
    }

    async fn see_to_plan(self, node: NodeId, run: RunId, proofs: &Proofs, at_once: &Semaphore) {
        let made = self.clone().make_plan(&node, &run, proofs, at_once).await;
        let Err(why) = made else { return };
        tracing::error!(%node, %run, why, "no plan was made or kept");
        blocking(move || self.no_plan(&node, run, &why)).await;
    }

    async fn make_plan(
        self,
        node: &NodeId,
        run: &RunId,
        proofs: &Proofs,
        at_once: &Semaphore,
    ) -> Result<(), String> {
        // A run that has its plan, or is over, was asked for twice.
        let Some(job) = self.job(node, run) else {
            return Ok(());
        };
        let job = Arc::new(job);
        let image = {
            let (job, images) = (job.clone(), self.images().clone());
            aside(move || job.wanted(images.as_ref())).await?
        };
        let proved = match &image {
            Ok(Some(image)) => self.proved(image, proofs).await?,
            Ok(None) | Err(_) => Ok(()),
        };
        let stopped = |error| format!("the planner stopped: {error}");
        let turn = at_once.acquire().await.map_err(stopped)?;
        let (node, run) = (node.clone(), run.clone());
        let put = move || {
            let images = self.images().clone();
            let plan = image
                .and_then(|image| proved.and_then(|()| job.plan_of(image, images.as_ref())))
                .and_then(|(plan, aside)| self.with_files(plan, &aside));
            let done = self.submit(&node, Input::PlanMade { run, plan });
            done.map(|_| ()).map_err(|error| error.to_string())
        };
        let done = aside(put).await?;
        drop(turn);
        done
    }

    /// Puts aside what the plan names by digest, and looks whether the rest is there.
    fn with_files(&self, plan: Box<Plan>, aside: &[Vec<u8>]) -> Result<Box<Plan>, Reason> {
        for bytes in aside {
            let kept = self.keep_file(bytes);
            kept.map_err(|error| reasons::planner_failed(&error.to_string()))?;
        }
        self.are_there(&plan.files)?;
        self.name_no_old_guids(&plan.image, &plan.files, &[])?;
        Ok(plan)
    }

    fn job(&self, node: &NodeId, run: &RunId) -> Option<Job> {
        let site = self.site();
        let job = self.with_node(node, |state| {
            let waits = |r: &&prov_core::Run| r.id == *run && r.plan.is_none();
            let current = state.run.as_ref().filter(waits)?;
            (state.phase == Phase::Checking).then_some(())?;
            Some(Job {
                run: run.clone(),
                node: state.site.clone(),
                policy: site.policy.clone(),
                hand_over: current.hand_over,
                inventory: current.inventory.as_ref()?.get(),
                earlier: state.earlier.get(),
                site: site.name.clone(),
                network: site.network.clone(),
                terms: current.terms.clone(),
                now: self.wall(),
                state_dir: self.pki().state_dir().to_owned(),
                host: state
                    .host
                    .as_ref()
                    .and_then(|host| Some(host.plan.as_ref()?.get())),
            })
        });
        job.flatten()
    }

    /// Reads an image through, once for all who need it now. Who comes later is told by the repository that nothing has
    /// changed since.
    async fn proved(
        &self,
        image: &ImageRef,
        proofs: &Proofs,
    ) -> Result<Result<(), Reason>, String> {
        let turn = proofs.of(image.manifest);
        let began = Instant::now();
        let mut last = turn.lock().await;
        if let Some((at, outcome)) = last.as_ref()
            && *at >= began
        {
            return Ok(outcome.clone());
        }
        let (images, wanted, started) = (self.images().clone(), image.clone(), Instant::now());
        let outcome = aside(move || images.verify(&wanted)).await?;
        *last = Some((started, outcome.clone()));
        Ok(outcome)
    }

    /// What a run of the node that is ordered now would plan, from its last report. Nothing is ordered, and the image is
    /// not read through. `None` where no report is known.
    pub(crate) fn preview(
        &self,
        node: &NodeId,
        terms: OrderTerms,
    ) -> Option<Result<PlanPreview, Reason>> {
        let job = self.with_node(node, |state| {
            let newest = state.run.as_ref().and_then(|run| run.inventory.as_ref());
            let inventory = newest.or(state.last_good.as_ref())?.get();
            // The last report was taken before the plan that made the host was carried out.
            let inventory = match state.host.as_ref().and_then(|host| host.plan.as_ref()) {
                Some(plan) => Box::new(mos_core::plan::carried_out(&inventory, &plan.get())),
                None => inventory,
            };
            Some(Job {
                run: decided_at_the_order(),
                node: state.site.clone(),
                policy: self.site().policy.clone(),
                hand_over: state.hand_over(),
                inventory,
                earlier: state.earlier.get(),
                site: self.site().name.clone(),
                network: self.site().network.clone(),
                terms,
                now: self.wall(),
                state_dir: self.pki().state_dir().to_owned(),
                host: state
                    .host
                    .as_ref()
                    .and_then(|host| Some(host.plan.as_ref()?.get())),
            })
        });
        let looked = job??.preview(self.images().as_ref());
        Some(looked.and_then(|(preview, image, files)| {
            self.name_no_old_guids(&image, &files.planned, &files.aside)?;
            Ok(preview)
        }))
    }

    fn no_plan(&self, node: &NodeId, run: RunId, why: &str) {
        let plan = Err(reasons::planner_failed(why));
        if let Err(error) = self.submit(node, Input::PlanMade { run, plan }) {
            tracing::error!(%node, %error, "that is not in the journal either; the plan is asked for again");
        }
    }
}

/// Images that are being read through, each by one at a time.
#[derive(Clone, Default)]
struct Proofs(Arc<Mutex<HashMap<Digest, Turn>>>);

/// When the last reading began, and how it ended.
type Turn = Arc<tokio::sync::Mutex<Option<(Instant, Result<(), Reason>)>>>;

impl Proofs {
    fn of(&self, manifest: Digest) -> Turn {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who waits holds its turn.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(manifest).or_default().clone()
    }
}

/// Work that blocks.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| format!("the planner stopped: {error}"))
}

fn decided_at_the_order() -> RunId {
    DECIDED_AT_THE_ORDER
        .parse()
        .expect("letters and hyphens are a run id")
}

/// What the first run of a node would plan, from a site file and an inventory alone: no provisioner is asked, so nothing is
/// known of earlier runs.
///
/// # Errors
/// As the planner of `mos-core`; and where the site has no such node.
pub fn preview_offline(
    site: &Site,
    node: &NodeId,
    inventory: Inventory,
    image: &ImageRef,
    confirm: Vec<String>,
) -> Result<PlanPreview, Reason> {
    let names: Vec<String> = site
        .nodes
        .iter()
        .map(|node| node.name.to_string())
        .collect();
    let found = site.nodes.iter().find(|one| one.name == *node);
    let found = found.ok_or_else(|| reasons::no_such_node(node.as_str(), &names))?;
    let job = Job {
        run: decided_at_the_order(),
        node: found.clone(),
        policy: site.policy.clone(),
        hand_over: found.hand_over.unwrap_or(site.policy.hand_over),
        inventory: Box::new(inventory),
        earlier: EarlierDisks::default(),
        site: site.name.clone(),
        network: site.network.clone(),
        terms: OrderTerms {
            confirm_wipe: confirm,
            ..OrderTerms::default()
        },
        now: Millis(0),
        state_dir: PathBuf::new(),
        host: None,
    };
    let files = job.files(image, &NoLook)?;
    mos_core::plan::preview(&job.request(image, &files.planned)?)
}

/// Where there is no repository: an image is what its reference says.
struct NoLook;

impl Images for NoLook {
    fn newest(&self, _: &str) -> Result<Option<ImageRef>, Reason> {
        Ok(None)
    }
    fn verify(&self, _: &ImageRef) -> Result<(), Reason> {
        Ok(())
    }
}

/// What follows an import where a run was held for the image.
pub(crate) const THEN_AGAIN: &str = ", then order again";

/// The command that brings an image into this provisioner's repository, wherever it is typed.
fn import(name: &str, state_dir: &Path) -> String {
    let state_dir = std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned());
    format!(
        "import it on the provisioner's machine: groundstate image import FILE --name {name} --version VERSION --state-dir {}",
        state_dir.display()
    )
}

/// The image that the policy names: the newest of a name, or what its channel stands for and is signed.
///
/// # Errors
/// There is none, or it is not to be believed.
pub(crate) fn image_of(
    policy: &Policy,
    images: &dyn Images,
    now: Millis,
    state_dir: &Path,
) -> Result<ImageRef, Reason> {
    let text = &policy.image;
    let choice: ImageChoice = text.parse().map_err(|error: ParseChoiceError| {
        Reason::new(
            ReasonCode::BadRequest,
            format!("{text:?}: {error}"),
            "correct it in the site file and apply it (groundstate apply)",
        )
        .about(Part::Field {
            path: "policy.image".to_owned(),
        })
    })?;
    if choice.channel.is_some() {
        return images.of_channel(&choice, now);
    }
    let name = &choice.name;
    images.newest(name)?.ok_or_else(|| {
        Reason::new(
            ReasonCode::ImageMissing,
            format!("the repository has no image {name:?}"),
            format!("{}{THEN_AGAIN}", import(name, state_dir)),
        )
        .about(Part::Image {
            image: name.clone(),
            digest: None,
        })
    })
}

/// Everything that a plan is made of.
pub(crate) struct Job {
    pub(crate) run: RunId,
    pub(crate) node: Node,
    pub(crate) policy: Policy,
    pub(crate) hand_over: HandOver,
    pub(crate) inventory: Box<Inventory>,
    pub(crate) earlier: EarlierDisks,
    pub(crate) site: String,
    pub(crate) network: Network,
    pub(crate) terms: OrderTerms,
    /// By the wall clock: signatures expire by it.
    pub(crate) now: Millis,
    /// Where the images lie.
    pub(crate) state_dir: PathBuf,
    /// The plan of the host that is there.
    pub(crate) host: Option<Box<Plan>>,
}

impl Job {
    /// The image that must be read through before there is a plan. An erase needs none; a rebuild writes none, so its image
    /// need not be there any more.
    fn wanted(&self, images: &dyn Images) -> Result<Option<ImageRef>, Reason> {
        if self.terms.erase.is_some() || self.is_rebuild() {
            return Ok(None);
        }
        self.image(images).map(Some)
    }

    fn is_rebuild(&self) -> bool {
        self.terms.rebuild.is_some() && self.host.is_some()
    }

    /// The plan, with an image that was read through where one is needed, and texts that are put aside before it counts.
    fn plan_of(
        &self,
        image: Option<ImageRef>,
        images: &dyn Images,
    ) -> Result<(Box<Plan>, Vec<Vec<u8>>), Reason> {
        if let Some(erase) = &self.terms.erase {
            let none = crate::erase::no_image();
            let plan = plan_erase(&self.request(&none, &[])?, erase)?;
            return Ok((Box::new(plan), Vec::new()));
        }
        let of_host = || self.host.as_ref().map(|host| host.image.clone());
        let none = || reasons::no_host_to_rebuild(&self.node.name);
        let image = image.or_else(of_host).ok_or_else(none)?;
        let files = self.files(&image, images)?;
        let plan = plan(&self.request(&image, &files.planned)?)?;
        Ok((Box::new(plan), files.aside))
    }

    /// What would be planned, without reading the image's bytes; of which image, and with which files.
    pub(crate) fn preview(
        &self,
        images: &dyn Images,
    ) -> Result<(PlanPreview, ImageRef, Files), Reason> {
        let image = self.image(images)?;
        let files = self.files(&image, images)?;
        let preview = mos_core::plan::preview(&self.request(&image, &files.planned)?)?;
        Ok((preview, image, files))
    }

    /// The policy's image; for a rebuild, the one that the host was made from.
    fn image(&self, images: &dyn Images) -> Result<ImageRef, Reason> {
        if self.terms.rebuild.is_some()
            && let Some(host) = &self.host
        {
            return Ok(host.image.clone());
        }
        image_of(&self.policy, images, self.now, &self.state_dir)
    }

    fn request<'a>(
        &'a self,
        image: &'a ImageRef,
        files: &'a [PlannedFile],
    ) -> Result<PlanRequest<'a>, Reason> {
        let rebuild = match (&self.terms.rebuild, &self.host) {
            (None, _) => None,
            (Some(serial), Some(host)) => Some(Rebuild { serial, host }),
            (Some(_), None) => return Err(reasons::no_host_to_rebuild(&self.node.name)),
        };
        Ok(PlanRequest {
            run: &self.run,
            node: &self.node,
            policy: &self.policy,
            hand_over: self.hand_over,
            inventory: &self.inventory,
            earlier: &self.earlier,
            image,
            boot_mac: self.boot_mac(),
            seed: self.seed(),
            files,
            confirm: &self.terms.confirm_wipe,
            rebuild,
            host: self.host.as_deref(),
        })
    }

    fn boot_mac(&self) -> MacAddr {
        self.node.mac
    }

    /// The run's id is unique, so the seed is; and who replays the journal gets the same plan.
    fn seed(&self) -> Digest {
        Digest::of(
            format!(
                "groundstate plan\n{}\n{}\n{}",
                self.site, self.node.name, self.run
            )
            .as_bytes(),
        )
    }
}
