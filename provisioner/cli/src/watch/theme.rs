// SPDX-License-Identifier: Apache-2.0
//! A letter and a colour for each phase. The letter says it all: colours only help, and there are terminals without.

use crate::client::paper::Tone;
use groundstate_api::view::Phase;
use ratatui::style::{Color, Modifier, Style};

/// How things look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    colour: bool,
}

impl Theme {
    /// With the 16 colours of every terminal, or with none.
    pub(super) const fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// As the environment says.
    pub(super) fn of_environment() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self::new(!plain)
    }

    pub(super) fn tone(self, tone: Tone) -> Style {
        let plain = Style::new();
        let (colour, more) = match tone {
            Tone::Plain => return plain,
            Tone::Bold => return plain.add_modifier(Modifier::BOLD),
            Tone::Good => (Color::Green, Modifier::empty()),
            Tone::Busy => (Color::Cyan, Modifier::empty()),
            Tone::Warn => (Color::Yellow, Modifier::empty()),
            Tone::Bad => (Color::Red, Modifier::BOLD),
            Tone::Dim => (Color::DarkGray, Modifier::empty()),
        };
        match (self.colour, tone) {
            (true, _) => plain.fg(colour).add_modifier(more),
            (false, Tone::Dim) => plain.add_modifier(Modifier::DIM),
            (false, _) => plain.add_modifier(more),
        }
    }

    pub(super) fn phase(self, phase: Phase) -> Style {
        self.tone(Tone::of(phase))
    }

    /// What is chosen.
    pub(super) fn chosen(self, style: Style) -> Style {
        style.add_modifier(Modifier::REVERSED)
    }
}

/// The letter of a phase.
pub(super) const fn letter(phase: Phase) -> char {
    match phase {
        Phase::Enrolled => 'e',
        Phase::Ordered => 'o',
        Phase::Booting => 'b',
        Phase::Checking => 'c',
        Phase::Planned => 'p',
        Phase::Provisioning => 'P',
        Phase::Erasing => 'X',
        Phase::HandedOver => 'h',
        Phase::Ready => 'R',
        Phase::Suspect => '?',
        Phase::Draining => 'd',
        Phase::Quarantined => 'Q',
        Phase::InRepair => 'W',
        Phase::Held => 'H',
        Phase::Rescue => 'S',
        Phase::Retired => '-',
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_phase_has_a_letter_of_its_own() {
        let letters: BTreeSet<char> = Phase::ALL.into_iter().map(letter).collect();
        assert_eq!(letters.len(), Phase::ALL.len());
        assert!(letters.iter().all(|letter| !"=#.".contains(*letter)));
    }
}
