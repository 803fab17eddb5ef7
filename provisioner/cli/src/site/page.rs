// SPDX-License-Identifier: Apache-2.0
//! A plan and a drift as pages: tables for people.

use crate::client::paper::{Paper, Tone};
use crate::client::table::{Cell, Table};
use groundstate_api::Reason;
use groundstate_api::site_plan::{ChangeKind, Drift, KeyChange, SiteChange, SitePlan};
use groundstate_api::text::inert;
use unicode_width::UnicodeWidthStr as _;

/// Changes that are shown; of a site's first plan there are as many as it has nodes.
const SHOWN_MAX: usize = 500;
/// Keys of one change that are shown.
const KEYS_MAX: usize = 12;
/// The widest name that others are lined up with.
const NAME_MAX: usize = 28;
/// The sign of a change, and the gap behind it.
const SIGN: usize = 3;

/// What would change, what follows, and what stands in the way.
pub(super) fn plan(plan: &SitePlan, paper: Paper) -> String {
    let missed = if plan.warnings.is_empty() {
        String::new()
    } else {
        format!("\n\n{}", warnings(&plan.warnings))
    };
    if plan.is_empty() {
        let same = format!("nothing would change: the site is version {}", plan.from);
        return same + &missed;
    }
    let shown = plan.changes.iter().take(SHOWN_MAX);
    let names = shown.clone().map(|change| change.resource.width());
    let wide = names.max().unwrap_or(0).min(NAME_MAX);
    let mut page = shown
        .map(|each| change(each, wide, paper))
        .collect::<Vec<_>>()
        .join("\n");
    if plan.changes.len() > SHOWN_MAX {
        page.push_str(&format!(
            "\nand {} more; --json shows all",
            plan.changes.len() - SHOWN_MAX
        ));
    }
    page + "\n\n" + &summary(plan) + &missed
}

/// One change: what it is about and what follows, and below each key with its value before and after. Nothing of it is cut: a
/// person agrees to it.
fn change(change: &SiteChange, wide: usize, paper: Paper) -> String {
    let tone = match change.kind {
        ChangeKind::Added => Tone::Good,
        ChangeKind::Changed => Tone::Warn,
        ChangeKind::Removed => Tone::Bad,
    };
    let (tone_after, after) = match &change.refused {
        Some(why) => (Tone::Bad, format!("REFUSED: {why}")),
        None => (Tone::Plain, change.effect.clone()),
    };
    let name = inert(&change.resource);
    let gap = wide.saturating_sub(name.width()) + 2;
    let begin = SIGN + name.width() + gap;
    let mut text = format!(
        "{}  {}{}",
        paper.paint(tone, &change.kind.sign().to_string()),
        paper.paint(tone, &name),
        " ".repeat(gap)
    );
    text.push_str(&paper.folded(tone_after, &inert(&after), begin, SIGN + wide + 2));
    if change.kind != ChangeKind::Changed {
        return text;
    }
    for key in change.keys.iter().take(KEYS_MAX) {
        let own = key.key.strip_prefix(change.resource.as_str());
        let own = own.unwrap_or(&key.key).trim_start_matches('.');
        let words = KeyChange {
            key: own.to_owned(),
            ..key.clone()
        };
        text.push_str("\n     ");
        let words = words.words();
        text.push_str(&paper.folded(Tone::Plain, &inert(words.trim_start()), 5, 7));
    }
    if let Some(more @ 1..) = change.keys.len().checked_sub(KEYS_MAX) {
        text.push_str(&format!("\n     and {}; --json shows all", more_keys(more)));
    }
    text
}

fn more_keys(more: usize) -> String {
    match more {
        1 => "1 more key".to_owned(),
        more => format!("{more} more keys"),
    }
}

/// What will be missed: each with where it was looked for and what a person can do.
pub(super) fn warnings(missed: &[Reason]) -> String {
    let each = missed.iter().map(|reason| format!("WARNING     {reason}"));
    each.collect::<Vec<_>>().join("\n")
}

