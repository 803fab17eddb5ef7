// SPDX-License-Identifier: Apache-2.0
//! Files for hosts are kept in the journal by their digest; those that nothing names any more go. A file goes when no site in
//! force, no plan of a node's last run and no plan of its host has named it for a day, counted from when that was first seen:
//! whoever sends files has that long to apply the site that names them. Who asks for a file in between has it anew for as long.
//!
//! Only who decides clears; another one that takes over counts from the beginning.

use super::{Provisioner, blocking};
use crate::journal::JournalError;
use crate::planner_files::{KEPT_FILES, document};
use groundstate_api::customise::{PlannedContent, Source};
use groundstate_api::{Digest, Millis};
use prov_core::{KeptPlan, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks: each opens every node's plans.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);
/// For so long nothing named a file that goes.
const UNNAMED_FOR: Millis = Millis::secs(24 * 3_600);

/// Kept files that nothing names, and since when.
#[derive(Debug, Default)]
pub(super) struct Unnamed(Mutex<BTreeMap<Digest, Millis>>);

impl Unnamed {
    fn since(&self) -> MutexGuard<'_, BTreeMap<Digest, Millis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of the files that are kept, those that nothing has named for long enough.
    fn look(&self, now: Millis, kept: &BTreeSet<Digest>, named: &BTreeSet<Digest>) -> Vec<Digest> {
        let mut since = self.since();
        since.retain(|digest, _| kept.contains(digest) && !named.contains(digest));
        for digest in kept.difference(named) {
            since.entry(*digest).or_insert(now);
        }
        let due = since.iter();
        let due = due.filter(|(_, since)| now.since(**since) >= UNNAMED_FOR);
        due.map(|(digest, _)| *digest).collect()
    }

    /// Clears a file by `clear`, where nobody has asked for it since the look. Nobody can ask for it meanwhile.
    fn clear<E>(&self, digest: &Digest, clear: impl FnOnce() -> Result<(), E>) -> Result<bool, E> {
        let mut since = self.since();
        if !since.contains_key(digest) {
            return Ok(false);
        }
        clear()?;
        since.remove(digest);
        Ok(true)
    }
}

impl Provisioner {
    /// Somebody has to do with this file: whatever is to name it has a day again.
    pub(crate) fn asked_for_file(&self, digest: &Digest) {
        self.inner.unnamed.since().remove(digest);
    }

    /// Clears what nothing names, until `stop` is true.
    pub(super) async fn clear_files_by_itself(self, mut stop: watch::Receiver<bool>) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = crate::serve::stopped(&mut stop) => break,
                _ = look.tick() => {
                    let this = self.clone();
                    blocking(move || this.clear_files_now()).await;
                }
            }
        }
    }

    fn clear_files_now(&self) {
        if self.may_decide().is_err() {
            self.inner.unnamed.since().clear();
            return;
        }
        match self.clear_files(self.now()) {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "files that nothing names any more are cleared"),
            Err(error) => {
                tracing::warn!(%error, "files that nothing names stay; the next look is in an hour")
            }
        }
    }

    /// Clears what nothing has named for a day, and says how many files that were. Blocks.
    fn clear_files(&self, now: Millis) -> Result<usize, JournalError> {
        let kept = self.reader().documents(KEPT_FILES)?;
        let kept = kept.iter().filter_map(|name| digest_of(name)).collect();
        let mut cleared = 0;
        for digest in self.inner.unnamed.look(now, &kept, &self.named_files()) {
            let clear = || self.drop_document(&document(&digest));
            cleared += usize::from(self.inner.unnamed.clear(&digest, clear)?);
        }
        Ok(cleared)
    }

    fn drop_document(&self, name: &str) -> Result<(), JournalError> {
        let mut book = self.book();
        self.may_decide()?;
        let done = book.journal.remove_document(name);
        self.inner.refusing.note(done)
    }

    /// All that the site in force and the nodes' plans name.
    fn named_files(&self) -> BTreeSet<Digest> {
        let site = self.site();
        let nodes = site.nodes.iter().map(|node| node.custom());
        let sources = std::iter::once(site.policy.custom()).chain(nodes);
        let sources = sources.flat_map(|custom| custom.sources());
        let stored = sources.filter_map(|(_, source)| match source? {
            Source::File {
                stored: Some((digest, _)),
                ..
            } => Some(digest),
            Source::File { stored: None, .. } | Source::Content(_) | Source::Template(_) => None,
        });
        let mut named: BTreeSet<Digest> = stored.collect();
        // Plans are opened when nobody waits for the fleet any more.
        let nodes: Vec<Arc<Node>> = self.with_fleet(|fleet| fleet.behind(None).cloned().collect());
        for node in &nodes {
            let run = node.run.as_ref().and_then(|run| run.plan.as_ref());
            let host = node.host.as_ref().and_then(|host| host.plan.as_ref());
            let host = host.filter(|host| run.is_none_or(|run| run.id != host.id));
            for plan in run.into_iter().chain(host) {
                named.extend(files_of(plan));
            }
        }
        named
    }
}

