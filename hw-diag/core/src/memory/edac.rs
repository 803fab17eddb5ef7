// SPDX-License-Identifier: Apache-2.0
//! Which slot the error counters of the kernel's EDAC drivers belong to.
//!
//! A driver names a module by what it knows: the silkscreen name (`ghes_edac`: bank and slot), or controller, channel and
//! number (`CPU_SrcID#0_MC#0_Chan#0_DIMM#0`). The first is matched by name; the second only where each module's size is
//! one of a kind, or where there is one module. Refuses to match by order alone: of two equal modules the wrong one would
//! be pulled. What cannot be matched is reported under the driver's own name with every slot that it may be.

use super::rules::{Rule, holding};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::health::{DeviceKind, DeviceReport, HealthFinding, MemoryErrors, Place};
use groundstate_api::inventory::Dimm;
use groundstate_api::units::{Bytes, Millis};

/// A memory controller as `/sys/devices/system/edac/mc/mcN` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controller {
    /// `mc0`.
    pub name: String,
    /// Since when its counters run; `None` where the driver does not say.
    pub since: Option<Millis>,
    /// All errors that it counted, also those that it could not place.
    pub total: MemoryErrors,
    /// Its modules, or ranks where the driver counts by rank.
    pub counters: Vec<Counter>,
}

/// The counters of one module or rank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// `dimm0`, `rank3`, `csrow0 ch1`.
    pub name: String,
    /// The name that the driver gives it; may be empty.
    pub label: String,
    /// Where it is in the controller's words: `channel 0 slot 1`; may be empty.
    pub location: String,
    /// Its size, where the driver says it.
    pub size: Option<Bytes>,
    /// What was counted.
    pub errors: MemoryErrors,
}

/// What became of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assigned {
    /// One report for each counter with errors that belongs to no slot for certain, and one for each controller that
    /// counted errors it could not place.
    pub unplaced: Vec<DeviceReport>,
    /// How long the counters ran: the shortest of all controllers.
    pub since: Option<Millis>,
}

/// Writes the counters into the slots they belong to.
#[must_use]
pub fn assign(dimms: &mut [Dimm], controllers: &[Controller]) -> Assigned {
    let all: Vec<(&Controller, &Counter)> = controllers
        .iter()
        .flat_map(|controller| controller.counters.iter().map(move |c| (controller, c)))
        .filter(|(_, counter)| counter.size != Some(Bytes(0)))
        .collect();
    let by_name: Vec<Option<usize>> = all.iter().map(|(_, c)| named(dimms, c)).collect();
    let chosen = if by_name.iter().any(Option::is_some) {
        by_name
    } else {
        by_size(dimms, &all)
    };
    let mut assigned = Assigned {
        unplaced: Vec::new(),
        since: controllers.iter().filter_map(|c| c.since).min(),
    };
    let mut sums: BTreeMap<usize, MemoryErrors> = BTreeMap::new();
    for ((controller, counter), slot) in all.iter().zip(&chosen) {
        if let Some(index) = slot {
            let sum = sums.entry(*index).or_default();
            *sum = plus(*sum, counter.errors);
        } else if counter.errors != MemoryErrors::default() {
            let taken: Vec<usize> = chosen.iter().flatten().copied().collect();
            let report = unplaced(dimms, &taken, controller, counter);
            assigned.unplaced.push(report);
        }
    }
    for (index, errors) in sums {
        if let Some(dimm) = dimms.get_mut(index) {
            dimm.errors = Some(errors);
        }
    }
    let placed = !all.is_empty();
    if placed
        && controllers
            .iter()
            .all(|c| c.total == MemoryErrors::default())
        && quiet(&all)
    {
        // Where nothing was counted anywhere, nothing was counted on any module.
        for dimm in dimms.iter_mut().filter(|dimm| dimm.populated) {
            dimm.errors.get_or_insert_default();
        }
    }
    for errors in dimms.iter_mut().filter_map(|dimm| dimm.errors.as_mut()) {
        errors.since = assigned.since;
    }
    assigned
        .unplaced
        .extend(controllers.iter().filter_map(unplaceable));
    assigned
}

fn quiet(all: &[(&Controller, &Counter)]) -> bool {
    all.iter()
        .all(|(_, counter)| counter.errors == MemoryErrors::default())
}

fn plus(a: MemoryErrors, b: MemoryErrors) -> MemoryErrors {
    MemoryErrors {
        corrected: a.corrected.saturating_add(b.corrected),
        uncorrected: a.uncorrected.saturating_add(b.uncorrected),
        since: None,
    }
}

/// The one populated slot whose name, or bank and name, is the label.
fn named(dimms: &[Dimm], counter: &Counter) -> Option<usize> {
    let same = |dimm: &Dimm| {
        let label = counter.label.trim();
        let full = format!("{} {}", dimm.bank, dimm.slot);
        !label.is_empty()
            && (label.eq_ignore_ascii_case(&dimm.slot) || label.eq_ignore_ascii_case(full.trim()))
    };
    let mut found = dimms
        .iter()
        .enumerate()
        .filter(|(_, dimm)| dimm.populated && same(dimm));
    let (index, _) = found.next()?;
    found.next().is_none().then_some(index)
}

