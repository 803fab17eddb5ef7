// SPDX-License-Identifier: Apache-2.0
//! What hosts get of their own: the node's before the policy's, what a plan of the site says of it, and what differs on hosts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that unwraps what is not there has failed"
)]

use groundstate_api::customise::{FileFs, PlannedContent, PlannedFile};
use groundstate_api::image::{ImageKind, ImageRef};
use groundstate_api::site::Site;
use groundstate_api::template::Field;
use groundstate_api::{Bytes, Digest, RunId};
use prov_core::custom::{Fields, merged};
use prov_core::{drift, site_check, site_diff};

const SITE: &str = r##"
name = "lab"
[network]
address = "10.0.0.1"
prefix = 24
pool_first = "10.0.0.100"
pool_last = "10.0.0.200"
router = "10.0.0.254"
dns = ["10.0.0.53", "10.0.0.54"]
[policy]
image = "debian"
hand_over = "kexec"
[[policy.file]]
path = "/etc/motd"
content = "all"
[[policy.file]]
path = "/etc/keep"
content = "kept\n\ttab ${HOME}\n"
[[policy.credential]]
name = "token"
from = "token-all"
[policy.nocloud]
user_data = { content = "#cloud-config\n" }
network_config = { content = "version: 2\n" }
[[rack]]
name = "r1"
[[node]]
name = "n1"
mac = "52:54:00:00:00:01"
uuid = "564d1234-5678-9abc-def0-000000000001"
serial = "S1"
[node.slot]
rack = "r1"
unit = 7
[[node.file]]
path = "/etc/motd"
template = "${node.name} in ${node.rack}/${node.unit} of ${site.name}: ${network.dns}, ${image.version}, ${run.id}"
[[node.credential]]
name = "token"
from = "token-n1"
[node.nocloud]
user_data = { content = "#cloud-config\nhostname: n1\n" }
"##;

fn site(text: &str) -> Site {
    toml::from_str(text).unwrap()
}

#[test]
fn the_site_has_no_fault_and_a_nodes_own_comes_before_the_policys() {
    let site = site(SITE);
    let faults: Vec<String> = site_check::check(&site)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let got = merged(&site.policy, &site.nodes[0]);
    let paths: Vec<&str> = got.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["/etc/keep", "/etc/motd"]);
    assert!(got.files[1].template.is_some());
    assert_eq!(got.credentials.len(), 1);
    assert_eq!(got.credentials[0].from, "token-n1");
    let texts: Vec<(&str, &str)> = got
        .nocloud
        .iter()
        .map(|(key, text)| (*key, text.content.as_deref().unwrap()))
        .collect();
    assert_eq!(
        texts,
        [
            ("network_config", "version: 2\n"),
            ("user_data", "#cloud-config\nhostname: n1\n")
        ]
    );
}

#[test]
fn every_field_has_the_value_of_its_name_or_none() {
    let site = site(SITE);
    let run: RunId = "run-1".parse().unwrap();
    let image = ImageRef {
        name: "debian".into(),
        version: "13".into(),
        kind: ImageKind::RootFsExt4,
        manifest: Digest::of(b"m"),
        size: Bytes::gib(1),
        sector_size: 512,
        whole: None,
    };
    let fields = Fields::of_run(&site.name, &site.network, &site.nodes[0], &run, &image);
    let all: Vec<String> = Field::ALL
        .iter()
        .map(|field| {
            format!(
                "{}={}",
                field.as_str(),
                fields.get(*field).unwrap_or_default()
            )
        })
        .collect();
    assert_eq!(
        all,
        [
            "node.name=n1",
            "node.mac=52:54:00:00:00:01",
            "node.uuid=564d1234-5678-9abc-def0-000000000001",
            "node.serial=S1",
            "node.rack=r1",
            "node.unit=7",
            "node.bay=",
            "node.port=",
            "node.profile=",
            "node.bmc.address=",
            "site.name=lab",
            "network.address=10.0.0.1",
            "network.prefix=24",
            "network.router=10.0.0.254",
            "network.dns=10.0.0.53, 10.0.0.54",
            "image.name=debian",
            "image.version=13",
            "run.id=run-1",
        ]
    );
    let before = Fields::of_site(&site, &site.nodes[0]);
    assert!(before.may_have(Field::Run) && !before.may_have(Field::NodeBay));
}

#[test]
fn a_plan_of_the_site_says_how_many_files_and_credentials_differ_and_shows_no_text() {
    let old = site(SITE);
    let new = site(
        &SITE
            .replace(
                "content = \"all\"",
                "content = \"everybody in here\"\nmode = \"0600\"",
            )
            .replace("kept\\n", "kept otherwise\\n")
            .replace("token-n1", "token-n2")
            .replace("hostname: n1", "hostname: other"),
    );
    let plan = site_diff::plan(Some((4, &old)), &new, None).unwrap();
    let seen: Vec<(String, String)> = plan
        .changes
        .iter()
        .map(|change| (change.resource.clone(), change.effect.clone()))
        .collect();
    let next = "from the next run of each node on; until then nothing on its disks changes";
    let own = "from its next run on; until then nothing on its disks changes";
    assert_eq!(
        seen,
        [
            ("policy.file".to_string(), format!("2 files: {next}")),
            (
                "node n1".to_string(),
                format!("1 file and 1 credential: {own}")
            ),
        ]
    );
    let lines = plan.lines().collect::<Vec<_>>().join("\n");
    assert!(
        lines.contains("policy.file[/etc/motd].mode (nothing) -> 0600"),
        "{lines}"
    );
    assert!(
        lines.contains("policy.file[/etc/motd].content 3 bytes, "),
        "{lines}"
    );
    assert!(
        !lines.contains("everybody") && !lines.contains("hostname"),
        "{lines}"
    );
}

#[test]
fn a_host_that_was_made_with_other_files_differs_and_one_with_the_same_does_not() {
    let file = |path: &str, text: &str| PlannedFile {
        partition: 0,
        fs: FileFs::Ext4,
        path: path.into(),
        mode: 0o644,
        owner: 0,
        group: 0,
        folder_mode: 0o755,
        content: PlannedContent::Inline { text: text.into() },
    };
    let id = "n1".parse().unwrap();
    let (a, b) = (file("/a", "1"), file("/b", "2"));
    let made = [a.clone(), b.clone()];
    assert_eq!(
        drift::of_files(&id, Ok(&[b.clone(), a.clone()]), &made),
        None
    );
    let wanted = [a.clone(), file("/b", "other"), file("/c", "")];
    let differs = drift::of_files(&id, Ok(&wanted), &made).unwrap();
    assert_eq!(differs.what, "files");
    assert!(differs.wanted.starts_with("/b (5 bytes, "), "{differs:?}");
    assert!(differs.wanted.contains("/c (0 bytes"), "{differs:?}");
    assert!(differs.seen.starts_with("/b (1 bytes, "), "{differs:?}");
    assert!(!differs.seen.contains("/a"), "{differs:?}");
    let gone = drift::of_files(&id, Ok(&[]), &made[..1]).unwrap();
    assert_eq!(gone.wanted, "nothing there");
}
