// SPDX-License-Identifier: Apache-2.0
//! Many who order at once, or order what makes no sense together: one is carried out, the others are told why not, and the node
//! and the site are what one order makes of them.

use crate::world::{Answer, BOOT, Key, World, site};
use groundstate_api::SCHEMA;
use groundstate_api::event::{Event, Happened};
use groundstate_api::machine::MachineList;
use groundstate_api::site::Site;
use groundstate_api::view::{EventPage, NodeList};
use serde_json::{Value, json};
use std::sync::Barrier;

const AT_ONCE: usize = 6;
const STRANGER: &str = "02:00:00:00:00:99";
const JSON: (&str, &str) = ("content-type", "application/json");

/// The same moment for all of them, as far as threads have one.
fn together<T: Send>(send: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(AT_ONCE);
    std::thread::scope(|scope| {
        let one = |number| {
            let (barrier, send) = (&barrier, &send);
            scope.spawn(move || {
                barrier.wait();
                send(number)
            })
        };
        let all: Vec<_> = (0..AT_ONCE).map(one).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

fn events(world: &World) -> Vec<Event> {
    world
        .operator()
        .get("/v1/events")
        .read::<EventPage>()
        .events
}

fn statuses(answers: &[Answer]) -> (usize, Vec<u16>) {
    let done = answers.iter().filter(|answer| answer.status == 200);
    let others = answers.iter().map(|answer| answer.status);
    (
        done.count(),
        others.filter(|status| *status != 200).collect(),
    )
}

#[test]
fn of_many_sites_that_replace_the_same_one_one_is_applied() {
    let world = World::new();
    let tag = world.operator().get("/v1/site").tag.unwrap();
    let of = |number: usize| -> Site {
        let mut site = site();
        site.policy.retries = 10 + u32::try_from(number).unwrap();
        site
    };
    let before = world.ours.site_version();
    let answers = together(|number| world.operator().put("/v1/site", Some(&tag), &of(number)));
    let (done, others) = statuses(&answers);
    assert_eq!((done, others), (1, vec![412; AT_ONCE - 1]));
    assert_eq!(world.ours.site_version(), before + 1);
    let winner = answers.iter().position(|answer| answer.status == 200);
    let now: Site = world.operator().get("/v1/site").read();
    assert_eq!(now, of(winner.unwrap()));
}

#[test]
fn a_machine_that_many_accept_is_one_node() {
    let mut open = site();
    open.policy.closed = false;
    let world = World::with_site(open);
    let request = json!({
        "schema": SCHEMA, "macs": [STRANGER], "boot_mac": STRANGER, "uuid": "564d1234-5678-9abc-def0-020000000099",
        "serial": "GS-99", "model": "M", "boot_id": BOOT, "uefi": true, "csr_pem": Key::new().csr(),
    });
    world.anyone().post("/v1/enrol", &request).ok();
    let accept = |name: String| {
        let path = format!("/v1/machines/{STRANGER}/accept");
        world.operator().post(&path, &json!({"name": name}))
    };
    let answers = together(|number| accept(format!("new-{number}")));
    let (done, others) = statuses(&answers);
    assert_eq!(done, 1, "{others:?}");
    assert!(
        others
            .iter()
            .all(|status| matches!(status, 400 | 404 | 409)),
        "{others:?}"
    );
    let nodes: NodeList = world.operator().get("/v1/nodes").read();
    assert_eq!(nodes.nodes.len(), 3);
    let waiting: MachineList = world.operator().get("/v1/machines").read();
    assert!(waiting.machines.is_empty());
    // And once more, by the same name and by another one.
    accept("new-0".into()).problem(404);
    accept("newer".into()).problem(404);
}

#[test]
fn of_many_runs_that_are_ordered_one_is_begun() {
    let world = World::new();
    let order = |_| {
        let path = "/v1/nodes/node-1/provision";
        world.operator().post(path, &json!({}))
    };
    let answers = together(order);
    assert_eq!(statuses(&answers), (1, vec![409; AT_ONCE - 1]));
    let ordered = |event: &&Event| matches!(event.what, Happened::RunOrdered { .. });
    assert_eq!(events(&world).iter().filter(ordered).count(), 1);
    // What would end the run is said by name, and a run under way is not retired under it.
    for (order, status) in [
        ("retire", 409),
        ("repair", 409),
        ("release", 409),
        ("drain", 409),
        ("rescue", 409),
        ("quarantine", 200),
        ("quarantine", 409),
        ("provision", 409),
        ("reprovision", 409),
        ("release", 200),
        ("release", 409),
        ("reprovision", 200),
    ] {
        let path = format!("/v1/nodes/node-1/{order}");
        let answer = world.operator().post(&path, &json!({}));
        assert_eq!(answer.status, status, "{order}: {}", answer.text);
        if status == 409 {
            let reason = answer.problem(409).reason;
            assert!(!reason.next_step.is_empty(), "{order}: {reason}");
        }
    }
}

#[test]
fn orders_that_exclude_each_other_leave_a_node_in_one_phase_by_one_history() {
    for _ in 0..5 {
        let world = World::new();
        let paths = [
            "provision",
            "retire",
            "quarantine",
            "repair",
            "rescue",
            "drain",
        ];
        let answers = together(|number| {
            let path = format!("/v1/nodes/node-1/{}", paths[number]);
            world.operator().post(&path, &json!({}))
        });
        for answer in &answers {
            assert!(matches!(answer.status, 200 | 409), "{}", answer.text);
        }
        // Each change of phase begins where the one before ended.
        let mut phase = "enrolled".to_owned();
        let node = "node-1".parse().unwrap();
        for event in events(&world) {
            if event.node.as_ref() != Some(&node) {
                continue;
            }
            if let Happened::PhaseChanged { from, to, .. } = event.what {
                assert_eq!(from.as_str(), phase);
                phase = to.as_str().to_owned();
            }
        }
        let shown = world.operator().get("/v1/nodes/node-1").ok();
        assert_eq!(shown["view"]["phase"], phase);
    }
}

#[test]
fn a_cursor_of_another_list_hides_nothing_that_is_asked_for_and_breaks_nothing() {
    let world = World::new();
    let operator = world.operator();
    let order = json!({"act": "identify", "on": true});
    operator.post("/v1/nodes/node-1/actions", &order);
    let cursors = [
        "node-1",
        "7",
        "-1",
        "18446744073709551616",
        "%00",
        "..%2F..%2Fetc",
        "sha256:0",
        &"9".repeat(4_000),
    ];
    for list in [
        "/v1/nodes",
        "/v1/actions",
        "/v1/boots",
        "/v1/events",
        "/v1/audit",
        "/v1/machines",
    ] {
        for cursor in cursors {
            let answer = operator.get(&format!("{list}?cursor={cursor}"));
            assert!(
                matches!(answer.status, 200 | 400),
                "{list} {cursor}: {}",
                answer.text
            );
            if answer.status == 400 {
                answer.problem(400);
            }
        }
    }
}

#[test]
fn a_key_that_was_used_is_no_other_order_whatever_differs() {
    let world = World::new();
    let headers = [JSON, ("idempotency-key", "k")];
    let send = |path: &str, body: &str| world.operator().call("POST", path, &headers, body).0;
    let remark = "/v1/nodes/node-1/remarks";
    let first = send(remark, r#"{"text": "one"}"#).ok_text();
    for (path, body) in [
        (remark, r#"{"text": "two"}"#),
        (remark, r#"{"text":"one"}"#),
        (remark, ""),
        ("/v1/nodes/node-2/remarks", r#"{"text": "one"}"#),
        ("/v1/nodes/node-1/remarks?x=1", r#"{"text": "one"}"#),
        ("/v1/nodes/node-1/provision", r#"{"text": "one"}"#),
    ] {
        send(path, body).problem(422);
    }
    // All at once with one key: one order, and the same answer for all who sent that one.
    let answers = together(|number| {
        let text = ["three", "four"][number % 2];
        let body = json!({ "text": text }).to_string();
        let headers = [JSON, ("idempotency-key", "k2")];
        world.operator().call("POST", remark, &headers, &body).0
    });
    assert_eq!(statuses(&answers), (AT_ONCE / 2, vec![422; AT_ONCE / 2]));
    assert_eq!(send(remark, r#"{"text": "one"}"#).ok_text(), first);
    let remarks = events(&world)
        .into_iter()
        .filter_map(|event| match event.what {
            Happened::Remarked { text, .. } => Some(text),
            _ => None,
        });
    assert_eq!(remarks.count(), 2);
    let _: Value = serde_json::from_str(&first).unwrap();
}
