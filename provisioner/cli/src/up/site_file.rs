// SPDX-License-Identifier: Apache-2.0
//! Reads the site file that `groundstate up` is started with.

use anyhow::Result;
use groundstate_api::site::Site;
use std::path::Path;

/// The site file, checked.
pub(crate) fn read(path: &Path) -> Result<Site> {
    crate::site::file::read(path)
}
