// SPDX-License-Identifier: Apache-2.0
//! Racks as columns of cells, a letter for each unit. Where the screen is lower than the racks, units that lie together stand
//! side by side in one row, so that a whole rack is always seen.

use super::super::model::{Rack, State, Unit};
use super::super::theme::{Theme, letter};
use crate::client::paper::Tone;
use crate::client::table::cut;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

/// Columns of the numbers of units.
const AXIS: usize = 3;

/// The narrowest frame: what the signs mean stands in it.
const NARROW: usize = 11;

/// How racks fit.
struct Fit {
    /// Units in a row of the screen.
    in_row: usize,
    rows: usize,
    /// Units of the highest rack.
    units: usize,
    /// Columns of a rack, with the gap.
    column: usize,
}

impl Fit {
    /// `None` where there is nothing to see.
    fn of(racks: &[Rack], height: usize) -> Option<Self> {
        let units = racks.iter().map(|rack| rack.units.len()).max()?;
        let height = height.max(1);
        let in_row = units.div_ceil(height).max(1);
        let longest = racks.iter().map(|rack| rack.name.len()).max()?;
        Some(Self {
            in_row,
            rows: units.div_ceil(in_row),
            units,
            column: in_row.max(longest.min(6)) + 1,
        })
    }
}

/// Columns that all racks would take, with the frame.
pub(super) fn width(state: &State, area: Rect) -> u16 {
    let height = usize::from(area.height.saturating_sub(3));
    let wide = Fit::of(&state.racks, height).map_or(0, |fit| {
        (AXIS + fit.column * state.racks.len() + 2).max(NARROW)
    });
    u16::try_from(wide).unwrap_or(u16::MAX)
}

pub(super) fn draw(frame: &mut Frame<'_>, state: &State, theme: Theme, area: Rect) {
    let height = usize::from(area.height.saturating_sub(3));
    let Some(fit) = Fit::of(&state.racks, height) else {
        return;
    };
    let room = usize::from(area.width.saturating_sub(2)).saturating_sub(AXIS);
    let fits = (room / fit.column).max(1);
    let place = state.chosen_row().and_then(|row| row.place.as_ref());
    let chosen =
        place.and_then(|place| state.racks.iter().position(|rack| rack.name == place.rack));
    // The chosen rack stands in the middle where there are more than fit.
    let most = state.racks.len().saturating_sub(fits);
    let first = chosen.unwrap_or(0).saturating_sub(fits / 2).min(most);
    let shown: Vec<&Rack> = state.racks.iter().skip(first).take(fits).collect();
    let after = state.racks.len().saturating_sub(first + shown.len());
    let title = match (first, after) {
        (0, 0) => " racks ".to_owned(),
        (before, after) => format!(" racks, {before} left, {after} right "),
    };
    let mut lines = vec![names(
        &shown,
        &fit,
        chosen.and_then(|at| at.checked_sub(first)),
        theme,
    )];
    let chosen_node = state.chosen_name();
    for row in 0..fit.rows {
        lines.push(units(state, &shown, &fit, row, chosen_node, theme));
    }
    lines.extend(legend(state, usize::from(area.height), fit.rows, theme));
    frame.render_widget(
        Paragraph::new(lines).block(Block::bordered().title(title)),
        area,
    );
}

/// What the signs mean that are no letter of a phase, where there is room below the racks.
fn legend(state: &State, height: usize, rows: usize, theme: Theme) -> Vec<Line<'static>> {
    let has = |wanted: &dyn Fn(&Unit) -> bool| {
        let mut units = state.racks.iter().flat_map(|rack| &rack.units);
        units.any(wanted)
    };
    let signs = [
        (has(&|unit| matches!(unit, Unit::Switch)), "= switch"),
        (has(&|unit| matches!(unit, Unit::Pdu)), "# PDU"),
    ];
    let signs: Vec<_> = signs
        .into_iter()
        .filter(|(is_there, _)| *is_there)
        .collect();
    // The frame, the names and a line between.
    if signs.is_empty() || rows + signs.len() + 4 > height {
        return Vec::new();
    }
    let lines = signs
        .into_iter()
        .map(|(_, says)| Line::styled(says, theme.tone(Tone::Dim)));
    std::iter::once(Line::default()).chain(lines).collect()
}

fn names(racks: &[&Rack], fit: &Fit, chosen: Option<usize>, theme: Theme) -> Line<'static> {
    let mut spans = vec![Span::raw(" ".repeat(AXIS))];
    for (at, rack) in racks.iter().enumerate() {
        let mut style = theme.tone(Tone::Bold);
        if chosen == Some(at) {
            style = style.add_modifier(Modifier::UNDERLINED);
        }
        let name = cut(&rack.name, fit.column - 1);
        let pad = fit.column.saturating_sub(name.chars().count());
        spans.push(Span::styled(name, style));
        spans.push(Span::raw(" ".repeat(pad)));
    }
    Line::from(spans)
}

fn units(
    state: &State,
    racks: &[&Rack],
    fit: &Fit,
    row: usize,
    chosen: Option<&str>,
    theme: Theme,
) -> Line<'static> {
    // The highest unit of the row, counted from the bottom from 1.
    let top = fit.units - row * fit.in_row;
    let mut spans = vec![Span::styled(format!("{top:>2} "), theme.tone(Tone::Dim))];
    for rack in racks {
        for beside in 0..fit.in_row {
            let unit = top.checked_sub(beside + 1);
            let unit = unit.and_then(|at| rack.units.get(at));
            spans.push(cell(state, unit, chosen, theme));
        }
        spans.push(Span::raw(" ".repeat(fit.column - fit.in_row)));
    }
    Line::from(spans)
}

fn cell(state: &State, unit: Option<&Unit>, chosen: Option<&str>, theme: Theme) -> Span<'static> {
    let dim = theme.tone(Tone::Dim);
    match unit {
        None => Span::raw(" "),
        Some(Unit::Empty) => Span::styled(".", dim),
        Some(Unit::Switch) => Span::styled("=", dim),
        Some(Unit::Pdu) => Span::styled("#", dim),
        Some(Unit::Node(name)) => {
            let phase = state.row(name).map(|row| row.view.phase);
            let style = phase.map_or_else(Style::new, |phase| theme.phase(phase));
            let style = if chosen == Some(name) {
                theme.chosen(style)
            } else {
                style
            };
            Span::styled(phase.map_or('·', letter).to_string(), style)
        }
    }
}
