// SPDX-License-Identifier: Apache-2.0
//! `hw-diag smbios`: a raw table in words.

use super::input::{self, InputError};
use super::output;
use clap::Args;
use hw_core::smbios::{Version, capture, decode};
use std::fmt::Write as _;
use std::path::PathBuf;

/// The largest table in bytes.
const TABLE_MAX: u64 = 16 << 20;

#[derive(Args)]
pub(crate) struct SmbiosArgs {
    /// A raw table (/sys/firmware/dmi/tables/DMI), or a dump of `dmidecode --dump-bin`
    file: PathBuf,
    /// The table's SMBIOS version, where the file has no entry point; it decides the UUID's byte order
    #[arg(long, value_name = "MAJOR.MINOR", value_parser = version)]
    table_version: Option<Version>,
}

fn version(text: &str) -> Result<Version, String> {
    let parts = text
        .split_once('.')
        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let (major, minor) = parts.ok_or("a version is two numbers with a dot between, such as 3.2")?;
    Ok(Version { major, minor })
}

pub(crate) fn run(args: &SmbiosArgs) -> anyhow::Result<u8> {
    let bytes = input::read(&args.file, TABLE_MAX)?;
    let wrong = |why: String| InputError::data(&args.file, why);
    let captured = capture(&bytes).map_err(|error| wrong(error.to_string()))?;
    let seen = match args.table_version {
        Some(version) => decode(captured.table, version),
        None => captured.decode(),
    };
    if seen.dimms.is_empty() && seen.manufacturer.is_empty() && seen.firmware_version.is_empty() {
        let why = seen
            .notes
            .first()
            .map_or("it has no structure of types 0, 1 or 17", String::as_str);
        return Err(wrong(format!("not an SMBIOS table: {why}")).into());
    }
    let mut text = String::new();
    writeln!(
        text,
        "system   {} {}, serial {}",
        seen.manufacturer, seen.product, seen.serial
    )?;
    if let Some(uuid) = seen.uuid {
        writeln!(text, "uuid     {uuid}")?;
    }
    writeln!(text, "firmware {}", seen.firmware_version)?;
    for cpu in &seen.processors {
        let model = if cpu.populated {
            cpu.model.as_str()
        } else {
            "empty"
        };
        writeln!(text, "cpu      {}: {model}", cpu.socket)?;
    }
    for note in &seen.notes {
        writeln!(text, "note     {note}")?;
    }
    let dimms = hw_core::memory::DimmsReport::from(hw_core::memory::Dimms::of(seen));
    for line in dimms.lines() {
        writeln!(text, "{line}")?;
    }
    output::print(&text)?;
    Ok(0)
}
