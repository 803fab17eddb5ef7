// SPDX-License-Identifier: Apache-2.0
//! `hw-diag burn-in`: load for a set time, and what it showed.

use super::input::{self, InputError};
use super::output::{self, Form};
use anyhow::{Context as _, bail};
use clap::Args;
use groundstate_api::Bytes;
use groundstate_api::health::{DeviceKind, DeviceReport};
use groundstate_api::inventory::Disk;
use groundstate_api::plan::Plan;
use hw_core::memory::from_smbios;
use hw_diag::burn_in::{self, Load};
use hw_diag::memory_test::{self, Amount, MemoryTest};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What of the free memory is tested: beside it the load on disks needs little.
const MEMORY_PERCENT: u8 = 80;
/// Where Linux shows the raw SMBIOS table.
const SMBIOS: &str = "/sys/firmware/dmi/tables/DMI";
/// The largest plan in bytes: one of a hundred disks is under 200 KiB.
const PLAN_MAX: u64 = 2 << 20;
/// The longest burn-in: a week.
const TIME_MAX: Duration = Duration::from_secs(7 * 86_400);

#[derive(Args)]
pub(crate) struct BurnInArgs {
    /// How long: 30s, 10m, 4h, 1d
    #[arg(long, default_value = "60s", value_parser = time)]
    time: Duration,
    /// Leave the processors out
    #[arg(long)]
    no_cpu: bool,
    /// Leave memory out
    #[arg(long)]
    no_memory: bool,
    /// Leave the disks out (they are only read)
    #[arg(long)]
    no_disks: bool,
    /// Also write to the disks that this plan wipes (`groundstate node plan NODE --json`), where they hold nothing at all;
    /// what was written is made zeros again
    #[arg(long, value_name = "PLAN", conflicts_with = "no_disks")]
    write: Option<PathBuf>,
    /// Write without asking
    #[arg(long, requires = "write")]
    yes: bool,
    #[command(flatten)]
    form: Form,
}

fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time; 30s, 10m, 4h and 1d are");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: u64 = text
        .strip_suffix(unit)
        .and_then(|n| n.parse().ok())
        .ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let time = Duration::from_secs(number.saturating_mul(seconds));
    if time.is_zero() || time > TIME_MAX {
        return Err(format!(
            "a burn-in takes 1 s to {} days",
            TIME_MAX.as_secs() / 86_400
        ));
    }
    Ok(time)
}

pub(crate) fn run(args: &BurnInArgs) -> anyhow::Result<u8> {
    let disks = if args.no_disks {
        Vec::new()
    } else {
        hw_diag::look_at_disks()
    };
    let load = Load {
        time: args.time,
        cpu: !args.no_cpu,
        disks: !args.no_disks,
    };
    let write = match &args.write {
        Some(path) => written(path, &disks, args.yes)?,
        None => BTreeSet::new(),
    };
    let bar = bar(args.time)?;
    let cancel = AtomicBool::new(false);
    let (shown, memory) = std::thread::scope(|scope| {
        let memory = (!args.no_memory).then(|| scope.spawn(|| memory(args.time, &cancel)));
        let shown = burn_in::run(load, &disks, &write, &cancel, &mut |progress| {
            bar.set_position(progress.elapsed.as_secs());
            let rate = Bytes(progress.read / progress.elapsed.as_secs().max(1));
            bar.set_message(format!(
                "disks {rate}/s, {} rounds of known work",
                progress.rounds
            ));
        });
        (shown, memory.map(std::thread::ScopedJoinHandle::join))
    });
    bar.finish_and_clear();
    let mut reports = shown.reports();
    if let Some(memory) = memory {
        let memory =
            memory.map_err(|_| anyhow::anyhow!("the memory test ended without a result"))?;
        reports.extend(memory);
    }
    output::reports(args.form, &[], &reports, &[])
}

/// The serial numbers of the disks that the plan gives up, once a person has said yes.
fn written(path: &Path, disks: &[Disk], yes: bool) -> anyhow::Result<BTreeSet<String>> {
    let bytes = input::read(path, PLAN_MAX)?;
    let plan: Plan =
        serde_json::from_slice(&bytes).map_err(|error| InputError::data(path, error))?;
    let (machine, _) = hw_diag::system_identity();
    let given_up = burn_in::may_write(&plan, machine, disks)
        .map_err(|reason| InputError::data(path, reason))?;
    if !yes {
        for disk in &given_up {
            eprintln!(
                "will be written to: serial {}, {}, {}",
                disk.serial, disk.size, disk.slot
            );
        }
        if !std::io::stdin().is_terminal() {
            bail!("this is not a terminal to ask on; --yes writes without asking");
        }
        eprint!("Type `write` to go on: ");
        let mut typed = String::new();
        std::io::stdin().read_line(&mut typed)?;
        if typed.trim() != "write" {
            bail!("nothing was written");
        }
    }
    Ok(given_up.into_iter().map(|disk| disk.serial).collect())
}

/// Tests memory beside the other load; where that cannot be, the report says why.
fn memory(time: Duration, cancel: &AtomicBool) -> Vec<DeviceReport> {
    let test = MemoryTest {
        amount: Amount::Percent(MEMORY_PERCENT),
        passes: None,
        time: Some(time),
        threads: None,
    };
    // Without a table a wrong word cannot be put to a module; it is reported all the same.
    let slots = std::fs::read(SMBIOS).ok();
    let slots = slots
        .and_then(|table| from_smbios(&table).ok())
        .unwrap_or_default();
    match memory_test::run(&test, &mut |_| {}, cancel) {
        Ok(report) => report.reports(&slots.slots, &slots.details),
        Err(error) => vec![DeviceReport::new(
            "memory",
            DeviceKind::Memory,
            "burn-in",
            vec![hw_core::burn_in::not_loaded(
                "memory was not tested",
                &error.to_string(),
            )],
        )],
    }
}

fn bar(time: Duration) -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new(time.as_secs());
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style =
        ProgressStyle::with_template("burn-in {bar:30} {elapsed} of {len} s, {eta} to go  {msg}");
    bar.set_style(style.context("the bar's template")?);
    Ok(bar)
}
