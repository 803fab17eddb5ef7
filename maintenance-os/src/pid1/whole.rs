// SPDX-License-Identifier: Apache-2.0
//! The steps of an image of a whole disk: its body onto the disk and read back, then the host's own data, and its head last.
//!
//! Until the head is there nothing on the disk starts, whenever power goes.

use super::workshop::Workshop;
use crate::disk::{self, FILES_MAX, OPEN_MAX, on_os_disk};
use crate::handover;
use crate::image;
use crate::mount::{Access, Mounted};
use crate::pid1::look;
use crate::whole_disk::{self, FitError, Fitting, Inside};
use groundstate_api::image::{BootEntry, Manifest};
use groundstate_api::inventory::Disk;
use groundstate_api::plan::{DiskPlan, Plan, TablePlan};
use groundstate_api::{Bytes, Digest, Reason, ReasonCode};
use mos_core::efi::{LoadOption, our_option};
use mos_core::guid::Guid;
use mos_core::whole_disk::{Identity, Table, Wishes};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the head of an image waits, in memory.
const HEAD_FILE: &str = "/run/groundstate-head";
/// So much of the slowest disk is read in a second, at the least: for the search for names, which reads all of an image.
const SLOWEST: u64 = 8 << 20;

/// The disk that takes an image whole; it keeps its name as long as this is there.
pub(super) struct HeldDisk {
    path: PathBuf,
    _held: disk::Hold,
}

impl std::ops::Deref for HeldDisk {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

/// The disk of this plan that takes an image whole.
pub(super) fn planned(plan: &Plan) -> Option<(&DiskPlan, &TablePlan, &Digest)> {
    plan.disks.iter().find_map(|disk| {
        let (table, seed, _) = disk.whole_disk()?;
        Some((disk, table, seed))
    })
}

/// The disk, after the guard has looked at it once more.
pub(super) fn held(plan: &Plan, planned: &DiskPlan) -> Result<HeldDisk, Reason> {
    let seen: Vec<Disk> = look::disks(disk::Look::Identities);
    let found = mos_core::guard::guard_disk(planned, &seen)?;
    let path = Path::new("/dev").join(&found.kernel_name);
    let (device, planned, found) = (path.clone(), planned.clone(), found.clone());
    let held = on_os_disk(plan, OPEN_MAX, "opening the disk", move || {
        disk::Hold::new(&device, &planned, &found).map_err(|error| error.reason(&planned))
    })?;
    Ok(HeldDisk { path, _held: held })
}

impl Workshop {
    /// The host's own data, then the table, the head and the first sector.
    pub(super) fn first_boot_of_whole(
        &self,
        plan: &Plan,
        on: (&DiskPlan, &TablePlan, &Digest),
    ) -> Result<Vec<String>, Reason> {
        let (disk_plan, _, seed) = on;
        let manifest = self.manifest(plan)?;
        let head = self.head(&manifest)?;
        let device = held(plan, disk_plan)?;
        let fitting = self.prepare(plan, &manifest, head, &device, (disk_plan, seed))?;
        let root = root(&manifest, fitting.inside())?;
        fitting.show()?;
        let mut facts = if plan.files.is_empty() {
            Vec::new()
        } else {
            let old: Vec<Guid> = fitting.renewed().collect();
            self.place_files(plan, &device, (&fitting.inside().extents, &old))?
        };
        let guid = fitting.guid_of(root).map(Guid::upper);
        let host = self.seed(plan, guid.unwrap_or_default())?;
        let partition = partition_of(&device, root);
        let left = on_os_disk(plan, FILES_MAX, "leaving the first-boot data", move || {
            handover::place_seed(&partition, &host)
        })?;
        facts.extend(left);
        let written = on_os_disk(plan, FILES_MAX, "writing the image's head", {
            let title = image_core::manifest::title(&manifest);
            move || fitting.write().map_err(|error| error.reason(&title))
        })?;
        facts.extend(written);
        Ok(facts)
    }

    /// Reads the disk through, as long as it takes.
    fn prepare(
        &self,
        plan: &Plan,
        manifest: &Manifest,
        head: Vec<u8>,
        device: &Path,
        (disk_plan, seed): (&DiskPlan, &Digest),
    ) -> Result<Fitting, Reason> {
        let (ours, device, manifest) = (self.clone(), device.to_path_buf(), manifest.clone());
        let (serial, seed) = (disk_plan.serial.clone(), *seed);
        let (sector, grow) = (disk_plan.logical_sector, disk_plan.grows_image());
        let limit = FILES_MAX + Duration::from_secs(manifest.size.0 / SLOWEST);
        on_os_disk(
            plan,
            limit,
            "looking for names of the old GUIDs",
            move || {
                let mut last = groundstate_api::Millis(0);
                let wishes = Wishes {
                    identity: Some(Identity {
                        seed: &seed,
                        serial: &serial,
                    }),
                    grow,
                };
                let mut on = |done, total| ours.moved(&mut last, Bytes(done), Bytes(total));
                Fitting::prepare(&device, &manifest, head, sector, wishes, &mut on)
                    .map_err(|error| refused(&manifest, &error))
            },
        )
    }

