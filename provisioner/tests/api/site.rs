// SPDX-License-Identifier: Apache-2.0
//! The site over the wire: read, planned, applied by who says which one it replaces, and kept over a restart.

use crate::way::handed_over;
use crate::world::{World, site};
use groundstate_api::ReasonCode;
use groundstate_api::site::Site;
use groundstate_api::site_plan::{ChangeKind, SitePlan};
use serde_json::{Value, json};

fn tag(world: &World) -> String {
    let answer = world.operator().get("/v1/site");
    answer.tag.expect("a site has an entity tag")
}

fn third(site: &mut Site) {
    let mut node = site.nodes[1].clone();
    node.name = "node-3".parse().unwrap();
    node.mac = "52:54:00:00:00:03".parse().unwrap();
    node.uuid = crate::world::uuid(3);
    node.serial = "GS3".to_owned();
    site.nodes.push(node);
}

#[test]
fn a_site_is_read_planned_applied_and_kept() {
    let world = World::new();
    let operator = world.operator();
    let read: Site = operator.get("/v1/site").read();
    assert_eq!(read, site());
    let before = tag(&world);
    let mut other = site();
    third(&mut other);
    other.policy.image = "debian-host@stable".to_owned();
    let planned: SitePlan = operator.put("/v1/site?dry_run=true", None, &other).read();
    let lines: Vec<String> = planned.lines().collect();
    assert_eq!(
        lines,
        [
            "~ policy.image: debian-host -> debian-host@stable",
            "+ node node-3"
        ]
    );
    assert_eq!(tag(&world), before, "asking changes nothing");
    let refused = operator.put("/v1/site", None, &other).problem(428);
    assert_eq!(refused.reason.code, ReasonCode::Precondition);
    let refused = operator
        .put("/v1/site", Some("\"99\""), &other)
        .problem(412);
    assert_eq!(refused.reason.code, ReasonCode::Precondition);
    let done: SitePlan = operator.put("/v1/site", Some(&before), &other).read();
    assert_eq!(done, planned);
    assert_ne!(tag(&world), before);
    assert_eq!(
        operator.get("/v1/nodes/node-3").ok()["view"]["phase"],
        "enrolled"
    );
    // The same again changes nothing, and who read the site before is told that it is another one.
    operator.put("/v1/site", Some(&before), &other).problem(412);
    let same: SitePlan = operator.put("/v1/site", Some(&tag(&world)), &other).read();
    assert!(same.is_empty());
    let events = operator.get("/v1/events").ok_text();
    assert!(
        events.contains("site-applied") && events.contains("+ node node-3"),
        "{events}"
    );
    let after = tag(&world);
    let world = world.restart();
    assert_eq!(tag(&world), after);
    assert_eq!(world.operator().get("/v1/site").read::<Site>(), other);
}

#[test]
fn a_node_with_a_host_does_not_leave_and_nothing_else_is_applied_then() {
    let world = World::new();
    let (_plan, _host) = handed_over(&world);
    let mut other = site();
    other.nodes.remove(0);
    other.policy.closed = false;
    let planned: SitePlan = world
        .operator()
        .put("/v1/site?dry_run=true", None, &other)
        .read();
    assert!(planned.is_refused());
    let gone = planned.changes.last().unwrap();
    assert_eq!(
        (gone.resource.as_str(), gone.kind),
        ("node node-1", ChangeKind::Removed)
    );
    let problem = world
        .operator()
        .put("/v1/site", Some("*"), &other)
        .problem(409);
    assert_eq!(problem.reason.code, ReasonCode::SiteRefused);
    assert!(
        problem.reason.to_string().contains("node node-1"),
        "{}",
        problem.reason
    );
    assert_eq!(world.operator().get("/v1/site").read::<Site>(), site());
}

#[test]
fn an_edited_file_is_applied_at_the_start_and_says_what_it_changed() {
    let mut edited = site();
    third(&mut edited);
    let world = World::new();
    assert_eq!(world.ours.edited(), None, "the first start");
    let world = world.restart();
    assert_eq!(world.ours.edited(), None, "the same file");
    let world = world.restart_as(edited.clone());
    assert_eq!(world.ours.edited().unwrap(), ["+ node node-3"]);
    assert_eq!(world.ours.site_version(), 2);
    let events = world.operator().get("/v1/events").ok_text();
    assert!(events.contains("+ node node-3"), "{events}");
    // What is in force is written to the file, which then counts as applied: what comes after it is not undone.
    let mut other = edited.clone();
    other.policy.closed = false;
    world.operator().put("/v1/site", Some("*"), &other).ok();
    let world = world.restart_as(other.clone());
    assert!(world.ours.edited().unwrap().is_empty());
    // It changes nothing, so that a program's `If-Match` of before still fits.
    assert_eq!(world.ours.site_version(), 3);
    assert!(!world.ours.is_overtaken());
    let mut later = other.clone();
    later.policy.image = "debian-host@stable".to_owned();
    world.operator().put("/v1/site", Some("*"), &later).ok();
    let world = world.restart_as(other);
    assert_eq!(world.operator().get("/v1/site").read::<Site>(), later);
    assert_eq!((world.ours.site_version(), world.ours.edited()), (4, None));
    assert!(
        world.ours.is_overtaken(),
        "the file is not what is in force"
    );
}

