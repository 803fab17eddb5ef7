// SPDX-License-Identifier: Apache-2.0
//! Power goes at random times while a node is being provisioned, and every run comes to its end by itself.
//!
//! QEMU is killed and started again; its disks are written through, so that what was flushed is there. One order begins a run,
//! and nobody orders anything until it is over: the machine comes back, its run goes on, and what is on the disks at the end is
//! what its one plan says. Each cut is aimed at another part of the run, and falls at a random moment of it.

use super::{RUN, expect_ready, on_a_stage, plan_of, proof};
use crate::layout::Layout;
use anyhow::{Context as _, Result, bail, ensure};
use groundstate_api::boot::Firmware;
use groundstate_api::event::Happened;
use groundstate_api::plan::{Plan, Step};
use groundstate_api::view::{NodeReport, Phase};
use groundstate_tests::rack::PowerOn;
use groundstate_tests::stage::{Stage, ended};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// How often power goes, where `GROUNDSTATE_POWER_CUTS` says nothing else.
const CUTS: usize = 2;
/// The most cuts in one run: one for each aim, and fewer than the provisioner lets a run go on after. More cuts take more runs.
const CUTS_PER_RUN: usize = Aim::ALL.len();

pub(super) fn at_random_times(layout: &Layout) -> Result<()> {
    let cuts = number("GROUNDSTATE_POWER_CUTS")?.map_or(Ok(CUTS), usize::try_from)?;
    let seed = number("GROUNDSTATE_POWER_SEED")?;
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(cuts));
    println!("power cuts: {cuts}; to repeat them: GROUNDSTATE_POWER_SEED={seed}");
    let (firmware, mut chance) = (Firmware::UefiHttp, Chance(seed));
    on_a_stage(layout, "power-cuts", firmware, None, None, |stage| {
        let (mut left, mut seen) = (cuts, BTreeSet::new());
        while left > 0 {
            let aims = chance.aims(left.min(CUTS_PER_RUN));
            left -= aims.len();
            one_run(stage, &aims, &mut chance, &mut seen)?;
        }
        let (wanted, hit) = (cuts.min(Aim::ALL.len()), seen.len());
        // Two aims may be hit in one step, where a step is over before anybody looks.
        ensure!(hit + 1 >= wanted, "{cuts} cuts hit only {seen:?}");
        Ok(())
    })
}

/// A number out of the environment.
fn number(name: &str) -> Result<Option<u64>> {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .map(Some)
            .with_context(|| format!("{name} is a number")),
        Err(_) => Ok(None),
    }
}

/// One order, and power that goes once for each aim; then everything is as its plan says.
fn one_run(
    stage: &mut Stage,
    aims: &[Aim],
    chance: &mut Chance,
    seen: &mut BTreeSet<String>,
) -> Result<()> {
    let before = last_event(stage)?;
    if before == 0 {
        stage.begin()?;
    } else {
        if !stage.nodes[0].is_on() {
            stage.nodes[0].power_on(&PowerOn::FIRMWARE)?;
        }
        stage.servers.operator().reprovision("node-1")?;
    }
    let mut in_run = 0;
    for (number, aim) in (1..).zip(aims) {
        let after = chance.up_to(aim.lasts());
        reach(stage, *aim, before, in_run)?;
        std::thread::sleep(after);
        let Some(at) = cut(stage, *aim)? else {
            println!("power cut {number}, aimed at {aim:?}: the host was there before it");
            break;
        };
        println!("power cut {number}, aimed at {aim:?} and {after:?} into it: the node was {at}");
        let enrolled = *aim != Aim::Booting && !at.starts_with(Phase::HandedOver.as_str());
        in_run += u32::from(enrolled);
        seen.insert(at);
        stage.nodes[0].power_on(&PowerOn::FIRMWARE)?;
    }
    let mut reports = stage.watch(RUN, ended, |_, _| Ok(()))?;
    expect_ready(&reports)?;
    let report = reports.remove(0);
    let plan = plan_of(&report)?;
    by_itself(stage, before, &plan, in_run)?;
    for step in [Step::Image, Step::ReadBack, Step::FirstBoot] {
        let done = report
            .facts
            .iter()
            .any(|(each, facts)| *each == step && !facts.is_empty());
        ensure!(done, "the last boot says nothing of step {}", step.as_str());
    }
    stage.nodes[0].power_off();
    proof::other_tools_accept(stage, &plan)
}

fn last_event(stage: &Stage) -> Result<u64> {
    let events = stage.servers.operator().events(0)?;
    let of_runs = |what: &Happened| matches!(what, Happened::RunOrdered { .. });
    let ordered = events.iter().any(|event| of_runs(&event.what));
    Ok(events
        .last()
        .filter(|_| ordered)
        .map_or(0, |event| event.number))
}

/// The journal since `before` has one order and one plan, and names every return of the machine.
fn by_itself(stage: &Stage, before: u64, plan: &Plan, in_run: u32) -> Result<()> {
    let (mut orders, mut plans) = (0, Vec::new());
    for event in stage.servers.operator().events(before)? {
        if let Happened::RunOrdered { .. } = event.what {
            orders += 1;
        } else if let Happened::Planned { plan } = event.what {
            plans.push(plan.id);
        }
    }
    ensure!(
        orders == 1,
        "{orders} orders: the run did not go on by itself"
    );
    ensure!(
        plans == [plan.id.clone()],
        "planned {plans:?}, done {}",
        plan.id
    );
    let returns = returns(stage, before)?;
    // A machine that lost power with everything in place is spoken for by its host.
    ensure!(
        returns <= in_run && returns + 1 >= in_run,
        "the journal names {returns} returns after {in_run} cuts in the run"
    );
    println!("the run came to its end by itself: 1 order, 1 plan, {returns} returns");
    Ok(())
}

