// SPDX-License-Identifier: Apache-2.0
//! Set-up, build, images, demo, test, tidy: everything a person or CI runs besides the product itself.

mod bench;
mod boot_image;
mod cache;
mod command;
mod demo;
mod fuzz;
mod host_image;
mod layout;
mod package;
mod product;
mod progress;
mod scenarios;
mod setup;
mod test;
mod tidy;

use anyhow::Result;
use clap::{Parser, Subcommand};
use layout::Layout;
use std::process::ExitCode;

/// Set-up, build, images, test, tidy.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make this Debian machine ready: install what is missing, or name it
    Setup,
    /// Build the product's programs
    Build,
    /// Make the maintenance OS's kernel and initramfs
    BootImage(boot_image::Options),
    /// Make the Debian host image
    HostImage(host_image::Options),
    /// Make the Debian packages: groundstate with its units, and the stand-alone hw-diag
    Package,
    Demo(demo::Options),
    Bench(bench::Options),
    /// Run every test of the project
    Test(test::Options),
    /// Try every parser on inputs that are found by coverage
    Fuzz(fuzz::Options),
    /// Check the house rules
    Tidy(tidy::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let layout = Layout::find()?;
    match task {
        Task::Setup => {
            setup::ensure()?;
            setup::python::peers(&layout);
            setup::unpacked::peers(&layout)?;
        }
        Task::Build => {
            setup::ensure()?;
            let programs = product::build(&layout)?;
            let pid1 = product::build_pid1(&layout)?;
            for program in [programs.groundstate, programs.host_agent, pid1] {
                progress::note(&program.display().to_string());
            }
        }
        Task::BootImage(options) => {
            setup::ensure()?;
            boot_image::run(&layout, &options)?;
        }
        Task::HostImage(options) => {
            setup::ensure()?;
            host_image::run(&layout, &options)?;
        }
        Task::Package => {
            setup::ensure()?;
            package::run(&layout)?;
        }
        Task::Demo(options) => return demo::run(&layout, &options),
        Task::Bench(options) => return bench::run(&layout, &options),
        Task::Test(options) => {
            let prepare = |layout: &Layout| {
                demo::make_everything(layout)?;
                product::build_hw_diag(layout).map(drop)
            };
            return test::run(&layout, &options, prepare, &scenarios::ALL);
        }
        Task::Fuzz(options) => return fuzz::run(&layout, &options),
        Task::Tidy(options) => tidy::run(&layout, &options)?,
    }
    Ok(ExitCode::SUCCESS)
}
