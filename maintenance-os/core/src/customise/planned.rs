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
