// SPDX-License-Identifier: Apache-2.0
//! What the agent asks of the running system: a narrow trait, and the real one beside it.

use std::io;
use std::process::Command;
use thiserror::Error;

/// The running system.
pub trait Host {
    /// Sets the kernel's host name.
    ///
    /// # Errors
    /// The kernel refused.
    fn set_host_name(&self, name: &str) -> io::Result<()>;
    /// Runs a command to its end and returns its standard output.
    ///
    /// # Errors
    /// It could not start, or it failed.
    fn command(&self, program: &'static str, arguments: &[&str]) -> Result<String, CommandFailed>;
}

/// A command failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{line}` failed: {said}")]
pub struct CommandFailed {
    /// The command.
    pub line: String,
    /// What it said, or why it could not start.
    pub said: String,
}

/// The machine we run on.
#[derive(Clone, Copy, Debug)]
pub struct ThisHost;

impl Host for ThisHost {
    fn set_host_name(&self, name: &str) -> io::Result<()> {
        rustix::system::sethostname(name.as_bytes()).map_err(io::Error::from)
    }

    fn command(&self, program: &'static str, arguments: &[&str]) -> Result<String, CommandFailed> {
        let failed = |said: String| CommandFailed {
            line: [&[program], arguments].concat().join(" "),
            said,
        };
        let done = Command::new(program)
            .args(arguments)
            .env("LC_ALL", "C")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .map_err(|error| failed(error.to_string()))?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&done.stderr).trim().to_string();
        Err(failed(format!("{}: {said}", done.status)))
    }
}
