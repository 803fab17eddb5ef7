// SPDX-License-Identifier: Apache-2.0
//! The `host-agent` command: `run` as a service on the provisioned host, `status` for a person on it.

use clap::{Parser, Subcommand};
use host_agent::{Root, StatusError, ThisHost, run_forever, status_text};
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes this host its own machine once, and reports to the provisioner.
#[derive(Debug, Parser)]
#[command(name = "host-agent", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Specialise this host at its first boot, then register and report until stopped.
    Run {
        /// The root directory of the host.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
    /// Show what was done at first boot and when the provisioner was last heard.
    Status {
        /// The root directory of the host.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { root } => {
            if rustls::crypto::ring::default_provider()
                .install_default()
                .is_err()
            {
                eprintln!("host-agent: a second TLS provider was installed");
                return ExitCode::FAILURE;
            }
            let root = Root::new(root);
            match run_forever(&root, &ThisHost) {
                Ok(never) => match never {},
                Err(error) => {
                    eprintln!("host-agent: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        Command::Status { root } => match status_text(&Root::new(root)) {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(error @ StatusError::NotAHost { .. }) => {
                eprintln!("host-agent: {error}");
                ExitCode::from(2)
            }
            Err(error @ StatusError::Read(_)) => {
                eprintln!("host-agent: {error}");
                ExitCode::FAILURE
            }
        },
    }
}
