// SPDX-License-Identifier: Apache-2.0
//! `hw-diag dimms`: the memory slots of a capture or of this machine.

use super::input::{self, InputError};
use super::{exit, output};
use clap::Args;
use groundstate_api::health::Verdict;
use hw_core::memory::{self, DimmsReport};
use std::path::{Path, PathBuf};

/// The largest capture in bytes. A table of 2,000 structures has under 200 KiB, its text under 1 MiB.
const CAPTURE_MAX: u64 = 16 << 20;
/// Where Linux shows the raw table.
const THIS_MACHINE: &str = "/sys/firmware/dmi/tables/DMI";

#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct Source {
    /// A raw SMBIOS table, or a dump of `dmidecode --dump-bin` (it begins with an entry point)
    #[arg(long, value_name = "FILE")]
    smbios: Option<PathBuf>,
    /// What `dmidecode` printed
    #[arg(long, value_name = "FILE")]
    dmidecode_text: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct DimmsArgs {
    #[command(flatten)]
    source: Source,
    /// Print JSON: populated, empty, total_mib, slots
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &DimmsArgs) -> anyhow::Result<u8> {
    let smbios = |path: &Path| -> Result<_, InputError> {
        let bytes = input::read(path, CAPTURE_MAX)?;
        memory::from_smbios(&bytes).map_err(|error| InputError::data(path, error))
    };
    let dimms = match (&args.source.smbios, &args.source.dmidecode_text) {
        (_, Some(path)) => {
            let bytes = input::read(path, CAPTURE_MAX)?;
            memory::from_dmidecode_text(&bytes).map_err(|error| InputError::data(path, error))?
        }
        (Some(path), None) => smbios(path)?,
        (None, None) => smbios(Path::new(THIS_MACHINE))?,
    };
    let report = DimmsReport::from(dimms);
    if args.json {
        output::document(&report)?;
    } else {
        output::print(&format!("{}\n", report.lines().join("\n")))?;
    }
    if report.notes.is_empty() && !report.slots.is_empty() {
        return Ok(exit(Verdict::Ok));
    }
    // Something was not read or not counted, or nothing is listed at all: what is printed is not the whole memory.
    for note in &report.notes {
        eprintln!("hw-diag: {}", output::harmless(note));
    }
    if report.slots.is_empty() {
        eprintln!(
            "hw-diag: no memory slot is listed: what this machine has is unknown. A raw table or dump goes to --smbios, what dmidecode printed to --dmidecode-text"
        );
    }
    Ok(exit(Verdict::Unknown))
}
