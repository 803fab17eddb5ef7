// SPDX-License-Identifier: Apache-2.0
//! Checks `[healing]`: rules that could never do what they say are faults.

use crate::parts_check::too_many;
use crate::site_limits::{HEALING_SECS_MAX, HEALING_STEPS_MAX};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use groundstate_api::healing::{HealingPolicy, HealingRule, Measure, TroubleKind};

type Add<'a> = &'a mut dyn FnMut(String, String);

/// The most tries of one step: what failed a hundred times will fail again.
const TIMES: core::ops::RangeInclusive<u32> = 1..=100;

/// Names every fault through `add`.
pub(crate) fn check(healing: &HealingPolicy, add: Add<'_>) {
    for (key, value) in [
        ("nodes_at_once", healing.nodes_at_once),
        ("domains_at_once", healing.domains_at_once),
        ("brake_failures", healing.brake_failures),
    ] {
        if value == 0 {
            let should = "0 should be 1 at least; enabled = false switches healing off";
            add(format!("healing.{key}"), should.to_string());
        }
    }
    if healing.brake_secs == 0 || healing.brake_secs > HEALING_SECS_MAX {
        let should = format!("{} should be 1 to {HEALING_SECS_MAX}", healing.brake_secs);
        add("healing.brake_secs".to_string(), should);
    }
    let mut rules: BTreeMap<TroubleKind, usize> = BTreeMap::new();
    for (index, rule) in healing.rules.iter().enumerate() {
        let path = format!("healing.rule[{index}]");
        if let Some(first) = rules.insert(rule.trouble, index) {
            let should = format!(
                "healing.rule[{first}] is for this trouble too; one rule says all its steps"
            );
            add(format!("{path}.trouble"), should);
        }
        steps(&path, rule, add);
    }
}

fn steps(path: &str, rule: &HealingRule, add: Add<'_>) {
    if rule.steps.is_empty() {
        let should = "a rule should have a step; watch is the mildest".to_string();
        add(format!("{path}.step"), should);
    }
    too_many(
        &format!("{path}.step"),
        rule.steps.len(),
        HEALING_STEPS_MAX,
        add,
    );
    let mut before: Option<Measure> = None;
    for (index, step) in rule.steps.iter().enumerate() {
        let at = format!("{path}.step[{index}]");
        let measure = step.measure;
        if before == Some(Measure::Quarantine) {
            let should = "nothing comes after quarantine: only a person or the fabric controller lets a node out";
            add(format!("{at}.measure"), should.to_string());
        } else if before == Some(measure) {
            let should = format!(
                "{} comes twice in a row; times says how often",
                measure.as_str()
            );
            add(format!("{at}.measure"), should);
        }
        let by_agent = matches!(
            measure,
            Measure::RestartServices | Measure::CollectDiagnostics
        );
        if rule.trouble == TroubleKind::Silent && by_agent {
            let should = format!(
                "{} is done by the host's agent, and a silent host's agent does not answer",
                measure.as_str()
            );
            add(format!("{at}.measure"), should);
        }
        if !TIMES.contains(&step.times) {
            let should = format!(
                "{} should be {} to {}",
                step.times,
                TIMES.start(),
                TIMES.end()
            );
            add(format!("{at}.times"), should);
        } else if step.times > 1 && matches!(measure, Measure::Watch | Measure::Quarantine) {
            let should = format!("{} is done once", measure.as_str());
            add(format!("{at}.times"), should);
        }
        if step.after_secs > HEALING_SECS_MAX {
            let should = format!(
                "{} should be at most {HEALING_SECS_MAX}, a week",
                step.after_secs
            );
            add(format!("{at}.after_secs"), should);
        }
        before = Some(measure);
    }
}
