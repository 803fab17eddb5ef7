// SPDX-License-Identifier: Apache-2.0
//! Every route by every caller, and objects that are somebody else's.

use crate::world::{Key, World, inventory};
use groundstate_api::{Digest, RunId};
use provisioner::pki::ProvenKey;
use serde_json::json;

#[test]
fn what_is_no_route_is_a_problem_too() {
    let world = World::new();
    for path in [
        "/",
        "/v1",
        "/v1/nodes/",
        "/v1/nodes/../nodes",
        "/v1/secrets",
        "/v1/chunks/",
    ] {
        world.operator().get(path).problem(404);
    }
    let problem = world.operator().get("/v1/enrol").problem(405);
    assert_eq!(problem.kind, "urn:groundstate:reason:bad-request");
    let problem = world
        .operator()
        .get("/v1/nodes/node-1/log?run=a&run=b")
        .problem(400);
    assert_eq!(problem.title, "run: it stands there twice");
    for (ask, says) in [
        ("nodes?limit=many", "limit: should be a whole number"),
        (
            "nodes?limt=1",
            "limt: there is no such field (is limit meant?)",
        ),
        (
            "nodes?phase=hold",
            "phase: \"hold\" is not known; there are: enrolled",
        ),
        ("events?wait_ms=-1", "wait_ms: should be a whole number"),
    ] {
        let problem = world.operator().get(&format!("/v1/{ask}")).problem(400);
        assert!(problem.title.starts_with(says), "{ask}: {}", problem.title);
        let name = ask.split_once('?').unwrap().1.split_once('=').unwrap().0;
        let part = serde_json::to_value(&problem.reason.part).unwrap();
        assert_eq!(part["path"], name, "{ask}");
    }
    // A name that is no text: what reads requests for the handlers refuses it, in our words.
    world.operator().get("/v1/nodes/%ff").problem(400);
}

#[test]
fn images_are_for_the_current_open_run_only() {
    let world = World::new();
    let chunk = format!("/v1/chunks/{}", Digest::of(b"x").hex());
    let key = Key::new();
    let proven = ProvenKey::from_csr(&key.csr()).unwrap();
    let node = "node-1".parse().unwrap();
    let of_run = |run: &str| {
        let run: RunId = run.parse().unwrap();
        let certificate = world.ours.pki().sign_node(&node, &run, &proven).unwrap();
        world.with(&certificate, &key)
    };
    let (mine, run) = world.enrolled();
    mine.get(&chunk).ok_text();
    world.operator().get(&chunk).ok_text();
    // A certificate of the run for a key that the run is not bound to.
    of_run(&run).get(&chunk).problem(403);
    of_run("another").get(&chunk).problem(403);
    // Held: the run is over, and so is its certificate's right.
    let mut seen = inventory();
    seen.disks.clear();
    mine.post("/v1/run/inventory", &json!({"run": run, "inventory": seen}))
        .ok();
    while mine.get("/v1/run/instruction").ok()["do"] != "hold" {
        std::thread::yield_now();
    }
    mine.get(&chunk).problem(403);
    world.operator().get(&chunk).ok_text();
}

#[test]
fn a_node_speaks_for_its_own_run_and_a_host_for_its_own_plan() {
    let world = World::new();
    let (node, run) = world.enrolled();
    for path in [
        "/v1/run/inventory",
        "/v1/run/progress",
        "/v1/run/log",
        "/v1/run/host-credential",
    ] {
        let body = json!({
            "run": "another", "inventory": inventory(), "number": 1, "step": "image", "state": {"state": "started"},
            "at": 1, "peak_memory": 1, "offset": 0, "text": "x", "csr_pem": "",
        });
        let problem = node.post(path, &body).problem(403);
        assert_eq!(problem.kind, "urn:groundstate:reason:not-allowed", "{path}");
    }
    // node-2 with a certificate for node-1's run: it is not node-2's run, so it is told to stop.
    let key = Key::new();
    let proven = ProvenKey::from_csr(&key.csr()).unwrap();
    let cousin = "node-2".parse().unwrap();
    let cousin = world.with(
        &world
            .ours
            .pki()
            .sign_node(&cousin, &run.parse().unwrap(), &proven)
            .unwrap(),
        &key,
    );
    assert_eq!(cousin.get("/v1/run/instruction").ok()["do"], "hold");
    assert_eq!(node.get("/v1/run/instruction").ok()["do"], "send-inventory");

    let (mine, theirs) = (Digest::of(b"1").hex(), Digest::of(b"2").hex());
    let host = "node-1".parse().unwrap();
    let host = world.with(
        &world
            .ours
            .pki()
            .sign_host(&host, &mine.parse().unwrap(), &proven)
            .unwrap(),
        &key,
    );
    for (name, plan, status) in [
        ("node-2", &mine, 403),
        ("node-1", &theirs, 403),
        ("node-1", &mine, 409),
    ] {
        let beat = json!({"node": name, "plan": plan, "boot_id": crate::world::BOOT, "number": 1, "uptime_secs": 1});
        host.post("/v1/host/heartbeat", &beat).problem(status);
    }
}

#[test]
fn certificates_of_another_site_are_refused_by_tls() {
    let (here, there) = (World::new(), World::new());
    let curl = std::process::Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
        .arg(here.pki("ca.crt"))
        .arg("--cert")
        .arg(there.pki("operator/operator.crt"))
        .arg("--key")
        .arg(there.pki("operator/operator.key"))
        .arg(format!("https://127.0.0.1:{}/v1/nodes", here.port))
        .output()
        .unwrap();
    assert!(!curl.status.success());
    assert!(curl.stdout.is_empty());
}

#[test]
fn curl_lists_orders_and_follows_as_the_guide_shows_it() {
    let world = World::new();
    let curl = |more: &[&str], path: &str| {
        let output = std::process::Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
            .arg(world.pki("operator/ca.crt"))
            .arg("--cert")
            .arg(world.pki("operator/operator.crt"))
            .arg("--key")
            .arg(world.pki("operator/operator.key"))
            .args(more)
            .arg(format!("https://localhost:{}{path}", world.port))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    assert!(curl(&[], "/v1/nodes").contains(r#""phase":"enrolled""#));
    assert!(
        curl(&["--request", "POST"], "/v1/nodes/node-1/provision").contains(r#""phase":"ordered""#)
    );
    let again = curl(
        &["--include", "--request", "POST"],
        "/v1/nodes/node-1/provision",
    );
    assert!(
        again.contains("409 Conflict") && again.contains("application/problem+json"),
        "{again}"
    );
    let unknown = curl(&[], "/v1/nodes/nobody");
    assert!(unknown.contains("nodes: node-1, node-2"), "{unknown}");
    let stream = curl(
        &[
            "--no-buffer",
            "--max-time",
            "2",
            "--header",
            "Accept: text/event-stream",
        ],
        "/v1/events?after=0",
    );
    assert!(
        stream.contains("id: 1\n") && stream.contains(r#""happened":"run-ordered""#),
        "{stream}"
    );
}

#[test]
fn keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    for file in ["ca.key", "server.key", "operator/operator.key"] {
        let mode = std::fs::metadata(world.pki(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
