// SPDX-License-Identifier: Apache-2.0
//! What `--explain` says, word by word: each firmware, an operating system, IPv6, relay agents.

use crate::network::ip;
use crate::world::{World, in_two_namespaces, run, text};
use expect_test::{Expect, expect};
use std::fs;

const CONFIG: &str = r#"
[[reservation]]
mac = "52:54:00:00:00:02"
address = "10.55.0.7"
[[subnet]]
network = "10.9.0.0/24"
pools = "10.9.0.10-10"
[[dhcp6.subnet]]
network = "fd77::/64"
[[dhcp6.subnet]]
network = "fd78::/64"
[[dhcp6.reservation]]
mac = "52:54:00:00:00:02"
address = "fd77::7"
"#;

fn world() -> World {
    let world = World::new(&[
        ("pxelinux.0", b"0123456789".as_slice()),
        ("snponly.efi", b"ipxe"),
        ("groundstate.efi", b"uki"),
        ("boot.ipxe", b"#!ipxe\nshell\n"),
    ]);
    fs::write(world.dir.path().join("pxe.toml"), CONFIG).unwrap();
    world
}

/// What is said of the machine, the folder of this run left out.
fn told(world: &World, config: bool, more: &str, status: i32) -> String {
    let folder = world.dir.path().to_str().unwrap().to_owned();
    let config = if config {
        format!("--config {folder}/pxe.toml")
    } else {
        String::new()
    };
    let all = format!("{config} --explain 52:54:00:00:00:02 {more}");
    let arguments: Vec<&str> = all.split_whitespace().collect();
    text(world.command(&arguments), status).replace(&folder, "DIR")
}

fn check(more: &str, expect: Expect) {
    let more = more.to_owned();
    in_two_namespaces(move |_| {
        ip("-6 addr add fd77::1/64 dev srv nodad");
        expect.assert_eq(&told(&world(), true, &more, 0));
    });
}

