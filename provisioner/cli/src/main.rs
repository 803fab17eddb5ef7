// SPDX-License-Identifier: Apache-2.0
//! The `groundstate` command. `up` composes the servers in one process; `image` keeps images and writes them; `vhd`
//! works on files; everything else is a client that knows the public HTTPS API and nothing more.
//!
//! Exit status: 0 done, 1 an error, 2 wrong usage, 3 held or refused: by the provisioner, a guard, signatures or a person.

mod access;
mod boot_image;
mod client;
mod image;
mod pxe_server;
mod remote;
mod site;
mod up;
mod vhd;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

const EXIT_ERROR: u8 = 1;
/// Held or refused: the command was right, and a person has to look.
const EXIT_HELD: u8 = 3;

/// Brings bare-metal servers to a known ground state: checked, laid out, imaged, handed over.
///
/// Exit status: 0 done, 1 an error, 2 wrong usage, 3 held or refused.
#[derive(Parser)]
#[command(name = "groundstate", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run all servers in one process: boot service, image repository, provisioner.
    Up(up::UpArgs),
    /// Run the boot service alone: DHCP, TFTP and HTTP boot files from a folder; needs no provisioner.
    PxeServer(Box<pxe_server::PxeServerArgs>),
    /// Import, show, sign, serve and write images; needs no provisioner.
    #[command(subcommand)]
    Image(image::ImageCommand),
    /// Make, show, check, convert and map virtual disks (VHD, VHDX); needs no server.
    #[command(subcommand)]
    Vhd(vhd::VhdCommand),
    /// Look at nodes and order runs, over the API.
    #[command(subcommand)]
    Node(client::node::NodeCommand),
    /// Show what a run would do to a node's disks, before anything runs.
    #[command(subcommand)]
    Plan(client::plan::PlanCommand),
    /// Look at boots: how far each machine came, when, and why it stopped.
    #[command(subcommand)]
    Boot(client::boot::BootCommand),
    /// Write this site's boot image as an ISO for a USB stick or a BMC's virtual drive, on the provisioner's machine.
    BootImage(boot_image::BootImageArgs),
    /// Issue, list and revoke certificates of people and programs, on the provisioner's machine.
    #[command(subcommand)]
    Access(access::AccessCommand),
    /// Show events, over the API.
    Events(client::events::EventsArgs),
    #[command(flatten)]
    Site(site::SiteCommand),
}

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Held,
    /// What was looked at has faults, which are on the page.
    Faults,
}

fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("groundstate: a TLS provider is installed already");
        return ExitCode::from(EXIT_ERROR);
    }
    let done = match Cli::parse().command {
        Command::Up(args) => up::run(&args),
        Command::PxeServer(args) => pxe_server::run(&args),
        Command::Image(command) => image::run(&command),
        Command::Vhd(command) => vhd::run(&command),
        Command::Node(command) => client::node::run(&command),
        Command::Plan(command) => client::plan::run(&command),
        Command::Boot(command) => client::boot::run(&command),
        Command::BootImage(args) => boot_image::run(&args),
        Command::Access(command) => access::run(&command),
        Command::Events(args) => client::events::run(&args),
        Command::Site(command) => site::run(&command),
    };
    match done {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Held) => ExitCode::from(EXIT_HELD),
        Ok(End::Faults) => ExitCode::from(EXIT_ERROR),
        Err(error) => {
            if let Some(refused) = error.downcast_ref::<client::Refused>() {
                eprintln!("{}", refused.reason);
                return ExitCode::from(EXIT_HELD);
            }
            eprintln!("groundstate: {error:#}");
            ExitCode::from(EXIT_ERROR)
        }
    }
}
