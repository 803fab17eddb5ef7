// SPDX-License-Identifier: Apache-2.0
//! Which file for whom, as a table; and why, as it is told.

use super::*;
use groundstate_api::ReasonCode;

const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);

fn asks(asker: Option<Asker>, below: Option<u16>) -> BootQuestion {
    BootQuestion {
        architecture: below
            .or_else(|| asker.filter(|a| *a != Asker::Ipxe).map(Asker::architecture)),
        ipxe: asker == Some(Asker::Ipxe),
        ..BootQuestion::about(MAC)
    }
}

fn said(answer: &BootAnswer) -> String {
    match answer {
        BootAnswer::MaintenanceOs => "maintenance-os".to_owned(),
        BootAnswer::LocalDisk { how } => format!("{how:?}"),
        BootAnswer::Nothing => "-".to_owned(),
        BootAnswer::Refuse { .. } => "refuse".to_owned(),
        BootAnswer::Recipe { recipe } => {
            let kernel = recipe.kernel.iter().chain(&recipe.initrd).cloned();
            let all: Vec<_> = recipe.file.iter().cloned().chain(kernel).collect();
            all.join(" ")
        }
    }
}

#[test]
fn each_firmware_gets_what_is_there_for_it() {
    use Asker::*;
    for (files, asker, below, gets) in [
        (
            "undionly.kpxe pxelinux.0",
            Some(Bios),
            None,
            "undionly.kpxe",
        ),
        ("pxelinux.0", Some(Bios), None, "pxelinux.0"),
        ("snponly.efi", Some(Bios), None, "-"),
        ("ipxe.efi grubx64.efi", Some(UefiPxe), None, "ipxe.efi"),
        (
            "grubx64.efi shimx64.efi",
            Some(UefiPxe),
            None,
            "shimx64.efi",
        ),
        (
            "groundstate.efi ipxe.efi",
            Some(UefiHttp),
            None,
            "groundstate.efi",
        ),
        ("grubx64.efi", Some(Arm64Pxe), None, "-"),
        ("grubaa64.efi", Some(Arm64Pxe), None, "grubaa64.efi"),
        ("boot.ipxe vmlinuz", Some(Ipxe), Some(7), "boot.ipxe"),
        (
            "vmlinuz initrd.img",
            Some(Ipxe),
            Some(7),
            "vmlinuz initrd.img",
        ),
        ("vmlinuz", Some(Ipxe), None, "vmlinuz"),
        // iPXE in a ROM starts what the firmware would have started, and never iPXE again.
        (
            "undionly.kpxe pxelinux.0",
            Some(Ipxe),
            Some(0),
            "pxelinux.0",
        ),
        ("undionly.kpxe snponly.efi", Some(Ipxe), Some(0), "-"),
        (
            "snponly.efi grubx64.efi",
            Some(Ipxe),
            Some(7),
            "grubx64.efi",
        ),
        ("undionly.kpxe boot.ipxe", None, None, "-"),
    ] {
        let there = |name: &str| files.split(' ').any(|file| file == name);
        let answer = Rules::default().ask(&asks(asker, below), &there);
        assert_eq!(said(&answer), gets, "{files}: {asker:?} {below:?}");
    }
}

#[test]
fn what_was_named_comes_first_and_stands_even_where_it_is_missing() {
    let rules = Rules {
        files: vec![
            (Asker::Bios, "mine.0".to_owned()),
            (Asker::Ipxe, "menu.ipxe".to_owned()),
        ],
        ..Rules::default()
    };
    let there = |name: &str| name != "mine.0";
    assert_eq!(
        said(&rules.ask(&asks(Some(Asker::Bios), None), &there)),
        "-"
    );
    let all = |_: &str| true;
    assert_eq!(
        said(&rules.ask(&asks(Some(Asker::Bios), None), &all)),
        "mine.0"
    );
    assert_eq!(
        said(&rules.ask(&asks(Some(Asker::Ipxe), None), &all)),
        "menu.ipxe"
    );
}

#[test]
fn the_first_rule_that_fits_decides_and_each_is_told() {
    let uuid: SystemUuid = "564d1234-5678-9abc-def0-123456789abc".parse().unwrap();
    let rule = |name: &str, then| Rule {
        name: name.to_owned(),
        macs: Vec::new(),
        mac_prefixes: Vec::new(),
        uuids: Vec::new(),
        firmware: Vec::new(),
        then,
    };
    let offer = Offer {
        recipe: BootRecipe {
            name: "rescue".to_owned(),
            kernel: Some("rescue/vmlinuz".to_owned()),
            initrd: vec!["rescue/initrd".to_owned()],
            ..BootRecipe::default()
        },
        script: None,
    };
    let reason = Reason::new(ReasonCode::UnknownMachine, "no", "ask");
    let rules = Rules {
        rules: vec![
            Rule {
                mac_prefixes: vec![vec![2, 0, 0]],
                ..rule("other", Then::Refuse(reason))
            },
            Rule {
                uuids: vec![uuid],
                ..rule("one", Then::LocalDisk(LocalBoot::Exit))
            },
            Rule {
                firmware: vec![Asker::UefiPxe, Asker::Ipxe],
                ..rule("rescue", Then::Offer(offer))
            },
        ],
        ..Rules::default()
    };
    let all = |_: &str| true;
    let known = BootQuestion {
        uuid: Some(uuid),
        ..asks(Some(Asker::Bios), None)
    };
    assert_eq!(said(&rules.ask(&known, &all)), "Exit");
    let other = BootQuestion {
        mac: MacAddr([2, 0, 0, 0, 0, 9]),
        ..asks(Some(Asker::Bios), None)
    };
    assert_eq!(said(&rules.ask(&other, &all)), "refuse");
    assert_eq!(
        said(&rules.ask(&asks(Some(Asker::Ipxe), None), &all)),
        "rescue/vmlinuz rescue/initrd"
    );
    let told = rules.explain(&asks(Some(Asker::UefiPxe), None), &all);
    assert_eq!(said(&told.answer), "snponly.efi");
    expect_test::expect![[r#"
        rule "other" does not fit: its MAC address is 52:54:00:00:00:01
        rule "one" does not fit: its UUID is unknown
        rule "rescue" fits
        recipe "rescue" has a kernel: firmware is brought to iPXE first
        snponly.efi is there for uefi-pxe"#]]
    .assert_eq(&told.because.join("\n"));
    let told = rules.explain(&asks(Some(Asker::Bios), None), &|_| false);
    assert_eq!(told.answer, BootAnswer::Nothing);
    assert_eq!(
        told.because.last().unwrap(),
        "none of undionly.kpxe, ipxe.pxe, ipxe.kpxe, pxelinux.0, lpxelinux.0, grub2pxe, pxegrub.0 is there for bios"
    );
}

#[test]
fn kinds_of_clients_are_read_as_people_write_them() {
    for asker in Asker::ALL {
        assert_eq!(asker.as_str().parse(), Ok(asker));
    }
    assert_eq!("ARM64".parse(), Ok(Asker::Arm64Pxe));
    let error = "amiga".parse::<Asker>().unwrap_err().to_string();
    assert!(
        error.contains("amiga") && error.contains("uefi-http"),
        "{error}"
    );
}
