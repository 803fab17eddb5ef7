// SPDX-License-Identifier: Apache-2.0
//! `groundstate node diagnostics`: what a node's host packed of its logs and states. The package is listed, and never unpacked
//! onto this machine's disk.

use super::explain::outcome;
use super::paper::Paper;
use super::said::{document, say, tell};
use super::table::Table;
use super::time::span;
use super::{Client, Connect, Refused, Terms, Verb, names, node_path};
use crate::End;
use crate::refusal::{Failed, TIME_OVER};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use flate2::read::GzDecoder;
use groundstate_api::action::{Act, ActionList, ActionView, Outcome};
use groundstate_api::{Bytes, NodeId, Reason, ReasonCode, paths};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the action is looked at while it goes on.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The most bytes that are looked through: what 4 MiB of gzip may become is not for this machine's memory.
const UNPACKED_MAX: u64 = 256 << 20;
/// The most files that are listed.
const FILES_MAX: usize = 256;
/// Bytes of a block of a tar file.
const BLOCK: usize = 512;

#[derive(Args)]
pub(crate) struct DiagnosticsArgs {
    /// The node's name.
    #[arg(add = ArgValueCompleter::new(names::complete))]
    node: NodeId,
    /// Ask the host for new ones, and wait until they are there.
    #[arg(long)]
    collect: bool,
    /// Seconds to wait for new ones at most.
    #[arg(
        long,
        default_value_t = 660,
        value_name = "SECONDS",
        requires = "collect"
    )]
    wait: u64,
    /// Write the package into this file: gzip of a tar file.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print what is in it as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

pub(crate) fn run(args: &DiagnosticsArgs) -> Result<End> {
    let client = Client::new(&args.connect)?;
    if args.collect {
        collect(&client, &args.node, Duration::from_secs(args.wait))?;
    }
    let (package, sent) = client.bytes(&node_path(paths::NODE_DIAGNOSTICS, &args.node))?;
    if let Some(file) = &args.output {
        std::fs::write(file, &package)
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    let files = listed(&package).context("the package")?;
    if args.json {
        let rows = files.iter().map(
            |file| serde_json::json!({"name": file.name, "bytes": file.bytes, "lines": file.lines}),
        );
        let rows: Vec<_> = rows.collect();
        document(&serde_json::json!({"node": args.node, "sent": sent, "files": rows}).to_string())?;
        return Ok(End::Done);
    }
    say(&page(args, &package, sent.as_deref(), &files))?;
    Ok(End::Done)
}

/// Has the host pack new ones, and says meanwhile what is waited for.
fn collect(client: &Client, node: &NodeId, most: Duration) -> Result<()> {
    let path = node_path(paths::NODE_ACTIONS, node);
    let act = Act::CollectDiagnostics;
    let text = client.order(Verb::Post, &path, Some(&act), &Terms::fresh())?;
    let mut view: ActionView = client.parse(&path, &text)?;
    tell(&format!(
        "{node}: asked (action {}); its host hears of it with its next report, packs its logs and sends them",
        view.action.id
    ));
    let until = Instant::now() + most;
    let list = format!("{}?node={node}", paths::ACTIONS);
    while view.outcome.is_none() {
        if Instant::now() >= until {
            let late = Failed::new(
                TIME_OVER,
                format!(
                    "{node}: not there after {} s; the host has until its action's deadline",
                    most.as_secs()
                ),
                format!(
                    "once it has ended, which groundstate action ls --node {node} shows: groundstate node diagnostics {node}"
                ),
            );
            return Err(late.into());
        }
        std::thread::sleep(LOOK_EVERY);
        let all: ActionList = client.get(&list)?;
        let mut found = all.actions.into_iter();
        let found = found.find(|each| each.action.id == view.action.id);
        view = found
            .with_context(|| format!("action {} of {node} is no longer shown", view.action.id))?;
    }
    match &view.outcome {
        Some(Outcome::Done { .. }) | None => Ok(()),
        Some(Outcome::Failed { reason }) => Err(Refused {
            reason: reason.clone(),
        }
        .into()),
        Some(Outcome::Vetoed { .. }) => Err(Refused {
            reason: vetoed(node, &view),
        }
        .into()),
    }
}

/// Somebody forbade that its host is asked.
fn vetoed(node: &NodeId, view: &ActionView) -> Reason {
    Reason::new(
        ReasonCode::Vetoed,
        format!("{node}: {}", outcome(view.outcome.as_ref())),
        format!("ask who forbade it; then groundstate node diagnostics {node} --collect"),
    )
    .then("nothing: its host is not asked")
}

/// A file of the package.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    name: String,
    bytes: u64,
    lines: usize,
}

