// SPDX-License-Identifier: Apache-2.0
//! Makes the maintenance OS's boot image: Debian's signed kernel, the drivers real servers need, PID 1, mke2fs,
//! mkfs.xfs and smartctl; and for a rescue dropbear and busybox.
//!
//! The result in `target/groundstate/boot/` is the same for every site and holds no secret. Whoever serves it
//! (`groundstate up`) appends the site's CA as a second archive and wraps all of it as a unified kernel image.
//!
//! | file | what |
//! |---|---|
//! | `vmlinuz`, `uname`, `cmdline` | the kernel, its version, its command line (one line) |
//! | `initrd.base` | zstd-compressed newc archive; the kernel reads a further archive that is appended |
//! | `linuxx64.efi.stub` | what turns them into a unified kernel image |
//! | `undionly.kpxe`, `snponly.efi` | first stage over PXE for BIOS and for UEFI |
//! | `sizes.json` | what is in it, in bytes |

pub(crate) mod cpio;
pub(crate) mod drivers;
mod kernel;
mod modinfo;
mod modules;

use crate::cache::{self, Inputs};
use crate::command::{self, command, text};
use crate::layout::Layout;
use crate::product;
use crate::progress::{note, step};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use cpio::Archive;
use groundstate_api::units::Bytes;
use modules::{Chosen, FOLDER};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Kernel, drivers and initramfs together: what a 1 Gb/s network sends in a quarter of a second. Peers need 200 MiB and more.
const SIZE_MAX: Bytes = Bytes::mib(24);
/// What we aim for.
const SIZE_AIM: Bytes = Bytes::mib(16);

/// Nothing secret stands here, and nothing about the site. `panic`: a person has a minute to read the screen, then the
/// machine tries again.
const CMDLINE: &str = "console=tty0 console=ttyS0,115200 loglevel=4 panic=60";

/// Files of Debian packages that are handed on as they are.
const HANDED_ON: [(&str, &str); 3] = [
    (
        "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
        "linuxx64.efi.stub",
    ),
    ("/usr/lib/ipxe/undionly.kpxe", "undionly.kpxe"),
    ("/usr/lib/ipxe/snponly.efi", "snponly.efi"),
];

/// The programs that make ext4 and XFS, executed by PID 1, and the configuration of the first.
const MKE2FS: &str = "/sbin/mke2fs";
const MKE2FS_CONF: &str = "/etc/mke2fs.conf";
const MKFS_XFS: &str = "/sbin/mkfs.xfs";
/// The program that reaches disks behind RAID controllers, executed by PID 1 where there is one. Its drive database is
/// built in.
const SMARTCTL: &str = "/usr/sbin/smartctl";
/// What a rescue needs, executed by PID 1 in a rescue and never otherwise: an SSH server, what makes its key, and a shell.
const DROPBEAR: &str = "/usr/sbin/dropbear";
const DROPBEARKEY: &str = "/usr/bin/dropbearkey";
/// Statically linked, so that it is one file.
const BUSYBOX: &str = "/bin/busybox";

/// Folders that PID 1 finds empty.
const FOLDERS: [&str; 8] = [
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "mnt",
    "root",
    "etc/groundstate",
];

/// What goes into a boot image made by hand.
#[derive(Args)]
pub(crate) struct Options {
    /// Another program as PID 1, for measurements; the image then lies in target/groundstate/boot-trial
    #[arg(long, value_name = "FILE")]
    pid1: Option<PathBuf>,
}

/// `cargo xtask boot-image`.
pub(crate) fn run(layout: &Layout, options: &Options) -> Result<PathBuf> {
    match &options.pid1 {
        None => ensure(layout),
        Some(pid1) => with(layout, pid1, layout.made("boot-trial")),
    }
}

/// Makes the boot image where it is not there yet, and returns its folder.
pub(crate) fn ensure(layout: &Layout) -> Result<PathBuf> {
    let pid1 = product::build_pid1(layout)?;
    with(layout, &pid1, layout.boot())
}

fn with(layout: &Layout, pid1: &Path, folder: PathBuf) -> Result<PathBuf> {
    let kernel = kernel::ensure(layout)?;
    let key = inputs(pid1, &kernel)?.key();
    if cache::fresh(&folder, key) {
        note(&format!(
            "boot image: as made before, in {}",
            folder.display()
        ));
        return Ok(folder);
    }
    step("boot image", || {
        cache::make(&folder, key, |new| make(new, &kernel, pid1))
    })?;
    Ok(folder)
}

