// SPDX-License-Identifier: Apache-2.0
//! A snapshot that is not surely the journal's fold is none.

use super::*;
use crate::journal::SqliteJournal;
use groundstate_journal::past::Past;
use tempfile::TempDir;

struct Kept {
    dir: TempDir,
    journal: SqliteJournal,
    file: SnapshotFile,
    site: Site,
}

const ID: Option<&str> = Some("j1");

impl Kept {
    /// A journal with the past of a few nodes, and a snapshot of all of it.
    fn new() -> Self {
        let past = Past {
            nodes: 130,
            runs: 1,
            disks: 2,
            dimms: 2,
        };
        let dir = tempfile::tempdir().unwrap();
        let mut journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
        let newest = past.write(&mut journal).unwrap();
        let kept = Self {
            file: SnapshotFile::of(dir.path()),
            site: past.site(),
            journal,
            dir,
        };
        kept.take(newest);
        kept
    }

    fn folded(&self, newest: u64) -> Fleet {
        let mut fleet = Fleet::new(&self.site, Millis(0));
        let events = self.journal.read(0, usize::MAX, None).unwrap();
        let events = events.iter().filter(|event| event.number <= newest);
        events.for_each(|event| fleet.apply(event));
        fleet
    }

    fn take(&self, newest: u64) {
        let moment = Moment {
            journal: "j1".into(),
            newest,
            version: 1,
            site: Digest::of(b"site"),
            of_start: None,
            gone: ["gone".parse().unwrap()].into(),
        };
        let taken = self.folded(newest).take();
        self.file.write(&self.journal, moment, &taken).unwrap();
    }

    fn read(&self) -> Result<Option<Restored>, Ignored> {
        self.file.read(&self.journal, ID)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(NAME)
    }
}

#[test]
fn what_was_kept_is_the_fold() {
    let kept = Kept::new();
    let newest = kept.journal.newest().unwrap();
    for cut in [1, 999, newest / 2, newest] {
        kept.take(cut);
        let restored = kept.read().unwrap().unwrap();
        assert_eq!(restored.header.newest, cut);
        assert!(restored.header.gone.contains(&"gone".parse().unwrap()));
        let mut fleet = restored.fleet(&kept.site, Millis(0)).unwrap();
        let rest = kept.journal.read(cut, usize::MAX, None).unwrap();
        rest.iter().for_each(|event| fleet.apply(event));
        assert!(fleet == kept.folded(newest), "cut at {cut}");
    }
}

#[test]
fn there_may_be_none() {
    let kept = Kept::new();
    std::fs::remove_file(kept.path()).unwrap();
    assert!(kept.read().unwrap().is_none());
}

