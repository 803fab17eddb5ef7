// SPDX-License-Identifier: Apache-2.0
//! The base tree of the host: Debian's packages and nothing of ours, as one tar archive.
//!
//! The suite is the build machine's own: the agent is linked against its C library. The package sources are the
//! machine's own too.

use crate::boot_image::drivers::{DRIVERS, For};
use crate::cache::{self, Inputs};
use crate::command::{command, run};
use crate::layout::Layout;
use crate::progress::step;
use crate::setup::{Release, Source, apt};
use anyhow::Result;
use groundstate_api::digest::Digest;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the host consists of, beyond Debian's essential packages.
const PACKAGES: [&str; 11] = [
    "systemd-sysv",
    "udev",
    "dbus",
    "linux-image-amd64",
    "initramfs-tools",
    "zstd",
    "systemd-boot",
    "e2fsprogs",
    "openssh-server",
    "iproute2",
    "kmod",
];

/// Folders of documentation and languages that a host in a rack does not need.
const LEFT_OUT: [&str; 7] = [
    "/usr/share/man",
    "/usr/share/doc",
    "/usr/share/info",
    "/usr/share/lintian",
    "/usr/share/locale",
    "/usr/share/bug",
    "/usr/share/zoneinfo/right",
];

/// Licences stay.
const KEPT: &str = "/usr/share/doc/*/copyright";

/// Folders of kernel modules for hardware that a server does not have: 170 of 390 MB.
const MODULES_LEFT_OUT: [&str; 12] = [
    "sound",
    "drivers/gpu",
    "drivers/media",
    "drivers/net/wireless",
    "drivers/bluetooth",
    "drivers/infiniband",
    "drivers/staging",
    "drivers/iio",
    "drivers/video",
    "net/bluetooth",
    "net/wireless",
    "net/mac80211",
];

/// The forms of the suite that a host gets its packages from.
const FORMS: [&str; 3] = ["", "-updates", "-security"];

/// The base tree.
#[derive(Clone, Debug)]
pub(super) struct Base {
    /// The archive.
    pub(super) tar: PathBuf,
    /// The digest of what it was made from.
    pub(super) key: Digest,
}

/// Makes it where it is not there yet.
pub(super) fn ensure(layout: &Layout) -> Result<Base> {
    let release = Release::of_this_machine()?;
    let sources = Source::render(&Source::of_this_machine()?, &release.codename, &FORMS)?;
    let hooks = ["initramfs.sh", "customise.sh"].map(|name| layout.source("xtask/host").join(name));
    let mut inputs = Inputs::default()
        .text("suite", &release.codename)
        .text("kernel", &apt::offered("linux-image-amd64")?.version)
        .text("arguments", &arguments().join("\n"))
        .text("modules", &disk_drivers().join(" "))
        .text("sources", &sources);
    for hook in &hooks {
        inputs = inputs.file(hook)?;
    }
    let key = inputs.key();
    let folder = layout.made("host-base");
    let tar = folder.join("base.tar");
    if !cache::fresh(&folder, key) {
        let what = format!(
            "Debian {} base tree (half a minute or more)",
            release.codename
        );
        step(&what, || {
            cache::make(&folder, key, |new| {
                let list = new.join("host.sources");
                fs::write(&list, &sources)?;
                run(&mut mmdebstrap(new, &list, &release, &hooks))
            })
        })?;
    }
    Ok(Base { tar, key })
}

fn mmdebstrap(new: &Path, list: &Path, release: &Release, hooks: &[PathBuf; 2]) -> Command {
    let [initramfs, customise] = hooks.each_ref().map(|hook| quoted(hook));
    let mut making = command("mmdebstrap", arguments());
    // A host is made of the same things wherever it is made.
    making.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
    making.arg(format!(
        "--essential-hook=sh {initramfs} \"$1\" {}",
        disk_drivers().join(" ")
    ));
    making.arg(format!("--customize-hook=sh {customise} \"$1\""));
    making
        .arg(&release.codename)
        .arg(new.join("base.tar"))
        .arg(list);
    making
}

fn arguments() -> Vec<String> {
    let mut arguments = vec![
        "--quiet".to_owned(),
        "--variant=minbase".to_owned(),
        "--format=tar".to_owned(),
        "--architectures=amd64".to_owned(),
        format!("--include={}", PACKAGES.join(",")),
    ];
    let exclude = |path: String| format!("--dpkgopt=path-exclude={path}/*");
    arguments.extend(LEFT_OUT.iter().map(|path| exclude((*path).to_owned())));
    arguments.push(format!("--dpkgopt=path-include={KEPT}"));
    for root in ["/lib/modules", "/usr/lib/modules"] {
        let modules = MODULES_LEFT_OUT.iter();
        arguments.extend(modules.map(|path| exclude(format!("{root}/*/kernel/{path}"))));
    }
    arguments
}

/// The host's initrd has the same disk drivers as the boot image, and ext4.
fn disk_drivers() -> Vec<&'static str> {
    DRIVERS
        .iter()
        .filter(|driver| driver.what == For::Storage || driver.name == "ext4")
        .map(|driver| driver.name)
        .collect()
}

/// For the shell that mmdebstrap gives a hook to.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_starts_from_whatever_can_be_written_to() {
        let drivers = disk_drivers();
        for name in ["ahci", "nvme", "virtio_blk", "megaraid_sas", "ext4"] {
            assert!(drivers.contains(&name), "{name}");
        }
        assert!(!drivers.contains(&"e1000e"));
    }

    #[test]
    fn a_path_survives_the_shell() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
