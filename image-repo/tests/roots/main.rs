// SPDX-License-Identifier: Apache-2.0
//! Facts of real images, and images out of archives, layouts and WIM files, judged by the tools that made them: sgdisk,
//! sfdisk, fdisk, e2fsck, debugfs, fsck.vfat, mtools, GNU tar, umoci, wimlib and ntfs-3g.
#![allow(clippy::unwrap_used)]

mod facts;
mod hostile;
mod oci;
mod tar;
mod wim;

use groundstate_api::Bytes;
use image_repo::roots::{PrepareOptions, Prepared, RootsError, RootsInput, prepare};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A UEFI program for x86-64 that every machine with the tests' packages has.
const PROGRAM: &str = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";

/// Runs a command line and gives what it printed.
fn sh(line: &str) -> String {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", line])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}\n{text}\n{said}");
    text
}

/// Whether a program is installed; says so where it is not.
fn has(program: &str) -> bool {
    let found = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).exists());
    if !found {
        println!("skipped: {program} is not installed");
        assert!(std::env::var_os("CI").is_none(), "{program} is missing");
    }
    found
}

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

fn text(path: impl AsRef<OsStr>) -> String {
    path.as_ref().to_str().unwrap().to_string()
}

/// A small Linux: os-release behind a link, a kernel, an initrd, systemd-boot, and names that are hard to write.
fn linux(at: &Path) -> PathBuf {
    let tree = at.join("tree");
    let t = text(&tree);
    sh(&format!(
        r#"mkdir -p {t}/etc {t}/usr/lib/systemd/boot/efi {t}/boot {t}/usr/bin "{t}/a folder/<12>" {t}/dev
        ln -s usr/lib {t}/lib; ln -s usr/bin {t}/bin; ln -s usr/bin {t}/sbin
        mkdir -p {t}/usr/lib/modules/6.1.0-44-amd64
        printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12 (test)"\n' > {t}/usr/lib/os-release
        ln -s ../usr/lib/os-release {t}/etc/os-release
        cp {PROGRAM} {t}/usr/lib/systemd/boot/efi/
        cp /usr/lib/systemd/boot/efi/linuxx64.efi.stub {t}/boot/vmlinuz-6.1.0-44-amd64
        cp /usr/lib/systemd/boot/efi/linuxx64.efi.stub {t}/boot/vmlinuz-6.1.0-9-amd64
        {{ printf 070701; head -c 300000 /dev/urandom; }} > {t}/boot/initrd.img-6.1.0-44-amd64
        cp /bin/true {t}/usr/bin/init
        ln -s init {t}/usr/bin/sh
        echo one > "{t}/a folder/it's \"quoted\" here"
        echo two > "{t}/a folder/<12>/<2>"
        echo three > {t}/usr/bin/suid; chmod 4755 {t}/usr/bin/suid; ln {t}/usr/bin/suid {t}/usr/bin/hard
        truncate -s 5M {t}/usr/sparse; echo end >> {t}/usr/sparse
        find {t} -exec touch -h -d @1700000000 {{}} +"#
    ));
    tree
}

/// Prepares from a path into a new folder of `at`.
fn made(
    format: groundstate_api::image::ImageFormat,
    input: &Path,
    options: &PrepareOptions,
    at: &Path,
    name: &str,
) -> Result<Prepared, RootsError> {
    let scratch = at.join(name);
    std::fs::create_dir(&scratch).unwrap();
    let mut last = Bytes(0);
    let mut progress = |at: Bytes, _: Option<Bytes>| {
        assert!(at >= last, "progress goes back");
        last = at;
    };
    prepare(
        format,
        RootsInput::Path(input),
        options,
        &scratch,
        &mut progress,
    )
}
