// SPDX-License-Identifier: Apache-2.0
//! What a boot service on another machine asks and tells.

use crate::world::{MAC_1, MAC_2, World};
use groundstate_api::boot::{BootAnswer, BootSighting};
use groundstate_api::boot_answers::BootAnswers;
use groundstate_api::boot_session::{
    BootReport, BootSession, BootSessions, ForeignServer, SessionState, SightingOf,
};
use groundstate_api::event::Happened;
use groundstate_api::view::EventPage;
use groundstate_api::{MacAddr, Millis, SCHEMA};
use provisioner::BootSource;
use serde_json::json;
use std::process::Command;
use std::sync::Arc;

fn session(mac: MacAddr, began: u64, state: SessionState) -> BootSession {
    serde_json::from_value(json!({
        "mac": mac, "uuid": null, "firmware": "uefi-pxe", "address": "10.0.0.5", "relay": null, "began": began,
        "last": began + 5, "state": state, "left_out": 0,
        "steps": [{"at": began, "again": 2, "step": "asked", "via": "dhcp", "client": "UEFI PXE\u{1b}[2J", "firmware": null}],
    }))
    .unwrap()
}

fn report(sessions: Vec<BootSession>) -> BootReport {
    BootReport {
        schema: SCHEMA,
        service: "east".into(),
        sightings: Vec::new(),
        sessions,
        foreign: Vec::new(),
    }
}

struct Here;

impl BootSource for Here {
    fn boots(&self, mac: Option<MacAddr>) -> BootSessions {
        let own = session(MAC_1, 2_000, SessionState::Running);
        BootSessions {
            sessions: if mac.is_none_or(|mac| mac == MAC_1) {
                vec![own]
            } else {
                vec![]
            },
            ..BootSessions::default()
        }
    }
}

#[test]
fn sessions_of_every_boot_service_are_listed_newest_first() {
    let world = World::new();
    let operator = world.operator();
    world.ours.read_boots_from(Arc::new(Here));
    let told = report(vec![
        session(MAC_2, 1_000, SessionState::Running),
        session(MAC_2, 3_000, SessionState::Running),
    ]);
    assert_eq!(operator.post("/v1/boot-reports", &told).status, 204);
    let told = report(vec![session(MAC_2, 3_000, SessionState::Fetched)]);
    assert_eq!(operator.post("/v1/boot-reports", &told).status, 204);
    let all: BootSessions = operator.get("/v1/boots").read();
    let seen: Vec<_> = all
        .sessions
        .iter()
        .map(|s| (s.began.0, s.service.as_deref(), s.state.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (3_000, Some("east"), "fetched"),
            (2_000, None, "running"),
            (1_000, Some("east"), "running")
        ]
    );
    let said = all.sessions[0].steps[0].step.says();
    assert_eq!(
        said, "UEFI PXE\u{fffd}[2J asked by DHCP",
        "nothing steers a terminal"
    );
    let one: BootSessions = operator.get("/v1/boots?mac=52:54:00:00:00:01").read();
    assert_eq!(one.sessions.len(), 1);
    operator.get("/v1/boots?mac=x").problem(400);
}

#[test]
fn reports_make_events_and_are_bounded() {
    let world = World::new();
    let operator = world.operator();
    let mut told = report(vec![]);
    told.sightings = vec![SightingOf {
        mac: MAC_1,
        sighting: BootSighting::SentToLocalDisk,
    }];
    told.foreign = vec![ForeignServer {
        server: "192.0.2.9".into(),
        first: Millis(1),
        last: Millis(2),
        packets: 1,
        client: None,
    }];
    let begun: EventPage = operator.get("/v1/events").read();
    for _ in 0..2 {
        assert_eq!(operator.post("/v1/boot-reports", &told).status, 204);
    }
    let mut events = Vec::new();
    let mut after = begun.next_after;
    while events.len() < 2 {
        let page: EventPage = operator
            .get(&format!("/v1/events?after={after}&wait_ms=30000"))
            .read();
        after = page.next_after;
        events.extend(page.events);
    }
    // What machines did and what servers were heard are journalled each for itself.
    events.sort_by_key(|event| matches!(event.what, Happened::ForeignDhcp { .. }));
    let seen = matches!(
        &events[0].what,
        Happened::BootSeen {
            sighting: BootSighting::SentToLocalDisk
        }
    );
    assert!(seen, "{events:?}");
    let Happened::ForeignDhcp { server, reason } = &events[1].what else {
        panic!("{events:?}");
    };
    assert_eq!(
        (server.server.as_str(), events[1].node.as_ref()),
        ("192.0.2.9", None)
    );
    assert_eq!(reason.code.as_str(), "foreign-dhcp");
    let all: BootSessions = operator.get("/v1/boots").read();
    assert_eq!(all.foreign.len(), 1);

    let mut wrong = report(vec![]);
    wrong.schema = 2;
    operator.post("/v1/boot-reports", &wrong).problem(400);
    let mut wrong = report(vec![]);
    wrong.service = String::new();
    operator.post("/v1/boot-reports", &wrong).problem(400);
    let many = (0..65).map(|n| session(MAC_1, n, SessionState::Running));
    operator
        .post("/v1/boot-reports", &report(many.collect()))
        .problem(400);
    operator
        .post(
            "/v1/boot-reports",
            &json!({"schema": 1, "service": "x", "more": 1}),
        )
        .problem(400);
}

#[test]
fn the_table_of_answers_is_waited_for_by_its_entity_tag() {
    let world = World::new();
    let operator = world.operator();
    let table: BootAnswers = operator.get("/v1/boot-answers").read();
    assert_eq!(table.of(MAC_1).unwrap().uefi, BootAnswer::LOCAL_DISK);
    assert!(matches!(table.strangers, BootAnswer::Refuse { .. }));
    let curl = |tag: &str, path: &str| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--include", "--max-time", "40", "--cacert"])
            .arg(world.pki("operator/ca.crt"))
            .arg("--cert")
            .arg(world.pki("operator/operator.crt"))
            .arg("--key")
            .arg(world.pki("operator/operator.key"))
            .args(["--header", &format!("If-None-Match: {tag}")])
            .arg(format!("https://localhost:{}{path}", world.port));
        let out = curl.output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    let first = curl("\"none\"", "/v1/boot-answers");
    let tag = first
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap()
        .to_owned();
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    let same = curl(&tag, "/v1/boot-answers?wait_ms=1");
    assert!(same.starts_with("HTTP/1.1 304"), "{same}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| curl(&tag, "/v1/boot-answers?wait_ms=30000"));
        operator.post("/v1/nodes/node-1/provision", &json!({})).ok();
        let changed = waiting.join().unwrap();
        assert!(changed.starts_with("HTTP/1.1 200"), "{changed}");
        assert!(
            changed.contains(r#"{"boot":"maintenance-os"}"#),
            "{changed}"
        );
    });
    operator.get("/v1/boot-answers?wait_ms=x").problem(400);
}
