// SPDX-License-Identifier: Apache-2.0
//! Credentials that a site names are looked for before something needs them: what is missing is told with where it was looked
//! for, a webhook that could sign nothing is refused, and what they hold is in no answer.

use crate::world::{Caller, World, site};
use groundstate_api::customise::CredentialRule;
use groundstate_api::site::Site;
use groundstate_api::site_plan::SitePlan;
use groundstate_api::{Reason, ReasonCode};
use serde_json::json;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

const SECRET: &str = "root:never-shown";

fn with_bmc(mut site: Site) -> Site {
    let bmc = json!({"address": "127.0.0.9:1", "credential": "bmc-1"});
    site.nodes[0].bmc = serde_json::from_value(bmc).unwrap();
    site
}

fn with_hook(mut site: Site, credential: &str) -> Site {
    let hook = json!({"name": "pager", "url": "http://127.0.0.1:1/", "credential": credential});
    site.webhooks = vec![serde_json::from_value(hook).unwrap()];
    site
}

/// A credential of this world with these rights.
fn write(world: &World, name: &str, mode: u32) {
    let folder = world.dir.path().join("credentials");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), SECRET).unwrap();
    std::fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
}

fn plan(admin: &Caller, site: &Site) -> SitePlan {
    let answer = admin.put("/v1/site?dry_run=true", None, site);
    assert!(!answer.text.contains("never-shown"), "{}", answer.text);
    answer.read()
}

fn one(plan: &SitePlan) -> &Reason {
    let [reason] = &plan.warnings[..] else {
        panic!("{:?}", plan.warnings)
    };
    assert_eq!(reason.code, ReasonCode::CredentialMissing);
    reason
}

#[test]
fn a_bmcs_credential_is_missed_with_where_it_was_looked_for_and_the_site_is_applied() {
    let world = World::new();
    let admin = world.operator();
    let after = with_bmc(site());
    let said = one(&plan(&admin, &after)).to_string();
    let place = world.dir.path().join("credentials/bmc-1");
    for wants in [
        "bmc-1",
        "there is no file",
        place.to_str().unwrap(),
        "node-1",
        &format!(
            "write `user:password` in one line into {}, owned by",
            place.display()
        ),
        "mode 0600",
    ] {
        assert!(said.contains(wants), "{wants}: {said}");
    }
    // A machine without its BMC's credential works by asking a person: it does not stand in the way.
    let tag = admin.get("/v1/site").tag;
    let done: SitePlan = admin.put("/v1/site", tag.as_deref(), &after).read();
    assert_eq!(one(&done).to_string(), said);
    // It is told as long as it is so, also where nothing changes.
    let again = plan(&admin, &after);
    assert!(again.is_empty() && !again.warnings.is_empty());
    for (mode, wants) in [(0o644, "others may read it"), (0o640, "others may read it")] {
        write(&world, "bmc-1", mode);
        let said = one(&plan(&admin, &after)).to_string();
        assert!(
            said.contains(wants) && !said.contains("never-shown"),
            "{said}"
        );
    }
    write(&world, "bmc-1", 0o600);
    assert_eq!(plan(&admin, &after).warnings, []);
}

