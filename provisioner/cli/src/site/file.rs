// SPDX-License-Identifier: Apache-2.0
//! Reads a file of a site: TOML, or XML or JSON by its ending. Every fault is told at once, each with its line and the path of
//! its field.

use super::beside::{self, Beside};
use super::lines::Lines;
use super::{toml_file, xml};
use anyhow::{Context as _, Result, bail};
use groundstate_api::site::Site;
use groundstate_api::text::counted;
use prov_core::site_limits::SITE_BYTES_MAX;
use provisioner::site::{Kinds, look};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

/// A file with faults.
#[derive(Debug)]
pub(super) struct Faulty {
    shown: String,
    faults: Vec<String>,
    /// The site with something in the place of each fault: for looking at what else is wrong.
    pub(super) site: Option<Box<Site>>,
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = counted(self.faults.len(), "fault");
        write!(f, "the site file {} has {count}:", self.shown)?;
        self.faults
            .iter()
            .try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faulty {}

/// The site of a file, checked.
pub(crate) fn read(path: &Path) -> Result<Site> {
    read_all(path).map(|(site, _)| site)
}

/// The same with the files beside it that it names.
pub(crate) fn read_all(path: &Path) -> Result<(Site, Beside)> {
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
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let parsed = match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("xml") => parse_xml(&text, Some(folder)),
        Some("json") => of_json(&text, folder),
        Some(_) | None => parse_toml(&text, Some(folder)),
    };
    Ok(parsed.map_err(|broken| Faulty {
        shown: shown.to_string(),
        faults: broken.faults,
        site: broken.site,
    })?)
}

/// The site of a TOML text.
#[cfg(test)]
pub(crate) fn of_toml(text: &str) -> Result<Site, Vec<String>> {
    let read = parse_toml(text, None).map(|(site, _)| site);
    read.map_err(|broken| broken.faults)
}

/// The site of an XML text.
#[cfg(test)]
pub(super) fn of_xml(text: &str) -> Result<Site, Vec<String>> {
    let read = parse_xml(text, None).map(|(site, _)| site);
    read.map_err(|broken| broken.faults)
}

type Parsed = Result<(Site, Beside), Broken>;

/// What is wrong, and the site as far as it can be read.
struct Broken {
    faults: Vec<String>,
    site: Option<Box<Site>>,
}

impl From<Vec<String>> for Broken {
    fn from(faults: Vec<String>) -> Self {
        Self { faults, site: None }
    }
}

fn parse_toml(text: &str, folder: Option<&Path>) -> Parsed {
    let mut lines = Lines::default();
    let (document, broken) = toml_file::read(text, &mut lines);
    finish(document, Kinds::Strict, &lines, broken, folder)
}

fn of_json(text: &str, folder: &Path) -> Parsed {
    let document: Value = serde_json::from_str(text)
        .map_err(|error| Broken::from(vec![format!("line {}: no JSON: {error}", error.line())]))?;
    finish(
        document,
        Kinds::Strict,
        &Lines::default(),
        Vec::new(),
        Some(folder),
    )
}

fn parse_xml(text: &str, folder: Option<&Path>) -> Parsed {
    let mut lines = Lines::default();
    let (document, odd) = xml::read(text, &mut lines)?;
    finish(document, Kinds::Texts, &lines, odd, folder)
}

/// Reads the document, and sorts what is wrong by line. Where the text itself is broken, what seems to be missing may only be
/// hidden by that, and is not told.
fn finish(
    mut document: Value,
    kinds: Kinds,
    lines: &Lines,
    broken: Vec<(usize, String)>,
    folder: Option<&Path>,
) -> Parsed {
    let mut beside = Beside::new();
    let missing = match folder {
        Some(folder) => beside::fill(&mut document, folder, &mut beside),
        None => Vec::new(),
    };
    let told: BTreeSet<usize> = broken.iter().map(|(line, _)| *line).collect();
    let mut faults: Vec<(Option<usize>, String)> = broken
        .into_iter()
        .map(|(line, says)| (Some(line), says))
        .collect();
    let unread: BTreeSet<&str> = missing.iter().map(|(path, _)| path.as_str()).collect();
    faults.extend(
        missing
            .iter()
            .map(|(path, says)| (lines.of(path), format!("{path}: {says}"))),
    );
    let (site, more) = look(document, kinds);
    let site = match site {
        Some(site) if faults.is_empty() && more.is_empty() => return Ok((site, beside)),
        site => site.map(Box::new),
    };
    for fault in more {
        let line = lines.of(&fault.path);
        let hidden = !told.is_empty()
            && (fault.should == "should be there" || line.is_some_and(|line| told.contains(&line)));
        if !hidden && !unread.contains(fault.path.as_str()) {
            faults.push((line, fault.to_string()));
        }
    }
    faults.sort_by_key(|(line, _)| line.unwrap_or(usize::MAX));
    let words = faults.into_iter().map(|(line, says)| match line {
        Some(line) => format!("line {line}: {says}"),
        None => says,
    });
    Err(Broken {
        faults: words.collect(),
        site,
    })
}

#[cfg(test)]
mod tests;
