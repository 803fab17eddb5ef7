// SPDX-License-Identifier: Apache-2.0
//! The boot answers in a file, so that a boot service that is restarted while its provisioner is away knows them.

use anyhow::{Context as _, Result, bail};
use groundstate_api::boot_answers::BootAnswers;
use groundstate_api::{Millis, SCHEMA};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The largest file that is read: 10,000 nodes with recipes.
const BYTES_MAX: u64 = 64 << 20;

#[derive(Deserialize)]
struct Kept {
    schema: u32,
    right_at: Millis,
    table: BootAnswers,
}

#[derive(Serialize)]
struct Keep<'a> {
    schema: u32,
    right_at: Millis,
    table: &'a BootAnswers,
}

/// The file.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
}

impl Cache {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self {
            path: state_dir.join("boot-answers.json"),
        }
    }

    /// What was kept, and when it was right; `None` where nothing was.
    ///
    /// # Errors
    /// A file that cannot be read, or is not what was written.
    pub(super) fn read(&self) -> Result<Option<(Millis, BootAnswers)>> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| self.path.display().to_string()),
        };
        let mut text = String::new();
        file.take(BYTES_MAX)
            .read_to_string(&mut text)
            .with_context(|| self.path.display().to_string())?;
        let kept: Kept =
            serde_json::from_str(&text).with_context(|| self.path.display().to_string())?;
        if kept.schema != SCHEMA {
            bail!(
                "{} has schema {}; {SCHEMA} is known here",
                self.path.display(),
                kept.schema
            );
        }
        Ok(Some((kept.right_at, kept.table)))
    }

    /// Replaces the file as a whole.
    ///
    /// # Errors
    /// A disk that is full or cannot be written; the old file is still there then.
    pub(super) fn write(&self, right_at: Millis, table: &BootAnswers) -> Result<()> {
        let keep = Keep {
            schema: SCHEMA,
            right_at,
            table,
        };
        let new = self.path.with_extension("new");
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(serde_json::to_string(&keep)?.as_bytes())?;
            file.sync_data()?;
            std::fs::rename(&new, &self.path)
        };
        write().with_context(|| self.path.display().to_string())
    }
}
