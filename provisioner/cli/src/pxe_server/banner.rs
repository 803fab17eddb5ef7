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

/// Files that are told one by one.
pub(super) const NAMES_MAX: usize = 8;

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
    let all = interface::on_all().unwrap_or_default();
    if let Some(line) = down(&settings.interface, &all) {
        say(&line);
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
    hidden(&folder.hidden()).iter().for_each(|line| say(line));
    say(&format!("state       {}", state_dir.display()));
}

/// Who serves an interface that is down hears nobody.
fn down(name: &str, all: &[interface::Own]) -> Option<String> {
    let down = all.iter().any(|own| own.is_on(name) && !own.is_up);
    down.then(|| format!("WARNING     {name} is down, so nobody is heard: ip link set {name} up"))
}

/// A line for each file that is not had where one would look for it; the first of many.
pub(crate) fn hidden(all: &[String]) -> Vec<String> {
    let shown = all.iter().take(NAMES_MAX);
    let mut lines: Vec<_> = shown.map(|one| format!("WARNING     {one}")).collect();
    let more = all.len().saturating_sub(NAMES_MAX);
    if more > 0 {
        let files = counted(more, "more file");
        lines.push(format!(
            "WARNING     and {files} whose name means something else"
        ));
    }
    lines
}

/// What each kind of client gets, or what to do so that it gets something.
pub(super) fn for_whom(
    policy: &FolderPolicy,
    folder: &BootDir,
    named: &[(Asker, String)],
) -> Vec<String> {
    let each = |asker: Asker| {
        let name = asker.words();
        let named = named.iter().find(|(kind, _)| *kind == asker);
        let lost = named.map(|(_, file)| file).filter(|it| !folder.has(it));
        let gets = match policy.explain(&question(asker)).answer {
            BootAnswer::Recipe { recipe } => format!("{name:<20} {}", what(&recipe)),
            BootAnswer::MaintenanceOs
            | BootAnswer::LocalDisk { .. }
            | BootAnswer::Refuse { .. } => format!("{name:<20} by rule"),
            // The file that somebody named is there, so that only a rule keeps it back.
            BootAnswer::Nothing if named.is_some() && lost.is_none() => {
                format!("{name:<20} by rule")
            }
            BootAnswer::Nothing => {
                let said = lost.map_or_else(|| missing(asker), |file| Some(misnamed(asker, file)));
                let said = said.map(|said| format!("WARNING     {said}"));
                return said.into_iter().collect::<Vec<_>>();
            }
        };
        // Something else stands in for a file that somebody named.
        let lost = lost.map(|file| format!("WARNING     {}", no_such(asker, file)));
        [Some(gets), lost].into_iter().flatten().collect()
    };
    Asker::ALL.into_iter().flat_map(each).collect()
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
        "{} machines get nothing to boot: {}",
        asker.words(),
        no_such(asker, file)
    )
}

fn no_such(asker: Asker, file: &str) -> String {
    format!("{file:?} is named for {asker}, and there is no such file in the folder")
}

