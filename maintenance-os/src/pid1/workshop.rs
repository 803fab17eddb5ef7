// SPDX-License-Identifier: Apache-2.0
//! Carries the steps of a plan out, one at a time, with the executors of this crate.
//!
//! Before every step that writes, the disk is found again by its serial number and the guard compares it with the plan.

use crate::customise;
use crate::disk::{self, FILES_MAX, on_os_disk};
use crate::erase;
use crate::handover;
use crate::image;
use crate::peer;
use crate::pid1::call::{Credential, Provisioner, Refusal};
use crate::pid1::drivers::Drivers;
use crate::pid1::partitions::{is_esp, is_root, partition, root_guid, seed_volumes, tables};
use crate::pid1::whole;
use crate::pid1::{Word, clock, look};
use crate::whole_disk;
use groundstate_api::boot::{BootConfig, Firmware};
use groundstate_api::erase::{EraseRecord, EraseReport};
use groundstate_api::host::{HostSeed, NetworkBoot};
use groundstate_api::image::{Blob, BootFiles, ImageRef, Manifest};
use groundstate_api::plan::{HandOver, Plan, Step, VolumeFs};
use groundstate_api::run::{HostCredential, HostCredentialRequest};
use groundstate_api::{Bytes, Millis, NodeId, Reason, ReasonCode, RunId, SCHEMA, paths};
use mos_core::loader_entry::starts_from;
use mos_core::phases::Event;
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two reports on the same step's progress.
const PROGRESS_EVERY: Millis = Millis(500);
/// Between two tries to get the host's certificate, or to tell that a disk is erased.
const CREDENTIAL_RETRY: Duration = Duration::from_secs(2);

/// Where the boot image has its drivers.
const MODULES: &str = "/lib/modules";
/// What the image steps say of themselves when one data disk is made anew.
const STAYS: &str = "the host on the disk stays: this run makes one data disk anew";

/// Everything that a step needs.
#[derive(Clone)]
pub(super) struct Workshop {
    /// What the boot image says of its site.
    pub(super) config: BootConfig,
    /// The provisioner, with this run's credential.
    pub(super) provisioner: Provisioner,
    /// The same credential, for other nodes.
    pub(super) credential: Credential,
    /// Who this is.
    pub(super) node: NodeId,
    /// The run.
    pub(super) run: RunId,
    /// How the machine was booted.
    pub(super) firmware: Option<Firmware>,
    /// Where to tell what happened.
    pub(super) words: Sender<Word>,
    /// Whether an earlier boot of this run began with the image.
    pub(super) image_begun: bool,
    /// What of the image was read back while it was written.
    pub(super) proven: Arc<Mutex<image::Proven>>,
}

impl Workshop {
    /// Carries one step out and tells how it ended.
    pub(super) fn carry_out(&self, plan: &Plan, step: Step) {
        let event = match self.result(plan, step) {
            Ok(facts) => Event::StepDone { facts },
            // A step that wipes names its disk itself; every other touches the OS disk only.
            Err(reason) => Event::StepFailed {
                reason: disk::about_os_disk(plan, reason),
            },
        };
        self.tell(event);
    }

    fn result(&self, plan: &Plan, step: Step) -> Result<Vec<String>, Reason> {
        match step {
            Step::Guard | Step::Wipe | Step::Partition | Step::Volumes | Step::Vhds => {
                // Where a disk fails, the others are taken to the end within that step.
                if step != Step::Guard {
                    load_file_systems(plan)?;
                }
                let mut last = Millis(0);
                let bench = disk::Bench {
                    plan,
                    look: &look::disks,
                    image_begun: self.image_begun,
                };
                disk::carry_out(step, &bench, &mut |done, total| {
                    self.moved(&mut last, done, total)
                })
            }
            Step::Image => self.image(plan),
            Step::ReadBack => self.read_back(plan),
            Step::FirstBoot => self.first_boot(plan),
            Step::BootEntry => match whole::planned(plan) {
                Some((disk, ..)) => whole::boot_entry(plan, disk),
                None => handover::boot_entry(plan),
            },
            Step::HandOver => self.prove(plan),
            Step::Erase => self.erase(plan),
        }
    }

