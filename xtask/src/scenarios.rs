// SPDX-License-Identifier: Apache-2.0
//! The virtual boots of `cargo xtask test`: few, and each covers much.
//!
//! Each runs on a thread of its own, since a rack's network belongs to the thread that made it.

mod beside_os;
mod breaks;
mod clients;
mod erase;
mod examine;
mod moved;
mod own_files;
mod power;
mod power_cuts;
mod proof;
mod rebuild;
mod rescue;
mod secure_boot;
mod whole_disk;

use crate::demo::{self, Made};
use crate::layout::Layout;
use crate::progress::note;
use anyhow::{Context as _, Result, bail, ensure};
use groundstate_api::boot::Firmware;
use groundstate_api::event::Happened;
use groundstate_api::host::Change;
use groundstate_api::plan::{HandOver, Plan};
use groundstate_api::view::{NodeReport, Phase};
use groundstate_api::{BootId, Bytes};
use groundstate_tests::rack::{Fault, Node, NodeSpec, PowerOn, RackJournal, unchanged};
use groundstate_tests::stage::{Stage, StageFault, StagePlan, ended};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a run from power-on to its end may take here: several times what it takes on an idle machine.
const RUN: Duration = Duration::from_secs(12 * 60);
/// How long a host may take from power-on to its agent's line on the console.
const HOST_BOOT: Duration = Duration::from_secs(6 * 60);
/// The most memory that PID 1 may have resident.
const PID1_MEMORY_MAX: Bytes = Bytes::mib(64);
/// How long PID 1 is watched after its fault, to see that it stays.
const STAYS: Duration = Duration::from_secs(5);
/// How long the servers stay away when they are killed.
const AWAY: Duration = Duration::from_secs(5);
/// What the host's agent says on the console when it has specialised or found itself specialised.
const AGENT_LINE: &str = "groundstate: host";

/// Every scenario, the longest first: a short one at the end leaves no lane alone for long.
pub(crate) const ALL: [crate::test::Scenario; 21] = [
    (
        "every client of the matrix has what it asks for",
        clients::every_client,
    ),
    (
        "an image of a whole disk, then again over itself",
        whole_disk::twice,
    ),
    (
        "power goes at random times, and the run comes to its end",
        power_cuts::at_random_times,
    ),
    (
        "bios with the servers killed in the image, then a power cycle",
        bios,
    ),
    (
        "power, repository and network break in the image",
        breaks::in_the_image,
    ),
    (
        "uefi-pxe by reboot, the image out of a bucket, then a power cycle with all servers stopped",
        own_disk,
    ),
    (
        "uefi-http by kexec, then again: kept and new volumes",
        again,
    ),
    (
        "a machine with one disk, then again: its data volume stays",
        beside_os::stays,
    ),
    (
        "uefi-http by kexec, then one data disk is rebuilt",
        rebuild::one_disk,
    ),
    (
        "rescue: a shell for the site's keys, until the release",
        rescue::shell,
    ),
    (
        "disks full of canaries are erased, and none is left",
        erase::canaries,
    ),
    (
        "hw-diag examines 24 disks and a BMC beside smartctl",
        examine::examine,
    ),
    ("held for a damaged image", bad_chunk),
    (
        "switched on by a BMC that forgets the boot override",
        power::by_bmc,
    ),
    ("held for a missing DIMM", dimm_missing),
    ("held for lost memory", memory_short),
    ("held for a failing NVMe disk", smart_failing),
    ("held for a wrong disk", wrong_disk),
    (
        "booted from the ISO in a BMC's virtual drive",
        power::virtual_drive,
    ),
    (
        "a signed boot image by Secure Boot, and refused after one flipped byte",
        secure_boot::signed_or_refused,
    ),
    ("PID 1 without a site says so and stays", without_a_site),
];

