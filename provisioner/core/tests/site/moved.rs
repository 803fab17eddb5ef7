// SPDX-License-Identifier: Apache-2.0
//! Machines that get another name or another rack, and nodes that are taken out of the site in every phase.

use super::{site, with};
use groundstate_api::event::{Event, Happened};
use groundstate_api::plan::HandOver;
use groundstate_api::site::Site;
use groundstate_api::site_plan::{ChangeKind, SitePlan};
use groundstate_api::view::Phase;
use groundstate_api::{Millis, NodeId};
use prov_core::{Fleet, site_check, site_diff};

fn id(text: &str) -> NodeId {
    text.parse().unwrap()
}

fn plan(before: &Site, after: &Site, fleet: &Fleet) -> SitePlan {
    assert_eq!(site_check::check(after), [], "the site itself is in order");
    site_diff::plan(Some((1, before)), after, Some(fleet)).unwrap()
}

/// A fleet in which a node has come to this phase by events.
fn with_phase(node: &str, phase: Phase) -> Fleet {
    let mut fleet = Fleet::new(&site(), Millis(0));
    let mut number = 0;
    let mut event = |what| {
        number += 1;
        fleet.apply(&Event {
            number,
            at: Millis(number),
            node: Some(id(node)),
            what,
        });
    };
    event(Happened::NodeAdded);
    event(Happened::RunOrdered {
        run: "run-1".parse().unwrap(),
        hand_over: HandOver::Kexec,
        window_closes: Millis(900_000),
        terms: groundstate_api::plan::OrderTerms::default(),
    });
    event(Happened::PhaseChanged {
        from: Phase::Enrolled,
        to: phase,
        reason: None,
    });
    fleet
}

/// Every phase of a node with an order, and whether it may leave the site in it.
const LEAVES: &[(Phase, bool)] = &[
    (Phase::Ordered, false),
    (Phase::Booting, false),
    (Phase::Checking, false),
    (Phase::Planned, false),
    (Phase::Provisioning, false),
    (Phase::Erasing, false),
    (Phase::HandedOver, false),
    (Phase::Ready, false),
    (Phase::Suspect, false),
    (Phase::Draining, false),
    (Phase::Quarantined, false),
    (Phase::InRepair, false),
    (Phase::Rescue, false),
    (Phase::Retired, true),
];

#[test]
fn a_node_leaves_the_site_only_where_nothing_of_it_goes_on() {
    for (phase, leaves) in LEAVES {
        let fleet = with_phase("r2-01", *phase);
        let mut after = site();
        after.nodes.retain(|node| node.name.as_str() != "r2-01");
        let plan = plan(&site(), &after, &fleet);
        let change = &plan.changes[0];
        assert_eq!(change.line(), "- node r2-01");
        assert_eq!(change.refused.is_none(), *leaves, "{phase:?}: {change:?}");
        let Some(why) = &change.refused else { continue };
        // It says the node, and what to do first.
        assert!(why.contains("r2-01"), "{why}");
        assert!(
            why.contains("retire") || why.contains("run end"),
            "{phase:?}: {why}"
        );
        let reason = prov_core::reasons_site::refused(&plan).unwrap();
        assert!(reason.to_string().contains(why), "{reason}");
        assert!(!reason.next_step.is_empty());
    }
}

#[test]
fn one_node_in_the_way_keeps_the_whole_site_as_it_is() {
    let fleet = with_phase("r2-01", Phase::Provisioning);
    let mut after = with("debian-host@stable", "debian-host@next");
    after.nodes.retain(|node| node.name.as_str() != "r2-01");
    after.racks[0].place = "elsewhere".into();
    let plan = plan(&site(), &after, &fleet);
    assert_eq!(plan.changes.len(), 3);
    let refused: Vec<&str> = plan
        .changes
        .iter()
        .filter(|change| change.refused.is_some())
        .map(|change| change.resource.as_str())
        .collect();
    assert_eq!(refused, ["node r2-01"]);
    assert!(plan.is_refused());
}