    fn erase(&self, plan: &Plan) -> Result<Vec<String>, Reason> {
        let bench = disk::Bench {
            plan,
            look: &look::disks,
            image_begun: self.image_begun,
        };
        let shop = erase::Shop {
            bench: &bench,
            devices: Path::new("/dev"),
            report: &|record| self.erased(record),
        };
        let mut last = Millis(0);
        erase::carry_out(&shop, &mut |done, total| self.moved(&mut last, done, total))
    }

    /// Tells a disk's record until its certificate is signed: without one it is in quarantine.
    fn erased(&self, record: &EraseRecord) -> Result<(), Reason> {
        let report = EraseReport {
            run: self.run.clone(),
            record: record.clone(),
        };
        loop {
            match self.provisioner.tell(paths::RUN_ERASED, &report) {
                Ok(()) => return Ok(()),
                Err(Refusal::Said(reason)) => return Err(reason),
                Err(Refusal::NoAnswer(reason)) => self.tell(Event::StepWaiting { reason }),
            }
            std::thread::sleep(CREDENTIAL_RETRY);
        }
    }

    fn image(&self, plan: &Plan) -> Result<Vec<String>, Reason> {
        if plan.rebuild.is_some() {
            return load_host_that_stays(plan);
        }
        let manifest = self.manifest(plan)?;
        // A run that has begun with its image finds on the disk what it has written, and no other.
        let before = match &plan.previous {
            Some(previous) if !self.image_begun => self.before(plan, previous, &manifest),
            Some(_) | None => image::Before::default(),
        };
        if let Some((disk, ..)) = whole::planned(plan) {
            let target = whole::held(plan, disk)?;
            return self.deploy(plan, whole_disk::body_of(&manifest), &target, before);
        }
        let target = partition(plan, is_root)?;
        self.deploy(plan, manifest, &target, before)
    }

    fn before(&self, plan: &Plan, previous: &ImageRef, manifest: &Manifest) -> image::Before {
        let image = (&plan.image, manifest);
        image::Before::find(&self.source(), previous, image, &mut |moved| {
            self.waits(moved)
        })
    }

    fn deploy(
        &self,
        plan: &Plan,
        manifest: Manifest,
        target: &Path,
        before: image::Before,
    ) -> Result<Vec<String>, Reason> {
        let (source, manifest) = (self.source(), Arc::new(manifest));
        let room = self.open_room(plan, &manifest, target);
        std::thread::scope(|scope| {
            let loading = (plan.hand_over == HandOver::Kexec)
                .then(|| scope.spawn(|| self.load_host_kernel(plan, &manifest)));
            let mut listener = self.listener();
            // Every byte is read back, most of them while the others are written, so that one digest is enough here.
            let options = image::Options {
                former: before.former,
                proof: image::Proof::Stored,
                read_behind: Some(image::READ_BEHIND),
                // By the plan's own table there a run that is cut is known again.
                tail_stays: true,
                ..image::Options::default()
            };
            let alone = image::Fixed::one(source);
            let sources: &dyn image::SourceBook = match &room {
                Ok(book) => book,
                Err(_) => &alone,
            };
            let deployed = image::deploy(&manifest, target, sources, &options, &mut listener)?;
            *self.proven() = deployed.proven;
            let mut facts = deployed.facts;
            facts.extend(before.fact);
            match room {
                Ok(book) => {
                    facts.push(book.fact());
                    book.stay();
                }
                Err(reason) => facts.push(format!("all from the repository: {}", reason.what)),
            }
            if let Some(loading) = loading {
                facts.push(
                    loading
                        .join()
                        .map_err(|_| broken("loading the host's kernel"))??,
                );
            }
            Ok(facts)
        })
    }

