// SPDX-License-Identifier: Apache-2.0
//! A NoCloud seed, as cloud-init reads it: `meta-data` and `user-data`, `network-config` where it is given. It lies at the
//! root of a file system labelled `CIDATA`, or in `/var/lib/cloud/seed/nocloud` of the root file system.

use super::NewFile;
use super::path::RootPath;
use super::refusal::CustomiseRefusal;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Where cloud-init looks in the root file system.
pub(super) const FOLDER: &str = "/var/lib/cloud/seed/nocloud";
/// The label that it looks for, in any case.
pub(super) const LABEL: &str = "cidata";

/// What cloud-init is told.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CloudSeed {
    /// `meta-data`; without it, it has nothing but an `instance-id`.
    pub meta_data: Option<Vec<u8>>,
    /// `user-data`; without it, it is empty.
    pub user_data: Option<Vec<u8>>,
    /// `network-config`.
    pub network_config: Option<Vec<u8>>,
}

/// User data has passwords and keys in it.
impl fmt::Debug for CloudSeed {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(Vec::len);
        to.debug_struct("CloudSeed")
            .field("meta_data", &length(&self.meta_data))
            .field("user_data", &length(&self.user_data))
            .field("network_config", &length(&self.network_config))
            .finish()
    }
}

impl CloudSeed {
    /// Whether nothing is told.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.meta_data.is_none() && self.user_data.is_none() && self.network_config.is_none()
    }

    /// Its files below `folder`, which is empty for the root of a file system. `instance` identifies this very
    /// installation, so that cloud-init does its first-boot work once.
    pub(super) fn files(
        &self,
        folder: &str,
        instance: &str,
    ) -> Result<Vec<NewFile>, CustomiseRefusal> {
        let meta = || format!("instance-id: {instance}\n").into_bytes();
        // Both must be there, or cloud-init takes none of it.
        let meta = self.meta_data.clone().unwrap_or_else(meta);
        let user = self.user_data.clone().unwrap_or_default();
        let mut files = Vec::from([("meta-data", meta), ("user-data", user)]);
        files.extend(
            self.network_config
                .clone()
                .map(|bytes| ("network-config", bytes)),
        );
        files
            .into_iter()
            .map(|(name, contents)| {
                let path: String = format!("{folder}/{name}");
                let mut file = NewFile::secret(RootPath::parse(&path)?, contents);
                file.folder_mode = 0o755;
                Ok(file)
            })
            .collect()
    }
}
