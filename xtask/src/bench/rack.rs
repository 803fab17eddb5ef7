// SPDX-License-Identifier: Apache-2.0
//! Laying disks out in a virtual server: eight at once against one, as the run's own events tell it.
//!
//! The real boot image, provisioner and run, under QEMU without hardware help; each run ends when the disks are laid out.
//! It is reported and judged by nobody: all virtual disks share this machine's processors and its one disk.

use crate::demo::{self, Made};
use crate::layout::Layout;
use crate::progress::note;
use anyhow::{Context as _, Result, ensure};
use groundstate_api::boot::Firmware;
use groundstate_api::event::{Event, Happened};
use groundstate_api::plan::Step;
use groundstate_api::run::StepState;
use groundstate_api::view::{NodeReport, Phase};
use groundstate_api::{Bytes, Millis};
use groundstate_tests::compare::{Figure, ratios};
use groundstate_tests::rack::NodeSpec;
use groundstate_tests::stage::{Stage, StagePlan};
use std::time::{Duration, Instant};

/// The name of the part and of its figure.
pub(super) const TITLE: &str = "8 virtual disks laid out, against one";
/// The disks of the one node, its OS disk among them.
const DISKS: u8 = 8;
/// The steps that lay disks out.
const STEPS: [Step; 4] = [Step::Wipe, Step::Partition, Step::Volumes, Step::Vhds];
/// Pairs of runs. Each run boots a virtual server, which takes most of its minute.
const PAIRS: usize = 3;
/// How long one run may take from power-on to laid-out disks: several times what it takes on an idle machine.
const RUN: Duration = Duration::from_secs(5 * 60);

/// Takes the figure, as far as there is time until `until`.
pub(super) fn shelf(layout: &Layout, until: Instant) -> Figure {
    take(layout, until).unwrap_or_else(|error| Figure::missing(TITLE, format!("{error:#}")))
}

fn take(layout: &Layout, until: Instant) -> Result<Figure> {
    let made = demo::make_everything(layout)?;
    let (mut eight, mut one): (Vec<Took>, Vec<Took>) = (Vec::new(), Vec::new());
    for pair in 1..=PAIRS {
        // A pair that might not end in time is not begun.
        if pair > 1 && until.saturating_duration_since(Instant::now()) < 2 * RUN {
            break;
        }
        note(&format!(
            "virtual nodes with {DISKS} disks and with one, pair {pair} of {PAIRS}"
        ));
        eight.push(lay_out(layout, &made, DISKS)?);
        one.push(lay_out(layout, &made, 1)?);
    }
    let all = |took: &[Took]| took.iter().map(|one| one.all).collect::<Vec<f64>>();
    let (ours, peer) = (all(&eight), all(&one));
    let ratios = ratios(&ours, &peer);
    let mut figure = Figure::new(TITLE, "ms", "a node with 8 disks: wipe, partition, volumes, VHDs", ours)
        .against("a node with one disk", peer, "8 disks / 1 disk", ratios)
        .note("from the first report of the wipe to the last of the VHDs, by the provisioner's clock")
        .note("one disk holds ESP, root and data volume; of eight, one holds ESP and root and seven a data volume each; QEMU without KVM, all disks on this machine's one");
    if let (Some(eight), Some(one)) = (eight.last(), one.last()) {
        figure = figure.note(format!(
            "the last pair by steps, 8 disks against one: {}",
            steps(eight, one)
        ));
        figure = figure.note(format!(
            "PID 1's peak memory until then: {} with 8 disks, {} with one",
            eight.memory, one.memory
        ));
    }
    Ok(figure)
}

/// How long the steps took, in milliseconds, and what they needed.
struct Took {
    all: f64,
    /// The most that PID 1 had in memory until then.
    memory: Bytes,
    steps: Vec<u64>,
}

fn steps(eight: &Took, one: &Took) -> String {
    let pairs = STEPS.iter().zip(eight.steps.iter().zip(&one.steps));
    let texts = pairs.map(|(step, (eight, one))| format!("{} {eight} and {one} ms", step.as_str()));
    texts.collect::<Vec<_>>().join(", ")
}

