// SPDX-License-Identifier: Apache-2.0
//! The screen: the state as cells. Only rows that are on the screen are made, however many nodes there are.

mod node;
mod racks;

use super::model::{Link, Page, Row, State};
use super::theme::{Theme, letter};
use crate::client::list::{step, why};
use crate::client::paper::Tone;
use crate::client::table::cut;
use crate::client::time::{from_now, span};
use groundstate_api::run::StepState;
use groundstate_api::text::{counted, inert};
use groundstate_api::view::Phase;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};
use unicode_width::UnicodeWidthStr as _;

/// Columns below which racks stand in nobody's way by not being there.
const RACKS_FROM: u16 = 60;
/// Cells of a progress bar.
const BAR: usize = 10;

/// Draws the screen.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, theme: Theme) {
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(Paragraph::new(header(state, theme, head.width)), head);
    match state.page {
        Page::Site => site(frame, state, theme, body),
        Page::Node => node::page(frame, state, theme, body),
        Page::Help => help(frame, theme, body),
    }
    frame.render_widget(Paragraph::new(footer(state, theme)), foot);
}

fn site(frame: &mut Frame<'_>, state: &mut State, theme: Theme, area: Rect) {
    let with_racks = state.show_racks && !state.racks.is_empty() && area.width >= RACKS_FROM;
    let wide = if with_racks {
        racks::width(state, area).min(area.width * 2 / 5)
    } else {
        0
    };
    let [left, right] =
        Layout::horizontal([Constraint::Length(wide), Constraint::Min(0)]).areas(area);
    if wide > 0 {
        racks::draw(frame, state, theme, left);
    }
    let below = (right.height / 2).min(14);
    let [above, below] =
        Layout::vertical([Constraint::Min(3), Constraint::Length(below)]).areas(right);
    list(frame, state, theme, above);
    node::pane(frame, state, theme, below);
}

/// Two lines: the site and how it is reached, then how many nodes are where.
fn header(state: &State, theme: Theme, width: u16) -> Vec<Line<'static>> {
    let brake = if state.fleet.brake.on {
        Span::styled(" BRAKE ON ", theme.chosen(theme.tone(Tone::Bad)))
    } else {
        Span::raw("brake off")
    };
    let (link, tone) = match &state.link {
        Link::Live => ("live".to_owned(), Tone::Good),
        Link::Lost { since, .. } => (
            format!("NO ANSWER for {}", span(state.now.since(*since))),
            Tone::Bad,
        ),
    };
    let mut first = vec![
        Span::styled("groundstate ", theme.tone(Tone::Bold)),
        Span::styled(
            inert(&state.fleet.site).into_owned(),
            theme.tone(Tone::Bold),
        ),
        Span::raw(format!("  {}  ", counted(state.all(), "node"))),
        Span::styled(link, theme.tone(tone)),
        Span::raw("  "),
        brake,
    ];
    let mut more = Vec::new();
    if let Some(leader) = &state.fleet.leader {
        more.push(format!("led by {}", inert(leader)));
    }
    if state.fleet.machines > 0 {
        let wait = if state.fleet.machines == 1 {
            "waits"
        } else {
            "wait"
        };
        more.push(format!(
            "{} {wait}",
            counted(state.fleet.machines, "machine")
        ));
    }
    if !state.fleet.measures.is_empty() {
        more.push(counted(state.fleet.measures.len(), "measure"));
    }
    more.push(format!("event {}", state.newest));
    for text in more {
        let used: usize = first.iter().map(Span::width).sum();
        if used + text.width() + 2 <= usize::from(width) {
            first.push(Span::raw(format!("  {text}")));
        }
    }
    vec![Line::from(first), counts(state, theme, usize::from(width))]
}

/// Who needs a person comes first.
fn counts(state: &State, theme: Theme, width: usize) -> Line<'static> {
    let grave = |phase: Phase| match Tone::of(phase) {
        Tone::Bad => 0,
        Tone::Warn => 1,
        Tone::Busy => 2,
        Tone::Good | Tone::Plain | Tone::Bold => 3,
        Tone::Dim => 4,
    };
    let mut phases: Vec<(Phase, usize)> = state.counts.iter().map(|(p, n)| (*p, *n)).collect();
    phases.sort_by_key(|(phase, _)| (grave(*phase), *phase));
    let mut spans = Vec::new();
    let mut used = 0;
    for (phase, count) in phases {
        let text = format!("{} {} {count}", letter(phase), phase.as_str());
        used += text.width() + 2;
        if used > width + 2 {
            break;
        }
        let style = theme.phase(phase);
        let style = if state.only == Some(phase) {
            theme.chosen(style)
        } else {
            style
        };
        spans.push(Span::styled(text, style));
        spans.push(Span::raw("  "));
    }
    Line::from(spans)
}

