// SPDX-License-Identifier: Apache-2.0
//! Makes a real Debian host: a root file system with systemd, Debian's kernel and our agent as a service.
//!
//! In two parts, each made once: the base tree (mmdebstrap, half a minute or more), and the image (the tree, the agent,
//! mkfs). A changed agent redoes only the second. The result in `target/groundstate/host/`:
//!
//! | file | what |
//! |---|---|
//! | `root.ext4` | the root file system, sparse; the node grows it to its partition |
//! | `vmlinuz`, `initrd.img`, `systemd-bootx64.efi` | the same bytes as inside, for the ESP and for kexec |
//! | `cmdline` | one line, without `root=` |
//! | `version` | Debian's version and a digest of the inputs |

pub(crate) mod base;
mod pack;

use crate::layout::Layout;
use crate::product;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Where the witness lies: it says on the host's console which data volumes were kept.
const WITNESS: &str = "tests/host";

/// The agent's unit.
const UNIT: &str = "provisioner/host-agent/host-agent.service";

/// What goes into a host image made by hand.
#[derive(Args)]
pub(crate) struct Options {
    /// Another program as the agent, for measurements; the image then lies in target/groundstate/host-trial
    #[arg(long, value_name = "FILE", requires = "unit")]
    agent: Option<PathBuf>,
    /// The unit of that program
    #[arg(long, value_name = "FILE", requires = "agent")]
    unit: Option<PathBuf>,
}

/// `cargo xtask host-image`.
pub(crate) fn run(layout: &Layout, options: &Options) -> Result<PathBuf> {
    match (&options.agent, &options.unit) {
        (Some(agent), Some(unit)) => pack::ensure(
            &base::ensure(layout)?,
            agent,
            unit,
            &layout.source(WITNESS),
            layout.made("host-trial"),
        ),
        _ => ensure(layout),
    }
}

/// Makes the tree where it is not there yet: the part of the host image that needs nothing of ours.
pub(crate) fn ensure_base(layout: &Layout) -> Result<()> {
    base::ensure(layout).map(drop)
}

/// Makes the host image where it is not there yet, and returns its folder.
pub(crate) fn ensure(layout: &Layout) -> Result<PathBuf> {
    let base = base::ensure(layout)?;
    let programs = product::build(layout)?;
    let unit = layout.source(UNIT);
    pack::ensure(
        &base,
        &programs.host_agent,
        &unit,
        &layout.source(WITNESS),
        layout.host(),
    )
}
