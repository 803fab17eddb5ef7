// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask bench pxe`: the boot service against the servers that people would use instead.
//!
//! Everything runs in network namespaces over veth: nothing of it reaches the machine's own network.

use super::measure::Part;
use super::peers::{Crate, Peer};
use super::suite::Suite;
use std::time::Duration;

/// The boot service.
pub(super) const SUITE: Suite = Suite {
    name: "pxe",
    parts: PARTS,
    peers: PEERS,
    crates: CRATES,
    limit: Duration::from_secs(28 * 60),
};

/// The parts, in order: `compare` has a word for each. Add yours at the end.
const PARTS: &[Part] = &[
    Part::new("dhcp-500", "DHCP: 500 leases a second for a minute"),
    Part::new("dhcp-max", "DHCP: the highest rate"),
    Part::new("dhcp-burst", "DHCP: 1,000 machines at once"),
    Part::new("dhcp-overload", "DHCP: ten times what it can"),
    Part::new("dhcp-100k", "DHCP: with 100,000 leases"),
    Part::new("dhcp-memory", "DHCP: memory with 10,000 leases"),
    Part::new("http", "HTTP: a boot file of 1 GiB"),
    Part::new("storm", "boot storm: 1,000 machines within 10 s"),
    Part::new("storm-loss", "boot storm: 200 machines with 5 % loss"),
    Part::new("tftp-one", "TFTP: one client at each window"),
    Part::new("tftp-500", "TFTP: 500 clients at once"),
    Part::new("tftp-memory", "TFTP: memory for each transfer"),
    Part::new("tftp-loss", "TFTP: 200 clients with 5 % loss"),
];

/// The servers and clients that are measured, as Debian packages. Add yours at the end.
const PEERS: &[Peer] = &[
    Peer::new("perfdhcp", "kea-admin"),
    Peer::new("kea-dhcp4", "kea-dhcp4-server"),
    Peer::new("dnsmasq", "dnsmasq-base"),
    Peer::new("in.tftpd", "tftpd-hpa"),
    Peer::new("atftpd", "atftpd"),
    Peer::new("nginx", "nginx-light"),
];

/// The same, as programs of a crate.
const CRATES: &[Crate] = &[Crate {
    program: "tftpd",
    version: "1.0.0",
}];
