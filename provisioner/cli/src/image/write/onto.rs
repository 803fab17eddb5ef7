// SPDX-License-Identifier: Apache-2.0
//! The writing: checked before, proved on the way, read back, fitted, and then the machine's own files.

use super::head::Head;
use super::order::{Plan, placed};
use super::source::Given;
use super::target::Target;
use super::{WriteArgs, refused};
use crate::client::Refused;
use crate::image::progress::Progress;
use anyhow::{Context as _, Result};
use groundstate_api::image::ImageKind;
use groundstate_api::{Bytes, Digest, Reason, ReasonCode};
use image_core::facts::{ReadError, facts};
use image_core::manifest::title;
use maintenance_os::customise;
use maintenance_os::image::{Moved, Options, READ_BEHIND, deploy, read_back_rest};
use maintenance_os::whole_disk;
use mos_core::customise::{NewFile, Order, RootPath, names_no_old_guid};
use mos_core::guid::{Guid, Purpose};
use mos_core::whole_disk::{Identity, Table, Wishes, look};
use serde::Serialize;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

/// What was done.
#[derive(Serialize)]
pub(super) struct Written {
    image: String,
    manifest: Digest,
    target: String,
    fetched: Bytes,
    kept: Bytes,
    written: Bytes,
    read_back: bool,
    facts: Vec<String>,
}

impl Written {
    pub(super) fn text(&self) -> String {
        let mut lines = vec![format!("{} stands on {}", self.image, self.target)];
        lines.extend(self.facts.iter().map(|fact| format!("  {fact}")));
        lines.join("\n")
    }
}

/// Whether the image fits the target, before anything is written.
pub(super) fn check(given: &Given, target: &Target) -> Result<()> {
    let manifest = &given.manifest;
    let needed = manifest.size.max(manifest.minimum_size);
    if target.size < needed {
        return Err(refused(
            Reason::new(
                ReasonCode::DiskFull,
                format!(
                    "{} needs {needed} ({} bytes), {} has {} ({} bytes)",
                    title(manifest),
                    needed.0,
                    target.path.display(),
                    target.size,
                    target.size.0
                ),
                "choose a larger disk; for a file, say --size",
            )
            .seen("nothing was written"),
        ));
    }
    match manifest.kind {
        ImageKind::RootFsExt4 => check_root_fs(given, target),
        ImageKind::WholeDisk => check_whole_disk(given, target),
    }
}

fn check_root_fs(given: &Given, target: &Target) -> Result<()> {
    if target.is_partition() || target.is_file() {
        return Ok(());
    }
    Err(refused(
        Reason::new(
            ReasonCode::PlanRefused,
            format!(
                "{} is a root file system, which goes into a partition or a file",
                title(&given.manifest)
            ),
            "name a partition (/dev/sdb2), or import the image as a whole disk with its own boot loader",
        )
        .seen(target.text()),
    ))
}

fn check_whole_disk(given: &Given, target: &Target) -> Result<()> {
    let manifest = &given.manifest;
    let mut head = Head::open(given)?;
    if target.is_partition() {
        let table = look(&mut head, manifest.sector_size);
        if !matches!(table, Ok(Table::None)) {
            return Err(refused(
                Reason::new(
                    ReasonCode::PlanRefused,
                    format!(
                        "{} has a partition table of its own, and {} is a partition",
                        title(manifest),
                        target.path.display()
                    ),
                    "name the disk itself",
                )
                .seen(target.text()),
            ));
        }
        return Ok(());
    }
    let sector = target.sector;
    if sector != manifest.sector_size {
        return Err(refused(
            Reason::new(
                ReasonCode::PlanRefused,
                format!(
                    "{} is made for sectors of {} bytes, {} has sectors of {sector}",
                    title(manifest),
                    manifest.sector_size,
                    target.path.display()
                ),
                "import an image for this disk's sector size, or choose another disk",
            )
            .seen("nothing was written"),
        ));
    }
    whole_disk::look_at_image(&mut head, &title(manifest), target.size, sector)
        .map_err(|error| refused(error.reason(&title(manifest)).seen("nothing was written")))
}

