// SPDX-License-Identifier: Apache-2.0
//! Completions: a small script for the shell, which asks this program what fits. Names of nodes come from the list that was
//! shown last; no server is asked while somebody types.

use crate::exit::End;
use anyhow::Result;
use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

/// The variable by which a shell asks.
pub(crate) const VARIABLE: &str = "GROUNDSTATE_COMPLETE";
const NAME: &str = "groundstate";

#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Print the script that completes this command in a shell.
#[derive(Args)]
#[command(after_help = "Examples:
  groundstate completions bash > /etc/bash_completion.d/groundstate
  groundstate completions zsh > \"${fpath[1]}/_groundstate\"
  groundstate completions fish > ~/.config/fish/completions/groundstate.fish

The Debian package brings all three. Names of nodes are those of the last `groundstate node list`.")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<End> {
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, NAME, NAME, NAME, &mut script)?;
    crate::out::write(&script)?;
    Ok(End::Done)
}