fn missing(asker: Asker) -> Option<String> {
    let words = asker.words();
    match asker {
        Asker::Bios | Asker::UefiPxe | Asker::UefiHttp => {
            let usual = asker.usual().first().copied().unwrap_or_default();
            Some(format!(
                "{words} machines get nothing to boot: put {usual} into the folder, or name another file with --boot-file {asker}=NAME"
            ))
        }
        Asker::Ipxe => Some(
            "iPXE gets nothing to boot: put boot.ipxe, or vmlinuz and initrd.img, into the folder"
                .to_owned(),
        ),
        // Most sites have none.
        Asker::Arm64Pxe | Asker::Arm64Http => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::boot::LocalBoot;
    use pxe_core::rules::{Rule, Rules, Then};
    use std::sync::Arc;

    /// What is said of a folder with these files.
    fn said(files: &[&str], rules: Rules) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for name in files {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let folder = Arc::new(BootDir::open(dir.path()).unwrap());
        let named = rules.files.clone();
        for_whom(
            &FolderPolicy::new(rules, Arc::clone(&folder)),
            &folder,
            &named,
        )
    }

    #[test]
    fn who_gets_nothing_to_boot_is_told_with_what_to_do() {
        let lines = said(&[], Rules::default());
        expect_test::expect![[r#"
            WARNING     BIOS PXE machines get nothing to boot: put undionly.kpxe into the folder, or name another file with --boot-file bios=NAME
            WARNING     UEFI PXE machines get nothing to boot: put snponly.efi into the folder, or name another file with --boot-file uefi-pxe=NAME
            WARNING     UEFI HTTP Boot machines get nothing to boot: put groundstate.efi into the folder, or name another file with --boot-file uefi-http=NAME
            WARNING     iPXE gets nothing to boot: put boot.ipxe, or vmlinuz and initrd.img, into the folder"#]]
        .assert_eq(&lines.join("\n"));
        let all = ["undionly.kpxe", "snponly.efi", "groundstate.efi", "vmlinuz"];
        let lines = said(&all, Rules::default());
        assert_eq!(
            lines,
            [
                "BIOS PXE             undionly.kpxe",
                "UEFI PXE             snponly.efi",
                "UEFI HTTP Boot       groundstate.efi",
                "iPXE                 a script for vmlinuz",
            ]
        );
    }

    #[test]
    fn a_file_that_was_named_and_is_not_there_is_told_for_each_kind() {
        for asker in Asker::ALL {
            let rules = Rules {
                files: vec![(asker, "own.x".to_owned())],
                ..Rules::default()
            };
            let (words, name) = (asker.words(), asker.as_str());
            let line = format!(
                "WARNING     {words} machines get nothing to boot: \"own.x\" is named for {name}, and there is no such file in the folder"
            );
            let lines = said(&[], rules.clone());
            assert!(lines.contains(&line), "{asker}: {lines:#?}");
            let lines = said(&["own.x"], rules);
            assert!(
                lines.contains(&format!("{words:<20} own.x")),
                "{asker}: {lines:#?}"
            );
        }
    }

    #[test]
    fn what_stands_in_for_a_file_that_was_named_is_told_with_it() {
        let rules = Rules {
            files: vec![(Asker::Ipxe, "own.ipxe".to_owned())],
            ..Rules::default()
        };
        let lines = said(&["vmlinuz"], rules);
        let expected = [
            "iPXE                 a script for vmlinuz",
            "WARNING     \"own.ipxe\" is named for ipxe, and there is no such file in the folder",
        ];
        assert_eq!(
            lines.get(3..),
            Some(&expected.map(str::to_owned)[..]),
            "{lines:#?}"
        );
    }

    #[test]
    fn who_a_rule_speaks_of_is_not_missed() {
        let rules = |then| Rules {
            rules: vec![Rule {
                name: "all".to_owned(),
                macs: Vec::new(),
                mac_prefixes: Vec::new(),
                uuids: Vec::new(),
                firmware: Vec::new(),
                then,
            }],
            files: Asker::ALL.map(|asker| (asker, "own.x".to_owned())).to_vec(),
            ..Rules::default()
        };
        let lines = said(&["own.x"], rules(Then::Nothing));
        assert!(
            lines.iter().all(|line| line.ends_with(" by rule")),
            "{lines:#?}"
        );
        let lines = said(&["own.x"], rules(Then::LocalDisk(LocalBoot::Usual)));
        assert_eq!(lines.len(), Asker::ALL.len());
        assert!(
            lines.iter().all(|line| line.ends_with(" by rule")),
            "{lines:#?}"
        );
    }

    #[test]
    fn an_interface_that_is_down_is_told_and_another_one_is_not() {
        let own = |interface: &str, is_up| interface::Own {
            interface: interface.to_owned(),
            address: [10, 0, 0, 1].into(),
            prefix: 24,
            is_up,
        };
        for (all, told) in [
            (vec![], false),
            (vec![own("eth1", true)], false),
            (vec![own("eth0", false), own("eth1", true)], false),
            (vec![own("eth0", true), own("eth1", false)], true),
        ] {
            let line = "WARNING     eth1 is down, so nobody is heard: ip link set eth1 up";
            let expected = told.then(|| line.to_owned());
            assert_eq!(down("eth1", &all), expected, "{all:?}");
        }
    }

    #[test]
    fn the_first_of_many_hidden_files_are_told_and_the_rest_is_counted() {
        let of = |count: usize| {
            let all: Vec<String> = (0..count).map(|n| format!("file {n}")).collect();
            let lines = hidden(&all);
            let last = lines.last().cloned().unwrap_or_default();
            (lines.len(), last)
        };
        assert_eq!(of(0), (0, String::new()));
        assert_eq!(of(8), (8, "WARNING     file 7".to_owned()));
        let more = |files: &str| format!("WARNING     and {files} whose name means something else");
        assert_eq!(of(9), (9, more("1 more file")));
        assert_eq!(of(20), (9, more("12 more files")));
    }
}
