// SPDX-License-Identifier: Apache-2.0
//! Reads a file of a site: TOML, or XML or JSON by its ending. Every fault is told at once, each with its line and the path of
//! its field.

use super::lines::Lines;
use super::{toml_file, xml};
use anyhow::{Context as _, Result, bail};
use groundstate_api::site::Site;
use prov_core::site_limits::SITE_BYTES_MAX;
use provisioner::site::{Kinds, read as read_document};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

/// The site of a file, checked.
pub(crate) fn read(path: &Path) -> Result<Site> {
    let shown = path.display();
    let file = std::fs::File::open(path)
        .with_context(|| format!("the site file {shown} cannot be read"))?;
    let mut bytes = Vec::new();
    file.take(SITE_BYTES_MAX.0 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("the site file {shown} cannot be read"))?;
    if bytes.len() as u64 > SITE_BYTES_MAX.0 {
        bail!("the site file {shown} is larger than {SITE_BYTES_MAX}, which is the most");
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let lines = error
                .as_bytes()
                .iter()
                .take(good)
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            bail!("the site file {shown}: line {lines} is not UTF-8 text");
        }
    };
    let ending = path.extension().and_then(|ending| ending.to_str());
    let parsed = match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("xml") => of_xml(&text),
        Some("json") => of_json(&text),
        Some(_) | None => of_toml(&text),
    };
    parsed.map_err(|faults| {
        let word = if faults.len() == 1 { "fault" } else { "faults" };
        let lines: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
        anyhow::anyhow!(
            "the site file {shown} has {} {word}:\n{}",
            faults.len(),
            lines.join("\n")
        )
    })
}

/// The site of a TOML text.
pub(crate) fn of_toml(text: &str) -> Result<Site, Vec<String>> {
    let mut lines = Lines::default();
    let (document, broken) = toml_file::read(text, &mut lines);
    finish(document, Kinds::Strict, &lines, broken)
}

fn of_json(text: &str) -> Result<Site, Vec<String>> {
    let document: Value = serde_json::from_str(text)
        .map_err(|error| vec![format!("line {}: no JSON: {error}", error.line())])?;
    finish(document, Kinds::Strict, &Lines::default(), Vec::new())
}

/// The site of an XML text.
pub(super) fn of_xml(text: &str) -> Result<Site, Vec<String>> {
    let mut lines = Lines::default();
    let (document, odd) = xml::read(text, &mut lines)?;
    finish(document, Kinds::Texts, &lines, odd)
}

/// Reads the document, and sorts what is wrong by line. Where the text itself is broken, what seems to be missing may only be
/// hidden by that, and is not told.
fn finish(
    document: Value,
    kinds: Kinds,
    lines: &Lines,
    broken: Vec<(usize, String)>,
) -> Result<Site, Vec<String>> {
    let told: BTreeSet<usize> = broken.iter().map(|(line, _)| *line).collect();
    let mut faults: Vec<(Option<usize>, String)> = broken
        .into_iter()
        .map(|(line, says)| (Some(line), says))
        .collect();
    match read_document(document, kinds) {
        Ok(site) if faults.is_empty() => return Ok(site),
        Ok(_) => {}
        Err(more) => {
            for fault in more {
                let line = lines.of(&fault.path);
                let hidden = !told.is_empty()
                    && (fault.should == "should be there"
                        || line.is_some_and(|line| told.contains(&line)));
                if !hidden {
                    faults.push((line, fault.to_string()));
                }
            }
        }
    }
    faults.sort_by_key(|(line, _)| line.unwrap_or(usize::MAX));
    let words = faults.into_iter().map(|(line, says)| match line {
        Some(line) => format!("line {line}: {says}"),
        None => says,
    });
    Err(words.collect())
}

#[cfg(test)]
mod tests;
