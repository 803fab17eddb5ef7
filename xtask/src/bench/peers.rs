// SPDX-License-Identifier: Apache-2.0
//! The servers that a bench compares us with, as Debian packages that are unpacked and never installed.
//!
//! Installing a server would start it, now or at the next boot, on a machine that was only to be measured. So apt fetches
//! each package with what it needs and the machine lacks, and `dpkg-deb` unpacks them below `target/groundstate/`: no
//! service, no user, no file outside. What the machine has already is used from there.

use crate::command::{command, have, run};
use crate::layout::Layout;
use crate::progress::{note, step};
use anyhow::{Context as _, Result};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian puts programs.
const PROGRAMS: [&str; 4] = ["usr/sbin", "usr/bin", "sbin", "bin"];
/// Where Debian puts libraries of this processor.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];

/// Where Debian puts modules of Python.
const MODULES: [&str; 1] = ["usr/lib/python3/dist-packages"];

/// A peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// The program.
    pub(crate) program: &'static str,
    /// The Debian package that has it.
    pub(crate) package: &'static str,
}

impl Peer {
    /// This program of this package.
    pub(crate) const fn new(program: &'static str, package: &'static str) -> Self {
        Self { program, package }
    }
}

/// A peer that is a crate of the same name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crate {
    /// The program.
    pub(crate) program: &'static str,
    /// The version.
    pub(super) version: &'static str,
}

/// The unpacked peers.
#[derive(Debug)]
pub(crate) struct Peers {
    /// One folder for each package: two of them bring a program of the same name.
    roots: Vec<PathBuf>,
}

impl Peers {
    /// Makes the peers ready. One that cannot be had is named, and what needs it will be short.
    pub(crate) fn fetch(layout: &Layout, wanted: &[Peer]) -> Result<Self> {
        let folder = layout.made("peers");
        let mut peers = Self { roots: Vec::new() };
        for peer in wanted {
            let root = folder.join("root").join(peer.package);
            if has(&root, peer.program) {
                peers.roots.push(root);
                continue;
            }
            if have(peer.program) {
                continue;
            }
            let fetched = step(&format!("fetch {}", peer.package), || {
                fetch_one(&folder, &root, peer)
            });
            peers.roots.push(root);
            if let Err(error) = fetched {
                note(&format!(
                    "no {}: {error:#}; what needs it will be short",
                    peer.program
                ));
            }
        }
        Ok(peers)
    }

    /// Builds the peers that are crates, with the locked dependencies of each. One that cannot be had is named.
    pub(super) fn with_crates(mut self, layout: &Layout, wanted: &[Crate]) -> Self {
        for peer in wanted {
            let root = layout.made("peers").join("root").join(peer.program);
            if has(&root, peer.program) {
                self.roots.push(root);
                continue;
            }
            if have(peer.program) {
                continue;
            }
            let built = step(&format!("build the crate {}", peer.program), || {
                let mut cargo = command(
                    crate::product::program(),
                    ["install", "--locked", "--quiet"],
                );
                cargo
                    .args(["--version", peer.version, peer.program, "--root"])
                    .arg(root.join("usr"))
                    .env("CARGO_TARGET_DIR", layout.made("peers").join("build"));
                run(&mut cargo)
            });
            self.roots.push(root);
            if let Err(error) = built {
                note(&format!(
                    "no {}: {error:#}; what needs it will be short",
                    peer.program
                ));
            }
        }
        self
    }

    /// The environment in which the peers are found: PATH, and the libraries and modules that the machine lacks.
    pub(crate) fn environment(&self) -> Result<[(&'static str, OsString); 3]> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
        // What the machine has goes first, so that a peer of its own is not shadowed.
        let programs = std::env::split_paths(&path)
            .chain(system)
            .chain(self.below(&PROGRAMS));
        let given = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let libraries = std::env::split_paths(&given)
            .filter(|path| !path.as_os_str().is_empty())
            .chain(self.below(&LIBRARIES));
        Ok([
            ("PATH", std::env::join_paths(programs)?),
            ("LD_LIBRARY_PATH", std::env::join_paths(libraries)?),
            ("PYTHONPATH", std::env::join_paths(self.below(&MODULES))?),
        ])
    }
}

impl Peers {
    /// These folders of each package, in the packages' order.
    fn below(&self, folders: &[&str]) -> Vec<PathBuf> {
        let of = |root: &PathBuf| {
            folders
                .iter()
                .map(|folder| root.join(folder))
                .collect::<Vec<_>>()
        };
        self.roots.iter().flat_map(of).collect()
    }
}

fn has(root: &Path, program: &str) -> bool {
    PROGRAMS
        .iter()
        .any(|folder| root.join(folder).join(program).is_file())
}

fn fetch_one(folder: &Path, root: &Path, peer: &Peer) -> Result<()> {
    let archives = folder.join(peer.package);
    // apt refuses a folder without this one.
    fs::create_dir_all(archives.join("partial"))?;
    fs::create_dir_all(root)?;
    let download = || run(&mut download(&archives, peer.package));
    // The lists may be older than the archive, or not there at all.
    if download().is_err() {
        if crate::command::is_root() {
            run(&mut command("apt-get", ["-q", "-y", "update"]))
                .context("cannot fetch Debian's package lists")?;
        }
        download()?;
    }
    for entry in fs::read_dir(&archives)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "deb") {
            run(command("dpkg-deb", ["-x"]).arg(&path).arg(root))?;
        }
    }
    fs::remove_dir_all(&archives)?;
    anyhow::ensure!(
        has(root, peer.program),
        "the package {} has no {}",
        peer.package,
        peer.program
    );
    Ok(())
}

/// Fetches a package and what it needs, changing nothing: apt needs no lock for that, and so no root.
fn download(archives: &Path, package: &str) -> Command {
    let mut apt = command("apt-get", ["-q", "-y", "-o", "Debug::NoLocking=1"]);
    apt.arg("-o")
        .arg(format!("Dir::Cache::archives={}", archives.display()))
        .args(["-o", "Acquire::Retries=3", "-o", "APT::Sandbox::User=root"])
        .args(["install", "--download-only", "--no-install-recommends"])
        .arg(package)
        .env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_unpacked_is_found_behind_what_the_machine_has() {
        let folder = tempfile::tempdir().unwrap();
        let peers = Peers {
            roots: vec![folder.path().to_path_buf(), "/nowhere".into()],
        };
        assert!(!has(folder.path(), "no-such-program"));
        fs::create_dir_all(folder.path().join("usr/sbin")).unwrap();
        fs::write(folder.path().join("usr/sbin/no-such-program"), b"x").unwrap();
        assert!(has(folder.path(), "no-such-program"));
        let [(_, path), (_, libraries), _] = peers.environment().unwrap();
        let folders: Vec<_> = std::env::split_paths(&path).collect();
        let at = |wanted: &Path| folders.iter().position(|folder| folder == wanted);
        assert!(at(Path::new("/usr/sbin")) < at(&folder.path().join("usr/sbin")));
        assert!(
            std::env::split_paths(&libraries).any(|path| path == folder.path().join(LIBRARIES[0]))
        );
    }
}
