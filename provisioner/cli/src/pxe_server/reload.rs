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
    /// What is in force.
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
        // A certificate that cannot be used is told now and not at the restart.
        if let Err(error) = new.https() {
            return refused(&error);
        }
        if let Some(why) = another_service(&self.settings, &new) {
            return refused(&why);
        }
        let restart = needs_restart(&self.settings, &new);
        let new = new.with_what_needs_a_restart_from(&self.settings);
        if let Err(why) = self.beside(&new) {
            return refused(&why);
        }
        // It was checked when it was read.
        if let Err(error) = self.reloader.dhcp(new.dhcp.clone()) {
            return refused(&error);
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
        said.extend(restart);
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
        // First what may be refused: the interface's IPv6 addresses may have changed.
        if let Some(config) = new.dhcp6_config().map_err(|error| why(&error))? {
            self.reloader.dhcp6(config).map_err(|error| why(&error))?;
        }
        if new.proxy {
            let config = new.proxy_config();
            self.reloader.proxy(config).map_err(|error| why(&error))?;
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

/// What makes it another service: the one that runs goes on as it is until it is started again.
fn another_service(old: &Settings, new: &Settings) -> Option<String> {
    let address = |settings: &Settings| settings.dhcp.address;
    if old.interface != new.interface {
        let (was, is) = (&old.interface, &new.interface);
        return Some(format!(
            "the interface is {is} and was {was}; restart the service for it"
        ));
    }
    if old.proxy != new.proxy {
        let is = if new.proxy { "on" } else { "off" };
        return Some(format!("proxy was turned {is}; restart the service for it"));
    }
    (address(old) != address(new)).then(|| {
        format!(
            "{}'s address is {} and was {} when the service started; restart it",
            new.interface,
            address(new),
            address(old)
        )
    })
}

impl Settings {
    /// What can be taken over while the service runs; the rest as it is in force.
    fn with_what_needs_a_restart_from(self, old: &Self) -> Self {
        let mut new = Self {
            boot_dir: old.boot_dir.clone(),
            state_dir: old.state_dir.clone(),
            tls: old.tls.clone(),
            admin: old.admin.clone(),
            capture: old.capture.clone(),
            ..self
        };
        // URLs name the port that is served.
        new.dhcp.http = old.dhcp.http;
        new.bounds.limits = old.bounds.limits;
        if old.dhcp6.is_some() != new.dhcp6.is_some() {
            new.dhcp6.clone_from(&old.dhcp6);
        }
        new
    }
}

fn needs_restart(old: &Settings, new: &Settings) -> Option<String> {
    let changed = [
        ("http_port", old.dhcp.http.port != new.dhcp.http.port),
        ("boot_dir", old.boot_dir != new.boot_dir),
        ("state_dir", old.state_dir != new.state_dir),
        ("tls", old.tls != new.tls),
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
