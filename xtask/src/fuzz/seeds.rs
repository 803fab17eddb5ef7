// SPDX-License-Identifier: Apache-2.0
//! Writes the first inputs of a target: what the repository keeps for it, and what the captures have of its kind.
//!
//! Captures are read where they are (`GROUNDSTATE_CORPUS`, or `../shared/data`); without them the fuzzer begins with less.

use super::packets::{Port, payloads};
use super::sparse;
use super::targets::{Seed, Target};
use crate::command::{command, output};
use crate::layout::Layout;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The longest image, in bytes, that becomes a seed: no target's disk is longer.
const IMAGE_MAX: usize = 128 << 20;

/// Fills `folder`, and says how many seeds there are.
pub(super) fn write(layout: &Layout, target: &Target, folder: &Path) -> Result<usize> {
    let mut seeds = Vec::new();
    for path in files(&layout.source("tests/fuzz/seeds").join(target.name))? {
        seeds.push(read(&path)?);
    }
    let captures = std::env::var_os("GROUNDSTATE_CORPUS")
        .map_or_else(|| layout.source("../shared/data"), PathBuf::from);
    for seed in target.seeds {
        match *seed {
            Seed::Files(below, ending) => {
                for path in files(&captures.join(below))?
                    .iter()
                    .filter(|path| ends(path, ending))
                {
                    seeds.push(read(path)?);
                }
            }
            Seed::Images(below, ending, head) => {
                for path in files(&captures.join(below))? {
                    seeds.extend(image(&path, ending, head, target.input_max)?);
                }
            }
            Seed::Packets(port, head, counted) => {
                for path in files(&captures.join("pcap"))? {
                    seeds.extend(packets(&read(&path)?, port, head, counted));
                }
            }
        }
    }
    seeds.retain(|seed| seed.len() <= target.input_max);
    for (number, seed) in seeds.iter().enumerate() {
        let path = folder.join(format!("seed-{number:04}"));
        fs::write(&path, seed).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(seeds.len())
}

/// An image out of its compressed file; none where the name says that it is no image of this kind or it is too long.
fn image(path: &Path, ending: &str, head: usize, most: usize) -> Result<Option<Vec<u8>>> {
    let program = match path.extension().and_then(|kind| kind.to_str()) {
        Some("gz") => "gzip",
        Some("bz2") => "bzip2",
        Some("xz") => "xz",
        _ => return Ok(None),
    };
    if !ends(&path.with_extension(""), ending) {
        return Ok(None);
    }
    let image = output(command(program, ["-dc"]).arg(path))?;
    let encoded =
        sparse::encode(&image, most.saturating_sub(head)).filter(|_| image.len() <= IMAGE_MAX);
    Ok(encoded.map(|encoded| [vec![0; head], encoded].concat()))
}

/// A seed for each packet, and one of all of them in a row where they are counted.
fn packets(capture: &[u8], port: Port, head: usize, counted: bool) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = payloads(capture, port)
        .iter()
        .map(|payload| {
            let mut seed = vec![0; head];
            if counted {
                seed.extend(
                    u16::try_from(payload.len())
                        .unwrap_or(u16::MAX)
                        .to_le_bytes(),
                );
            }
            seed.extend(payload);
            seed
        })
        .collect();
    if counted && seeds.len() > 1 {
        seeds.push(seeds.concat());
    }
    seeds
}

fn ends(path: &Path, ending: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(ending)
}

/// Every file of a folder and the folders in it, in order; none where there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
