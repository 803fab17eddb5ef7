// SPDX-License-Identifier: Apache-2.0
//! Why somebody orders something: said on the command line, or asked for where a person sits at the terminal.

use super::life::words;
use anyhow::{Result, anyhow};
use clap::Args;
use clap::error::ErrorKind;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// What fits beside an event on a screen, in bytes; the provisioner takes no more.
const WHY_MAX: usize = 512;

/// The option.
#[derive(Args)]
pub(crate) struct Why {
    /// Why, for who reads the history; at most 512 bytes. A terminal is asked for it where it is missing.
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| words(text, WHY_MAX))]
    why: Option<String>,
}

impl Why {
    /// What was said. Where nobody can be asked, the command ends here as wrong usage.
    ///
    /// # Errors
    /// The terminal is gone, or what was typed cannot stand in the history.
    pub(crate) fn told(&self) -> Result<String> {
        if let Some(why) = &self.why {
            return Ok(why.clone());
        }
        if !std::io::stdin().is_terminal() {
            clap::Error::raw(
                ErrorKind::MissingRequiredArgument,
                "say why, for who reads the history: --why TEXT\n",
            )
            .exit();
        }
        let mut err = std::io::stderr().lock();
        write!(err, "Why? One line, for who reads the history: ")?;
        err.flush()?;
        let mut typed = String::new();
        std::io::stdin().lock().read_line(&mut typed)?;
        words(typed.trim(), WHY_MAX).map_err(|error| anyhow!(error))
    }
}
