// SPDX-License-Identifier: Apache-2.0
//! Roles: what is filtered for callers that are bound to racks, certificates that are issued and revoked.

use crate::world::{World, racked_site};
use groundstate_api::site_parts::Role;
use groundstate_api::view::{EventPage, NodeList};
use provisioner::pki::Access;
use serde_json::json;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

#[test]
fn who_is_bound_to_a_rack_sees_nothing_of_another_in_any_list() {
    let world = World::with_site(racked_site());
    let bound = world.client(Role::Operator, "bound");
    for node in ["node-1", "node-2"] {
        let path = format!("/v1/nodes/{node}/provision");
        world.operator().post(&path, &json!({})).ok();
    }
    let list: NodeList = bound.get("/v1/nodes").read();
    let names: Vec<&str> = list.nodes.iter().map(|view| view.node.as_str()).collect();
    assert_eq!(names, ["node-1"]);
    let page: EventPage = bound.get("/v1/events").read();
    assert!(!page.events.is_empty());
    for event in &page.events {
        let node = event.node.as_ref().map(|node| node.as_str());
        assert_eq!(node, Some("node-1"), "{event:?}");
    }
    bound.get("/v1/events?node=node-2").problem(403);
    // The same is said of a node that is not there.
    let theirs = bound.get("/v1/nodes/node-2").problem(403);
    let nobodys = bound.get("/v1/nodes/node-9").problem(403);
    assert_eq!(theirs.title, nobodys.title);
    bound.get("/v1/nodes?rack=there").ok();
    let none: NodeList = bound.get("/v1/nodes?rack=there").read();
    assert!(none.nodes.is_empty());
    // An escaped name is the same name.
    bound.get("/v1/nodes/%6eode-2").problem(403);
    bound.get("/v1/nodes/%6eode-1").ok();
}

/// Events as curl gets them with the certificate in this folder of the state directory, until the stream ends or these seconds
/// are over.
fn stream(world: &World, folder: &str, secs: u32) -> Child {
    let out = world.dir.path().join(folder);
    Command::new("curl")
        .args(["--silent", "--no-buffer", "--max-time", &secs.to_string()])
        .arg("--cacert")
        .arg(out.join("ca.crt"))
        .arg("--cert")
        .arg(out.join("operator.crt"))
        .arg("--key")
        .arg(out.join("operator.key"))
        .args(["--header", "Accept: text/event-stream"])
        .arg(format!("https://localhost:{}/v1/events", world.port))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn remark(world: &World, node: &str, text: &str) {
    let path = format!("/v1/nodes/{node}/remarks");
    let remark = json!({"text": text});
    world.operator().post(&path, &remark).ok();
}

#[test]
fn a_stream_of_a_bound_caller_shows_its_rack_only() {
    let world = World::with_site(racked_site());
    world.client(Role::Viewer, "bound");
    for node in ["node-2", "node-1"] {
        let path = format!("/v1/nodes/{node}/provision");
        world.operator().post(&path, &json!({})).ok();
    }
    let curl = stream(&world, "viewer-bound", 2)
        .wait_with_output()
        .unwrap();
    let said = String::from_utf8(curl.stdout).unwrap();
    assert!(
        said.contains("node-1") && !said.contains("node-2"),
        "{said}"
    );
}

#[test]
fn a_stream_shows_what_its_caller_may_see_now() {
    let mut site = racked_site();
    let world = World::with_site(site.clone());
    world.client(Role::Viewer, "bound");
    let mut curl = stream(&world, "viewer-bound", 60);
    let mut lines = BufReader::new(curl.stdout.take().unwrap()).lines();
    let mut until = |text: &str| -> String {
        let mut said = String::new();
        while !said.contains(text) {
            let line = lines.next().unwrap_or_else(|| panic!("{text}: {said}"));
            said.push_str(&line.unwrap());
        }
        said
    };
    remark(&world, "node-1", "first of its own");
    until("first of its own");
    // The other rack is this name's now.
    site.access[0].racks = vec!["there".into()];
    world.operator().put("/v1/site", Some("*"), &site).ok();
    remark(&world, "node-1", "of somebody else");
    remark(&world, "node-2", "of its new one");
    let said = until("of its new one");
    assert!(!said.contains("of somebody else"), "{said}");
    curl.kill().unwrap();
    curl.wait().unwrap();
}

#[test]
fn a_stream_ends_where_its_certificate_is_revoked() {
    let world = World::new();
    world.client(Role::Viewer, "ana");
    let mut curl = stream(&world, "viewer-ana", 60);
    let mut lines = BufReader::new(curl.stdout.take().unwrap()).lines();
    remark(&world, "node-1", "before");
    let before = |line: &std::io::Result<String>| line.as_ref().unwrap().contains("before");
    assert!(lines.any(|line| before(&line)));
    let access = Access::open(world.dir.path()).unwrap();
    access.revoke("ana", None).unwrap();
    remark(&world, "node-1", "after");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(!rest.iter().any(|line| line.contains("after")), "{rest:?}");
    assert!(
        curl.wait().unwrap().success(),
        "it ends, and is not waited for"
    );
}

#[test]
fn a_revoked_certificate_opens_nothing_from_the_next_request_on() {
    let world = World::new();
    let ana = world.client(Role::Technician, "ana");
    let other = world.client(Role::Technician, "ben");
    ana.get("/v1/nodes").ok();
    // Another process revokes it, as the command does.
    let access = Access::open(world.dir.path()).unwrap();
    let revoked = access.revoke("ana", None).unwrap();
    assert_eq!(revoked.len(), 1);
    let problem = ana.get("/v1/nodes").problem(403);
    assert!(problem.title.contains("revoked"), "{}", problem.title);
    other.get("/v1/nodes").ok();
    assert!(access.revoke("ana", None).is_err(), "there is none left");
    // A new one of the same name is another one.
    std::fs::remove_dir_all(world.dir.path().join("technician-ana")).unwrap();
    world.client(Role::Technician, "ana").get("/v1/nodes").ok();
    ana.get("/v1/nodes").problem(403);
    assert_eq!(access.list().unwrap().len(), 3);
}

#[test]
fn certificates_are_issued_to_names_that_can_be_given_and_into_new_folders() {
    let world = World::new();
    let access = world.ours.pki().access();
    let out = world.dir.path().join("out");
    for name in ["", "local", "Ana", "a b", "a:b", "a\nb", "ünal"] {
        let issued = access.issue(Role::Viewer, name, 30, &out);
        assert!(issued.is_err(), "{name:?}");
        assert!(!out.exists());
    }
    for days in [0, 731] {
        assert!(access.issue(Role::Viewer, "ana", days, &out).is_err());
    }
    access.issue(Role::Viewer, "ana", 30, &out).unwrap();
    assert!(access.issue(Role::Viewer, "ana", 30, &out).is_err());
    assert_eq!(access.list().unwrap().len(), 1);
}
