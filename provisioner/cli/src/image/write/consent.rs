// SPDX-License-Identifier: Apache-2.0
//! Shows what will be overwritten, and asks.

use super::refused;
use super::source::Given;
use super::target::Target;
use crate::image::format::kind_word;
use anyhow::Result;
use clap::Args;
use groundstate_api::{Reason, ReasonCode};
use std::io::{IsTerminal as _, Write as _};

#[derive(Args)]
pub(crate) struct ConsentArgs {
    /// Do not ask at the terminal; a file that holds something may be overwritten.
    #[arg(long, short = 'y')]
    yes: bool,
    /// The serial number of the disk that may be wiped although it holds something; its path where it has none.
    #[arg(long, value_name = "SERIAL")]
    wipe: Option<String>,
}

impl ConsentArgs {
    /// Whether it may be overwritten.
    pub(super) fn given(&self, target: &Target) -> Result<bool> {
        let name = target.name();
        if let Some(wipe) = &self.wipe {
            if *wipe == name {
                return Ok(true);
            }
            return Err(refused(
                Reason::new(
                    ReasonCode::WrongDisk,
                    format!(
                        "--wipe names {wipe}, and {} is {name}",
                        target.path.display()
                    ),
                    format!("look which disk is meant; for this one say --wipe {name}"),
                )
                .seen(target.text()),
            ));
        }
        let is_blank = target.holds.is_empty();
        let at_terminal = std::io::stdin().is_terminal();
        match (is_blank, self.yes, at_terminal) {
            (true, true, _) | (true, false, false) | (false, true, true) => Ok(true),
            (false, true, false) if target.is_file() => Ok(true),
            (true, false, true) => asked("Write to it? [y/N] ", &["y", "yes"]),
            (false, false, true) => {
                asked(&format!("To overwrite it, type {name}: "), &[name.as_str()])
            }
            (false, _, false) => Err(refused(holds_something(target, &name))),
        }
    }
}

fn holds_something(target: &Target, name: &str) -> Reason {
    let next = if target.is_file() {
        "say --yes if its contents may go".to_owned()
    } else {
        format!("if its contents may go, say --wipe {name}")
    };
    let mut reason = Reason::new(
        ReasonCode::DiskInUse,
        format!("{} holds something", target.path.display()),
        next,
    )
    .seen(target.text());
    for one in &target.holds {
        reason = reason.seen(one.clone());
    }
    reason
}

fn asked(question: &str, answers: &[&str]) -> Result<bool> {
    eprint!("{question}");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let agreed = answers
        .iter()
        .any(|answer| line.trim().eq_ignore_ascii_case(answer));
    if !agreed {
        eprintln!("Nothing was written.");
    }
    Ok(agreed)
}

/// What goes where, for the one who is asked.
pub(super) fn page(given: &Given, target: &Target) -> String {
    let manifest = &given.manifest;
    let holds = if target.holds.is_empty() {
        "nothing".to_owned()
    } else {
        target.holds.join("; ")
    };
    [
        format!(
            "image   {} {}, {}, {}, {}",
            manifest.name,
            manifest.version,
            kind_word(manifest.kind),
            manifest.size,
            given.digest
        ),
        format!("from    {}", given.from),
        format!("signed  {}", given.signed),
        format!("to      {}", target.text()),
        format!("holds   {holds}"),
        "All of it will be overwritten.".to_owned(),
    ]
    .join("\n")
}
