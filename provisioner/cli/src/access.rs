// SPDX-License-Identifier: Apache-2.0
//! `groundstate access`: certificates of people and programs, issued and revoked on the provisioner's machine, beside its
//! certificate authority. No server is asked, and a key leaves nowhere but into the folder that is named.

use crate::End;
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use groundstate_api::site_parts::Role;
use provisioner::pki::{Access, Issued};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum AccessCommand {
    /// Issue a certificate with a role to a person or a program.
    Issue(IssueArgs),
    /// List the certificates that were issued.
    List(ListArgs),
    /// Revoke the certificates of a name: from the next request on they open nothing.
    Revoke(RevokeArgs),
}

#[derive(Args)]
pub(crate) struct State {
    /// Folder of the journal and the certificates, as given to groundstate up.
    #[arg(
        long,
        env = "GROUNDSTATE_STATE_DIR",
        value_name = "DIR",
        default_value = "/var/lib/groundstate"
    )]
    state_dir: PathBuf,
}

#[derive(Args)]
pub(crate) struct IssueArgs {
    /// What it may do.
    #[arg(long)]
    role: RoleName,
    /// Whose it is: 1 to 63 of a-z, 0-9, '-', '.', '_'. The site file's [[access]] may bind the name to racks.
    #[arg(long)]
    name: String,
    /// The folder to make; give it to its owner, who passes it with --credential.
    #[arg(long)]
    out: PathBuf,
    /// Days that it is valid, 1 to 730.
    #[arg(long, default_value_t = 365)]
    days: u32,
    #[command(flatten)]
    state: State,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

#[derive(Args)]
pub(crate) struct RevokeArgs {
    /// Whose certificates.
    #[arg(long)]
    name: String,
    /// Only those of this role.
    #[arg(long)]
    role: Option<RoleName>,
    #[command(flatten)]
    state: State,
}

/// A role on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Viewer,
    Technician,
    Operator,
    Admin,
    Fabric,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Technician => Self::Technician,
            RoleName::Operator => Self::Operator,
            RoleName::Admin => Self::Admin,
            RoleName::Fabric => Self::Fabric,
        }
    }
}

pub(crate) fn run(command: &AccessCommand) -> Result<End> {
    match command {
        AccessCommand::Issue(args) => {
            let access = Access::open(&args.state.state_dir)?;
            let issued = access.issue(args.role.into(), &args.name, args.days, &args.out)?;
            let out = args.out.display();
            println!(
                "{} is in {out}, valid until {}",
                who(&issued),
                day(issued.expires)
            );
            println!("try it: groundstate node ls --credential {out}");
        }
        AccessCommand::List(args) => list(&Access::open(&args.state.state_dir)?, args.json)?,
        AccessCommand::Revoke(args) => {
            let access = Access::open(&args.state.state_dir)?;
            let revoked = access.revoke(&args.name, args.role.map(Role::from))?;
            for issued in revoked {
                println!(
                    "{}, issued {}, is revoked",
                    who(&issued),
                    day(issued.issued)
                );
            }
        }
    }
    Ok(End::Done)
}

fn list(access: &Access, json: bool) -> Result<()> {
    let all = access.list()?;
    if json {
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    println!("{:<32} {:<12} {:<12} REVOKED", "WHO", "ISSUED", "EXPIRES");
    for issued in &all {
        let revoked = issued.revoked.map_or_else(|| "-".to_owned(), day);
        let (from, until) = (day(issued.issued), day(issued.expires));
        println!("{:<32} {from:<12} {until:<12} {revoked}", who(issued));
    }
    Ok(())
}

fn who(issued: &Issued) -> String {
    format!("{}:{}", issued.role.as_str(), issued.name)
}

/// The day, in UTC.
pub(crate) fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "-".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}
