// SPDX-License-Identifier: Apache-2.0
//! `hw-diag explain`: what a finding means.

use super::{Usage, output};
use clap::Args;
use hw_core::catalogue;
use std::fmt::Write as _;

#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// The finding's code, for example `ata-pending-sectors`; without it, every code with its title
    code: Option<String>,
}

pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<u8> {
    let mut text = String::new();
    match &args.code {
        None => {
            let mut entries: Vec<_> = catalogue::all().collect();
            entries.sort_by_key(|entry| (entry.kind, entry.code));
            for entry in entries {
                writeln!(
                    text,
                    "{:<13} {:<34} {}",
                    entry.kind.as_str(),
                    entry.code,
                    entry.title
                )?;
            }
        }
        Some(code) => {
            let Some(entry) = catalogue::find(code) else {
                let near: Vec<&str> = catalogue::all()
                    .map(|entry| entry.code)
                    .filter(|known| {
                        known
                            .split('-')
                            .any(|word| word.len() > 3 && code.contains(word))
                    })
                    .collect();
                let near = if near.is_empty() {
                    String::new()
                } else {
                    format!("; near it are: {}", near.join(", "))
                };
                return Err(Usage(format!(
                    "there is no finding `{code}`{near}. `hw-diag explain` lists all"
                ))
                .into());
            };
            writeln!(
                text,
                "{} ({})\n{}\n",
                entry.code,
                entry.kind.as_str(),
                entry.title
            )?;
            writeln!(
                text,
                "what it means: {}\n\nwhat to do:    {}",
                entry.meaning, entry.to_do
            )?;
        }
    }
    output::print(&text)?;
    Ok(0)
}
