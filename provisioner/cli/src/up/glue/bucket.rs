// SPDX-License-Identifier: Apache-2.0
//! A bucket behind the images of `groundstate up`: opened with it, and followed for what is signed.

use crate::image::bucket;
use anyhow::{Context as _, Result};
use groundstate_api::Millis;
use groundstate_api::trust::ImageChoice;
use image_repo::Repository;
use image_repo::objects::{Behind, Bucket};
use image_repo::trust::{Pin, follow};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How long an answer counts: as many plans as are made meanwhile ask the bucket once.
const FRESH: Duration = Duration::from_secs(10);
/// Channels that are remembered; with one more they are all asked for again.
const CHANNELS_MAX: usize = 256;

/// What is signed in a bucket, asked for where a plan needs it, and not by every plan anew.
#[derive(Debug)]
pub(crate) struct Follows {
    /// Asked once and not again: plans wait meanwhile, and the repository's own documents count where it does not answer.
    bucket: Bucket,
    /// By channel when it was asked for last, and why it gave nothing.
    asked: Mutex<BTreeMap<String, (Instant, Option<String>)>>,
}

/// A bucket as it was opened.
pub(crate) struct Opened {
    pub(crate) behind: Behind,
    pub(crate) follows: Follows,
    /// Its name for the greeting.
    pub(crate) named: String,
    /// Why it gives nothing for now, where it does not answer.
    pub(crate) silent: Option<String>,
}

/// Opens the bucket of a settings file, and asks it one question. Where it is not there, or refuses us, that is an error; that
/// nobody answers may pass.
pub(crate) async fn open(settings: &Path, state_dir: &Path) -> Result<Opened> {
    let (cache, config) = bucket::behind(settings, state_dir)?;
    let silent = bucket::asked(&config).await?;
    Ok(Opened {
        behind: Behind::new(cache, Handle::current()),
        follows: Follows {
            bucket: Bucket::open_once(&config).context("the bucket")?,
            asked: Mutex::default(),
        },
        named: bucket::named(&config),
        silent: silent.map(|error| error.to_string()),
    })
}

impl Follows {
    /// Takes over what is newer there of what `choice` needs. Why it was not: whoever asks goes on with what the repository has,
    /// which says by itself how long it may be believed.
    pub(super) fn now(
        &self,
        repository: &Repository,
        pin: &Pin,
        choice: &ImageChoice,
        now: Millis,
    ) -> Option<String> {
        // Who comes meanwhile waits for the same answer.
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let key = choice.to_string();
        if let Some((at, said)) = asked.get(&key)
            && at.elapsed() < FRESH
        {
            return said.clone();
        }
        let said = follow(repository, &self.bucket, pin, choice, now).err();
        if let Some(error) = &said {
            tracing::warn!(image = %choice, %error, "the bucket's signed documents are not taken over");
        }
        let said = said.map(|error| error.to_string());
        if asked.len() >= CHANNELS_MAX {
            asked.clear();
        }
        asked.insert(key, (Instant::now(), said.clone()));
        said
    }
}
