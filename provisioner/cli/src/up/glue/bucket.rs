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
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How long an answer counts: as many plans as are made meanwhile ask the bucket once.
const FRESH: Duration = Duration::from_secs(10);
/// How long the first answer about a channel is waited for by those who come while somebody asks.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Channels that are remembered; with one more they are all asked for again.
const CHANNELS_MAX: usize = 256;

/// What is signed in a bucket, asked for where a plan needs it, and not by every plan anew.
#[derive(Debug)]
pub(crate) struct Follows {
    /// Asked once and not again: plans wait meanwhile, and the repository's own documents count where it does not answer.
    bucket: Bucket,
    /// By channel.
    asked: Mutex<BTreeMap<String, Asked>>,
    answered: Condvar,
}

/// How a channel was asked for.
#[derive(Debug, Default)]
struct Asked {
    /// When the last answer came, and why it gave nothing.
    last: Option<(Instant, Option<String>)>,
    /// Whether somebody asks now.
    is_asked: bool,
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

/// Opens the bucket of a settings file, and asks it one question. What it says is told: the servers start all the same, with
/// what was kept.
pub(crate) async fn open(settings: &Path, state_dir: &Path) -> Result<Opened> {
    let (cache, config) = bucket::behind(settings, state_dir)?;
    let bucket = Bucket::open_once(&config).context("the bucket")?;
    let silent = bucket.ask().await.err();
    Ok(Opened {
        behind: Behind::new(cache, Handle::current()),
        follows: Follows {
            bucket,
            asked: Mutex::default(),
            answered: Condvar::new(),
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
        self.once(&choice.to_string(), || {
            let said = follow(repository, &self.bucket, pin, choice, now).err();
            said.map(|error| error.to_string())
        })
    }

    /// One asks at a time; who comes meanwhile has the answer before, or waits for the first one.
    fn once(&self, key: &str, ask: impl FnOnce() -> Option<String>) -> Option<String> {
        let until = Instant::now() + WAIT_MAX;
        let mut all = self.lock();
        loop {
            let asked = all.entry(key.to_owned()).or_default();
            match &asked.last {
                Some((at, said)) if asked.is_asked || at.elapsed() < FRESH => return said.clone(),
                Some(_) | None if !asked.is_asked => break,
                Some(_) | None => {}
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(format!("no answer within {} s", WAIT_MAX.as_secs()));
            }
            let waited = self.answered.wait_timeout(all, left);
            all = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        all.entry(key.to_owned()).or_default().is_asked = true;
        drop(all);
        let said = ask();
        let mut all = self.lock();
        if all.len() > CHANNELS_MAX {
            all.retain(|_, asked| asked.is_asked);
        }
        let asked = all.entry(key.to_owned()).or_default();
        let before = asked.last.take().and_then(|(_, said)| said);
        if let Some(error) = said.as_ref().filter(|_| said != before) {
            tracing::warn!(image = key, %error, "the bucket's signed documents are not taken over");
        }
        asked.last = Some((Instant::now(), said.clone()));
        asked.is_asked = false;
        drop(all);
        self.answered.notify_all();
        said
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::channel;

    fn follows() -> (tempfile::TempDir, Follows) {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let credentials = dir.path().join("credentials");
        let text = "aws_access_key_id = a\naws_secret_access_key = b\n";
        std::fs::write(&credentials, text).unwrap();
        let closed = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&credentials, closed).unwrap();
        let settings = format!("bucket = \"images\"\ncredentials = {credentials:?}\n");
        let bucket = Bucket::open_once(&toml::from_str(&settings).unwrap()).unwrap();
        let follows = Follows {
            bucket,
            asked: Mutex::default(),
            answered: Condvar::new(),
        };
        (dir, follows)
    }

    /// However many come while a bucket hangs: one asks, and nobody waits who can have the answer before.
    #[test]
    fn one_asks_and_the_others_have_its_answer() {
        let (_dir, follows) = follows();
        let count = AtomicU32::new(0);
        let (go, wait) = channel::<()>();
        let wait = Mutex::new(wait);
        std::thread::scope(|scope| {
            let ask = || {
                follows.once("a@stable", || {
                    count.fetch_add(1, Ordering::SeqCst);
                    wait.lock().unwrap().recv().unwrap();
                    Some("gone".to_owned())
                })
            };
            let all: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
            go.send(()).unwrap();
            for each in all {
                assert_eq!(each.join().unwrap().as_deref(), Some("gone"));
            }
            assert_eq!(count.load(Ordering::SeqCst), 1);
            // The answer has aged, and somebody asks again: the others go on with the old one at once.
            let old = Instant::now().checked_sub(2 * FRESH).unwrap();
            follows.lock().get_mut("a@stable").unwrap().last = Some((old, None));
            let asks = scope.spawn(ask);
            while count.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
            assert_eq!(follows.once("a@stable", || unreachable!("one asks")), None);
            go.send(()).unwrap();
            assert_eq!(asks.join().unwrap().as_deref(), Some("gone"));
        });
    }

    #[test]
    fn few_channels_are_remembered() {
        let (_dir, follows) = follows();
        for number in 0..2 * CHANNELS_MAX {
            assert_eq!(follows.once(&number.to_string(), || None), None);
        }
        assert!(follows.lock().len() <= CHANNELS_MAX + 1);
    }
}
