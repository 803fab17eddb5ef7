// SPDX-License-Identifier: Apache-2.0
//! What a host gets of its own: put by the node, read by debugfs on the disk, and read by systemd and cloud-init's rules on the
//! host itself.

use crate::command::{command, text};
use anyhow::{Context as _, Result, ensure};
use groundstate_api::Digest;
use groundstate_api::customise::{
    CredentialRule, FileRule, NoCloud, PlannedContent, PlannedFile, TextSource,
};
use groundstate_api::plan::{DiskAction, PartitionContents, PartitionPlan, Plan};
use groundstate_api::site::Site;
use groundstate_tests::stage::Stage;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What the host's console shows when its services have their credential.
const ON_CONSOLE: &str = "groundstate: own files: ";
/// The secret, with bytes that are no text.
const SECRET: &[u8] = b"demo secret\n\xff\x00 of two lines\n";
/// A file beside the site file, larger than what a plan holds itself.
const BESIDE: usize = 300_000;
/// A service with the credential says on the console what it sees. The agent's own unit gets none: systemd gives a service
/// with credentials its own view of mounts, and the agent mounts volumes for everybody.
const SERVICE: &str = r#"[Service]
Type=oneshot
LoadCredential=demo.token
ExecStart=/bin/sh -c 'echo "groundstate: own files: $$(stat -c %%a:%%u:%%g /etc/own/issue) $$(stat -c %%a /etc/credstore/demo.token) $$(sha256sum < $${CREDENTIALS_DIRECTORY}/demo.token | cut -c1-64) $$(cat /etc/own/issue)" > /dev/console'
"#;
/// The agent's unit has it started first.
const DROP_IN: &str = "[Unit]\nWants=own-files.service\nAfter=own-files.service\n";

/// Writes files of every kind into the site, and beside its file.
pub(super) fn put(site: &mut Site, folder: &Path) -> Result<()> {
    let bytes: Vec<u8> = (0..BESIDE)
        .map(|at| u8::try_from(at * 7 % 251).unwrap_or(0))
        .collect();
    fs::write(folder.join("own.bin"), &bytes).context("writing a file beside the site file")?;
    let secrets = folder.join("state/host-credentials");
    fs::create_dir_all(&secrets).context("making the credentials directory")?;
    let secret = secrets.join("demo-token");
    fs::write(&secret, SECRET).context("writing the secret")?;
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).context("closing the secret")?;
    let file = |path: &str| FileRule {
        path: path.to_owned(),
        ..FileRule::default()
    };
    site.policy.files = vec![
        FileRule {
            content: Some("of the policy\n".to_owned()),
            ..file("/etc/own/issue")
        },
        FileRule {
            content: Some(SERVICE.to_owned()),
            ..file("/etc/systemd/system/own-files.service")
        },
        FileRule {
            content: Some(DROP_IN.to_owned()),
            ..file("/etc/systemd/system/host-agent.service.d/own-files.conf")
        },
        FileRule {
            from: Some("own.bin".to_owned()),
            mode: Some("0750".to_owned()),
            ..file("/usr/local/lib/own/own.bin")
        },
    ];
    site.policy.nocloud = Some(Box::new(NoCloud {
        user_data: Some(TextSource {
            template: Some("#cloud-config\nfqdn: ${node.name}.example.net\n".to_owned()),
            ..TextSource::default()
        }),
        ..NoCloud::default()
    }));
    site.policy.credentials = vec![CredentialRule {
        name: "demo.token".to_owned(),
        from: "demo-token".to_owned(),
    }];
    for node in &mut site.nodes {
        node.files = vec![FileRule {
            template: Some("this is ${node.name} ${node.mac}".to_owned()),
            mode: Some("0640".to_owned()),
            owner: 3,
            group: 4,
            ..file("/etc/own/issue")
        }];
    }
    Ok(())
}

/// The host has said on its console what it found. The node is on.
pub(super) fn seen_by_the_host(stage: &mut Stage) -> Result<()> {
    let node = stage.nodes.first_mut().context("there is a node")?;
    let wanted = format!(
        "{ON_CONSOLE}640:3:4 600 {} this is node-1 {}",
        Digest::of(SECRET).hex(),
        node.spec().mac
    );
    let log = fs::read_to_string(node.serial_log().path()).context("reading the console")?;
    ensure!(log.contains(&wanted), "the console does not say {wanted:?}");
    Ok(())
}

/// debugfs finds every file of the plan on the disk, with its bytes, permissions and owner. The node is off.
pub(super) fn lie_on_the_disk(stage: &Stage, plan: &Plan) -> Result<()> {
    ensure!(plan.files.len() == 7, "the plan has {:?}", plan.files);
    let root = plan.disks.iter().find_map(|disk| {
        let (DiskAction::Wipe { table, .. } | DiskAction::Renew { table, .. }) = &disk.action
        else {
            return None;
        };
        let is_root = |one: &&PartitionPlan| matches!(one.holds, PartitionContents::Root);
        Some((disk, table.partitions.iter().find(is_root)?))
    });
    let (disk, root) = root.context("the plan has a root partition")?;
    let images = stage.nodes.first().context("there is a node")?.disks();
    let image = images.iter().find(|image| image.serial() == disk.serial);
    let image = image.context("the rack has the OS disk")?.path();
    let at = format!("{}?offset={}", image.display(), root.start.0);
    for file in &plan.files {
        on_disk(&at, file, &stage.folder)?;
    }
    Ok(())
}

fn on_disk(at: &str, file: &PlannedFile, folder: &Path) -> Result<()> {
    let copy = folder.join("own-file");
    let ask = |what: &str| text(command("debugfs", ["-R", what]).arg(at));
    ask(&format!("dump {} {}", file.path, copy.display()))?;
    let bytes = fs::read(&copy).with_context(|| format!("{} is not on the disk", file.path))?;
    fs::remove_file(&copy).context("removing a copy")?;
    let wanted = match &file.content {
        PlannedContent::Inline { text } => Digest::of(text.as_bytes()),
        PlannedContent::Stored { digest, .. } => *digest,
        PlannedContent::Credential { .. } => Digest::of(SECRET),
    };
    ensure!(
        Digest::of(&bytes) == wanted,
        "{} has other bytes: {} of them",
        file.path,
        bytes.len()
    );
    let said = ask(&format!("stat {}", file.path))?;
    let words: Vec<&str> = said.split_whitespace().collect();
    let value = |key: &str| {
        let at = words.iter().position(|word| *word == key)?;
        words.get(at + 1).copied()
    };
    let found = (value("Mode:"), value("User:"), value("Group:"));
    let mode = format!("{:04o}", file.mode);
    let (owner, group) = (file.owner.to_string(), file.group.to_string());
    ensure!(
        found
            == (
                Some(mode.as_str()),
                Some(owner.as_str()),
                Some(group.as_str())
            ),
        "{} is {found:?}",
        file.path
    );
    Ok(())
}