fn files_of(plan: &KeptPlan) -> Vec<Digest> {
    let files = plan.get().files.into_iter();
    let stored = files.filter_map(|file| match file.content {
        PlannedContent::Stored { digest, .. } => Some(digest),
        PlannedContent::Inline { .. } | PlannedContent::Credential { .. } => None,
    });
    stored.collect()
}

/// The digest that a document's name tells; `None` where it is no file of ours.
fn digest_of(name: &str) -> Option<Digest> {
    let hex = name.strip_prefix(KEPT_FILES)?;
    format!("sha256:{hex}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parts, site};
    use super::*;
    use crate::clock::Clock;
    use crate::journal::SqliteJournal;
    use crate::peer::NoImages;
    use groundstate_api::Bytes;
    use groundstate_api::customise::FileRule;
    use groundstate_api::site::Site;
    use prov_core::Input;
    use std::path::Path;

    const DAY: u64 = UNNAMED_FOR.0;
    const BY: &str = "operator:ana";

    fn open(dir: &Path) -> Provisioner {
        let journal = SqliteJournal::open(&dir.join("journal.db")).unwrap();
        let parts = parts(dir, Clock::new(), site(), Arc::new(NoImages));
        Provisioner::with_parts(parts, Box::new(journal)).unwrap()
    }

    fn naming(bytes: &[u8], node: bool) -> Site {
        let rule = FileRule {
            path: "/etc/motd".to_owned(),
            from: Some("motd".to_owned()),
            sha256: Some(Digest::of(bytes)),
            size: Some(Bytes(u64::try_from(bytes.len()).unwrap())),
            ..FileRule::default()
        };
        let mut site = site();
        if node {
            site.nodes[0].files = vec![rule];
        } else {
            site.policy.files = vec![rule];
        }
        site
    }

    /// Those of the files that are kept, without asking for any.
    fn kept(ours: &Provisioner, files: &[&'static str]) -> Vec<&'static str> {
        let there = ours.reader().documents("").unwrap();
        let is_there = |file: &&&str| there.contains(&document(&Digest::of(file.as_bytes())));
        files.iter().filter(is_there).copied().collect()
    }

    #[test]
    fn what_nothing_names_goes_after_a_day_and_what_the_site_names_stays() {
        let dir = tempfile::tempdir().unwrap();
        let ours = open(dir.path());
        let files = ["nobody's", "the policy's", "the node's"];
        for file in files {
            ours.keep_file(file.as_bytes()).unwrap();
        }
        let others = ours.reader().documents("").unwrap().len() - files.len();
        assert!(
            others > 0,
            "the site and the certificates are documents too"
        );
        ours.apply_site(naming(b"the policy's", false), BY).unwrap();
        let now = ours.now();
        let at = |ms: u64| Millis(now.0 + ms);
        assert_eq!(ours.clear_files(at(0)).unwrap(), 0);
        ours.apply_site(naming(b"the node's", true), BY).unwrap();
        // What the policy named before is named by nobody from here on.
        assert_eq!(ours.clear_files(at(1)).unwrap(), 0);
        assert_eq!(ours.clear_files(at(DAY - 1)).unwrap(), 0);
        assert_eq!(ours.clear_files(at(DAY)).unwrap(), 1);
        assert_eq!(kept(&ours, &files), ["the policy's", "the node's"]);
        assert_eq!(ours.clear_files(at(DAY + 1)).unwrap(), 1);
        assert_eq!(kept(&ours, &files), ["the node's"]);
        assert_eq!(ours.clear_files(at(9 * DAY)).unwrap(), 0);
        assert_eq!(kept(&ours, &files), ["the node's"]);
        let left = ours.reader().documents("").unwrap().len();
        assert_eq!(
            left,
            others + 2 + 1,
            "two sites came, and nothing else went"
        );
    }

    #[test]
    fn a_file_that_is_sent_or_asked_for_again_has_its_day_again() {
        let dir = tempfile::tempdir().unwrap();
        let ours = open(dir.path());
        let digest = ours.keep_file(b"sent").unwrap();
        let now = ours.now();
        let at = |ms: u64| Millis(now.0 + ms);
        assert_eq!(ours.clear_files(at(0)).unwrap(), 0);
        ours.keep_file(b"sent").unwrap();
        assert_eq!(ours.clear_files(at(DAY)).unwrap(), 0);
        assert!(ours.has_files_of(&naming(b"sent", false)).is_ok());
        assert_eq!(ours.clear_files(at(2 * DAY)).unwrap(), 0);
        // Asked for between the look and the clearing: it stays, and whoever asked finds it.
        let unnamed = &ours.inner.unnamed;
        ours.asked_for_file(&digest);
        let cleared = unnamed.clear::<JournalError>(&digest, || panic!("somebody has asked"));
        assert!(!cleared.unwrap());
        assert_eq!(ours.clear_files(at(3 * DAY)).unwrap(), 0);
        assert_eq!(ours.clear_files(at(4 * DAY)).unwrap(), 1);
        let refused = ours.has_files_of(&naming(b"sent", false));
        assert!(refused.is_err(), "a site that names it is not taken now");
        // Sent once more, all is well.
        ours.keep_file(b"sent").unwrap();
        assert!(ours.has_files_of(&naming(b"sent", false)).is_ok());
        assert_eq!(ours.kept_file(&digest).unwrap().unwrap(), b"sent");
    }

    #[test]
    fn what_the_plan_of_a_run_names_stays_until_another_run_has_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let ours = open(dir.path());
        let (node, run) = super::super::tests::checking(&ours);
        ours.keep_file(b"of the plan").unwrap();
        let (digest, zeros) = (Digest::of(b"of the plan"), "0".repeat(64));
        let plan = serde_json::json!({
            "schema": 1, "id": zeros, "run": run, "node": node,
            "machine": "564d1234-5678-9abc-def0-123456789abc", "hand_over": "kexec", "uefi": true,
            "boot_mac": "02:00:00:00:00:01", "disks": [],
            "image": {
                "name": "debian-host", "version": "1", "kind": "root-fs-ext4",
                "manifest": digest, "size": 1, "sector_size": 512,
            },
            "files": [{
                "fs": "ext4", "path": "/etc/x", "mode": 420, "folder_mode": 493,
                "content": {"is": "stored", "digest": digest, "size": 11},
            }],
        });
        let plan = serde_json::from_value(plan).unwrap();
        let input = Input::PlanMade {
            run: run.clone(),
            plan: Ok(Box::new(plan)),
        };
        ours.submit(&node, input).unwrap();
        let now = ours.now();
        let at = |ms: u64| Millis(now.0 + ms);
        for day in 0..3 {
            assert_eq!(ours.clear_files(at(day * DAY)).unwrap(), 0, "{day}");
        }
        // After a restart too; and no longer once the site has no such node any more.
        drop(ours);
        let ours = open(dir.path());
        assert_eq!(ours.clear_files(at(0)).unwrap(), 0);
        let mut empty = site();
        empty.nodes.clear();
        ours.apply_site(empty, BY).unwrap();
        assert_eq!(ours.clear_files(at(DAY)).unwrap(), 0);
        assert_eq!(ours.clear_files(at(2 * DAY)).unwrap(), 1);
        assert_eq!(kept(&ours, &["of the plan"]), [""; 0]);
    }
}
