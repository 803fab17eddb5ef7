// SPDX-License-Identifier: Apache-2.0
//! Makes a Debian machine ready: finds out what is missing and installs it where it may, or names it in one line.
//!
//! Installs Debian packages only, from the sources that the machine already has. It changes nothing else on the
//! machine, and it does nothing at all where nothing is missing. Peers of the tests that are servers are unpacked, not installed.

pub(crate) mod apt;
mod needs;
pub(crate) mod python;
mod sources;
pub(crate) mod unpacked;

use crate::command::{self, have};
use crate::progress::{note, step};
use anyhow::{Context as _, Result, bail};
use needs::{NEEDS, Need};
pub(crate) use sources::Source;
use std::path::Path;

/// What the machine says it is (`/etc/os-release`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// `bookworm`.
    pub(crate) codename: String,
    /// `12`.
    pub(crate) version: String,
}

impl Release {
    /// Reads it; anything but Debian is refused, because kernel, firmware and host image are Debian's.
    pub(crate) fn of_this_machine() -> Result<Self> {
        let path = "/etc/os-release";
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let field = |name: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.trim_matches('"').to_owned())
        };
        if field("ID").as_deref() != Some("debian") {
            bail!(
                "this is {}; kernel, firmware and host image are made from Debian's packages: use Debian 12 or newer",
                field("PRETTY_NAME").unwrap_or_else(|| "an unknown system".into())
            );
        }
        Ok(Self {
            codename: field("VERSION_CODENAME")
                .context("/etc/os-release names no VERSION_CODENAME")?,
            // Debian testing has no number yet.
            version: field("VERSION_ID").unwrap_or_else(|| "testing".into()),
        })
    }
}

/// Makes the machine ready, or says in one line what is missing.
pub(crate) fn ensure() -> Result<()> {
    let release = Release::of_this_machine()?;
    let missing = missing();
    if missing.is_empty() {
        note(&format!(
            "set-up: Debian {} has all {} things that are needed",
            release.version,
            NEEDS.len()
        ));
        return Ok(());
    }
    let packages = packages(&missing);
    if !command::is_root() {
        bail!(
            "missing: {}. As root: apt-get install {}",
            list(&missing),
            packages.join(" ")
        );
    }
    note(&format!("missing: {}", list(&missing)));
    step("install Debian packages", || {
        apt::install(&release, &packages)
    })?;
    let still = self::missing();
    if !still.is_empty() {
        bail!(
            "after installing {} there is still no {}",
            packages.join(" "),
            list(&still)
        );
    }
    Ok(())
}

fn missing() -> Vec<&'static Need> {
    NEEDS
        .iter()
        .filter(|need| {
            let found = |place: &str| {
                if place.starts_with('/') {
                    Path::new(place).exists()
                } else {
                    have(place)
                }
            };
            !need.any_of.iter().any(|place| found(place))
        })
        .collect()
}

fn packages(missing: &[&Need]) -> Vec<&'static str> {
    let mut packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn list(missing: &[&Need]) -> String {
    let shown: Vec<String> = missing
        .iter()
        .map(|need| {
            format!(
                "{} ({})",
                need.any_of.first().unwrap_or(&need.package),
                need.why
            )
        })
        .collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_read_and_another_system_is_refused() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        let release = Release::parse(debian).unwrap();
        assert_eq!(
            (release.codename.as_str(), release.version.as_str()),
            ("bookworm", "12")
        );
        let other = Release::parse("ID=fedora\nPRETTY_NAME=\"Fedora Linux\"\n").unwrap_err();
        assert!(
            other.to_string().contains("this is Fedora Linux"),
            "{other}"
        );
        assert!(Release::parse("ID=debian\n").is_err());
    }

    #[test]
    fn the_line_names_the_thing_and_why() {
        let needs = [&NEEDS[0]];
        assert!(list(&needs).contains(NEEDS[0].why));
        assert_eq!(packages(&needs), [NEEDS[0].package]);
    }
}