/// How often the machine came back in its run.
fn returns(stage: &Stage, before: u64) -> Result<u32> {
    let mut returns = 0;
    for event in stage.servers.operator().events(before)? {
        if let Happened::CameBack { boot, .. } = event.what {
            returns += 1;
            ensure!(boot == returns + 1, "return {returns} is boot {boot}");
        }
    }
    Ok(returns)
}

/// Waits until the run, in the boot after so many returns, has come to this part or past it.
fn reach(stage: &mut Stage, aim: Aim, before: u64, after_returns: u32) -> Result<()> {
    if aim == Aim::Booting {
        return Ok(());
    }
    let seen = Cell::new(0);
    let there = |report: &NodeReport| {
        let left = report.view.phase == Phase::HandedOver;
        let now = seen.get() >= after_returns && aim.is_reached(report);
        left || now || ended(report)
    };
    stage.watch(RUN, there, |stage, _| {
        seen.set(returns(stage, before)?);
        Ok(())
    })?;
    Ok(())
}

/// A part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    /// The maintenance OS is enrolled and nothing is written yet: where a host was there, firmware starts it.
    Looking,
    /// Wiping, tables, file systems, VHDs.
    Layout,
    /// The image is being written.
    Image,
    /// It is being read back.
    ReadBack,
    /// First-boot data, boot partition, boot entry.
    Placing,
    /// Firmware and kernel of the maintenance OS.
    Booting,
    /// The host starts for the first time.
    HostStarts,
}

impl Aim {
    const ALL: [Self; 7] = [
        Self::Looking,
        Self::Layout,
        Self::Image,
        Self::ReadBack,
        Self::Placing,
        Self::Booting,
        Self::HostStarts,
    ];

    /// How long this part lasts here at least, where it is not over in a moment.
    const fn lasts(self) -> Duration {
        match self {
            Self::Layout => Duration::from_millis(3_000),
            Self::Image => Duration::from_millis(8_000),
            Self::Looking | Self::ReadBack | Self::Placing => Duration::from_millis(1_000),
            Self::Booting => Duration::from_millis(12_000),
            Self::HostStarts => Duration::from_millis(15_000),
        }
    }

    /// Whether the run has come to this part, or past it.
    fn is_reached(self, report: &NodeReport) -> bool {
        let deploying = report.view.phase == Phase::Provisioning;
        let step = report.view.step.as_ref().map(|(step, _)| *step);
        let from = |first: Step| deploying && step.is_some_and(|step| step >= first);
        match self {
            Self::Booting => true,
            Self::Looking => deploying || report.view.phase == Phase::Checking,
            Self::Layout => from(Step::Wipe),
            Self::Image => from(Step::Image),
            Self::ReadBack => from(Step::ReadBack),
            Self::Placing => from(Step::FirstBoot),
            Self::HostStarts => false,
        }
    }
}

/// Cuts the power and says where the node was; `None` where its host was there already.
fn cut(stage: &mut Stage, aim: Aim) -> Result<Option<String>> {
    let report = stage.reports()?.remove(0);
    if aim == Aim::HostStarts && report.view.phase == Phase::Ready {
        return Ok(None);
    }
    if ended(&report) {
        let why = report.view.reason.map(|reason| reason.lines().join("\n"));
        bail!(
            "the run was {} before its power could go ({aim:?}): {}",
            report.view.phase.as_str(),
            why.unwrap_or_default()
        );
    }
    stage.nodes[0].cut_power();
    let phase = report.view.phase.as_str();
    let step = report.view.step.map(|(step, _)| step.as_str());
    let what = match aim {
        Aim::Booting => "booting",
        Aim::Looking => "looking at the hardware",
        Aim::Layout | Aim::Image | Aim::ReadBack | Aim::Placing | Aim::HostStarts => {
            step.unwrap_or("between two steps")
        }
    };
    Ok(Some(format!("{phase}, {what}")))
}

/// Random numbers that a seed repeats: `SplitMix64` (Steele, Lea, Flood 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.next() % longest.max(1))
    }

    /// So many aims, each another one. Where the host starts the run cannot come back to an earlier part: that one is the last.
    fn aims(&mut self, many: usize) -> Vec<Aim> {
        let mut all = Aim::ALL.to_vec();
        all.sort_by_cached_key(|_| self.next());
        all.truncate(many);
        all.sort_by_key(|aim| *aim == Aim::HostStarts);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_aims_and_the_host_starts_last() {
        for seed in 0..100 {
            for many in 1..=CUTS_PER_RUN {
                let (mut one, mut two) = (Chance(seed), Chance(seed));
                let aims = one.aims(many);
                assert_eq!(aims, two.aims(many));
                assert_eq!(aims.len(), many);
                let distinct = aims.iter().enumerate();
                assert!(distinct.clone().all(|(at, aim)| !aims[..at].contains(aim)));
                let last = aims.iter().position(|aim| *aim == Aim::HostStarts);
                assert!(last.is_none_or(|at| at + 1 == many), "{aims:?}");
                let second = Duration::from_secs(1);
                assert!(one.up_to(second) < second);
            }
        }
    }
}
