// SPDX-License-Identifier: Apache-2.0
//! What a run says that it moved for its image.

use anyhow::{Context as _, Result, bail, ensure};
use groundstate_api::plan::{Plan, Step};
use groundstate_api::view::NodeReport;

/// So many times what was fetched was kept, at least: of a host's root file system a boot writes to a few places.
const KEPT_TO_FETCHED_MIN: u64 = 16;

/// Figures of the image step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) chunks_fetched: u64,
    pub(super) chunks_kept: u64,
    /// Bytes that came and were not needed.
    pub(super) in_vain: u64,
}

fn facts(report: &NodeReport) -> Result<&[String]> {
    let facts = report.facts.iter().find(|(step, _)| *step == Step::Image);
    let (_, facts) = facts.context("the report says nothing of the image")?;
    Ok(facts)
}

pub(super) fn moved(report: &NodeReport) -> Result<Moved> {
    let facts = facts(report)?;
    let said = facts.iter().find(|fact| fact.starts_with("fetched "));
    let said = said.with_context(|| format!("nothing is said of what was fetched: {facts:?}"))?;
    let numbers: Vec<u64> = said
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [_, chunks_fetched, _, chunks_kept, _, in_vain] = numbers[..] else {
        bail!("{said:?} has other numbers than were expected");
    };
    println!("the run {said}");
    Ok(Moved {
        chunks_fetched,
        chunks_kept,
        in_vain,
    })
}

/// The run wrote over the image of the run before: the plan named it, and most of it was not fetched again.
pub(super) fn over_the_image_before(report: &NodeReport, before: &Plan, plan: &Plan) -> Result<()> {
    ensure!(
        plan.previous.as_ref() == Some(&before.image),
        "the plan names {:?}, and {:?} lay there",
        plan.previous,
        before.image
    );
    let facts = facts(report)?;
    let said = facts.iter().find(|fact| fact.contains("lay there before"));
    let said = said.with_context(|| format!("the node says nothing of it: {facts:?}"))?;
    ensure!(said.ends_with("looked for on the disk"), "{said}");
    let moved = moved(report)?;
    ensure!(
        moved.chunks_fetched * KEPT_TO_FETCHED_MIN <= moved.chunks_kept,
        "too much was fetched although it lay there: {moved:?}"
    );
    Ok(())
}
