// SPDX-License-Identifier: Apache-2.0
//! Why somebody orders something: said on the command line, or asked for where a person sits at the terminal.

use super::life::words;
use super::orders::How;
use anyhow::{Result, anyhow, bail};
use clap::Args;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// What fits beside an event on a screen, in bytes; the provisioner takes no more.
const WHY_MAX: usize = 512;

/// What stands in the history where nobody said why. Who ordered it stands there anyhow.
const NO_WHY: &str = "no reason given";

/// The option. It may be missing: a command that a next step names works as it is printed.
#[derive(Args)]
pub(crate) struct Why {
    /// Why, for who reads the history; at most 512 bytes. A terminal is asked for it where it is missing; else "no reason given"
    /// stands there.
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| words(text, WHY_MAX))]
    why: Option<String>,
}

impl Why {
    /// The same for an order that is made so: where nothing is sent nobody is asked.
    ///
    /// # Errors
    /// As of [`Self::told`].
    pub(crate) fn told_for(&self, how: &How) -> Result<String> {
        match &self.why {
            None if how.dry_run => Ok(NO_WHY.to_owned()),
            Some(_) | None => self.told(),
        }
    }

    /// What was said; [`NO_WHY`] where nobody can be asked, or the answer is an empty line.
    ///
    /// # Errors
    /// The terminal is gone, or what was typed cannot stand in the history.
    fn told(&self) -> Result<String> {
        if let Some(why) = &self.why {
            return Ok(why.clone());
        }
        if !std::io::stdin().is_terminal() {
            return Ok(NO_WHY.to_owned());
        }
        let mut err = std::io::stderr().lock();
        write!(
            err,
            "Why? One line, for who reads the history; Enter alone for {NO_WHY:?}: "
        )?;
        err.flush()?;
        let mut typed = String::new();
        if std::io::stdin().lock().read_line(&mut typed)? == 0 {
            bail!("the terminal has ended; nothing was ordered");
        }
        match typed.trim() {
            "" => Ok(NO_WHY.to_owned()),
            typed => words(typed, WHY_MAX).map_err(|error| anyhow!(error)),
        }
    }
}
