// SPDX-License-Identifier: Apache-2.0
//! SIGHUP: the configuration and the folder are read again. What cannot be served changes nothing.

use super::args::PxeServerArgs;
use super::banner::NAMES_MAX;
use super::changes::{IN_FORCE, differences};
use super::settings::Settings;
use pxe_server::{BootDir, FolderPolicy, Reloader};
use std::collections::BTreeSet;
use std::sync::Arc;

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
        if !said.is_empty() {
            said.push(IN_FORCE.to_owned());
        }
        let told: BTreeSet<String> = self.folder.hidden().into_iter().collect();
        match self.folder.look_again() {
            Ok(changes) => {
                said.extend(names("came", &changes.came));
                said.extend(names("went", &changes.went));
                let hidden = self.folder.hidden().into_iter();
                said.extend(hidden.filter(|one| !told.contains(one)).take(NAMES_MAX));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pxe_server::document::{Capture, Six, Tls};
    use pxe_server::AdminAddress;

    const POOL: &str = "pools = [\"127.0.1.1-127.0.1.9\"]\n";

    fn settings(config: &str) -> Settings {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pxe.toml");
        std::fs::write(&path, config).unwrap();
        let read = Settings::read(&PxeServerArgs {
            interface: Some("lo".to_owned()),
            boot_dir: Some("/nowhere".into()),
            config: Some(path),
            ..PxeServerArgs::default()
        });
        read.unwrap()
    }

    #[test]
    fn each_thing_that_needs_a_restart_is_named_and_stays_as_it_was() {
        type Change = fn(&mut Settings);
        let cases: [(Change, &str); 8] = [
            (|new| new.dhcp.http.port = 8_080, "http_port"),
            (|new| new.boot_dir = "/other".into(), "boot_dir"),
            (|new| new.state_dir = Some("/other".into()), "state_dir"),
            (
                |new| {
                    new.tls = Some(Tls {
                        port: 443,
                        certificate: "c".into(),
                        key: "k".into(),
                    });
                },
                "tls",
            ),
            (|new| new.dhcp6 = Some(Six::default()), "dhcp6 on or off"),
            (|new| new.admin = Some(AdminAddress::usual()), "admin"),
            (
                |new| {
                    new.capture = Some(Capture {
                        folder: "/f".into(),
                        only: Vec::new(),
                    });
                },
                "capture",
            ),
            (|new| new.bounds.limits.tftp_window = 1, "limits"),
        ];
        let old = settings(POOL);
        assert_eq!(needs_restart(&old, &old), None);
        let mut everything = old.clone();
        for (change, name) in cases {
            let mut new = old.clone();
            change(&mut new);
            change(&mut everything);
            let said = needs_restart(&old, &new);
            assert_eq!(said, Some(format!("restart the service for: {name}")));
            assert_eq!(differences(&old, &new), Vec::<String>::new(), "{name}");
            assert_eq!(another_service(&old, &new), None, "{name}");
            let kept = new.with_what_needs_a_restart_from(&old);
            assert_eq!(needs_restart(&old, &kept), None, "{name}");
        }
        let names: Vec<&str> = cases.iter().map(|(_, name)| *name).collect();
        let all = format!("restart the service for: {}", names.join(", "));
        assert_eq!(needs_restart(&old, &everything), Some(all));
    }

    #[test]
    fn what_makes_it_another_service_is_refused_with_what_it_was() {
        type Change = fn(&mut Settings);
        let cases: [(Change, &str); 3] = [
            (
                |new| new.interface = "eth9".to_owned(),
                "the interface is eth9 and was lo; restart the service for it",
            ),
            (
                |new| new.proxy = true,
                "proxy was turned on; restart the service for it",
            ),
            (
                |new| new.dhcp.address = [127, 0, 0, 2].into(),
                "lo's address is 127.0.0.2 and was 127.0.0.1 when the service started; restart it",
            ),
        ];
        let old = settings(POOL);
        assert_eq!(another_service(&old, &old), None);
        for (change, says) in cases {
            let mut new = old.clone();
            change(&mut new);
            assert_eq!(another_service(&old, &new).as_deref(), Some(says));
        }
        let proxy = Settings {
            proxy: true,
            ..old.clone()
        };
        let says = "proxy was turned off; restart the service for it";
        assert_eq!(another_service(&proxy, &old).as_deref(), Some(says));
    }

    fn tells(cases: &[(&str, &str, &str)]) {
        for (old, new, says) in cases {
            let of = |more: &str| settings(&format!("{POOL}{more}"));
            let (old, new) = (of(old), of(new));
            assert_eq!(differences(&old, &new).join("; "), *says);
            assert_eq!(needs_restart(&old, &new), None, "{says}");
        }
    }

    #[test]
    fn each_part_of_the_addresses_that_a_reload_changes_is_told() {
        let subnet = "[[subnet]]\nnetwork = \"10.9.0.0/24\"\npools = \"10.9.0.5-9\"\n";
        let reserved = "[[reservation]]\nmac = \"52:54:00:00:00:01\"\naddress = \"127.0.0.9\"\n";
        tells(&[
            ("", "", ""),
            ("", subnet, "subnet 10.9.0.0/24 is new"),
            (subnet, "", "subnet 10.9.0.0/24 is gone; its leases run out"),
            (
                "",
                "lease_secs = 600\nrouter = \"127.0.0.9\"\ndns = \"127.0.0.8\"\n",
                "subnet 127.0.0.1/8 changed: router is 127.0.0.9 (was nothing); dns is 127.0.0.8 (was nothing); lease_secs is 600 (was 3600)",
            ),
            (
                subnet,
                "[[subnet]]\nnetwork = \"10.9.0.0/24\"\npools = \"10.9.0.5-99\"\nroutes = \"10.7.0.0/16 via 10.9.0.1\"\n",
                "subnet 10.9.0.0/24 changed: pools is 10.9.0.5-10.9.0.99 (was 10.9.0.5-10.9.0.9); routes is 10.7.0.0/16 via 10.9.0.1 (was nothing)",
            ),
            ("", reserved, "127.0.0.9 is reserved for 52:54:00:00:00:01"),
            (
                reserved,
                "",
                "127.0.0.9 is not reserved for 52:54:00:00:00:01 as it was",
            ),
            ("", "probe = true\n", "the conflict probe is on (was off)"),
            (
                "",
                "[limits]\nleases = 99\n",
                "limits.leases is 99 (was nothing)",
            ),
            (
                "dhcp6 = true\n",
                "[dhcp6]\nlease_secs = 600\ndns = \"fd77::1\"\n",
                "DHCPv6 changed: dns is fd77::1 (was nothing); lease_secs is 600 (was nothing)",
            ),
        ]);
    }

    #[test]
    fn each_part_of_what_is_booted_that_a_reload_changes_is_told() {
        let rule = "[[machine]]\nboot = \"nothing\"\n";
        let named = "[[machine]]\nname = \"a\"\nboot = \"exit\"\n";
        let two = [rule, rule].concat();
        let moved = ["\n\n", rule].concat();
        tells(&[
            (
                "",
                rule,
                "rule \"line 2\" is new; the number of rules is 1 (was 0)",
            ),
            (
                rule,
                two.as_str(),
                "the rules stand in another order, or one more or fewer times; the number of rules is 2 (was 1)",
            ),
            // Only its line is another one.
            (rule, moved.as_str(), ""),
            (
                named,
                "[[machine]]\nname = \"a\"\nboot = \"nothing\"\n",
                "rule \"a\" changed",
            ),
            (
                named,
                "[[machine]]\nname = \"b\"\nboot = \"exit\"\n",
                "rule \"b\" is new; rule \"a\" is gone",
            ),
            (
                "",
                "[boot]\nbios = \"x\"\n",
                "the boot file of bios is x (was the usual one)",
            ),
            (
                "",
                "[boot]\ncommand_line = \"quiet\"\n",
                "the command line is \"quiet\"",
            ),
        ]);
    }

    #[test]
    fn many_names_of_files_are_cut_and_counted() {
        let of = |count: usize| {
            let all: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            names("came", &all)
        };
        assert_eq!(of(0), None);
        assert_eq!(of(2).as_deref(), Some("files that came: 0, 1"));
        let eight = "files that came: 0, 1, 2, 3, 4, 5, 6, 7";
        assert_eq!(of(8).as_deref(), Some(eight));
        assert_eq!(of(11), Some(format!("{eight} and 3 more")));
    }
}