#[test]
fn what_opens_a_bmc_is_never_placed_on_a_host_and_the_plan_says_how_to_move_what_is_for_hosts() {
    let world = World::new();
    let admin = world.operator();
    write(&world, "bmc-1", 0o600);
    let rule = |from: &str| CredentialRule {
        name: "db".into(),
        from: from.into(),
    };
    let of_policy = |from: &str| {
        let mut site = with_bmc(site());
        site.policy.credentials = vec![rule(from)];
        site
    };
    let of_node = |from: &str| {
        let mut site = with_bmc(site());
        site.nodes[1].credentials = vec![rule(from)];
        site
    };
    let tag = admin.get("/v1/site").tag.unwrap();
    for wants in [of_policy("bmc-1"), of_node("bmc-1")] {
        let said = plan(&admin, &wants);
        let why = said
            .changes
            .iter()
            .find_map(|change| change.refused.clone());
        let why = why.unwrap();
        let moved = world.dir.path().join("host-credentials/bmc-1");
        assert!(
            why.contains("bmc-1")
                && why.contains(&format!(
                    "mv {}",
                    world.dir.path().join("credentials/bmc-1").display()
                )),
            "{why}"
        );
        assert!(why.contains(moved.to_str().unwrap()), "{why}");
        let refused = admin.put("/v1/site", Some(&tag), &wants).problem(409);
        assert_eq!(refused.reason.code, ReasonCode::SiteRefused);
    }
    assert_eq!(
        admin.get("/v1/site").tag.unwrap(),
        tag,
        "nothing was applied"
    );
    // One that is nowhere is missed, as before.
    assert!(!plan(&admin, &of_policy("db-1")).is_refused());
    // Once it lies where hosts' secrets lie, it is one, whatever else has its name.
    let folder = world.dir.path().join("host-credentials");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("bmc-1"), "for hosts").unwrap();
    std::fs::set_permissions(folder.join("bmc-1"), Permissions::from_mode(0o600)).unwrap();
    let done: SitePlan = admin.put("/v1/site", Some(&tag), &of_node("bmc-1")).read();
    assert_eq!(done.warnings, []);
    // A site that places it already is told, and goes on.
    std::fs::remove_file(folder.join("bmc-1")).unwrap();
    let mut more = of_node("bmc-1");
    more.policy.closed = false;
    let said = plan(&admin, &more);
    assert!(!said.is_refused());
    assert!(one(&said).next_step.contains("mv "), "{:?}", said.warnings);
    // What systemd hands over for hosts opens no BMC.
    let mut odd = with_bmc(site());
    if let Some(bmc) = &mut odd.nodes[0].bmc {
        bmc.credential = "host.db".into();
    }
    let answer = admin.put("/v1/site?dry_run=true", None, &odd).problem(400);
    assert!(
        answer.reason.to_string().contains("host.db"),
        "{}",
        answer.reason
    );
}

#[test]
fn a_webhook_that_could_sign_nothing_is_refused_until_its_credential_is_there() {
    let world = World::new();
    let admin = world.operator();
    let after = with_hook(site(), "pager-key");
    let said = plan(&admin, &after);
    assert!(said.is_refused());
    let why = said.changes[0].refused.clone().unwrap();
    assert!(why.contains("pager-key") && why.contains("0600"), "{why}");
    let tag = admin.get("/v1/site").tag.unwrap();
    let problem = admin.put("/v1/site", Some(&tag), &after).problem(409);
    assert_eq!(problem.reason.code, ReasonCode::SiteRefused);
    assert_eq!(
        admin.get("/v1/site").tag.unwrap(),
        tag,
        "nothing was applied"
    );
    write(&world, "pager-key", 0o644);
    assert!(plan(&admin, &after).is_refused(), "others may read it");
    write(&world, "pager-key", 0o600);
    assert!(!plan(&admin, &after).is_refused());
    let done: SitePlan = admin.put("/v1/site", Some(&tag), &after).read();
    assert_eq!(done.warnings, []);
    // Once it is there, its loss is told and keeps nobody from changing something else.
    std::fs::remove_file(world.dir.path().join("credentials/pager-key")).unwrap();
    let mut more = after.clone();
    more.policy.closed = false;
    let said = plan(&admin, &more);
    assert!(!said.is_refused());
    assert!(one(&said).to_string().contains("webhook pager"));
    // Another credential is another thing to sign with.
    assert!(plan(&admin, &with_hook(site(), "other")).is_refused());
    // A start is not refused for it: a provisioner that does not start heals nothing.
    let world = world.restart_as(more);
    assert!(world.ours.ready().ready);
}
