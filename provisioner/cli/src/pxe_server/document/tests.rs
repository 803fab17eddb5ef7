// SPDX-License-Identifier: Apache-2.0
//! A file with everything in it, and files with every fault.

use super::*;

const WHOLE: &str = include_str!("../../../../../packaging/pxe.toml.example");

fn faults(text: &str) -> String {
    let all = Document::read(text).unwrap_err();
    let lines: Vec<_> = all
        .iter()
        .map(|f| format!("{}: {}", f.line, f.what))
        .collect();
    lines.join("\n")
}

#[test]
fn the_example_has_everything_and_is_read() {
    // What is commented out there is meant to be taken as it stands.
    let whole: String = WHOLE
        .lines()
        .map(|line| line.strip_prefix("#!").unwrap_or(line).to_owned() + "\n")
        .collect();
    let document = Document::read(&whole).unwrap();
    assert_eq!(
        document.interface.map(|at| at.value).as_deref(),
        Some("eth1")
    );
    assert_eq!(document.own.pools.len(), 1);
    assert_eq!(document.subnets.len(), 1);
    assert_eq!(document.reservations.len(), 3);
    assert!(document.rules.len() >= 3 && document.files.len() >= 2);
    assert!(document.tls.is_some() && document.capture.is_some());
    Document::read(WHOLE).unwrap();
}

