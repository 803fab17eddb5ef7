// SPDX-License-Identifier: Apache-2.0
//! Fetches Debian's kernel, `linux-image-amd64`, through the machine's own apt, and unpacks it without installing it.
//!
//! Never the cloud kernel, which has no hardware drivers, and never a kernel of our own: Debian's is signed.

use crate::cache::{self, Inputs};
use crate::command::{command, run};
use crate::layout::Layout;
use crate::progress::step;
use crate::setup::apt;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// The package that always names the newest kernel.
const META_PACKAGE: &str = "linux-image-amd64";

/// An unpacked kernel package.
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    /// `linux-image-…-amd64 VERSION`.
    pub(super) package: String,
    /// `uname -r` of it.
    pub(super) uname: String,
    /// Its `lib/modules/VERSION`.
    pub(super) modules: PathBuf,
    tree: PathBuf,
}

/// Fetches and unpacks the kernel that the machine's sources offer now, unless it is there.
pub(super) fn ensure(layout: &Layout) -> Result<Kernel> {
    let meta = apt::offered(META_PACKAGE)?;
    let package = meta
        .depends
        .iter()
        .find(|name| name.starts_with("linux-image-"))
        .with_context(|| format!("{META_PACKAGE} {} depends on no kernel", meta.version))?;
    let version = apt::offered(package)?.version;
    let named = format!("{package} {version}");
    let folder = layout.made("kernel");
    let key = Inputs::default().text("kernel", &named).key();
    if !cache::fresh(&folder, key) {
        step(&format!("fetch {named}"), || {
            cache::make(&folder, key, |new| {
                let package = apt::download(package, &version, new)?;
                run(command("dpkg-deb", ["-x"]).arg(&package).arg(new))?;
                Ok(fs::remove_file(package)?)
            })
        })?;
    }
    Kernel::open(named, folder)
}

impl Kernel {
    fn open(package: String, tree: PathBuf) -> Result<Self> {
        // One package holds one kernel: the folder's name is its version.
        let folder = modules_folder(&tree)?;
        let mut names = fs::read_dir(&folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        match (names.next(), names.next()) {
            (Some(uname), None) => Ok(Self {
                package,
                modules: folder.join(&uname),
                uname,
                tree,
            }),
            _ => bail!("{} should hold one kernel version", folder.display()),
        }
    }

    /// The kernel itself.
    pub(super) fn image(&self) -> Result<PathBuf> {
        let path = self.tree.join(format!("boot/vmlinuz-{}", self.uname));
        if !path.is_file() {
            bail!("{} holds no {}", self.package, path.display());
        }
        Ok(path)
    }

    /// Refuses a kernel that could not unpack our initramfs.
    pub(super) fn can_unpack_zstd(&self) -> Result<()> {
        let path = self.tree.join(format!("boot/config-{}", self.uname));
        let config =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if !config.lines().any(|line| line == "CONFIG_RD_ZSTD=y") {
            bail!(
                "{} has no CONFIG_RD_ZSTD: it cannot unpack our initramfs",
                self.package
            );
        }
        Ok(())
    }
}

/// Debian 12 packages `/lib/modules`, newer releases `/usr/lib/modules`.
fn modules_folder(tree: &Path) -> Result<PathBuf> {
    ["usr/lib/modules", "lib/modules"]
        .iter()
        .map(|place| tree.join(place))
        .find(|place| place.is_dir())
        .with_context(|| format!("{} holds no modules", tree.display()))
}
