// SPDX-License-Identifier: Apache-2.0
//! The API called by schemathesis after its own description, over mutual TLS, with what nobody would send in good faith: no answer
//! may be a 5xx, and each is of the kind and shape that the description says. And the description itself before a judge.
//!
//! `GROUNDSTATE_FUZZ_CASES=50000 cargo test -p provisioner --test fuzz -- --nocapture` is the long run; without it, about a
//! thousand cases in CI and 200 elsewhere.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]
#![allow(dead_code, reason = "the world is shared with the tests of the API")]

#[path = "../api/world.rs"]
mod world;

use groundstate_api::site_parts::Role;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use world::World;

/// Cases in CI where nothing else is said: half a minute on two quiet cores.
const CASES: usize = 1_000;
/// Cases on a desk.
const CASES_HERE: usize = 200;
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

/// The description without long polls, each of which would take half a minute.
fn description(world: &World) -> (PathBuf, usize) {
    let text = world.anyone().get("/openapi.json").ok_text();
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let mut operations = 0;
    for item in document["paths"].as_object_mut().unwrap().values_mut() {
        for operation in item.as_object_mut().unwrap().values_mut() {
            operations += 1;
            let parameters = operation["parameters"].as_array_mut().unwrap();
            parameters.retain(|parameter| parameter["name"] != "wait_ms");
        }
    }
    let path = world.dir.path().join("openapi.json");
    std::fs::write(&path, document.to_string()).unwrap();
    (path, operations)
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
#[expect(
    clippy::too_many_lines,
    reason = "one run from its set-up to its judgement"
)]
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
    let world = World::with_site(world::racked_site());
    let (description, operations) = description(&world);
    let key = world::Key::new();
    let (_, _) = world.enrolled();
    world.client(Role::Admin, "fuzz");
    let admin = world.dir.path().join("admin-fuzz");
    let proven = provisioner::pki::ProvenKey::from_csr(&key.csr()).unwrap();
    let node = "node-2".parse().unwrap();
    let plan = groundstate_api::Digest::of(b"p").hex().parse().unwrap();
    let host = world.dir.path().join("host");
    std::fs::create_dir(&host).unwrap();
    let certificate = world.ours.pki().sign_host(&node, &plan, &proven).unwrap();
    std::fs::write(host.join("operator.crt"), certificate).unwrap();
    std::fs::write(host.join("operator.key"), key.pair.serialize_pem()).unwrap();
    // Most as an admin, who comes through everywhere; some as a host.
    let each = (cases / operations).max(1);
    let ca = world.pki("ca.crt");
    for (credential, each, only) in [
        (&admin, each, None),
        (&host, each.min(50), Some("machines")),
    ] {
        let mut run = Command::new(&schemathesis);
        run.arg("run")
            .arg(&description)
            .args(["--url", &format!("https://localhost:{}", world.port)])
            .args(["--checks", CHECKS, "--phases", "fuzzing", "--workers", "2"])
            .args([
                "--max-examples",
                &each.to_string(),
                "--seed",
                "7",
                "--continue-on-failure",
            ])
            // Images come from the composition, which is not here; a gzip body is nothing that it can make.
            .args([
                "--exclude-tag",
                "images",
                "--exclude-operation-id",
                "sendDiagnostics",
            ])
            .args([
                "--suppress-health-check",
                "all",
                "--request-timeout",
                "60",
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
        if let Some(tag) = only {
            run.args(["--include-tag", tag]);
        }
        let ran = run.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        println!("{said}");
        let more = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{said}{more}");
    }
}
