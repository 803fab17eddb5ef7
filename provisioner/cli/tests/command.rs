// SPDX-License-Identifier: Apache-2.0
//! The command as a person runs it, against the real server over loopback TLS.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

use provisioner::peer::Loopback;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

const SITE: &str = r#"
name = "lab"
[network]
address = "127.0.0.1"
prefix = 24
pool_first = "127.0.0.100"
pool_last = "127.0.0.200"
[policy]
image = "debian-host"
hand_over = "kexec"
[[node]]
name = "node-1"
mac = "52:54:00:00:00:01"
uuid = "564d1234-5678-9abc-def0-123456789abc"
serial = "GS1"
"#;

struct World {
    dir: TempDir,
    served: Loopback,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let served = Loopback::serve(dir.path(), toml::from_str(SITE).unwrap()).live();
        Self { dir, served }
    }

    fn run(&self, args: &[&str]) -> Output {
        groundstate(args)
            .env("GROUNDSTATE_SERVER", self.served.url())
            .env("GROUNDSTATE_CREDENTIAL", self.served.credential())
            .output()
            .unwrap()
    }
}

fn groundstate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
    command
        .args(args)
        .env_remove("GROUNDSTATE_SERVER")
        .env_remove("GROUNDSTATE_CREDENTIAL");
    command
}

