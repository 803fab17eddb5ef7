// SPDX-License-Identifier: Apache-2.0
//! Installs and fetches Debian packages through apt.
//!
//! Leaves `/etc/apt` as it is: the one temporary source (backports for QEMU) lives in a folder of its own that apt is
//! pointed to, so even a power cut leaves nothing behind in the machine's configuration.

use super::{Release, Source};
use crate::command::{command, run, text};
use crate::progress::note;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What we install QEMU for; in the backports case it must match the installed `qemu-utils`.
const QEMU: &str = "qemu-system-x86";

/// Fetches the package lists once, then installs `packages` without recommendations.
pub(super) fn install(release: &Release, packages: &[&str]) -> Result<()> {
    run(apt_get().arg("update")).context("cannot fetch Debian's package lists")?;
    let (qemu, others): (Vec<&str>, Vec<&str>) = packages.iter().partition(|name| **name == QEMU);
    let from_backports = !qemu.is_empty() && installed_from_backports("qemu-utils")?;
    if from_backports {
        note("qemu-utils is from backports: so is qemu-system-x86 then");
        if !others.is_empty() {
            plain(&others)?;
        }
        return backports(release, &qemu);
    }
    plain(packages)
}

fn plain(packages: &[&str]) -> Result<()> {
    run(apt_get()
        .args(["install", "--no-install-recommends"])
        .args(packages))
}

/// Installs from `<codename>-backports` of the machine's own archive.
fn backports(release: &Release, packages: &[&str]) -> Result<()> {
    let source = Source::render_backports(&Source::of_this_machine()?, &release.codename)?;
    let parts = TemporaryParts::new(&source)?;
    let point = format!("Dir::Etc::sourceparts={}", parts.0.display());
    run(apt_get().args(["-o", &point, "update"]))
        .context("cannot fetch the package lists of backports")?;
    let suite = format!("{}-backports", release.codename);
    run(apt_get()
        .args([
            "-o",
            &point,
            "install",
            "--no-install-recommends",
            "-t",
            &suite,
        ])
        .args(packages))
}

/// A copy of `/etc/apt/sources.list.d` with one more source, removed at the end.
struct TemporaryParts(PathBuf);

impl TemporaryParts {
    fn new(source: &str) -> Result<Self> {
        let parts =
            Self(std::env::temp_dir().join(format!("groundstate-apt-{}", std::process::id())));
        fs::create_dir(&parts.0).with_context(|| format!("cannot make {}", parts.0.display()))?;
        if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
            for entry in folder {
                let entry = entry?;
                if entry.path().is_file() {
                    fs::copy(entry.path(), parts.0.join(entry.file_name()))?;
                }
            }
        }
        fs::write(parts.0.join("groundstate-backports.sources"), source)?;
        Ok(parts)
    }
}

impl Drop for TemporaryParts {
    fn drop(&mut self) {
        // A leftover in the temporary folder is read by nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a package is installed in a version from backports.
fn installed_from_backports(package: &str) -> Result<bool> {
    let table = text(&mut command(
        "dpkg-query",
        ["-W", "-f", "${Package} ${db:Status-Abbrev} ${Version}\n"],
    ))?;
    Ok(table.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(package)
            && words.next() == Some("ii")
            && words.next().is_some_and(|version| version.contains("~bpo"))
    }))
}

/// The newest version of `package` that the machine's sources offer, and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    /// Version.
    pub(crate) version: String,
    /// Names of the packages that it depends on.
    pub(crate) depends: Vec<String>,
}

/// Asks apt for the candidate of `package`; as root it fetches the package lists once where there are none.
pub(crate) fn offered(package: &str) -> Result<Offered> {
    let show = || {
        text(&mut command(
            "apt-cache",
            ["show", "--no-all-versions", package],
        ))
    };
    let shown = match show() {
        Ok(shown) => shown,
        Err(_) if crate::command::is_root() => {
            run(apt_get().arg("update")).context("cannot fetch Debian's package lists")?;
            show()?
        }
        Err(_) => bail!("apt knows no {package}: as root, run apt-get update"),
    };
    parse_offered(&shown).with_context(|| format!("apt-cache shows no version of {package}"))
}

fn parse_offered(shown: &str) -> Option<Offered> {
    let field = |name: &str| shown.lines().find_map(|line| line.strip_prefix(name));
    let depends = field("Depends: ").unwrap_or_default();
    Some(Offered {
        version: field("Version: ")?.trim().to_owned(),
        depends: depends
            .split(',')
            .filter_map(|one| one.split_whitespace().next())
            .map(str::to_owned)
            .collect(),
    })
}

/// Fetches `package=version` into `folder` without installing it, and returns the file. Needs no root.
pub(crate) fn download(package: &str, version: &str, folder: &Path) -> Result<PathBuf> {
    let what = format!("{package}={version}");
    run(apt_get()
        .args(["-o", "APT::Sandbox::User=root", "download", &what])
        .current_dir(folder))?;
    let mut files = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    files
        .find(|path| path.extension().is_some_and(|kind| kind == "deb"))
        .with_context(|| format!("apt-get download {what} left no file"))
}

fn apt_get() -> Command {
    let mut apt = command("apt-get", ["-q", "-y", "-o", "Acquire::Retries=3"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versioned_kernel_is_found() {
        let shown = "Package: linux-image-amd64\nVersion: 6.1.192-2\nDepends: linux-image-6.1.0-56-amd64 (= 6.1.192-2), foo | bar\n";
        let offered = parse_offered(shown).unwrap();
        assert_eq!(offered.version, "6.1.192-2");
        assert_eq!(offered.depends, ["linux-image-6.1.0-56-amd64", "foo"]);
        assert_eq!(parse_offered("N: No packages found\n"), None);
    }
}
