// SPDX-License-Identifier: Apache-2.0
//! Which file goes to which partition.

use super::cloud::{CloudSeed, FOLDER, LABEL};
use super::path::RootPath;
use super::refusal::CustomiseRefusal;
use super::{Contents, NewFile};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// The file that Windows looks for at the root of every disk.
const UNATTEND: &str = "/Autounattend.xml";
/// The file that an installed Windows looks for on its own volume.
const PANTHER: &str = "/Windows/Panther/unattend.xml";

/// A partition of the image, or the image itself where it has no table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The partition's number; 0 where there is no table.
    pub number: u32,
    /// The file system's common name; `None` where none was recognised.
    pub kind: Option<String>,
    /// Its label.
    pub label: Option<String>,
    /// Whether an operating system was found on it.
    pub is_root: bool,
    /// Whether it is an EFI system partition.
    pub is_esp: bool,
}

impl Volume {
    /// An image that is one ext4 root file system.
    #[must_use]
    pub fn of_root_fs() -> Self {
        Self {
            number: 0,
            kind: Some("ext4".to_string()),
            label: None,
            is_root: true,
            is_esp: false,
        }
    }
}

/// A file system that is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fs {
    /// ext2, ext3 or ext4.
    Ext4,
    /// FAT.
    Vfat,
}

impl Fs {
    /// As mount writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Vfat => "vfat",
        }
    }
}

/// A file, and the partition where somebody says which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated<C = Vec<u8>> {
    /// The partition's number; `None`: the root file system.
    pub partition: Option<u32>,
    /// The file.
    pub file: NewFile<C>,
}

/// All that a machine gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order<C = Vec<u8>> {
    /// Files.
    pub files: Vec<Stated<C>>,
    /// What cloud-init is told.
    pub cloud: CloudSeed<C>,
    /// Identifies this very installation to cloud-init.
    pub instance: String,
    /// An answer file of Windows.
    pub unattend: Option<C>,
}

impl<C> Default for Order<C> {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            cloud: CloudSeed::default(),
            instance: String::new(),
            unattend: None,
        }
    }
}

impl<C> Order<C> {
    /// Whether nothing is asked.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.files.is_empty() && self.cloud.is_empty() && self.unattend.is_none()
    }
}

/// What goes to one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement<C = Vec<u8>> {
    /// The partition's number; 0 where there is no table.
    pub number: u32,
    /// What it holds.
    pub fs: Fs,
    /// The files, in the order in which they were asked for.
    pub files: Vec<NewFile<C>>,
}

/// Decides where everything goes.
///
/// # Errors
/// Something has no place, or two things have the same.
pub fn place<C: Contents>(
    order: &Order<C>,
    volumes: &[Volume],
) -> Result<Vec<Placement<C>>, CustomiseRefusal> {
    let mut placed: Vec<Placement<C>> = Vec::new();
    for stated in &order.files {
        let volume = match stated.partition {
            Some(number) => numbered(volumes, number)?,
            None => root(volumes)?,
        };
        put(&mut placed, volume, stated.file.clone())?;
    }
    if !order.cloud.is_empty() {
        let (volume, folder) = match labelled(volumes) {
            Some(volume) => (volume, ""),
            None => (root(volumes)?, FOLDER),
        };
        for file in order.cloud.files(folder, &order.instance)? {
            put(&mut placed, volume, file)?;
        }
    }
    if let Some(contents) = &order.unattend {
        let is_for_it = |volume: &&Volume| !volume.is_esp && fs(volume).ok() == Some(Fs::Vfat);
        // Where Windows itself lies on FAT, its own folder is the first that it looks in.
        let own = volumes.iter().filter(is_for_it).find(|one| one.is_root);
        let (volume, path) = match own {
            Some(volume) => (Some(volume), PANTHER),
            None => (volumes.iter().find(is_for_it), UNATTEND),
        };
        let volume = volume.ok_or_else(|| CustomiseRefusal::NoPlaceForUnattend {
            found: found(volumes),
        })?;
        let path = RootPath::parse(path)?;
        put(&mut placed, volume, NewFile::secret(path, contents.clone()))?;
    }
    placed.sort_by_key(|one| one.number);
    Ok(placed)
}

