// SPDX-License-Identifier: Apache-2.0
//! The chosen node: its explanation in the API's words, and its newest events.

use super::super::model::State;
use super::super::theme::Theme;
use crate::client::explain::{moment, page as explanation};
use crate::client::paper::Tone;
use crate::client::time::clock;
use groundstate_api::event::Happened;
use groundstate_api::explain;
use groundstate_api::headline::headline;
use groundstate_api::text::inert;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};
use unicode_width::UnicodeWidthStr as _;

/// Where the words of an explanation begin, behind `by itself:`.
const INDENT: usize = 13;
/// How the line of what to do begins.
const DO_NOW: &str = "  do now:";
/// Rows below which no event fits beside the explanation.
const EVENTS_FROM: usize = 3;

/// Below the list: as much as fits.
pub(super) fn pane(frame: &mut Frame<'_>, state: &State, theme: Theme, area: Rect) {
    let Some(row) = state.chosen_row() else {
        frame.render_widget(Block::bordered(), area);
        return;
    };
    let room = usize::from(area.height.saturating_sub(2));
    let wide = usize::from(area.width.saturating_sub(2)).max(1);
    let rows = |lines: &[Line<'_>]| -> usize {
        let rows = lines.iter().map(|line| line.width().div_ceil(wide).max(1));
        rows.sum()
    };
    let mut lines = words(state, theme, wide, Order::AsTold);
    if rows(&lines) > room {
        lines = words(state, theme, wide, Order::WhatToDoFirst);
    }
    let used = rows(&lines);
    let left = room.saturating_sub(used + 1);
    if left >= EVENTS_FROM {
        lines.push(Line::default());
        let events = events(state, theme);
        let first = events.len().saturating_sub(left);
        lines.extend(events.into_iter().skip(first));
    }
    let block = Block::bordered().title(format!(" {} ", row.view.node));
    let text = Paragraph::new(lines).wrap(Wrap { trim: false });
    frame.render_widget(text.block(block), area);
}

/// The node alone.
pub(super) fn page(frame: &mut Frame<'_>, state: &mut State, theme: Theme, area: Rect) {
    let Some(row) = state.chosen_row() else {
        frame.render_widget(Block::bordered().title(" no node "), area);
        return;
    };
    let title = format!(" {}, {} ", row.view.node, row.view.mac);
    let wide = usize::from(area.width.saturating_sub(2)).max(1);
    let mut lines = words(state, theme, wide, Order::AsTold);
    lines.push(Line::default());
    lines.push(Line::styled("Newest events:", theme.tone(Tone::Bold)));
    lines.extend(events(state, theme).into_iter().rev());
    let most = u16::try_from(lines.len())
        .unwrap_or(u16::MAX)
        .saturating_sub(1);
    state.scroll = state.scroll.min(most);
    let text = Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .scroll((state.scroll, 0));
    frame.render_widget(text.block(Block::bordered().title(title)), area);
}

/// In which order an explanation stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    AsTold,
    /// Where not all of it fits: what to do is not what falls below the edge.
    WhatToDoFirst,
}

fn words(state: &State, theme: Theme, wide: usize, order: Order) -> Vec<Line<'static>> {
    let Some(row) = state.chosen_row() else {
        return Vec::new();
    };
    let eta = state.eta(&row.view.node);
    let text = match &state.report {
        // The row may be newer than the report.
        Some(report) if report.view.version >= row.view.version => {
            explanation(report, eta, state.now)
        }
        Some(_) | None => explain::lines(&row.view, eta, &|at| moment(at, state.now)).join("\n"),
    };
    let mut told: Vec<&str> = text.lines().collect();
    let to_do = told.iter().position(|line| line.starts_with(DO_NOW));
    if let (Order::WhatToDoFirst, Some(at)) = (order, to_do) {
        let line = told.remove(at);
        told.insert(1.min(at), line);
    }
    let lines = told.into_iter().enumerate().flat_map(|(at, line)| {
        let style = if at == 0 {
            theme.phase(row.view.phase)
        } else if line.starts_with(DO_NOW) {
            theme.tone(Tone::Bold)
        } else {
            theme.tone(Tone::Plain)
        };
        let indent = if line.starts_with("  ") { INDENT } else { 2 };
        let lines = folded(&inert(line), wide, indent);
        lines.into_iter().map(move |line| Line::styled(line, style))
    });
    lines.collect()
}

/// The line by words in lines that fit, those after the first as far in as what they go on with.
fn folded(text: &str, wide: usize, indent: usize) -> Vec<String> {
    let indent = indent.min(wide / 3);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split_inclusive(' ') {
        let fits = line.width() + word.trim_end().width() <= wide;
        if !fits && line.width() > indent {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
            line = " ".repeat(indent);
        }
        line.push_str(word);
    }
    lines.push(line.trim_end().to_owned());
    lines
}

fn events(state: &State, theme: Theme) -> Vec<Line<'static>> {
    let events = state.events.iter().map(|event| {
        let tone = match &event.what {
            Happened::PhaseChanged { to, .. } => theme.phase(*to),
            _ => theme.tone(Tone::Plain),
        };
        let what = inert(&headline(&event.what)).into_owned();
        Line::from(vec![
            Span::styled(format!("{} ", clock(event.at)), theme.tone(Tone::Dim)),
            Span::styled(what, tone),
        ])
    });
    events.collect()
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn a_long_line_goes_on_below_its_words() {
        let text = "  do now:    repair it (groundstate node repair r1-04)";
        assert_eq!(
            folded(text, 40, 13),
            [
                "  do now:    repair it (groundstate node",
                "             repair r1-04)"
            ]
        );
        assert_eq!(folded(text, 80, 13), [text]);
        assert_eq!(folded("", 10, 2), [""]);
        let long = "x".repeat(50);
        assert_eq!(folded(&long, 10, 2), [long]);
    }
}
