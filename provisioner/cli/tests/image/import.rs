// SPDX-License-Identifier: Apache-2.0
//! Import of every disk format against `qemu-img convert`, and what has to be stated.

use crate::world::{World, has};
use std::fs;
use std::process::Stdio;

/// Data with holes, no table; not a whole number of chunks.
fn pattern(mib: usize) -> Vec<u8> {
    let mut bytes = vec![0; mib << 20];
    for (index, byte) in bytes.iter_mut().enumerate() {
        let piece = index / 40_000;
        if piece % 3 == 1 {
            *byte = u8::try_from(index % 251).unwrap();
        }
    }
    bytes
}

#[test]
fn every_format_comes_out_as_qemu_img_converts_it() {
    let world = World::new();
    fs::write(world.path("d.raw"), pattern(9)).unwrap();
    for (format, to, words) in [
        ("qcow2", "qcow2", &["qcow2"][..]),
        ("qcow2", "qcow2 -c", &["qcow2"]),
        (
            "vpc",
            "vpc -o subformat=dynamic,force_size=on",
            &["vhd", "vpc"],
        ),
        ("vpc", "vpc -o subformat=fixed,force_size=on", &["vhd"]),
        ("vhdx", "vhdx", &["vhdx"]),
        ("vmdk", "vmdk -o subformat=streamOptimized", &["vmdk"]),
    ] {
        world.tool("qemu-img", &format!("convert -f raw -O {to} d.raw d.img"));
        world.tool(
            "qemu-img",
            &format!("convert -f {format} -O raw d.img want.raw"),
        );
        for word in words {
            world.done(&format!(
                "import d.img --format {word} --name d --version {word}"
            ));
            world.done(&format!("export d {word} --output got.raw --force"));
            assert!(world.read("got.raw") == world.read("want.raw"), "{to}");
        }
    }
    for (program, line, words) in [
        ("zstd", "-q -f d.raw -o d.packed", ["raw-zstd", "zst"]),
        ("gzip", "-k -f -S .packed d.raw", ["raw-gzip", "raw.gz"]),
        ("xz", "-k -f -S .packed -0 d.raw", ["raw-xz", "xz"]),
    ] {
        world.tool(program, line);
        let _moved = fs::rename(world.path("d.raw.packed"), world.path("d.packed"));
        for word in words {
            world.done(&format!(
                "import d.packed --format {word} --name p --version {word}"
            ));
            world.done(&format!("export p:{word} --output got.raw --force"));
            assert!(world.read("got.raw") == world.read("d.raw"), "{word}");
        }
    }
    // All of them are the same bytes: what is stored is stored once.
    let shown = world.json("show p:xz");
    assert_eq!(shown["chunks"]["own_stored"], 0);
}

#[test]
fn a_version_stands_for_one_image_unless_another_is_put_in_its_place() {
    let world = World::new();
    fs::write(world.path("d.raw"), pattern(3)).unwrap();
    fs::write(world.path("e.raw"), pattern(2)).unwrap();
    let first = world.json("import d.raw --format raw --name d --version 1");
    let again = world.json("import d.raw --format raw --name d --version 1");
    assert_eq!(again["image"], first["image"]);
    let line = "import e.raw --format raw --name d --version 1";
    let there = first["image"]["manifest"].as_str().unwrap();
    has(
        &world.refused(line, 1),
        &[
            "d 1 is there already",
            there,
            "another version",
            "--replace",
        ],
    );
    world.done("export d --output got.raw");
    assert!(world.read("got.raw") == pattern(3));
    let second = world.json(&format!("{line} --replace"));
    assert_ne!(second["image"]["manifest"], first["image"]["manifest"]);
    world.done("export d --output got.raw --force");
    assert!(world.read("got.raw") == pattern(2));
    assert_eq!(world.json("ls").as_array().unwrap().len(), 1);
    // Who was given the former image may still be fetching it.
    let kept = world.json("gc --yes");
    assert_eq!(kept["removed_manifests"], 0, "{kept}");
    world.done(&format!("export {there} --output former.raw"));
    assert!(world.read("former.raw") == pattern(3));
    has(&world.done("fsck"), &["nothing is wrong"]);
}

/// Of a chunk that is data in one block, only that block is written.
#[test]
fn what_was_sparse_is_sparse_again() {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};
    let world = World::new();
    let path = world.blank("d.raw", 64);
    let disk = fs::File::options().write(true).open(path).unwrap();
    for number in 0..6 {
        disk.write_all_at(b"x", number * 10_000_000).unwrap();
    }
    world.done("import d.raw --format raw --name d --version 1 --chunk-size 4MiB");
    for format in ["raw", "vhd"] {
        world.done(&format!("export d --output {format} --format {format}"));
        let blocks = fs::metadata(world.path(format)).unwrap().blocks();
        assert!(blocks * 512 <= 7 * 4096 + 65_536, "{format}: {blocks}");
    }
    world.tool("cmp", "d.raw raw");
    let error = world.refused("export d --output x --format qcow2", 2);
    has(&error, &["possible values: raw, raw-zstd, vhd, vhdx"]);
}

#[test]
fn a_stream_comes_in_and_goes_out() {
    let world = World::new();
    let bytes = pattern(3);
    fs::write(world.path("d.raw"), &bytes).unwrap();
    let mut command = world.command("import - --format raw --name d --version 1");
    command.stdin(Stdio::from(fs::File::open(world.path("d.raw")).unwrap()));
    assert!(command.output().unwrap().status.success());
    let out = world.run("export d --output -");
    assert!(out.stdout == bytes);
    has(
        &world.refused("import - --name d --version 1", 1),
        &["has to be stated"],
    );
}

