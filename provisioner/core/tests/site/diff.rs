// SPDX-License-Identifier: Apache-2.0
//! What another site would change, in words; and that taking it in keeps what is known of nodes that stay.

use super::{TWO_RACKS, site, with};
use groundstate_api::event::{Event, Happened};
use groundstate_api::plan::HandOver;
use groundstate_api::site::Site;
use groundstate_api::site_plan::{ChangeKind, SitePlan};
use groundstate_api::view::Phase;
use groundstate_api::{Millis, NodeId};
use prov_core::{Fleet, site_diff};

fn plan(after: &Site, fleet: &Fleet) -> SitePlan {
    site_diff::plan(Some((7, &site())), after, Some(fleet)).unwrap()
}

fn lines(plan: &SitePlan) -> Vec<String> {
    plan.lines().collect()
}

fn fleet() -> Fleet {
    Fleet::new(&site(), Millis(0))
}

/// A node with an open run.
fn under_way(fleet: &mut Fleet, node: &str) {
    let node: NodeId = node.parse().unwrap();
    let event = |number, what| Event {
        number,
        at: Millis(number),
        node: Some(node.clone()),
        what,
    };
    fleet.apply(&event(1, Happened::NodeAdded));
    fleet.apply(&event(
        2,
        Happened::RunOrdered {
            run: "run-1".parse().unwrap(),
            hand_over: HandOver::Kexec,
            window_closes: Millis(900_000),
            terms: groundstate_api::plan::OrderTerms::default(),
        },
    ));
    moved(fleet, 3, node.as_str(), Phase::Ordered);
}

fn moved(fleet: &mut Fleet, number: u64, node: &str, to: Phase) {
    fleet.apply(&Event {
        number,
        at: Millis(number),
        node: Some(node.parse().unwrap()),
        what: Happened::PhaseChanged {
            from: Phase::Enrolled,
            to,
            reason: None,
        },
    });
}

#[test]
fn the_same_site_changes_nothing_in_whatever_order_it_is_written() {
    let mut other = site();
    assert!(plan(&other, &fleet()).is_empty());
    other.nodes.reverse();
    other.racks.reverse();
    assert!(plan(&other, &fleet()).is_empty());
}

/// What is replaced, by what; the line of the change, what follows, and whether only at the next start.
const ROWS: &[(&str, &str, &str, &str, bool)] = &[
    (
        "debian-host@stable",
        "debian-host@next",
        "~ policy.image: debian-host@stable -> debian-host@next",
        "from the next run of each node on",
        false,
    ),
    (
        "10.20.0.1\"",
        "10.20.0.2\"",
        "~ network.address: 10.20.0.1 -> 10.20.0.2",
        "when groundstate is started again",
        true,
    ),
    (
        "10.20.120.254",
        "10.20.121.254",
        "~ network.pool_last: 10.20.120.254 -> 10.20.121.254",
        "at once for leases",
        false,
    ),
    (
        "hall 2\"",
        "hall 3\"",
        "~ name: hall 2 -> hall 3",
        "when groundstate is started again",
        true,
    ),
    (
        "unit = 3\nheight = 2\nbay = 1",
        "unit = 5\nheight = 2\nbay = 1",
        "~ node r1-02: slot.unit 3 -> 5",
        "at once",
        false,
    ),
    (
        "52:54:00:00:01:01",
        "52:54:00:00:01:0f",
        "~ node r1-01: mac 52:54:00:00:01:01 -> 52:54:00:00:01:0f",
        "its machine is known by this",
        false,
    ),
    (
        "10.21.1.2",
        "10.21.1.9",
        "~ node r1-02: bmc.address 10.21.1.2 -> 10.21.1.9",
        "at the next call to its BMC",
        false,
    ),
    (
        "count = 4",
        "count = 5",
        "~ policy.vhd: policy.vhd[vm].count 4 -> 5",
        "from the next run",
        false,
    ),
    (
        "units = 48",
        "units = 52",
        "~ rack r2: units 48 -> 52",
        "at once",
        false,
    ),
    (
        "slot = \"A2\"\nsize = \"32GiB\"",
        "slot = \"A2\"\nsize = \"64GiB\"",
        "~ profile r640: hardware.dimm[A2].size 32GiB -> 64GiB",
        "at the next checks of its nodes",
        false,
    ),
];

#[test]
fn each_change_says_its_keys_and_what_follows() {
    for (from, to, line, effect, restart) in ROWS {
        let plan = plan(&with(from, to), &fleet());
        assert_eq!(lines(&plan), [*line]);
        let change = &plan.changes[0];
        assert!(change.effect.contains(effect), "{}", change.effect);
        assert_eq!(
            (change.restart, change.refused.as_ref()),
            (*restart, None),
            "{line}"
        );
        assert_eq!(plan.from, 7);
    }
}

