// SPDX-License-Identifier: Apache-2.0
//! The API called by schemathesis after its own description, over mutual TLS, with what nobody would send in good faith: no answer
//! may be a 5xx, and each is of the kind and shape that the description says. And the description itself before a judge.
//!
//! `GROUNDSTATE_FUZZ_CASES=50000 cargo test -p provisioner --test fuzz -- --nocapture` is the long run; without it, about a
//! thousand cases in CI and 200 elsewhere. `GROUNDSTATE_FUZZ_SEED` makes other ones: an operation with few inputs ends before its share.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]
#![allow(dead_code, reason = "the world is shared with the tests of the API")]

#[path = "../api/world.rs"]
mod world;

use groundstate_api::plan::Step;
use groundstate_api::site_parts::Role;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use world::{Caller, Key, World};

/// Cases in CI where nothing else is said: half a minute on two quiet cores.
const CASES: usize = 1_000;
/// Cases on a desk.
const CASES_HERE: usize = 200;
/// The longest poll of a case, in milliseconds.
const WAIT_MS_MAX: u32 = 40;
/// What is asked of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A Python peer; `cargo xtask setup` brings it.
fn peer(name: &str) -> Option<PathBuf> {
    let ours = root()
        .join("target/groundstate/peers/python/bin")
        .join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::iter::once(ours)
        .chain(std::env::split_paths(&path).map(|folder| folder.join(name)))
        .find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{name} is not installed");
        println!("skipped: {name} is not installed; cargo xtask setup brings it");
    }
    found
}

/// The description with polls that last for moments: the longest would take half a minute each.
fn description(world: &World) -> (PathBuf, usize) {
    let text = world.anyone().get("/openapi.json").ok_text();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let mut operations = 0;
    for item in document["paths"].as_object_mut().unwrap().values_mut() {
        for operation in item.as_object_mut().unwrap().values_mut() {
            operations += 1;
            for parameter in operation["parameters"].as_array_mut().unwrap() {
                if parameter["name"] == "wait_ms" {
                    parameter["schema"] =
                        json!({"type": "integer", "minimum": 0, "maximum": WAIT_MS_MAX});
                }
            }
        }
    }
    let path = world.dir.path().join("openapi.json");
    std::fs::write(&path, document.to_string()).unwrap();
    (path, operations)
}

/// A certificate and its key where schemathesis finds them.
fn credential(world: &World, name: &str, certificate: &str, key: &Key) -> PathBuf {
    let folder = world.dir.path().join(name);
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("operator.crt"), certificate).unwrap();
    std::fs::write(folder.join("operator.key"), key.pair.serialize_pem()).unwrap();
    folder
}

/// node-1 has a host that has registered: its certificate.
fn host(world: &World) -> (PathBuf, Caller) {
    let (node, run) = world.enrolled();
    let report = json!({"run": run, "inventory": world::inventory()});
    node.post("/v1/run/inventory", &report).ok();
    let plan = loop {
        let told = node.get("/v1/run/instruction").ok();
        match told["do"].as_str() {
            Some("wait") => std::thread::sleep(std::time::Duration::from_millis(10)),
            Some("carry-out") => break told["plan"].clone(),
            _ => panic!("{told}"),
        }
    };
    let key = Key::new();
    let asked = json!({"run": run, "csr_pem": key.csr()});
    let credential_of = node.post("/v1/run/host-credential", &asked).ok();
    for (number, step) in (1u64..).step_by(2).zip(Step::ALL) {
        for (number, state) in [
            (number, json!({"state": "started"})),
            (number + 1, json!({"state": "done", "facts": []})),
        ] {
            let body = json!({"run": run, "number": number, "step": step, "state": state, "at": 1, "peak_memory": 1});
            node.post("/v1/run/progress", &body).ok();
        }
    }
    let certificate = credential_of["certificate_pem"].as_str().unwrap();
    let caller = world.with(certificate, &key);
    let registers = json!({
        "schema": 1, "node": "node-1", "run": run, "plan": plan["id"], "os": "Debian", "kernel": "6.1",
        "boot_id": "22222222-2222-2222-2222-222222222222", "uptime_secs": 9, "disk_serials": [], "changes": [],
    });
    caller.post("/v1/host/register", &registers).ok();
    (credential(world, "host", certificate, &key), caller)
}

/// node-2 is in its run: its certificate.
fn node(world: &World) -> PathBuf {
    let order = json!({});
    world
        .operator()
        .post("/v1/nodes/node-2/provision", &order)
        .ok();
    let key = Key::new();
    let mut request = key.request(2);
    request["boot_id"] = json!("33333333-3333-3333-3333-333333333333");
    let reply = world.anyone().post("/v1/enrol", &request).ok();
    credential(
        world,
        "node",
        reply["certificate_pem"].as_str().unwrap(),
        &key,
    )
}

