// SPDX-License-Identifier: Apache-2.0
//! What hosts get of their own over the wire: sent with the site, planned, fetched by the node, and nowhere else. A secret's
//! bytes are found in no file of the state directory but its own, in no answer and in no event.

use crate::way::{instruction, planned, progress};
use crate::world::{Caller, IMAGE_GUID, World, inventory, site};
use groundstate_api::customise::{
    CredentialRule, FileRule, NoCloud, PlannedContent, PlannedFile, TextSource,
};
use groundstate_api::plan::{Plan, Step};
use groundstate_api::run::Instruction;
use groundstate_api::site::Site;
use groundstate_api::{Bytes, Digest, ReasonCode};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A secret with bytes that are no text.
const SECRET: &[u8] = b"-----BEGIN-----\nq7Zp-very-secret-q7Zp\n\xff\xfe-----END-----\n";
/// Three pieces of it that would show it, whatever stands around: as it is, and as base64 at each place of three.
const SHOWS: [&str; 4] = [
    "very-secret",
    "dmVyeS1zZWNyZXQ",
    "Zlcnktc2VjcmV0",
    "ZXJ5LXNlY3JldC",
];

fn text(path: &str, content: &str) -> FileRule {
    FileRule {
        path: path.to_owned(),
        content: Some(content.to_owned()),
        ..FileRule::default()
    }
}

fn file(path: &str, bytes: &[u8]) -> FileRule {
    FileRule {
        path: path.to_owned(),
        from: Some("motd.bin".to_owned()),
        sha256: Some(Digest::of(bytes)),
        size: Some(Bytes(u64::try_from(bytes.len()).unwrap())),
        ..FileRule::default()
    }
}

/// A site whose policy has files, a seed and a credential, and whose first node has its own.
fn custom() -> Site {
    let mut site = site();
    site.policy.files = vec![
        text("/etc/motd", "of the policy\n"),
        FileRule {
            template: Some("${node.name} ${node.mac} $${x} ${image.version}\n".into()),
            path: "/etc/issue".into(),
            mode: Some("0600".into()),
            owner: 7,
            group: 8,
            ..FileRule::default()
        },
        text("/etc/large", &"0123456789abcdef".repeat(100)),
    ];
    site.policy.nocloud = Some(Box::new(NoCloud {
        user_data: Some(TextSource {
            content: Some("#cloud-config\n{}\n".into()),
            ..TextSource::default()
        }),
        ..NoCloud::default()
    }));
    site.policy.credentials = vec![CredentialRule {
        name: "db.password".into(),
        from: "db-1".into(),
    }];
    site.nodes[0].files = vec![text("/etc/motd", "of the node\n")];
    site
}

fn put_secret(world: &World) {
    let folder = world.dir.path().join("host-credentials");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("db-1"), SECRET).unwrap();
    fs::set_permissions(folder.join("db-1"), fs::Permissions::from_mode(0o600)).unwrap();
}

fn named<'a>(plan: &'a Plan, path: &str) -> &'a PlannedFile {
    let found = plan.files.iter().find(|file| file.path == path);
    found.unwrap_or_else(|| panic!("{path} is not in {:?}", plan.files))
}

fn inline(plan: &Plan, path: &str) -> String {
    match &named(plan, path).content {
        PlannedContent::Inline { text } => text.clone(),
        other => panic!("{path}: {other:?}"),
    }
}

fn stored(plan: &Plan, path: &str) -> Digest {
    match &named(plan, path).content {
        PlannedContent::Stored { digest, .. } => *digest,
        other => panic!("{path}: {other:?}"),
    }
}

fn begin_first_boot(node: &Caller, run: &str) {
    for (number, step) in (1u64..).step_by(2).zip(Step::ALL) {
        progress(node, run, number, step, &json!({"state": "started"}));
        if step == Step::FirstBoot {
            return;
        }
        let done = json!({"state": "done", "facts": []});
        progress(node, run, number + 1, step, &done);
    }
}

fn base64_of(answer: &Value) -> &str {
    answer["base64"].as_str().unwrap()
}