#[test]
fn a_machine_that_moves_to_another_rack_stays_the_same_node_in_every_phase() {
    let mut after = site();
    let slot = after.nodes[0].slot.as_mut().unwrap();
    slot.rack = "r2".into();
    slot.unit = 10;
    slot.power = vec!["pdu-b/7".into()];
    slot.port = Some("sw-2/Ethernet1".into());
    for (phase, _) in LEAVES {
        let mut fleet = with_phase("r1-01", *phase);
        let plan = plan(&site(), &after, &fleet);
        let [change] = &plan.changes[..] else {
            panic!("{:?}", plan.changes);
        };
        assert_eq!(change.kind, ChangeKind::Changed);
        assert_eq!(change.refused, None, "{phase:?}");
        let line = change.line();
        for wants in ["slot.rack r1 -> r2", "slot.unit 1 -> 10"] {
            assert!(line.contains(wants), "{line}");
        }
        let done = fleet.reconcile(&after, Millis(10));
        assert_eq!(done.changed, [id("r1-01")]);
        assert_eq!((done.added, done.removed), (vec![], vec![]));
        let node = fleet.node(&id("r1-01")).unwrap();
        assert_eq!((node.phase, node.runs), (*phase, 1), "its life goes on");
        assert_eq!(node.site.slot.as_ref().unwrap().rack, "r2");
    }
}

#[test]
fn two_machines_that_change_places_and_names_are_what_the_file_says_they_are() {
    // Places: nothing but slots, and nobody is in the other's way on the way there.
    let mut after = site();
    let (first, second) = (after.nodes[0].slot.take(), after.nodes[1].slot.take());
    (after.nodes[0].slot, after.nodes[1].slot) = (second, first);
    let mut fleet = with_phase("r1-01", Phase::Ready);
    let said = plan(&site(), &after, &fleet);
    assert!(!said.is_refused());
    assert_eq!(said.changes.len(), 2);
    assert_eq!(fleet.reconcile(&after, Millis(9)).changed.len(), 2);
    // Names: each name is another machine from then on; a run that is open forbids it.
    let mut after = site();
    let names = [after.nodes[0].name.clone(), after.nodes[1].name.clone()];
    [after.nodes[1].name, after.nodes[0].name] = names;
    let said = plan(&site(), &after, &with_phase("r1-01", Phase::Provisioning));
    assert!(said.is_refused(), "{said:?}");
    let why = said
        .changes
        .iter()
        .find_map(|change| change.refused.clone());
    assert!(why.unwrap().contains("mac, uuid, serial of r1-01"));
    let mut fleet = Fleet::new(&site(), Millis(0));
    fleet.reconcile(&after, Millis(5));
    let owner = |fleet: &Fleet, mac: &str| {
        let found = fleet.by_mac(mac.parse().unwrap()).unwrap();
        found.id().to_string()
    };
    assert_eq!(owner(&fleet, "52:54:00:00:01:01"), "r1-02");
    assert_eq!(owner(&fleet, "52:54:00:00:01:02"), "r1-01");
}

#[test]
fn a_new_name_is_a_node_that_comes_and_one_that_goes_and_says_whose_machine_it_was() {
    let after = with("name = \"r2-01\"", "name = \"r2-77\"");
    for (phase, leaves) in LEAVES {
        let fleet = with_phase("r2-01", *phase);
        let plan = plan(&site(), &after, &fleet);
        assert_eq!(plan.is_refused(), !leaves, "{phase:?}");
        let added = plan.changes.iter().find(|c| c.kind == ChangeKind::Added);
        let effect = &added.unwrap().effect;
        assert!(
            effect.contains("its machine was r2-01 until now"),
            "{effect}"
        );
    }
    // The new node begins with nothing of the old one's.
    let mut fleet = with_phase("r2-01", Phase::Retired);
    let done = fleet.reconcile(&after, Millis(10));
    assert_eq!(
        (done.added, done.removed),
        (vec![id("r2-77")], vec![id("r2-01")])
    );
    let node = fleet.node(&id("r2-77")).unwrap();
    assert_eq!((node.phase, node.runs), (Phase::Enrolled, 0));
    let owner = fleet.by_mac("52:54:00:00:02:01".parse().unwrap()).unwrap();
    assert_eq!(owner.id(), node.id());
}

#[test]
fn a_rack_that_goes_takes_nobody_with_it() {
    let mut after = site();
    after.racks.remove(1);
    let said: Vec<String> = site_check::check(&after)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        said.iter()
            .any(|fault| fault.starts_with("node[2].slot.rack: there is no rack \"r2\"")),
        "{said:#?}"
    );
    assert!(
        said.iter()
            .any(|fault| fault.starts_with("access[1].racks[0]"))
    );
}
