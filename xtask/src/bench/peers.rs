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

/// A peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// The program.
    pub(crate) program: &'static str,
    /// The Debian package that has it.
    pub(crate) package: &'static str,
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
    root: PathBuf,
}

impl Peers {
    /// Makes the peers ready. One that cannot be had is named, and what needs it will be short.
    pub(crate) fn fetch(layout: &Layout, wanted: &[Peer]) -> Result<Self> {
        let folder = layout.made("peers");
        let peers = Self {
            root: folder.join("root"),
        };
        fs::create_dir_all(&peers.root)
            .with_context(|| format!("cannot make {}", peers.root.display()))?;
        for peer in wanted {
            if peers.has(peer.program) {
                continue;
            }
            let fetched = step(&format!("fetch {}", peer.package), || {
                peers.fetch_one(&folder, peer)
            });
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
    pub(super) fn with_crates(self, layout: &Layout, wanted: &[Crate]) -> Self {
        for peer in wanted {
            if self.has(peer.program) {
                continue;
            }
            let built = step(&format!("build the crate {}", peer.program), || {
                let mut cargo = command(
                    crate::product::program(),
                    ["install", "--locked", "--quiet"],
                );
                cargo
                    .args(["--version", peer.version, peer.program, "--root"])
                    .arg(self.root.join("usr"))
                    .env("CARGO_TARGET_DIR", layout.made("peers").join("build"));
                run(&mut cargo)
            });
            if let Err(error) = built {
                note(&format!(
                    "no {}: {error:#}; what needs it will be short",
                    peer.program
                ));
            }
        }
        self
    }

    fn has(&self, program: &str) -> bool {
        have(program)
            || PROGRAMS
                .iter()
                .any(|folder| self.root.join(folder).join(program).is_file())
    }

    fn fetch_one(&self, folder: &Path, peer: &Peer) -> Result<()> {
        let archives = folder.join(peer.package);
        // apt refuses a folder without this one.
        fs::create_dir_all(archives.join("partial"))?;
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
                run(command("dpkg-deb", ["-x"]).arg(&path).arg(&self.root))?;
            }
        }
        fs::remove_dir_all(&archives)?;
        anyhow::ensure!(
            self.has(peer.program),
            "the package {} has no {}",
            peer.package,
            peer.program
        );
        Ok(())
    }

    /// The environment in which the peers are found: PATH, and the libraries that the machine lacks.
    pub(crate) fn environment(&self) -> Result<[(&'static str, OsString); 2]> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
        // What the machine has goes first, so that a peer of its own is not shadowed.
        let programs = std::env::split_paths(&path)
            .chain(system)
            .chain(PROGRAMS.map(|folder| self.root.join(folder)));
        let given = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let libraries = std::env::split_paths(&given)
            .filter(|path| !path.as_os_str().is_empty())
            .chain(LIBRARIES.map(|folder| self.root.join(folder)));
        Ok([
            ("PATH", std::env::join_paths(programs)?),
            ("LD_LIBRARY_PATH", std::env::join_paths(libraries)?),
        ])
    }
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
            root: folder.path().to_path_buf(),
        };
        assert!(peers.has("sh") && !peers.has("no-such-program"));
        fs::create_dir_all(folder.path().join("usr/sbin")).unwrap();
        fs::write(folder.path().join("usr/sbin/no-such-program"), b"x").unwrap();
        assert!(peers.has("no-such-program"));
        let [(_, path), (_, libraries)] = peers.environment().unwrap();
        let folders: Vec<_> = std::env::split_paths(&path).collect();
        let at = |wanted: &Path| folders.iter().position(|folder| folder == wanted);
        assert!(at(Path::new("/usr/sbin")) < at(&folder.path().join("usr/sbin")));
        assert!(
            std::env::split_paths(&libraries).any(|path| path == folder.path().join(LIBRARIES[0]))
        );
    }
}