#[test]
fn a_plan_has_the_nodes_files_before_the_policys_and_a_node_fetches_what_is_not_in_it() {
    let world = World::with_site(custom());
    put_secret(&world);
    let (node, run) = world.enrolled();
    let plan = planned(&node, &run);
    assert_eq!(inline(&plan, "/etc/motd"), "of the node\n");
    let issue = named(&plan, "/etc/issue");
    assert_eq!(
        inline(&plan, "/etc/issue"),
        "node-1 52:54:00:00:00:01 ${x} 12.1\n"
    );
    assert_eq!((issue.mode, issue.owner, issue.group), (0o600, 7, 8));
    let seed = "/var/lib/cloud/seed/nocloud";
    assert_eq!(
        inline(&plan, &format!("{seed}/user-data")),
        "#cloud-config\n{}\n"
    );
    assert_eq!(
        inline(&plan, &format!("{seed}/meta-data")),
        format!("instance-id: gs-{run}\nlocal-hostname: node-1\n")
    );
    let credential = named(&plan, "/etc/credstore/db.password");
    assert_eq!((credential.mode, credential.folder_mode), (0o600, 0o700));
    assert!(credential.is_secret());
    // What is too large for a plan is kept beside it, and given to this node only.
    let large = stored(&plan, "/etc/large");
    let path = format!("/v1/run/files/{}", large.hex());
    let answer = node.get(&path).ok();
    assert!(base64_of(&answer).starts_with("MDEyMzQ1Njc4OWFiY2RlZjAx"));
    world.operator().get(&path).problem(403);
    world.anyone().get(&path).problem(403);
    let other = Digest::of(b"something else").hex();
    node.get(&format!("/v1/run/files/{other}")).problem(404);
    node.get("/v1/run/files/nonsense").problem(400);
    assert_eq!(plan.files.len(), 6);
}

/// Everything below a folder, but for the secret itself.
fn each_file(folder: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file(&path, look);
        } else if !path.ends_with("host-credentials/db-1") {
            look(&path, &fs::read(&path).unwrap_or_default());
        }
    }
}

fn hides(what: &str, bytes: &[u8]) {
    let seen = String::from_utf8_lossy(bytes);
    for piece in SHOWS {
        assert!(!seen.contains(piece), "{what} shows the secret: {piece}");
    }
    let digest = Digest::of(SECRET).hex();
    assert!(!seen.contains(&digest), "{what} has the secret's digest");
}

/// All that the provisioner logs, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_secret_is_given_to_its_node_in_its_step_and_is_nowhere_else() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // Another test of this process may have been first; then that one's log is looked into by it.
    let is_ours = tracing::subscriber::set_global_default(subscriber).is_ok();
    let world = World::with_site(custom());
    put_secret(&world);
    let (node, run) = world.enrolled();
    planned(&node, &run);
    let path = "/v1/run/credentials/db-1";
    // Not before the step, not another one, and to nobody else. A report may still be on its way: the node asks again.
    node.get(path).problem(503);
    begin_first_boot(&node, &run);
    let answer = node.get(path).ok();
    let base64 = base64_of(&answer).to_owned();
    assert!(
        SHOWS.iter().any(|piece| base64.contains(piece)),
        "what shows the secret is not looked for: {base64}"
    );
    node.get("/v1/run/credentials/db-2").problem(404);
    node.get("/v1/run/credentials/..%2f..%2fjournal.db")
        .problem(404);
    world.operator().get(path).problem(403);
    world.anyone().get(path).problem(403);
    let facts = json!({"state": "done", "facts": ["put into the file system: /etc/credstore/db.password (a secret, mode 0600)"]});
    progress(&node, &run, 200, Step::FirstBoot, &facts);
    node.get(path).problem(403);

    let operator = world.operator();
    for path in [
        "/v1/events?after=0",
        "/v1/nodes",
        "/v1/nodes/node-1",
        "/v1/nodes/node-1/plan",
        "/v1/nodes/node-1/plan-preview",
        "/v1/site",
        "/v1/site/drift",
        "/v1/audit",
        "/v1/fleet",
        groundstate_api::paths::OPENAPI,
        groundstate_api::paths::METRICS,
    ] {
        hides(path, operator.get(path).ok_text().as_bytes());
    }
    hides("the page", world.page("/").as_bytes());
    hides("the node's page", world.page("/nodes/node-1").as_bytes());
    let mut files = 0;
    each_file(world.dir.path(), &mut |path, bytes| {
        hides(&path.display().to_string(), bytes);
        files += 1;
    });
    let logged = log.0.lock().unwrap().clone();
    assert_eq!(is_ours, !logged.is_empty());
    hides("the log", &logged);
    assert!(files > 3, "the journal and the certificates are there");
}

#[test]
fn a_secret_that_is_not_there_holds_the_node_before_any_disk_is_touched() {
    let world = World::with_site(custom());
    let (node, run) = world.enrolled();
    node.post(
        "/v1/run/inventory",
        &json!({"run": run, "inventory": inventory()}),
    )
    .ok();
    let Instruction::Hold { reason } = instruction(&node) else {
        panic!("it is not held");
    };
    assert_eq!(reason.code, ReasonCode::CredentialMissing);
    assert!(reason.lines().join(" ").contains("db-1"), "{reason}");
}

