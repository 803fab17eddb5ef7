// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask tidy`: the house rules that no compiler holds.
//!
//! Rewrites nothing but the golden dependency graph, and that only when asked to (`--bless`).

mod graph;
mod sources;

use crate::command::{command, text};
use crate::layout::Layout;
use crate::progress::note;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use std::fs;

/// The golden file of the dependency graph.
const GOLDEN: &str = "docs/dependencies.txt";

/// What `tidy` may do.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Write the dependency graph anew instead of comparing it
    #[arg(long)]
    bless: bool,
}

/// Checks every rule, shows every breach, and fails if there is one.
pub(crate) fn run(layout: &Layout, options: &Options) -> Result<()> {
    let mut breaches = Vec::new();
    let graph = graph::Graph::of(layout)?;
    breaches.extend(graph.breaches());
    let golden = layout.source(GOLDEN);
    let drawn = graph.draw();
    if options.bless {
        fs::write(&golden, &drawn).with_context(|| format!("cannot write {}", golden.display()))?;
    } else if fs::read_to_string(&golden).unwrap_or_default() != drawn {
        breaches.push(format!(
            "{GOLDEN}: the graph among our crates is another now; look at it, then `cargo xtask tidy --bless`:\n{drawn}"
        ));
    }
    let files = files(layout)?;
    for file in &files {
        let path = layout.source(file);
        // A file that is deleted but not yet committed is still listed.
        if path.is_file() {
            let bytes = fs::read(&path).with_context(|| format!("cannot read {file}"))?;
            breaches.extend(sources::breaches(file, &bytes));
        }
    }
    breaches.extend(sources::missing_readmes(&files));
    if breaches.is_empty() {
        note(&format!("tidy: {} files keep every rule", files.len()));
        return Ok(());
    }
    for breach in &breaches {
        println!("  {breach}");
    }
    bail!("{} breaches of the house rules", breaches.len())
}

/// Every file of the repository, tracked or new, as git lists it.
fn files(layout: &Layout) -> Result<Vec<String>> {
    let mut git = command(
        "git",
        [
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
    );
    let listed = text(git.current_dir(layout.source("")))?;
    let mut files: Vec<String> = listed
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}
