// SPDX-License-Identifier: Apache-2.0
//! Clocks that step and journals that cannot be written.

use super::open::Parts;
use super::*;
use crate::journal::{Journal, SqliteJournal};
use crate::peer::{NoImages, lab};
use groundstate_api::boot::BootSighting;
use groundstate_api::event::Happened;
use groundstate_api::image::ImageRef;
use groundstate_api::site::Node as SiteNode;
use groundstate_api::trust::ImageChoice;
use groundstate_api::view::Phase;
use groundstate_api::{Reason, ReasonCode};
use groundstate_journal::hooked::Hooked;
use std::sync::atomic::{AtomicU64, Ordering};

struct BrokenImages;

impl Images for BrokenImages {
    fn newest(&self, _: &str) -> Result<Option<ImageRef>, Reason> {
        panic!("a manifest that nobody understands")
    }
    fn verify(&self, _: &ImageRef) -> Result<(), Reason> {
        Ok(())
    }
}

/// A repository whose channel `debian-host@stable` is believed until [`EXPIRES`].
struct ChannelImages;

const EXPIRES: Millis = Millis(1_800_000_000_000 + 3_600_000);

impl Images for ChannelImages {
    fn newest(&self, _: &str) -> Result<Option<ImageRef>, Reason> {
        panic!("an import without a signature is not asked for")
    }
    fn of_channel(&self, choice: &ImageChoice, now: Millis) -> Result<ImageRef, Reason> {
        assert_eq!(choice.to_string(), "debian-host@stable");
        if now >= EXPIRES {
            return Err(Reason::new(ReasonCode::ImageUntrusted, "expired", "renew"));
        }
        Ok(ImageRef {
            name: "debian-host".into(),
            version: "12.1".into(),
            kind: groundstate_api::image::ImageKind::RootFsExt4,
            manifest: groundstate_api::Digest::of(b"manifest"),
            size: groundstate_api::Bytes::gib(1),
            sector_size: 512,
            whole: None,
        })
    }
    fn verify(&self, _: &ImageRef) -> Result<(), Reason> {
        Ok(())
    }
}

/// A journal that does not take the planner's answer.
fn picky(journal: SqliteJournal) -> Box<dyn Journal> {
    let held_for_the_image = |event: &Event| {
        matches!(&event.what, Happened::PhaseChanged { reason: Some(reason), .. }
            if reason.code == ReasonCode::ImageMissing)
    };
    Box::new(Hooked::over(journal).before(move |write| {
        if write.events().iter().any(held_for_the_image) {
            return Err(JournalError::Range("an event of this test"));
        }
        Ok(())
    }))
}

const UUID: &str = "564d1234-5678-9abc-def0-123456789abc";
const BOOT: &str = "11111111-1111-1111-1111-111111111111";

fn node() -> NodeId {
    "node-1".parse().unwrap()
}

pub(crate) fn site() -> Site {
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    lab(vec![SiteNode::new(
        node(),
        mac,
        UUID.parse().unwrap(),
        "GS1",
    )])
}

/// The same site with so many nodes like its own, and their names.
pub(super) fn many(nodes: u8) -> (Site, Vec<NodeId>) {
    let mut site = site();
    let one = site.nodes.remove(0);
    for number in 0..nodes {
        let mut node = one.clone();
        node.name = format!("node-{number}").parse().unwrap();
        node.mac = MacAddr([2, 0, 0, 0, 1, number]);
        node.serial = format!("S{number}");
        site.nodes.push(node);
    }
    let names = site.nodes.iter().map(|node| node.name.clone()).collect();
    (site, names)
}

pub(super) fn parts(
    dir: &std::path::Path,
    clock: Clock,
    site: Site,
    images: Arc<dyn Images>,
) -> Parts {
    Parts {
        clock,
        pki: Pki::open(dir, &site).unwrap(),
        site,
        images,
        state_dir: dir.to_owned(),
        me: Leader {
            name: "lab".into(),
            url: "https://127.0.0.1:8443".into(),
        },
    }
}

fn open(
    dir: &std::path::Path,
    clock: Clock,
    images: Arc<dyn Images>,
    wrap: fn(SqliteJournal) -> Box<dyn Journal>,
) -> Provisioner {
    let journal = SqliteJournal::open(&dir.join("journal.db")).unwrap();
    Provisioner::with_parts(parts(dir, clock, site(), images), wrap(journal)).unwrap()
}

/// With `image` as the policy's.
fn open_for(dir: &std::path::Path, clock: Clock, image: &str) -> Provisioner {
    let mut site = site();
    site.policy.image = image.into();
    let journal = SqliteJournal::open(&dir.join("journal.db")).unwrap();
    let images = Arc::new(ChannelImages);
    Provisioner::with_parts(parts(dir, clock, site, images), Box::new(journal)).unwrap()
}

fn phase(ours: &Provisioner) -> Phase {
    ours.view(&node()).unwrap().phase
}

static WALL: AtomicU64 = AtomicU64::new(1_800_000_000_000);

