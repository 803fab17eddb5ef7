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

/// Rows below which no event fits beside the explanation.
const EVENTS_FROM: usize = 3;

/// Below the list: as much as fits.
pub(super) fn pane(frame: &mut Frame<'_>, state: &State, theme: Theme, area: Rect) {
    let Some(row) = state.chosen_row() else {
        frame.render_widget(Block::bordered(), area);
        return;
    };
    let mut lines = words(state, theme);
    let room = usize::from(area.height.saturating_sub(2));
    let wide = usize::from(area.width.saturating_sub(2)).max(1);
    let used: usize = lines
        .iter()
        .map(|line| line.width().div_ceil(wide).max(1))
        .sum();
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
    let mut lines = words(state, theme);
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

fn words(state: &State, theme: Theme) -> Vec<Line<'static>> {
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
    let lines = text.lines().enumerate().map(|(at, line)| {
        let line = inert(line).into_owned();
        if at == 0 {
            Line::styled(line, theme.phase(row.view.phase))
        } else if line.starts_with("  do now:") {
            Line::styled(line, theme.tone(Tone::Bold))
        } else {
            Line::from(line)
        }
    });
    lines.collect()
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
