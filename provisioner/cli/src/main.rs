// SPDX-License-Identifier: Apache-2.0
//! The `groundstate` command. `up` composes the servers in one process; `image` keeps images and writes them; `vhd`
//! works on files; everything else is a client that knows the public HTTPS API and nothing more.
//!
//! Exit status: see `exit.rs`.

/// A line on standard output: what could not be written is told at the end. See `out`.
macro_rules! println {
    ($($words:tt)*) => { $crate::out::line(format_args!($($words)*)) };
}
/// A line on standard error, whether somebody hears it or not.
macro_rules! eprintln {
    ($($words:tt)*) => { $crate::out::beside(format_args!($($words)*)) };
}

mod access;
#[cfg(test)]
mod advised;
mod boot_image;
mod client;
mod completions;
mod exit;
mod image;
mod man;
mod out;
mod pxe_server;
mod refusal;
mod remote;
mod site;
mod tls_fault;
mod up;
mod vhd;
mod watch;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use clap_complete::CompleteEnv;
use exit::End;
use refusal::Asked;
use std::process::ExitCode;

/// Brings bare-metal servers to a known ground state: checked, laid out, imaged, handed over.
///
/// `groundstate up` runs the servers. The other commands talk to them: --server says where they are, --credential who you are.
#[derive(Parser)]
#[command(name = "groundstate", version, max_term_width = 100, after_help = first_steps(), after_long_help = first_steps())]
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
    /// Say why a node is where it is, and what a person can do; the same as `groundstate node explain`.
    #[command(after_help = client::explain::EXAMPLE)]
    Why(client::node::NodeArgs),
    /// Show what a site file would change, or what a run would do to a node's disks, before anything runs.
    Plan(client::plan::PlanArgs),
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
    /// Show how the site stands: nodes by phase, racks, brake, what will be done when.
    Fleet(client::fleet::FleetArgs),
    /// Look at the site on a screen that follows it: racks, nodes, how far each is. It only looks.
    Watch(watch::WatchArgs),
    /// Show how a node came to be where it is, from the journal. Nothing is done by that.
    Replay(client::replay::ReplayArgs),
    /// Look at what is done to machines and what the policy wants; approve it or forbid it.
    #[command(subcommand)]
    Action(client::action::ActionCommand),
    /// Stop what disturbs hosts, for the whole site, or let it go on.
    #[command(subcommand)]
    Brake(client::brake::BrakeCommand),
    /// Show who ordered what, from where, and what came of it.
    Audit(client::fleet::AuditArgs),
    /// Look at who is told of events.
    #[command(subcommand)]
    Webhook(client::fleet::WebhookCommand),
    /// Print the script that completes this command in bash, zsh or fish.
    Completions(completions::CompletionsArgs),
    /// Write the manual, a page for each command.
    Man(man::ManArgs),
    #[command(flatten)]
    Site(site::SiteCommand),
}

/// Where somebody begins who has never seen it, and what a script needs to know.
fn first_steps() -> String {
    let steps = "First steps:
  groundstate site check site.toml        every fault of a site file, with its line
  groundstate up --interface eth1         run all servers, with ./site.toml
  groundstate node list                   every node and where it is
  groundstate node explain NODE           what it waits for, what you can do
  groundstate node provision NODE         order its first run
  groundstate watch                       the whole site on one screen";
    format!("{steps}\n\n{}", exit::help())
}

/// The command line. What is wrong with it is told by what was typed: an option that the environment gives was not.
fn parsed() -> (Cli, Asked) {
    let matches = Cli::command().try_get_matches();
    let understood = matches.and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches);
        let cli = cli.map_err(|error| error.format(&mut Cli::command()))?;
        Ok((cli, Asked::of(&matches)))
    });
    let error = match understood {
        Ok(understood) => return understood,
        Err(error) => error,
    };
    let typed = without_environment(Cli::command()).try_get_matches_from(std::env::args_os());
    match typed {
        Err(typed) if error.use_stderr() && typed.kind() == error.kind() => {
            refusal::misunderstood(&typed)
        }
        Ok(_) | Err(_) => refusal::misunderstood(&error),
    }
}

fn without_environment(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| arg.env(clap::builder::Resettable::Reset))
        .mut_subcommands(without_environment)
}

fn main() -> ExitCode {
    // A shell that asks what fits gets its answer here, and the program ends.
    CompleteEnv::with_factory(Cli::command)
        .var(completions::VARIABLE)
        .complete();
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("groundstate: a TLS provider is installed already");
        return ExitCode::from(exit::ERROR);
    }
    let (cli, asked) = parsed();
    match out::ended(run(cli.command)) {
        Ok(end) => end.into(),
        Err(error) if error.is::<out::NobodyReads>() => ExitCode::from(exit::UNREAD),
        Err(error) => asked.tell(&error),
    }
}

fn run(command: Command) -> Result<End> {
    match command {
        Command::Up(args) => up::run(&args),
        Command::PxeServer(args) => pxe_server::run(&args),
        Command::Image(command) => image::run(&command),
        Command::Vhd(command) => vhd::run(&command),
        Command::Node(command) => client::node::run(&command),
        Command::Why(args) => client::explain::run(&args),
        Command::Plan(args) => client::plan::run(&args),
        Command::Boot(command) => client::boot::run(&command),
        Command::BootImage(args) => boot_image::run(&args),
        Command::Access(command) => access::run(&command),
        Command::Events(args) => client::events::run(&args),
        Command::Fleet(args) => client::fleet::fleet(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Replay(args) => client::replay::run(&args),
        Command::Action(command) => client::action::run(&command),
        Command::Brake(command) => client::brake::run(&command),
        Command::Audit(args) => client::fleet::audit(&args),
        Command::Webhook(command) => client::fleet::webhook(&command),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args, Cli::command()),
        Command::Site(command) => site::run(&command),
    }
}