/// Exit status and both outputs.
fn said(output: &Output) -> (i32, String) {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

fn check(output: &Output, status: i32, wants: &[&str]) {
    let (code, text) = said(output);
    assert_eq!(code, status, "{text}");
    for want in wants {
        assert!(text.contains(want), "{want:?} is not in {text}");
    }
}

#[test]
fn a_session_of_an_operator() {
    let world = World::new();
    check(&world.run(&["node", "list"]), 0, &["node-1", "enrolled"]);
    check(
        &world.run(&["node", "plan", "node-1"]),
        3,
        &["has no plan", "do now:"],
    );
    check(
        &world.run(&["node", "reprovision", "node-1", "--yes"]),
        3,
        &["was never provisioned", "groundstate node provision node-1"],
    );
    check(
        &world.run(&["node", "provision", "node-1", "--dry-run"]),
        0,
        &["WOULD BE SENT", "POST /v1/nodes/node-1/provision"],
    );
    check(
        &world.run(&["node", "provision", "node-1", "--hand-over", "reboot"]),
        0,
        &["ordered"],
    );
    check(
        &world.run(&["node", "provision", "node-1"]),
        3,
        &["is under way"],
    );
    check(
        &world.run(&["node", "explain", "node-1"]),
        0,
        &["waiting for the machine to boot", "power the machine on"],
    );
    check(
        &world.run(&["node", "show", "node-1", "--json"]),
        0,
        &[r#""hand_over": "reboot""#],
    );
    check(
        &world.run(&["node", "wait", "node-1", "--timeout", "0"]),
        4,
        &["still ordered", "deadline:"],
    );
    check(
        &world.run(&["events", "--node", "node-1"]),
        0,
        &["run node-1-001-", "enrolled -> ordered"],
    );
    check(
        &world.run(&["node", "show", "nobody"]),
        3,
        &["nodes: node-1"],
    );
    check(
        &world.run(&["node", "show", "NOT A NAME"]),
        2,
        &["a node name is"],
    );
}

#[test]
fn reprovision_without_a_terminal_orders_nothing() {
    let world = World::new();
    let output = world.run(&["node", "reprovision", "node-1"]);
    check(&output, 1, &["--yes orders without asking"]);
    check(&world.run(&["node", "list"]), 0, &["enrolled"]);
}

#[test]
fn a_server_that_is_not_there_and_a_credential_that_is_not_there_are_named() {
    let world = World::new();
    let nowhere = groundstate(&[
        "node",
        "list",
        "--server",
        "https://127.0.0.1:1",
        "--credential",
    ])
    .arg(world.dir.path().join("pki/operator"))
    .output()
    .unwrap();
    check(&nowhere, 1, &["https://127.0.0.1:1"]);
    let no_key = groundstate(&["node", "list", "--credential", "/nonexistent"])
        .output()
        .unwrap();
    check(&no_key, 1, &["/nonexistent/ca.crt", "--credential"]);
    let plain = groundstate(&["node", "list", "--server", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    check(&plain, 1, &["should begin with https://"]);
}

#[test]
fn the_site_file_is_checked_without_starting_anything() {
    let dir = tempfile::tempdir().unwrap();
    let file = |text: &str| -> PathBuf {
        let path = dir.path().join("site.toml");
        std::fs::write(&path, text).unwrap();
        path
    };
    let run = |path: PathBuf| {
        groundstate(&["up", "--check", "--site"])
            .arg(path)
            .output()
            .unwrap()
    };
    check(&run(file(SITE)), 0, &["with 1 node is in order"]);
    let bad = SITE
        .replace("127.0.0.200", "127.0.9.200")
        .replace("\"GS1\"", "\"\"");
    check(
        &run(file(&bad)),
        1,
        &[
            "2 faults",
            "network.pool_last: 127.0.9.200",
            "node[0].serial",
        ],
    );
    check(&groundstate(&["up"]).output().unwrap(), 2, &["--interface"]);
}

/// What `groundstate node show NODE --json` has of a machine with two disks.
const INVENTORY: &str = r#"{
    "schema": 1, "boot_id": "11111111-1111-1111-1111-111111111111", "first_line_after": 1, "complete_after": 2,
    "system": {"manufacturer": "m", "product": "p", "serial": "GS1", "uuid": "564d1234-5678-9abc-def0-123456789abc",
               "firmware_version": "1", "firmware": null, "uefi": true, "cpus": 1, "cpu_model": "c"},
    "memory": {"available": 1073741824, "configured": 1073741824, "dimms": []}, "nics": [], "could_not_look": [],
    "disks": [DISKS]
}"#;

fn inventory_disk(serial: &str, size: u64, contents: &str) -> String {
    format!(
        r#"{{"kernel_name": "sda", "slot": "bay-{serial}", "serial": "{serial}", "wwn": null, "model": "M", "revision": "1",
            "size": {size}, "logical_sector": 512, "physical_sector": 4096, "transport": "nvme", "rotational": false,
            "removable": false, "read_only": false, "contents": [{contents}], "layout": null,
            "health": {{"verdict": "ok", "source": "none", "evidence": [], "temperature_c": null, "power_on_hours": null}}}}"#
    )
}

#[test]
fn a_site_file_is_planned_against_another_without_a_provisioner() {
    let dir = tempfile::tempdir().unwrap();
    let site = dir.path().join("site.toml");
    std::fs::write(&site, SITE).unwrap();
    let compared = groundstate(&["plan", "--against"])
        .args([&site, &site])
        .output()
        .unwrap();
    check(&compared, 0, &["nothing would change"]);
    check(&groundstate(&["plan"]).output().unwrap(), 2, &["<FILE>"]);
}

#[test]
fn a_preview_from_files_asks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (site, inventory) = (dir.path().join("site.toml"), dir.path().join("report.json"));
    std::fs::write(&site, SITE).unwrap();
    let old = r#"{"at": "disk", "what": "LVM2 PV", "label": null}"#;
    let disks = [
        inventory_disk("DATA-1", 8 << 30, old),
        inventory_disk("OS-1", 4 << 30, ""),
    ];
    std::fs::write(&inventory, INVENTORY.replace("DISKS", &disks.join(","))).unwrap();
    let run = |node: &str, more: &[&str]| {
        groundstate(&["plan", "preview", node])
            .args(more)
            .arg("--site")
            .arg(&site)
            .arg("--inventory")
            .arg(&inventory)
            .env("COLUMNS", "100")
            .output()
            .unwrap()
    };
    let output = run("node-1", &[]);
    let wants = [
        "Nothing is ordered",
        "|esp",
        "|/data/DATA-1",
        "LVM2 PV goes",
        "NOT CONFIRMED",
        "--confirm DATA-1",
    ];
    check(&output, 3, &wants);
    assert!(
        !said(&output).1.contains('\u{1b}'),
        "no colour where there is no terminal"
    );
    let output = run("node-1", &["--confirm", "DATA-1", "--json"]);
    check(
        &output,
        0,
        &["\"run\": \"decided-at-the-order\"", "\"needs_confirm\": []"],
    );
    assert_eq!(
        run("node-1", &["--json"]).stdout,
        run("node-1", &["--json"]).stdout
    );
    check(
        &run("node-1", &["--confirm", "DATA-1", "--image-size", "20GiB"]),
        3,
        &["too small for image"],
    );
    check(
        &run("node-1", &["--image-size", "much"]),
        1,
        &["--image-size"],
    );
    check(&run("node-2", &[]), 3, &["node-1"]);
    std::fs::write(&inventory, "{}").unwrap();
    check(
        &run("node-1", &[]),
        1,
        &["neither a node's report nor an inventory"],
    );
    let alone = groundstate(&["plan", "preview", "node-1", "--site"])
        .arg(&site)
        .output()
        .unwrap();
    check(&alone, 2, &["--inventory"]);
}

#[test]
fn a_preview_of_a_node_that_never_reported_says_what_to_do() {
    let world = World::new();
    check(
        &world.run(&["plan", "preview", "node-1"]),
        3,
        &["has not reported its hardware yet"],
    );
    check(
        &world.run(&["node", "rebuild-disk", "node-1", "S-1"]),
        1,
        &[
            "WIPED  S-1  not in the node's last report",
            "refused: node-1 has no host",
            "--yes orders without asking",
        ],
    );
    check(
        &world.run(&["node", "rebuild-disk", "node-1", "S-1", "--yes"]),
        3,
        &["has no host"],
    );
    let wants = ["1 to 128 bytes"];
    check(
        &world.run(&["node", "provision", "node-1", "--confirm", " "]),
        3,
        &wants,
    );
}