/// How many, in one line.
pub(super) fn summary(plan: &SitePlan) -> String {
    let count = |kind| {
        plan.changes
            .iter()
            .filter(|change| change.kind == kind)
            .count()
    };
    let mut line = format!(
        "{}, {}, {}; compared with version {}",
        does(count(ChangeKind::Added), "comes", "come"),
        does(count(ChangeKind::Changed), "changes", "change"),
        does(count(ChangeKind::Removed), "goes", "go"),
        plan.from
    );
    let restart = plan.changes.iter().filter(|change| change.restart).count();
    if restart > 0 {
        line.push_str(&format!(
            "\n{} effect only when groundstate is started again",
            does(restart, "of them takes", "of them take")
        ));
    }
    let refused = plan
        .changes
        .iter()
        .filter(|change| change.refused.is_some())
        .count();
    if refused > 0 {
        line.push_str(&format!(
            "\n{}, nothing of this site is applied",
            does(
                refused,
                "of them stands in the way: as long as it does",
                "of them stand in the way: as long as they do"
            )
        ));
    }
    line
}

/// `1 comes`, `2 come`.
fn does(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Where machines differ.
pub(super) fn drift(drift: &Drift, paper: Paper) -> String {
    if drift.drifts.is_empty() {
        return format!(
            "no machine differs from version {} of the site, as far as they have told",
            drift.version
        );
    }
    let mut table = Table::new(&["NODE", "WHAT", "THE SITE SAYS", "WAS SEEN", "NEXT STEP"]);
    for one in &drift.drifts {
        table.row([
            Cell::new(Tone::Bold, one.node.as_str()),
            one.what.as_str().into(),
            one.wanted.as_str().into(),
            Cell::new(Tone::Warn, &one.seen),
            one.next_step.as_str().into(),
        ]);
    }
    table.page(paper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_plan_is_a_table_with_what_stands_in_the_way() {
        let change =
            |resource: &str, kind, keys: &[(&str, &str, &str)], refused: Option<&str>| SiteChange {
                resource: resource.into(),
                kind,
                keys: keys
                    .iter()
                    .map(|(key, before, after)| KeyChange {
                        key: (*key).into(),
                        before: (*before).into(),
                        after: (*after).into(),
                    })
                    .collect(),
                effect: "at once".into(),
                restart: resource == "name",
                refused: refused.map(Into::into),
            };
        let seen = plan(
            &SitePlan {
                from: 3,
                changes: vec![
                    change(
                        "name",
                        ChangeKind::Changed,
                        &[("name", "a", "b\u{1b}[2J")],
                        None,
                    ),
                    change("rack r1", ChangeKind::Added, &[("name", "", "r1")], None),
                    change(
                        "node n1",
                        ChangeKind::Removed,
                        &[("name", "n1", "")],
                        Some("n1 is ready: retire it first"),
                    ),
                ],
                warnings: Vec::new(),
            },
            Paper::plain(None),
        );
        expect![[r#"
            ~  name     at once
                 a -> b�[2J
            +  rack r1  at once
            -  node n1  REFUSED: n1 is ready: retire it first

            1 comes, 1 changes, 1 goes; compared with version 3
            1 of them takes effect only when groundstate is started again
            1 of them stands in the way: as long as it does, nothing of this site is applied"#]]
        .assert_eq(&seen);
        let missed = SitePlan {
            warnings: vec![
                Reason::new(
                    groundstate_api::ReasonCode::CredentialMissing,
                    "the credential bmc-r1 cannot be used: there is no file",
                    "write it",
                )
                .seen("it was looked for as /s/credentials/bmc-r1"),
            ],
            ..SitePlan::default()
        };
        expect![[r#"
            nothing would change: the site is version 0

            WARNING     the credential bmc-r1 cannot be used: there is no file [credential-missing]
              seen:      it was looked for as /s/credentials/bmc-r1
              by itself: nothing: it waits for a person
              do now:    write it"#]]
        .assert_eq(&plan(&missed, Paper::plain(None)));
        assert_eq!(
            plan(&SitePlan::default(), Paper::plain(None)),
            "nothing would change: the site is version 0"
        );
    }
}
