// SPDX-License-Identifier: Apache-2.0
//! The subcommands. Each looks or reads, lets `hw-core` judge, and prints.

mod burn_in;
mod check;
mod collect;
mod dimms;
mod explain;
mod input;
mod judge;
mod led;
mod output;
mod profile;
mod self_test;
mod smbios;

pub(crate) use output::harmless;

use clap::{Parser, Subcommand};
use groundstate_api::health::Verdict;

/// EX_USAGE: the arguments are wrong.
pub(crate) const EXIT_USAGE: u8 = 64;
/// EX_DATAERR: a file is not what it should be.
const EXIT_DATA: u8 = 65;
/// EX_NOINPUT: a file cannot be read.
const EXIT_NO_INPUT: u8 = 66;
/// EX_SOFTWARE: everything else.
const EXIT_ERROR: u8 = 70;

/// Looks at disks, memory, processors, cards, links and sensors, and says what is wrong, where, and what to do.
#[derive(Parser)]
#[command(
    name = "hw-diag",
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 ok, 1 warn, 2 fail, 3 unknown (could not look; never ok); 64 wrong usage,\n\
                  65 a file is not what it should be, 66 a file cannot be read, 70 another error.\n\
                  A capture that `judge` cannot read is unknown (3); the others are judged all the same.\n\
                  A file may be `-` for standard input.\n\
                  NO_COLOR switches colours off. Asking disks needs root.\n\n\
                  Examples:\n  \
                  hw-diag check                                  this machine, worst first\n  \
                  hw-diag check --json | jq 'select(.verdict != \"ok\")'\n  \
                  hw-diag collect --output node.json             a capture without serial numbers\n  \
                  hw-diag judge node.json                        the same verdict, anywhere and later\n  \
                  hw-diag judge --smartctl-json sda.json sdb.json\n  \
                  hw-diag dimms --dmidecode-text dmidecode.txt\n  \
                  hw-diag explain ata-pending-sectors"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look at this machine and judge it; writes nothing and starts nothing.
    Check(check::CheckArgs),
    /// Write a capture of everything that was read of this machine, without serial numbers and addresses.
    Collect(collect::CollectArgs),
    /// Judge captures: of `collect`, of `smartctl --json`, or the text of `smartctl -x`.
    Judge(judge::JudgeArgs),
    /// List the memory slots of this machine or of an SMBIOS capture.
    Dimms(dimms::DimmsArgs),
    /// Start a disk's own self-test, follow it or read its result.
    SelfTest(self_test::SelfTestArgs),
    /// Load processors, memory and disks for a set time, and judge what that shows; disks are only read.
    BurnIn(burn_in::BurnInArgs),
    /// Explain a finding: what it means, why it is judged so, what to do.
    Explain(explain::ExplainArgs),
    /// Write a hardware profile (TOML) that this machine, or a capture, fits exactly.
    Learn(profile::LearnArgs),
    /// Try a hardware profile on earlier captures before it is switched on.
    BackTest(profile::BackTestArgs),
    /// Switch the locate LED of a disk's bay or of the chassis on or off.
    Led(led::LedArgs),
    /// Decode a raw SMBIOS table: system, processors, memory slots.
    Smbios(smbios::SmbiosArgs),
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<u8> {
    match &arguments.command {
        Command::Check(args) => check::run(args),
        Command::Collect(args) => collect::run(args),
        Command::Judge(args) => judge::run(args),
        Command::Dimms(args) => dimms::run(args),
        Command::SelfTest(args) => self_test::run(args),
        Command::BurnIn(args) => burn_in::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Learn(args) => profile::learn(args),
        Command::BackTest(args) => profile::back_test(args),
        Command::Led(args) => led::run(args),
        Command::Smbios(args) => smbios::run(args),
    }
}

/// The arguments can be read and make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// The exit status of a verdict.
const fn exit(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Ok => 0,
        Verdict::Warn => 1,
        Verdict::Fail => 2,
        Verdict::Unknown => 3,
    }
}

/// The exit status of an error.
pub(crate) fn exit_of(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<input::InputError>() {
        Some(input::InputError::Data { .. } | input::InputError::TooLarge { .. }) => EXIT_DATA,
        Some(input::InputError::Read { .. }) => EXIT_NO_INPUT,
        None if error.is::<Usage>() => EXIT_USAGE,
        None => EXIT_ERROR,
    }
}
