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
    assert_eq!(document.interface.as_deref(), Some("eth1"));
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
        6: reservation[0]: address is needed
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
