// SPDX-License-Identifier: Apache-2.0
//! libvhdi, the other reader of VHDs: sizes, ids and parents by `vhdiinfo`, content by its Python module.

use super::*;
use mos_core::random_access::WriteAt as _;

/// Whether a program is there; with `CI` set it must be.
fn has(program: &str, arguments: &[&str]) -> bool {
    let there = Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success());
    assert!(
        there || std::env::var_os("CI").is_none(),
        "no {program} {arguments:?}"
    );
    if !there {
        eprintln!("skipped: no {program} {arguments:?} (Debian: libvhdi-utils, python3-libvhdi)");
    }
    there
}

const PYTHON: &str = "/usr/bin/python3";

const READ: &str = r"
import hashlib, pyvhdi, sys
kept = []
def opened(paths):
    disk = pyvhdi.file()
    kept.append(disk)
    disk.open(paths[0])
    if len(paths) > 1:
        disk.set_parent(opened(paths[1:]))
    return disk
disk = opened(sys.argv[1:])
size, digest = disk.get_media_size(), hashlib.sha256()
for at in range(0, size, 1 << 20):
    digest.update(disk.read_buffer_at_offset(min(1 << 20, size - at), at))
print(size, digest.hexdigest())
";

const SIZE: u64 = 9 * (1 << 20) + 512;

/// The size and the digest of the disk as we read it.
fn ours(path: &Path) -> String {
    let mut disk = Disk::open(path, None, &Parents::default(), false).unwrap();
    let mut bytes = vec![0; usize::try_from(disk.size()).unwrap()];
    disk.read_at(0, &mut bytes).unwrap();
    let digest = groundstate_api::Digest::of(&bytes).to_string();
    format!("{} {}", disk.size(), digest.trim_start_matches("sha256:"))
}

fn write_some(path: &Path, byte: u8, places: &[u64]) {
    let mut vhd = open_to_write(path);
    for at in places {
        vhd.write_at(*at, &vec![byte; 70_001]).unwrap();
    }
    vhd.flush().unwrap();
}

#[test]
fn libvhdi_sees_our_sizes_ids_and_parents() {
    if !has("vhdiinfo", &["-V"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("base.vhd");
    for (name, contents, preallocate) in [
        ("base.vhd", Contents::Fixed, false),
        ("dynamic.vhd", Contents::Dynamic, false),
        ("full.vhd", Contents::Dynamic, true),
        ("child.vhd", Contents::Differencing(base), false),
    ] {
        let path = dir.path().join(name);
        let created = make(&path, SIZE, contents, preallocate);
        let said = passes("vhdiinfo", &[text(&path)]);
        assert!(said.contains(&format!("({SIZE} bytes)")), "{said}");
        assert!(said.contains(&created.id), "{said}");
        let kind = said.to_lowercase();
        let kind = kind
            .lines()
            .find(|line| line.contains("disk type"))
            .unwrap();
        assert!(kind.contains(&created.kind[..4]), "{said}");
        if created.kind == "differencing" {
            assert!(said.contains("base.vhd"), "{said}");
        }
    }
}

#[test]
fn libvhdi_reads_the_bytes_that_we_read() {
    if !has(PYTHON, &["-c", "import pyvhdi"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let base = at("base.vhd");
    make(&base, SIZE, Contents::Dynamic, false);
    write_some(&base, 1, &[0, 5_000_001, SIZE - 70_001]);
    for (name, preallocate) in [("grows.vhd", false), ("full.vhd", true)] {
        let (child, grandchild) = (at(name), at(&format!("of-{name}")));
        make(&child, 0, Contents::Differencing(base.clone()), preallocate);
        write_some(&child, 2, &[35_000, 4_000_000]);
        make(
            &grandchild,
            0,
            Contents::Differencing(child.clone()),
            preallocate,
        );
        write_some(&grandchild, 3, &[7_000_000]);
        let chains = [
            vec![text(&base)],
            vec![text(&child), text(&base)],
            vec![text(&grandchild), text(&child), text(&base)],
        ];
        for chain in chains {
            let theirs = passes(PYTHON, &[&["-c", READ], &chain[..]].concat());
            assert_eq!(theirs.trim(), ours(Path::new(chain[0])), "{chain:?}");
        }
    }
}
