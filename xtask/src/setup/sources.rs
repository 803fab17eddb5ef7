// SPDX-License-Identifier: Apache-2.0
//! The machine's own package sources, read from `/etc/apt` and written again for another suite.
//!
//! No mirror is named here: what is not in the machine's own configuration is not used. Reads deb822 `.sources` files
//! and classic `.list` lines (sources.list(5)).

use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;

/// One binary package source: addresses, suites, and how its signatures are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    /// Every other field that says how to reach or trust it (`Signed-By`, `Trusted`, …), deb822 spelling.
    fields: Vec<(String, String)>,
}

impl Source {
    /// The machine's enabled binary sources.
    pub(crate) fn of_this_machine() -> Result<Vec<Self>> {
        let mut sources = Vec::new();
        let mut files = vec![Path::new("/etc/apt/sources.list").to_path_buf()];
        if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
            files.extend(folder.filter_map(|entry| Some(entry.ok()?.path())));
        }
        files.sort();
        for file in files {
            let kind = file.extension().and_then(|kind| kind.to_str());
            let text = match kind {
                Some("list" | "sources") if file.is_file() => fs::read_to_string(&file)
                    .with_context(|| format!("cannot read {}", file.display()))?,
                _ => continue,
            };
            sources.extend(if kind == Some("sources") {
                deb822(&text)
            } else {
                one_line(&text)
            });
        }
        Ok(sources)
    }

    /// Of `sources`, those of Debian's release `codename` in the named forms of its suite (`""`, `"-updates"`, …),
    /// with the component `main` only, as one deb822 text.
    pub(crate) fn render(sources: &[Self], codename: &str, forms: &[&str]) -> Result<String> {
        let wanted: Vec<String> = forms
            .iter()
            .map(|form| format!("{codename}{form}"))
            .collect();
        let kept: Vec<String> = sources
            .iter()
            .filter_map(|source| {
                let mut source = source.clone();
                source.suites.retain(|suite| wanted.contains(suite));
                (!source.suites.is_empty() && source.components.iter().any(|c| c == "main"))
                    .then(|| source.stanza())
            })
            .collect();
        if kept.is_empty() {
            bail!("/etc/apt names no source for Debian {codename} with component main");
        }
        Ok(kept.join("\n"))
    }

    /// The same archives with the suite `<codename>-backports`, as one deb822 text.
    pub(crate) fn render_backports(sources: &[Self], codename: &str) -> Result<String> {
        let mut moved: Vec<Self> = sources.to_vec();
        moved.retain(|source| source.suites.iter().any(|suite| suite == codename));
        for source in &mut moved {
            source.suites = vec![format!("{codename}-backports")];
        }
        Self::render(&moved, codename, &["-backports"])
    }

    fn stanza(&self) -> String {
        let mut text = format!(
            "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\n",
            self.uris.join(" "),
            self.suites.join(" ")
        );
        for (name, value) in &self.fields {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text
    }
}

/// Reads deb822 stanzas. Continuation lines (an inline key) stay part of their field.
fn deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(from_fields(std::mem::take(&mut fields)));
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    sources
}

fn from_fields(fields: Vec<(String, String)>) -> Option<Source> {
    let words = |name: &str| -> Vec<String> {
        fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .flat_map(|(_, value)| value.split_whitespace().map(str::to_owned))
            .collect()
    };
    let disabled = words("Enabled").iter().any(|value| value == "no");
    if disabled || !words("Types").iter().any(|kind| kind == "deb") {
        return None;
    }
    let known = ["types", "uris", "suites", "components", "enabled"];
    Some(Source {
        uris: words("URIs"),
        suites: words("Suites"),
        components: words("Components"),
        fields: fields
            .iter()
            .filter(|(name, _)| !known.contains(&name.to_ascii_lowercase().as_str()))
            .cloned()
            .collect(),
    })
}

/// Reads `deb [option=value …] URI suite component …` lines.
fn one_line(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            let rest = line.trim().strip_prefix("deb")?;
            let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
            let (options, rest) = match rest.strip_prefix('[') {
                Some(rest) => rest.split_once(']')?,
                None => ("", rest),
            };
            let mut words = rest.split_whitespace().map(str::to_owned);
            Some(Source {
                uris: vec![words.next()?],
                suites: vec![words.next()?],
                components: words.collect(),
                fields: options.split_whitespace().filter_map(option).collect(),
            })
        })
        .collect()
}

/// `signed-by=/a,/b` is `Signed-By: /a /b` in deb822.
fn option(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let name = match name.to_ascii_lowercase().as_str() {
        "signed-by" => "Signed-By".to_owned(),
        "arch" => "Architectures".to_owned(),
        other => other.to_owned(),
    };
    Some((name, value.replace(',', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const DEB822: &str = "Types: deb deb-src\n# a remark\nURIs: http://a.example/debian\nSuites: bookworm bookworm-updates\nComponents: main contrib\nSigned-By:\n -----BEGIN KEY-----\n .\n -----END KEY-----\n\nTypes: deb\nURIs: http://b.example/x\nSuites: nodistro\nComponents: main\n\nEnabled: no\nTypes: deb\nURIs: http://c.example/debian\nSuites: bookworm\nComponents: main\n";
    const LIST: &str = "# deb http://z.example/debian bookworm main\ndeb-src http://a.example/debian bookworm main\ndeb [arch=amd64 signed-by=/k/a.gpg] http://a.example/debian bookworm main non-free # tail\ndeb http://s.example/debian-security bookworm-security main\n";

    #[test]
    fn the_hosts_sources_are_debians_own_with_main_only() {
        let mut sources = deb822(DEB822);
        sources.extend(one_line(LIST));
        let text = Source::render(&sources, "bookworm", &["", "-updates", "-security"]).unwrap();
        expect![[r#"
            Types: deb
            URIs: http://a.example/debian
            Suites: bookworm bookworm-updates
            Components: main
            Signed-By: 
             -----BEGIN KEY-----
             .
             -----END KEY-----

            Types: deb
            URIs: http://a.example/debian
            Suites: bookworm
            Components: main
            Architectures: amd64
            Signed-By: /k/a.gpg

            Types: deb
            URIs: http://s.example/debian-security
            Suites: bookworm-security
            Components: main
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn backports_are_the_same_archive_under_another_suite() {
        let text = Source::render_backports(&one_line(LIST), "bookworm").unwrap();
        expect![[r#"
            Types: deb
            URIs: http://a.example/debian
            Suites: bookworm-backports
            Components: main
            Architectures: amd64
            Signed-By: /k/a.gpg
        "#]]
        .assert_eq(&text);
        assert!(Source::render(&[], "bookworm", &[""]).is_err());
    }
}
