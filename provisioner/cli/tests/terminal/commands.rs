// SPDX-License-Identifier: Apache-2.0
//! Each command once.

use crate::world::{World, check};

#[test]
fn lists_are_tables_that_filter_and_sort() {
    let world = World::new();
    let all = world.check(
        &["node", "list"],
        0,
        &[
            "NODE",
            "RACK",
            "UNIT",
            "WHY",
            "r1-01",
            "[dimm-missing]",
            "25 %",
        ],
    );
    assert_eq!(all.lines().count(), 17, "{all}");
    let held = world.check(
        &["node", "list", "--phase", "held", "--rack", "r2"],
        0,
        &["r2-07"],
    );
    assert_eq!(held.lines().count(), 2, "{held}");
    let racks = world.check(&["node", "list", "--sort", "rack"], 0, &[]);
    let first = racks.lines().nth(1).unwrap();
    assert!(first.starts_with("r1-08  r1    16"), "{first}");
    world.check(
        &["node", "list", "--rack", "r1", "--phase", "draining"],
        0,
        &["none of the 16 nodes is so"],
    );
    world.check(
        &["node", "list", "--phase", "hold"],
        2,
        &["phases are enrolled, ordered"],
    );
    let narrow = world
        .command(&["node", "list"])
        .env("COLUMNS", "60")
        .output()
        .unwrap();
    let narrow = check(&narrow, 0, &["…"]);
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 76),
        "{narrow}"
    );
    let json = world.check(&["node", "list", "--json", "--phase", "held"], 0, &[]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["nodes"].as_array().unwrap().len(), 2);
}

#[test]
fn every_phase_is_explained() {
    let world = World::new();
    for number in 1..=8 {
        let name = format!("r1-{number:02}");
        let output = world.run(&["node", "explain", &name]);
        let status = output.status.code().unwrap();
        let parts = ["since:", "deadline:", "by itself:", "do now:", "5 min ago"];
        let text = check(&output, status, &parts);
        assert!(text.starts_with(&format!("{name} is ")), "{text}");
        assert_eq!(
            status,
            if text.contains("is held") { 3 } else { 0 },
            "{text}"
        );
    }
    world.check(
        &["node", "explain", "r1-08"],
        3,
        &[
            "the DIMM in slot DIMM_B1 is missing [dimm-missing]",
            "part:      DIMM DIMM_B1",
            "seen:      SMBIOS says",
        ],
    );
    world.check(
        &["node", "explain", "r1-08", "--json"],
        3,
        &["\"code\": \"dimm-missing\""],
    );
    world.check(&["why", "r1-08"], 3, &["[dimm-missing]", "do now:"]);
    // Who means a node and names it where a file belongs hears where it belongs.
    world.check(
        &["plan", "r1-08"],
        1,
        &[
            "groundstate node plan r1-08",
            "groundstate plan preview r1-08",
        ],
    );
}

#[test]
fn what_happened_is_told_and_replayed() {
    let world = World::new();
    world.check(
        &["node", "history", "r1-08"],
        0,
        &[
            "WHEN (UTC)",
            "run r1-08-001-1 ordered",
            "checking -> held",
            "since then",
        ],
    );
    world.check(
        &["node", "history", "r1-08", "--since", "10s"],
        0,
        &["nothing happened"],
    );
    world.check(
        &["node", "history", "r1-08", "--since", "soon"],
        2,
        &["is no moment"],
    );
    let lines = world.check(
        &["node", "history", "r1-08", "--json"],
        0,
        &["phase-changed"],
    );
    let numbers = lines.lines().map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["number"].as_u64().unwrap()
    });
    let numbers: Vec<u64> = numbers.collect();
    assert!(numbers.is_sorted() && numbers.len() >= 5);
    // As it was after each event: the phase that the event brought.
    let third = numbers[2].to_string();
    world.check(
        &["replay", "r1-08", "--event", &third],
        0,
        &["r1-08 is ordered"],
    );
    world.check(
        &[
            "replay",
            "r1-08",
            "--event",
            &numbers[0].to_string(),
            "--json",
        ],
        0,
        &["\"phase\": \"enrolled\""],
    );
    world.check(&["replay", "r1-08", "--at", "1s"], 0, &["r1-08 is held"]);
    // Of a number that is not the node's, the node's own is told.
    let last = numbers[numbers.len() - 1];
    let words = format!("After event {last}, the node's last one up to 9999:");
    world.check(&["replay", "r1-08", "--event", "9999"], 0, &[&words]);
    world.check(
        &["replay", "r1-08", "--event", "0"],
        1,
        &["r1-08 has no event up to number 0"],
    );
    world.check(
        &["replay", "r1-08", "--at", "3d"],
        1,
        &["has no event before"],
    );
    let steps = world.check(
        &["node", "replay", "r1-08"],
        0,
        &["-- 1 of 4", "-- 4 of 4", "is checking"],
    );
    assert!(steps.find("is ordered").unwrap() < steps.find("is held").unwrap());
    world.check(&["node", "explain", "r1-08"], 3, &["is held"]);
}

