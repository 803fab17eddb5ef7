// SPDX-License-Identifier: Apache-2.0
//! An operator: everything is asked with the `groundstate` command, as a person or a script would.

use anyhow::{Context as _, Result, bail};
use groundstate_api::event::Event;
use groundstate_api::view::NodeReport;
use std::path::PathBuf;
use std::process::Command;

/// An operator with a credential.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The `groundstate` program.
    pub groundstate: PathBuf,
    /// `https://address:port`.
    pub server: String,
    /// The folder with the operator's certificate and key.
    pub credential: PathBuf,
}

impl Operator {
    /// Runs `groundstate ARGUMENTS` and gives what it printed.
    ///
    /// # Errors
    /// What it said where it did not succeed.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.groundstate)
            .args(arguments)
            .env("GROUNDSTATE_SERVER", &self.server)
            .env("GROUNDSTATE_CREDENTIAL", &self.credential)
            .env("NO_COLOR", "1")
            .output()
            .with_context(|| format!("running {}", self.groundstate.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!(
                "groundstate {}: {}: {}",
                arguments.join(" "),
                output.status,
                said.trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A node's report.
    ///
    /// # Errors
    /// As [`Self::run`], or an answer that is no report.
    pub fn report(&self, node: &str) -> Result<NodeReport> {
        let text = self.run(&["node", "show", node, "--json"])?;
        serde_json::from_str(&text).with_context(|| format!("reading the report of {node}"))
    }

    /// The events after this number.
    ///
    /// # Errors
    /// As [`Self::run`], or an answer that is no event.
    pub fn events(&self, after: u64) -> Result<Vec<Event>> {
        let text = self.run(&["events", "--json", "--after", &after.to_string()])?;
        let event = |line: &str| serde_json::from_str(line).context("reading an event");
        text.lines().map(event).collect()
    }

    /// Orders a first run.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn provision(&self, node: &str) -> Result<()> {
        self.run(&["node", "provision", node]).map(|_| ())
    }

    /// Orders another run for a node that has a host.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn reprovision(&self, node: &str) -> Result<()> {
        self.run(&["node", "reprovision", node, "--yes"])
            .map(|_| ())
    }

    /// Orders that one data disk is made anew.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn rebuild_disk(&self, node: &str, serial: &str) -> Result<()> {
        self.run(&["node", "rebuild-disk", node, serial, "--confirm", "--yes"])
            .map(|_| ())
    }

    /// The preview of that order, as a person reads it.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn preview_rebuild(&self, node: &str, serial: &str) -> Result<String> {
        self.run(&[
            "plan",
            "preview",
            node,
            "--rebuild",
            serial,
            "--confirm",
            serial,
        ])
    }
}
