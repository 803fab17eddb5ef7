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
        "line 4: network.prefix: ",
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

/// The good file with these lines of the policy and of the node.
fn custom(policy: &str, node: &str) -> String {
    GOOD.replacen("[[policy.vhd]]", &format!("{policy}\n[[policy.vhd]]"), 1) + node
}

#[test]
fn what_is_wrong_with_files_of_hosts_is_told_with_its_line() {
    let one = |policy: &str, node: &str| {
        let faults = of_toml(&custom(policy, node)).unwrap_err();
        assert_eq!(faults.len(), 1, "{policy}{node}: {faults:#?}");
        faults.into_iter().next().unwrap_or_default()
    };
    let file = |path: &str, more: &str| format!("[[policy.file]]\npath = {path:?}\n{more}");
    let text = "content = \"a\"";
    for (path, says) in [
        ("etc/motd", "does not begin with /"),
        ("/etc/../motd", "`.` and `..`"),
        ("/proc/self/x", "another file system is there"),
        ("/var/lib/groundstate/seed.json", "groundstate's own"),
        ("/usr/sbin/host-agent", "groundstate's own"),
    ] {
        let said = one(&file(path, text), "");
        assert!(said.starts_with("line 11: policy.file[0].path: "), "{said}");
        assert!(said.contains(says), "{said}");
    }
    for (more, wants) in [
        (
            "",
            "line 10: policy.file[0]: one of content, template and from",
        ),
        (
            "content = \"a\"\ntemplate = \"b\"",
            "line 10: policy.file[0]: one of",
        ),
        (
            "content = \"a\"\nmode = \"rw\"",
            "line 13: policy.file[0].mode: \"rw\" should be",
        ),
        (
            "content = \"a\"\npartition = 0",
            "line 13: policy.file[0].partition: partitions count",
        ),
        (
            "content = \"a\\u202eb\"",
            "line 12: policy.file[0].content: it holds U+202E",
        ),
        (
            "contents = \"a\"",
            "line 12: policy.file[0].contents: there is no such key",
        ),
        (
            "from = \"../x\"",
            "line 12: policy.file[0].from: \"../x\" should be the name",
        ),
        (
            "template = \"a\\n${node.nam}\"",
            "line 12: policy.file[0].template: line 2 of the template: there is no field \"node.nam\"; there are: node.name,",
        ),
    ] {
        let text = custom(&file("/etc/x", more), "");
        let faults = of_toml(&text).unwrap_err();
        assert!(
            faults.iter().any(|said| said.starts_with(wants)),
            "{wants}: {faults:#?}"
        );
    }
    let long = format!("content = \"{}\"", "a".repeat(16_385));
    assert!(one(&file("/etc/x", &long), "").contains("16384 is the most"));
    let twice = file("/etc/x", text) + "\n" + &file("/etc/x", text);
    assert!(one(&twice, "").contains("is taken by policy.file[0]"));
}

#[test]
fn what_a_node_gets_with_its_policys_is_looked_at_together() {
    let policy = r#"
[[policy.file]]
path = "/etc/a"
template = "${node.rack}"
"#;
    let said = of_toml(&custom(policy, "")).unwrap_err();
    assert!(
        said[0].contains("/etc/a fills in ${node.rack}, and node-1 has none"),
        "{said:#?}"
    );
    // Its own beats the policy's, and what it does not have is not asked for.
    let own = "[[node.file]]\npath = \"/etc/a\"\ncontent = \"mine\"\n";
    let site = of_toml(&custom(policy, own)).unwrap();
    assert_eq!(site.nodes[0].files.len(), 1);
    let own = "[[node.file]]\npath = \"/etc/a/b\"\ncontent = \"mine\"\n";
    let said = of_toml(&custom(
        "[[policy.file]]\npath = \"/etc/a\"\ncontent = \"\"",
        own,
    ))
    .unwrap_err();
    assert!(
        said[0].contains("/etc/a is a file, and /etc/a/b needs a folder"),
        "{said:#?}"
    );
    let own = "[[node.credential]]\nname = \"a b\"\nfrom = \"../x\"\n";
    let said = of_toml(&custom("", own)).unwrap_err();
    assert_eq!(said.len(), 2, "{said:#?}");
    let own = "[[node.credential]]\nname = \"t\"\nfrom = \"x\"\n[[node.file]]\npath = \"/etc/credstore/t\"\ncontent = \"\"\n";
    let said = of_toml(&custom("", own)).unwrap_err();
    assert!(
        said[0].contains("/etc/credstore/t is a file and a credential"),
        "{said:#?}"
    );
}

#[test]
fn files_beside_the_site_file_are_read_and_written_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.toml");
    let text = custom(
        "[[policy.file]]\npath = \"/etc/x\"\nfrom = \"files/x.bin\"\n[policy.nocloud]\nuser_data = { from = \"user-data\" }",
        "",
    );
    std::fs::write(&path, &text).unwrap();
    let said = format!("{:#}", read(&path).unwrap_err());
    assert!(said.contains("has 2 faults"), "{said}");
    assert!(said.contains("line 12: policy.file[0].from: "), "{said}");
    std::fs::create_dir(folder.path().join("files")).unwrap();
    std::fs::write(folder.path().join("files/x.bin"), b"\x00\xff").unwrap();
    std::fs::write(folder.path().join("user-data"), b"#cloud-config\n").unwrap();
    let (site, beside) = super::read_all(&path).unwrap();
    assert_eq!(beside.len(), 2);
    let file = &site.policy.files[0];
    assert_eq!(file.sha256, Some(groundstate_api::Digest::of(b"\x00\xff")));
    assert_eq!(file.size, Some(groundstate_api::Bytes(2)));
    // An exported site names what the provisioner has; what lies beside it must be the same.
    let exported = folder.path().join("exported.toml");
    std::fs::write(&exported, toml::to_string_pretty(&site).unwrap()).unwrap();
    assert_eq!(read(&exported).unwrap(), site);
    std::fs::write(folder.path().join("user-data"), b"#cloud-config\nother\n").unwrap();
    let said = format!("{:#}", read(&exported).unwrap_err());
    assert!(said.contains("take sha256 and size out"), "{said}");
    std::fs::remove_file(folder.path().join("user-data")).unwrap();
    assert_eq!(read(&exported).unwrap(), site);
    // Too large for a site.
    std::fs::write(folder.path().join("user-data"), vec![0; (1 << 20) + 1]).unwrap();
    let said = format!("{:#}", read(&path).unwrap_err());
    assert!(said.contains("larger than 1 MiB"), "{said}");
}