fn footer(state: &State, theme: Theme) -> Line<'static> {
    if state.typing {
        let text = format!("/{}_  Enter: keep  Esc: all again", inert(&state.search));
        return Line::styled(text, theme.tone(Tone::Bold));
    }
    if let Link::Lost { why, .. } = &state.link {
        return Line::styled(format!("asking again: {why}"), theme.tone(Tone::Bad));
    }
    let keys = match state.page {
        Page::Site => {
            "arrows  Enter: node  /: find  f: phase  s: order  n: needs you  ?: help  q: out"
        }
        Page::Node => "Up Down scroll  n next that needs a person  Esc back  ? help  q out",
        Page::Help => "any key: back",
    };
    Line::styled(keys, theme.tone(Tone::Dim))
}

fn list(frame: &mut Frame<'_>, state: &mut State, theme: Theme, area: Rect) {
    let title = title(state);
    let block = Block::bordered().title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let rows = usize::from(inner.height.saturating_sub(1));
    state.rows_on_screen = rows.max(1);
    // The chosen row stays on the screen, and the screen stays where it is as long as it can.
    let last_top = state.chosen().saturating_sub(rows.saturating_sub(1));
    let end = state.shown().saturating_sub(rows);
    state.top = state
        .top
        .clamp(last_top, state.chosen().max(last_top))
        .min(end);
    let columns = Columns::of(state, usize::from(inner.width));
    let mut lines = vec![columns.head(theme)];
    for at in state.top..state.top + rows {
        let Some(row) = state.row_at(at) else { break };
        lines.push(columns.line(state, row, theme, at == state.chosen()));
    }
    if state.shown() == 0 {
        let text = if state.all() == 0 {
            "the site has no nodes"
        } else {
            "no node is so; 0 or Esc shows all"
        };
        lines.push(Line::from(text));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn title(state: &State) -> String {
    let mut title = format!(" nodes {}", state.sort.says());
    if let Some(only) = state.only {
        title.push_str(&format!(", only {}", only.as_str()));
    }
    if !state.search.is_empty() {
        title.push_str(&format!(", with \"{}\"", inert(&state.search)));
    }
    let at = if state.shown() == 0 {
        0
    } else {
        state.chosen() + 1
    };
    title.push_str(&format!(" {at}/{} ", state.shown()));
    title
}

/// How wide each column is; 0 where there is no room for it.
struct Columns {
    name: usize,
    phase: usize,
    since: usize,
    place: usize,
    step: usize,
    bar: usize,
    rate: usize,
    eta: usize,
    why: usize,
}

impl Columns {
    fn of(state: &State, width: usize) -> Self {
        let shown = state.top..state.top + state.rows_on_screen;
        let names = shown.clone().filter_map(|at| state.row_at(at));
        let any = |has: &dyn Fn(&Row) -> bool| {
            let mut rows = shown.clone().filter_map(|at| state.row_at(at));
            rows.any(has)
        };
        let name = names.map(|row| row.view.node.as_str().len()).max();
        let mut left = width.saturating_sub(2);
        let mut take = |wanted: usize, keep: usize| {
            let fits = wanted > 0 && left >= wanted + 1 + keep;
            let got = if fits { wanted } else { 0 };
            left -= if fits { got + 1 } else { 0 };
            got
        };
        let name = take(
            name.unwrap_or(4)
                .clamp(4, 24)
                .min(width.saturating_sub(3).max(1)),
            0,
        );
        let phase = take(12, 0);
        let bar = take(BAR, 0);
        let step = take(10, 0);
        // A column without a word in it would take its room from the reasons.
        let (with_eta, with_rate) = (
            any(&|row| state.eta(&row.view.node).is_some()),
            any(&|row| row.rate.is_some()),
        );
        let eta = take(if with_eta { 9 } else { 0 }, 0);
        let since = take(9, 0);
        let rate = take(if with_rate { 11 } else { 0 }, 0);
        let place = take(8, 12);
        // Fewer columns tell nothing of a sentence.
        let why = left.checked_sub(1).filter(|room| *room >= 12).unwrap_or(0);
        Self {
            name,
            phase,
            since,
            place,
            step,
            bar,
            rate,
            eta,
            why,
        }
    }

    /// Names, widths and texts of a line, in the order on the screen.
    fn head(&self, theme: Theme) -> Line<'static> {
        let words = [
            (self.name, "NODE"),
            (self.phase, "PHASE"),
            (self.place, "PLACE"),
            (self.step, "STEP"),
            (self.bar, "DONE"),
            (self.rate, "RATE"),
            (self.eta, "ETA"),
            (self.since, "FOR"),
            (self.why, "WHY"),
        ];
        let mut text = "  ".to_owned();
        for (width, word) in words.into_iter().filter(|(width, _)| *width > 0) {
            text.push_str(&fit(word, width));
            text.push(' ');
        }
        Line::styled(text, theme.tone(Tone::Dim))
    }

    fn line(&self, state: &State, row: &Row, theme: Theme, chosen: bool) -> Line<'static> {
        let view = &row.view;
        let style = theme.phase(view.phase);
        let place = row.place.as_ref().map(|place| match place.unit {
            0 => place.rack.clone(),
            unit => format!("{}/{unit}", place.rack),
        });
        let rate = row.rate.map(|rate| format!("{rate}/s"));
        let eta = state.eta(&view.node).map(|eta| from_now(eta.at, state.now));
        let bar = bar(row);
        let measure = if bar.is_empty() { Style::new() } else { style };
        let cells = [
            (self.name, view.node.to_string(), Style::new()),
            (self.phase, view.phase.as_str().to_owned(), style),
            (self.place, place.unwrap_or_default(), Style::new()),
            (self.step, step(view).0.to_owned(), Style::new()),
            (self.bar, bar, measure),
            (self.rate, rate.unwrap_or_default(), Style::new()),
            (self.eta, eta.unwrap_or_default(), Style::new()),
            (self.since, span(state.now.since(view.since)), Style::new()),
            (self.why, why(view), Style::new()),
        ];
        let marked = |style: Style| if chosen { theme.chosen(style) } else { style };
        let mut spans = vec![Span::styled(
            format!("{} ", letter(view.phase)),
            marked(style),
        )];
        for (width, text, style) in cells.into_iter().filter(|(width, ..)| *width > 0) {
            spans.push(Span::styled(fit(&inert(&text), width), marked(style)));
            spans.push(Span::styled(" ", marked(Style::new())));
        }
        Line::from(spans)
    }
}