fn inputs(pid1: &Path, kernel: &kernel::Kernel) -> Result<Inputs> {
    let mut inputs = Inputs::default()
        .text("kernel", &kernel.package)
        .text("drivers", &format!("{:?}", drivers::DRIVERS))
        .text("always", &format!("{:?}", drivers::ALWAYS))
        .text("cmdline", CMDLINE)
        .text("folders", &FOLDERS.join(" "))
        // The program that packs is an input too: this file's own text stands for it.
        .text("recipe", include_str!("boot_image.rs"))
        .text("modules", include_str!("boot_image/modules.rs"))
        .text("cpio", include_str!("boot_image/cpio.rs"))
        .file(pid1)?
        .file(Path::new(MKE2FS))?
        .file(Path::new(MKFS_XFS))?
        .file(Path::new(SMARTCTL))?
        .file(Path::new(DROPBEAR))?
        .file(Path::new(DROPBEARKEY))?
        .file(Path::new(BUSYBOX))?;
    for (from, _) in HANDED_ON {
        inputs = inputs.file(Path::new(from))?;
    }
    Ok(inputs)
}

fn make(folder: &Path, kernel: &kernel::Kernel, pid1: &Path) -> Result<()> {
    kernel.can_unpack_zstd()?;
    let chosen = modules::choose(&kernel.modules)?;
    for name in &chosen.absent {
        note(&format!("this kernel has no {name}: left out"));
    }
    let mut parts: Vec<(String, u64)> = Vec::new();
    let archive = fill(&chosen, pid1, &mut parts)?;
    let plain = folder.join("initrd.cpio");
    fs::write(&plain, archive.bytes()?)?;
    let packed = folder.join("initrd.base");
    // 19 is the highest level whose window (8 MiB) every kernel with RD_ZSTD accepts; one thread, for the same bytes
    // everywhere.
    command::run(
        command("zstd", ["-19", "-q", "--rm", "--single-thread"])
            .arg(&plain)
            .arg("-o")
            .arg(&packed),
    )?;
    fs::copy(kernel.image()?, folder.join("vmlinuz"))?;
    for (from, name) in HANDED_ON {
        fs::copy(from, folder.join(name)).with_context(|| format!("cannot copy {from}"))?;
    }
    fs::write(folder.join("cmdline"), format!("{CMDLINE}\n"))?;
    fs::write(folder.join("uname"), format!("{}\n", kernel.uname))?;
    let sizes = weigh(folder, parts)?;
    sizes.show();
    sizes.write(folder)?;
    sizes.check()
}

/// The initramfs, and what each part of it weighs before compression.
fn fill(chosen: &Chosen, pid1: &Path, parts: &mut Vec<(String, u64)>) -> Result<Archive> {
    let mut archive = Archive::default();
    for folder in FOLDERS {
        archive.folder(folder);
    }
    archive.device("dev/console", 5, 1);
    archive.device("dev/null", 1, 3);
    let mut add = |path: &str, mode: u32, bytes: Vec<u8>| -> Result<()> {
        parts.push((path.to_owned(), u64::try_from(bytes.len())?));
        archive.file(path, mode, bytes);
        Ok(())
    };
    let read =
        |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    add("init", 0o755, read(pid1)?)?;
    for module in &chosen.modules {
        let path = format!("{FOLDER}/{}.ko", module.name);
        add(&path, 0o644, module.bytes.clone())?;
    }
    add(&format!("{FOLDER}/list"), 0o644, chosen.list().into())?;
    add(&format!("{FOLDER}/alias"), 0o644, chosen.alias().into())?;
    add(&format!("{FOLDER}/always"), 0o644, chosen.always().into())?;
    add("sbin/mke2fs", 0o755, read(Path::new(MKE2FS))?)?;
    add("etc/mke2fs.conf", 0o644, read(Path::new(MKE2FS_CONF))?)?;
    add("sbin/mkfs.xfs", 0o755, read(Path::new(MKFS_XFS))?)?;
    add("usr/sbin/smartctl", 0o755, read(Path::new(SMARTCTL))?)?;
    add("usr/sbin/dropbear", 0o755, read(Path::new(DROPBEAR))?)?;
    add("usr/bin/dropbearkey", 0o755, read(Path::new(DROPBEARKEY))?)?;
    add("bin/busybox", 0o755, read(Path::new(BUSYBOX))?)?;
    let mut needed = BTreeSet::new();
    for program in [MKE2FS, MKFS_XFS, SMARTCTL, DROPBEAR, DROPBEARKEY] {
        needed.extend(libraries(&text(&mut command("ldd", [program]))?));
    }
    for library in needed {
        let bytes = read(Path::new(&library))?;
        add(library.trim_start_matches('/'), 0o755, bytes)?;
    }
    archive.link("sbin/mkfs.ext4", "mke2fs");
    archive.link("bin/sh", "busybox");
    Ok(archive)
}

