// SPDX-License-Identifier: Apache-2.0
//! Commands of the site and of the waiting room; they stand at the top of `groundstate`. A file is read and checked here; what
//! it would change says the provisioner, which has the nodes before it.

mod apply;
pub(crate) mod beside;
pub(crate) mod file;
mod lines;
mod machine;
mod page;
mod show;
mod toml_file;
mod xml;

use crate::End;
use crate::client::Connect;
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum SiteCommand {
    /// Put a site file in force: what would change is shown, a person is asked, and only then it is applied.
    ///
    /// Exit status: 0 applied, or nothing would change; 1 the file has faults, or nobody agreed; 3 refused, because
    /// something stands in the way.
    Apply(ApplyArgs),
    /// Show, export, import and check the site, and where machines differ from it.
    #[command(subcommand)]
    Site(SiteVerb),
    /// The waiting room: machines that are no node yet.
    #[command(subcommand)]
    Machine(machine::MachineCommand),
}

#[derive(Args)]
pub(crate) struct ApplyArgs {
    /// The site file: TOML, or XML or JSON by its ending.
    file: PathBuf,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Apply nothing: say what would change.
    #[arg(long)]
    dry_run: bool,
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

/// `groundstate plan site.toml`: the same as `apply --dry-run`.
#[derive(Args)]
pub(crate) struct PlanSiteArgs {
    /// The site file: TOML, or XML or JSON by its ending.
    pub(crate) file: PathBuf,
    /// Print the plan as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Ask nobody: compare with this site file.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connect: Connect,
}

#[derive(Subcommand)]
pub(crate) enum SiteVerb {
    /// Print the site in force with its version.
    Show(ShowArgs),
    /// Write the site in force as a file that can be applied again.
    Export(ExportArgs),
    /// Read an XML, JSON or TOML file of a site, check it, and write it as TOML. Applies nothing.
    Import(ImportArgs),
    /// Check a file of a site and say every fault with its line. Asks nobody.
    Check(CheckArgs),
    /// Show where machines differ from the site.
    Drift(ShowArgs),
}

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// As what.
    #[arg(long, value_enum, default_value = "toml")]
    format: Format,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// The file; its ending says what it is.
    file: PathBuf,
    /// As what it is written.
    #[arg(long, value_enum, default_value = "toml")]
    format: Format,
    /// Where to; standard output where absent. A file that is there is not written over.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The file; its ending says what it is.
    file: PathBuf,
    /// Look, too, whether the credentials that it names are there and may be used: those of this state directory, and those
    /// that systemd hands over. A webhook's is a fault where it cannot be used; every other one is told.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How a site is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Toml,
    Json,
    Xml,
}

pub(crate) fn run(command: &SiteCommand) -> Result<End> {
    match command {
        SiteCommand::Apply(args) => apply::apply(args),
        SiteCommand::Site(SiteVerb::Show(args)) => show::show(args),
        SiteCommand::Site(SiteVerb::Export(args)) => show::export(args),
        SiteCommand::Site(SiteVerb::Import(args)) => show::import(args),
        SiteCommand::Site(SiteVerb::Check(args)) => show::check(args),
        SiteCommand::Site(SiteVerb::Drift(args)) => show::drift(args),
        SiteCommand::Machine(command) => machine::run(command),
    }
}

/// `groundstate plan site.toml`.
pub(crate) fn plan(args: &PlanSiteArgs) -> Result<End> {
    apply::plan(args)
}
