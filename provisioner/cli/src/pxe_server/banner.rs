// SPDX-License-Identifier: Apache-2.0
//! What is said at the start: what is served where, for whom, and what is missing.

use super::interface;
use super::settings::Settings;
use crate::up::say;
use groundstate_api::MacAddr;
use groundstate_api::boot::{BootAnswer, BootQuestion, BootRecipe};
use groundstate_api::text::counted;
use pxe_core::rules::Asker;
use pxe_server::{BootDir, BootService, FolderPolicy};
use std::path::Path;

/// A machine that no rule knows.
const ANYBODY: MacAddr = MacAddr([2, 0, 0, 0, 0, 0]);

/// Every port is open by now.
pub(super) fn say_all(
    service: &BootService,
    settings: &Settings,
    folder: &BootDir,
    state_dir: &Path,
) {
    let own = settings.dhcp.address;
    let leases = match (settings.proxy, settings.addresses()) {
        (true, _) => {
            "no addresses: proxyDHCP on ports 67 and 4011, beside the DHCP server of this network"
                .to_owned()
        }
        (false, count) => format!("{} to lease", counted(count, "address")),
    };
    say(&format!(
        "interface   {}, {own}, {leases}",
        settings.interface
    ));
    let down = |own: &interface::Own| own.is_on(&settings.interface) && !own.is_up;
    if interface::on_all().is_ok_and(|all| all.iter().any(down)) {
        let name = &settings.interface;
        say(&format!(
            "WARNING     {name} is down, so nobody is heard: ip link set {name} up"
        ));
    }
    if settings.dhcp6.is_some() {
        say("IPv6        DHCPv6, router advertisements, TFTP and HTTP");
    }
    for (what, address) in service.ports() {
        say(&format!("{what:<11} {address}"));
    }
    let count = folder.names().len();
    say(&format!(
        "files       {count} below {}",
        folder.path().display()
    ));
    let left_out = folder.left_out().to_string();
    if !left_out.is_empty() {
        say(&format!("NOTE        not served: {left_out}"));
    }
    say(&format!("state       {}", state_dir.display()));
}

/// A line for each kind of client: what it gets, or what to do so that it gets something.
pub(super) fn for_whom(policy: &FolderPolicy, named: &[(Asker, String)]) -> Vec<String> {
    Asker::ALL
        .into_iter()
        .filter_map(|asker| {
            let question = question(asker);
            let name = asker.words();
            match policy.explain(&question).answer {
                BootAnswer::Recipe { recipe } => Some(format!("{name:<20} {}", what(&recipe))),
                BootAnswer::MaintenanceOs
                | BootAnswer::LocalDisk { .. }
                | BootAnswer::Refuse { .. } => Some(format!("{name:<20} by rule")),
                BootAnswer::Nothing => {
                    let named = named.iter().find(|(kind, _)| *kind == asker);
                    let said = match named {
                        Some((_, file)) => Some(misnamed(asker, file)),
                        None => missing(asker),
                    };
                    said.map(|say| format!("WARNING     {say}"))
                }
            }
        })
        .collect()
}

/// What such a client asks.
pub(super) fn question(asker: Asker) -> BootQuestion {
    let ipxe = asker == Asker::Ipxe;
    BootQuestion {
        architecture: (!ipxe).then(|| asker.architecture()),
        ipxe,
        ..BootQuestion::about(ANYBODY)
    }
}

fn what(recipe: &BootRecipe) -> String {
    match (&recipe.file, &recipe.kernel) {
        (Some(file), _) => file.clone(),
        (None, Some(kernel)) => {
            let mut all = vec![kernel.as_str()];
            all.extend(recipe.initrd.iter().map(String::as_str));
            format!("a script for {}", all.join(" and "))
        }
        (None, None) => recipe.name.clone(),
    }
}

/// The file that somebody named for such machines is not there.
fn misnamed(asker: Asker, file: &str) -> String {
    format!(
        "{} machines get an address and nothing to boot: {file:?} is named for {asker}, and there is no such file in the folder",
        asker.words()
    )
}

fn missing(asker: Asker) -> Option<String> {
    let words = asker.words();
    match asker {
        Asker::Bios | Asker::UefiPxe | Asker::UefiHttp => {
            let usual = asker.usual().first().copied().unwrap_or_default();
            Some(format!(
                "{words} machines get an address and nothing to boot: put {usual} into the folder, or name another file with --boot-file {asker}=NAME"
            ))
        }
        Asker::Ipxe => Some(
            "iPXE gets an address and nothing to boot: put boot.ipxe, or vmlinuz and initrd.img, into the folder"
                .to_owned(),
        ),
        // Most sites have none.
        Asker::Arm64Pxe | Asker::Arm64Http => None,
    }
}