#[test]
fn a_run_that_is_not_there_is_refused_and_those_there_are_named() {
    let world = World::new();
    world.check(
        &["node", "log", "r1-08", "--run", "nope"],
        3,
        &[
            "r1-08 has no such log",
            "the newest runs of r1-08: r1-08-001-1",
        ],
    );
    world.check(
        &["node", "log", "r1-03", "--run", "nope"],
        3,
        &["r1-03 has had no run"],
    );
    let mut command = world.command(&["boot", "show", "52:54:00:00:00:99"]);
    let said = command.output().unwrap();
    check(&said, 3, &["no boots of 52:54:00:00:00:99", "do now:"]);
}

#[test]
fn orders_show_first_and_are_made_once() {
    let world = World::new();
    let why = ["--why", "the fan is loud"];
    let dry = world.check(
        &[
            &["node", "quarantine", "r1-03", "--dry-run"],
            why.as_slice(),
        ]
        .concat(),
        0,
        &[
            "WOULD BE SENT",
            "POST /v1/nodes/r1-03/quarantine",
            "the fan is loud",
            "until it is released",
        ],
    );
    assert_eq!(dry.lines().count(), 2);
    world.check(
        &[&["node", "quarantine", "r1-03"], why.as_slice()].concat(),
        1,
        &[
            "--yes orders without asking",
            "quarantined, until it is released",
        ],
    );
    world.check(
        &["node", "quarantine", "r1-03", "--why", " "],
        2,
        &["say something"],
    );
    world.check(
        &["node", "quarantine", "r1-03", "--why", "a\u{1b}b"],
        2,
        &["write one line of text"],
    );
    world.check(&["node", "quarantine", "--why", "x"], 2, &["<NODE"]);
    world.check(
        &["node", "drain", "r9-99", "--why", "x", "--yes"],
        3,
        &["the site has no node \"r9-99\""],
    );
    world.check(
        &[
            "node",
            "release",
            "--rack",
            "r1",
            "--phase",
            "quarantined",
            "--why",
            "x",
            "--idempotency-key",
            "k",
            "--dry-run",
        ],
        0,
        &["r1-04"],
    );
}

#[test]
fn orders_are_taken_and_stand_in_the_history() {
    let world = World::new();
    let why = ["--why", "the fan is loud"];
    let taken = world.check(
        &[
            &["node", "quarantine", "r1-03", "--yes", "--verbose"],
            why.as_slice(),
        ]
        .concat(),
        0,
        &["Idempotency-Key: ", "quarantined"],
    );
    assert!(
        !taken.contains("If-Match"),
        "nobody was asked on what was shown"
    );
    world.check(
        &["node", "explain", "r1-03"],
        0,
        &["is quarantined", "the fan is loud"],
    );
    world.check(
        &["node", "remark", "r1-03", "looked at it", "--yes"],
        0,
        &["r1-03"],
    );
    world.check(&["node", "history", "r1-03"], 0, &["looked at it"]);
    // One that is refused keeps no other back.
    world.check(
        &["node", "repair", "r1-03", "r1-04", "--why", "x", "--yes"],
        0,
        &["r1-03  in-repair", "r1-04  in-repair"],
    );
    // As the next step prints it, without a word why.
    world.check(&["node", "release", "r1-03", "--yes"], 0, &["r1-03"]);
    world.check(&["node", "history", "r1-03"], 0, &["in-repair -> enrolled"]);
    world.check(
        &["node", "quarantine", "r1-03", "--yes"],
        0,
        &["quarantined"],
    );
    world.check(
        &["node", "explain", "r1-03"],
        0,
        &["is quarantined", "no reason given"],
    );
    world.check(
        &[
            "node",
            "provision",
            "--rack",
            "r2",
            "--phase",
            "enrolled",
            "--yes",
        ],
        0,
        &["ordered"],
    );
}

