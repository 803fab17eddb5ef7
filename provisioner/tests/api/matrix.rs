// SPDX-License-Identifier: Apache-2.0
//! Every route by every caller, in its racks and outside them. What comes out is the table of the guide.

use crate::world::{Caller, Key, World, racked_site};
use groundstate_api::site_parts::Role;
use groundstate_api::{Digest, PlanId};
use prov_core::access::Object;
use prov_core::{Route, Who};
use provisioner::pki::ProvenKey;
use std::fmt::Write as _;
use std::path::Path;

const BEGINS: &str = "<!-- matrix: made by a test; UPDATE_EXPECT=1 writes it -->\n";
const ENDS: &str = "<!-- end of matrix -->\n";

/// Rows whose routes are not served: each is 404 for everybody.
const NOT_SERVED: &[&str] = &[];

#[test]
fn every_route_by_every_caller_is_what_the_guide_says() {
    let world = World::with_site(racked_site());
    let callers = callers(&world);
    let bound: Vec<Caller> = Role::ALL
        .iter()
        .map(|role| world.client(*role, "bound"))
        .collect();
    let mut table = String::from("| Route | Object |");
    for (name, _) in &callers {
        write!(table, " {name} |").unwrap();
    }
    table += "\n|---|---|";
    table += &"---|".repeat(callers.len());
    table.push('\n');
    for row in Route::ALL {
        if NOT_SERVED.contains(&row.path) {
            let admin = &callers.last().unwrap().1;
            assert_eq!(call(admin, row, "node-1"), 404, "{} is served", row.path);
            continue;
        }
        write!(
            table,
            "| `{} {}` | {} |",
            row.method,
            row.path,
            row.object.says()
        )
        .unwrap();
        for (name, caller) in &callers {
            let through = passes(caller, row, "node-1");
            table += if through { " x |" } else { "  |" };
            let role = Role::ALL.into_iter().find(|role| role.as_str() == *name);
            let expected = match role {
                Some(role) => row.who.roles().has(role),
                None => by_certificate(row.who, name),
            };
            assert_eq!(through, expected, "{name} {} {}", row.method, row.path);
        }
        table.push('\n');
        for (role, caller) in Role::ALL.into_iter().zip(&bound) {
            let (here, there) = (passes(caller, row, "node-1"), passes(caller, row, "node-2"));
            let may = row.who == Who::Anyone || row.who.roles().has(role);
            let (in_rack, outside) = match row.object {
                Object::Node => (may, false),
                Object::Site => (false, false),
                Object::Nothing | Object::Each | Object::Own => (may, may),
            };
            let what = format!(
                "{} bound to a rack: {} {}",
                role.as_str(),
                row.method,
                row.path
            );
            assert_eq!((here, there), (in_rack, outside), "{what}");
        }
    }
    compare(&table);
}

fn by_certificate(who: Who, name: &str) -> bool {
    match who {
        Who::Anyone => true,
        Who::Node | Who::NodeOr(_) => name == "node",
        Who::Host => name == "host",
        Who::Roles(_) => false,
    }
}

fn callers(world: &World) -> Vec<(&'static str, Caller)> {
    let key = Key::new();
    let proven = ProvenKey::from_csr(&key.csr()).unwrap();
    let node = "node-1".parse().unwrap();
    let plan: PlanId = Digest::of(b"p").hex().parse().unwrap();
    let (as_node, _) = world.enrolled();
    let host = world.ours.pki().sign_host(&node, &plan, &proven).unwrap();
    let mut callers = vec![
        ("none", world.anyone()),
        ("node", as_node),
        ("host", world.with(&host, &key)),
    ];
    for role in Role::ALL {
        callers.push((role.as_str(), world.client(role, "ana")));
    }
    callers
}

/// Whether the gate lets the call through. An empty body is refused by the handlers that want one, after the gate.
fn passes(caller: &Caller, row: &Route, node: &str) -> bool {
    call(caller, row, node) != 403
}

fn call(caller: &Caller, row: &Route, node: &str) -> u16 {
    let path = row
        .path
        .replace("{node}", node)
        .replace("{digest}", &Digest::of(b"x").hex())
        .replace("{version}", "1")
        .replace("{action}", "999999")
        .replace("{mac}", "52:54:00:00:00:99");
    // What would change the nodes is refused for its body.
    let body = if row.method == "GET" { "" } else { "[]" };
    let json = [("content-type", "application/json")];
    let (answer, _) = caller.call(row.method, &path, &json, body);
    answer.status
}

/// Compares with the guide, or writes it there.
fn compare(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let guide = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = guide.split_once(BEGINS).unwrap();
    let (said, after) = rest.split_once(ENDS).unwrap();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, format!("{before}{BEGINS}{table}{ENDS}{after}")).unwrap();
    } else {
        assert_eq!(said, table, "docs/api.md: UPDATE_EXPECT=1 writes it");
    }
}
