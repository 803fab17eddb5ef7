// SPDX-License-Identifier: Apache-2.0
//! Completion in a real shell, and the manual.

use crate::world::{World, check, groundstate};
use std::process::Command;

#[test]
fn bash_completes_commands_and_names_of_nodes() {
    let world = World::new();
    world.check(&["node", "list"], 0, &["r1-01"]);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_groundstate"));
    let script = r#"
        source <(groundstate completions bash)
        COMP_TYPE=9
        try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _clap_complete_groundstate groundstate "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"; echo "${COMPREPLY[*]}"; }
        try groundstate node expl
        try groundstate node explain r1-0
        try groundstate node wait r1-01 r2-08
        try groundstate brake ""
    "#;
    let path = std::env::var("PATH").unwrap();
    let folder = program.parent().unwrap().display();
    let output = Command::new("bash")
        .args(["--norc", "-c", script])
        .env("PATH", format!("{folder}:{path}"))
        .env("XDG_CACHE_HOME", world.dir.path().join("cache"))
        .output()
        .unwrap();
    let text = check(&output, 0, &[]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0].trim(), "explain");
    assert_eq!(lines[1].split_whitespace().count(), 8, "{text}");
    assert_eq!(lines[2].trim(), "r2-08");
    assert!(
        lines[3].contains("off") && lines[3].contains("show"),
        "{text}"
    );
}

#[test]
fn every_shell_has_its_script() {
    for (shell, word) in [
        ("bash", "complete -o"),
        ("zsh", "#compdef groundstate"),
        ("fish", "complete --"),
    ] {
        let output = groundstate(&["completions", shell]).output().unwrap();
        check(&output, 0, &[word, "GROUNDSTATE_COMPLETE"]);
    }
    check(
        &groundstate(&["completions", "tcsh"]).output().unwrap(),
        2,
        &["bash, zsh, fish"],
    );
}

#[test]
fn the_manual_has_a_page_for_each_command_and_the_exit_status() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("man1");
    let made = groundstate(&["man", "--output"])
        .arg(&folder)
        .output()
        .unwrap();
    check(&made, 0, &[]);
    let page = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let first = page("groundstate.1");
    assert!(
        first.contains("Exit status:") && first.contains("4  the time was over"),
        "{first}"
    );
    assert!(page("groundstate-node-explain.1").contains("what a person can do"));
    assert!(page("groundstate-node-wait.1").contains("Examples:"));
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let checked = Command::new("man")
            .args(["--warnings", "-l"])
            .arg(&path)
            .env("MANPAGER", "cat")
            .output();
        // Where there is no man, what it would say is not known.
        if let Ok(output) = checked {
            assert!(output.status.success(), "{}", path.display());
        }
    }
}

#[test]
fn help_says_how_to_begin() {
    let output = groundstate(&["--help"]).output().unwrap();
    check(
        &output,
        0,
        &[
            "First steps:",
            "groundstate node explain NODE",
            "Exit status:",
            "3  held or refused",
        ],
    );
    for args in [
        ["node", "list", "--help"],
        ["node", "release", "--help"],
        ["node", "history", "--help"],
        ["action", "ls", "--help"],
        ["brake", "on", "--help"],
    ] {
        check(&groundstate(&args).output().unwrap(), 0, &["Example"]);
    }
}