#[test]
fn a_site_whose_files_nobody_sent_is_refused_and_one_whose_files_were_is_taken() {
    let world = World::new();
    let operator = world.operator();
    let bytes = b"\x00\x01 a file beside the site file\n";
    let mut wanted = site();
    wanted.policy.files = vec![file("/etc/motd.bin", bytes)];
    let body = serde_json::to_value(&wanted).unwrap();
    let refused = operator.put("/v1/site", Some("*"), &body).problem(400);
    let said = refused.reason.lines().join(" ");
    assert!(
        said.contains("motd.bin") && said.contains("groundstate apply"),
        "{said}"
    );
    let digest = Digest::of(bytes).hex();
    let path = format!("/v1/site/files/{digest}");
    let base64 = "AAEgYSBmaWxlIGJlc2lkZSB0aGUgc2l0ZSBmaWxlCg==";
    // Bytes that are others, or not base64, are not kept under that name.
    for wrong in ["AAEgYSBmaWxl", "AAE", "%%%"] {
        let answer = operator.put(&path, None, &json!({"base64": wrong}));
        answer.problem(400);
    }
    for _ in 0..2 {
        let kept = operator.put(&path, None, &json!({"base64": base64}));
        assert_eq!(kept.status, 204, "{}", kept.text);
    }
    operator.put("/v1/site", Some("*"), &body).ok();
    let (node, run) = world.enrolled();
    let plan = planned(&node, &run);
    assert_eq!(stored(&plan, "/etc/motd.bin"), Digest::of(bytes));
    let answer = node.get(&format!("/v1/run/files/{digest}")).ok();
    assert_eq!(base64_of(&answer), base64);
}

#[test]
fn an_unattend_file_without_a_place_is_refused_when_it_is_planned() {
    let mut wanted = site();
    wanted.nodes[0].unattend = Some(Box::new(TextSource {
        content: Some("<unattend/>\n".into()),
        ..TextSource::default()
    }));
    let world = World::with_site(wanted);
    let (node, run) = world.enrolled();
    node.post(
        "/v1/run/inventory",
        &json!({"run": run, "inventory": inventory()}),
    )
    .ok();
    let Instruction::Hold { reason } = instruction(&node) else {
        panic!("it is not held");
    };
    assert_eq!(reason.code, ReasonCode::PlanRefused);
    let said = reason.lines().join(" ");
    assert!(said.contains("unattend") && said.contains("FAT"), "{said}");
}

/// Held before there is a plan, wherever the file's bytes come from, and the preview says the same.
#[test]
fn a_file_that_names_a_guid_of_the_image_is_refused_before_there_is_a_plan() {
    let line = format!("PARTUUID={} /boot ext4\n", IMAGE_GUID.to_uppercase());
    let of = |change: &dyn Fn(&mut Site)| {
        let mut wanted = site();
        change(&mut wanted);
        let world = World::with_site(wanted);
        fs::create_dir_all(world.dir.path().join("host-credentials")).unwrap();
        let secret = world.dir.path().join("host-credentials/db-1");
        fs::write(&secret, &line).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let (node, run) = world.enrolled();
        let report = json!({"run": run, "inventory": inventory()});
        node.post("/v1/run/inventory", &report).ok();
        let Instruction::Hold { reason } = instruction(&node) else {
            panic!("it is not held");
        };
        assert_eq!(reason.code, ReasonCode::PlanRefused);
        let operator = world.operator();
        operator.get("/v1/nodes/node-1/plan").problem(404);
        let preview = operator.get("/v1/nodes/node-1/plan-preview");
        let preview = preview.text;
        for said in [reason.lines().join(" "), preview] {
            assert!(
                said.contains(IMAGE_GUID) && said.contains("UUID= or LABEL="),
                "{said}"
            );
            assert!(!said.contains("/boot ext4"), "{said}");
        }
    };
    of(&|site| site.policy.files = vec![text("/etc/fstab", &line)]);
    // Too large for the plan itself.
    let large = "# nothing\n".repeat(500) + &line;
    of(&|site| site.nodes[0].files = vec![text("/etc/fstab", &large)]);
    of(&|site| {
        site.policy.credentials = vec![CredentialRule {
            name: "fstab".into(),
            from: "db-1".into(),
        }];
    });
    // The name of another disk's partition is nobody's business.
    let mut wanted = site();
    let other = IMAGE_GUID.replace('5', "6");
    wanted.policy.files = vec![text(
        "/etc/fstab",
        &format!("PARTUUID={other} /boot ext4\n"),
    )];
    let world = World::with_site(wanted);
    let (node, run) = world.enrolled();
    planned(&node, &run);
}
