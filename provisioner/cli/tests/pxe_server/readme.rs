// SPDX-License-Identifier: Apache-2.0
//! What the README shows of a start is what is printed.

use crate::network::{in_own_network, ip};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

#[test]
fn the_readme_shows_what_a_start_prints() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let (_, shown) = readme.split_once("```\nadmin       ").unwrap();
    let shown = format!("admin       {}", shown.split_once("```").unwrap().0);
    in_own_network(move || {
        ip("link set lo up");
        ip("link add eth1 type veth peer name other");
        ip("addr add 10.0.0.1/24 dev eth1");
        ip("link set eth1 up");
        let dir = tempfile::tempdir().unwrap();
        let (boot, state) = (dir.path().join("boot"), dir.path().join("state"));
        std::fs::create_dir(&boot).unwrap();
        for name in ["snponly.efi", "vmlinuz", "initrd.img"] {
            std::fs::write(boot.join(name), name).unwrap();
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_groundstate"))
            .args(["pxe-server", "--interface", "eth1"])
            .args(["--pool", "10.0.0.100-10.0.0.199", "--boot-dir"])
            .arg(&boot)
            .arg("--state-dir")
            .arg(&state)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let lines = out.lines().map(Result::unwrap);
        let said: Vec<String> = lines.take(shown.lines().count()).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        let said = said.join("\n");
        let said = said
            .replace(boot.to_str().unwrap(), "/srv/boot")
            .replace(state.to_str().unwrap(), "/var/lib/groundstate");
        assert_eq!(said, shown.trim_end());
    });
}
