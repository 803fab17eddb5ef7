// SPDX-License-Identifier: Apache-2.0
//! Adoption from both sides: a person makes a token and lets a host go; on the host, as root, the host is taken in.

mod call;
mod host;
mod token;

use crate::End;
use anyhow::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum AdoptCommand {
    /// On a host that runs already, as root: take it in as it is. Nothing of its disks' data and nothing about how it boots is
    /// changed. Shows what will be written, and asks.
    #[command(after_help = "Examples:
  groundstate node adopt --url https://10.0.0.1:8443 --ca-fingerprint sha256:... --token-file token --dry-run
  groundstate node adopt --url https://10.0.0.1:8443 --ca-fingerprint sha256:... --token-file token

`groundstate node adopt-token` makes the token and prints this line.")]
    Adopt(Box<host::HostArgs>),
    /// Make a token with which one running host becomes a node: short-lived, good once.
    #[command(after_help = "Examples:
  groundstate node adopt-token --name r1-07 --output token
  groundstate node adopt-token --mac 52:54:00:12:34:56 --minutes 60 --output token")]
    AdoptToken(token::TokenArgs),
    /// Let an adopted host go: its agent is believed no more. What runs on the host goes on. Asks first.
    #[command(
        after_help = "Example:\n  groundstate node unadopt r1-07 --why 'given back to its team'"
    )]
    Unadopt(token::UnadoptArgs),
}

pub(crate) fn run(command: &AdoptCommand) -> Result<End> {
    match command {
        AdoptCommand::Adopt(args) => host::run(args),
        AdoptCommand::AdoptToken(args) => token::make(args),
        AdoptCommand::Unadopt(args) => token::unadopt(args),
    }
}
