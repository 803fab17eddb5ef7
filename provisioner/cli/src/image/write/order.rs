// SPDX-License-Identifier: Apache-2.0
//! What the machine gets of its own beside the image.

use super::refused;
use super::source::Given;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use groundstate_api::Bytes;
use image_core::facts::{ImageFacts, facts};
use maintenance_os::customise::Extent;
use mos_core::customise::{
    CloudSeed, CredentialName, NewFile, Order, Placement, RootPath, Stated, Volume, place,
};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The longest file that is put in, in bytes: it is held in memory, and larger ones belong into the image.
const FILE_MAX: u64 = 64 << 20;

#[derive(Args)]
#[command(next_help_heading = "What the machine gets of its own")]
pub(crate) struct OrderArgs {
    /// Put a file into the root file system, or with a number before the path into that partition. It is root's, with the
    /// permissions that SRC has.
    #[arg(long = "file", value_name = "[N:]PATH=SRC")]
    files: Vec<String>,
    /// Give cloud-init this user-data (NoCloud).
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// Give cloud-init this meta-data; without it, an instance-id of this installation.
    #[arg(long, value_name = "FILE")]
    meta_data: Option<PathBuf>,
    /// Give cloud-init this network-config.
    #[arg(long, value_name = "FILE")]
    network_config: Option<PathBuf>,
    /// Give cloud-init the files user-data, meta-data and network-config of this folder, those that are there.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["user_data", "meta_data", "network_config"])]
    nocloud: Option<PathBuf>,
    /// Give systemd's services a credential, in /etc/credstore.
    #[arg(long = "credential", value_name = "NAME=FILE")]
    credentials: Vec<String>,
    /// Put an answer file of Windows onto a FAT partition.
    #[arg(long, value_name = "FILE")]
    unattend: Option<PathBuf>,
}

impl OrderArgs {
    /// Reads all that is named.
    pub(super) fn read(&self) -> Result<Order> {
        let mut order = Order {
            cloud: CloudSeed {
                meta_data: self.meta_data.as_deref().map(read).transpose()?,
                user_data: self.user_data.as_deref().map(read).transpose()?,
                network_config: self.network_config.as_deref().map(read).transpose()?,
            },
            unattend: self.unattend.as_deref().map(read).transpose()?,
            ..Order::default()
        };
        if let Some(folder) = &self.nocloud {
            order.cloud = seed_of(folder)?;
        }
        for stated in &self.files {
            order.files.push(file(stated)?);
        }
        for stated in &self.credentials {
            let Some((name, source)) = stated.split_once('=') else {
                bail!("--credential {stated}: it should be NAME=FILE");
            };
            let name = CredentialName::parse(name)?;
            order.files.push(Stated {
                partition: None,
                file: name.file(read(Path::new(source))?)?,
            });
        }
        Ok(order)
    }
}

/// A seed as cloud-init's own documentation lays it out.
fn seed_of(folder: &Path) -> Result<CloudSeed> {
    let one = |name: &str| {
        let path = folder.join(name);
        path.try_exists()?.then(|| read(&path)).transpose()
    };
    let seed = CloudSeed {
        meta_data: one("meta-data")?,
        user_data: one("user-data")?,
        network_config: one("network-config")?,
    };
    if seed.is_empty() {
        bail!(
            "--nocloud {}: there is neither user-data nor meta-data nor network-config in it",
            folder.display()
        );
    }
    Ok(seed)
}

fn file(stated: &str) -> Result<Stated> {
    let Some((place, source)) = stated.split_once('=') else {
        bail!("--file {stated}: it should be PATH=SRC, or N:PATH=SRC");
    };
    let (partition, path) = match place.split_once(':') {
        Some((number, path)) if !number.is_empty() && !number.contains('/') => {
            let number = number.parse().with_context(|| {
                format!("--file {stated}: {number:?} is no number of a partition")
            })?;
            (Some(number), path)
        }
        Some(_) | None => (None, place),
    };
    let source = Path::new(source);
    let contents = read(source)?;
    let found = fs::metadata(source)?;
    let mut file = NewFile::plain(RootPath::parse(path)?, contents);
    file.mode = found.permissions().mode() & 0o777;
    Ok(Stated { partition, file })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes))
        .with_context(|| format!("{} cannot be read", path.display()))?;
    if bytes.len() as u64 > FILE_MAX {
        bail!(
            "{} is larger than {}; put it into the image",
            path.display(),
            Bytes(FILE_MAX)
        );
    }
    Ok(bytes)
}

/// What goes where; `None`: nothing is asked, or it can only be told when the image stands on the disk.
pub(super) struct Plan {
    pub(super) order: Order,
    pub(super) placed: Option<Placed>,
}

/// What goes where.
pub(super) struct Placed {
    pub(super) extents: Vec<Extent>,
    pub(super) placements: Vec<Placement>,
}

/// Decides before anything is written, where the image can be looked into.
pub(super) fn plan(given: &Given, order: &Order) -> Result<Plan> {
    let mut order = order.clone();
    order.instance = format!("gs-{}", super::onto::random_guid()?);
    let placed = match &given.repository {
        Some(repository) if !order.is_empty() => {
            let mut reader = repository.reader(&given.manifest)?;
            let facts = facts(&mut reader).context("the image cannot be looked into")?;
            Some(placed(&order, &facts)?)
        }
        Some(_) | None => None,
    };
    Ok(Plan { order, placed })
}

/// Where everything goes in an image of these facts.
pub(super) fn placed(order: &Order, facts: &ImageFacts) -> Result<Placed> {
    let (volumes, extents) = volumes(facts);
    let placements = place(order, &volumes).map_err(|error| refused(error.reason()))?;
    Ok(Placed {
        extents,
        placements,
    })
}

/// The file systems of an image, and where they lie.
pub(crate) fn volumes(facts: &ImageFacts) -> (Vec<Volume>, Vec<Extent>) {
    let root = facts.os.as_ref().map(|os| os.partition);
    let mut volumes: Vec<Volume> = Vec::new();
    let mut extents = Vec::new();
    for one in &facts.partitions {
        let held = one.file_system.as_ref();
        volumes.push(Volume {
            number: one.number,
            kind: held.map(|held| held.kind.clone()),
            label: held.and_then(|held| held.label.clone()),
            is_root: root == Some(one.number),
            is_esp: one.kind == "EFI system",
        });
        extents.push(Extent {
            number: one.number,
            start: one.start,
            length: one.length,
        });
    }
    if let Some(held) = &facts.file_system {
        volumes.push(Volume {
            number: 0,
            kind: Some(held.kind.clone()),
            label: held.label.clone(),
            is_root: true,
            is_esp: false,
        });
        extents.push(Extent {
            number: 0,
            start: Bytes(0),
            length: facts.size,
        });
    }
    (volumes, extents)
}
