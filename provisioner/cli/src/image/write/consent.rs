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
    /// Do not ask. Without a terminal, a disk on which nothing is recognised is only written to with this or --wipe,
    /// one that holds something only with --wipe, and a file that holds something only with this or --wipe.
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
        let at_terminal = std::io::stdin().is_terminal();
        match need(Kind::of(target), self.yes, at_terminal) {
            Need::Nothing => Ok(true),
            Need::Agreement => asked("Write to it? [y/N] ", &["y", "yes"]),
            Need::Name => asked(&format!("To overwrite it, type {name}: "), &[name.as_str()]),
            Need::Option => Err(refused(unasked(target, &name))),
        }
    }
}

/// What is to be overwritten, as far as the question goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A file that is not there yet.
    NewFile,
    /// A file in which nothing is recognised.
    BlankFile,
    /// A file that holds something.
    File,
    /// A disk, partition or other block device on which nothing is recognised: what nobody recognises may be somebody's.
    BlankDevice,
    /// One that holds something.
    Device,
}

impl Kind {
    const fn of(target: &Target) -> Self {
        match (target.is_file(), target.holds.is_empty()) {
            (true, true) if target.is_new => Self::NewFile,
            (true, true) => Self::BlankFile,
            (true, false) => Self::File,
            (false, true) => Self::BlankDevice,
            (false, false) => Self::Device,
        }
    }
}

/// What is needed before it is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    /// A yes at the terminal.
    Agreement,
    /// Its name, typed at the terminal.
    Name,
    /// `--yes` or `--wipe` on the command line: nobody is there to be asked.
    Option,
}

const fn need(kind: Kind, yes: bool, at_terminal: bool) -> Need {
    match (kind, yes, at_terminal) {
        (Kind::Device, true, false) => Need::Option,
        (Kind::NewFile, ..) | (_, true, _) | (Kind::BlankFile, false, false) => Need::Nothing,
        (Kind::BlankFile | Kind::BlankDevice, false, true) => Need::Agreement,
        (Kind::File | Kind::Device, false, true) => Need::Name,
        (Kind::File | Kind::BlankDevice | Kind::Device, false, false) => Need::Option,
    }
}

/// Nobody can be asked, and the command line does not say that it may be overwritten.
fn unasked(target: &Target, name: &str) -> Reason {
    let path = target.path.display();
    let (what, next) = match Kind::of(target) {
        Kind::BlankDevice => (
            format!("nobody is at the terminal to be asked whether {path} may be overwritten"),
            "look whether it is the disk that is meant; if it is, say --yes".to_owned(),
        ),
        Kind::Device => (
            format!("{path} holds something"),
            format!("if its contents may go, say --wipe {name}"),
        ),
        Kind::NewFile | Kind::BlankFile | Kind::File => (
            format!("{path} holds something"),
            "say --yes if its contents may go".to_owned(),
        ),
    };
    let reason = Reason::new(ReasonCode::DiskInUse, what, next).seen(target.text());
    target
        .holds
        .iter()
        .fold(reason, |reason, one| reason.seen(one.clone()))
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
        "nothing that is recognised".to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_always_asked_for_and_a_new_file_never() {
        for (kind, at_terminal, unattended, unattended_yes) in [
            (Kind::NewFile, Need::Nothing, Need::Nothing, Need::Nothing),
            (
                Kind::BlankFile,
                Need::Agreement,
                Need::Nothing,
                Need::Nothing,
            ),
            (Kind::File, Need::Name, Need::Option, Need::Nothing),
            (
                Kind::BlankDevice,
                Need::Agreement,
                Need::Option,
                Need::Nothing,
            ),
            (Kind::Device, Need::Name, Need::Option, Need::Option),
        ] {
            assert_eq!(need(kind, false, true), at_terminal, "{kind:?}");
            assert_eq!(need(kind, true, true), Need::Nothing, "{kind:?}");
            assert_eq!(need(kind, false, false), unattended, "{kind:?}");
            assert_eq!(need(kind, true, false), unattended_yes, "{kind:?}");
        }
    }
}
