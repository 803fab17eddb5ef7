// SPDX-License-Identifier: Apache-2.0
//! An image's way onto a disk is broken by the repository, the network and the power, one after the other, and comes to its
//! end with nothing fetched twice but what was on its way.

use super::{AWAY, RUN, expect_ready, on_a_stage, plan_of, proof};
use crate::layout::Layout;
use anyhow::{Context as _, Result, bail, ensure};
use groundstate_api::Bytes;
use groundstate_api::boot::Firmware;
use groundstate_api::plan::Step;
use groundstate_api::run::StepState;
use groundstate_api::view::NodeReport;
use groundstate_tests::rack::PowerOn;
use groundstate_tests::stage::{Stage, ended};
use std::time::Duration;

/// How long the cable is out: longer than the node waits for an answer.
const UNPLUGGED: Duration = Duration::from_secs(25);
/// What may be between the network and the disk when something breaks, as the image holds it: the node's own bound for it, and
/// what it had written and not yet told.
const UNDER_WAY: Bytes = Bytes::mib(64);

/// What breaks, and from which part of the image on, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Repository,
    Network,
    Power,
}

const BREAKS: [(u64, Break); 3] = [
    (25, Break::Power),
    (50, Break::Repository),
    (75, Break::Network),
];

pub(super) fn in_the_image(layout: &Layout) -> Result<()> {
    on_a_stage(layout, "breaks", Firmware::UefiHttp, None, None, |stage| {
        stage.begin()?;
        let mut left = BREAKS.iter();
        let mut next = left.next();
        // What the machine had told of the image when its power went.
        let mut told = Bytes(0);
        let mut reports = stage.watch(RUN, ended, |stage, reports| {
            let Some((percent, what)) = next else {
                return Ok(());
            };
            let Some(done) = so_far(&reports[0], *percent) else {
                return Ok(());
            };
            next = left.next();
            if *what == Break::Power {
                told = done;
            }
            println!("{what:?} breaks with {done} of the image on the disk");
            break_it(stage, *what)
        })?;
        ensure!(
            next.is_none(),
            "the image was written before everything could be broken: {next:?} is left"
        );
        expect_ready(&reports)?;
        let report = reports.remove(0);
        fetched_once(&report, told)?;
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
        Break::Power => {
            stage.nodes[0].cut_power();
            Ok(stage.nodes[0].power_on(&PowerOn::FIRMWARE)?)
        }
    }
}

/// What was on the disk when power went was kept, and the last boot fetched every other chunk once.
fn fetched_once(report: &NodeReport, told: Bytes) -> Result<()> {
    let facts = report.facts.iter().find(|(step, _)| *step == Step::Image);
    let (_, facts) = facts.context("the report says nothing of the image")?;
    let said = facts.iter().find(|fact| fact.starts_with("fetched "));
    let said = said.with_context(|| format!("nothing is said of what was fetched: {facts:?}"))?;
    let numbers: Vec<u64> = said
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [_, fetched, kept, _, _, in_vain] = numbers[..] else {
        bail!("{said:?} has other numbers than were expected");
    };
    println!("{told} were told before power went; then it {said}");
    ensure!(
        kept + UNDER_WAY.0 >= told.0,
        "only {} of {told} were kept after the power cut",
        Bytes(kept)
    );
    ensure!(fetched > 0, "nothing was fetched after the power cut");
    ensure!(in_vain <= UNDER_WAY.0, "{} came in vain", Bytes(in_vain));
    Ok(())
}
