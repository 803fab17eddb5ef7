// SPDX-License-Identifier: Apache-2.0
//! Builds the product's three programs with cargo.
//!
//! PID 1 is linked statically (the initramfs has no loader of its own for it) and with link-time optimisation, because
//! every byte of it travels over the network. The other two are built for a quick turn-round.

use crate::command::{command, stream};
use crate::layout::Layout;
use crate::progress::step;
use anyhow::{Context as _, Result};
use std::path::PathBuf;

/// The triple of the static PID 1. It must be named although it is the build machine's own: without `--target` the
/// static flag would reach procedural macros, which cannot be static.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// The programs that were built.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The `groundstate` command.
    pub(crate) groundstate: PathBuf,
    /// The agent of the provisioned host.
    pub(crate) host_agent: PathBuf,
}

/// Builds `groundstate` and `host-agent`.
pub(crate) fn build(layout: &Layout) -> Result<Programs> {
    step("build groundstate and host-agent (release)", || {
        let mut cargo = cargo(layout, &["-p", "groundstate", "-p", "host-agent"]);
        cargo
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        stream(&mut cargo)
    })?;
    let folder = layout.target().join("release");
    Ok(Programs {
        groundstate: built(folder.join("groundstate"))?,
        host_agent: built(folder.join("host-agent"))?,
    })
}

/// Builds PID 1, statically linked.
pub(crate) fn build_pid1(layout: &Layout) -> Result<PathBuf> {
    step("build maintenance-os (release, static)", || {
        let mut cargo = cargo(
            layout,
            &[
                "-p",
                "maintenance-os",
                "--bin",
                "maintenance-os",
                "--target",
                TRIPLE,
            ],
        );
        cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
        stream(&mut cargo)
    })?;
    built(layout.target().join(TRIPLE).join("release/maintenance-os"))
}

/// Builds the stand-alone `hw-diag`, statically linked: it runs on any x86-64 Linux, and in an initramfs.
pub(crate) fn build_hw_diag(layout: &Layout) -> Result<PathBuf> {
    step("build hw-diag (release, static)", || {
        let arguments = ["-p", "hw-diag", "--bin", "hw-diag", "--target", TRIPLE];
        let mut cargo = cargo(layout, &arguments);
        // The same settings as PID 1's, so that both share what they are made of.
        cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
        stream(&mut cargo)
    })?;
    built(layout.target().join(TRIPLE).join("release/hw-diag"))
}

fn cargo(layout: &Layout, arguments: &[&str]) -> std::process::Command {
    let mut cargo = command(program(), ["build", "--release", "--quiet", "--locked"]);
    cargo.args(arguments).current_dir(layout.source(""));
    cargo
}

/// The cargo that runs us, so that a toolchain chosen for us is also the one that builds.
pub(crate) fn program() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn built(path: PathBuf) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("cargo left no {}", path.display()))
}
