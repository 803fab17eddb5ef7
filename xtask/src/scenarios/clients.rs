// SPDX-License-Identifier: Apache-2.0
//! Every client of the matrix fetches, asks or boots from `groundstate pxe-server`, and the table of it is printed.

use crate::bench::{Peer, Peers};
use crate::command::{command, stream};
use crate::demo::{self, Made};
use crate::layout::Layout;
use crate::product;
use anyhow::{Context as _, Result};

/// Installed, it would be started as a service of this machine; so it is unpacked below the target folder.
const RELAY: Peer = Peer {
    program: "dhcrelay",
    package: "isc-dhcp-relay",
};

/// Runs the matrix in a process of its own, which finds the relay agent by its environment.
pub(super) fn every_client(layout: &Layout) -> Result<()> {
    let Made { groundstate, .. } = demo::make_everything(layout)?;
    let build = [
        "build",
        "--quiet",
        "--locked",
        "-p",
        "groundstate-tests",
        "--bin",
        "rack",
    ];
    stream(command(product::program(), build).current_dir(layout.source("")))?;
    let rack = layout.target().join("debug/rack");
    let peers = Peers::fetch(layout, &[RELAY])?;
    let mut matrix = command(&rack, ["clients", "--groundstate"]);
    matrix.arg(&groundstate);
    matrix.arg("--boot-image").arg(layout.boot());
    matrix
        .arg("--dir")
        .arg(layout.made("scenarios").join("clients"));
    matrix.envs(peers.environment()?);
    stream(&mut matrix).context("captures and logs lie in target/groundstate/scenarios/clients")
}
