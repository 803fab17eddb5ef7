// SPDX-License-Identifier: Apache-2.0
//! Every command that a reason, a ticket or a screen advises is one that this program takes as it is printed.

use crate::Cli;
use clap::Parser as _;
use std::path::{Path, PathBuf};

/// Where words for people stand, from this crate's directory.
const SOURCES: [&str; 9] = [
    "../core/src",
    "../src",
    "../bmc",
    "../host-agent/src",
    "../../api/src",
    "../../hw-diag/src",
    "../../image-repo",
    "../../maintenance-os",
    "../../pxe-server",
];
/// The commands that are advised with everything that they take. Others are named where what they take is for a person to say:
/// `groundstate apply`, `groundstate image sign`.
const WHOLE: [&str; 4] = ["action", "brake", "machine", "node"];
/// Words of the sentence around a command: it ends before them.
const AFTER: [&str; 20] = [
    "adds", "and", "from", "has", "if", "in", "is", "lists", "makes", "names", "of", "on", "or",
    "orders", "runs", "says", "shows", "stops", "when", "writes",
];

fn files(under: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !matches!(name.as_str(), "tests" | "benches" | "fuzz" | "target") {
            files(&path, into);
        } else if name.ends_with(".rs") && !name.contains("test") {
            into.push(path);
        }
    }
}

/// The command at the beginning of this text, with values in the place of what a person fills in.
fn command(rest: &str) -> Vec<String> {
    let end = rest
        .find(|c: char| "\"`;,)(\\:".contains(c))
        .unwrap_or(rest.len());
    let mut words = vec!["groundstate".to_owned()];
    for word in rest[..end].split_whitespace() {
        let word = word.trim_end_matches('.');
        if words.len() > 1 && AFTER.contains(&word) {
            break;
        }
        let placeholder = word.contains('{') || word.chars().all(|c| c.is_ascii_uppercase());
        let of_machine = matches!(words.last().map(String::as_str), Some("accept" | "forget"));
        words.push(match word {
            "ID" => "1".to_owned(),
            _ if placeholder && of_machine => "52:54:00:12:34:56".to_owned(),
            _ if placeholder => "node-1".to_owned(),
            word => word.to_owned(),
        });
    }
    words
}

#[test]
fn every_command_that_is_advised_is_taken_as_it_is_printed() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for source in SOURCES {
        files(&here.join(source), &mut sources);
    }
    let (mut looked, mut faults) = (0, Vec::new());
    for path in sources {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for (at, name) in line.match_indices("groundstate ") {
                let words = command(&line[at + name.len()..]);
                let Some(first) = words.get(1) else { continue };
                if !WHOLE.contains(&first.as_str()) {
                    continue;
                }
                looked += 1;
                if let Err(error) = Cli::try_parse_from(&words) {
                    faults.push(format!("{}: {words:?}: {error}", path.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(looked > 50, "only {looked} commands were found");
}