    /// Follows the provisioner's plan of sources, and serves what this node has of the image to its rack.
    fn open_room(
        &self,
        plan: &Plan,
        manifest: &Arc<Manifest>,
        target: &Path,
    ) -> Result<peer::Book, Reason> {
        let provisioner = self.provisioner.clone();
        peer::Book::open(peer::Setting {
            run: self.run.clone(),
            image: plan.image.manifest,
            manifest: Arc::clone(manifest),
            repository: self.source(),
            target: Some(target.to_owned()),
            ca_pem: self.config.ca_pem.clone(),
            certificate_pem: self.credential.certificate_pem.clone(),
            key_pem: self.credential.key_pem.clone(),
            ask: Box::new(move |question| {
                provisioner
                    .post(paths::RUN_SOURCES, question)
                    .map_err(Refusal::reason)
            }),
        })
    }

    /// Loads the host's kernel from its blobs while the image is still being written.
    fn load_host_kernel(&self, plan: &Plan, manifest: &Manifest) -> Result<String, Reason> {
        let files = boot_files(manifest)?;
        let kernel = self.blob(&files.kernel, "kernel")?;
        let initrd = self.blob(&files.initrd, "initrd")?;
        let options = mos_core::loader_entry::host_options(root_guid(plan)?, &files.cmdline);
        handover::kexec_load(&kernel, &initrd, &options)?;
        Ok(format!(
            "the host's kernel {} is loaded for kexec",
            files.kernel.digest.short()
        ))
    }

    fn read_back(&self, plan: &Plan) -> Result<Vec<String>, Reason> {
        if plan.rebuild.is_some() {
            return Ok(vec![STAYS.to_owned()]);
        }
        let manifest = self.manifest(plan)?;
        if let Some((disk, ..)) = whole::planned(plan) {
            let (body, target) = (whole_disk::body_of(&manifest), whole::held(plan, disk)?);
            return self.read_back_from(&body, &target);
        }
        self.read_back_from(&manifest, &partition(plan, is_root)?)
    }

    /// What was not read back while the image was written; all of it where that was another boot.
    fn read_back_from(&self, manifest: &Manifest, target: &Path) -> Result<Vec<String>, Reason> {
        let proven = std::mem::take(&mut *self.proven());
        image::read_back_rest(manifest, target, &proven, &mut self.listener())
    }

