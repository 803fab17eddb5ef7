// SPDX-License-Identifier: Apache-2.0
//! The `hw-diag` command: the verdict on the machine it runs on.

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use groundstate_api::ids::BootId;
use groundstate_api::inventory::{Finding, Gravity, Inventory};
use groundstate_api::site::Hardware;
use hw_core::smbios::{Version, configured, decode};
use hw_diag::page::{Ink, page};
use hw_diag::{BootFacts, ecc, look};
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Reads disks, DIMMs and firmware of this machine and prints the verdict, worst first.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit status: 0 nothing stops a run; 3 a finding stops it; 1 an error; 2 wrong arguments.\nNO_COLOR switches colours off. Reading SMART needs root."
)]
struct Arguments {
    /// Print the inventory and the findings as JSON
    #[arg(long)]
    json: bool,
    /// Expected hardware: a TOML file with `[[dimm]]` and `[[disk]]` as in the site file's `node.hardware`
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Decode a raw SMBIOS table: /sys/firmware/dmi/tables/DMI, or a dump of `dmidecode --dump-bin`
    Smbios {
        /// The file
        file: PathBuf,
        /// The table's SMBIOS version, where the file has no entry point; it decides the UUID's byte order
        #[arg(long, value_name = "MAJOR.MINOR", default_value = "2.8", value_parser = version)]
        table_version: Version,
    },
}

/// Findings that stop a run.
const EXIT_STOP: u8 = 3;
/// The largest file that is read, in bytes; tables and expectations are far smaller.
const FILE_MAX: u64 = 1 << 20;
/// `dmidecode --dump-bin` puts the table at byte 32, after the entry point.
const DUMP_TABLE_AT: usize = 32;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("hw-diag: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(Command::Smbios {
        file,
        table_version,
    }) = &arguments.command
    {
        return print(&smbios(file, *table_version)?).map(|()| ExitCode::SUCCESS);
    }
    let expected = arguments.expect.as_deref().map(hardware).transpose()?;
    let seen = look(&BootFacts {
        boot_id: boot_id()?,
        firmware: None,
    });
    let findings = hw_core::judge(expected.as_ref(), None, &seen);
    if arguments.json {
        print(&json(&seen, &findings)?)?;
    } else {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let ink = if plain || !std::io::stdout().is_terminal() {
            Ink::Plain
        } else {
            Ink::Colour
        };
        print(&page(&seen, &findings, &ecc::counts(), ink))?;
    }
    let stops = findings.iter().any(|f| f.gravity == Gravity::Stop);
    Ok(if stops {
        ExitCode::from(EXIT_STOP)
    } else {
        ExitCode::SUCCESS
    })
}

/// A reader that closes early (`hw-diag | head`) is no error of ours, but the page was not delivered: say so by status 1.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("standard output")
}

fn json(seen: &Inventory, findings: &[Finding]) -> anyhow::Result<String> {
    let seen = serde_json::to_string_pretty(seen)?;
    let findings = serde_json::to_string_pretty(findings)?;
    Ok(format!(
        "{{\n\"inventory\": {seen},\n\"findings\": {findings}\n}}\n"
    ))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let name = || file.display().to_string();
    let mut bytes = Vec::new();
    let open = std::fs::File::open(file).with_context(name)?;
    open.take(FILE_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(name)?;
    if u64::try_from(bytes.len())? > FILE_MAX {
        bail!("{} is larger than {FILE_MAX} bytes", file.display());
    }
    Ok(bytes)
}

fn hardware(file: &Path) -> anyhow::Result<Hardware> {
    let name = || file.display().to_string();
    let text = String::from_utf8(read(file)?).with_context(name)?;
    toml::from_str(&text).with_context(name)
}

fn boot_id() -> anyhow::Result<BootId> {
    const FILE: &str = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(FILE).context(FILE)?;
    text.trim().parse().context(FILE)
}

fn version(text: &str) -> Result<Version, String> {
    let parts = text
        .split_once('.')
        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let (major, minor) = parts.ok_or("a version is two numbers with a dot between, such as 3.2")?;
    Ok(Version { major, minor })
}

fn smbios(file: &Path, table_version: Version) -> anyhow::Result<String> {
    use std::fmt::Write as _;
    let bytes = read(file)?;
    let (table, version) = match Version::of_entry_point(&bytes) {
        Some(version) => (bytes.get(DUMP_TABLE_AT..).unwrap_or_default(), version),
        None => (bytes.as_slice(), table_version),
    };
    let seen = decode(table, version);
    if seen.dimms.is_empty() && seen.manufacturer.is_empty() && seen.firmware_version.is_empty() {
        let why = seen
            .notes
            .first()
            .map_or("it has no structure of types 0, 1 or 17", String::as_str);
        bail!("{} is not an SMBIOS table: {why}", file.display());
    }
    let mut text = String::new();
    writeln!(text, "SMBIOS   {}.{}", version.major, version.minor)?;
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
    let populated = seen.dimms.iter().filter(|d| d.populated).count();
    writeln!(
        text,
        "memory   {} in {populated} of {} slots",
        configured(&seen.dimms),
        seen.dimms.len()
    )?;
    for dimm in &seen.dimms {
        let size = match (dimm.populated, dimm.size) {
            (false, _) => "empty".to_owned(),
            (true, None) => "size unknown".to_owned(),
            (true, Some(size)) => size.to_string(),
        };
        writeln!(
            text,
            "dimm     {} ({}): {size} {} {} MT/s {} {} serial {}",
            dimm.slot,
            dimm.bank,
            dimm.kind,
            dimm.speed,
            dimm.manufacturer,
            dimm.part_number,
            dimm.serial
        )?;
    }
    for note in &seen.notes {
        writeln!(text, "note     {note}")?;
    }
    Ok(text)
}
