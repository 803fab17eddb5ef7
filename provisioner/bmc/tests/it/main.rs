// SPDX-License-Identifier: Apache-2.0
//! BMCs that are real peers, captures of real ones, and ones that lie, on loopback.
#![allow(clippy::unwrap_used)]

mod hostile;
mod ipmi_peers;
mod liars;
mod locks;
mod mockups;
mod peer;
mod samples;
mod sushy;
mod world;

use bmc::{Secret, Settings, Target};
use groundstate_api::Millis;
use groundstate_api::site_parts::BmcProtocol;
use std::net::SocketAddr;
use std::path::PathBuf;

const USER: &str = "admin";
const PASSWORD: &str = "s3cret";

/// Settings of production, in a hurry.
fn settings() -> Settings {
    Settings {
        connect: Millis::secs(2),
        answer: Millis::secs(3),
        settle: Millis(20),
        looks: 3,
        task: Millis::secs(3),
        post: Millis::secs(3),
        pace_divisor: 50,
        ..Settings::default()
    }
}

fn target(address: SocketAddr, protocol: BmcProtocol) -> Target {
    Target {
        address: address.to_string().parse().unwrap(),
        protocol: Some(protocol),
        secret: Secret::parse(&format!("{USER}:{PASSWORD}")).unwrap(),
        pin: None,
        system: None,
    }
}

/// The corpus, or `None` where it is absent; with `CI` set it must be there.
fn corpus(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GROUNDSTATE_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = root.join(path);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "no corpus at {}",
        path.display()
    );
    eprintln!("skipped: no corpus at {}", path.display());
    None
}