#[test]
fn a_format_is_stated_or_confirmed_and_never_guessed() {
    let world = World::new();
    world.disk("disk.raw");
    world.tool("qemu-img", "convert -f raw -O qcow2 disk.raw disk.img");
    let said = world.refused("import disk.img --name d --version 1", 1);
    has(
        &said,
        &[
            "seems to be qcow2",
            "groundstate image import disk.img --format qcow2 --name d --version 1",
        ],
    );
    assert!(
        !world.path("state").exists(),
        "a refusal leaves nothing behind"
    );
    has(
        &world.refused("import disk.img --format vhdx --name d --version 1", 1),
        &["qcow2", "say --format qcow2"],
    );
    has(
        &world.refused("import disk.img --format raw --name d --version 1", 1),
        &["--really"],
    );
    for made in ["tar", "oci", "wim"] {
        has(
            &world.refused(
                &format!("import disk.img --format {made} --name d --version 1"),
                1,
            ),
            &[
                &format!("stated to be {made}"),
                "qcow2 header",
                "say --format qcow2",
            ],
        );
    }
    fs::write(world.path("words"), "words, and no archive\n".repeat(100)).unwrap();
    has(
        &world.refused("import words --format tar --name d --version 1", 1),
        &["no image comes out of words", "no tar archive"],
    );
    has(
        &world.done("import disk.img --name d --version 1 --yes"),
        &["imported d 1 from qcow2", "EFI system", "Debian for a test"],
    );
    world.done("import disk.img --format raw --really --name q --version 1");
    world.done("export q --output same");
    assert!(world.read("same") == world.read("disk.img"));
}

#[test]
fn a_root_file_system_needs_what_boots_it() {
    let world = World::new();
    world.disk("disk.raw");
    world.boot_files();
    let files = "--kernel vmlinuz --initrd initrd --boot-loader loader.efi";
    has(
        &world.refused(
            "import root.ext4 --format raw --name r --version 1 --kernel vmlinuz",
            1,
        ),
        &["belong together"],
    );
    has(
        &world.refused(
            "import root.ext4 --format raw --kind root-fs --name r --version 1",
            1,
        ),
        &["give --kernel"],
    );
    has(
        &world.refused(
            &format!(
                "import root.ext4 --format raw --kind whole-disk --name r --version 1 {files}"
            ),
            1,
        ),
        &["leave out --kernel"],
    );
    let image = world.json(&format!(
        "import root.ext4 --format raw --name r --version 1 {files} --cmdline quiet"
    ));
    assert!(image["image"].get("kind").is_none(), "{image}");
    // Files that are something else are refused by name, and nothing of them is kept.
    let before = world.done("ls");
    for (wrong, what) in [
        (
            "--kernel initrd",
            "initrd: it is no Linux kernel: it is a cpio archive",
        ),
        (
            "--initrd loader.efi",
            "it is no initial RAM file system: it is a UEFI program",
        ),
        ("--boot-loader initrd", "it is no UEFI boot loader"),
        (
            "--kernel root.ext4",
            "it is an ext2, ext3 or ext4 file system",
        ),
    ] {
        let (option, _) = wrong.split_once(' ').unwrap();
        let words: Vec<&str> = files.split(' ').collect();
        let kept: Vec<&str> = words
            .chunks(2)
            .filter(|pair| pair[0] != option)
            .flatten()
            .copied()
            .collect();
        let line = format!(
            "import root.ext4 --format raw --name r --version 2 {} {wrong}",
            kept.join(" ")
        );
        has(&world.refused(&line, 1), &[what]);
    }
    assert_eq!(world.done("ls"), before);
    has(&world.done("show r"), &["root-fs", "command line    quiet"]);
}

/// A root file system's archive becomes a disk that starts by itself: with a kernel, an initrd and a boot loader in it.
#[test]
fn an_archive_of_a_root_file_system_becomes_a_disk_that_boots() {
    let loader = std::path::Path::new("/usr/lib/systemd/boot/efi/systemd-bootx64.efi");
    if !loader.is_file() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is not there",
            loader.display()
        );
        eprintln!("not tried: {} is not there", loader.display());
        return;
    }
    let world = World::new();
    for folder in ["t/boot", "t/etc", "t/usr/lib/modules/6.1.0-1-amd64"] {
        fs::create_dir_all(world.path(folder)).unwrap();
    }
    fs::write(
        world.path("t/etc/os-release"),
        "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian in an archive\"\n",
    )
    .unwrap();
    // The boot loader is a UEFI application, as a kernel with a stub is.
    fs::copy(loader, world.path("t/boot/vmlinuz-6.1.0-1-amd64")).unwrap();
    fs::write(world.path("t/boot/initrd.img-6.1.0-1-amd64"), "070701").unwrap();
    world.tool("tar", "-C t -czf t.tar.gz .");
    has(
        &world.refused("import t.tar.gz --name t --version 1", 1),
        &["seems to be tar", "--format tar"],
    );
    let said = world.done(&format!(
        "import t.tar.gz --format tar --name t --version 1 --boot-loader {}",
        loader.display()
    ));
    has(
        &said,
        &[
            "imported t 1 from tar",
            "EFI system",
            "BOOTX64.EFI",
            "Debian in an archive",
        ],
    );
    assert!(
        fs::read_dir(world.path("state/scratch"))
            .unwrap()
            .next()
            .is_none()
    );
    world.done("write t lab.img --size 2GiB --allow-unsigned --no-read-back");
    has(&world.tool("sgdisk", "-v lab.img"), &["No problems found"]);
    has(
        &world.refused("import t.tar.gz --format wim --name w --version 1", 1),
        &["t.tar.gz"],
    );
}