/// The files that `ldd` names, loader included.
fn libraries(ldd: &str) -> Vec<String> {
    ldd.lines()
        .filter_map(|line| {
            let place = line.split_once("=>").map_or(line, |(_, place)| place);
            let path = place.split_whitespace().next()?;
            path.starts_with('/').then(|| path.to_owned())
        })
        .collect()
}

/// What the image weighs.
struct Sizes {
    kernel: Bytes,
    initrd: Bytes,
    /// Parts of the initramfs before compression, heaviest first.
    parts: Vec<(String, u64)>,
}

fn weigh(folder: &Path, mut parts: Vec<(String, u64)>) -> Result<Sizes> {
    let size = |name: &str| Ok::<_, anyhow::Error>(Bytes(fs::metadata(folder.join(name))?.len()));
    parts.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(&other.0)));
    Ok(Sizes {
        kernel: size("vmlinuz")?,
        initrd: size("initrd.base")?,
        parts,
    })
}

impl Sizes {
    fn total(&self) -> Bytes {
        Bytes(self.kernel.0.saturating_add(self.initrd.0))
    }

    fn heaviest(&self) -> String {
        let shown = self.parts.iter().take(6);
        shown
            .map(|(path, bytes)| format!("{path} {}", Bytes(*bytes)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn show(&self) {
        note(&format!(
            "kernel {} + initramfs {} = {} (aim {SIZE_AIM}, limit {SIZE_MAX}); heaviest before compression: {}",
            self.kernel,
            self.initrd,
            self.total(),
            self.heaviest()
        ));
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let parts: Vec<_> = self
            .parts
            .iter()
            .map(|(path, bytes)| json!({ "path": path, "bytes": bytes }))
            .collect();
        let sizes = json!({
            "vmlinuz": self.kernel.0,
            "initrd": self.initrd.0,
            "total": self.total().0,
            "limit": SIZE_MAX.0,
            "parts_uncompressed": parts,
        });
        let text = serde_json::to_string_pretty(&sizes)?;
        Ok(fs::write(folder.join("sizes.json"), format!("{text}\n"))?)
    }

    fn check(&self) -> Result<()> {
        if self.total() > SIZE_MAX {
            bail!(
                "kernel and initramfs have {}, at most {SIZE_MAX} is allowed; heaviest before compression: {}",
                self.total(),
                self.heaviest()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_taken_from_ldd_with_the_loader() {
        let ldd = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x2)\n\t/lib64/ld-linux-x86-64.so.2 (0x3)\n";
        assert_eq!(
            libraries(ldd),
            [
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
    }

    #[test]
    fn an_image_over_the_limit_names_its_heaviest_part() {
        let sizes = Sizes {
            kernel: Bytes::mib(8),
            initrd: Bytes::mib(17),
            parts: vec![("lib/modules/xfs.ko".into(), 4 << 20)],
        };
        let error = sizes.check().unwrap_err().to_string();
        assert!(
            error.contains("25 MiB") && error.contains("xfs.ko 4 MiB"),
            "{error}"
        );
        assert!(
            Sizes {
                initrd: Bytes::mib(16),
                ..sizes
            }
            .check()
            .is_ok()
        );
    }

    #[test]
    fn the_command_line_holds_nothing_but_consoles_and_panic() {
        for word in CMDLINE.split(' ') {
            let (key, _) = word.split_once('=').unwrap();
            assert!(["console", "loglevel", "panic"].contains(&key), "{word}");
        }
    }
}