    /// The image's first bytes, fetched and proved as all of it is.
    fn head(&self, manifest: &Manifest) -> Result<Vec<u8>, Reason> {
        let head = whole_disk::head_of(manifest);
        let path = Path::new(HEAD_FILE);
        let no_room = |error: std::io::Error| {
            Reason::new(
                ReasonCode::Internal,
                "there is no room in memory for the image's head",
                "see that the machine has the memory that it should have",
            )
            .seen(error.to_string())
        };
        let file = File::create(path).map_err(no_room)?;
        file.set_len(head.size.0).map_err(no_room)?;
        let sources = image::Fixed::one(self.source());
        let options = image::Options {
            seed: image::Seed::Never,
            ..image::Options::default()
        };
        let fetched = image::deploy(&head, path, &sources, &options, &mut |moved| {
            self.waits(moved);
        });
        let bytes = fetched.and_then(|_| fs::read(path).map_err(no_room));
        fs::remove_file(path).map_err(no_room)?;
        bytes
    }
}

fn refused(manifest: &Manifest, error: &FitError) -> Reason {
    error.reason(&image_core::manifest::title(manifest))
}

fn partition_of(device: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return device.to_path_buf();
    }
    let name = device.file_name().unwrap_or_default().to_string_lossy();
    disk::partition_device(&name, number)
}

/// Where the host's identity goes.
fn root(manifest: &Manifest, inside: &Inside) -> Result<u32, Reason> {
    inside.root.ok_or_else(|| {
        let title = image_core::manifest::title(manifest);
        let mut reason = Reason::new(
            ReasonCode::PlanRefused,
            format!("image {title} has no root file system that the host's identity can be put into: it must be ext4, and one"),
            "import an image whose root is ext4 and has the host agent, then order the run again",
        );
        reason.evidence.clone_from(&inside.found);
        reason
    })
}

/// What the firmware starts: the loader that the image brings, or its boot code.
pub(super) fn boot_entry(plan: &Plan, disk_plan: &DiskPlan) -> Result<Vec<String>, Reason> {
    let boot = plan.image.whole.as_ref().map(|whole| &whole.boot);
    let loader = match boot {
        Some(BootEntry::Loader(loader)) if plan.uefi => loader,
        Some(BootEntry::Loader(_) | BootEntry::BootCode) if !plan.uefi => {
            return Ok(vec![
                "legacy BIOS: the firmware starts the boot code in the disk's first sector"
                    .to_owned(),
            ]);
        }
        Some(_) | None => {
            return Err(Reason::new(
                ReasonCode::PlanRefused,
                "the plan's image has nothing that this machine's firmware starts",
                "order the run again; if it happens again, report it with the plan (`groundstate node plan NODE`)",
            ));
        }
    };
    let device = held(plan, disk_plan)?;
    let (path, sector) = (device.to_path_buf(), disk_plan.logical_sector);
    let (number, file) = (loader.partition, loader.path.clone());
    let option = on_os_disk(plan, FILES_MAX, "reading the disk's table", move || {
        option_of(&path, sector, number, &file)
    })?;
    let mounted = Mounted::new(
        Path::new("efivarfs"),
        "efivars",
        "efivarfs",
        Access::ReadWrite,
    )?;
    let facts = handover::write_entry(mounted.path(), option)?;
    mounted.finish()?;
    Ok(facts)
}

/// The firmware's entry for a loader on a partition, as the disk itself says where that is.
fn option_of(device: &Path, sector: u32, number: u32, file: &str) -> Result<LoadOption, Reason> {
    let missing = |what: &str| {
        Reason::new(
            ReasonCode::HandOverFailed,
            format!("the firmware cannot be pointed to {file}: {what}"),
            "look at the image (`groundstate image show NAME`), then order the run again",
        )
    };
    let table = whole_disk::look_at_disk(device, sector)
        .map_err(|error| error.reason("the image on the disk"))?;
    let Table::Gpt(gpt) = table else {
        return Err(missing("the disk has no GUID partition table"));
    };
    let found = gpt.partitions().iter().find(|one| one.number == number);
    let found = found.ok_or_else(|| missing(&format!("partition {number} is not there")))?;
    let sectors = found.last - found.first + 1;
    our_option(number, found.first, sectors, found.guid, file)
        .map_err(|error| missing(&error.to_string()))
}

/// Reads back what the firmware will start: the table is right, and the loader stands where the image has it.
pub(super) fn prove(plan: &Plan, disk_plan: &DiskPlan) -> Result<Vec<String>, Reason> {
    let device = held(plan, disk_plan)?;
    let (path, sector) = (device.to_path_buf(), disk_plan.logical_sector);
    let (inside, is_gpt) = on_os_disk(
        plan,
        FILES_MAX,
        "reading the image on the disk",
        move || {
            let failed = |error: FitError| error.reason("the image on the disk");
            let table = whole_disk::look_at_disk(&path, sector).map_err(failed)?;
            let inside = whole_disk::look_into(&path, sector).map_err(failed)?;
            Ok((inside, matches!(table, Table::Gpt(_))))
        },
    )?;
    let planned = plan.image.whole.as_ref().map(|whole| &whole.boot);
    if planned != Some(&inside.boot) {
        let mut reason = Reason::new(
            ReasonCode::DiskError,
            "what starts on the disk is not what starts in the image",
            "replace the OS disk, then order the run again",
        );
        reason.evidence = inside.found;
        return Err(reason
            .seen(format!("on the disk {:?}", inside.boot))
            .seen(format!("in the image {planned:?}")));
    }
    let what = match &inside.boot {
        BootEntry::Loader(loader) if is_gpt => format!(
            "the table is right at its start, and {} stands on partition {}",
            loader.path, loader.partition
        ),
        BootEntry::Loader(loader) => {
            format!("{} stands on partition {}", loader.path, loader.partition)
        }
        BootEntry::BootCode => "the boot code stands in the first sector".to_owned(),
        BootEntry::Files(_) | BootEntry::None => "nothing that starts".to_owned(),
    };
    Ok(vec![format!(
        "image {} {}, read from the disk: {what}; the machine restarts into it",
        plan.image.name, plan.image.version
    )])
}
