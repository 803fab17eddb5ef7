// SPDX-License-Identifier: Apache-2.0
//! What is refused is told in the same way by every command, to a person and to a program.

use crate::world::{World, check, groundstate};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};

/// A name that is no node's.
const NOBODY: &str = "r9-99";

/// Every command that takes a node, as words.
const TAKE_A_NODE: [&str; 38] = [
    "why r9-99",
    "node show r9-99",
    "node explain r9-99",
    "node history r9-99",
    "node replay r9-99",
    "node replay r9-99 --event 3",
    "node replay r9-99 --at 1s",
    "replay r9-99",
    "node provision r9-99 --yes",
    "node provision r1-01 r9-99 --dry-run",
    "node reprovision r9-99 --yes",
    "node rebuild-disk r9-99 S1 --yes",
    "node erase r9-99 --yes --confirm S1",
    "node certificates r9-99",
    "node plan r9-99",
    "node log r9-99",
    "node ticket r9-99",
    "node wait r9-99",
    "node diagnostics r9-99",
    "node diagnostics r9-99 --collect",
    "node drain r9-99 --yes",
    "node quarantine r9-99 --yes",
    "node repair r9-99",
    "node release r9-99 --yes",
    "node retire r9-99 --yes",
    "node rescue r9-99 --yes",
    "node approve r9-99 --yes",
    "node remark r9-99 words",
    "node power r9-99 on",
    "node power r9-99 off",
    "node boot-next r9-99 network",
    "node identify r9-99 on",
    "node bmc r9-99",
    "node console r9-99",
    "node unadopt r9-99",
    "plan preview r9-99",
    "events --node r9-99",
    "action ls --node r9-99",
];

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// The one object that a refused command prints.
fn object(output: &Output, line: &str) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{line}: {text}");
    let told: Value = serde_json::from_str(&text).unwrap();
    let status = output.status.code().unwrap();
    assert_eq!(told["exit_status"], status, "{line}: {told}");
    for field in ["code", "what", "next_step"] {
        let said = told["error"][field].as_str().unwrap_or_default();
        assert!(!said.is_empty(), "{line}: {field}: {told}");
    }
    assert!(!output.stderr.is_empty(), "{line}: a person hears it, too");
    told
}

#[test]
fn a_node_that_is_not_there_is_refused_by_every_command_with_one_status() {
    let world = World::new();
    // First, as an order for nobody stands in the audit trail.
    let first = ["audit --node r9-99", "events --follow --node r9-99"];
    for line in first.into_iter().chain(TAKE_A_NODE) {
        let output = world.run(&words(line));
        let text = check(&output, 3, &["the site has no node", NOBODY, "do now:"]);
        assert!(output.stdout.is_empty(), "{line}: {text}");
        // They print what is no one document.
        if ["node log r9-99", "node replay r9-99", "replay r9-99"].contains(&line) {
            continue;
        }
        let told = object(&world.run(&[&words(line)[..], &["--json"]].concat()), line);
        assert_eq!(told["error"]["code"], "unknown-machine", "{line}: {told}");
    }
    // One of the site is asked about as ever, also where nothing is known of it.
    for line in [
        "action ls --node r1-03",
        "audit --node r1-03",
        "events --node r1-03",
    ] {
        world.check(&words(line), 0, &[]);
    }
}

#[test]
fn the_list_of_commands_that_take_a_node_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    check(
        &groundstate(&["man", "--output", out]).output().unwrap(),
        0,
        &[],
    );
    let mut takes = BTreeSet::new();
    for page in std::fs::read_dir(dir.path()).unwrap() {
        let path = page.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains("NODE\\fR") || text.contains("<NODE>") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            takes.insert(name);
        }
    }
    let tried: BTreeSet<String> = TAKE_A_NODE
        .into_iter()
        .chain(["audit --node r9-99"])
        .map(|line| {
            let words = words(line).into_iter();
            let command: Vec<&str> = words
                .take_while(|word| {
                    !word.contains("r9-99") && !word.contains("r1-01") && !word.starts_with("--")
                })
                .collect();
            format!("groundstate-{}", command.join("-"))
        })
        .collect();
    // A token may be for a node that is not there yet.
    let new = "groundstate-node-adopt-token".to_owned();
    assert!(takes.remove(&new), "{takes:?}");
    assert_eq!(takes, tried);
}

#[test]
fn a_rack_that_is_not_there_is_refused_and_those_there_are_named() {
    let world = World::new();
    for line in [
        "node list --rack r9",
        "node list --rack r1 --rack r9",
        "node drain --rack r9 --yes",
        "node provision --rack r9 --phase enrolled --dry-run",
    ] {
        world.check(
            &words(line),
            3,
            &["the site has no rack \"r9\"", "racks: r1, r2", "do now:"],
        );
    }
    world.check(
        &["node", "list", "--rack", "-"],
        0,
        &["none of the 16 nodes is so"],
    );
    let told = object(
        &world.run(&words("node list --rack r9 --json")),
        "node list",
    );
    assert_eq!(told["error"]["part"]["path"], "rack");
}