/// By size, where as many modules are counted as slots are populated and no two have the same size.
fn by_size(dimms: &[Dimm], all: &[(&Controller, &Counter)]) -> Vec<Option<usize>> {
    let populated: Vec<(usize, Option<Bytes>)> = dimms
        .iter()
        .enumerate()
        .filter(|(_, dimm)| dimm.populated)
        .map(|(index, dimm)| (index, dimm.size))
        .collect();
    let alone = populated.len() == all.len();
    all.iter()
        .map(|(_, counter)| {
            let size = counter.size?;
            let twins = all.iter().filter(|(_, c)| c.size == Some(size)).count();
            let mut fits = populated.iter().filter(|(_, s)| *s == Some(size));
            let (index, _) = fits.next()?;
            (alone && twins == 1 && fits.next().is_none()).then_some(*index)
        })
        .collect()
}

/// A report under the driver's name, with the slots that it may be.
fn unplaced(
    dimms: &[Dimm],
    taken: &[usize],
    controller: &Controller,
    counter: &Counter,
) -> DeviceReport {
    let names = crate::judge::labels(dimms);
    let free = || {
        let all = dimms.iter().zip(&names).enumerate();
        all.filter(|(index, (dimm, _))| dimm.populated && !taken.contains(index))
            .map(|(_, (dimm, name))| (dimm, name.as_str()))
    };
    let same = free().filter(|(dimm, _)| counter.size.is_some() && dimm.size == counter.size);
    let mut may_be: Vec<&str> = same.map(|(_, name)| name).collect();
    if may_be.is_empty() {
        // A rank is a part of a module, so its size may fit none.
        may_be = free().map(|(_, name)| name).collect();
    }
    let place = [&counter.label, &counter.location]
        .into_iter()
        .filter(|words| !words.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let name = format!("{} {}", controller.name, counter.name);
    let mut evidence = Vec::new();
    if !place.is_empty() {
        evidence.push(format!("the memory controller's driver calls it {place}"));
    }
    evidence.push(if may_be.is_empty() {
        "SMBIOS lists no slot that it could be".into()
    } else {
        format!(
            "SMBIOS does not tell which slot that is; it may be {}",
            may_be.join(" or ")
        )
    });
    let what = format!("the module that the driver calls {name}");
    let findings = error_findings(&what, counter.errors, controller.since, &evidence);
    let mut report = DeviceReport::new(name, DeviceKind::Dimm, "EDAC", findings);
    report.place = Place {
        slot: place,
        size: counter.size,
        ..Place::default()
    };
    figures(&mut report, counter.errors);
    report
}

/// Errors that the controller counted beyond those of its modules.
fn unplaceable(controller: &Controller) -> Option<DeviceReport> {
    let counted = controller
        .counters
        .iter()
        .fold(MemoryErrors::default(), |sum, c| plus(sum, c.errors));
    let left = MemoryErrors {
        corrected: controller.total.corrected.saturating_sub(counted.corrected),
        uncorrected: controller
            .total
            .uncorrected
            .saturating_sub(counted.uncorrected),
        since: None,
    };
    if left == MemoryErrors::default() {
        return None;
    }
    let what = format!("memory behind controller {}", controller.name);
    let evidence = ["the controller could not tell which module they came from".into()];
    let findings = error_findings(&what, left, controller.since, &evidence);
    let mut report = DeviceReport::new(
        controller.name.clone(),
        DeviceKind::Memory,
        "EDAC",
        findings,
    );
    figures(&mut report, left);
    Some(report)
}

/// What the counters of one thing mean, by [`super::rules::RULES`]. `what` names it in the sentence.
pub(crate) fn error_findings(
    what: &str,
    errors: MemoryErrors,
    since: Option<Millis>,
    evidence: &[String],
) -> Vec<HealthFinding> {
    let rules = holding(errors, since);
    let told = rules.into_iter().flatten();
    told.map(|rule| error_finding(rule, what, errors, since, evidence))
        .collect()
}

fn error_finding(
    rule: &Rule,
    what: &str,
    errors: MemoryErrors,
    since: Option<Millis>,
    evidence: &[String],
) -> HealthFinding {
    use super::rules::Count;
    use groundstate_api::health::Advice;
    let (count, kind) = match rule.count {
        Count::Uncorrected => (errors.uncorrected, "that could not be corrected"),
        Count::CorrectedPerDay => (errors.corrected, "that were corrected"),
    };
    let noun = if count == 1 { "error" } else { "errors" };
    let ran = since.map_or_else(
        || "since boot".into(),
        |since| match since.0.div_ceil(3_600_000) {
            0 | 1 => "in 1 hour".into(),
            hours => format!("in {hours} hours"),
        },
    );
    let mut seen = alloc::vec![format!(
        "the memory controller counted {} corrected and {} uncorrected errors {ran}",
        errors.corrected, errors.uncorrected
    )];
    seen.extend_from_slice(evidence);
    seen.push(rule.because.into());
    let next = match rule.advice {
        Advice::Replace => {
            format!("power the machine off, replace {what}, and order the run again")
        }
        Advice::Reseat | Advice::Watch | Advice::Update | Advice::Configure | Advice::Look => {
            format!(
                "look at the counters again tomorrow; when they grow, reseat {what}, then replace it"
            )
        }
    };
    HealthFinding {
        code: rule.code.into(),
        verdict: rule.verdict,
        what: format!("{what} had {count} {noun} {kind}"),
        evidence: seen,
        sureness: rule.sureness,
        advice: rule.advice,
        next_step: next,
    }
}

/// The counters as figures to follow.
pub(crate) fn figures(report: &mut DeviceReport, errors: MemoryErrors) {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    for (name, count) in [
        ("corrected_errors", errors.corrected),
        ("uncorrected_errors", errors.uncorrected),
    ] {
        report.figures.insert(name.into(), number(count));
    }
}

#[cfg(test)]
mod tests;
