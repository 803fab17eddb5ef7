// SPDX-License-Identifier: Apache-2.0
//! Virtual disks as files, against the programs that others read them with: QEMU and libvhdi.

mod corpus;
mod files;
mod libvhdi;
mod node;
mod qemu;

use super::*;
use groundstate_api::Bytes;
use mos_core::vhd::{ParentTime, Vhd};
use std::path::Path;
use std::process::Command;

/// Runs a program that must succeed, and gives what it printed.
fn passes(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {text}{errors}"
    );
    text
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Makes a VHD; `preallocate` where it says so.
fn make(path: &Path, size: u64, contents: Contents, preallocate: bool) -> Created {
    let size = match contents {
        Contents::Differencing(_) => None,
        Contents::Fixed | Contents::Dynamic => Some(Bytes(size)),
    };
    create(&Create {
        path: path.to_path_buf(),
        format: Format::Vhd,
        size,
        contents,
        preallocate,
        force: false,
    })
    .unwrap()
}

fn copy(input: &Path, from: Option<Format>, output: &Path, to: Target) -> Converted {
    convert(&request(input, from, output, to), &mut |_, _| {}).unwrap()
}

fn request(input: &Path, from: Option<Format>, output: &Path, to: Target) -> Conversion {
    let vhdx = output.extension().is_some_and(|end| end == "vhdx");
    Conversion {
        input: input.to_path_buf(),
        from,
        parents: Parents::default(),
        output: output.to_path_buf(),
        to,
        format: if vhdx { Format::Vhdx } else { Format::Vhd },
        force: false,
    }
}

/// The size that QEMU sees.
fn qemu_size(path: &Path, format: &str) -> u64 {
    let info = passes(
        "qemu-img",
        &["info", "-f", format, "--output", "json", text(path)],
    );
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    info["virtual-size"].as_u64().unwrap()
}

/// QEMU sees the same disk in both files.
fn same(one: &Path, one_format: &str, other: &Path, other_format: &str) {
    let sizes = (qemu_size(one, one_format), qemu_size(other, other_format));
    assert_eq!(sizes.0, sizes.1, "{one:?} and {other:?}");
    let arguments = ["compare", "-f", one_format, "-F", other_format];
    passes(
        "qemu-img",
        &[&arguments[..], &[text(one), text(other)]].concat(),
    );
}

/// A VHD open to be written, as a program with this library has it, with its parents to be read.
fn open_to_write(path: &Path) -> Vhd<DiskFile> {
    let file = std::fs::File::options().read(true).write(true).open(path);
    let mut vhd = Vhd::open(DiskFile::new(file.unwrap()).unwrap()).unwrap();
    let parent = chain::candidates(path, &mut vhd)
        .unwrap()
        .into_iter()
        .next();
    if let Some(parent) = parent {
        let parent = chain::open_chain(&parent, &Parents::default()).unwrap();
        vhd.attach(parent, ParentTime::Any).unwrap();
    }
    vhd
}

/// A raw disk of this size with a pattern in three places, sparse between them.
fn raw_disk(path: &Path, size: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::create(path).unwrap();
    file.set_len(size).unwrap();
    let bytes: Vec<u8> = (0..300_000u32).map(|at| (at % 251) as u8 + 1).collect();
    for at in [0, size / 2 + 1_536, size - 300_000] {
        file.write_all_at(&bytes, at).unwrap();
    }
}