/// Whether there is a partition that can grow, where one is to, before anything is written.
pub(super) fn check_grow(args: &WriteArgs, given: &Given, target: &Target) -> Result<()> {
    if !args.grow {
        return Ok(());
    }
    let what = if is_whole_disk(given, target) {
        match look(&mut Head::open(given)?, given.manifest.sector_size) {
            Ok(Table::Gpt(_)) => return Ok(()),
            Ok(Table::None | Table::Mbr) | Err(_) => "has no GUID partition table",
        }
    } else {
        "does not go onto a whole disk"
    };
    Err(refused(
        Reason::new(
            ReasonCode::PlanRefused,
            format!(
                "{} {what}, so that it has no last partition that could grow",
                title(&given.manifest)
            ),
            "leave --grow out",
        )
        .seen("nothing was written"),
    ))
}

/// Whether no file names a GUID that the disk will not have, before anything is written.
pub(super) fn check_names(
    args: &WriteArgs,
    given: &Given,
    target: &Target,
    plan: &Plan,
) -> Result<()> {
    if args.keep_guids || plan.order.is_empty() || !is_whole_disk(given, target) {
        return Ok(());
    }
    let table = look(&mut Head::open(given)?, given.manifest.sector_size);
    let Ok(Table::Gpt(gpt)) = table else {
        return Ok(());
    };
    let partitions = gpt.partitions().iter().map(|one| one.guid);
    let old: Vec<Guid> = partitions.chain([gpt.disk_guid()]).collect();
    for file in files_of(&plan.order)? {
        names_no_old_guid(old.iter().copied(), &file).map_err(|error| {
            refused(
                error
                    .reason()
                    .seen("nothing was written; --keep-guids leaves the image's GUIDs"),
            )
        })?;
    }
    Ok(())
}

/// All that the machine gets, wherever it goes.
fn files_of(order: &Order) -> Result<Vec<NewFile>> {
    let mut files: Vec<NewFile> = order.files.iter().map(|one| one.file.clone()).collect();
    for (name, text) in [
        ("/user-data", &order.cloud.user_data),
        ("/meta-data", &order.cloud.meta_data),
        ("/network-config", &order.cloud.network_config),
        ("/unattend.xml", &order.unattend),
    ] {
        if let Some(text) = text {
            files.push(NewFile::plain(RootPath::parse(name)?, text.clone()));
        }
    }
    Ok(files)
}

/// Writes it.
pub(super) fn write(
    args: &WriteArgs,
    given: &Given,
    target: &Target,
    plan: &Plan,
) -> Result<Written> {
    let manifest = &given.manifest;
    let deployed = {
        let options = Options {
            read_behind: (!args.no_read_back).then_some(READ_BEHIND),
            ..Options::default()
        };
        let mut progress = Progress::new("writing")?;
        let done = deploy(
            manifest,
            &target.path,
            &given.sources,
            &options,
            &mut |moved| tell(&mut progress, moved),
        );
        progress.clear();
        done.map_err(refused)?
    };
    let mut facts = deployed.facts;
    if !args.no_read_back {
        let mut progress = Progress::new("reading back")?;
        let proven = &deployed.proven;
        let back = read_back_rest(manifest, &target.path, proven, &mut |moved| {
            tell(&mut progress, moved);
        });
        progress.clear();
        facts.extend(back.map_err(refused)?);
    }
    match finish(args, given, target, plan) {
        Ok(more) => facts.extend(more),
        Err(error) => return Err(shut(given, target, error)),
    }
    Ok(Written {
        image: title(manifest),
        manifest: given.digest,
        target: target.path.display().to_string(),
        fetched: deployed.counts.fetched,
        kept: deployed.counts.kept,
        written: deployed.counts.written,
        read_back: !args.no_read_back,
        facts,
    })
}

