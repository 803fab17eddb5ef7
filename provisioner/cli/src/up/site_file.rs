// SPDX-License-Identifier: Apache-2.0
//! Reads the site file that `groundstate up` is started with.

use crate::site::beside::Beside;
use anyhow::Result;
use groundstate_api::site::Site;
use std::path::Path;

/// The site file, checked, with the files beside it that it names.
pub(crate) fn read(path: &Path) -> Result<(Site, Beside)> {
    crate::site::file::read_all(path)
}
