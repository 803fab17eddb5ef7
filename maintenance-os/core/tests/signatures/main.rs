// SPDX-License-Identifier: Apache-2.0
//! Everything that blkid names is named by us, with the same name; and no bytes make recognition panic or read on.

mod foreign;
mod hostile;

use foreign::command;
use mos_core::signature::{Recognised, Window, is_same_name, recognise};
use std::fs;
use std::path::Path;

/// What we find on a disk of these bytes.
fn of(bytes: &[u8]) -> Vec<Recognised> {
    let mut read = |at: u64, length: usize| {
        let at = usize::try_from(at).expect("an offset in memory");
        Ok::<_, ()>(bytes[at..at + length].to_vec())
    };
    recognise(&mut Window::new(bytes.len() as u64, 512, &mut read)).expect("memory is read")
}

/// The names that blkid gives to a file: its `TYPE` and its `PTTYPE`. None where it sees nothing or more than one.
fn blkid(path: &Path) -> Vec<String> {
    let output = command("blkid")
        .args(["-p", "-o", "export"])
        .arg(path)
        .output()
        .expect("blkid runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| matches!(*key, "TYPE" | "PTTYPE"))
        .map(|(_, value)| value.to_owned())
        .collect()
}

/// blkid takes the boot sector of exFAT for a DOS table as well (util-linux mended it in 2.39); we do not.
fn is_a_mistake(named: &[String], one: &str) -> bool {
    one == "dos" && named.iter().any(|name| name == "exfat")
}

#[test]
fn what_blkid_names_is_named_the_same() {
    let dir = tempfile::tempdir().expect("a folder");
    let all = foreign::all(dir.path());
    let mut missed = Vec::new();
    println!("| content | ours | blkid |");
    for one in &all {
        let found = of(&fs::read(&one.path).expect("a file is read"));
        let ours: Vec<&str> = found.iter().map(|one| one.what.as_str()).collect();
        let named = blkid(&one.path);
        println!(
            "| {} | {} | {} |",
            one.origin,
            ours.join(", "),
            named.join(", ")
        );
        let mut wanted: Vec<&str> = named.iter().map(String::as_str).collect();
        wanted.retain(|name| !is_a_mistake(&named, name));
        let has = |name: &&str| ours.iter().any(|ours| is_same_name(ours, name));
        let missing: Vec<&&str> = wanted.iter().filter(|name| !has(name)).collect();
        let as_expected = one.expected.is_none_or(|name| ours.contains(&name));
        let says_more_than_unknown =
            named.is_empty() || ours.iter().any(|name| *name != "unknown data");
        if found.is_empty() || !missing.is_empty() || !as_expected || !says_more_than_unknown {
            missed.push(format!(
                "{}: ours {ours:?}, blkid {named:?}, expected {:?}",
                one.origin, one.expected
            ));
        }
    }
    println!("{} contents", all.len());
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(all.len() >= 90, "only {} contents", all.len());
}

#[test]
fn a_blank_disk_is_nothing() {
    assert_eq!(of(&vec![0; 8 << 20]), []);
    assert_eq!(of(&vec![0xff; 8 << 20]), []);
    assert_eq!(of(&[]), []);
}