fn put<C>(
    placed: &mut Vec<Placement<C>>,
    volume: &Volume,
    file: NewFile<C>,
) -> Result<(), CustomiseRefusal> {
    let fs = fs(volume)?;
    let at = placed.iter().position(|one| one.number == volume.number);
    match at.and_then(|at| placed.get_mut(at)) {
        None => placed.push(Placement {
            number: volume.number,
            fs,
            files: Vec::from([file]),
        }),
        Some(one) if one.files.iter().any(|other| other.path == file.path) => {
            return Err(CustomiseRefusal::Twice {
                path: file.path.to_string(),
                volume: name(volume),
            });
        }
        Some(one) => one.files.push(file),
    }
    Ok(())
}

fn numbered(volumes: &[Volume], number: u32) -> Result<&Volume, CustomiseRefusal> {
    let volume = volumes.iter().find(|volume| volume.number == number);
    volume.ok_or_else(|| CustomiseRefusal::NoPartition {
        number,
        found: found(volumes),
    })
}

/// Where an operating system was found; else the only ext4.
fn root(volumes: &[Volume]) -> Result<&Volume, CustomiseRefusal> {
    if let Some(volume) = volumes.iter().find(|volume| volume.is_root) {
        return Ok(volume);
    }
    let mut ext4 = volumes
        .iter()
        .filter(|volume| fs(volume).ok() == Some(Fs::Ext4));
    match (ext4.next(), ext4.next()) {
        (Some(volume), None) => Ok(volume),
        (Some(_), Some(_)) | (None, _) => Err(CustomiseRefusal::NoRoot {
            found: found(volumes),
        }),
    }
}

fn labelled(volumes: &[Volume]) -> Option<&Volume> {
    volumes.iter().find(|volume| {
        let label = volume.label.as_deref().unwrap_or_default();
        label.eq_ignore_ascii_case(LABEL) && fs(volume).is_ok()
    })
}

fn fs(volume: &Volume) -> Result<Fs, CustomiseRefusal> {
    match volume.kind.as_deref() {
        Some("ext2" | "ext3" | "ext4") => Ok(Fs::Ext4),
        Some("vfat" | "fat" | "fat12" | "fat16" | "fat32") => Ok(Fs::Vfat),
        other => Err(CustomiseRefusal::FileSystem {
            volume: name(volume),
            found: other.unwrap_or("nothing that is known").to_string(),
        }),
    }
}

fn name(volume: &Volume) -> String {
    if volume.number == 0 {
        "the image".to_string()
    } else {
        format!("partition {}", volume.number)
    }
}