/// What may come for the diagnostics that were asked for: packed, half packed, not packed, and far too much when unpacked.
fn uploads() -> Vec<Vec<u8>> {
    let pack = |text: &[u8], level: &str| {
        let mut gzip = Command::new("gzip");
        gzip.args([level, "--stdout"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = gzip.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let text = text.to_vec();
        let writer = std::thread::spawn(move || input.write_all(&text));
        let packed = child.wait_with_output().unwrap().stdout;
        writer.join().unwrap().unwrap();
        packed
    };
    let good = pack(b"a file\n", "-6");
    let bomb = pack(&vec![0; 64 << 20], "-9");
    let mut all = vec![
        Vec::new(),
        good.clone(),
        bomb.clone(),
        vec![0x1f],
        vec![0x1f, 0x8b],
        vec![0; 4_096],
        b"<script>".to_vec(),
    ];
    all.push([good.clone(), good.clone()].concat());
    all.push([good.clone(), b"rest".to_vec()].concat());
    for at in 0..good.len() {
        all.push(good[..at].to_vec());
        let mut turned = good.clone();
        turned[at] ^= 0xff;
        all.push(turned);
    }
    all.push(bomb[..bomb.len() / 2].to_vec());
    all
}

#[test]
fn the_description_is_openapi_3_1() {
    let Some(judge) = peer("openapi-spec-validator") else {
        return;
    };
    let judged = Command::new(judge)
        .arg(root().join("docs/openapi.json"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&judged.stdout).into_owned();
    let more = String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success(), "{said}{more}");
    assert!(said.contains("OK"), "{said}");
}

#[test]
fn nothing_that_is_sent_makes_the_server_fail() {
    let Some(schemathesis) = peer("schemathesis") else {
        return;
    };
    let cases = std::env::var("GROUNDSTATE_FUZZ_CASES").ok();
    let usual = if std::env::var_os("CI").is_some() {
        CASES
    } else {
        CASES_HERE
    };
    let cases = cases.map_or(usual, |cases| cases.parse().unwrap());
    let seed = std::env::var("GROUNDSTATE_FUZZ_SEED").unwrap_or_else(|_| "7".into());
    let world = World::with_site(world::racked_site());
    let (description, operations) = description(&world);
    let (host, _) = host(&world);
    let node = node(&world);
    world.client(Role::Admin, "fuzz");
    let admin = world.dir.path().join("admin-fuzz");
    // Most as an admin, who comes through everywhere; some as a host.
    let each = (cases / operations).max(1);
    let ca = world.pki("ca.crt");
    // Images come from the composition, which is not here: only the gate before them is, and that is what is asked.
    for (credential, each, only, checks) in [
        (&admin, each, None, CHECKS),
        (&host, each.min(50), Some("machines"), CHECKS),
        (&node, each.min(50), Some("machines"), CHECKS),
        (&admin, each.min(20), Some("images"), "not_a_server_error"),
        (&node, each.min(20), Some("images"), "not_a_server_error"),
    ] {
        let mut run = Command::new(&schemathesis);
        run.arg("run")
            .arg(&description)
            .args(["--url", &format!("https://localhost:{}", world.port)])
            .args(["--checks", checks, "--phases", "fuzzing", "--workers", "2"])
            .args([
                "--max-examples",
                &each.to_string(),
                "--seed",
                &seed,
                "--continue-on-failure",
            ])
            // It cannot pack anything: what is packed is sent below.
            .args(["--exclude-operation-id", "sendDiagnostics"])
            .args([
                "--suppress-health-check",
                "all",
                "--request-timeout",
                "60",
                // A connection that was closed while a question was on its way is asked again; a server that is gone is not.
                "--request-retries",
                "3",
                "--warnings",
                "off",
                "--no-color",
            ])
            .arg("--tls-verify")
            .arg(&ca)
            .arg("--request-cert")
            .arg(credential.join("operator.crt"))
            .arg("--request-cert-key")
            .arg(credential.join("operator.key"))
            .current_dir(world.dir.path());
        match only {
            Some(tag) => run.args(["--include-tag", tag]),
            None => run.args(["--exclude-tag", "images"]),
        };
        let ran = run.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        println!("{said}");
        let more = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{said}{more}");
    }
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one upload after the other, each with its judgement"
)]
fn whatever_is_uploaded_as_diagnostics_is_taken_or_refused_in_words() {
    let world = World::with_site(world::racked_site());
    let (folder, _) = host(&world);
    let asked = json!({"act": "collect-diagnostics"});
    let uploads = uploads();
    let mut taken = 0;
    for (number, upload) in uploads.iter().enumerate() {
        let action = world.operator().post("/v1/nodes/node-1/actions", &asked);
        let action: Option<u64> = match action.status {
            200 => action.ok()["action"]["id"].as_u64(),
            _ => None,
        };
        let open = world
            .operator()
            .get("/v1/actions?node=node-1&open=true")
            .ok();
        let id = action
            .or(open["actions"][0]["action"]["id"].as_u64())
            .unwrap();
        let file = world.dir.path().join("upload");
        std::fs::write(&file, upload).unwrap();
        let sent = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "60",
                "--write-out",
                "\n%{http_code}",
                "--cacert",
            ])
            .arg(world.pki("ca.crt"))
            .arg("--cert")
            .arg(folder.join("operator.crt"))
            .arg("--key")
            .arg(folder.join("operator.key"))
            .args([
                "--header",
                "Content-Type: application/gzip",
                "--header",
                "Expect:",
                "--data-binary",
            ])
            .arg(format!("@{}", file.display()))
            .arg(format!(
                "https://localhost:{}/v1/host/diagnostics?action={id}",
                world.port
            ))
            .output()
            .unwrap();
        let said = String::from_utf8(sent.stdout).unwrap();
        let (body, status) = said.rsplit_once('\n').unwrap();
        let status: u16 = status.parse().unwrap();
        assert!(
            (200..500).contains(&status),
            "upload {number}: {status} {body}"
        );
        if status >= 400 {
            let problem: Value = serde_json::from_str(body).unwrap();
            assert!(
                problem["reason"]["next_step"].is_string(),
                "upload {number}: {body}"
            );
        } else {
            taken += 1;
        }
        assert_eq!(world.anyone().get("/healthz").status, 200);
    }
    assert!(
        taken > 0 && taken < uploads.len(),
        "{taken} of {}",
        uploads.len()
    );
}
