// SPDX-License-Identifier: Apache-2.0
//! Why a machine does not get a file.

use alloc::string::String;
use groundstate_api::{Reason, ReasonCode};

/// Why a machine does not get a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomiseRefusal {
    /// The path is none that is taken.
    #[error("{path:?} is no path of a file: {why}")]
    Path {
        /// As it was given.
        path: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The name is none of a credential.
    #[error(
        "{name:?} is no name of a credential: 1 to 240 printable ASCII characters without `/` and `:`, not `.` or `..`"
    )]
    CredentialName {
        /// As it was given.
        name: String,
    },
    /// Two files have the same place.
    #[error("two files are to be put at {path} in {volume}")]
    Twice {
        /// Where.
        path: String,
        /// Into what.
        volume: String,
    },
    /// Nothing tells where the root file system is.
    #[error("the image does not tell which of its file systems is the root: found {found}")]
    NoRoot {
        /// What there is.
        found: String,
    },
    /// There is no such partition.
    #[error("the image has no partition {number}: found {found}")]
    NoPartition {
        /// Its number.
        number: u32,
        /// What there is.
        found: String,
    },
    /// The file system is none that is written to.
    #[error(
        "{volume} holds {found}, into which nothing is put: ext2, ext3, ext4 and FAT are written to"
    )]
    FileSystem {
        /// The partition.
        volume: String,
        /// What it holds.
        found: String,
    },
    /// A file names what the disk will not have.
    #[error(
        "{path} names {guid}, a GUID of the image's partition table: on this disk the table has other GUIDs"
    )]
    OldGuid {
        /// Which file.
        path: String,
        /// What it names.
        guid: String,
    },
    /// There is no file system that Windows looks for an answer file on and that is written to.
    #[error(
        "there is no FAT partition beside the EFI system partition that an unattend file can be put on: found {found}"
    )]
    NoPlaceForUnattend {
        /// What there is.
        found: String,
    },
}

impl CustomiseRefusal {
    /// For people.
    #[must_use]
    pub fn reason(&self) -> Reason {
        let next = match self {
            Self::Path { .. } => "give an absolute path without `.` and `..`",
            Self::CredentialName { .. } | Self::Twice { .. } => "give it another name or path",
            Self::NoPartition { .. } => {
                "say the partition before the path, for example 2:/etc/motd"
            }
            Self::NoRoot { .. } => {
                "say a file's partition before its path, for example 2:/etc/motd; first-boot data and credentials need an image with one root, ext2 to ext4, or a file system with the label CIDATA"
            }
            Self::OldGuid { .. } => {
                "name the file system in it by UUID= or LABEL= instead of PARTUUID="
            }
            Self::FileSystem { .. } | Self::NoPlaceForUnattend { .. } => {
                "put the file into the image before it is imported"
            }
        };
        Reason::new(ReasonCode::PlanRefused, alloc::format!("{self}"), next)
    }
}
