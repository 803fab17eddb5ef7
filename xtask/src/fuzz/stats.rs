// SPDX-License-Identifier: Apache-2.0
//! What libFuzzer says at its end, and the table of all targets.

use std::path::{Path, PathBuf};

/// How one target ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The target.
    pub(super) name: String,
    /// Inputs that were tried.
    pub(super) executions: u64,
    /// Of them in a second.
    pub(super) per_second: u64,
    /// The most memory that the process had, in MiB.
    pub(super) peak_mib: u64,
    /// Inputs that reach something that no other reaches.
    pub(super) corpus: usize,
    /// What was found; libFuzzer ends at the first.
    pub(super) findings: Vec<Finding>,
}

/// An input that a parser does not survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What happened.
    pub(super) cause: String,
    /// The input.
    pub(super) input: PathBuf,
    /// What it is given to, to see it again.
    pub(super) program: PathBuf,
}

impl Finding {
    /// Whether the input took too long, by libFuzzer's clock.
    pub(super) fn is_timeout(&self) -> bool {
        self.cause.contains("libFuzzer: timeout")
    }
}

impl Outcome {
    /// Two runs of one target, one after the other.
    pub(super) fn and(mut self, later: Self) -> Self {
        let both = self.executions + later.executions;
        let seconds = |one: &Self| one.executions.checked_div(one.per_second).unwrap_or(0);
        let took = seconds(&self) + seconds(&later);
        self.findings.extend(later.findings);
        Self {
            name: later.name,
            executions: both,
            per_second: both.checked_div(took).unwrap_or(later.per_second),
            peak_mib: self.peak_mib.max(later.peak_mib),
            corpus: later.corpus,
            findings: self.findings,
        }
    }

    /// Reads what a run printed.
    pub(super) fn read(name: &str, said: &str, program: &Path) -> Self {
        let number = |stat: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(stat));
            line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0)
        };
        let input = said
            .lines()
            .find_map(|line| Some(line.split_once("Test unit written to ")?.1.trim()));
        Self {
            name: name.to_owned(),
            executions: number("stat::number_of_executed_units:"),
            per_second: number("stat::average_exec_per_sec:"),
            peak_mib: number("stat::peak_rss_mb:"),
            corpus: 0,
            findings: input
                .map(|input| Finding {
                    cause: cause(said),
                    input: input.into(),
                    program: program.to_owned(),
                })
                .into_iter()
                .collect(),
        }
    }
}

/// The panic's place and words, or libFuzzer's own: a timeout, too much memory.
fn cause(said: &str) -> String {
    let mut lines = said
        .lines()
        .skip_while(|line| !line.contains(" panicked at "));
    if let Some(place) = lines.next() {
        let place = place
            .split_once(" panicked at ")
            .map_or(place, |(_, place)| place);
        return format!("{place} {}", lines.next().unwrap_or_default());
    }
    let own = said.lines().find(|line| line.contains("ERROR: libFuzzer"));
    own.unwrap_or("an end without a word").to_owned()
}

/// The table.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "{:<16} {:>12} {:>9} {:>9} {:>7} {:>8}\n",
        "target", "executions", "a second", "peak MiB", "corpus", "findings"
    );
    for one in outcomes {
        text.push_str(&format!(
            "{:<16} {:>12} {:>9} {:>9} {:>7} {:>8}\n",
            one.name,
            one.executions,
            one.per_second,
            one.peak_mib,
            one.corpus,
            one.findings.len()
        ));
    }
    let executions: u64 = outcomes.iter().map(|one| one.executions).sum();
    let findings: usize = outcomes.iter().map(|one| one.findings.len()).sum();
    text.push_str(&format!(
        "{:<16} {executions:>12} {:>36}\n",
        "all", findings
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const SAID: &str = "\
#2 INITED cov: 380
thread '<unnamed>' (7) panicked at src/bin/vhd.rs:12:5:
held 9 bytes of heap, at most 8 are allowed
==7== ERROR: libFuzzer: deadly signal
stat::number_of_executed_units: 816517
stat::average_exec_per_sec:     38881
stat::peak_rss_mb:              30
artifact_prefix='a/'; Test unit written to a/crash-01
";

    #[test]
    fn a_finding_has_its_cause_and_its_input() {
        let outcome = Outcome::read("vhd", SAID, Path::new("fuzz/vhd"));
        let finding = &outcome.findings[0];
        assert_eq!(finding.input, Path::new("a/crash-01"));
        expect!["src/bin/vhd.rs:12:5: held 9 bytes of heap, at most 8 are allowed"]
            .assert_eq(&finding.cause);
        expect![[r#"
            target             executions  a second  peak MiB  corpus findings
            vhd                    816517     38881        30       0        1
            all                    816517                                    1
        "#]]
        .assert_eq(&table(&[outcome]));
    }

    #[test]
    fn two_runs_are_one() {
        let run = |executions, per_second, peak_mib| Outcome {
            executions,
            per_second,
            peak_mib,
            ..Outcome::read("vhd", "", Path::new("vhd"))
        };
        assert_eq!(Outcome::default().and(run(60, 10, 3)), run(60, 10, 3));
        assert_eq!(run(60, 10, 5).and(run(40, 10, 3)), run(100, 10, 5));
    }

    #[test]
    fn a_timeout_is_told_in_the_fuzzers_words() {
        let said =
            "==7== ERROR: libFuzzer: timeout after 2 seconds\na; Test unit written to timeout-02\n";
        let outcome = Outcome::read("vhd", said, Path::new("fuzz/vhd"));
        assert!(
            outcome.findings[0]
                .cause
                .contains("timeout after 2 seconds")
        );
        assert_eq!(
            Outcome::read("vhd", "Done 7 runs", Path::new("x")).findings,
            []
        );
    }
}
