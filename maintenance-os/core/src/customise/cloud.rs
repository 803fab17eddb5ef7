// SPDX-License-Identifier: Apache-2.0
//! A NoCloud seed, as cloud-init reads it: `meta-data` and `user-data`, `network-config` where it is given. It lies at the
//! root of a file system labelled `CIDATA`, or in `/var/lib/cloud/seed/nocloud` of the root file system.

use super::path::RootPath;
use super::refusal::CustomiseRefusal;
use super::{Contents, NewFile};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Where cloud-init looks in the root file system.
pub(super) const FOLDER: &str = "/var/lib/cloud/seed/nocloud";
/// The label that it looks for, in any case.
pub(super) const LABEL: &str = "cidata";

/// What cloud-init is told.
#[derive(Clone, PartialEq, Eq)]
pub struct CloudSeed<C = Vec<u8>> {
    /// `meta-data`; without it, it has nothing but an `instance-id`.
    pub meta_data: Option<C>,
    /// `user-data`; without it, it is empty.
    pub user_data: Option<C>,
    /// `network-config`.
    pub network_config: Option<C>,
}

impl<C> Default for CloudSeed<C> {
    fn default() -> Self {
        Self {
            meta_data: None,
            user_data: None,
            network_config: None,
        }
    }
}

/// User data has passwords and keys in it.
impl<C> fmt::Debug for CloudSeed<C> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("CloudSeed")
            .field("meta_data", &self.meta_data.is_some())
            .field("user_data", &self.user_data.is_some())
            .field("network_config", &self.network_config.is_some())
            .finish()
    }
}

impl<C> CloudSeed<C> {
    /// Whether nothing is told.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.meta_data.is_none() && self.user_data.is_none() && self.network_config.is_none()
    }
}

impl<C: Contents> CloudSeed<C> {
    /// Its files below `folder`, which is empty for the root of a file system. `instance` identifies this very
    /// installation, so that cloud-init does its first-boot work once.
    pub(super) fn files(
        &self,
        folder: &str,
        instance: &str,
    ) -> Result<Vec<NewFile<C>>, CustomiseRefusal> {
        let meta = || C::of_text(format!("instance-id: {instance}\n"));
        // Both must be there, or cloud-init takes none of it.
        let meta = self.meta_data.clone().unwrap_or_else(meta);
        let user = self.user_data.clone();
        let user = user.unwrap_or_else(|| C::of_text(String::new()));
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
                file.is_secret = false;
                Ok(file)
            })
            .collect()
    }
}
