// SPDX-License-Identifier: Apache-2.0
//! The rules by which a disk is judged, as data: from which figure on, on which media and models, what then, and why.
//!
//! A rule never looks at a disk; it is chosen by [`Rule::choose`] for a measure and put into words by [`Rule::finding`].
//! The thresholds were tried on the outside captures: drives that call themselves failed, drives that pass and are bad,
//! and healthy ones. What healthy drives also have (a few reallocated sectors, CRC errors of a hot swap, unsafe shutdowns)
//! is told as a finding of verdict `ok` or not at all.

mod any;
mod ata;
mod nvme;
mod scsi;

use super::measure::{Measure, Media, Reading};
use alloc::format;
use alloc::string::String;
use groundstate_api::health::{Advice, HealthFinding, Sureness, Verdict};

/// One rule. All are in [`all`].
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The finding's stable code, explained in the catalogue.
    pub code: &'static str,
    /// What it is about.
    pub measure: Measure,
    /// It holds from this value on.
    pub from: u64,
    /// And up to this one.
    pub to: u64,
    /// Only on these media; on all where `None`.
    pub media: Option<Media>,
    /// Only on models that contain one of these; on all where empty. A rule for a model comes before the general ones.
    pub models: &'static [&'static str],
    /// How grave it is.
    pub verdict: Verdict,
    /// How sure it is.
    pub sureness: Sureness,
    /// What kind of thing to do.
    pub advice: Advice,
    /// What is wrong, in one sentence: `{n}` is the value, `{n:sector}` the value with its unit in the right number,
    /// `{detail}` what the measure tells besides.
    pub what: &'static str,
    /// What to do, in one sentence.
    pub next_step: &'static str,
    /// Why this threshold and this verdict.
    pub why: &'static str,
}

/// What most rules have in common.
const BASE: Rule = Rule {
    code: "",
    measure: Measure::NothingRead,
    from: 1,
    to: u64::MAX,
    media: None,
    models: &[],
    verdict: Verdict::Warn,
    sureness: Sureness::Certain,
    advice: Advice::Watch,
    what: "",
    next_step: "",
    why: "",
};

const TABLES: &[&[Rule]] = &[any::RULES, ata::RULES, nvme::RULES, scsi::RULES];

/// Every rule of every protocol.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    TABLES.iter().copied().flatten()
}

impl Rule {
    /// The rule that holds for a value of a measure on a model: a rule for the model before the general ones, then the
    /// gravest, then the one with the highest threshold.
    #[must_use]
    pub fn choose(
        measure: Measure,
        value: u64,
        media: Media,
        model: &str,
    ) -> Option<&'static Self> {
        all()
            .filter(|rule| rule.measure == measure && (rule.from..=rule.to).contains(&value))
            .filter(|rule| rule.media.is_none_or(|only| only == media))
            .filter(|rule| {
                rule.models.is_empty() || rule.models.iter().any(|part| model.contains(part))
            })
            .max_by_key(|rule| (!rule.models.is_empty(), rule.verdict, rule.from))
    }

    /// The finding on a reading.
    pub(super) fn finding(&self, reading: &Reading) -> HealthFinding {
        HealthFinding {
            code: self.code.into(),
            verdict: self.verdict,
            what: in_words(self.what, reading),
            evidence: reading.evidence.clone(),
            sureness: self.sureness,
            advice: self.advice,
            next_step: in_words(self.next_step, reading),
        }
    }
}

/// A template with its figures.
fn in_words(template: &str, reading: &Reading) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((field, after)) = after.split_once('}') else {
            rest = after;
            break;
        };
        match field.split_once(':') {
            _ if field == "detail" => text.push_str(&reading.detail),
            Some((_, unit)) => text.push_str(&counted(reading.value, unit)),
            None => text.push_str(&format!("{}", reading.value)),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// `1 sector`, `3 sectors`.
pub(super) fn counted(value: u64, unit: &str) -> String {
    let s = if value == 1 { "" } else { "s" };
    format!("{value} {unit}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    #[test]
    fn every_rule_is_whole_and_stands_in_the_catalogue() {
        for rule in all() {
            assert!(catalogue::find(rule.code).is_some(), "{}", rule.code);
            assert!(
                !rule.code.is_empty() && rule.why.len() > 20,
                "{}",
                rule.code
            );
            assert!(rule.from <= rule.to && rule.from > 0, "{}", rule.code);
            for text in [rule.what, rule.next_step] {
                assert!(text.len() > 10, "{}: {text}", rule.code);
                let reading = Reading::new(rule.measure, 2, Vec::new());
                assert!(!in_words(text, &reading).contains(['{', '}']), "{text}");
            }
        }
    }

    #[test]
    fn a_rule_for_the_model_comes_before_the_general_one() {
        let choose = |value, media, model| {
            let rule = Rule::choose(Measure::Pending, value, media, model).unwrap();
            (rule.verdict, rule.sureness, rule.advice)
        };
        let general = (Verdict::Warn, Sureness::Certain, Advice::Watch);
        assert_eq!(choose(1, Media::Solid, "CT500MX100SSD1"), general);
        let known = (Verdict::Warn, Sureness::Hint, Advice::Update);
        assert_eq!(choose(1, Media::Solid, "CT500MX500SSD1"), known);
        assert_eq!(choose(2, Media::Solid, "CT500MX500SSD1"), general);
        assert_eq!(choose(64, Media::Rotating, "ST1000").0, Verdict::Fail);
        assert_eq!(choose(64, Media::Solid, "SSD").0, Verdict::Warn);
        assert!(Rule::choose(Measure::Pending, 0, Media::Solid, "").is_none());
    }

    #[test]
    fn words_take_their_figures() {
        let say = |value, template| {
            let reading = Reading::detailed(Measure::Crc, value, "D".into(), Vec::new());
            in_words(template, &reading)
        };
        assert_eq!(say(1, "{n:sector}, {detail}, {n} %"), "1 sector, D, 1 %");
        assert_eq!(say(2, "has {n:error}"), "has 2 errors");
    }
}