#[test]
fn every_firmware_and_an_operating_system_over_both_families() {
    check(
        "",
        expect![[r#"
            52:54:00:00:00:02, by DIR/pxe.toml, the folder DIR/boot and 0 leases kept in DIR/state

            bios
              address    10.55.0.7, reserved by its MAC address
              boot file  pxelinux.0 by TFTP from 10.55.0.1, 10 bytes
              because    pxelinux.0 is there for bios

            uefi-pxe
              address    10.55.0.7, reserved by its MAC address
              boot file  snponly.efi by TFTP from 10.55.0.1, 4 bytes
              DHCPv6     fd77::7, reserved by its MAC address
              boot URL   tftp://[fd77::1]/snponly.efi, 4 bytes
              because    snponly.efi is there for uefi-pxe

            uefi-http
              address    10.55.0.7, reserved by its MAC address
              boot file  http://10.55.0.1/boot/groundstate.efi, 3 bytes
              DHCPv6     fd77::7, reserved by its MAC address
              boot URL   http://[fd77::1]/boot/groundstate.efi, 3 bytes
              because    groundstate.efi is there for uefi-http

            arm64-pxe
              address    10.55.0.7, reserved by its MAC address
              boot file  none
              DHCPv6     fd77::7, reserved by its MAC address
              boot URL   none
              because    none of snponly-arm64.efi, ipxe-arm64.efi, shimaa64.efi, bootaa64.efi, BOOTAA64.EFI, grubaa64.efi is there for arm64-pxe

            arm64-http
              address    10.55.0.7, reserved by its MAC address
              boot file  none
              DHCPv6     fd77::7, reserved by its MAC address
              boot URL   none
              because    none of groundstate-arm64.efi, ipxe-arm64.efi is there for arm64-http

            ipxe
              address    10.55.0.7, reserved by its MAC address
              boot file  http://10.55.0.1/boot/boot.ipxe, 13 bytes
              DHCPv6     fd77::7, reserved by its MAC address
              boot URL   http://[fd77::1]/boot/boot.ipxe, 13 bytes
              because    boot.ipxe is there for ipxe

            operating-system
              address    10.55.0.7, reserved by its MAC address
              boot file  none
              DHCPv6     fd77::7, reserved by its MAC address
              boot URL   none
              because    it is no firmware that boots from here: nothing to boot
        "#]],
    );
}

#[test]
fn behind_a_relay_agent_the_other_family_is_not_told_of() {
    check(
        "--relay 10.9.0.1 --firmware uefi-pxe",
        expect![[r#"
            52:54:00:00:00:02, by DIR/pxe.toml, the folder DIR/boot and 0 leases kept in DIR/state

            uefi-pxe
              address    10.9.0.10, a free one of the pool
              boot file  snponly.efi by TFTP from 10.55.0.1, 4 bytes
              because    snponly.efi is there for uefi-pxe
        "#]],
    );
    check(
        "--relay 10.8.0.1 --firmware bios",
        expect![[r#"
            52:54:00:00:00:02, by DIR/pxe.toml, the folder DIR/boot and 0 leases kept in DIR/state

            bios
              answer     none: the relay agent's link 10.8.0.1 is in no subnet that is served
              because    pxelinux.0 is there for bios
        "#]],
    );
    check(
        "--relay fd78::1 --firmware uefi-http",
        expect![[r#"
            52:54:00:00:00:02, by DIR/pxe.toml, the folder DIR/boot and 0 leases kept in DIR/state

            uefi-http
              DHCPv6     a free one of the pool, fd78::d6:0:0 to fd78::d6:ffff:ffff
              boot URL   http://[fd77::1]/boot/groundstate.efi, 3 bytes
              because    groundstate.efi is there for uefi-http
        "#]],
    );
    check(
        "--relay fd79::1 --firmware uefi-http",
        expect![[r#"
            52:54:00:00:00:02, by DIR/pxe.toml, the folder DIR/boot and 0 leases kept in DIR/state

            uefi-http
              DHCPv6     no answer: the relay agent's link fd79::1 is not served here
              because    groundstate.efi is there for uefi-http
        "#]],
    );
    check(
        "--relay fd78::1 --firmware bios",
        expect![[r#"
            52:54:00:00:00:02, by DIR/pxe.toml, the folder DIR/boot and 0 leases kept in DIR/state

            bios
              DHCPv6     no answer: such firmware asks over IPv4 only
        "#]],
    );
}

#[test]
fn what_dhcpv6_cannot_answer_is_told_before_anything_else() {
    in_two_namespaces(|_| {
        let world = world();
        let said = told(&world, false, "--relay fd78::1", 1);
        assert!(said.contains("DHCPv6 is not on: add --dhcp6"), "{said}");
        let said = told(&world, false, "--dhcp6", 1);
        assert!(said.contains("ip -6 address add"), "{said}");
        let said = told(&world, false, "--relay 10.9.0", 2);
        assert!(said.contains("--relay <ADDRESS>"), "{said}");
        // While it looks, nothing is made.
        assert!(!world.dir.path().join("state").exists());
    });
}

#[test]
fn a_lease_of_dhcpv6_is_told_with_its_end() {
    in_two_namespaces(|_| {
        ip("-6 addr add fd77::1/64 dev srv nodad");
        let world = world();
        let state = world.dir.path().join("state");
        fs::create_dir(&state).unwrap();
        let lease = |last: u8, until: u64, firmware: &str| {
            format!(
                "{{\"address\":\"fd77::d6:0:{last}\",\"duid\":\"00030001525400000003\",\"iaid\":{last},\"state\":\"bound\",\"until\":{until},\"mac\":\"52:54:00:00:00:03\",\"uuid\":null,\"firmware\":{firmware}}}\n"
            )
        };
        let log = [
            "groundstate dhcp6 leases, form 1\n",
            &lease(4, 1_000, "null"),
            &lease(5, 4_102_444_800_000, "\"uefi-pxe\""),
        ];
        fs::write(state.join("leases6.log"), log.concat()).unwrap();
        let said = text(
            world.command(&["--dhcp6", "--explain", "52:54:00:00:00:03"]),
            0,
        );
        let part = |firmware: &str| {
            let at = said.find(&format!("\n{firmware}\n")).unwrap();
            let line = said[at..].lines().find(|line| line.contains("DHCPv6"));
            line.unwrap().trim().to_owned()
        };
        assert!(
            part("uefi-pxe").starts_with("DHCPv6     fd77::d6:0:5, its lease until 2100-01-01"),
            "{said}"
        );
        assert_eq!(
            part("operating-system"),
            "DHCPv6     fd77::d6:0:4, the one that it had before"
        );
        assert_eq!(
            fs::read_to_string(state.join("leases6.log")).unwrap(),
            log.concat()
        );
    });
}

#[test]
fn a_name_that_means_something_else_is_told_at_the_start_and_the_file_is_had_elsewhere() {
    in_two_namespaces(|client| {
        let script = "ipxe/52-54-00-00-00-02.ipxe";
        let world = World::new(&[
            ("metrics", b"mine".as_slice()),
            (script, b"#!ipxe\n"),
            ("local-disk", b"never"),
            ("boot/local-disk", b"never"),
            ("boot/a", b"below"),
            ("a", b"above"),
        ]);
        let lines = [
            "WARNING     boot/local-disk is never served: the name sends machines to their own disks; give the file another one",
            "WARNING     local-disk is never served: the name sends machines to their own disks; give the file another one",
            "WARNING     boot/a is not at /boot/a by HTTP: that is the file a; it is at /boot/boot/a, and by TFTP",
            "WARNING     ipxe/52-54-00-00-00-02.ipxe is not at /boot/ipxe/52-54-00-00-00-02.ipxe by HTTP: that is a machine's own script; it is at /ipxe/52-54-00-00-00-02.ipxe, and by TFTP",
            "WARNING     metrics is not at /metrics by HTTP: that is the counters; it is at /boot/metrics, and by TFTP",
        ];
        let told = format!("\n{}\n", lines.join("\n"));
        let checked = text(world.command(&["--check"]), 0);
        assert!(checked.contains(&told), "{checked}");
        let mut served = world.serve(&[]);
        let banner = served.said_until("iPXE ");
        assert!(banner.contains(&told), "{banner}");
        run(&mut client.command("ip", &["addr", "add", "10.55.0.7/24", "dev", "cli"]));
        let fetch = |url: &str| {
            let arguments = ["-sS", "--max-time", "20", "-w", " %{http_code}", url];
            client.run("curl", &arguments)
        };
        for (path, expected) in [
            ("boot/metrics", "mine 200"),
            (script, "#!ipxe\n 200"),
            ("boot/a", "above 200"),
            ("a", "above 200"),
            ("boot/boot/a", "below 200"),
            ("local-disk", "no such boot file\n 404"),
            ("boot/local-disk", "no such boot file\n 404"),
            ("boot/boot/local-disk", "no such boot file\n 404"),
        ] {
            assert_eq!(
                fetch(&format!("http://10.55.0.1/{path}")),
                expected,
                "{path}"
            );
        }
        let counters = fetch("http://10.55.0.1/metrics");
        assert!(counters.contains("groundstate_"), "{counters}");
        for (name, content) in [
            ("metrics", "mine"),
            ("boot/a", "below"),
            (script, "#!ipxe\n"),
        ] {
            let url = format!("tftp://10.55.0.1/{name}");
            assert_eq!(
                client.run("curl", &["-sSf", "--max-time", "20", &url]),
                content
            );
        }
        served.stop();
    });
}

#[test]
fn beside_another_dhcp_server_nobody_is_promised_an_address() {
    in_two_namespaces(|_| {
        let world = world();
        let said = told(&world, false, "--proxy", 0);
        assert!(!said.contains("an address"), "{said}");
        let system = said.split("operating-system").nth(1).unwrap();
        assert!(system.contains("nothing to boot"), "{said}");
        let checked = text(world.command(&["--proxy", "--check"]), 0);
        let first = checked.lines().next().unwrap();
        assert_eq!(
            first,
            "in order: proxyDHCP on srv, which gives no addresses, 4 files, 0 rules"
        );
        assert!(!checked.contains("an address"), "{checked}");
        let json = text(world.command(&["--proxy", "--check", "--json"]), 0);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["proxy"], &json["addresses"]),
            (&true.into(), &0.into())
        );
    });
}
