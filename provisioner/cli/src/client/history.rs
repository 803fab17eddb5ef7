// SPDX-License-Identifier: Apache-2.0
//! `groundstate node history`: a node's events as a time line, with how long each phase took and where nothing was heard.

use super::nodes::must_be;
use super::paper::{Paper, Tone};
use super::said::{document_line, say};
use super::show::moment;
use super::time::{now, span};
use super::{Client, Connect, names};
use crate::End;
use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use groundstate_api::event::{Event, Happened};
use groundstate_api::headline::headline;
use groundstate_api::text::{counted, inert};
use groundstate_api::view::EventPage;
use groundstate_api::{Millis, NodeId, paths};

/// So long without an event is said: a running step reports every few seconds, a watched host every few minutes at most.
const GAP: Millis = Millis::secs(600);

#[derive(Args)]
#[command(after_help = "Examples:
  groundstate node history r1-07
  groundstate node history r1-07 --since 2h
  groundstate node history r1-07 --since 2026-11-22T10:00:00Z --json")]
pub(crate) struct HistoryArgs {
    /// The node's name.
    #[arg(add = ArgValueCompleter::new(names::complete))]
    node: NodeId,
    /// Only since then: 90s, 15min, 2h, 3d ago, or a moment such as 2026-11-22T10:00:00Z.
    #[arg(long, value_name = "WHEN", value_parser = super::time::moment)]
    since: Option<Millis>,
    /// Print the API's events, one JSON document in each line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn run(args: &HistoryArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    let since = args.since;
    let mut events = events_of(&client, &args.node)?;
    events.retain(|event| since.is_none_or(|since| event.at >= since));
    if args.json {
        for event in &events {
            document_line(&serde_json::to_string(event)?)?;
        }
    } else {
        say(&page(&args.node, &events, now(), Paper::of_terminal()))?;
    }
    Ok(End::Done)
}

/// Refuses a name that is no node's and has no events: one that is out of the site has its events still.
pub(crate) fn must_be_known(client: &Client, node: &NodeId) -> Result<()> {
    let first = format!("{}?after=0&node={node}&limit=1", paths::EVENTS);
    let page: EventPage = client.get(&first)?;
    if page.events.is_empty() {
        must_be(client, node)?;
    }
    Ok(())
}

/// Every event of a node.
///
/// # Errors
/// As of [`must_be_known`], or nobody answers.
pub(crate) fn events_of(client: &Client, node: &NodeId) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut after = 0;
    loop {
        let page: EventPage =
            client.get(&format!("{}?after={after}&node={node}", paths::EVENTS))?;
        if page.events.is_empty() {
            if events.is_empty() {
                must_be(client, node)?;
            }
            return Ok(events);
        }
        events.extend(page.events);
        after = page.next_after;
    }
}

/// The time line.
pub(crate) fn page(node: &NodeId, events: &[Event], now: Millis, paper: Paper) -> String {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return format!("{node}: nothing happened");
    };
    let mut lines = vec![
        format!(
            "{node}: {} in {}, {} to {}",
            counted(events.len(), "event"),
            span(last.at.since(first.at)),
            moment(first.at),
            moment(last.at)
        ),
        paper.paint(Tone::Bold, "     #  WHEN (UTC)            AFTER       WHAT"),
    ];
    let mut before = first.at;
    let mut entered = None;
    for event in events {
        let after = event.at.since(before);
        if after >= GAP {
            let quiet = format!("        ......  {} without an event", span(after));
            lines.push(paper.paint(Tone::Dim, &quiet));
        }
        let after = if after.0 == 0 {
            String::new()
        } else {
            format!("+{}", short(after))
        };
        let mut what = inert(&headline(&event.what)).into_owned();
        let mut tone = Tone::Plain;
        if let Happened::PhaseChanged { from, to, .. } = &event.what {
            let began: Option<Millis> = entered.replace(event.at);
            let took = began
                .map(|began| format!("  ({} for {})", from.as_str(), short(event.at.since(began))));
            what.push_str(&took.unwrap_or_default());
            tone = Tone::of(*to);
        }
        let when = moment(event.at);
        let number = event.number;
        lines.push(format!(
            "{number:>6}  {when}  {after:<10}  {}",
            paper.paint(tone, &what)
        ));
        before = event.at;
    }
    let quiet = now.since(last.at);
    let to_now = format!("        ......  {} since then", span(quiet));
    lines.push(paper.paint(Tone::Dim, &to_now));
    lines.join("\n")
}

/// A length of time where a second counts.
fn short(time: Millis) -> String {
    if time.0 < 10_000 {
        format!("{}.{} s", time.0 / 1_000, time.0 % 1_000 / 100)
    } else {
        span(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use groundstate_api::view::Phase;

    #[test]
    fn a_time_line_says_how_long_and_where_nothing_was_heard() {
        let node: NodeId = "r1-07".parse().unwrap();
        let moved = |from, to| Happened::PhaseChanged {
            from,
            to,
            reason: None,
        };
        let day = 20_000 * 86_400_000;
        let told = [
            (0, Happened::NodeAdded),
            (5_300, moved(Phase::Enrolled, Phase::Ordered)),
            (65_300, moved(Phase::Ordered, Phase::Booting)),
            (
                7_265_300,
                Happened::Remarked {
                    by: "operator:ana".into(),
                    text: "a\x1b[2J\nb".into(),
                },
            ),
        ];
        let events: Vec<Event> = (1..)
            .zip(told)
            .map(|(number, (at, what))| Event {
                number,
                at: Millis(day + at),
                node: Some(node.clone()),
                what,
            })
            .collect();
        expect![[r"
            r1-07: 4 events in 2 h 01 min, 2024-10-04 00:00:00Z to 2024-10-04 02:01:05Z
                 #  WHEN (UTC)            AFTER       WHAT
                 1  2024-10-04 00:00:00Z              added from the site file
                 2  2024-10-04 00:00:05Z  +5.3 s      enrolled -> ordered
                 3  2024-10-04 00:01:05Z  +60 s       ordered -> booting  (ordered for 60 s)
                    ......  2 h 00 min without an event
                 4  2024-10-04 02:01:05Z  +2 h 00 min  remark of operator:ana: a�[2J�b
                    ......  17 s since then"]]
        .assert_eq(&page(
            &node,
            &events,
            Millis(day + 7_283_000),
            Paper::plain(None),
        ));
    }
}