#[test]
fn what_comes_and_goes_is_told_by_name() {
    let renamed = with("name = \"r2-01\"", "name = \"r2-09\"");
    let plan = plan(&renamed, &fleet());
    assert_eq!(lines(&plan), ["- node r2-01", "+ node r2-09"]);
    assert_eq!(plan.changes[0].kind, ChangeKind::Removed);
    assert!(
        plan.changes[1]
            .effect
            .contains("its machine was r2-01 until now"),
        "{}",
        plan.changes[1].effect
    );
    assert!(!plan.is_refused(), "nothing was ever ordered for it");
    let first = site_diff::plan(None, &site(), None).unwrap();
    assert_eq!(first.from, 0);
    assert!(
        first
            .changes
            .iter()
            .all(|change| change.kind == ChangeKind::Added)
    );
    for wants in [
        "+ rack r1",
        "+ node r2-01",
        "+ network.address",
        "+ access ana",
        "+ webhook pager",
    ] {
        assert!(lines(&first).iter().any(|line| line == wants), "{wants}");
    }
}

#[test]
fn a_node_that_is_under_way_neither_leaves_nor_becomes_another_machine() {
    let mut fleet = fleet();
    under_way(&mut fleet, "r2-01");
    let gone = with("name = \"r2-01\"", "name = \"r2-09\"");
    let said = plan(&gone, &fleet);
    assert!(said.is_refused());
    assert!(
        said.changes[0]
            .refused
            .as_ref()
            .unwrap()
            .contains("r2-01 is ordered"),
        "{said:?}"
    );
    let reason = prov_core::reasons_site::refused(&said).unwrap();
    assert!(reason.to_string().contains("node r2-01"), "{reason}");
    let other = with("52:54:00:00:02:01", "52:54:00:00:02:0f");
    let said = plan(&other, &fleet);
    assert!(
        said.changes[0]
            .refused
            .as_ref()
            .unwrap()
            .contains("mac of r2-01 cannot change while it is ordered"),
        "{said:?}"
    );
    // Where it stands may change at any time.
    let moved_up = with("rack = \"r2\"\nunit = 3\n", "rack = \"r2\"\nunit = 4\n");
    assert!(!plan(&moved_up, &fleet).is_refused());
}

#[test]
fn a_host_that_may_call_must_be_retired_first() {
    for (phase, refused) in [
        (Phase::Enrolled, false),
        (Phase::Ready, true),
        (Phase::Suspect, true),
        (Phase::Draining, true),
        (Phase::HandedOver, true),
        (Phase::Quarantined, true),
        (Phase::InRepair, true),
        (Phase::Rescue, true),
        (Phase::Held, false),
        (Phase::Retired, false),
    ] {
        let mut fleet = fleet();
        moved(&mut fleet, 1, "r2-01", phase);
        let gone = with("name = \"r2-01\"", "name = \"r2-09\"");
        assert_eq!(plan(&gone, &fleet).is_refused(), refused, "{phase:?}");
    }
}

#[test]
fn a_fleet_takes_another_site_in_and_keeps_what_it_knows() {
    let mut fleet = fleet();
    under_way(&mut fleet, "r1-01");
    let mut other = with("unit = 1\nheight = 2\npower", "unit = 7\nheight = 2\npower");
    other.nodes.retain(|node| node.name.as_str() != "r2-01");
    let mut new = other.nodes[1].clone();
    new.name = "r1-03".parse().unwrap();
    new.mac = "52:54:00:00:02:01".parse().unwrap();
    other.nodes.push(new);
    other.policy.closed = false;
    let done = fleet.reconcile(&other, Millis(50));
    let id = |text: &str| -> NodeId { text.parse().unwrap() };
    assert_eq!(done.added, [id("r1-03")]);
    assert_eq!(done.removed, [id("r2-01")]);
    assert_eq!(done.changed, [id("r1-01")]);
    let node = fleet.node(&id("r1-01")).unwrap();
    assert_eq!(
        (node.phase, node.runs),
        (Phase::Ordered, 1),
        "its run goes on"
    );
    assert_eq!(node.site.slot.as_ref().unwrap().unit, 7);
    assert!(node.site.hardware.is_some(), "its profile's");
    assert!(fleet.node(&id("r2-01")).is_none());
    let owner = fleet.by_mac("52:54:00:00:02:01".parse().unwrap()).unwrap();
    assert_eq!(owner.id().as_str(), "r1-03");
    assert!(!fleet.closed());
    assert_eq!(
        fleet.reconcile(&other, Millis(60)),
        prov_core::Reconciled::default()
    );
}

#[test]
fn a_plan_of_ten_thousand_nodes_is_made_from_what_differs() {
    let mut before = site();
    let node = before.nodes[2].clone();
    before.nodes = (0..10_000u32)
        .map(|number| {
            let mut node = node.clone();
            let [_, _, b, c] = number.to_be_bytes();
            node.name = format!("n{number:05}").parse().unwrap();
            node.mac.0 = [0x52, 0x54, 1, 1, b, c];
            node
        })
        .collect();
    let mut after = before.clone();
    after.nodes[4_711].serial = "OTHER".to_owned();
    let plan = site_diff::plan(Some((1, &before)), &after, None).unwrap();
    assert_eq!(lines(&plan), ["~ node n04711: serial S201 -> OTHER"]);
    assert!(TWO_RACKS.len() < 4_096);
}
