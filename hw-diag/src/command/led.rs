// SPDX-License-Identifier: Apache-2.0
//! `hw-diag led`: lights what a technician shall find.

use super::output;
use clap::{Args, ValueEnum};
use hw_diag::led::{self, Light, Target};

#[derive(Args)]
pub(crate) struct LedArgs {
    /// On or off
    #[arg(value_enum)]
    light: Switch,
    #[command(flatten)]
    target: What,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// The bay of the disk with this serial number
    #[arg(long)]
    serial: Option<String>,
    /// The bay of this name, as its enclosure calls it
    #[arg(long)]
    bay: Option<String>,
    /// The chassis
    #[arg(long)]
    chassis: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// On until it is switched off
    On,
    /// Off
    Off,
}

pub(crate) fn run(args: &LedArgs) -> anyhow::Result<u8> {
    let target = match (&args.target.serial, &args.target.bay) {
        (Some(serial), _) => Target::Serial(serial),
        (None, Some(bay)) => Target::Bay(bay),
        (None, None) => Target::Chassis,
    };
    let light = match args.light {
        Switch::On => Light::On,
        Switch::Off => Light::Off,
    };
    let found = led::find(target)?;
    led::set(&found, light)?;
    let word = if light == Light::On { "on" } else { "off" };
    output::print(&format!("the LED of {found} is {word}\n"))?;
    Ok(0)
}
