// SPDX-License-Identifier: Apache-2.0
//! Power goes at random times while a node is being provisioned, and every time the node comes to the end all the same.
//!
//! QEMU is killed; its disks are written through, so that what was flushed is there. A cut before the node has called goes
//! by by itself. After that a run belongs to the key of the boot that called first, so the operator orders it again, which
//! the provisioner accepts only when that key is silent and another boot has asked.

use super::{RUN, expect_ready, on_a_stage, plan_of, proof};
use crate::layout::Layout;
use anyhow::{Context as _, Result, ensure};
use groundstate_api::boot::Firmware;
use groundstate_api::view::{NodeReport, Phase};
use groundstate_tests::rack::PowerOn;
use groundstate_tests::stage::{Stage, ended};
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// How often power goes, where `GROUNDSTATE_POWER_CUTS` says nothing else.
const CUTS: u32 = 3;
/// The latest cut after the disks are first written to: a run is half-way through the image by then, also where it is fast.
const LATEST: Duration = Duration::from_secs(25);
/// Between two tries to order the run again: the provisioner refuses until the first key is silent.
const ORDER_EVERY: Duration = Duration::from_secs(3);

pub(super) fn at_random_times(layout: &Layout) -> Result<()> {
    let cuts = match std::env::var("GROUNDSTATE_POWER_CUTS") {
        Ok(text) => text.parse().context("GROUNDSTATE_POWER_CUTS is a number")?,
        Err(_) => CUTS,
    };
    on_a_stage(
        layout,
        "power-cuts",
        Firmware::UefiHttp,
        None,
        None,
        |stage| {
            stage.begin()?;
            let mut done = 0;
            for number in 0..cuts {
                let after = some_time(number);
                if !cut(stage, after)? {
                    println!("power cut {number}: the run was over before {after:?}");
                    break;
                }
                done += 1;
                println!("power cut {number}: {after:?} after the disks were first written to");
                stage.nodes[0].power_on(&PowerOn::FIRMWARE)?;
                go_on(stage)?;
            }
            ensure!(done > 0, "no cut came before the run was over");
            let reports = stage.watch(RUN, ended, |_, _| Ok(()))?;
            expect_ready(&reports)?;
            let plan = plan_of(&reports[0])?;
            stage.nodes[0].power_off();
            proof::other_tools_accept(stage, &plan)
        },
    )
}

/// A time up to [`LATEST`], another one in each run.
fn some_time(number: u32) -> Duration {
    let latest = u64::try_from(LATEST.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(RandomState::new().hash_one(number) % latest)
}

fn is_writing(report: &NodeReport) -> bool {
    report.view.phase == Phase::Deploying
}

/// Cuts the power so long after the disks were first written to; false where the run was over before.
fn cut(stage: &mut Stage, after: Duration) -> Result<bool> {
    let begun = |report: &NodeReport| is_writing(report) || ended(report);
    stage.watch(RUN, begun, |_, _| Ok(()))?;
    let until = Instant::now() + after;
    let late = |_: &NodeReport| Instant::now() >= until;
    let reports = stage.watch(RUN, late, |_, _| Ok(()))?;
    let is_over = !reports.iter().all(is_writing);
    if !is_over {
        stage.nodes[0].cut_power();
    }
    Ok(!is_over)
}

/// Orders the run again as soon as the provisioner accepts it.
fn go_on(stage: &mut Stage) -> Result<()> {
    let (mut accepted, mut tried) = (false, Instant::now());
    let mut last = None;
    let until = Instant::now() + RUN;
    while !accepted {
        stage.servers.check()?;
        if tried.elapsed() >= ORDER_EVERY {
            tried = Instant::now();
            match stage.servers.operator().reprovision("node-1") {
                Ok(()) => accepted = true,
                Err(refused) => last = Some(refused),
            }
        }
        ensure!(
            Instant::now() < until,
            "the run is not ordered again: {last:?}"
        );
        std::thread::sleep(groundstate_tests::stage::LOOK_EVERY);
    }
    Ok(())
}