/// What comes after the image's own bytes. Files come before the table: nothing boots that is not complete.
fn finish(args: &WriteArgs, given: &Given, target: &Target, plan: &Plan) -> Result<Vec<String>> {
    let manifest = &given.manifest;
    let mut facts = Vec::new();
    let placed = if plan.placed.is_none() && !plan.order.is_empty() {
        Some(placed(&plan.order, &on_disk(target, manifest.size)?)?)
    } else {
        None
    };
    if let Some(placed) = plan.placed.as_ref().or(placed.as_ref()) {
        facts.extend(
            customise::put(&target.path, &placed.extents, &placed.placements).map_err(refused)?,
        );
        if !args.no_read_back && !placed.placements.is_empty() {
            let put = customise::Expected::all(&placed.placements);
            let proved = customise::prove(&target.path, &placed.extents, &put);
            facts.push(proved.map_err(refused)?);
        }
    }
    if is_whole_disk(given, target) {
        facts.extend(fit(args, given, target)?);
    }
    Ok(facts)
}

fn is_whole_disk(given: &Given, target: &Target) -> bool {
    given.manifest.kind == ImageKind::WholeDisk && !target.is_partition()
}

/// The image stands there, and what belongs to it does not: it must not boot, and a person must know.
fn shut(given: &Given, target: &Target, error: anyhow::Error) -> anyhow::Error {
    let path = target.path.display();
    let state = if is_whole_disk(given, target) {
        match whole_disk::shut(&target.path, target.sector) {
            Ok(()) => format!("the image is on {path}, which was made not to boot; write it again"),
            Err(error) => format!("the image is on {path}, and is not complete ({error})"),
        }
    } else {
        format!("the image is on {path}, and is not complete; write it again")
    };
    match error.downcast::<Refused>() {
        Ok(Refused { reason }) => refused(reason.seen(state)),
        Err(error) => error.context(state),
    }
}

fn fit(args: &WriteArgs, given: &Given, target: &Target) -> Result<Vec<String>> {
    let seed = Digest::of(&entropy()?);
    let name = target.name();
    let identity = (!args.keep_guids).then_some(Identity {
        seed: &seed,
        serial: &name,
    });
    let wishes = Wishes {
        identity,
        grow: args.grow,
    };
    let mut progress = Progress::new("looking for names of the old GUIDs")?;
    let fitted = whole_disk::fit(
        &target.path,
        &given.manifest,
        target.sector,
        wishes,
        &mut |done, total| progress.set(Bytes(done), Some(Bytes(total))),
    );
    progress.clear();
    let fitted = fitted.map_err(|error| refused(error.reason(&title(&given.manifest))))?;
    Ok(fitted.facts)
}

/// Says how far it is, and for what it waits.
pub(super) fn tell(progress: &mut Progress, moved: Moved) {
    match moved {
        Moved::Progress(now) => progress.set(now.done, Some(now.total)),
        Moved::Waiting(reason) => progress.say(&format!("waiting: {}", reason.what)),
        Moved::GoingOn => progress.say("going on"),
        Moved::Dropped { source, reason } => {
            progress.say(&format!("{source} is not asked any more: {}", reason.what));
        }
        Moved::Returned { source } => progress.say(&format!("{source} is asked again")),
    }
}

/// The facts of what stands on the target now.
fn on_disk(target: &Target, size: Bytes) -> Result<image_core::facts::ImageFacts> {
    struct OnDisk(File, u64);
    impl image_core::facts::ReadAt for OnDisk {
        fn size(&self) -> u64 {
            self.1
        }
        fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
            self.0.read_exact_at(buffer, at).map_err(|error| ReadError {
                at,
                said: error.to_string(),
            })
        }
    }
    let file = File::open(&target.path)
        .with_context(|| format!("{} cannot be opened", target.path.display()))?;
    facts(&mut OnDisk(file, size.0)).context("what was written cannot be looked into")
}

fn entropy() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("/dev/urandom cannot be read")?;
    Ok(bytes)
}

/// A GUID that no other installation has.
pub(super) fn random_guid() -> Result<String> {
    let seed = Digest::of(&entropy()?);
    Ok(Guid::derived(&seed, "", Purpose::Disk).lower())
}
