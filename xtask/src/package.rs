// SPDX-License-Identifier: Apache-2.0
//! Makes the Debian packages: the stand-alone `hw-diag` for live hosts, one static program, and the `groundstate` command
//! with the units of the boot service alone. Each is unpacked and run before it counts as made.

use crate::command::{command, run as quietly, text};
use crate::layout::Layout;
use crate::product;
use crate::progress::{note, step};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A package.
struct Package {
    name: &'static str,
    /// What goes where, beside the program.
    files: &'static [(&'static str, &'static str)],
    /// Lines of the control file from `Section` on.
    control: &'static str,
    /// Whether the program wants no library of the host.
    is_static: bool,
    /// Whether the program writes its manual and the completions of shells itself.
    has_manual: bool,
}

/// Where each shell looks for completions.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/groundstate"),
    ("zsh", "usr/share/zsh/vendor-completions/_groundstate"),
    (
        "fish",
        "usr/share/fish/vendor_completions.d/groundstate.fish",
    ),
];
/// Where manuals are looked for.
const MANUAL: &str = "usr/share/man/man1";

const HW_DIAG: Package = Package {
    name: "hw-diag",
    files: &[
        ("LICENSE", "usr/share/doc/hw-diag/copyright"),
        (
            "docs/guides/hardware.md",
            "usr/share/doc/hw-diag/hardware.md",
        ),
    ],
    control: "Section: admin\nPriority: optional\nSuggests: smartmontools\n\
         Description: verdict on a machine's disks, memory, cards, links and sensors\n \
         Reads what the hardware says of itself, judges it by rules that are explained, and says\n \
         what is wrong, where, how sure that is, and what to do. It only reads.\n",
    is_static: true,
    has_manual: false,
};

const GROUNDSTATE: Package = Package {
    name: "groundstate",
    files: &[
        ("LICENSE", "usr/share/doc/groundstate/copyright"),
        ("README.md", "usr/share/doc/groundstate/README.md"),
        (
            "docs/guides/terminal.md",
            "usr/share/doc/groundstate/terminal.md",
        ),
        (
            "packaging/pxe.toml.example",
            "usr/share/doc/groundstate/pxe.toml.example",
        ),
        (
            "packaging/systemd/groundstate-pxe-server.service",
            "usr/lib/systemd/system/groundstate-pxe-server.service",
        ),
        (
            "packaging/systemd/groundstate-pxe-server.socket",
            "usr/lib/systemd/system/groundstate-pxe-server.socket",
        ),
        (
            "packaging/systemd/groundstate-pxe-server-tftp.socket",
            "usr/lib/systemd/system/groundstate-pxe-server-tftp.socket",
        ),
        (
            "packaging/systemd/groundstate-pxe-server-http.socket",
            "usr/lib/systemd/system/groundstate-pxe-server-http.socket",
        ),
        (
            "packaging/systemd/groundstate-pxe-server-https.socket",
            "usr/lib/systemd/system/groundstate-pxe-server-https.socket",
        ),
        (
            "packaging/systemd/groundstate-pxe-server-proxy.socket",
            "usr/lib/systemd/system/groundstate-pxe-server-proxy.socket",
        ),
    ],
    control: "Section: net\nPriority: optional\nDepends: libc6\nSuggests: ipxe\n\
         Description: network boot and provisioning of bare-metal servers\n \
         One command: all servers in one process, or the boot service alone (DHCP, TFTP and HTTP\n \
         boot files from a folder), and the client that shows and orders.\n",
    is_static: false,
    has_manual: true,
};

/// `cargo xtask package`.
pub(crate) fn run(layout: &Layout) -> Result<PathBuf> {
    let programs = product::build(layout)?;
    step("package groundstate", || {
        make(layout, &GROUNDSTATE, &programs.groundstate)
    })?;
    let program = product::build_hw_diag(layout)?;
    step("package hw-diag", || make(layout, &HW_DIAG, &program))
}

fn make(layout: &Layout, package: &Package, program: &Path) -> Result<PathBuf> {
    let (name, version) = (package.name, env!("CARGO_PKG_VERSION"));
    let folder = layout.made("packages");
    let tree = folder.join(name);
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
    place(program, &format!("usr/bin/{name}"), 0o755)?;
    for (from, to) in package.files {
        place(&layout.source(from), to, 0o644)?;
    }
    if package.has_manual {
        write_manual(program, &tree)?;
    }
    let size: u64 = fs::metadata(program)?.len().div_ceil(1024);
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Groundstate <groundstate@localhost>\n\
         Installed-Size: {size}\n{}",
        package.control
    );
    fs::create_dir_all(tree.join("DEBIAN"))?;
    fs::write(tree.join("DEBIAN/control"), control)?;
    let made = folder.join(format!("{name}_{version}_amd64.deb"));
    quietly(
        command("dpkg-deb", ["--build", "--root-owner-group"])
            .arg(&tree)
            .arg(&made),
    )?;
    prove(&folder, package, &made)?;
    note(&made.display().to_string());
    Ok(made)
}

/// Lets the program write its manual and the completions of shells into the package.
fn write_manual(program: &Path, tree: &Path) -> Result<()> {
    quietly(command(program, ["man", "--output"]).arg(tree.join(MANUAL)))?;
    for (shell, to) in COMPLETIONS {
        let to = tree.join(to);
        if let Some(above) = to.parent() {
            fs::create_dir_all(above)?;
        }
        fs::write(&to, text(&mut command(program, ["completions", shell]))?)?;
    }
    Ok(())
}

/// Unpacks the package as a host would, and runs what is in it.
fn prove(folder: &Path, package: &Package, made: &Path) -> Result<()> {
    let unpacked = folder.join("unpacked");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    quietly(command("dpkg-deb", ["--extract"]).arg(made).arg(&unpacked))?;
    let program = unpacked.join("usr/bin").join(package.name);
    let said = text(&mut command(&program, ["--version"]))?;
    ensure!(
        said.starts_with(&format!("{} ", package.name)),
        "the packaged program says {said:?}"
    );
    if package.has_manual {
        let manual = format!("{MANUAL}/{}.1", package.name);
        let pages = [manual.as_str(), COMPLETIONS[0].1];
        for page in pages {
            let file = unpacked.join(page);
            ensure!(
                fs::metadata(&file).is_ok_and(|seen| seen.len() > 0),
                "the package has no {page}"
            );
        }
    }
    if package.is_static {
        let linked = command("ldd", [&program]).output()?;
        let linked = [linked.stdout, linked.stderr].concat();
        let linked = String::from_utf8_lossy(&linked);
        ensure!(
            linked.contains("statically linked") || linked.contains("not a dynamic executable"),
            "the packaged program wants libraries: {linked}"
        );
    }
    Ok(fs::remove_dir_all(&unpacked)?)
}