/// What is in the package: the plain files of a tar file as POSIX has it.
fn listed(package: &[u8]) -> Result<Vec<File>> {
    let mut reader = GzDecoder::new(package).take(UNPACKED_MAX);
    let mut files = Vec::new();
    let mut head = [0; BLOCK];
    while files.len() < FILES_MAX {
        match reader.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error).context("it is no gzip"),
        }
        let (Some(name), Some(size), Some(kind)) =
            (head.get(..100), head.get(124..136), head.get(156))
        else {
            break;
        };
        if head.iter().all(|byte| *byte == 0) {
            break;
        }
        let text = |bytes: &[u8]| {
            let end = bytes
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(bytes.len());
            String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
        };
        let octal = text(size);
        let Ok(bytes) = u64::from_str_radix(octal.trim(), 8) else {
            bail!("it is no tar file");
        };
        let mut content = Vec::new();
        let padded = bytes.div_ceil(512).saturating_mul(512);
        (&mut reader).take(padded).read_to_end(&mut content)?;
        let own = content.get(..usize::try_from(bytes).unwrap_or(usize::MAX));
        let lines = own.unwrap_or(&content).split(|byte| *byte == b'\n');
        if matches!(kind, b'0' | 0) {
            files.push(File {
                name: text(name).trim_start_matches("./").to_owned(),
                bytes,
                lines: lines.count().saturating_sub(1),
            });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn page(args: &DiagnosticsArgs, package: &[u8], sent: Option<&str>, files: &[File]) -> String {
    let size = Bytes(u64::try_from(package.len()).unwrap_or(u64::MAX));
    let when = sent.and_then(age).unwrap_or_default();
    let mut table = Table::new(&["FILE", "SIZE", "LINES"]);
    for file in files {
        table.row([
            file.name.as_str().into(),
            Bytes(file.bytes).to_string().into(),
            file.lines.to_string().into(),
        ]);
    }
    let node = &args.node;
    let mut lines = vec![
        format!("{node}: {size}{when}"),
        table.page(Paper::of_terminal()),
    ];
    lines.push(match &args.output {
        Some(file) => format!("written to {}: {}", file.display(), look_in(file)),
        None => format!("to look into it: groundstate node diagnostics {node} --output FILE"),
    });
    lines.join("\n")
}

fn look_in(file: &Path) -> String {
    format!("tar -xzOf {} ./journal.txt | less", file.display())
}

/// How long ago, by this machine's clock.
fn age(sent: &str) -> Option<String> {
    let sent = jiff::fmt::rfc2822::parse(sent).ok()?.timestamp();
    let since = jiff::Timestamp::now().duration_since(sent).as_millis();
    let since = groundstate_api::Millis(u64::try_from(since).unwrap_or_default());
    Some(format!(", sent {} ago", span(since)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_gnu_tar_packs_is_listed_and_what_is_no_package_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        put("journal.txt", &"a line\n".repeat(1_000));
        put("kernel.txt", "one\ntwo\n");
        put("empty.txt", "");
        let packed = Command::new("tar")
            .args(["--create", "--gzip", "--directory"])
            .arg(dir.path())
            .arg(".")
            .output()
            .unwrap();
        let files = listed(&packed.stdout).unwrap();
        let said: Vec<(&str, u64, usize)> = files
            .iter()
            .map(|file| (file.name.as_str(), file.bytes, file.lines))
            .collect();
        assert_eq!(
            said,
            [
                ("empty.txt", 0, 0),
                ("journal.txt", 7_000, 1_000),
                ("kernel.txt", 8, 2)
            ]
        );
        assert!(listed(b"no gzip at all").is_err());
        // What is cut off shows what is there.
        let cut = packed.stdout.get(..packed.stdout.len() / 2).unwrap();
        assert!(listed(cut).is_ok() || listed(cut).is_err());
    }
}
