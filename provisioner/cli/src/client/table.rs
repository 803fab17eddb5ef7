// SPDX-License-Identifier: Apache-2.0
//! Tables: a header, columns as wide as what stands in them, and never wider than the terminal. Where there is no terminal
//! nothing is cut, so that a script gets whole words.

use super::paper::{Paper, Tone};
use groundstate_api::text::inert;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns between two columns.
const GAP: usize = 2;
/// No column is cut to less than this: shorter words tell nothing.
const NARROW: usize = 6;

/// One thing in a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// In this tone. Whatever the text is, it is one line and steers nothing.
    pub(crate) fn new(tone: Tone, text: impl AsRef<str>) -> Self {
        Self {
            text: inert(text.as_ref()).into_owned(),
            tone,
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// A table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    /// The columns that are cut last.
    whole: Vec<&'static str>,
}

impl Table {
    /// With this header.
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
            whole: Vec::new(),
        }
    }

    /// Columns that tell nothing when they are cut, such as moments: all others give way first.
    pub(crate) fn whole(mut self, columns: &[&'static str]) -> Self {
        self.whole = columns.to_vec();
        self
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As text, without a line end after the last line.
    pub(crate) fn page(&self, paper: Paper) -> String {
        let widths = self.widths(paper.columns());
        let head = self.head.iter().map(|name| Cell::new(Tone::Bold, name));
        let mut lines = vec![line(head, &widths, paper)];
        let rows = self.rows.iter();
        lines.extend(rows.map(|row| line(row.iter().cloned(), &widths, paper)));
        lines.join("\n")
    }

    fn widths(&self, columns: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.head.iter().map(|name| name.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let Some(columns) = columns else {
            return widths;
        };
        let gaps = GAP * widths.len().saturating_sub(1);
        let last = |at: usize| {
            self.head
                .get(at)
                .is_some_and(|name| self.whole.contains(name))
        };
        loop {
            let wide = widths.iter().sum::<usize>() + gaps;
            // What is widest tells most, and can lose most.
            let wide_ones = widths.iter_mut().enumerate();
            let widest = wide_ones
                .filter(|(_, width)| **width > NARROW)
                .max_by_key(|(at, width)| (!last(*at), **width));
            match widest {
                Some((_, width)) if wide > columns => *width -= 1,
                Some(_) | None => return widths,
            }
        }
    }
}

fn line(cells: impl Iterator<Item = Cell>, widths: &[usize], paper: Paper) -> String {
    let mut text = String::new();
    let mut pad = 0;
    for (cell, width) in cells.zip(widths) {
        let shown = cut(&cell.text, *width);
        if !shown.is_empty() {
            text.push_str(&" ".repeat(pad));
            pad = 0;
        }
        text.push_str(&paper.paint(cell.tone, &shown));
        pad += width.saturating_sub(shown.width()) + GAP;
    }
    text
}

/// The text within so many columns; what was cut shows.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        kept.push(c);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn table() -> Table {
        let mut table = Table::new(&["NODE", "PHASE", "WHY"]);
        table.row(["node-1".into(), Cell::new(Tone::Good, "ready"), "".into()]);
        let why = "the DIMM in slot DIMM_B1 is missing [dimm-missing]";
        table.row(["node-22".into(), Cell::new(Tone::Bad, "held"), why.into()]);
        table.row(["x".into(), "".into(), "a\x1b[2J\nb 東京".into()]);
        table
    }

    #[test]
    fn columns_line_up_and_the_widest_is_cut() {
        expect![[r"
            NODE     PHASE  WHY
            node-1   ready
            node-22  held   the DIMM in slot DIMM_B1 is missing [dimm-missing]
            x               a�[2J�b 東京"]]
        .assert_eq(&table().page(Paper::plain(None)));
        expect![[r"
            NODE     PHASE  WHY
            node-1   ready
            node-22  held   the DIMM in slot…
            x               a�[2J�b 東京"]]
        .assert_eq(&table().page(Paper::plain(Some(33))));
        for columns in 0..60 {
            let page = table().page(Paper::plain(Some(columns)));
            let wide = page.lines().map(|line| line.width()).max().unwrap();
            assert!(wide <= columns.max(NARROW * 3 + GAP * 2), "{page}");
        }
    }

    #[test]
    fn a_column_that_tells_nothing_when_cut_is_cut_last() {
        let mut table = Table::new(&["WHEN", "WHAT"]).whole(&["WHEN"]);
        table.row(["2026-11-23 00:12:37Z".into(), "something short".into()]);
        let page = |columns| table.page(Paper::plain(Some(columns)));
        expect![[r"
            WHEN                  WHAT
            2026-11-23 00:12:37Z  somet…"]]
        .assert_eq(&page(28));
        assert!(
            page(20).lines().all(|line| line.width() <= 20),
            "{}",
            page(20)
        );
    }

    #[test]
    fn a_cut_text_never_splits_a_wide_character() {
        for (width, want) in [(0, ""), (1, "…"), (2, "…"), (3, "東…"), (4, "東京")] {
            assert_eq!(cut("東京", width), want);
        }
    }
}