#[test]
fn every_fault_is_told_at_once_with_its_line() {
    expect_test::expect![[r#"
        1: interfaec: there is no such key; interface is probably meant
        2: pools[1]: "10.0.0.9-10.0.0.5": 10.0.0.5 lies before 10.0.0.9
        3: router: should be a text in quotation marks, and is of type integer
        4: mtu: should be a whole number from 68 to 65535
        5: routes: "10.9.0.0": a route is written 10.9.0.0/16 via 10.0.0.254
        6: reservation[0]: exactly one of mac, uuid and relay_circuit says whose it is
        7: reservation[0].address: "10.0.0": invalid IPv4 address syntax
        8: reservation[0].hostname: there is no such key; host_name is probably meant
        10: machine[0].boot: "rescue": there is no recipe of this name; and there are files, local-disk, exit, sanboot, no-answer, nothing and refuse
        12: boot.bois: there is no such key; bios is probably meant"#]]
    .assert_eq(&faults(
        r#"interfaec = "eth1"
pools = ["10.0.0.1-10.0.0.5", "10.0.0.9-10.0.0.5"]
router = 5
mtu = 20
routes = "10.9.0.0"
[[reservation]]
address = "10.0.0"
hostname = "x"
[[machine]]
boot = "rescue"
[boot]
bois = "x"
"#,
    ));
}

#[test]
fn what_follows_from_a_fault_is_no_other_fault() {
    for text in [
        "[[reservation]]\nmac = \"52:54\"\naddress = \"10.0.0.9\"",
        "[[subnet]]\nnetwork = \"10.0.0\"",
        "[tls]\ncertificate = \"\"\nkey = \"k\"",
        "[capture]\nfolder = 5",
        "[[recipe]]\nname = \"\"\nfile = \"f\"",
        "[[recipe]]\nname = \"x\"\nkernel = 5",
        "[[machine]]\nboot = 5",
        "[[dhcp6.reservation]]\nduid = \"0x1\"\naddress = \"fd77::7\"",
    ] {
        let said = faults(text);
        assert_eq!(said.lines().count(), 1, "{text}: {said}");
    }
    let said = faults("[[machine]]\nboots = \"files\"\ncolour = 1\n");
    assert_eq!(said.matches("drive, boot").count(), 1, "{said}");
    assert!(!said.contains("boot, boot"), "{said}");
}

#[test]
fn syntax_is_told_with_its_line() {
    let said = faults("interface = \"eth1\"\npools = [\nrouter = = 3\n");
    assert!(said.contains("3: "), "{said}");
}

#[test]
fn recipes_are_checked_where_they_are_written() {
    for (recipe, says) in [
        ("name = \"x\"", "exactly one of file, kernel and script"),
        (
            "name = \"x\"\nkernel = \"k\"\nfile = \"f\"",
            "exactly one of",
        ),
        ("name = \"x\"\nkernel = \"k ${net0}\"", "a script can name"),
        (
            "name = \"x\"\nkernel = \"k\"\ncommand_line = \"a;b\"",
            "';'",
        ),
        (
            "name = \"x\"\nkernel = \"k\"\ninitrd = [\"a/i\", \"b/i\"]",
            "end in \"i\"",
        ),
        ("kernel = \"k\"", "name is needed"),
    ] {
        let said = faults(&format!("[[recipe]]\n{recipe}\n"));
        assert!(said.contains(says), "{recipe}: {said}");
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn each_fault_is_told_by_itself_with_its_field_and_what_is_wanted() {
    let two = "[[recipe]]\nname = \"x\"\nfile = \"f\"\n";
    let two = format!("{two}{two}");
    let mac = "mac = \"52:54:00:00:00:01\"";
    let uuid = "uuid = \"564d1234-5678-9abc-def0-123456789abc\"";
    let address = "address = \"10.0.0.9\"";
    let both = format!("[[reservation]]\n{mac}\n{uuid}\n{address}\n");
    let circuit = |text: &str| format!("[[reservation]]\nrelay_circuit = {text:?}\n{address}\n");
    let machine = |text: &str| format!("[[machine]]\n{text}\n");
    for (text, says) in [
        ("interface = \"\"", "interface: \"\": it is empty"),
        ("probe = 1", "probe: should be true or false"),
        (
            "http_port = 0",
            "http_port: should be a whole number from 1 to 65535",
        ),
        (
            "lease_secs = 59",
            "lease_secs: should be a whole number from 60 to 31536000",
        ),
        (
            "pools = \"10.0.0.1\"",
            "a pool is written 10.0.0.100-10.0.0.199",
        ),
        ("subnet = 3", "subnet: should be a list: [[subnet]]"),
        (
            "[[subnet]]\ndomain = \"x\"",
            "subnet[0]: network is needed, for example \"10.0.0.0/24\"",
        ),
        (
            "[[subnet]]\nnetwork = \"10.0.0.0\"",
            "a network is written 10.0.0.0/24",
        ),
        (
            "[[subnet]]\nnetwork = \"10.0.0.0/33\"",
            "a network is written 10.0.0.0/24",
        ),
        (
            "[tls]\ncertificate = \"x\"",
            "tls: certificate and key are needed, each the path of a PEM file",
        ),
        (
            "[tls]\nport = 0",
            "tls.port: should be a whole number from 1 to 65535",
        ),
        ("[capture]\nonly = []", "capture: folder is needed"),
        (
            "[capture]\nfolder = \"x\"\nonly = \"y\"",
            "capture.only: \"y\": ",
        ),
        (
            both.as_str(),
            "exactly one of mac, uuid and relay_circuit says whose it is",
        ),
        (
            circuit("0x123").as_str(),
            "after 0x there must be pairs of hexadecimal digits",
        ),
        (circuit("").as_str(), "relay_circuit: \"\": it is empty"),
        (
            machine(mac).as_str(),
            "machine[0]: boot is needed: files, a recipe's name",
        ),
        (
            machine("mac_prefix = \"5\"\nboot = \"files\"").as_str(),
            "the beginning of a MAC address is written 52:54:00",
        ),
        (
            machine("firmware = \"amiga\"\nboot = \"files\"").as_str(),
            "\"amiga\" is no firmware",
        ),
        (
            machine("drive = 256\nboot = \"sanboot\"").as_str(),
            "machine[0].drive: should be a whole number from 0 to 255",
        ),
        (two.as_str(), "two recipes have the name \"x\""),
        (
            "[boot]\nbios = \"\"",
            "boot.bios: \"\": this is no name of a boot file",
        ),
        (
            "[boot]\ncommand_line = \"a;b\"",
            "boot.command_line: \"a;b\": ",
        ),
        ("dhcp6 = 3", "dhcp6: should be a table"),
        (
            "[dhcp6]\npreference = 256",
            "dhcp6.preference: should be a whole number from 0 to 255",
        ),
        (
            "[dhcp6]\nlease_secs = 299",
            "dhcp6.lease_secs: should be a whole number from 300 to 604800",
        ),
        (
            "[[dhcp6.subnet]]\npool = \"fd77::1\"",
            "a pool of IPv6 is written fd77::100-fd77::1ff",
        ),
        (
            "[[dhcp6.subnet]]\npool = \"fd77::1-fd77::2\"",
            "network is needed, for example \"fd77::/64\"",
        ),
        (
            "[[dhcp6.reservation]]\nduid = \"x\"",
            "dhcp6.reservation[0]: address is needed",
        ),
    ] {
        let said = faults(text);
        assert!(said.contains(says), "{text}: {said}");
    }
}

#[test]
fn dhcpv6_is_a_flag_or_a_table() {
    use pxe_core::dhcp6::{Dhcp6Config, Who6};
    let own = || Dhcp6Config::of_interface(&[("fd77::1".parse().unwrap(), 64)], 80).unwrap();
    let of = |text: &str| {
        let document = Document::read(text).unwrap();
        document.dhcp6.map(|six| six.over(own()))
    };
    assert_eq!(of("dhcp6 = false"), None);
    let flag = of("dhcp6 = true").unwrap();
    assert!(flag.nameless && flag.subnets == own().subnets);
    let table = of(r#"
        [dhcp6]
        dns = "fd77::53"
        lease_secs = 600
        strangers = false
        [[dhcp6.subnet]]
        network = "fd77::/64"
        pool = "fd77::100-fd77::1ff"
        [[dhcp6.subnet]]
        network = "fd78::/64"
        [[dhcp6.reservation]]
        mac = "52:54:00:12:34:56"
        address = "fd77::7"
        [[dhcp6.reservation]]
        duid = "0x00010203"
        address = "fd77::8"
    "#)
    .unwrap();
    assert_eq!(table.subnets.len(), 2);
    assert!(table.subnets[0].in_pool("fd77::1ff".parse().unwrap()));
    assert!(!table.subnets[0].in_pool("fd77::200".parse().unwrap()));
    assert_eq!((table.lease_secs, table.nameless), (600, false));
    assert_eq!(table.reservations[1].who, Who6::Duid(vec![0, 1, 2, 3]));
    let faults = Document::read(
        "[dhcp6]\nlease_sec = 1\n[[dhcp6.subnet]]\nnetwork = \"fd77::/48\"\n[[dhcp6.reservation]]\naddress = \"fd77::9\"\n",
    )
    .unwrap_err();
    let said: Vec<_> = faults.iter().map(|fault| fault.what.as_str()).collect();
    assert!(
        said.iter()
            .any(|what| what.contains("lease_secs is probably meant")),
        "{said:?}"
    );
    assert!(
        said.iter().any(|what| what.contains("has the length 64")),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|what| what.contains("exactly one of mac, uuid and duid")),
        "{said:?}"
    );
}