/// The boot image's first half, without what `groundstate up` adds: PID 1 has no provisioner to go to.
fn without_a_site(layout: &Layout) -> Result<()> {
    demo::make_everything(layout)?;
    let folder = layout.made("scenarios").join("without-a-site");
    let mut node = Node::build(&NodeSpec::demo(1, Firmware::Bios), &folder, None)?;
    let cmdline = std::fs::read_to_string(layout.boot().join("cmdline"))?;
    let (kernel, initrd) = (
        layout.boot().join("vmlinuz"),
        layout.boot().join("initrd.base"),
    );
    let before = node.fingerprints()?;
    node.power_on(&PowerOn::kernel(&kernel, Some(&initrd), cmdline.trim()))?;
    node.wait_for_line("/etc/groundstate/boot.json", HOST_BOOT)?;
    node.wait_for_line("do now:", HOST_BOOT)?;
    node.wait_for_line("this machine restarts in", HOST_BOOT)?;
    std::thread::sleep(STAYS);
    ensure!(node.is_on(), "PID 1 ended, and the kernel with it");
    let (same, disks) = unchanged(&before, &node.fingerprints()?);
    ensure!(same == disks, "{} disks were changed", disks - same);
    Ok(())
}

fn again(layout: &Layout) -> Result<()> {
    let plan = stage_plan(layout, "again", Firmware::UefiHttp, None, None)?;
    let folder = plan.folder.clone();
    let set = move |plan| {
        let mut put = Ok(());
        let spec = |index| NodeSpec::demo(index, Firmware::UefiHttp);
        let stage = Stage::set_with(plan, spec, |site| put = own_files::put(site, &folder))?;
        put.map(|()| stage)
    };
    on(plan, set, |stage| {
        let first = ready(stage)?;
        own_files::seen_by_the_host(stage)?;
        let first_plan = plan_of(&first)?;
        let kept = stage.nodes[0].spec().disks[1].serial.clone();
        let before = witness(stage)?;
        stage.servers.operator().reprovision("node-1")?;
        let second = stage
            .watch(
                RUN,
                |report| {
                    ended(report) && plan_of(report).is_ok_and(|plan| plan.id != first_plan.id)
                },
                |_, _| Ok(()),
            )?
            .remove(0);
        ensure!(
            second.view.phase == Phase::Ready,
            "the second run ended {}: {:?}",
            second.view.phase.as_str(),
            second.view.reason
        );
        let after = witness(stage)?;
        for (volume, (state, digest)) in &after {
            let was = before
                .get(volume)
                .map(|(_, digest)| digest)
                .with_context(|| format!("{volume} is new by name"))?;
            if volume.ends_with(&kept) {
                ensure!(
                    state == "kept" && digest == was,
                    "{volume} should be kept: {state}, {was} -> {digest}"
                );
            } else {
                ensure!(
                    state == "new" && digest != was,
                    "{volume} should be new: {state}, {was} -> {digest}"
                );
            }
        }
        ensure!(
            after.len() == before.len() && after.keys().any(|volume| volume.ends_with(&kept)),
            "volumes {after:?}"
        );
        moved::over_the_image_before(&second, &first_plan, &plan_of(&second)?)?;
        let host = second.host.context("a Ready node has a host")?;
        ensure!(
            host.plan == plan_of_view(second.plan.as_ref())?.id,
            "the host is of plan {}",
            host.plan
        );
        let plan = plan_of_view(second.plan.as_ref())?;
        own_files::seen_by_the_host(stage)?;
        stage.nodes[0].power_off();
        own_files::lie_on_the_disk(stage, &plan)?;
        proof::other_tools_accept(stage, &plan)
    })
}

fn own_disk(layout: &Layout) -> Result<()> {
    let (firmware, hand_over) = (Firmware::UefiPxe, Some(HandOver::Reboot));
    let mut plan = stage_plan(layout, "own-disk", firmware, hand_over, None)?;
    match demo::moto_server(layout) {
        Ok(program) => plan.bucket = Some(program),
        Err(error) => note(&format!(
            "the image is not taken out of a bucket: {error:#}"
        )),
    }
    on(plan, Stage::set, |stage| {
        let first = ready(stage)?;
        only_in_the_cache(stage)?;
        let boot = first.host.context("a Ready node has a host")?.boot_id;
        stage.servers.stop()?;
        stage.nodes[0].power_cycle(&PowerOn::FIRMWARE)?;
        stage.nodes[0].wait_for_line(AGENT_LINE, HOST_BOOT)?;
        stage.servers.start()?;
        let report = in_another_boot(stage, &boot)?;
        let host = report.host.context("a Ready node has a host")?;
        let changes = changes_of_boot(stage, &host.boot_id)?;
        ensure!(
            changes.is_empty(),
            "a second boot changes nothing, but: {changes:?}"
        );
        Ok(())
    })
}

