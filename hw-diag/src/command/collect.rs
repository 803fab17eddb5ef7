// SPDX-License-Identifier: Apache-2.0
//! `hw-diag collect`: a capture of everything that was read, to be judged anywhere and later.

use super::output;
use anyhow::{Context as _, bail};
use clap::Args;
use groundstate_api::SCHEMA;
use groundstate_api::ids::BootId;
use hw_core::collected::Collected;
use hw_diag::{BootFacts, Everything, MachineAsk};
use std::io::Read as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Args)]
pub(crate) struct CollectArgs {
    /// Write here instead of standard output; a file that is there is not overwritten
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep serial numbers and addresses: for a capture that stays in the house and is compared with later ones
    #[arg(long)]
    keep_serials: bool,
    /// Listen for the switches at the other ends of the links (LLDP): takes half a minute
    #[arg(long)]
    lldp: bool,
}

pub(crate) fn run(args: &CollectArgs) -> anyhow::Result<u8> {
    let plain = look(&MachineAsk {
        lldp: args.lldp.then_some(hw_diag::lldp::PATIENCE),
        ..MachineAsk::default()
    })?;
    let capture = if args.keep_serials {
        plain
    } else {
        plain.redact(&salt()?)?
    };
    match &args.output {
        None => output::document(&capture)?,
        Some(path) => {
            let name = || path.display().to_string();
            let file = std::fs::File::create_new(path).with_context(name)?;
            serde_json::to_writer_pretty(&file, &capture).with_context(name)?;
            file.sync_all().with_context(name)?;
        }
    }
    Ok(0)
}

/// Everything that can be read of this machine.
pub(crate) fn look(ask: &MachineAsk) -> anyhow::Result<Collected> {
    let boot = BootFacts {
        boot_id: boot_id()?,
        firmware: None,
    };
    let Everything {
        inventory,
        disks,
        machine,
    } = hw_diag::look_at_everything(&boot, ask);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    Ok(Collected {
        schema: SCHEMA,
        tool: concat!("hw-diag ", env!("CARGO_PKG_VERSION")).into(),
        redacted: false,
        taken_at: i64::try_from(now.as_secs()).context("the clock")?,
        inventory,
        disks,
        machine,
    })
}

/// Sixteen random bytes.
fn salt() -> anyhow::Result<[u8; 16]> {
    const SOURCE: &str = "/dev/urandom";
    let mut salt = [0u8; 16];
    std::fs::File::open(SOURCE)
        .and_then(|mut file| file.read_exact(&mut salt))
        .context(SOURCE)?;
    if salt == [0; 16] {
        bail!("{SOURCE} gave only zeros");
    }
    Ok(salt)
}

fn boot_id() -> anyhow::Result<BootId> {
    const FILE: &str = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(FILE).context(FILE)?;
    text.trim().parse().context(FILE)
}