#[test]
fn after_a_restart_the_certificate_is_for_the_address_of_the_site_in_force() {
    let world = World::new();
    let mut other = site();
    other.network.address = "127.0.0.2".parse().unwrap();
    world.operator().put("/v1/site", Some("*"), &other).ok();
    let world = world.restart();
    let pem = std::fs::read(world.pki("server.crt")).unwrap();
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let wanted = x509_parser::extensions::GeneralName::IPAddress(&[127, 0, 0, 2]);
    let names = &names.value.general_names;
    assert!(names.contains(&wanted), "{names:?}");
    assert_eq!(world.operator().get("/v1/site").read::<Site>(), other);
}

#[test]
fn an_edited_file_that_something_stands_in_the_way_of_stops_the_start() {
    let world = World::new();
    let (_plan, _host) = handed_over(&world);
    let mut without = site();
    without.nodes.remove(0);
    without.policy.closed = false;
    let said = world.refuses(without);
    for want in [
        "site file",
        "node node-1",
        "retire it first",
        // Nothing runs, so that nothing can be ordered yet.
        "start with the file of the last start, or put node node-1 back into this one; once groundstate runs,",
    ] {
        assert!(said.contains(want), "{want}: {said}");
    }
}

#[test]
fn faults_of_a_site_come_all_at_once_and_nothing_is_applied() {
    let world = World::new();
    let mut document = serde_json::to_value(site()).unwrap();
    document["network"]["prefix"] = json!(33);
    document["node"][0]["mac"] = json!("nowhere");
    document["node"][1]["serial"] = json!("a\nb");
    document["node"][1]["colour"] = json!("red");
    document["rack"] = json!([{"name": "${r1}"}]);
    let problem = world
        .operator()
        .put("/v1/site", Some("*"), &document)
        .problem(400);
    let said = problem.reason.to_string();
    for want in [
        "network.prefix: 33",
        "node[0].mac",
        "node[1].serial: it holds U+000A",
        "node[1].colour",
        "rack[0].name",
    ] {
        assert!(said.contains(want), "{want}: {said}");
    }
    for body in [
        json!([]),
        json!(null),
        json!({"name": {"a": []}}),
        json!({"node": [[[[[]]]]]}),
    ] {
        world
            .operator()
            .put("/v1/site", Some("*"), &body)
            .problem(400);
    }
    world
        .operator()
        .put("/v1/site?dry_run=perhaps", Some("*"), &site())
        .problem(400);
    assert_eq!(world.operator().get("/v1/site").read::<Site>(), site());
}

#[test]
fn nodes_and_strangers_do_not_read_or_change_the_site() {
    let world = World::new();
    let (node, _) = world.enrolled();
    for caller in [&node, &world.anyone()] {
        caller.get("/v1/site").problem(403);
        caller.put("/v1/site", Some("*"), &site()).problem(403);
        caller.get("/v1/site/drift").problem(403);
    }
}

#[test]
fn drift_names_what_the_machine_is_and_the_site_is_not() {
    let world = World::new();
    let operator = world.operator();
    let none: Value = operator.get("/v1/site/drift").ok();
    assert_eq!(none["drifts"], json!([]));
    let (_plan, _host) = handed_over(&world);
    let mut other = site();
    other.nodes[0].hardware = serde_json::from_value(json!({"disk": [{"serial": "Z9"}]})).unwrap();
    operator.put("/v1/site", Some("*"), &other).ok();
    let drift = operator.get("/v1/site/drift").ok();
    let first = &drift["drifts"][0];
    assert_eq!(first["node"], "node-1", "{drift}");
    assert!(first["what"].as_str().unwrap().contains("Z9"), "{drift}");
}

#[test]
fn an_image_that_no_run_would_get_is_told_by_a_plan_and_by_an_apply_and_stands_in_nobodys_way() {
    let world = World::new();
    let admin = world.operator();
    for (image, wants) in [
        (
            "nope",
            format!(
                "groundstate image import FILE --name nope --version VERSION --state-dir {}, then order again",
                world.dir.path().display()
            ),
        ),
        ("nope@stable", "nope@stable is not deployed".to_owned()),
    ] {
        let mut after = site();
        after.policy.image = image.to_owned();
        let planned: SitePlan = admin.put("/v1/site?dry_run=true", None, &after).read();
        let [told] = &planned.warnings[..] else {
            panic!("{image}: {:?}", planned.warnings)
        };
        let said = told.to_string();
        for wants in [wants.as_str(), "policy.image: runs are held for it"] {
            assert!(said.contains(wants), "{wants}: {said}");
        }
        let tag = admin.get("/v1/site").tag;
        let done: SitePlan = admin.put("/v1/site", tag.as_deref(), &after).read();
        assert_eq!(done.warnings, planned.warnings);
    }
    let planned: SitePlan = admin.put("/v1/site?dry_run=true", None, &site()).read();
    assert_eq!(planned.warnings, []);
}