/// Where the images come out of a bucket, the servers have kept some of it, and no image of their own.
fn only_in_the_cache(stage: &Stage) -> Result<()> {
    if !stage.folder.join("bucket").exists() {
        return Ok(());
    }
    let has = |folder: &str| -> Result<bool> {
        let folder = stage.folder.join("state").join(folder);
        let mut entries =
            std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
        Ok(entries.next().is_some())
    };
    ensure!(
        has("images-cache/chunks")?,
        "nothing came out of the bucket"
    );
    ensure!(
        !has("images/chunks")?,
        "the repository has chunks of its own"
    );
    Ok(())
}

fn bios(layout: &Layout) -> Result<()> {
    on_a_stage(
        layout,
        "bios",
        Firmware::Bios,
        None,
        Some(StageFault::ProvisionerRestart),
        |stage| {
            stage.begin()?;
            let mut was_killed = false;
            let reports = stage.watch(RUN, ended, |stage, reports| {
                if !was_killed && reports.iter().any(demo::half_written) {
                    was_killed = true;
                    stage.servers.kill();
                    std::thread::sleep(AWAY);
                    stage.servers.start()?;
                }
                Ok(())
            })?;
            ensure!(
                was_killed,
                "the image was written before the servers could be killed"
            );
            expect_ready(&reports)?;
            let boot = reports[0]
                .host
                .as_ref()
                .context("a Ready node has a host")?
                .boot_id
                .clone();
            stage.nodes[0].power_cycle(&PowerOn::FIRMWARE)?;
            stage.nodes[0].wait_for_line("loaded from its disk and starts now", HOST_BOOT)?;
            let written = bytes_written(stage)?;
            ensure!(
                written == 0,
                "the maintenance OS wrote {written} bytes before it started the host on disk"
            );
            stage.nodes[0].wait_for_line(AGENT_LINE, HOST_BOOT)?;
            in_another_boot(stage, &boot)?;
            Ok(())
        },
    )
}

fn dimm_missing(layout: &Layout) -> Result<()> {
    held(layout, StageFault::Hardware(Fault::DimmMissing))
}

fn memory_short(layout: &Layout) -> Result<()> {
    held(layout, StageFault::Hardware(Fault::MemoryShort))
}

fn smart_failing(layout: &Layout) -> Result<()> {
    held(layout, StageFault::Hardware(Fault::SmartFailing))
}

fn wrong_disk(layout: &Layout) -> Result<()> {
    held(layout, StageFault::Hardware(Fault::WrongDisk))
}

fn bad_chunk(layout: &Layout) -> Result<()> {
    held(layout, StageFault::BadChunk)
}

fn held(layout: &Layout, fault: StageFault) -> Result<()> {
    on_a_stage(
        layout,
        fault.as_str(),
        Firmware::Bios,
        None,
        Some(fault),
        |stage| {
            stage.begin()?;
            let reports = stage.watch(RUN, ended, |_, _| Ok(()))?;
            for outcome in stage.outcomes(&reports)? {
                if let Some(why) = outcome.unexpected(stage.fault, stage.broken_part.as_deref()) {
                    bail!("{why}");
                }
            }
            Ok(())
        },
    )
}

/// Sets a stage with one node on a thread of its own and plays on it.
fn on_a_stage(
    layout: &Layout,
    name: &str,
    firmware: Firmware,
    hand_over: Option<HandOver>,
    fault: Option<StageFault>,
    play: impl FnOnce(&mut Stage) -> Result<()> + Send,
) -> Result<()> {
    let plan = stage_plan(layout, name, firmware, hand_over, fault)?;
    on(plan, Stage::set, play)
}

/// What the stage of a scenario is set with: one node, of whose data disks the first is kept.
fn stage_plan(
    layout: &Layout,
    name: &str,
    firmware: Firmware,
    hand_over: Option<HandOver>,
    fault: Option<StageFault>,
) -> Result<StagePlan> {
    let Made {
        groundstate,
        image_store,
    } = demo::make_everything(layout)?;
    Ok(StagePlan {
        groundstate,
        boot_assets: layout.boot(),
        image_store,
        folder: layout.made("scenarios").join(name),
        firmware,
        hand_over,
        nodes: 1,
        fault,
        bmcs: false,
        keep_data_disk: Some(0),
        journal: RackJournal::Sqlite,
        bucket: None,
        page: None,
    })
}

