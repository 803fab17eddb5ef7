// SPDX-License-Identifier: Apache-2.0
//! Where the repository is. Only the commands that bring something in make it; a reader that is told a wrong folder says
//! so and leaves nothing behind.

use crate::up::image_dir;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use image_repo::Repository;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct StateArgs {
    /// The state directory of `groundstate up`; its folder `images` is the repository.
    #[arg(
        long,
        value_name = "DIR",
        env = "GROUNDSTATE_STATE_DIR",
        default_value = "/var/lib/groundstate"
    )]
    pub(super) state_dir: PathBuf,
}

impl StateArgs {
    /// The repository's folder.
    pub(super) fn folder(&self) -> PathBuf {
        image_dir(&self.state_dir)
    }

    /// Where disks are made before they are imported.
    pub(super) fn scratch(&self) -> PathBuf {
        self.state_dir.join("scratch")
    }

    /// The repository, made where there is none.
    pub(super) fn make(&self) -> Result<Repository> {
        let folder = self.folder();
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        let repository = Repository::open(&folder)?;
        if repository.is_being_cleared() {
            eprintln!("waiting for a gc or fsck --heal that is under way");
        }
        Ok(repository)
    }

    /// Says what gc and a healing fsck wait for.
    pub(super) fn tell_in_use(repository: &Repository) {
        if repository.is_in_use() {
            eprintln!("waiting for imports and exports that are under way");
        }
    }

    /// The repository that is there.
    pub(super) fn find(&self) -> Result<Repository> {
        let folder = self.folder();
        if !folder.is_dir() {
            bail!(
                "there is no repository: {} is no folder; `groundstate image import` makes it, or say where it is with \
                 --state-dir DIR or GROUNDSTATE_STATE_DIR",
                folder.display()
            );
        }
        Ok(Repository::open_existing(&folder)?)
    }
}
