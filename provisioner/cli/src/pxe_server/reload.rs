// SPDX-License-Identifier: Apache-2.0
//! SIGHUP: the configuration and the folder are read again. What cannot be served changes nothing.

use super::args::PxeServerArgs;
use super::settings::Settings;
use pxe_core::dhcp::{Reservation, SubnetConfig};
use pxe_server::{BootDir, FolderPolicy, Reloader};
use std::sync::Arc;

/// Names of files that are told one by one.
const NAMES_MAX: usize = 8;

/// What runs, and what it was told.
pub(super) struct Running {
    pub(super) args: PxeServerArgs,
    pub(super) settings: Settings,
    pub(super) folder: Arc<BootDir>,
    pub(super) policy: Arc<FolderPolicy>,
    pub(super) reloader: Reloader,
}

impl Running {
    /// Reads everything again; a line for each thing that changed, or why nothing did.
    pub(super) fn reload(&mut self) -> Vec<String> {
        let refused = |why: &dyn std::fmt::Display| {
            vec![format!(
                "RELOAD      refused, and what was in force stays: {why:#}"
            )]
        };
        let new = match Settings::read(&self.args) {
            Ok(new) => new,
            Err(error) => return refused(&error),
        };
        if let Err(error) = self.reloader.dhcp(new.dhcp.clone()) {
            return refused(&error);
        }
        if let Err(why) = self.beside(&new) {
            return refused(&why);
        }
        self.policy.replace(new.rules.clone());
        let mut said = differences(&self.settings, &new);
        match self.folder.look_again() {
            Ok(changes) => {
                said.extend(names("came", &changes.came));
                said.extend(names("went", &changes.went));
            }
            Err(error) => said.push(format!("{error}; the files found before are served on")),
        }
        said.extend(needs_restart(&self.settings, &new));
        self.settings = new;
        if said.is_empty() {
            said.push("nothing has changed".to_owned());
        }
        said.into_iter()
            .map(|line| format!("RELOAD      {line}"))
            .collect()
    }
}

impl Running {
    /// What is served beside DHCP, where it is and stays on.
    fn beside(&self, new: &Settings) -> Result<(), String> {
        let why = |error: &dyn std::fmt::Display| error.to_string();
        if self.settings.proxy && new.proxy {
            let config = new.proxy_config();
            self.reloader.proxy(config).map_err(|error| why(&error))?;
        }
        let six = new.dhcp6_config().map_err(|error| why(&error))?;
        if let Some(config) = six.filter(|_| self.settings.dhcp6.is_some()) {
            self.reloader.dhcp6(config).map_err(|error| why(&error))?;
        }
        Ok(())
    }
}

fn names(what: &str, names: &[String]) -> Option<String> {
    let shown = names.get(..NAMES_MAX).unwrap_or(names).join(", ");
    match names.len() {
        0 => None,
        1..=NAMES_MAX => Some(format!("files that {what}: {shown}")),
        all => Some(format!(
            "files that {what}: {shown} and {} more",
            all - NAMES_MAX
        )),
    }
}

fn differences(old: &Settings, new: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    let name = |subnet: &SubnetConfig| format!("{}/{}", subnet.network, subnet.prefix);
    for subnet in &new.dhcp.subnets {
        match old
            .dhcp
            .subnets
            .iter()
            .find(|other| name(other) == name(subnet))
        {
            None => said.push(format!("subnet {} is new", name(subnet))),
            Some(other) if other != subnet => said.push(format!("subnet {} changed", name(subnet))),
            Some(_) => {}
        }
    }
    for subnet in &old.dhcp.subnets {
        if !new
            .dhcp
            .subnets
            .iter()
            .any(|other| name(other) == name(subnet))
        {
            said.push(format!(
                "subnet {} is gone; its leases run out",
                name(subnet)
            ));
        }
    }
    let lacks = |all: &[Reservation], one: &Reservation| !all.contains(one);
    for one in &new.dhcp.reservations {
        if lacks(&old.dhcp.reservations, one) {
            said.push(format!("{} is reserved", one.address));
        }
    }
    for one in &old.dhcp.reservations {
        if lacks(&new.dhcp.reservations, one) {
            said.push(format!("{} is not reserved as it was", one.address));
        }
    }
    if old.rules.rules != new.rules.rules {
        said.push(match new.rules.rules.len() {
            1 => "there is 1 rule".to_owned(),
            count => format!("there are {count} rules"),
        });
    }
    if old.rules.files != new.rules.files {
        said.push("the boot files by firmware changed".to_owned());
    }
    if old.rules.command_line != new.rules.command_line {
        said.push(format!("the command line is {:?}", new.rules.command_line));
    }
    if let (Some(was), Some(is)) = (&old.dhcp6, &new.dhcp6)
        && was != is
    {
        said.push("DHCPv6 changed; its leases stay".to_owned());
    }
    said
}

fn needs_restart(old: &Settings, new: &Settings) -> Option<String> {
    let http = |settings: &Settings| (settings.dhcp.address, settings.dhcp.http.port);
    let changed = [
        ("interface", old.interface != new.interface),
        (
            "the interface's address or http_port",
            http(old) != http(new),
        ),
        ("boot_dir", old.boot_dir != new.boot_dir),
        ("state_dir", old.state_dir != new.state_dir),
        ("tls", old.tls != new.tls),
        ("proxy", old.proxy != new.proxy),
        (
            "dhcp6 on or off",
            old.dhcp6.is_some() != new.dhcp6.is_some(),
        ),
        ("admin", old.admin != new.admin),
        ("capture", old.capture != new.capture),
        ("limits", old.bounds.limits != new.bounds.limits),
    ];
    let changed: Vec<_> = changed
        .iter()
        .filter(|(_, yes)| *yes)
        .map(|(what, _)| *what)
        .collect();
    (!changed.is_empty()).then(|| format!("restart the service for: {}", changed.join(", ")))
}
