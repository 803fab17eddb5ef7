// SPDX-License-Identifier: Apache-2.0
//! The names of the nodes that were listed last, kept for completion: a shell that completes a name asks no server. Where
//! they cannot be kept or read nothing is completed, and nothing else is worse for it.

use clap_complete::engine::CompletionCandidate;
use groundstate_api::NodeId;
use groundstate_api::view::NodeView;
use std::ffi::OsStr;
use std::path::PathBuf;

/// The most names that are kept: two large sites.
const NAMES_MAX: usize = 20_000;
/// The longest file that is read: so many names of 63 characters.
const BYTES_MAX: u64 = 64 * 20_000;

fn file() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))?;
    cache.is_absolute().then(|| cache.join("groundstate/nodes"))
}

/// Keeps the names for the next completion.
pub(crate) fn keep(nodes: &[NodeView]) {
    let Some(file) = file() else { return };
    let names = nodes.iter().take(NAMES_MAX);
    let text: String = names.map(|view| format!("{}\n", view.node)).collect();
    if std::fs::read_to_string(&file).is_ok_and(|before| before == text) {
        return;
    }
    let whole = file.with_extension(format!("new-{}", std::process::id()));
    let kept = file
        .parent()
        .is_some_and(|folder| std::fs::create_dir_all(folder).is_ok())
        && std::fs::write(&whole, text).is_ok()
        && std::fs::rename(&whole, &file).is_ok();
    if !kept {
        // Nothing was asked for, so nobody is told; half a file must not stay.
        let _gone = std::fs::remove_file(&whole);
    }
}

/// The kept names that begin so.
pub(crate) fn complete(begun: &OsStr) -> Vec<CompletionCandidate> {
    let Some(begun) = begun.to_str() else {
        return Vec::new();
    };
    let small = |file: &PathBuf| std::fs::metadata(file).is_ok_and(|seen| seen.len() <= BYTES_MAX);
    let text = file()
        .filter(small)
        .and_then(|file| std::fs::read_to_string(file).ok())
        .unwrap_or_default();
    let names = text.lines().filter_map(|line| line.parse::<NodeId>().ok());
    names
        .filter(|name| name.as_str().starts_with(begun))
        .map(|name| CompletionCandidate::new(name.as_str()))
        .collect()
}
