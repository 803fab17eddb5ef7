// SPDX-License-Identifier: Apache-2.0
//! `hw-diag check`: this machine, now.

use super::output::{self, Form};
use super::{collect, input, judge, profile};
use clap::Args;
use groundstate_api::health::{DeviceKind, DeviceReport};
use groundstate_api::inventory::SystemInfo;
use groundstate_api::site::Hardware;
use hw_core::EXPECTATION;
use hw_core::collected::Collected;
use std::path::{Path, PathBuf};

/// The largest file of expected hardware in bytes: a person writes it.
const EXPECT_MAX: u64 = 1 << 20;

#[derive(Args)]
pub(crate) struct CheckArgs {
    /// A hardware profile (TOML) that the machine should fit
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// Hardware of this very machine: TOML with `[[dimm]]` and `[[disk]]` as in the site file's `node.hardware`
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// An earlier capture of this machine (`hw-diag collect --keep-serials`): what got worse since then is told
    #[arg(long, value_name = "CAPTURE")]
    earlier: Vec<PathBuf>,
    #[command(flatten)]
    form: Form,
}

pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<u8> {
    // Files first: a typing error shall not wait for twenty seconds of looking.
    let profile = args.profile.as_deref().map(profile::read).transpose()?;
    let expected = args.expect.as_deref().map(hardware).transpose()?;
    let earlier = args
        .earlier
        .iter()
        .map(|path| judge::collected(path))
        .collect::<Result<Vec<_>, _>>()?;
    let capture = collect::look(&hw_diag::MachineAsk::default())?;
    let seen = &capture.inventory;
    let mut found = reports_against(&capture, expected.as_ref(), &earlier);
    found.extend(
        profile
            .iter()
            .map(|profile| hw_core::profile::judge(profile, seen)),
    );
    output::reports(
        args.form,
        &heading(&seen.system),
        &found,
        &seen.could_not_look,
    )
}

fn hardware(path: &Path) -> Result<Hardware, input::InputError> {
    let bytes = input::read(path, EXPECT_MAX)?;
    let text = String::from_utf8(bytes).map_err(|error| input::InputError::data(path, error))?;
    toml::from_str(&text).map_err(|error| input::InputError::data(path, error))
}

fn heading(system: &SystemInfo) -> Vec<String> {
    let said = |text: &str| {
        if text.is_empty() {
            "(not said)".to_owned()
        } else {
            text.to_owned()
        }
    };
    vec![format!(
        "{} {}, serial {}, firmware {}, {} processors",
        said(&system.manufacturer),
        said(&system.product),
        said(&system.serial),
        said(&system.firmware_version),
        system.cpus
    )]
}

/// The reports on everything in a capture, from its facts, as of today's rules.
pub(crate) fn reports(capture: &Collected, earlier: &[Collected]) -> Vec<DeviceReport> {
    reports_against(capture, None, earlier)
}

fn reports_against(
    capture: &Collected,
    expected: Option<&Hardware>,
    earlier: &[Collected],
) -> Vec<DeviceReport> {
    let last_good = earlier.iter().max_by_key(|capture| capture.taken_at);
    let last_good = last_good.map(|capture| &capture.inventory);
    let mut reports = hw_core::reports(&capture.inventory, expected, last_good, &[]);
    // The facts are judged anew: rules may have changed since the capture. Memory and what is not there have no facts
    // beside the inventory's.
    reports.retain(|report| match report.kind {
        DeviceKind::Dimm | DeviceKind::Memory => true,
        DeviceKind::Disk => report.source == EXPECTATION,
        DeviceKind::Cpu
        | DeviceKind::Pci
        | DeviceKind::Nic
        | DeviceKind::Sensor
        | DeviceKind::Fan
        | DeviceKind::PowerSupply
        | DeviceKind::Firmware
        | DeviceKind::Tpm
        | DeviceKind::Clock
        | DeviceKind::Bmc
        | DeviceKind::Machine => false,
    });
    let then = judge::then(earlier);
    for facts in &capture.disks {
        let earlier = hw_core::earlier(&facts.identity.serial, &then);
        reports.push(hw_core::disk::judge(facts, &earlier));
    }
    reports.extend(hw_core::machine::judge(&capture.machine));
    reports
}
