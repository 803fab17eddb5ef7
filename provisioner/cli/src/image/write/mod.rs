// SPDX-License-Identifier: Apache-2.0
//! `groundstate image write`: an image onto a disk of this machine, without a fleet: a USB stick, a lab, a file.
//!
//! The way is the node's: the same guard's words, the same proofs, the same reading back. A disk that is in use is never
//! written to; one that holds something is only written to where its serial number, or a person at the terminal, says so.

mod consent;
mod head;
mod onto;
mod order;
mod source;
mod target;

pub(crate) use order::volumes;

use super::named::Named;
use super::origin::FromArgs;
use super::size::size;
use super::state::StateArgs;
use crate::End;
use crate::client::Refused;
use anyhow::Result;
use clap::Args;
use groundstate_api::{Bytes, Reason};
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  groundstate image write appliance /dev/sdb
  groundstate image write appliance@stable /dev/sdb --wipe 4C530001
  groundstate image write appliance 7 lab.img --size 16GiB --allow-unsigned
  groundstate image write appliance@stable /dev/sdb --from https://10.0.0.1:8443 --from-credential pki/operator
  groundstate image write appliance@stable /dev/sdb --s3 bucket.toml
  groundstate image write sha256:… /dev/sdb --from https://10.0.0.2:8443 --ca ca.crt --allow-unsigned
  groundstate image write debian /dev/sdb --user-data user-data --credential token=token.txt

--from names a provisioner, which asks who calls (--from-credential), or `groundstate image serve`, or whatever gives a
bucket of `groundstate image publish` out by HTTP; --s3 reads the bucket itself.

An image of a whole disk goes onto a disk or into a file; its partition table is then fitted to that disk, with
GUIDs of its own. A root file system goes into a partition or a file.

Exit status: 0 done, 1 an error, 2 wrong usage, 3 refused: nothing was written, or the last line says what was.";

#[derive(Args)]
#[command(override_usage = "groundstate image write [OPTIONS] <NAME> [VERSION] <DEVICE>")]
pub(crate) struct WriteArgs {
    /// The image: NAME, NAME@CHANNEL, NAME:VERSION or sha256:DIGEST; without a version, the newest import.
    #[arg(value_name = "NAME")]
    named: Named,
    /// The version where it is not said with the name, and then the disk, partition or file to be written to.
    #[arg(value_names = ["VERSION", "DEVICE"], num_args = 1..=2, required = true)]
    rest: Vec<String>,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    from: FromArgs,
    /// Make DEVICE a file of this size, or a file that is there this long.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<Bytes>,
    /// The sector size of a file that stands in for a disk; without it, the image's.
    #[arg(long, value_name = "BYTES")]
    sector_size: Option<u32>,
    #[command(flatten)]
    consent: consent::ConsentArgs,
    /// Take an image that nobody signed.
    #[arg(long)]
    allow_unsigned: bool,
    /// Leave out the reading back of every byte from the disk.
    #[arg(long)]
    no_read_back: bool,
    /// Leave the GUIDs of disk and partitions as the image has them, so that two disks have the same.
    #[arg(long)]
    keep_guids: bool,
    /// Let the last partition reach to the end of the disk; its file system is grown by what runs
    /// on it.
    #[arg(long)]
    grow: bool,
    #[command(flatten)]
    order: order::OrderArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl WriteArgs {
    fn words(&self) -> Result<(Named, PathBuf)> {
        let (device, version) = match self.rest.as_slice() {
            [version, device] => (device, Some(version.as_str())),
            [device, ..] => (device, None),
            [] => anyhow::bail!("a disk, partition or file is missing"),
        };
        Ok((self.named.with(version)?, PathBuf::from(device)))
    }
}

pub(super) fn run(args: &WriteArgs) -> Result<End> {
    let (named, device) = args.words()?;
    let given = source::open(&args.from, &args.state, &named, args.allow_unsigned)?;
    let order = args.order.read()?;
    let target = target::look(
        &device,
        args.size,
        args.sector_size.unwrap_or(given.manifest.sector_size),
        given.manifest.minimum_size,
    )?;
    onto::check(&given, &target)?;
    onto::check_grow(args, &given, &target)?;
    let plan = order::plan(&given, &order)?;
    onto::check_names(args, &given, &target, &plan)?;
    if !args.json {
        eprintln!("{}", consent::page(&given, &target));
    }
    if !args.consent.given(&target)? {
        return Ok(End::Held);
    }
    target.make()?;
    let written = onto::write(args, &given, &target, &plan)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&written)?);
    } else {
        println!("{}", written.text());
    }
    Ok(End::Done)
}

/// Refused, with what to do, as exit status 3.
fn refused(mut reason: Reason) -> anyhow::Error {
    reason.next_step = without_a_fleet(&reason.next_step);
    Refused { reason }.into()
}

/// The writer is the node's, and its advice speaks of runs and a site file: here there is neither.
fn without_a_fleet(step: &str) -> String {
    const WORDS: [(&str, &str); 4] = [
        (
            "choose a larger disk for the OS in the site file",
            "choose a larger disk, or a place with more room",
        ),
        ("replace the OS disk", "replace the disk"),
        ("order the run anew", "write it once more"),
        ("order the run again", "write it once more"),
    ];
    WORDS.iter().fold(step.to_owned(), |step, (fleet, here)| {
        step.replace(fleet, here)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_speaks_of_no_run_and_no_site_file() {
        for (step, here) in [
            (
                "import the image again, then order the run anew",
                "import the image again, then write it once more",
            ),
            (
                "choose a larger disk for the OS in the site file, or a smaller image",
                "choose a larger disk, or a place with more room, or a smaller image",
            ),
            ("look at the disk", "look at the disk"),
        ] {
            assert_eq!(without_a_fleet(step), here);
        }
    }
}