    fn proven(&self) -> MutexGuard<'_, image::Proven> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn first_boot(&self, plan: &Plan) -> Result<Vec<String>, Reason> {
        if plan.rebuild.is_some() {
            return self.place_seed(plan);
        }
        if let Some(on) = whole::planned(plan) {
            return self.first_boot_of_whole(plan, on);
        }
        let manifest = self.manifest(plan)?;
        // The disk becomes one that firmware can start last of all: a host that is started after a power cut has its files and
        // its seed.
        let mut facts = if plan.files.is_empty() {
            Vec::new()
        } else {
            let all = customise::Extent {
                number: 0,
                start: Bytes(0),
                length: Bytes(0),
            };
            self.place_files(plan, &partition(plan, is_root)?, (&[all], &[]))?
        };
        facts.extend(self.place_seed(plan)?);
        let esp = {
            let files = boot_files(&manifest)?.clone();
            let kernel = self.blob(&files.kernel, "kernel")?;
            let initrd = self.blob(&files.initrd, "initrd")?;
            let boot_loader = self.blob(&files.boot_loader, "boot loader")?;
            let (root_guid, id) = (root_guid(plan)?.to_owned(), plan.id.clone());
            let esp = partition(plan, is_esp)?;
            on_os_disk(plan, FILES_MAX, "filling the boot partition", move || {
                let onto_esp = handover::EspFiles {
                    boot_loader: &boot_loader,
                    kernel: &kernel,
                    initrd: &initrd,
                    cmdline: &files.cmdline,
                    root_guid: &root_guid,
                    plan: &id,
                };
                handover::fill_esp(&esp, &onto_esp)
            })?
        };
        facts.extend(esp);
        Ok(facts)
    }

    fn place_seed(&self, plan: &Plan) -> Result<Vec<String>, Reason> {
        let seed = self.seed(plan, root_guid(plan)?.to_owned())?;
        let root = partition(plan, is_root)?;
        on_os_disk(plan, FILES_MAX, "leaving the first-boot data", move || {
            handover::place_seed(&root, &seed)
        })
    }

    /// The host's first-boot data, with a certificate of its own.
    pub(super) fn seed(&self, plan: &Plan, root_guid: String) -> Result<HostSeed, Reason> {
        let (key_pem, csr_pem) = handover::make_key_and_csr(&format!("host:{}", self.node))?;
        let request = HostCredentialRequest {
            run: self.run.clone(),
            csr_pem,
        };
        let credential = loop {
            match self
                .provisioner
                .post::<_, HostCredential>(paths::RUN_HOST_CREDENTIAL, &request)
            {
                Ok(credential) => break credential,
                Err(Refusal::Said(reason)) => return Err(reason),
                Err(Refusal::NoAnswer(reason)) => self.tell(Event::StepWaiting { reason }),
            }
            std::thread::sleep(CREDENTIAL_RETRY);
        };
        Ok(HostSeed {
            schema: SCHEMA,
            node: self.node.clone(),
            run: self.run.clone(),
            plan: plan.id.clone(),
            provisioner: self.provisioner.base(),
            others: self.provisioner.others(),
            ca_pem: self.config.ca_pem.clone(),
            certificate_pem: credential.certificate_pem,
            key_pem,
            root_guid,
            volumes: seed_volumes(plan),
            network_boot: NetworkBoot {
                mac: plan.boot_mac,
                firmware: self.firmware.unwrap_or(Firmware::Bios),
            },
            same_host: plan.rebuild.is_some(),
            epoch: credential.epoch,
            adopted: false,
        })
    }

    /// Reads kernel and initrd back from the ESP: what the firmware will start, or kexec has loaded, is what the image names.
    fn prove(&self, plan: &Plan) -> Result<Vec<String>, Reason> {
        if let Some((disk, ..)) = whole::planned(plan) {
            return whole::prove(plan, disk);
        }
        if plan.rebuild.is_some() {
            let found = digest_esp(plan)?;
            return Ok(vec![format!(
                "the host's kernel {} and initrd {} read back from its disk",
                found.kernel.short(),
                found.initrd.short()
            )]);
        }
        let manifest = self.manifest(plan)?;
        let files = boot_files(&manifest)?;
        let found = digest_esp(plan)?;
        for (what, found, blob) in [
            ("kernel", found.kernel, &files.kernel),
            ("initrd", found.initrd, &files.initrd),
        ] {
            if found != blob.digest {
                return Err(Reason::new(
                    ReasonCode::DiskError,
                    format!("the {what} on the disk is not the one in the image"),
                    "replace the OS disk, then order the run again",
                )
                .seen(format!("on the disk {found}, in the image {}", blob.digest)));
            }
        }
        Ok(vec![format!(
            "kernel and initrd read back from the disk are those of image {} {}",
            manifest.name, manifest.version
        )])
    }

    pub(super) fn manifest(&self, plan: &Plan) -> Result<Manifest, Reason> {
        image::fetch_manifest(&self.source(), &plan.image, &mut |moved| self.waits(moved))
    }

    /// A blob in a file of its own in memory: PID 1 never holds more than a piece of it.
    fn blob(&self, blob: &Blob, what: &str) -> Result<File, Reason> {
        let mut file = handover::memory_file(what)?;
        image::fetch_blob_into(&self.source(), blob, what, &mut file, &mut |moved| {
            self.waits(moved)
        })?;
        Ok(file)
    }

    /// A side errand's waits are told, its bytes are not: they would be taken for the step's.
    pub(super) fn waits(&self, moved: image::Moved) {
        if let image::Moved::Waiting(reason) = moved {
            self.tell(Event::StepWaiting { reason });
        }
    }

    pub(super) fn source(&self) -> image::Source {
        let provisioner = self.provisioner.clone();
        image::Source::with_tls(provisioner.base(), provisioner.tls())
            .that_moves(move || provisioner.base())
    }

    fn listener(&self) -> impl FnMut(image::Moved) + '_ {
        let mut last = Millis(0);
        move |moved| match moved {
            image::Moved::Progress(so_far) => self.moved(&mut last, so_far.done, so_far.total),
            image::Moved::Waiting(reason) => self.tell(Event::StepWaiting { reason }),
            image::Moved::GoingOn
            | image::Moved::Dropped { .. }
            | image::Moved::Returned { .. } => {
                last = Millis(0);
            }
        }
    }

    pub(super) fn moved(&self, last: &mut Millis, done: Bytes, total: Bytes) {
        let now = clock::now();
        if now.since(*last) >= PROGRESS_EVERY || done == total {
            *last = now;
            self.tell(Event::StepMoved { done, total });
        }
    }

    pub(super) fn tell(&self, event: Event) {
        // The main loop never ends; if it did, there would be nobody to tell.
        drop(self.words.send(Word::Event(event)));
    }
}

