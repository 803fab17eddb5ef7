// SPDX-License-Identifier: Apache-2.0
//! Runs the tools that make file systems. They are executed, never linked, with a fixed environment, and what they
//! print is kept for the one who reads why they failed.

use super::error::RootsError;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// A tool and the Debian package that brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

/// The most that is kept of what a tool says, in bytes.
const SAID_MAX: usize = 2000;
/// Where system tools are, also for one who is not root.
const SEARCHED: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Tool {
    /// The tool with an environment that does not depend on the one who runs it.
    pub(crate) fn command(self) -> Command {
        let mut command = Command::new(self.name);
        command
            .env_clear()
            .env("PATH", SEARCHED)
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }
}

/// Runs it to its end and gives what it printed to both outputs.
pub(crate) fn run(tool: Tool, command: &mut Command) -> Result<(String, String), RootsError> {
    let output = command.output().map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            RootsError::NoTool {
                name: tool.name,
                package: tool.package,
            }
        } else {
            RootsError::file("run", Path::new(tool.name))(source)
        }
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    if output.status.success() {
        return Ok((out, err));
    }
    Err(RootsError::Tool {
        name: tool.name,
        status: output.status.to_string(),
        said: shortened(if err.trim().is_empty() { &out } else { &err }),
    })
}

/// The end of what a tool said: there it says why.
pub(crate) fn shortened(text: &str) -> String {
    let text = text.trim();
    let mut start = text.len().saturating_sub(SAID_MAX);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_is_missing_is_named_with_its_package() {
        let tool = Tool {
            name: "no-such-tool-here",
            package: "no-such-package",
        };
        let error = run(tool, &mut tool.command()).unwrap_err().to_string();
        assert!(error.contains("no-such-tool-here") && error.contains("no-such-package"));
    }

    #[test]
    fn a_tool_that_fails_is_quoted() {
        let tool = Tool {
            name: "sh",
            package: "dash",
        };
        let failed = run(tool, tool.command().args(["-c", "echo why >&2; exit 3"]));
        let error = failed.unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
        assert_eq!(shortened(&"ü".repeat(SAID_MAX)).len(), SAID_MAX);
    }
}
