// SPDX-License-Identifier: Apache-2.0
//! A rescue: the machine is switched on by its BMC, boots the maintenance OS, and a person comes in with a key of the site file, and
//! with nothing else. The release closes the shell, and no disk was changed.

use super::HOST_BOOT;
use super::power::{healthy, is_switched, with_bmcs};
use crate::layout::Layout;
use anyhow::{Context as _, Result, ensure};
use groundstate_tests::rack::unchanged;
use groundstate_tests::stage::Stage;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How long the machine may take to hear of its release.
const RELEASED: Duration = Duration::from_secs(60);

pub(super) fn shell(layout: &Layout) -> Result<()> {
    let plan = with_bmcs(layout, "rescue")?;
    let keys = layout.made("scenarios").join("rescue-keys");
    if keys.exists() {
        fs::remove_dir_all(&keys)?;
    }
    fs::create_dir_all(&keys)?;
    for name in ["site", "stranger"] {
        make_key(&keys.join(name))?;
    }
    let public = fs::read_to_string(keys.join("site.pub"))?;
    let set = move |plan| {
        Stage::set_with(plan, healthy, |site| {
            site.rescue.keys = vec![public.trim().to_owned()];
        })
    };
    super::on(plan, set, |stage| {
        let before = stage.nodes[0].fingerprints()?;
        let operator = stage.servers.operator();
        operator.run(&["node", "rescue", "node-1", "--why", "a lost file", "--yes"])?;
        is_switched(stage, true)?;
        let line = stage.nodes[0].wait_for_whole_line("come in with: ssh root@", HOST_BOOT)?;
        let address = line
            .rsplit_once('@')
            .context("no address")?
            .1
            .trim()
            .to_owned();
        let line = stage.nodes[0].wait_for_whole_line("made in this boot: SHA256:", HOST_BOOT)?;
        let shown = line
            .rsplit_once("boot: ")
            .context("no fingerprint")?
            .1
            .trim();
        comes_in(&keys, &address, shown)?;
        let explained = stage
            .servers
            .operator()
            .run(&["node", "explain", "node-1"])?;
        ensure!(
            explained.contains(shown) && explained.contains(&address),
            "explain should say how to come in: {explained}"
        );
        let operator = stage.servers.operator();
        operator.run(&["node", "release", "node-1", "--why", "found", "--yes"])?;
        stage.nodes[0].wait_for_line("the shell is closed", HOST_BOOT)?;
        let until = Instant::now() + RELEASED;
        while ssh(&keys, "site", &address, "true")?.status.success() {
            ensure!(Instant::now() < until, "the shell is still open");
        }
        stage.nodes[0].power_off();
        let (same, disks) = unchanged(&before, &stage.nodes[0].fingerprints()?);
        ensure!(same == disks, "{} disks were changed", disks - same);
        Ok(())
    })
}

/// The site's key opens a shell of root, on this machine and no other; another key and a password open nothing.
fn comes_in(keys: &Path, address: &str, fingerprint: &str) -> Result<()> {
    let output = ssh(
        keys,
        "site",
        address,
        "id -u; cat /proc/1/comm; ls /dev/nvme0n1",
    )?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let trouble = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.success() && said.starts_with("0\ninit\n") && said.contains("nvme0n1"),
        "the shell said {said:?}, ssh said {trouble}"
    );
    let known = Command::new("ssh-keygen")
        .args(["-l", "-f"])
        .arg(keys.join("known_hosts"))
        .output()
        .context("running ssh-keygen")?;
    let known = String::from_utf8_lossy(&known.stdout).into_owned();
    ensure!(
        known.contains(fingerprint),
        "ssh met {known}, the screen shows {fingerprint}"
    );
    let stranger = ssh(keys, "stranger", address, "true")?;
    ensure!(!stranger.status.success(), "a key of nobody came in");
    let words = String::from_utf8_lossy(&stranger.stderr).into_owned();
    ensure!(
        words.contains("(publickey)"),
        "nothing but keys should be offered: {words}"
    );
    Ok(())
}

fn ssh(keys: &Path, key: &str, address: &str, command: &str) -> Result<Output> {
    let known = format!("UserKnownHostsFile={}", keys.join("known_hosts").display());
    Command::new("ssh")
        .args([
            "-F",
            "/dev/null",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
        ])
        .args([
            "-o",
            "StrictHostKeyChecking=accept-new",
            "-o",
            "ConnectTimeout=20",
        ])
        .args(["-o", &known, "-i"])
        .arg(keys.join(key))
        .arg(format!("root@{address}"))
        .arg(command)
        .output()
        .context("running ssh")
}

fn make_key(file: &Path) -> Result<()> {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "scenario", "-f"])
        .arg(file)
        .status()
        .context("running ssh-keygen")?;
    ensure!(made.success(), "ssh-keygen: {made}");
    Ok(())
}
