// SPDX-License-Identifier: Apache-2.0
//! Two provisioners over one etcd: who follows sends callers to who leads, the next leader goes on in the middle of a run, and what
//! each has in its folder is the same for both.

use crate::world::{Answer, Caller, Key, World};
use groundstate_api::ReasonCode;
use groundstate_api::ready::{LEADER_HEADER, PROVISIONERS_HEADER};
use groundstate_api::site_parts::Role;
use groundstate_journal::peer::Cluster;
use provisioner::leader::Standing;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use ureq::http::HeaderMap;

/// An election, or a look at what the other one wrote, takes seconds; a busy machine takes longer.
const PATIENCE: Duration = Duration::from_secs(90);

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn leads(world: &World) -> bool {
    matches!(world.ours.standing(), Standing::Leads { .. })
}

/// The first one leads, the second one follows it and both know each other.
fn pair(cluster: &Cluster) -> (World, World) {
    let first = tempfile::tempdir().unwrap();
    let one = World::among(first, cluster.options("site"), "one");
    until("the first one leads", || leads(&one));
    let second = folder_of_another(one.dir.path());
    let two = World::among(second, cluster.options("site"), "two");
    until("the second one knows who leads", || {
        two.ours.ready().leader.as_deref() == Some("one")
    });
    until("each knows the other", || {
        one.ours.others().len() == 1 && two.ours.others().len() == 1
    });
    (one, two)
}

/// With the first one's `pki`, copied by hand as the guide says.
fn folder_of_another(first: &Path) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-a")
        .arg(first.join("pki"))
        .arg(dir.path())
        .status();
    assert!(copied.unwrap().success());
    dir
}

fn url(world: &World) -> String {
    format!("https://127.0.0.1:{}", world.port)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

fn sent_on(said: (Answer, HeaderMap), to: &World) {
    let (answer, headers) = said;
    assert_eq!(header(&headers, LEADER_HEADER), Some(url(to).as_str()));
    assert_eq!(header(&headers, "retry-after"), Some("2"));
    assert_eq!(answer.problem(503).reason.code, ReasonCode::NotLeader);
}

fn post(caller: &Caller, path: &str, body: &Value) -> (Answer, HeaderMap) {
    let kind = ("Content-Type", "application/json");
    caller.call("POST", path, &[kind], &body.to_string())
}

#[test]
fn who_follows_answers_questions_and_sends_everything_else_to_who_leads() {
    let Some(cluster) = Cluster::start(1) else {
        return;
    };
    let (one, two) = pair(&cluster);
    let (list, headers) = two.operator().call("GET", "/v1/nodes", &[], "");
    assert_eq!(list.ok()["nodes"].as_array().unwrap().len(), 2);
    let both = format!("{} {}", url(&one), url(&two));
    assert_eq!(header(&headers, PROVISIONERS_HEADER), Some(both.as_str()));
    let (_, headers) = one.operator().call("GET", "/v1/nodes", &[], "");
    assert_eq!(header(&headers, PROVISIONERS_HEADER), Some(both.as_str()));

    let provision = "/v1/nodes/node-1/provision";
    sent_on(post(&two.operator(), provision, &json!({})), &one);
    let key = Key::new();
    sent_on(post(&two.anyone(), "/v1/enrol", &key.request(1)), &one);
    let boot = two.ours.boot_config();
    assert_eq!(boot.provisioner, url(&two), "it is there: it answers");
    assert_eq!(boot.others, [url(&one)]);
}

#[test]
fn the_next_leader_goes_on_with_a_run_and_who_was_leader_has_no_say() {
    let Some(cluster) = Cluster::start(1) else {
        return;
    };
    let (one, two) = pair(&cluster);
    let key = Key::new();
    let order = one
        .operator()
        .post("/v1/nodes/node-1/provision", &json!({}));
    order.ok();
    let enrolled = one.anyone().post("/v1/enrol", &key.request(1)).ok();
    let certificate = enrolled["certificate_pem"].as_str().unwrap().to_owned();
    let run = enrolled["run"].as_str().unwrap().to_owned();
    let node = two.with(&certificate, &key);
    let (refused, headers) = node.call("GET", "/v1/run/instruction", &[], "");
    sent_on((refused, headers), &one);
    let newest = one.ours.ready().newest;
    let gone = one.stopped();
    until("the second one leads", || leads(&two));
    until("it says so in the journal", || {
        two.ours.ready().newest > newest
    });
    // Neither key nor run is another one.
    assert_eq!(node.get("/v1/run/instruction").status, 200);
    let view = two.ours.view(&"node-1".parse().unwrap()).unwrap();
    assert_eq!(view.run.unwrap().as_str(), run);
    // The first one comes back, and follows.
    let one = World::among(gone, cluster.options("site"), "one");
    until("it follows the second one", || {
        one.ours.ready().leader.as_deref() == Some("two")
    });
    sent_on(
        post(&one.operator(), "/v1/nodes/node-2/provision", &json!({})),
        &two,
    );
}

#[test]
fn a_certificate_that_is_revoked_at_one_opens_nothing_at_the_other() {
    let Some(cluster) = Cluster::start(1) else {
        return;
    };
    let (one, two) = pair(&cluster);
    let anna = one.client(Role::Viewer, "anna");
    assert_eq!(anna.get("/v1/nodes").status, 200);
    let listed = |world: &World| world.ours.pki().access().list().unwrap();
    until("the other one knows of it", || listed(&two).len() == 1);
    // At the one that follows: whoever leads, it holds for all.
    two.ours.pki().access().revoke("anna", None).unwrap();
    until("it is revoked at the first one", || {
        anna.get("/v1/nodes").status == 403
    });
    assert_eq!(listed(&one), listed(&two));
}
