// SPDX-License-Identifier: Apache-2.0
//! `groundstate boot-image`: the site's boot image as an ISO. It is the one that `groundstate up` serves, with the site's CA in it
//! and no secret; it writes to a file and to nothing else.

use crate::End;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use groundstate_api::units::Bytes;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

/// The unified kernel image that `groundstate up` has left in the state directory.
const UKI: &str = "boot/groundstate.efi";

#[derive(Args)]
pub(crate) struct BootImageArgs {
    /// The file to write.
    #[arg(long, value_name = "FILE.iso")]
    output: PathBuf,
    /// The state directory of `groundstate up`, which has made the boot image at its first start.
    #[arg(
        long,
        env = "GROUNDSTATE_STATE_DIR",
        value_name = "DIR",
        default_value = "/var/lib/groundstate"
    )]
    state_dir: PathBuf,
    /// Replace a file that is there.
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &BootImageArgs) -> Result<End> {
    let from = args.state_dir.join(UKI);
    let uki = fs::read(&from).with_context(|| {
        format!(
            "{} cannot be read; `groundstate up` makes it at its first start, and --state-dir names its state directory",
            from.display()
        )
    })?;
    let iso = pxe_server::boot_iso(&uki).with_context(|| from.display().to_string())?;
    if let Ok(there) = fs::metadata(&args.output) {
        let kind = there.file_type();
        if kind.is_block_device() {
            bail!(
                "{} is a disk: write the ISO to a file, look at it, and copy it to the stick with dd",
                args.output.display()
            );
        }
        if !args.force {
            bail!(
                "{} is there already; --force replaces it",
                args.output.display()
            );
        }
    }
    let new = args.output.with_extension("new");
    let written = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&new)?;
        file.write_all(&iso)?;
        file.sync_all()?;
        fs::rename(&new, &args.output)
    };
    written().with_context(|| format!("writing {}", args.output.display()))?;
    let bytes = Bytes(u64::try_from(iso.len())?);
    println!(
        "{}: {bytes}, boots UEFI machines as a CD, a BMC's virtual drive or a USB stick",
        args.output.display()
    );
    Ok(End::Done)
}