/// Sets a stage on a thread of its own and plays on it.
fn on(
    plan: StagePlan,
    set: impl FnOnce(StagePlan) -> Result<Stage> + Send,
    play: impl FnOnce(&mut Stage) -> Result<()> + Send,
) -> Result<()> {
    std::thread::scope(|scope| {
        let played = scope.spawn(move || {
            let mut stage = set(plan)?;
            play(&mut stage).with_context(|| {
                format!(
                    "console, servers' log and capture lie in {}",
                    stage.folder.display()
                )
            })
        });
        played
            .join()
            .map_err(|_| anyhow::anyhow!("the scenario ended in a panic"))?
    })
}

fn ready(stage: &mut Stage) -> Result<NodeReport> {
    stage.begin()?;
    let mut reports = stage.watch(RUN, ended, |_, _| Ok(()))?;
    expect_ready(&reports)?;
    Ok(reports.remove(0))
}

fn expect_ready(reports: &[NodeReport]) -> Result<()> {
    for report in reports {
        let why = report
            .view
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| reason.lines().join("\n"));
        ensure!(
            report.view.phase == Phase::Ready,
            "{} is {}: {why}",
            report.view.node,
            report.view.phase.as_str()
        );
        let memory = report.peak_memory.context("PID 1 says what it used")?;
        ensure!(memory <= PID1_MEMORY_MAX, "PID 1 used {memory}");
    }
    Ok(())
}

fn plan_of(report: &NodeReport) -> Result<Plan> {
    plan_of_view(report.plan.as_ref())
}

fn plan_of_view(plan: Option<&Plan>) -> Result<Plan> {
    plan.cloned().context("the report has no plan")
}

/// The report once the host has called in another boot than this one.
fn in_another_boot(stage: &mut Stage, boot: &BootId) -> Result<NodeReport> {
    let called = |report: &NodeReport| {
        let host = report.host.as_ref();
        report.view.phase == Phase::Ready && host.is_some_and(|host| host.boot_id != *boot)
    };
    Ok(stage.watch(RUN, called, |_, _| Ok(()))?.remove(0))
}

/// What a boot of the host said that it changed.
fn changes_of_boot(stage: &Stage, boot: &BootId) -> Result<Vec<Change>> {
    let events = stage.servers.operator().events(0)?;
    let changes = events.into_iter().rev().find_map(|event| match event.what {
        Happened::HostRegistered {
            boot_id, changes, ..
        } if boot_id == *boot => Some(changes),
        _ => None,
    });
    changes.with_context(|| format!("no host registered in boot {boot}"))
}

/// What the host's witness says of each data volume: `witness /data/SERIAL new|kept DIGEST` on the console.
fn witness(stage: &mut Stage) -> Result<BTreeMap<String, (String, String)>> {
    // Each data disk has one; where there is none, the OS disk has one.
    let volumes = (stage.nodes[0].spec().disks.len() - 1).max(1);
    let mut said = BTreeMap::new();
    while said.len() < volumes {
        let line = stage.nodes[0].wait_for_whole_line("witness /data/", HOST_BOOT)?;
        let words: Vec<_> = line
            .split_whitespace()
            .skip_while(|word| *word != "witness")
            .collect();
        let [_, volume, state, digest] = words[..] else {
            bail!("the witness said {line:?}")
        };
        said.insert(volume.to_owned(), (state.to_owned(), digest.to_owned()));
    }
    Ok(said)
}

/// Bytes that the node has written to its disks since it was powered on, as QEMU counts them.
fn bytes_written(stage: &Stage) -> Result<u64> {
    let stats = stage.nodes[0].ask("query-blockstats", &json!({}))?;
    let devices = stats
        .as_array()
        .context("query-blockstats answers a list")?;
    // The firmware's variable store is a block device too, and not a disk.
    let disks = devices.iter().filter(|device| {
        device["qdev"]
            .as_str()
            .is_some_and(|name| name.contains("disk"))
    });
    let written: Vec<u64> = disks
        .filter_map(|device| device["stats"]["wr_bytes"].as_u64())
        .collect();
    ensure!(
        !written.is_empty(),
        "query-blockstats names no disk: {stats}"
    );
    Ok(written.iter().sum())
}