#[test]
fn every_refusal_and_error_is_one_object_where_json_is_asked_for() {
    let world = World::new();
    let nowhere = world.dir.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    for (line, status, code) in [
        ("node list --phase hold", 2, "usage"),
        ("node quarantine r1-03 --why x", 1, "not-agreed"),
        ("node power r1-03 off", 1, "not-agreed"),
        ("node erase r1-03 --confirm S1", 1, "not-agreed"),
        ("node ticket r1-03", 3, "nothing-ordered"),
        ("node plan r1-03", 3, "nothing-ordered"),
        ("action show 999999", 3, "bad-request"),
        ("action veto 999999 --why x --yes", 3, "bad-request"),
        ("node history r1-03 --since soon", 2, "usage"),
        ("audit --since 5x", 2, "usage"),
        ("replay r1-03 --at 5x", 2, "usage"),
        ("action veto foo --why x --yes", 2, "usage"),
        ("node approve r1-03 --yes", 3, "plan-refused"),
        ("node list --credential NOWHERE", 1, "credential-missing"),
        (
            "node list --server https://127.0.0.1:9",
            1,
            "provisioner-unreachable",
        ),
        ("plan NOWHERE", 1, "failed"),
        ("apply NOWHERE", 1, "failed"),
        ("image show x --state-dir NOWHERE", 1, "failed"),
        ("image rm x 1 --state-dir NOWHERE", 1, "failed"),
        ("vhd info NOWHERE", 1, "failed"),
        ("vhd check NOWHERE", 1, "failed"),
        ("boot ls --admin 127.0.0.1:9", 1, "failed"),
        ("pxe-server --check --config NOWHERE", 1, "failed"),
    ] {
        let line = line.replace("NOWHERE", nowhere);
        let mut command = world.command(&[&words(&line)[..], &["--json"]].concat());
        if line.starts_with("boot") {
            command.env_remove("GROUNDSTATE_SERVER");
        }
        let output = command.output().unwrap();
        let told = object(&output, &line);
        assert_eq!(told["error"]["code"], code, "{line}: {told}");
        assert_eq!(told["exit_status"], status, "{line}: {told}");
    }
}

#[test]
fn what_came_of_each_of_several_orders_is_a_line_and_a_dry_run_is_a_document() {
    let world = World::new();
    let output = world.run(&words("node release r1-03 r1-04 --why x --yes --json"));
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(lines[0]["node"], "r1-03");
    assert!(lines[0]["error"]["next_step"].is_string(), "{text}");
    assert_eq!(
        (&lines[1]["node"], &lines[1]["error"]),
        (&"r1-04".into(), &Value::Null)
    );
    for line in [
        "node drain r1-03 --why x --dry-run --json",
        "brake on --why x --dry-run --json",
        "action veto 7 --why x --dry-run --json",
    ] {
        let told: Value = serde_json::from_slice(&world.run(&words(line)).stdout).unwrap();
        assert_eq!(told["dry_run"], true, "{line}: {told}");
        assert_eq!(told["orders"][0]["method"], "POST", "{line}: {told}");
    }
}

#[test]
fn a_dry_run_says_what_would_be_refused_and_ends_like_the_order() {
    let world = World::new();
    let (mut refused, mut taken) = (0, BTreeMap::new());
    for number in 1..=8 {
        for order in [
            "provision",
            "reprovision",
            "drain --why x",
            "release --why x",
            "repair --why x",
            "retire --why x",
            "rescue --why x",
            "approve",
        ] {
            let line = format!("node {order} r1-{number:02}");
            let dry = world.run(&words(&format!("{line} --dry-run")));
            let said = String::from_utf8([dry.stdout, dry.stderr].concat()).unwrap();
            if dry.status.success() {
                taken.insert(number, line);
                continue;
            }
            refused += 1;
            let done = world.run(&words(&format!("{line} --yes")));
            let why = String::from_utf8(done.stderr).unwrap();
            let status = (dry.status.code(), done.status.code());
            assert_eq!(status, (Some(3), Some(3)), "{line}: {said}{why}");
            let first = why.lines().next().unwrap();
            assert!(said.contains(first), "{line}: {said}{why}");
            assert!(said.contains("refused: "), "{line}: {said}");
        }
    }
    assert!(refused > 20 && taken.len() > 4, "{refused} {taken:?}");
    for line in taken.values() {
        world.check(&words(&format!("{line} --yes")), 0, &[]);
    }
    let world = World::new();
    world.check(
        &words("node rebuild-disk r1-03 S1 --dry-run"),
        3,
        &["has no host", "refused: "],
    );
    let erase = world.check(
        &words("node erase r1-03 --confirm S1 --dry-run"),
        0,
        &["erasing S1", "POST /v1/nodes/r1-03/erase"],
    );
    assert!(!erase.contains("refused"), "{erase}");
    world.check(&words("node explain r1-03"), 0, &["is enrolled"]);
    let told = world.run(&words("node drain r1-03 --why x --dry-run --json"));
    assert_eq!(told.status.code(), Some(3));
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["orders"][0]["refused"]["code"], "plan-refused");
}