fn digest_esp(plan: &Plan) -> Result<handover::EspDigests, Reason> {
    let esp = partition(plan, is_esp)?;
    on_os_disk(plan, FILES_MAX, "reading the boot partition", move || {
        handover::digest_esp(&esp)
    })
}

/// Loads what the host on the disk starts from, its own updates included, where kexec will start it.
fn load_host_that_stays(plan: &Plan) -> Result<Vec<String>, Reason> {
    let mut facts = vec![STAYS.to_owned()];
    if plan.hand_over == HandOver::Kexec {
        let esp = partition(plan, is_esp)?;
        let contents = on_os_disk(plan, FILES_MAX, "reading the boot partition", move || {
            handover::read_esp(&esp)
        })?;
        if !starts_from(&contents.options, root_guid(plan)?) {
            return Err(Reason::new(
                ReasonCode::HandOverFailed,
                "the host on the disk is not the one that the plan keeps",
                "order a new run: `groundstate node reprovision NODE`",
            )
            .seen(format!("the loader entry's options: {}", contents.options)));
        }
        handover::kexec_load(&contents.kernel, &contents.initrd, &contents.options)?;
        facts.push("the host's kernel is loaded from its disk".to_owned());
    }
    Ok(facts)
}

/// Loads the driver of a file system that this plan has and few plans have.
fn load_file_systems(plan: &Plan) -> Result<(), Reason> {
    let partitions = tables(plan).flat_map(|(_, table)| &table.partitions);
    let mut volumes = partitions.filter_map(|partition| partition.holds.volume());
    if !volumes.any(|volume| volume.fs == VolumeFs::Xfs) {
        return Ok(());
    }
    let refused = |why: String| {
        Reason::new(
            ReasonCode::Internal,
            "the boot image lacks the driver of XFS, which the plan has",
            "build the boot image again, or set fs to ext4 in the site file; then order the run again",
        )
        .seen(why)
    };
    let mut drivers = Drivers::read(Path::new(MODULES)).map_err(refused)?;
    drivers.load_named(&["xfs"]);
    match drivers.failed().get("xfs") {
        Some(why) => Err(refused(why.clone())),
        None => Ok(()),
    }
}

fn broken(what: &str) -> Reason {
    Reason::new(
        ReasonCode::Internal,
        format!("{what} ended in a fault of the maintenance OS"),
        "report it with the node's log (`groundstate node log NODE`)",
    )
}

/// What a root file system is booted with. The planner gives no other kind of image to a node that makes its own ESP.
fn boot_files(manifest: &Manifest) -> Result<&BootFiles, Reason> {
    manifest.boot_files().ok_or_else(|| {
        Reason::new(
            ReasonCode::PlanRefused,
            format!(
                "image {} {} has no kernel beside it: it is a whole disk",
                manifest.name, manifest.version
            ),
            "name an image of a root file system in the site file, or import this one as such",
        )
    })
}