#[test]
fn damage_is_seen_wherever_it_is() {
    let kept = Kept::new();
    let whole = std::fs::read(kept.path()).unwrap();
    for part in 0..40 {
        let mut bytes = whole.clone();
        let at = part * (bytes.len() - 1) / 39;
        bytes[at] ^= 1 << (part % 8);
        std::fs::write(kept.path(), &bytes).unwrap();
        assert!(kept.read().is_err(), "a bit of byte {at} is another one");
        std::fs::write(kept.path(), &whole[..at]).unwrap();
        assert!(kept.read().is_err(), "it ends at byte {at}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    std::fs::write(kept.path(), &longer).unwrap();
    assert!(matches!(kept.read(), Err(Ignored::Damaged)));
    std::fs::write(kept.path(), &whole).unwrap();
    assert!(kept.read().unwrap().is_some());
}

#[test]
fn it_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let about = std::fs::metadata(Kept::new().path()).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
}

/// As another build, or for another journal, would have written it: with the right digest.
fn rewritten(kept: &Kept, change: impl FnOnce(&mut Header)) {
    let mut from = BufReader::new(File::open(kept.path()).unwrap());
    let mut header = header_of(&mut from).unwrap();
    let mut rest = Vec::new();
    from.read_to_end(&mut rest).unwrap();
    rest.truncate(rest.len() - SHA256_OUTPUT_LEN);
    change(&mut header);
    let mut to = Out::new(File::create(kept.path()).unwrap());
    to.put(BEGINS).unwrap();
    to.piece(&serde_json::to_vec(&header).unwrap()).unwrap();
    to.put(&rest).unwrap();
    to.end().unwrap();
}

#[test]
fn one_of_another_build_or_journal_or_history_is_ignored() {
    let kept = Kept::new();
    let newest = kept.journal.newest().unwrap();
    rewritten(&kept, |_| {});
    assert!(kept.read().unwrap().is_some());
    assert!(matches!(
        kept.file.read(&kept.journal, None),
        Err(Ignored::OtherJournal)
    ));
    assert!(matches!(
        kept.file.read(&kept.journal, Some("j2")),
        Err(Ignored::OtherJournal)
    ));
    rewritten(&kept, |header| header.pieces += 1);
    assert!(matches!(kept.read(), Err(Ignored::Layout)));
    rewritten(&kept, |header| header.pieces -= 1);
    rewritten(&kept, |header| header.newest += 1);
    assert!(matches!(kept.read(), Err(Ignored::Ahead { taken, .. }) if taken == newest + 1));
    rewritten(&kept, |header| header.newest -= 3);
    assert!(matches!(kept.read(), Err(Ignored::OtherHistory(at)) if at == newest - 2));
    rewritten(&kept, |header| header.newest += 2);
    assert!(kept.read().unwrap().is_some());
    rewritten(&kept, |header| header.fold = "0".repeat(32));
    assert!(matches!(kept.read(), Err(Ignored::OtherBuild)));
    // The journal itself is another one than it was.
    kept.take(newest);
    let db = rusqlite::Connection::open(kept.dir.path().join("journal.db")).unwrap();
    db.execute(
        "UPDATE events SET at = at + 1 WHERE number = ?1",
        [i64::try_from(newest).unwrap()],
    )
    .unwrap();
    assert!(matches!(kept.read(), Err(Ignored::OtherHistory(at)) if at == newest));
    db.execute(
        "DELETE FROM events WHERE number = ?1",
        [i64::try_from(newest).unwrap()],
    )
    .unwrap();
    assert!(matches!(kept.read(), Err(Ignored::Ahead { .. })));
}

#[test]
fn a_snapshot_that_cannot_be_written_leaves_the_one_before() {
    let kept = Kept::new();
    let before = std::fs::read(kept.path()).unwrap();
    // Where the new file would be there is a folder.
    std::fs::create_dir(kept.path().with_extension("new")).unwrap();
    let moment = Moment {
        journal: "j1".into(),
        newest: 5,
        version: 1,
        site: Digest::of(b"site"),
        of_start: None,
        gone: BTreeSet::new(),
    };
    let written = kept
        .file
        .write(&kept.journal, moment, &kept.folded(5).take());
    assert!(matches!(written, Err(Ignored::Unreadable(_))));
    assert_eq!(std::fs::read(kept.path()).unwrap(), before);
}

#[test]
fn the_same_holds_over_etcd() {
    use crate::journal::{EtcdJournal, Journal as _, Lead, Leader};
    let Some(cluster) = groundstate_journal::peer::Cluster::start(1) else {
        return;
    };
    let past = Past {
        nodes: 6,
        runs: 1,
        disks: 2,
        dimms: 2,
    };
    let mut journal = EtcdJournal::open(&cluster.options("snapshots")).unwrap();
    let mut election = journal.election().unwrap();
    let me = Leader {
        name: "one".into(),
        url: "https://127.0.0.1:1".into(),
    };
    while !matches!(election.lead(&me).unwrap(), Lead::Ours { .. }) {}
    let newest = past.write(&mut journal).unwrap();
    let events = journal.read(0, usize::MAX, None).unwrap();
    let fold = |mut fleet: Fleet, from: u64, to: u64| {
        let between = events
            .iter()
            .filter(|event| event.number > from && event.number <= to);
        between.for_each(|event| fleet.apply(event));
        fleet
    };
    let site = past.site();
    let fresh = || Fleet::new(&site, Millis(0));
    let (dir, cut) = (tempfile::tempdir().unwrap(), newest / 2);
    let file = SnapshotFile::of(dir.path());
    let moment = Moment {
        journal: "j1".into(),
        newest: cut,
        version: 1,
        site: Digest::of(b"site"),
        of_start: None,
        gone: BTreeSet::new(),
    };
    let taken = fold(fresh(), 0, cut).take();
    file.write(&journal, moment, &taken).unwrap();
    let restored = file.read(&journal, ID).unwrap().unwrap();
    let restored = restored.fleet(&site, Millis(0)).unwrap();
    assert!(fold(restored, cut, newest) == fold(fresh(), 0, newest));
}
