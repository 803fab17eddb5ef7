// SPDX-License-Identifier: Apache-2.0
//! A figure as one line, and the notes below.

use groundstate_tests::compare::{Figure, Goal, Spread, Verdict};

/// One line: name, ours, peer, ratio, goal, verdict.
pub(super) fn line(figure: &Figure) -> String {
    let verdict = figure.verdict().as_str();
    if let Some(why) = &figure.missing {
        return format!("{}: no figure: {why}; {verdict}", figure.name);
    }
    let mut text = format!(
        "{}: ours {}",
        figure.name,
        values(&figure.ours.values, &figure.unit)
    );
    if let Some(peer) = &figure.peer {
        text.push_str(&format!(", peer {}", values(&peer.values, &figure.unit)));
        if let Some(ratio) = Spread::of(&figure.ratios) {
            text.push_str(&format!(", {} {}", figure.ratio_of, spread(ratio)));
        }
    }
    if let Some(goal) = figure.goal {
        text.push_str(&format!(", goal {}", self::goal(goal)));
    }
    text.push_str(&format!("; {verdict}"));
    text
}

/// The line at the end.
pub(super) fn closing(figures: &[Figure]) -> String {
    let count = |verdict| {
        figures
            .iter()
            .filter(|figure| figure.verdict() == verdict)
            .count()
    };
    format!(
        "{} figures: {} ok, {} short, {} reported",
        figures.len(),
        count(Verdict::Ok),
        count(Verdict::Short),
        count(Verdict::Reported)
    )
}

pub(super) fn goal(goal: Goal) -> String {
    match goal {
        Goal::AtMost(most) => format!("at most {}", number(most)),
        Goal::AtLeast(least) => format!("at least {}", number(least)),
    }
}

/// The median with its unit, and in brackets from where to where.
pub(super) fn values(values: &[f64], unit: &str) -> String {
    Spread::of(values).map_or_else(
        || "none".to_owned(),
        |found| {
            if found.min.to_bits() == found.max.to_bits() {
                return format!("{} {unit}", number(found.median));
            }
            format!(
                "{} {unit} ({} to {})",
                number(found.median),
                number(found.min),
                number(found.max)
            )
        },
    )
}

pub(super) fn spread(found: Spread) -> String {
    format!(
        "{} ({} to {})",
        number(found.median),
        number(found.min),
        number(found.max)
    )
}

/// Three figures that count, no more.
pub(super) fn number(value: f64) -> String {
    let places = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_figure_is_one_line() {
        let alone = Figure::new("24 disks x 4 VHDs", "ms", "us", vec![312.4, 300.0, 355.0])
            .goal(Goal::AtMost(1_000.0));
        expect!["24 disks x 4 VHDs: ours 312 ms (300 to 355), goal at most 1000; ok"]
            .assert_eq(&line(&alone));
        let pair = Figure::new("fixed VHD", "ms", "us", vec![2.0, 3.0])
            .against("them", vec![2.0, 2.0], "ours / peer", vec![1.0, 1.5])
            .goal(Goal::AtMost(1.1));
        expect!["fixed VHD: ours 2.5 ms (2 to 3), peer 2 ms, ours / peer 1.25 (1 to 1.5), goal at most 1.1; short"]
            .assert_eq(&line(&pair));
        let missing = Figure::missing("dynamic", "cannot run qemu-io".to_owned());
        expect!["dynamic: no figure: cannot run qemu-io; short"].assert_eq(&line(&missing));
        expect!["3 figures: 1 ok, 2 short, 0 reported"]
            .assert_eq(&closing(&[alone, pair, missing]));
    }

    #[test]
    fn numbers_keep_what_counts() {
        let shown: Vec<_> = [0.0, 0.126, 1.0, 9.999, 12.34, 1_234.6].map(number).into();
        assert_eq!(shown, ["0", "0.13", "1", "10", "12.3", "1235"]);
    }
}