/// One run on a stage of its own; a rack's network belongs to the thread that made it.
fn lay_out(layout: &Layout, made: &Made, disks: u8) -> Result<Took> {
    let plan = StagePlan {
        groundstate: made.groundstate.clone(),
        boot_assets: layout.boot(),
        image_store: made.image_store.clone(),
        folder: layout.made("bench/rack").join(format!("{disks}-disks")),
        firmware: Firmware::UefiHttp,
        hand_over: None,
        nodes: 1,
        fault: None,
        bmcs: false,
        keep_data_disk: None,
        journal: groundstate_tests::rack::RackJournal::Sqlite,
        bucket: None,
        page: None,
    };
    std::thread::scope(|scope| {
        let run = scope.spawn(move || {
            let spec = |index| NodeSpec::shelf(index, Firmware::UefiHttp, disks);
            let mut stage = Stage::set_with(plan, spec, |_| ())?;
            let folder = stage.folder.clone();
            watched(&mut stage)
                .with_context(|| format!("console and servers' log lie in {}", folder.display()))
        });
        run.join()
            .map_err(|_| anyhow::anyhow!("the run ended in a panic"))?
    })
}

fn watched(stage: &mut Stage) -> Result<Took> {
    stage.begin()?;
    let reports = stage.watch(RUN, is_laid_out_or_over, |_, _| Ok(()))?;
    for report in &reports {
        let why = report.view.reason.as_ref();
        let why = why.map_or_else(String::new, |reason| reason.lines().join("\n"));
        ensure!(
            report.view.phase != Phase::Held,
            "{} is held: {why}",
            report.view.node
        );
    }
    let memory = reports.iter().filter_map(|report| report.peak_memory).max();
    let mut took = took(&stage.servers.operator().events(0)?)?;
    took.memory = memory.unwrap_or_default();
    Ok(took)
}

fn is_laid_out_or_over(report: &NodeReport) -> bool {
    let is_behind = |step: Step| step > Step::Vhds;
    report.view.phase == Phase::Held
        || matches!(&report.view.step, Some((step, _)) if is_behind(*step))
}

/// From each step's first event to its last.
fn took(events: &[Event]) -> Result<Took> {
    let moves = events.iter().filter_map(|event| match &event.what {
        Happened::StepMoved { step, state, .. } => Some((event.at, *step, state)),
        _ => None,
    });
    let moves: Vec<(Millis, Step, &StepState)> = moves.collect();
    let span = |first: Step, last: Step| -> Result<u64> {
        let began = moves.iter().find(|(_, step, _)| *step == first);
        let ended = moves
            .iter()
            .find(|(_, step, state)| *step == last && matches!(state, StepState::Done { .. }));
        let (Some((began, ..)), Some((ended, ..))) = (began, ended) else {
            anyhow::bail!(
                "no event tells when {} began and {} ended",
                first.as_str(),
                last.as_str()
            );
        };
        Ok(ended.since(*began).0)
    };
    let steps = STEPS.iter().map(|step| span(*step, *step));
    let [first, .., last] = STEPS;
    Ok(Took {
        memory: Bytes(0),
        all: f64::from(u32::try_from(span(first, last)?)?),
        steps: steps.collect::<Result<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(at: u64, step: Step, state: StepState) -> Event {
        let what = Happened::StepMoved {
            run: "r-1".parse().unwrap(),
            number: at,
            step,
            state,
            peak_memory: groundstate_api::Bytes(0),
        };
        Event {
            number: at,
            at: Millis(at),
            node: None,
            what,
        }
    }

    #[test]
    fn a_step_takes_from_its_first_event_to_its_end() {
        let mut events = Vec::new();
        for (step, at) in STEPS.into_iter().zip([100u64, 200, 300, 400]) {
            events.push(moved(at, step, StepState::Started));
            let facts = Vec::new();
            events.push(moved(at + 7, step, StepState::Done { facts }));
        }
        let found = took(&events).unwrap();
        assert_eq!((found.all, found.steps), (307.0, vec![7; 4]));
        events.pop();
        assert!(took(&events).is_err());
    }
}
