// SPDX-License-Identifier: Apache-2.0
//! The client matrix: clients that nobody in this project wrote, each fetching or booting in earnest from
//! `groundstate pxe-server`, and one table of what came of it.
//!
//! What a client has is compared with the file; what went over its cable is put together from a packet capture and
//! compared too. Neither the client's word nor the server's counts.

mod fetch;
mod firmware;
mod ground;
mod lease;
mod row;
mod wire;

pub use row::{Outcome, Row, Table};
pub use wire::{Fetched, Wire};

use anyhow::{Context as _, Result};
use ground::Ground;
use pxe_core::uki::{self, Section};
use std::fs;
use std::path::Path;

/// Clients of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Group {
    /// They fetch a file.
    Fetch,
    /// They ask for an address.
    Lease,
    /// They ask through a relay agent.
    Relay,
    /// They boot.
    Firmware,
}

impl Group {
    /// Every kind, the quick ones first.
    pub const ALL: [Self; 4] = [Self::Fetch, Self::Lease, Self::Relay, Self::Firmware];
}

/// Runs the clients of these groups against the program `groundstate`, and gives the table. `boot_image` is the folder with kernel,
/// initramfs, boot loaders and the stub of the unified kernel image; `folder` gets logs and captures.
///
/// # Errors
/// What kept the matrix from being run. A client that fails is a row, not an error.
pub fn run(
    groundstate: &Path,
    boot_image: &Path,
    folder: &Path,
    groups: &[Group],
) -> Result<Table> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let boot_dir = folder.join("boot");
    boot_folder(boot_image, &boot_dir)?;
    let file = boot_dir.join(fetch::FILE);
    fs::create_dir_all(file.parent().context("the file has a folder")?)?;
    fs::write(&file, fetch::bytes())?;
    let mut ground = Ground::set(groundstate, &boot_dir, folder)?;
    let mut rows = Vec::new();
    for group in groups {
        match group {
            Group::Fetch => rows.extend(fetch::rows(&mut ground)?),
            Group::Lease => rows.extend(lease::rows(&mut ground)?),
            Group::Relay => rows.push(lease::relayed(&mut ground)?),
            Group::Firmware => rows.extend(firmware::rows(&mut ground)?),
        }
    }
    Ok(Table(rows))
}

/// Makes the folder that is served out of the boot image's parts: it names no site, so PID 1 says so and stays.
fn boot_folder(parts: &Path, boot_dir: &Path) -> Result<()> {
    fs::create_dir_all(boot_dir)?;
    let part = |name: &str| {
        let path = parts.join(name);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (stub, kernel, initrd) = (
        part("linuxx64.efi.stub")?,
        part("vmlinuz")?,
        part("initrd.base")?,
    );
    let (command_line, uname) = (part("cmdline")?, part("uname")?);
    let sections = [
        (".cmdline", command_line.trim_ascii_end()),
        (".uname", uname.trim_ascii_end()),
        (".initrd", &initrd[..]),
        (".linux", &kernel[..]),
    ];
    let sections = sections.map(|(name, bytes)| Section { name, bytes });
    let image = uki::assemble(&stub, &sections)?;
    let write = |name: &str, bytes: &[u8]| fs::write(boot_dir.join(name), bytes);
    write("groundstate.efi", &image)?;
    write("initrd.img", &initrd)?;
    write("vmlinuz", &kernel)?;
    write("cmdline", &command_line)?;
    write("undionly.kpxe", &part("undionly.kpxe")?)?;
    write("snponly.efi", &part("snponly.efi")?)?;
    Ok(())
}
