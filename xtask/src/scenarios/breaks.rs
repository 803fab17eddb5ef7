// SPDX-License-Identifier: Apache-2.0
//! An image's way onto a disk is broken by the repository, the network and the power, one after the other, and comes to its
//! end with nothing fetched twice but what was on its way.

use super::moved::{Moved, moved};
use super::{AWAY, RUN, expect_ready, on_a_stage, plan_of, proof};
use crate::layout::Layout;
use anyhow::{Context as _, Result, bail, ensure};
use groundstate_api::Bytes;
use groundstate_api::boot::Firmware;
use groundstate_api::plan::{DiskAction, PartitionContents, PartitionPlan, Plan, Step};
use groundstate_api::run::StepState;
use groundstate_api::view::NodeReport;
use groundstate_tests::rack::PowerOn;
use groundstate_tests::stage::{Stage, ended};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

/// How long the cable is out: longer than the node waits for an answer.
const UNPLUGGED: Duration = Duration::from_secs(25);
/// Bytes that may come in vain at one break: what the node has asked for and not yet got.
const UNDER_WAY: Bytes = Bytes::mib(16);
/// Chunks that stand on the disk and may be lost at a power cut: the next boot clears the partition's first 5 MiB and its last 2.
const CLEARED: u64 = 28;
/// The image's chunks.
const CHUNK: usize = 256 * 1024;

/// What breaks, and from which part of the image on, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Repository,
    Network,
    Power,
}

const BREAKS: [(u64, Break); 3] = [
    (55, Break::Power),
    (70, Break::Repository),
    (85, Break::Network),
];

pub(super) fn in_the_image(layout: &Layout) -> Result<()> {
    on_a_stage(layout, "breaks", Firmware::UefiHttp, None, None, |stage| {
        stage.begin()?;
        let mut left = BREAKS.iter();
        let mut next = left.next();
        // Chunks that stood on the disk when power went, as the disk itself shows.
        let mut stood = 0;
        let mut reports = stage.watch(RUN, ended, |stage, reports| {
            let Some((percent, what)) = next else {
                return Ok(());
            };
            let Some(done) = so_far(&reports[0], *percent) else {
                return Ok(());
            };
            next = left.next();
            println!("{what:?} breaks with {done} of the image on the disk");
            if *what == Break::Power {
                let plan = plan_of(&reports[0])?;
                stage.nodes[0].cut_power();
                stood = standing(stage, &plan, &layout.host().join("root.ext4"))?;
                return Ok(stage.nodes[0].power_on(&PowerOn::FIRMWARE)?);
            }
            break_it(stage, *what)
        })?;
        ensure!(
            next.is_none(),
            "the image was written before everything could be broken: {next:?} is left"
        );
        expect_ready(&reports)?;
        let report = reports.remove(0);
        fetched_once(&report, stood)?;
        let plan = plan_of(&report)?;
        stage.nodes[0].power_off();
        proof::other_tools_accept(stage, &plan)
    })
}

/// How much of the image is written, where that is at least so many percent of it.
fn so_far(report: &NodeReport, percent: u64) -> Option<Bytes> {
    match &report.view.step {
        Some((Step::Image, StepState::Running { done, total })) => {
            (done.0 * 100 >= total.0 * percent).then_some(*done)
        }
        _ => None,
    }
}

fn break_it(stage: &mut Stage, what: Break) -> Result<()> {
    match what {
        Break::Repository => {
            stage.servers.kill();
            std::thread::sleep(AWAY);
            stage.servers.start()
        }
        Break::Network => {
            stage.net().plug(0, false)?;
            std::thread::sleep(UNPLUGGED);
            Ok(stage.net().plug(0, true)?)
        }
        Break::Power => bail!("power is cut where its disk is looked at"),
    }
}

/// How many of the image's chunks with data stand on the OS disk, where they belong.
fn standing(stage: &Stage, plan: &Plan, root_fs: &Path) -> Result<u64> {
    let (disk, start) = plan
        .disks
        .iter()
        .find_map(|disk| {
            let (DiskAction::Wipe { table, .. }
            | DiskAction::Renew { table, .. }
            | DiskAction::Keep { table }) = &disk.action
            else {
                return None;
            };
            let root = |part: &&PartitionPlan| matches!(part.holds, PartitionContents::Root);
            let root = table.partitions.iter().find(root)?;
            Some((&disk.serial, root.start))
        })
        .context("the plan has a root partition")?;
    let images = stage.nodes[0].disks();
    let image = images.iter().find(|image| image.serial() == disk);
    let on_disk = File::open(image.context("the rack has the OS disk")?.path())?;
    let wanted = File::open(root_fs)?;
    let (mut one, mut other, mut count) = (vec![0; CHUNK], vec![0; CHUNK], 0);
    for at in (0..wanted.metadata()?.len()).step_by(CHUNK) {
        wanted.read_exact_at(&mut one, at)?;
        on_disk.read_exact_at(&mut other, start.0 + at)?;
        count += u64::from(one == other && one.iter().any(|byte| *byte != 0));
    }
    Ok(count)
}

/// What was on the disk when power went was kept, and the last boot fetched every other chunk once.
fn fetched_once(report: &NodeReport, stood: u64) -> Result<()> {
    println!("{stood} chunks stood on the disk when power went");
    let Moved {
        chunks_fetched: fetched,
        chunks_kept: kept,
        in_vain,
    } = moved(report)?;
    ensure!(stood > CLEARED, "power went before there was anything");
    ensure!(
        kept + CLEARED >= stood,
        "only {kept} of {stood} chunks were kept after the power cut"
    );
    ensure!(fetched > 0, "nothing was fetched after the power cut");
    ensure!(
        in_vain <= 2 * UNDER_WAY.0,
        "{} came in vain at two breaks",
        Bytes(in_vain)
    );
    Ok(())
}
