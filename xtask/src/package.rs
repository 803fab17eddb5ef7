// SPDX-License-Identifier: Apache-2.0
//! Makes the Debian package of the stand-alone `hw-diag`: one static program for live hosts, with its licence and its
//! guide. It depends on nothing; smartmontools is suggested, for disks behind RAID controllers.

use crate::command::{command, run as quietly, text};
use crate::layout::Layout;
use crate::product;
use crate::progress::{note, step};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What goes where, beside the program.
const DOCUMENTS: [(&str, &str); 2] = [
    ("LICENSE", "usr/share/doc/hw-diag/copyright"),
    (
        "docs/guides/hardware.md",
        "usr/share/doc/hw-diag/hardware.md",
    ),
];

/// `cargo xtask package`.
pub(crate) fn run(layout: &Layout) -> Result<PathBuf> {
    let program = product::build_hw_diag(layout)?;
    step("package hw-diag", || make(layout, &program))
}

fn make(layout: &Layout, program: &Path) -> Result<PathBuf> {
    let version = env!("CARGO_PKG_VERSION");
    let folder = layout.made("packages");
    let tree = folder.join("hw-diag");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    let place = |from: &Path, to: &str, mode: u32| -> Result<()> {
        let to = tree.join(to);
        if let Some(above) = to.parent() {
            fs::create_dir_all(above)?;
        }
        fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        Ok(fs::set_permissions(&to, fs::Permissions::from_mode(mode))?)
    };
    place(program, "usr/bin/hw-diag", 0o755)?;
    for (from, to) in DOCUMENTS {
        place(&layout.source(from), to, 0o644)?;
    }
    let size: u64 = fs::metadata(program)?.len().div_ceil(1024);
    let control = format!(
        "Package: hw-diag\nVersion: {version}\nArchitecture: amd64\nMaintainer: Groundstate <groundstate@localhost>\n\
         Installed-Size: {size}\nSection: admin\nPriority: optional\nSuggests: smartmontools\n\
         Description: verdict on a machine's disks, memory, cards, links and sensors\n \
         Reads what the hardware says of itself, judges it by rules that are explained, and says\n \
         what is wrong, where, how sure that is, and what to do. It only reads.\n"
    );
    fs::create_dir_all(tree.join("DEBIAN"))?;
    fs::write(tree.join("DEBIAN/control"), control)?;
    let package = folder.join(format!("hw-diag_{version}_amd64.deb"));
    quietly(
        command("dpkg-deb", ["--build", "--root-owner-group"])
            .arg(&tree)
            .arg(&package),
    )?;
    prove(&folder, &package)?;
    note(&package.display().to_string());
    Ok(package)
}

/// Unpacks the package as a host would, and runs what is in it.
fn prove(folder: &Path, package: &Path) -> Result<()> {
    let unpacked = folder.join("unpacked");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    quietly(
        command("dpkg-deb", ["--extract"])
            .arg(package)
            .arg(&unpacked),
    )?;
    let program = unpacked.join("usr/bin/hw-diag");
    let said = text(&mut command(&program, ["--version"]))?;
    ensure!(
        said.starts_with("hw-diag "),
        "the packaged program says {said:?}"
    );
    let linked = command("ldd", [&program]).output()?;
    let linked = [linked.stdout, linked.stderr].concat();
    let linked = String::from_utf8_lossy(&linked);
    ensure!(
        linked.contains("statically linked") || linked.contains("not a dynamic executable"),
        "the packaged program wants libraries: {linked}"
    );
    Ok(fs::remove_dir_all(&unpacked)?)
}
