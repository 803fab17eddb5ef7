// SPDX-License-Identifier: Apache-2.0
//! What is placed, as a plan writes it down, and back.

use super::place::{Fs, Placement};
use super::refusal::CustomiseRefusal;
use super::{NewFile, RootPath};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use groundstate_api::customise::{FileFs, PlannedContent, PlannedFile};

/// The files of a plan, by partition and then in the order in which they were asked for.
#[must_use]
pub fn planned(placements: Vec<Placement<PlannedContent>>) -> Vec<PlannedFile> {
    let mut all = Vec::new();
    for placement in placements {
        let fs = match placement.fs {
            Fs::Ext4 => FileFs::Ext4,
            Fs::Vfat => FileFs::Vfat,
        };
        let number = placement.number;
        all.extend(placement.files.into_iter().map(|file| PlannedFile {
            partition: number,
            fs,
            path: file.path.to_string(),
            mode: file.mode,
            owner: file.owner,
            group: file.group,
            folder_mode: file.folder_mode,
            content: file.contents,
        }));
    }
    all
}

/// A planned file with its bytes.
///
/// # Errors
/// Its path is none: such a plan is of nobody's planner.
pub fn new_file(file: &PlannedFile, contents: Vec<u8>) -> Result<NewFile, CustomiseRefusal> {
    Ok(NewFile {
        path: RootPath::parse(&file.path)?,
        mode: file.mode,
        owner: file.owner,
        group: file.group,
        folder_mode: file.folder_mode,
        is_secret: file.is_secret(),
        contents,
    })
}

impl From<FileFs> for Fs {
    fn from(fs: FileFs) -> Self {
        match fs {
            FileFs::Ext4 => Self::Ext4,
            FileFs::Vfat => Self::Vfat,
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::super::{CloudSeed, CredentialName, Order, Stated, Volume, place};
    use super::*;
    use groundstate_api::{Bytes, Digest};

    fn inline(text: &str) -> PlannedContent {
        PlannedContent::Inline { text: text.into() }
    }

    fn order() -> Order<PlannedContent> {
        let path = RootPath::parse("/etc/motd").unwrap();
        let from = "db-1".to_string();
        let name = CredentialName::parse("db").unwrap();
        let credential = PlannedContent::Credential { from };
        Order {
            files: Vec::from([
                Stated {
                    partition: None,
                    file: NewFile::plain(path, inline("hello")),
                },
                Stated {
                    partition: None,
                    file: name.file(credential).unwrap(),
                },
            ]),
            cloud: CloudSeed {
                user_data: Some(PlannedContent::Stored {
                    digest: Digest::of(b"u"),
                    size: Bytes(1),
                }),
                ..CloudSeed::default()
            },
            instance: "gs-1".to_string(),
            unattend: None,
        }
    }

    #[test]
    fn what_is_placed_is_planned_with_its_place_and_not_with_its_secret() {
        let files = planned(place(&order(), &[Volume::of_root_fs()]).unwrap());
        let words: Vec<_> = files.iter().map(PlannedFile::words).collect();
        assert_eq!(words[0], "/etc/motd (5 bytes, 2cf24dba5fb0, mode 0644)");
        assert_eq!(
            words[1],
            "/etc/credstore/db (the secret \"db-1\", fetched when it is put there, mode 0600)"
        );
        assert!(words[2].starts_with("/var/lib/cloud/seed/nocloud/meta-data ("));
        assert_eq!(files[2].content, inline("instance-id: gs-1\n"));
        assert_eq!((files.len(), files[3].folder_mode), (4, 0o755));
        let secret = new_file(&files[1], b"geheim".to_vec()).unwrap();
        assert!(secret.is_secret && secret.mode == 0o600 && secret.folder_mode == 0o700);
        let mut wrong = files[0].clone();
        wrong.path = "/etc/../motd".to_string();
        new_file(&wrong, Vec::new()).unwrap_err();
    }

    #[test]
    fn a_whole_disk_has_its_files_by_partition() {
        let volume = |number, kind: &str, is_root| Volume {
            number,
            kind: Some(kind.to_string()),
            label: (number == 3).then(|| "cidata".to_string()),
            is_root,
            is_esp: number == 1,
        };
        let volumes = [
            volume(1, "vfat", false),
            volume(2, "ext4", true),
            volume(3, "vfat", false),
        ];
        let files = planned(place(&order(), &volumes).unwrap());
        let places: Vec<_> = files.iter().map(|file| (file.partition, file.fs)).collect();
        assert_eq!(
            places,
            [
                (2, FileFs::Ext4),
                (2, FileFs::Ext4),
                (3, FileFs::Vfat),
                (3, FileFs::Vfat)
            ]
        );
        assert_eq!(files[2].path, "/meta-data");
        let mut ntfs = order();
        ntfs.unattend = Some(inline("<unattend/>"));
        let refused = place(&ntfs, &[volume(2, "ext4", true), volume(4, "ntfs", false)]);
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("ntfs on partition 4"), "{said}");
    }
}
