// SPDX-License-Identifier: Apache-2.0
//! Runs other programs and says what they said when they fail.
//!
//! Never goes through a shell: arguments are arguments.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

/// How many lines of a failed program's output an error shows: enough for a compiler's or apt's last words.
const ERROR_LINES_MAX: usize = 25;

/// A command with its arguments.
pub(crate) fn command<I, S>(program: impl AsRef<OsStr>, arguments: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it quietly and returns what it printed on standard output.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let shown = shown(command);
    let output = command
        .output()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !output.status.success() {
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        bail!("`{shown}` failed ({}):\n{}", output.status, tail(&said));
    }
    Ok(output.stdout)
}

/// As [`output`], as text.
pub(crate) fn text(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    String::from_utf8(output(command)?).with_context(|| format!("`{shown}` printed no UTF-8"))
}

/// Runs it quietly.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Runs it with its output on our terminal.
pub(crate) fn stream(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command
        .status()
        .with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Whether a program stands in PATH, or in the system folders that a plain user's PATH leaves out.
pub(crate) fn have(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].into_iter().map(Into::into))
        .any(|folder| folder.join(program).is_file())
}

/// Whether we run as root.
pub(crate) fn is_root() -> bool {
    // The owner of our own /proc entry is our effective user.
    std::fs::metadata("/proc/self")
        .map(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
        .unwrap_or(false)
}

/// The command as a person would type it, for messages.
pub(crate) fn shown(command: &Command) -> String {
    let mut text = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(ERROR_LINES_MAX);
    lines.get(first..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_programs_last_words() {
        let mut failing = command("sh", ["-c", "echo lost; echo found >&2; exit 3"]);
        let error = output(&mut failing).unwrap_err().to_string();
        assert!(error.contains("lost") && error.contains("found"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(run(&mut command("no-such-program", ["x"])).is_err());
    }

    #[test]
    fn a_program_is_found_or_not() {
        assert!(have("sh"));
        assert!(!have("no-such-program"));
    }
}
