// SPDX-License-Identifier: Apache-2.0
//! What is written on: how wide it is and whether it has colours. It decides nothing but that.

use groundstate_api::view::Phase;
use std::io::IsTerminal as _;
use unicode_width::UnicodeWidthStr as _;

/// Colours end here.
const PLAIN: &str = "\x1b[0m";

/// What a text is written on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paper {
    colour: bool,
    columns: Option<usize>,
}

/// How a text is meant. Colour only helps: the words say the same without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Good,
    Busy,
    Warn,
    Bad,
    Dim,
    Bold,
}

impl Tone {
    pub(crate) const ALL: [Self; 7] = [
        Self::Plain,
        Self::Good,
        Self::Busy,
        Self::Warn,
        Self::Bad,
        Self::Dim,
        Self::Bold,
    ];

    /// How a node's phase is meant: who waits for a person stands out.
    pub(crate) const fn of(phase: Phase) -> Self {
        match phase {
            Phase::Ready => Self::Good,
            Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Provisioning
            | Phase::Erasing
            | Phase::HandedOver => Self::Busy,
            Phase::Planned | Phase::Suspect | Phase::Draining | Phase::Rescue => Self::Warn,
            Phase::Held | Phase::Quarantined | Phase::InRepair => Self::Bad,
            Phase::Enrolled | Phase::Retired => Self::Dim,
        }
    }

    /// One of the 16 colours of every terminal.
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Busy => "\x1b[36m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
            Self::Dim => "\x1b[2m",
            Self::Bold => "\x1b[1m",
        }
    }
}

impl Paper {
    /// Standard output: coloured on a terminal unless `NO_COLOR` is set; as wide as the terminal, endless where there is none.
    pub(crate) fn of_terminal() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let said = std::env::var("COLUMNS").ok();
        let seen = terminal.then(terminal_columns).flatten();
        Self {
            colour: terminal && !dumb && !set("NO_COLOR"),
            columns: said.as_deref().and_then(columns).or(seen),
        }
    }

    /// Whether it has colours.
    pub(crate) const fn is_coloured(self) -> bool {
        self.colour
    }

    /// Without colours, and this wide.
    #[cfg(test)]
    pub(crate) const fn plain(columns: Option<usize>) -> Self {
        Self {
            colour: false,
            columns,
        }
    }

    /// Columns, where there is an end to them.
    pub(crate) const fn columns(self) -> Option<usize> {
        self.columns
    }

    /// The text in its tone, by words in lines that fit: the first begins at column `begin`, the others at `indent`. On endless
    /// paper it is one line. A word that is wider than the paper stays whole: it may be copied.
    pub(crate) fn folded(self, tone: Tone, text: &str, begin: usize, indent: usize) -> String {
        let Some(columns) = self.columns else {
            return self.paint(tone, text);
        };
        let (mut lines, mut line, mut used) = (Vec::new(), String::new(), begin);
        for word in text.split(' ') {
            let wide = word.width();
            if !line.is_empty() && used + 1 + wide > columns {
                lines.push(std::mem::take(&mut line));
                used = indent;
            } else if !line.is_empty() {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += wide;
        }
        lines.push(line);
        let lines = lines.iter().map(|line| self.paint(tone, line));
        let gap = format!("\n{}", " ".repeat(indent));
        lines.collect::<Vec<_>>().join(&gap)
    }

    /// The text in its tone.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if self.colour && tone != Tone::Plain && !text.is_empty() {
            format!("{}{text}{PLAIN}", tone.code())
        } else {
            text.to_owned()
        }
    }
}

/// What somebody says of a width; nothing where it is no number, or none at all.
fn columns(said: &str) -> Option<usize> {
    said.trim().parse().ok().filter(|columns| *columns > 0)
}

/// How wide the terminal is; nothing where it does not know: a serial console says 0.
pub(crate) fn terminal_columns() -> Option<usize> {
    let (columns, _) = crossterm::terminal::size().ok()?;
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}

/// Whether this is one of the sequences that [`Paper::paint`] writes: no other one reaches a terminal. Its length.
pub(crate) fn own_sequence(text: &str) -> Option<usize> {
    let codes = Tone::ALL.iter().map(|tone| tone.code());
    codes
        .chain([PLAIN])
        .find(|code| !code.is_empty() && text.starts_with(code))
        .map(str::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_width_of_nothing_is_no_width() {
        assert_eq!(columns("60"), Some(60));
        for said in ["0", "", "-1", "wide", "60x"] {
            assert_eq!(columns(said), None, "{said}");
        }
    }

    #[test]
    fn a_text_is_folded_between_words_and_loses_none() {
        let text = "at once for leases that are given; a-word-that-is-wider-than-the-paper stays";
        expect![[r"
            at once for leases
              that are given;
              a-word-that-is-wider-than-the-paper
              stays"]]
        .assert_eq(&Paper::plain(Some(20)).folded(Tone::Plain, text, 0, 2));
        assert_eq!(Paper::plain(None).folded(Tone::Bad, text, 7, 2), text);
        for columns in 0..90 {
            let folded = Paper::plain(Some(columns)).folded(Tone::Plain, text, 3, 1);
            let words = |text: &str| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(words(&folded), words(text));
        }
    }
}
