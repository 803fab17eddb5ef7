// SPDX-License-Identifier: Apache-2.0
//! Each fault with its line; all at once.

use super::{of_toml, read};
use std::io::Write as _;

const GOOD: &str = r#"name = "lab"
[network]
address = "10.77.0.1"
prefix = 24
pool_first = "10.77.0.100"
pool_last = "10.77.0.200"
[policy]
image = "debian-host"
hand_over = "kexec"
[[policy.vhd]]
name = "vm"
size = "64MiB"
count = 2
[[node]]
name = "node-1"
mac = "52:54:00:00:00:01"
uuid = "564d1234-5678-9abc-def0-123456789abc"
serial = "GS1"
"#;

fn faults(changes: &[(&str, &str)]) -> Vec<String> {
    let mut text = GOOD.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    of_toml(&text).unwrap_err()
}

#[test]
fn a_good_file_is_read() {
    assert_eq!(of_toml(GOOD).unwrap().nodes.len(), 1);
}

#[test]
fn every_fault_has_its_line_and_none_hides_another() {
    let said = faults(&[
        ("prefix = 24", "prefix = \"24\"\nprefiks = 1"),
        ("64MiB", "64MB"),
        ("52:54:00:00:00:01", "52:54"),
        ("serial = \"GS1\"", "serial = \"\""),
    ]);
    let wants = [
        "line 4: network.prefix: invalid type",
        "line 5: network.prefiks: there is no such key",
        "line 13: policy.vhd[0].size: \"64MB\" should be",
        "line 17: node[0].mac: a MAC address",
        "line 19: node[0].serial: the machine's serial number",
    ];
    assert_eq!(said.len(), wants.len(), "{said:#?}");
    for (said, want) in said.iter().zip(wants) {
        assert!(said.starts_with(want), "{want}: {said}");
    }
}

#[test]
fn what_is_no_toml_does_not_hide_the_rest() {
    let said = faults(&[
        ("hand_over = \"kexec\"", "hand_over = kexec"),
        ("52:54:00:00:00:01", "52:54"),
        ("uuid = ", "uuid == "),
    ]);
    assert!(
        said.iter().any(|fault| fault.starts_with("line 9: ")),
        "{said:#?}"
    );
    assert!(
        said.iter()
            .any(|fault| fault.starts_with("line 16: node[0].mac")),
        "{said:#?}"
    );
    assert!(
        said.iter().any(|fault| fault.starts_with("line 17: ")),
        "{said:#?}"
    );
    assert!(
        !said.iter().any(|fault| fault.contains("should be there")),
        "{said:#?}"
    );
    for text in [
        "",
        "]",
        "[[[",
        "a = ",
        "\"",
        "name = 1979-05-27",
        "name = 1.5",
        "= 3",
    ] {
        assert!(!of_toml(text).unwrap_err().is_empty(), "{text}");
    }
}

#[test]
fn what_is_too_large_or_no_text_is_refused() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"name = \"lab\"\n# \xff\n").unwrap();
    let said = format!("{:#}", read(file.path()).unwrap_err());
    assert!(said.contains("line 2 is not UTF-8"), "{said}");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&vec![b'\n'; (16 << 20) + 1]).unwrap();
    let said = format!("{:#}", read(file.path()).unwrap_err());
    assert!(said.contains("is larger than 16 MiB"), "{said}");
}
