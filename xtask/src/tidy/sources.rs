// SPDX-License-Identifier: Apache-2.0
//! The rules for single files and for folders, as pure checks on names and bytes.

use std::collections::BTreeSet;

/// The longest source file, in lines: what a person still reads top-down.
const LINES_MAX: usize = 600;
/// The licence line stands within this many first lines (a script's first line is its interpreter).
const LICENCE_WITHIN: usize = 3;
/// Files of these kinds carry the licence line and have a length limit.
const SOURCE_KINDS: [&str; 9] = [
    "rs", "toml", "sh", "py", "js", "css", "html", "service", "yml",
];
/// A core's root module says this, so that the compiler keeps clocks, sockets, files and threads out of it.
const NO_STD: &str = "#![cfg_attr(not(test), no_std)]";

/// Words that stand in no file of the repository. Each is put together here so that this file does not hold it either.
fn forbidden() -> [(String, &'static str); 9] {
    [
        (["/wor", "k/"].concat(), "a path of one machine"),
        (["deb.debi", "an.org"].concat(), "a mirror's name"),
        (["security.debi", "an.org"].concat(), "a mirror's name"),
        (["index.crat", "es.io"].concat(), "a registry's name"),
        (["static.crat", "es.io"].concat(), "a registry's name"),
        (["pyp", "i.org"].concat(), "a registry's name"),
        (["registry.np", "mjs"].concat(), "a registry's name"),
        (
            ["Co-Author", "ed-By"].concat(),
            "a remark about who wrote it",
        ),
        (["PRIVATE", " KEY-----\nM"].concat(), "a private key"),
    ]
}

/// Macros that mean unfinished or left-over code.
fn unfinished() -> [String; 3] {
    [
        ["to", "do!("].concat(),
        ["unimplemen", "ted!("].concat(),
        ["db", "g!("].concat(),
    ]
}

/// Every breach in one file.
pub(super) fn breaches(name: &str, bytes: &[u8]) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        // A picture or a captured packet: no words to look for.
        return Vec::new();
    };
    let mut breaches = Vec::new();
    let mut breach = |what: String| breaches.push(format!("{name}: {what}"));
    for (word, what) in forbidden() {
        if text.contains(&word) {
            breach(format!("holds {word:?}, {what}"));
        }
    }
    if !is_source(name) {
        return breaches;
    }
    let licensed = text
        .lines()
        .take(LICENCE_WITHIN)
        .any(|line| line.contains("SPDX-License-Identifier: Apache-2.0"));
    if !licensed && !text.is_empty() {
        breach("has no SPDX licence line at its top".into());
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        breach(format!(
            "has {lines} lines, at most {LINES_MAX} are allowed"
        ));
    }
    if name.ends_with(".rs") {
        for left_over in unfinished() {
            if text.contains(&left_over) {
                breach(format!("holds {left_over}…)"));
            }
        }
    }
    if name.ends_with("/core/src/lib.rs") && !text.contains(NO_STD) {
        breach(format!("is a core without {NO_STD}"));
    }
    breaches
}

/// Each crate's folder and each top-level folder has a README.md.
pub(super) fn missing_readmes(files: &[String]) -> Vec<String> {
    let present: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    let mut folders = BTreeSet::from([""]);
    for file in files {
        if let Some((folder, _)) = file.split_once('/') {
            folders.insert(folder);
        }
        if let Some((folder, "Cargo.toml")) = file.rsplit_once('/') {
            folders.insert(folder);
        }
    }
    folders
        .into_iter()
        .filter(|folder| !folder.starts_with('.'))
        .map(|folder| {
            format!("{folder}/README.md")
                .trim_start_matches('/')
                .to_owned()
        })
        .filter(|readme| !present.contains(readme.as_str()))
        .map(|readme| format!("{readme}: is missing (Purpose, Navigating, Try it)"))
        .collect()
}

fn is_source(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, kind)| SOURCE_KINDS.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(name: &str, text: &str, expected: Expect) {
        expected.assert_eq(&breaches(name, text.as_bytes()).join("\n"));
    }

    const SPDX: &str = "// SPDX-License-Identifier: Apache-2.0\n";

    #[test]
    fn each_rule_finds_its_breach() {
        check("a/src/x.rs", &format!("{SPDX}fn f() {{}}\n"), expect![""]);
        check(
            "a/src/x.rs",
            "fn f() {}\n",
            expect!["a/src/x.rs: has no SPDX licence line at its top"],
        );
        check(
            "a/src/x.rs",
            &(SPDX.to_owned() + &"\n".repeat(600)),
            expect!["a/src/x.rs: has 601 lines, at most 600 are allowed"],
        );
        check(
            "a/core/src/lib.rs",
            SPDX,
            expect!["a/core/src/lib.rs: is a core without #![cfg_attr(not(test), no_std)]"],
        );
        check("notes.md", "plain words", expect![""]);
        assert_eq!(breaches("x.png", &[0xFF, 0xFE]), [] as [String; 0]);
    }

    #[test]
    fn each_forbidden_word_is_found_in_any_file() {
        for (word, _) in forbidden() {
            assert_eq!(breaches("notes.md", word.as_bytes()).len(), 1, "{word}");
        }
        for left_over in unfinished() {
            let text = format!("{SPDX}{left_over})");
            assert_eq!(breaches("x.rs", text.as_bytes()).len(), 1, "{left_over}");
        }
    }

    #[test]
    fn each_folder_with_a_crate_needs_a_readme() {
        let files = [
            "README.md",
            "a/Cargo.toml",
            "a/core/Cargo.toml",
            "a/README.md",
            ".ci/run",
        ];
        let files = files.map(str::to_owned);
        expect!["a/core/README.md: is missing (Purpose, Navigating, Try it)"]
            .assert_eq(&missing_readmes(&files).join("\n"));
    }
}
