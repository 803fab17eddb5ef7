// SPDX-License-Identifier: Apache-2.0
//! An image of a whole disk is deployed, starts by its own boot loader, and is deployed again over itself: other tools accept
//! the disk, its GUIDs are its own, its last partition has the rest of the disk, and nobody is asked the second time.

use super::moved::over_the_image_before;
use super::{RUN, on, plan_of, ready, stage_plan};
use crate::command::{command, run, text};
use crate::demo;
use crate::layout::Layout;
use anyhow::{Context as _, Result, ensure};
use groundstate_api::boot::Firmware;
use groundstate_api::plan::{HandOver, Plan, Role};
use groundstate_api::units::MIB;
use groundstate_api::view::{NodeReport, Phase};
use groundstate_tests::rack::NodeSpec;
use groundstate_tests::stage::{Stage, ended};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Room for a kernel and an initrd.
const ESP_MIB: u64 = 64;
/// The partition of the EFI system in the image.
const ESP_AT: &str = "@@1M";

pub(super) fn twice(layout: &Layout) -> Result<()> {
    let mut plan = stage_plan(layout, "whole-disk", Firmware::UefiPxe, None, None)?;
    let image = image(layout)?;
    plan.image_store = import(layout, &image)?;
    let old = table_of(&image)?;
    fs::remove_file(&image).context("removing the image's bytes")?;
    let set = |plan| {
        Stage::set_with(
            plan,
            |index| NodeSpec::demo(index, Firmware::UefiPxe),
            |site| site.policy.disks.grow_image = Some(true),
        )
    };
    on(plan, set, |stage| {
        let first = plan_of(&ready(stage)?)?;
        ensure!(
            first.hand_over == HandOver::Reboot && first.image.whole.is_some(),
            "the plan: {first:?}"
        );
        stage.servers.operator().reprovision("node-1")?;
        let is_over = |report: &NodeReport| {
            ended(report) && plan_of(report).is_ok_and(|plan| plan.id != first.id)
        };
        let second = stage.watch(RUN, is_over, |_, _| Ok(()))?.remove(0);
        ensure!(
            second.view.phase == Phase::Ready,
            "the second run ended {}: {:?}",
            second.view.phase.as_str(),
            second.view.reason
        );
        let plan = plan_of(&second)?;
        over_the_image_before(&second, &first, &plan)?;
        let host = second.host.context("a Ready node has a host")?;
        ensure!(host.plan == plan.id, "the host is of plan {}", host.plan);
        stage.nodes[0].power_off();
        let disk = os_disk(stage, &plan)?;
        let said = text(command("sgdisk", ["-v"]).arg(&disk))?;
        ensure!(said.contains("No problems found"), "sgdisk -v: {said}");
        is_grown(&disk)?;
        let new = table_of(&disk)?;
        let planned = plan.disks.iter().find_map(|disk| disk.whole_disk());
        let (table, ..) = planned.context("a disk of the plan takes the image whole")?;
        ensure!(
            new.contains(&table.disk_guid) && new.iter().all(|guid| !old.contains(guid)),
            "GUIDs {old:?} -> {new:?}"
        );
        Ok(())
    })
}

fn os_disk(stage: &Stage, plan: &Plan) -> Result<PathBuf> {
    let os = plan.disks.iter().find(|disk| disk.role == Role::Os);
    let serial = &os.context("a plan has an OS disk")?.serial;
    let disks = stage.nodes[0].disks();
    let disk = disks.iter().find(|disk| disk.serial() == serial);
    Ok(disk
        .context("the node has the planned disk")?
        .path()
        .to_path_buf())
}

/// The root partition reaches to the last whole MiB that a table has for partitions.
fn is_grown(disk: &Path) -> Result<()> {
    let sectors = fs::metadata(disk)?.len() / 512;
    let said = text(command("sgdisk", ["-i", "2"]).arg(disk))?;
    let last = said
        .lines()
        .find_map(|line| line.strip_prefix("Last sector: "));
    let last = last.and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    let last = last.with_context(|| format!("sgdisk -i 2: {said}"))?;
    // The backup of a table takes 33 sectors.
    let end = (sectors - 33) * 512 / MIB * (MIB / 512);
    ensure!(last + 1 == end, "the root ends at {last}, not before {end}");
    Ok(())
}