#[test]
fn a_credential_of_another_site_is_told_as_such_and_nothing_is_sent_again() {
    let (world, other) = (World::new(), World::new());
    let theirs = other.credential();
    let with = |line: &str| {
        let mut command = world.command(&words(line));
        command.env("GROUNDSTATE_CREDENTIAL", &theirs);
        command.output().unwrap()
    };
    let began = std::time::Instant::now();
    for line in ["node list", "brake on --why x --yes"] {
        let words = "its certificate is not of the site that --credential is of";
        let said = check(&with(line), 1, &["answers", words]);
        for odd in [
            "does not answer",
            "is the provisioner running",
            "sent again",
        ] {
            assert!(!said.contains(odd), "{line}: {said}");
        }
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(7));
    let told = object(&with("node list --json"), "node list");
    assert_eq!(told["error"]["code"], "tls-refused", "{told}");
    // A server of this site, whose authority we know, and a certificate of another one.
    let mixed = tempfile::tempdir().unwrap();
    for (from, name) in [
        (world.credential(), "ca.crt"),
        (theirs.clone(), "operator.crt"),
        (theirs.clone(), "operator.key"),
    ] {
        std::fs::copy(from.join(name), mixed.path().join(name)).unwrap();
    }
    let mut command = world.command(&["brake", "on", "--why", "x", "--yes"]);
    command.env("GROUNDSTATE_CREDENTIAL", mixed.path());
    let said = check(&command.output().unwrap(), 1, &["is not of its site"]);
    assert!(!said.contains("sent again"), "{said}");
}

/// Runs it with an output that nobody reads.
fn unread(command: &mut Command) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer).output().unwrap()
}

#[test]
fn a_reader_that_goes_ends_a_command_without_a_word() {
    let world = World::new();
    for line in [
        "node list",
        "node list --json",
        "node show r1-03",
        "node history r1-08",
        "events",
        "events --follow",
        "fleet",
        "node replay r1-08",
        "brake show",
        "site show",
        "completions bash",
        "node list --rack r1",
    ] {
        let output = unread(&mut world.command(&words(line)));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "", "{line}");
        assert_eq!(output.status.code(), Some(141), "{line}");
    }
    // A refusal is a refusal, whoever reads.
    let output = unread(&mut world.command(&words("node explain r9-99 --json")));
    assert_eq!(output.status.code(), Some(3));
    // Orders are all sent first.
    let line = "node quarantine r1-02 r1-07 --why x --yes --json";
    let output = unread(&mut world.command(&words(line)));
    assert_eq!(output.status.code(), Some(141));
    world.check(&words("node explain r1-07"), 0, &["is quarantined"]);
}

#[test]
fn an_output_that_is_full_is_an_error_and_no_panic() {
    let world = World::new();
    let full = || {
        std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let state = world.dir.path().to_str().unwrap();
    for line in [
        "node list",
        "access list --state-dir STATE",
        "completions zsh",
    ] {
        let line = line.replace("STATE", state);
        let output = world
            .command(&words(&line))
            .stdout(full())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(said.contains("standard output"), "{line}: {said}");
        assert!(!said.contains("panicked"), "{line}: {said}");
    }
}

#[test]
fn a_width_of_nothing_cuts_nothing() {
    let world = World::new();
    let wide = world.check(&["node", "list"], 0, &[]);
    for columns in ["0", "", "wide"] {
        let mut command = world.command(&["node", "list"]);
        let said = check(&command.env("COLUMNS", columns).output().unwrap(), 0, &[]);
        assert_eq!(said, wide, "{columns:?}");
    }
}

#[test]
fn a_fault_of_a_site_file_and_a_missing_credential_hide_neither_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("site.toml");
    let site = r#"name = "x"
[network]
address = "10.20.0.1"
prefix = 24
pool_first = "10.20.0.100"
pool_last = "10.20.0.199"
[policy]
image = "i"
hand_over = "kexec"
[[node]]
name = "web-2"
mac = "3c:ec:ef:00:10:01"
uuid = "4c4c4544-0042-3010-8044-b4c04f4d3133"
serial = ""
[node.bmc]
address = "10.20.0.9"
credential = "rack-1"
[[webhook]]
url = "https://x.example/"
credential = "../x"
"#;
    std::fs::write(&file, site).unwrap();
    let state = dir.path().to_str().unwrap();
    let check_it = [
        "site",
        "check",
        file.to_str().unwrap(),
        "--state-dir",
        state,
    ];
    let said = check(
        &groundstate(&check_it).output().unwrap(),
        1,
        &[
            "has 3 faults",
            "node[0].serial: ",
            "webhook[0].name: should be there",
            "the credential rack-1 cannot be used",
        ],
    );
    assert!(
        !said.contains("the credential ../x") && !said.contains("stand-in"),
        "{said}"
    );
}
