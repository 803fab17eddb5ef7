// SPDX-License-Identifier: Apache-2.0
//! Every kind of client against every answer of the boot policy: the table of boot files.

use crate::packet::{Desk, MAC, Packet, config, refusal, reply};
use expect_test::expect;
use groundstate_api::MacAddr;
use groundstate_api::boot::{BootAnswer, BootRecipe, LocalBoot};
use pxe_core::dhcp::{Action, BootNames, Client, Request, boot_file};
use std::fmt::Write as _;
use std::net::Ipv4Addr;

fn answers() -> Vec<(&'static str, BootAnswer)> {
    let local = |how| BootAnswer::LocalDisk { how };
    let recipe = |file: Option<&str>, kernel: Option<&str>| BootAnswer::Recipe {
        recipe: BootRecipe {
            name: "rescue".to_owned(),
            file: file.map(str::to_owned),
            kernel: kernel.map(str::to_owned),
            ..BootRecipe::default()
        },
    };
    vec![
        ("maintenance OS", BootAnswer::MaintenanceOs),
        ("a program", recipe(Some("rescue.efi"), None)),
        ("a kernel", recipe(None, Some("linux"))),
        ("nothing", BootAnswer::Nothing),
        ("local disk, usual", local(LocalBoot::Usual)),
        ("local disk, exit", local(LocalBoot::Exit)),
        (
            "local disk, sanboot",
            local(LocalBoot::Sanboot { drive: 0x80 }),
        ),
        ("local disk, no answer", local(LocalBoot::NoAnswer)),
        ("refused", refusal()),
    ]
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn what_each_client_is_told_to_boot() {
    let mut names = BootNames::default();
    names.pxe.insert(11, "arm64.efi".to_owned());
    names.http_ipxe.insert(16, "ipxe.efi".to_owned());
    let clients = [
        Client::Pxe { architecture: 0 },
        Client::Pxe { architecture: 7 },
        Client::Pxe { architecture: 11 },
        Client::Http { architecture: 16 },
        Client::Http { architecture: 19 },
        Client::Ipxe {
            architecture: Some(0),
        },
        Client::Plain,
    ];
    let mut text = String::new();
    for (says, answer) in answers() {
        writeln!(text, "{says}").unwrap();
        for client in clients {
            let file = boot_file(&answer, client, &names);
            writeln!(text, "  {:<39} {file:?}", client.words()).unwrap();
        }
    }
    expect![[r#"
        maintenance OS
          BIOS PXE                                Tftp("undionly.kpxe")
          UEFI PXE                                Tftp("snponly.efi")
          UEFI arm64 PXE, architecture 11         Tftp("arm64.efi")
          UEFI HTTP Boot                          Http("groundstate.efi")
          UEFI arm64 HTTP Boot, architecture 19   NoFileFor { architecture: 19 }
          iPXE                                    IpxeScript
          an operating system                     Nothing
        a program
          BIOS PXE                                Tftp("rescue.efi")
          UEFI PXE                                Tftp("rescue.efi")
          UEFI arm64 PXE, architecture 11         Tftp("rescue.efi")
          UEFI HTTP Boot                          Http("rescue.efi")
          UEFI arm64 HTTP Boot, architecture 19   Http("rescue.efi")
          iPXE                                    IpxeFile("rescue.efi")
          an operating system                     Nothing
        a kernel
          BIOS PXE                                Tftp("undionly.kpxe")
          UEFI PXE                                Tftp("snponly.efi")
          UEFI arm64 PXE, architecture 11         Tftp("arm64.efi")
          UEFI HTTP Boot                          Http("ipxe.efi")
          UEFI arm64 HTTP Boot, architecture 19   NoFileFor { architecture: 19 }
          iPXE                                    IpxeScript
          an operating system                     Nothing
        nothing
          BIOS PXE                                Nothing
          UEFI PXE                                Nothing
          UEFI arm64 PXE, architecture 11         Nothing
          UEFI HTTP Boot                          Nothing
          UEFI arm64 HTTP Boot, architecture 19   Nothing
          iPXE                                    Nothing
          an operating system                     Nothing
        local disk, usual
          BIOS PXE                                Tftp("local-disk")
          UEFI PXE                                Tftp("local-disk")
          UEFI arm64 PXE, architecture 11         Tftp("local-disk")
          UEFI HTTP Boot                          Http("local-disk")
          UEFI arm64 HTTP Boot, architecture 19   Http("local-disk")
          iPXE                                    IpxeScript
          an operating system                     Nothing
        local disk, exit
          BIOS PXE                                Tftp("undionly.kpxe")
          UEFI PXE                                Tftp("local-disk")
          UEFI arm64 PXE, architecture 11         Tftp("local-disk")
          UEFI HTTP Boot                          Http("local-disk")
          UEFI arm64 HTTP Boot, architecture 19   Http("local-disk")
          iPXE                                    IpxeScript
          an operating system                     Nothing
        local disk, sanboot
          BIOS PXE                                Tftp("undionly.kpxe")
          UEFI PXE                                Tftp("local-disk")
          UEFI arm64 PXE, architecture 11         Tftp("local-disk")
          UEFI HTTP Boot                          Http("local-disk")
          UEFI arm64 HTTP Boot, architecture 19   Http("local-disk")
          iPXE                                    IpxeScript
          an operating system                     Nothing
        local disk, no answer
          BIOS PXE                                NoAnswer
          UEFI PXE                                NoAnswer
          UEFI arm64 PXE, architecture 11         NoAnswer
          UEFI HTTP Boot                          NoAnswer
          UEFI arm64 HTTP Boot, architecture 19   NoAnswer
          iPXE                                    IpxeScript
          an operating system                     Nothing
        refused
          BIOS PXE                                NoAnswer
          UEFI PXE                                NoAnswer
          UEFI arm64 PXE, architecture 11         NoAnswer
          UEFI HTTP Boot                          NoAnswer
          UEFI arm64 HTTP Boot, architecture 19   NoAnswer
          iPXE                                    NoAnswer
          an operating system                     NoAnswer
    "#]]
    .assert_eq(&text);
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn clients_are_told_apart() {
    let pxe = |class: &[u8]| Packet::new(1, MAC).option(60, class);
    let cases = [
        ("no class", Packet::new(1, MAC)),
        ("another class", pxe(b"MSFT 5.0")),
        ("PXE of before RFC 4578", pxe(b"PXEClient")),
        (
            "the class names the architecture",
            pxe(b"PXEClient:Arch:00007:UNDI:003016"),
        ),
        (
            "option 93 counts",
            pxe(b"PXEClient:Arch:00000").option(93, &[0, 9]),
        ),
        (
            "several, one is known",
            pxe(b"PXEClient").option(93, &[0, 6, 0, 7]),
        ),
        (
            "arm64",
            pxe(b"PXEClient:Arch:00011:UNDI:003000").option(93, &[0, 11]),
        ),
        (
            "HTTP Boot",
            pxe(b"HTTPClient:Arch:00016:UNDI:003001").option(93, &[0, 16]),
        ),
        (
            "HTTP Boot that names its PXE type",
            pxe(b"HTTPClient").option(93, &[0, 7]),
        ),
        (
            "HTTP Boot on arm64",
            pxe(b"HTTPClient:Arch:00019").option(93, &[0, 19]),
        ),
        ("HTTP Boot on IA32", pxe(b"HTTPClient").option(93, &[0, 15])),
        (
            "U-Boot names no class",
            Packet::new(1, MAC).option(93, &[0, 22]),
        ),
        (
            "iPXE, raw",
            pxe(b"PXEClient:Arch:00000").option(77, b"iPXE"),
        ),
        (
            "iPXE, counted",
            pxe(b"PXEClient:Arch:00007").option(77, b"\x04iPXE"),
        ),
        (
            "iPXE, one of several",
            pxe(b"PXEClient").option(77, b"\x02ab\x04iPXE"),
        ),
        (
            "iPXE by its options",
            Packet::new(1, MAC).option(175, &[177, 5, 1]),
        ),
        (
            "a user class that is not iPXE",
            pxe(b"PXEClient").option(77, b"\x05iPXE-"),
        ),
        (
            "a broken user class",
            Packet::new(1, MAC).option(77, b"\x09iPXE"),
        ),
        (
            "an unknown architecture",
            pxe(b"PXEClient").option(93, &[0, 33]),
        ),
    ];
    let mut text = String::new();
    for (says, packet) in cases {
        let client = Request::parse(&packet.end()).unwrap().client;
        writeln!(
            text,
            "{says:<34} {:<39} {:?}",
            client.words(),
            client.firmware()
        )
        .unwrap();
    }
    expect![[r#"
        no class                           an operating system                     None
        another class                      an operating system                     None
        PXE of before RFC 4578             BIOS PXE                                Some(Bios)
        the class names the architecture   UEFI PXE                                Some(UefiPxe)
        option 93 counts                   UEFI PXE                                Some(UefiPxe)
        several, one is known              UEFI PXE                                Some(UefiPxe)
        arm64                              UEFI arm64 PXE, architecture 11         None
        HTTP Boot                          UEFI HTTP Boot                          Some(UefiHttp)
        HTTP Boot that names its PXE type  UEFI HTTP Boot                          Some(UefiHttp)
        HTTP Boot on arm64                 UEFI arm64 HTTP Boot, architecture 19   None
        HTTP Boot on IA32                  UEFI IA32 HTTP Boot, architecture 15    None
        U-Boot names no class              U-Boot arm64, architecture 22           None
        iPXE, raw                          iPXE                                    Some(Bios)
        iPXE, counted                      iPXE                                    Some(UefiPxe)
        iPXE, one of several               iPXE                                    None
        iPXE by its options                iPXE                                    None
        a user class that is not iPXE      BIOS PXE                                Some(Bios)
        a broken user class                an operating system                     None
        an unknown architecture            architecture 33                         None
    "#]]
    .assert_eq(&text);
}

/// From DISCOVER through firmware and iPXE to the operating system: one machine, one address, another file each time.
#[test]
fn one_boot_from_firmware_to_the_operating_system() {
    let mut desk = Desk::of(config(), Vec::new());
    let stages = [
        Packet::new(1, MAC)
            .option(60, b"PXEClient:Arch:00007:UNDI:003016")
            .option(61, &[0; 17]),
        Packet::new(1, MAC)
            .option(60, b"PXEClient:Arch:00007:UNDI:003016")
            .option(77, b"iPXE")
            .option(61, &[1, 0x52, 0x54, 0, 0x12, 0x34, 0x56]),
        Packet::new(1, MAC).option(61, &[0xff, 1, 2, 3, 4, 0, 1, 0, 1]),
    ];
    let mut addresses = Vec::new();
    let mut files = Vec::new();
    for packet in stages {
        let offer = reply(&desk.ask(&packet.end(), &BootAnswer::MaintenanceOs));
        let address = offer.yiaddr();
        addresses.push(address);
        let file = offer.fname_str().transpose().unwrap().unwrap_or_default();
        files.push(file.trim_end_matches('\0').to_owned());
        let request = Packet::new(3, MAC)
            .option(50, &address.octets())
            .option(54, &[10, 77, 0, 1]);
        desk.ask(&request.end(), &BootAnswer::MaintenanceOs);
    }
    addresses.dedup();
    assert_eq!(addresses.len(), 1);
    assert_eq!(
        files,
        [
            "snponly.efi",
            "http://10.77.0.1/boot/ipxe/52-54-00-12-34-56.ipxe",
            ""
        ]
    );
}

#[test]
fn what_a_boot_is_told_as_steps() {
    let mut desk = Desk::of(config(), Vec::new());
    let mut text = String::new();
    let pxe = |message| {
        Packet::new(message, MAC)
            .option(60, b"PXEClient:Arch:00000:UNDI:002001")
            .option(93, &[0, 0])
    };
    let mut tell = |desk: &mut Desk, packet: Packet, answer: &BootAnswer| {
        let out = desk.ask_and_tell(&packet.end(), answer);
        for action in &out {
            if let Action::Step { mac, step } = action {
                writeln!(text, "{mac} {}", step.says()).unwrap();
            }
        }
        out
    };
    let offer = tell(&mut desk, pxe(1), &BootAnswer::MaintenanceOs);
    let address = reply(&offer).yiaddr().octets();
    let request = |address: &[u8]| pxe(3).option(50, address).option(54, &[10, 77, 0, 1]);
    tell(&mut desk, request(&address), &BootAnswer::MaintenanceOs);
    tell(&mut desk, request(&address), &BootAnswer::LOCAL_DISK);
    tell(
        &mut desk,
        request(&[10, 77, 0, 5]),
        &BootAnswer::MaintenanceOs,
    );
    tell(&mut desk, pxe(1), &refusal());
    let renewal = Packet::new(3, MAC).ciaddr(address);
    tell(&mut desk, renewal, &BootAnswer::MaintenanceOs);
    expect![[r#"
        52:54:00:12:34:56 BIOS PXE asked by DHCP
        52:54:00:12:34:56 was offered 10.77.0.191, boot file undionly.kpxe
        52:54:00:12:34:56 has 10.77.0.191, boot file undionly.kpxe
        52:54:00:12:34:56 was sent to its own disk by DHCP
        52:54:00:12:34:56 was told no by DHCP: 10.77.0.5 is not leased where the machine is
        52:54:00:12:34:56 got no answer by DHCP: the boot policy refuses this machine
    "#]]
    .assert_eq(&text);
    assert_eq!(
        desk.server.of_machine(MAC).unwrap().address,
        Ipv4Addr::from(address)
    );
}

#[test]
fn a_flood_is_told_of_in_bounds_and_firmware_beside_it() {
    let mut desk = Desk::of(config(), Vec::new());
    let mut plain = 0;
    for n in 0..2_000u32 {
        let [_, b, c, d] = n.to_be_bytes();
        let packet = Packet::new(1, MacAddr([6, 0, 0, b, c, d]));
        let out = desk.ask_and_tell(&packet.end(), &BootAnswer::MaintenanceOs);
        plain += out
            .iter()
            .filter(|a| matches!(a, Action::Step { .. }))
            .count();
    }
    assert_eq!(plain, 512);
    let firmware = Packet::new(1, MAC).option(60, b"PXEClient").end();
    let out = desk.ask_and_tell(&firmware, &BootAnswer::MaintenanceOs);
    assert_eq!(
        out.iter()
            .filter(|a| matches!(a, Action::Step { .. }))
            .count(),
        2
    );
}