#[test]
fn a_step_of_the_wall_clock_holds_nobody_and_is_in_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::reading(|| Millis(WALL.load(Ordering::SeqCst)));
    let ours = open(dir.path(), clock, Arc::new(NoImages), |j| Box::new(j));
    ours.order(&node(), None, false, Default::default())
        .unwrap();
    let ordered = ours.view(&node()).unwrap().since;
    let hours = 5 * 3_600_000;
    WALL.fetch_add(hours, Ordering::SeqCst);
    ours.tick();
    assert_eq!(phase(&ours), Phase::Ordered, "its window is open still");
    ours.submit(
        &node(),
        Input::Sighted(BootSighting::FileSent {
            file: "f".into(),
            length: groundstate_api::Bytes(1),
            by: "tftp".into(),
        }),
    )
    .unwrap();
    assert_eq!(phase(&ours), Phase::Booting);
    let journal = ours.events(0, 100, None).unwrap();
    assert_eq!(
        journal.last().unwrap().at,
        Millis(1_800_000_000_000 + hours)
    );
    let since = ours.view(&node()).unwrap().since;
    assert!(
        since.since(ordered) < Millis(hours),
        "decided on a steady clock"
    );
}

/// Orders, enrols and sends the inventory; then lets the planner work until the node is held.
fn held_by_the_planner(ours: &Provisioner) -> Reason {
    ours.order(&node(), None, false, Default::default())
        .unwrap();
    held_once_ordered(ours)
}

/// Orders, enrols and sends the inventory: a run that waits for its plan.
pub(super) fn checking(ours: &Provisioner) -> (NodeId, RunId) {
    ours.order(&node(), None, false, Default::default())
        .unwrap();
    (node(), checking_once_ordered(ours))
}

fn checking_once_ordered(ours: &Provisioner) -> RunId {
    let request = serde_json::json!({
        "schema": 1, "macs": ["02:00:00:00:00:01"], "boot_mac": "02:00:00:00:00:01", "uuid": UUID, "serial": "GS1",
        "boot_id": BOOT, "uefi": true, "csr_pem": "",
    });
    let input = Input::EnrolAsked {
        request: Box::new(serde_json::from_value(request).unwrap()),
        key: "k".into(),
    };
    ours.submit(&node(), input).unwrap();
    let run = ours.view(&node()).unwrap().run.unwrap();
    let inventory = serde_json::json!({
        "schema": 1, "boot_id": BOOT, "first_line_after": 1, "complete_after": 2, "disks": [], "nics": [],
        "could_not_look": [],
        "system": {"manufacturer": "m", "product": "p", "serial": "GS1", "uuid": UUID, "firmware_version": "1",
            "firmware": null, "uefi": true, "cpus": 1, "cpu_model": "c"},
        "memory": {"available": 1_073_741_824, "configured": 1_073_741_824, "dimms": []},
    });
    let inventory = Box::new(serde_json::from_value(inventory).unwrap());
    let speaker = Speaker {
        node: node(),
        run: run.clone(),
        key: "k".into(),
    };
    ours.inventory(&speaker, inventory).unwrap();
    assert_eq!(phase(ours), Phase::Checking);
    run
}

fn held_once_ordered(ours: &Provisioner) -> Reason {
    checking_once_ordered(ours);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let work = ours.inner.work.lock().unwrap().take().unwrap();
        let planner = tokio::spawn(ours.clone().make_plans(work.plans));
        let mut news = ours.follow();
        while phase(ours) != Phase::Held {
            news.changed().await.unwrap();
        }
        planner.abort();
    });
    ours.view(&node()).unwrap().reason.unwrap()
}

#[test]
fn a_planner_that_panics_holds_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let images = Arc::new(BrokenImages);
    let ours = open(dir.path(), Clock::new(), images, |j| Box::new(j));
    let reason = held_by_the_planner(&ours);
    assert_eq!(reason.code, ReasonCode::Internal);
    assert!(reason.evidence[0].contains("panicked"), "{reason}");
}

#[test]
fn a_plan_that_cannot_be_kept_holds_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let images = Arc::new(NoImages);
    let ours = open(dir.path(), Clock::new(), images, picky);
    let reason = held_by_the_planner(&ours);
    assert_eq!(reason.code, ReasonCode::Internal);
    assert!(reason.evidence[0].contains("of this test"), "{reason}");
}

static LATER: AtomicU64 = AtomicU64::new(1_800_000_000_000);

#[test]
fn a_channel_that_expires_after_the_order_holds_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::reading(|| Millis(LATER.load(Ordering::SeqCst)));
    let ours = open_for(dir.path(), clock, "debian-host@stable");
    let reply = ours.order(&node(), None, false, Default::default());
    assert!(!matches!(reply.unwrap(), Some(Reply::Conflict(_))));
    LATER.store(EXPIRES.0, Ordering::SeqCst);
    let reason = held_once_ordered(&ours);
    assert_eq!(reason.code, ReasonCode::ImageUntrusted);
    assert_eq!(phase(&ours), Phase::Held);
}

#[test]
fn an_order_from_a_channel_that_is_not_believed_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let ours = open_for(dir.path(), Clock::reading(|| EXPIRES), "debian-host@stable");
    let reply = ours.order(&node(), None, false, Default::default());
    let Some(Reply::Conflict(reason)) = reply.unwrap() else {
        panic!("the order was taken");
    };
    assert_eq!(reason.code, ReasonCode::ImageUntrusted);
    assert_eq!(phase(&ours), Phase::Enrolled, "no run was ordered");
}

#[test]
fn a_repository_without_channels_refuses_every_channel() {
    let choice = "debian-host@stable".parse().unwrap();
    let refused = NoImages.of_channel(&choice, Millis(0)).unwrap_err();
    assert_eq!(refused.code, ReasonCode::ImageUntrusted);
}