fn found(volumes: &[Volume]) -> String {
    if volumes.is_empty() {
        return "no file system".to_string();
    }
    let all: Vec<String> = volumes
        .iter()
        .map(|volume| {
            let kind = volume.kind.as_deref().unwrap_or("nothing that is known");
            format!("{kind} on {}", name(volume))
        })
        .collect();
    all.join(", ")
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;

    fn volume(number: u32, kind: &str) -> Volume {
        Volume {
            number,
            kind: Some(kind.to_string()),
            label: None,
            is_root: false,
            is_esp: kind == "esp",
        }
    }

    fn file(path: &str, partition: Option<u32>) -> Stated {
        Stated {
            partition,
            file: NewFile::plain(RootPath::parse(path).unwrap(), Vec::new()),
        }
    }

    fn order(files: Vec<Stated>) -> Order {
        Order {
            files,
            instance: "gs-1".to_string(),
            ..Order::default()
        }
    }

    #[test]
    fn files_go_to_the_root_or_where_it_is_said() {
        let mut volumes = [volume(1, "vfat"), volume(2, "ext4"), volume(3, "ext4")];
        let wanted = order(Vec::from([file("/a", None)]));
        let refused = place(&wanted, &volumes).unwrap_err().to_string();
        assert!(
            refused.contains("vfat on partition 1, ext4 on partition 2"),
            "{refused}"
        );
        volumes[2].is_root = true;
        let placed = place(&wanted, &volumes).unwrap();
        assert_eq!((placed[0].number, placed[0].fs), (3, Fs::Ext4));
        let wanted = order(Vec::from([file("/a", None), file("/a", Some(1))]));
        let placed = place(&wanted, &volumes).unwrap();
        assert_eq!([placed[0].number, placed[1].number], [1, 3]);
        let twice = order(Vec::from([file("/a", None), file("/a", Some(3))]));
        let refused = place(&twice, &volumes);
        assert!(matches!(refused, Err(CustomiseRefusal::Twice { .. })));
        let nowhere = order(Vec::from([file("/a", Some(9))]));
        let refused = place(&nowhere, &volumes);
        assert!(matches!(refused, Err(CustomiseRefusal::NoPartition { .. })));
    }

    #[test]
    fn a_file_system_that_is_not_known_is_refused_by_name() {
        let mut volumes = [volume(1, "xfs")];
        volumes[0].is_root = true;
        let refused = place(&order(Vec::from([file("/a", None)])), &volumes).unwrap_err();
        assert!(
            refused.to_string().starts_with("partition 1 holds xfs"),
            "{refused}"
        );
    }

    #[test]
    fn a_seed_goes_to_its_label_or_into_the_root() {
        let mut volumes = [volume(1, "ext4"), volume(2, "vfat")];
        let mut wanted = order(Vec::new());
        wanted.cloud.user_data = Some(b"#cloud-config\n".to_vec());
        let placed = place(&wanted, &volumes).unwrap();
        assert_eq!(placed[0].number, 1);
        let paths = |placed: &[Placement]| -> Vec<String> {
            let files = placed[0].files.iter();
            files.map(|file| file.path.to_string()).collect()
        };
        assert_eq!(
            paths(&placed),
            [
                "/var/lib/cloud/seed/nocloud/meta-data",
                "/var/lib/cloud/seed/nocloud/user-data"
            ]
        );
        assert_eq!(placed[0].files[0].contents, b"instance-id: gs-1\n");
        volumes[1].label = Some("CIDATA".to_string());
        let placed = place(&wanted, &volumes).unwrap();
        assert_eq!(placed[0].number, 2);
        assert_eq!(paths(&placed), ["/meta-data", "/user-data"]);
        // What was told is nowhere in what a log would show.
        assert!(!format!("{wanted:?} {placed:?}").contains("cloud-config"));
    }

    #[test]
    fn an_unattend_file_needs_a_fat_that_firmware_does_not_boot_from() {
        let mut wanted = order(Vec::new());
        wanted.unattend = Some(b"<unattend/>".to_vec());
        let mut esp = volume(1, "vfat");
        esp.is_esp = true;
        let refused = place(&wanted, &[esp.clone(), volume(2, "ntfs")]).unwrap_err();
        assert!(
            refused.to_string().contains("ntfs on partition 2"),
            "{refused}"
        );
        let placed = place(&wanted, &[esp.clone(), volume(3, "vfat")]).unwrap();
        assert_eq!(placed[0].files[0].path.as_str(), "/Autounattend.xml");
        let mut own = volume(3, "vfat");
        own.is_root = true;
        let placed = place(&wanted, &[volume(2, "vfat"), own]).unwrap();
        let path = placed[0].files[0].path.as_str();
        assert_eq!(
            (placed[0].number, path),
            (3, "/Windows/Panther/unattend.xml")
        );
    }
}