/// The disk's GUID and those of its two partitions, as sgdisk tells them.
fn table_of(disk: &Path) -> Result<Vec<String>> {
    let mut guids = Vec::new();
    let said = [
        text(command("sgdisk", ["-p"]).arg(disk))?,
        text(command("sgdisk", ["-i", "1"]).arg(disk))?,
        text(command("sgdisk", ["-i", "2"]).arg(disk))?,
    ];
    for line in said.iter().flat_map(|one| one.lines()) {
        let rest = line
            .strip_prefix("Disk identifier (GUID): ")
            .or_else(|| line.strip_prefix("Partition unique GUID: "));
        guids.extend(rest.map(|guid| guid.trim().to_owned()));
    }
    ensure!(guids.len() == 3, "sgdisk tells {guids:?}");
    Ok(guids)
}

/// The demo's host as a disk that starts by itself: an EFI system partition with its own boot loader, kernel and initrd, and
/// the root file system.
fn image(layout: &Layout) -> Result<PathBuf> {
    let (host, folder) = (
        layout.host(),
        layout.made("scenarios").join("whole-disk-image"),
    );
    if folder.exists() {
        fs::remove_dir_all(&folder).context("removing the last image")?;
    }
    fs::create_dir_all(&folder)?;
    let (disk, root) = (folder.join("disk.raw"), host.join("root.ext4"));
    let length = fs::metadata(&root).context("the host image's root")?.len();
    let root_at = (1 + ESP_MIB) * MIB;
    File::create(&disk)?.set_len(root_at + length.next_multiple_of(MIB) + MIB)?;
    let esp = format!("-n1:2048:+{ESP_MIB}M");
    run(command("sgdisk", [esp.as_str(), "-t1:ef00", "-n2:0:0", "-c2:root"]).arg(&disk))?;
    let guid = table_of(&disk)?.pop().context("a partition has a GUID")?;
    let cmdline = fs::read_to_string(host.join("cmdline"))?;
    let entry = format!(
        "title host\nlinux /vmlinuz\ninitrd /initrd.img\noptions root=PARTUUID={} rw {}\n",
        guid.to_lowercase(),
        cmdline.trim()
    );
    fs::write(folder.join("host.conf"), entry)?;
    fs::write(folder.join("loader.conf"), "timeout 0\ndefault host.conf\n")?;
    let at = format!("{}{ESP_AT}", disk.display());
    let sectors = (ESP_MIB * MIB / 512).to_string();
    run(&mut command(
        "mformat",
        ["-i", &at, "-F", "-T", &sectors, "::"],
    ))?;
    let folders = ["::EFI", "::EFI/BOOT", "::loader", "::loader/entries"];
    run(command("mmd", ["-i", &at]).args(folders))?;
    for (file, to) in [
        (host.join("systemd-bootx64.efi"), "::EFI/BOOT/BOOTX64.EFI"),
        (host.join("vmlinuz"), "::vmlinuz"),
        (host.join("initrd.img"), "::initrd.img"),
        (folder.join("host.conf"), "::loader/entries/host.conf"),
        (folder.join("loader.conf"), "::loader/loader.conf"),
    ] {
        run(command("mcopy", ["-i", &at]).arg(file).arg(to))?;
    }
    let seek = format!("seek={}", root_at / MIB);
    run(
        command("dd", ["bs=1M", "conv=notrunc,sparse", "status=none", &seek])
            .arg(format!("if={}", root.display()))
            .arg(format!("of={}", disk.display())),
    )?;
    Ok(disk)
}

/// Imports it under the name that the site gives to nodes.
fn import(layout: &Layout, disk: &Path) -> Result<PathBuf> {
    let groundstate = demo::make_everything(layout)?.groundstate;
    let state = disk.with_file_name("state");
    let import = ["image", "import", "--format", "raw", "--kind", "whole-disk"];
    run(command(groundstate, import)
        .args([
            "--name",
            "debian-host",
            "--version",
            "whole-1",
            "--state-dir",
        ])
        .arg(&state)
        .arg(disk))?;
    Ok(state.join("images"))
}
