// SPDX-License-Identifier: Apache-2.0
//! How a command ends, and the exit status that a script sees. The guide and the man page show the same table.

use std::process::ExitCode;

/// How far in the meanings stand.
const INDENT: usize = 5;
/// The narrowest terminal that the help is made for.
const COLUMNS: usize = 80;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Held,
    /// What was looked at has faults, which are on the page.
    Faults,
    /// What was waited for did not come in time.
    TimeOver,
}

/// An error.
pub(crate) const ERROR: u8 = 1;
/// Held or refused: the command was right, and a person has to look.
pub(crate) const HELD: u8 = 3;
/// The time was over.
pub(crate) const TIME_OVER: u8 = 4;

/// Nobody reads the output any more: what a shell shows of a program that SIGPIPE (13) has ended.
pub(crate) const UNREAD: u8 = 128 + 13;

/// Each exit status and what it means.
pub(crate) const TABLE: [(u8, &str); 5] = [
    (0, "done; what was waited for is there"),
    (
        ERROR,
        "an error: nobody answers, a file cannot be read, nobody agreed; or what was looked at has faults",
    ),
    (
        2,
        "wrong usage: the command line is not understood, and nothing was done",
    ),
    (
        HELD,
        "held or refused: by the provisioner, a guard or signatures; a node needs a person",
    ),
    (
        TIME_OVER,
        "the time was over before what was waited for came",
    ),
];

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::Done => Self::SUCCESS,
            End::Held => Self::from(HELD),
            End::Faults => Self::from(ERROR),
            End::TimeOver => Self::from(TIME_OVER),
        }
    }
}

/// The table as it stands below `--help` and in the man page.
pub(crate) fn help() -> String {
    let rows = TABLE.map(|(status, means)| format!("  {status}  {}", folded(means)));
    format!("Exit status:\n{}", rows.join("\n"))
}

/// In lines that fit behind the status on 80 columns, each after the first as far in as the first.
fn folded(means: &str) -> String {
    let mut text = String::new();
    let mut used = INDENT;
    for word in means.split(' ') {
        if used > INDENT && used + 1 + word.len() > COLUMNS {
            text.push('\n');
            text.push_str(&" ".repeat(INDENT));
            used = INDENT;
        } else if used > INDENT {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += word.len();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_on_a_terminal_of_80_columns() {
        let help = help();
        assert!(help.lines().all(|line| line.len() <= COLUMNS), "{help}");
        let words: Vec<&str> = help.split_whitespace().collect();
        for (_, means) in TABLE {
            assert!(words.join(" ").contains(means), "{means}");
        }
    }

    #[test]
    fn the_guides_have_the_same_table() {
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for guide in ["guides/terminal.md", "api.md"] {
            let text = std::fs::read_to_string(docs.join(guide)).unwrap();
            for (status, means) in TABLE {
                let row = format!("| {status} | {means} |");
                assert!(text.contains(&row), "{guide}: {row}");
            }
        }
    }
}