/// How far a running step is, as a bar; in words where it has no measure.
fn bar(row: &Row) -> String {
    if !matches!(
        row.view.phase,
        Phase::Provisioning | Phase::Erasing | Phase::Held
    ) {
        return String::new();
    }
    let Some((_, StepState::Running { done, total })) = &row.view.step else {
        return step(&row.view).1;
    };
    let part = u64::try_from(BAR - 4).unwrap_or(u64::MAX);
    let cells = (done.0.min(total.0) * part)
        .checked_div(total.0)
        .unwrap_or(0);
    let percent = (done.0.min(total.0) * 100)
        .checked_div(total.0)
        .unwrap_or(0);
    let full = usize::try_from(cells).unwrap_or(0);
    let empty = (BAR - 4).saturating_sub(full);
    format!("{}{}{percent:>3}%", "#".repeat(full), ".".repeat(empty))
}

/// The text in exactly so many columns.
fn fit(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let pad = width.saturating_sub(text.width());
    text + &" ".repeat(pad)
}

fn help(frame: &mut Frame<'_>, theme: Theme, area: Rect) {
    let keys = [
        (
            "arrows h j k l",
            "choose a node; left and right choose a rack",
        ),
        ("Page Up, Down, Home, End", "go far"),
        ("Enter", "the node alone: explanation and events; Esc: back"),
        ("/", "find by name, rack, phase, words of why; Esc: all"),
        (
            "f F, 0",
            "only nodes of the next phase, the one before; all",
        ),
        ("s", "another order"),
        ("n", "the next node that needs a person"),
        ("r", "racks or none"),
        ("q, Ctrl-C", "out"),
    ];
    let mut lines: Vec<Line<'_>> = keys
        .into_iter()
        .map(|(key, does)| {
            let key = Span::styled(format!(" {key:<25}"), theme.tone(Tone::Bold));
            Line::from(vec![key, Span::raw(does)])
        })
        .collect();
    lines.push(Line::default());
    for four in Phase::ALL.chunks(4) {
        let spans = four.iter().map(|phase| {
            let text = format!(" {} {:<16}", letter(*phase), phase.as_str());
            Span::styled(text, theme.phase(*phase))
        });
        lines.push(Line::from(spans.collect::<Vec<_>>()));
    }
    lines.push(Line::from(
        " = switch           # PDU              . empty unit",
    ));
    lines.push(Line::default());
    lines.push(Line::from(
        " This screen only looks: no key orders anything.",
    ));
    let block = Block::bordered().title(" keys and letters ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