#[test]
fn waiting_says_for_what_and_how_it_ended() {
    let world = World::new();
    let text = world.check(
        &["node", "wait", "r1-08", "--for", "ready"],
        3,
        &["needs a person", "dimm-missing", "do now:"],
    );
    assert!(text.contains("r1-08 is held"), "{text}");
    world.check(&["node", "wait", "r1-08", "--for", "held"], 0, &["held"]);
    world.check(
        &[
            "node",
            "wait",
            "r1-01",
            "r1-08",
            "--for",
            "ready",
            "--timeout",
            "0",
        ],
        3,
        &[
            "r1-08 is held and needs a person",
            "r1-01 is still provisioning after 0 s",
        ],
    );
    world.check(
        &["node", "wait", "r1-01", "--timeout", "0s"],
        4,
        &["r1-01 is provisioning, image 25 %"],
    );
    world.check(
        &["node", "wait", "r1-01", "--for", "reddy"],
        2,
        &["or settled"],
    );
}

#[test]
fn the_site_at_a_glance_the_brake_and_what_is_done() {
    let world = World::new();
    world.check(
        &["fleet"],
        0,
        &[
            "site lab",
            "16 nodes",
            "held",
            "NEED A PERSON",
            "hall 1",
            "brake off",
        ],
    );
    world.check(&["fleet", "--json"], 0, &["\"phases\": {"]);
    world.check(
        &["brake", "on", "--why", "switch work", "--dry-run"],
        0,
        &["POST /v1/brake", "until the brake is let go"],
    );
    world.check(
        &["brake", "on", "--why", "switch work", "--yes"],
        0,
        &["brake ON", "switch work"],
    );
    world.check(&["brake", "show"], 0, &["brake ON", "by admin:local"]);
    world.check(&["brake", "release", "--yes"], 0, &["brake off"]);
    world.check(&["action", "ls"], 0, &[]);
    world.check(
        &["action", "show", "999999"],
        3,
        &["there is no action 999999"],
    );
    world.check(
        &["action", "veto", "999999", "--why", "x", "--yes"],
        3,
        &["do now:"],
    );
}

#[test]
fn a_server_that_comes_back_gets_the_same_order_again() {
    let mut world = World::new();
    world.stop();
    let order = world
        .command(&["brake", "on", "--why", "x", "--yes", "--verbose"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(800));
    world.start();
    let text = check(
        &order.wait_with_output().unwrap(),
        0,
        &[
            "does not answer",
            "the same order is sent again",
            "brake ON",
        ],
    );
    assert_eq!(text.matches("Idempotency-Key").count(), 1, "{text}");
}

#[test]
fn who_ordered_what_is_kept_and_a_ticket_says_what_to_do() {
    let world = World::new();
    world.check(&["audit"], 0, &["nobody ordered anything"]);
    world.check(&["node", "remark", "r1-08", "looked at it"], 0, &[]);
    world.check(
        &["audit"],
        0,
        &["admin:local", "POST /v1/nodes/r1-08/remarks", "200"],
    );
    world.check(
        &["audit", "--by", "operator:ana"],
        0,
        &["nobody ordered anything"],
    );
    world.check(&["audit", "--json"], 0, &["\"happened\":\"audited\""]);
    world.check(&["webhook", "ls"], 0, &["names nobody to tell"]);
    world.check(
        &["node", "ticket", "r1-08"],
        0,
        &[
            "REPAIR TICKET  r1-08",
            "DO:",
            "DIMM_B1",
            "WHERE:  rack r1, unit 16; hall 1",
            "serial GS1-8",
        ],
    );
    world.check(
        &["node", "ticket", "r1-03"],
        3,
        &["nothing is to be repaired"],
    );
}
