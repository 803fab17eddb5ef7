// SPDX-License-Identifier: Apache-2.0
//! The list of actions.

use crate::world::*;
use prov_core::{ActionsWanted, Node};

const NODES: u32 = 1_200;

fn name(number: u32) -> NodeId {
    format!("n{number:04}").parse().unwrap()
}

/// A fleet in which the LED of every node is to be lit.
fn lit() -> Fleet {
    let mut site = site();
    let pattern = site.nodes.remove(0);
    site.nodes = (0..NODES)
        .map(|number| {
            let [.., a, b] = number.to_be_bytes();
            site::Node {
                name: name(number),
                mac: MacAddr([0x52, 0x54, 0, 1, a, b]),
                ..pattern.clone()
            }
        })
        .collect();
    let mut fleet = Fleet::new(&site, Millis(1_000));
    for number in 0..NODES {
        let action = Action {
            id: ActionId(0),
            node: name(number),
            act: Act::Identify { on: true },
            by: "operator:ana".into(),
            because: None,
            attempt: 1,
            began: Millis(2_000),
            deadline: Millis(9_000),
        };
        fleet.apply(&Event {
            number: u64::from(number) + 1,
            at: Millis(2_000),
            node: Some(name(number)),
            what: Happened::ActionBegun {
                action: Box::new(action),
            },
        });
    }
    fleet
}

#[test]
fn every_action_stands_on_one_page_however_many_there_are() {
    let fleet = lit();
    let (mut seen, mut below) = (Vec::new(), None);
    loop {
        let page = fleet.actions(ActionsWanted {
            below,
            most: 500,
            ..ActionsWanted::ALL
        });
        let ids = page.actions.iter().map(|view| view.action.id);
        seen.extend(ids);
        below = seen.last().copied();
        if page.actions.len() < 500 {
            break;
        }
    }
    let all: Vec<ActionId> = (1..=u64::from(NODES)).rev().map(ActionId).collect();
    assert_eq!(seen, all, "the newest first");
    assert_eq!(fleet.actions(ActionsWanted::ALL).actions.len(), all.len());
    // What is asked for is found although a thousand that are not are newer.
    let first = name(0);
    let of_first = |node: &Node| *node.id() == first;
    for wanted in [
        ActionsWanted {
            of: Some(&first),
            ..ActionsWanted::ALL
        },
        ActionsWanted {
            sees: &of_first,
            most: 1,
            ..ActionsWanted::ALL
        },
    ] {
        let found = fleet.actions(wanted).actions;
        assert_eq!((found.len(), &found[0].action.node), (1, &first));
    }
}
