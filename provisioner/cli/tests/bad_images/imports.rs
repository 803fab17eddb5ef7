// SPDX-License-Identifier: Apache-2.0
//! What is refused on its way in.

use super::{Bench, find, said};
use std::fs::File;
use std::process::Stdio;

/// A class: its name, the file to import, further words of the command, and words of which all stand in the refusal.
struct Class {
    name: &'static str,
    file: &'static str,
    words: &'static [&'static str],
    says: &'static [&'static str],
    make: fn(&Bench),
}

const fn class(
    name: &'static str,
    file: &'static str,
    words: &'static [&'static str],
    says: &'static [&'static str],
    make: fn(&Bench),
) -> Class {
    Class {
        name,
        file,
        words,
        says,
        make,
    }
}

const QCOW2: &[&str] = &["--format", "qcow2"];
const RAW: &[&str] = &["--format", "raw"];
const VMDK: &[&str] = &["--format", "vmdk"];
const VHD: &[&str] = &["--format", "vhd"];
const VHDX: &[&str] = &["--format", "vhdx"];
const TAR: &[&str] = &["--format", "tar"];

fn qcow2(bench: &Bench) {
    bench.tool(
        "qemu-img",
        &["create", "-q", "-f", "qcow2", "x.qcow2", "8M"],
    );
    bench.tool("qemu-io", &["-c", "write -P 7 1M 3M", "x.qcow2"]);
}

fn vmdk(bench: &Bench) {
    bench.tool("qemu-img", &["create", "-q", "-f", "vmdk", "x.vmdk", "8M"]);
    bench.tool("qemu-io", &["-c", "write -P 7 1M 3M", "x.vmdk"]);
}

fn vhd(bench: &Bench) {
    let words = ["create", "-q", "-f", "vpc", "-o", "subformat=dynamic"];
    bench.tool("qemu-img", &[&words[..], &["x.vhd", "8M"]].concat());
    bench.tool("qemu-io", &["-f", "vpc", "-c", "write -P 7 1M 3M", "x.vhd"]);
}

fn vhdx(bench: &Bench) {
    bench.tool("qemu-img", &["create", "-q", "-f", "vhdx", "x.vhdx", "8M"]);
    bench.tool("qemu-io", &["-c", "write -P 7 1M 3M", "x.vhdx"]);
}

fn raw(bench: &Bench) {
    let bytes: Vec<u8> = (0..3u32 << 20)
        .map(|n| n.to_le_bytes()[1] ^ n.to_le_bytes()[2])
        .collect();
    bench.write("x.raw", bytes);
}

fn ext4(bench: &Bench) {
    bench.tool("mkfs.ext4", &["-q", "-F", "x.ext4", "16M"]);
    let mut program = vec![0; 512];
    for (at, mark) in [
        (0, &b"MZ"[..]),
        (0x3c, b"\x80"),
        (0x80, b"PE\0\0\x64\x86"),
        (0x80 + 24 + 68, b"\x0a"),
    ] {
        program[at..at + mark.len()].copy_from_slice(mark);
    }
    bench.write("vmlinuz", &program);
    bench.write("boot", &program);
    bench.write("initrd", "070701");
}

const ROOT_FS: &[&str] = &[
    "--format",
    "raw",
    "--kernel",
    "vmlinuz",
    "--initrd",
    "initrd",
    "--boot-loader",
    "boot",
];

const CLASSES: &[Class] = &[
    class(
        "qcow2 with a backing file",
        "x.qcow2",
        QCOW2,
        &["backing file", "/etc/shadow"],
        |bench| {
            let words = [
                "create",
                "-q",
                "-f",
                "qcow2",
                "-u",
                "-b",
                "/etc/shadow",
                "-F",
                "raw",
            ];
            bench.tool("qemu-img", &[&words[..], &["x.qcow2", "1M"]].concat());
        },
    ),
    class(
        "qcow2 with an external data file",
        "x.qcow2",
        QCOW2,
        &["data.raw"],
        |bench| {
            let words = ["create", "-q", "-f", "qcow2", "-o", "data_file=data.raw"];
            bench.tool("qemu-img", &[&words[..], &["x.qcow2", "1M"]].concat());
        },
    ),
    class(
        "qcow2 that is encrypted",
        "x.qcow2",
        QCOW2,
        &["encrypted"],
        |bench| {
            qcow2(bench);
            bench.patch("x.qcow2", 32, &1u32.to_be_bytes());
        },
    ),
    class(
        "qcow2 with an unknown feature",
        "x.qcow2",
        QCOW2,
        &["feature"],
        |bench| {
            qcow2(bench);
            bench.patch("x.qcow2", 72, &(1u64 << 40).to_be_bytes());
        },
    ),
    class(
        "qcow2 that was marked corrupt",
        "x.qcow2",
        QCOW2,
        &["corrupt"],
        |bench| {
            qcow2(bench);
            bench.patch("x.qcow2", 72, &2u64.to_be_bytes());
        },
    ),
    class(
        "qcow2 with its table past its end",
        "x.qcow2",
        QCOW2,
        &["within the file"],
        |bench| {
            qcow2(bench);
            bench.patch("x.qcow2", 40, &(1u64 << 50).to_be_bytes());
        },
    ),
    class(
        "qcow2 that claims 16 EiB",
        "x.qcow2",
        QCOW2,
        &["bytes"],
        |bench| {
            qcow2(bench);
            bench.patch("x.qcow2", 24, &(!511u64).to_be_bytes());
        },
    ),
    class(
        "qcow2 with clusters of 1 GiB",
        "x.qcow2",
        QCOW2,
        &["cluster"],
        |bench| {
            qcow2(bench);
            bench.patch("x.qcow2", 20, &30u32.to_be_bytes());
        },
    ),
    class("qcow2 that is cut off", "x.qcow2", QCOW2, &[], |bench| {
        qcow2(bench);
        let file = File::options()
            .write(true)
            .open(bench.at("x.qcow2"))
            .unwrap();
        file.set_len(file.metadata().unwrap().len() - (1 << 20))
            .unwrap();
    }),
    class(
        "VMDK that names a file of the host",
        "x.vmdk",
        VMDK,
        &["/etc/shadow"],
        |bench| {
            bench.write(
            "x.vmdk",
            "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\n\n\
             RW 2048 FLAT \"/etc/shadow\" 0\n\nddb.adapterType = \"ide\"\nddb.geometry.cylinders = \"2\"\n\
             ddb.geometry.heads = \"16\"\nddb.geometry.sectors = \"63\"\nddb.virtualHWVersion = \"4\"\n",
        );
        },
    ),
    class("VMDK with a parent", "x.vmdk", VMDK, &["parent"], |bench| {
        vmdk(bench);
        let at = find(&bench.at("x.vmdk"), b"parentCID=ffffffff");
        bench.patch("x.vmdk", at, b"parentCID=12345678");
    }),
    class(
        "VMDK with its directory past its end",
        "x.vmdk",
        VMDK,
        &[],
        |bench| {
            vmdk(bench);
            bench.patch("x.vmdk", 56, &(1u64 << 40).to_le_bytes());
            bench.patch("x.vmdk", 48, &(1u64 << 40).to_le_bytes());
        },
    ),
    class(
        "VHD whose footer has a wrong checksum",
        "x.vhd",
        VHD,
        &["checksum"],
        |bench| {
            vhd(bench);
            let length = bench.read("x.vhd").len() as u64;
            for footer in [0, length - 512] {
                bench.patch("x.vhd", footer + 24, &[1, 2, 3, 4]);
            }
        },
    ),
    class("VHD that is cut off", "x.vhd", VHD, &[], |bench| {
        vhd(bench);
        let file = File::options().write(true).open(bench.at("x.vhd")).unwrap();
        file.set_len(2_000_000).unwrap();
    }),
    class(
        "VHD that only differs from another",
        "x.vhd",
        VHD,
        &["differencing"],
        |bench| {
            vhd(bench);
            let length = bench.read("x.vhd").len() as u64;
            for footer in [0, length - 512] {
                // Type 4, and the checksum that fits.
                bench.patch("x.vhd", footer + 60, &4u32.to_be_bytes());
                let at = usize::try_from(footer).unwrap();
                let mut bytes = bench.read("x.vhd")[at..at + 512].to_vec();
                bytes[64..68].fill(0);
                let sum = !bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
                bench.patch("x.vhd", footer + 64, &sum.to_be_bytes());
            }
        },
    ),
    class(
        "VHDX with both headers damaged",
        "x.vhdx",
        VHDX,
        &["header"],
        |bench| {
            vhdx(bench);
            for header in [64 << 10, 128 << 10] {
                bench.patch("x.vhdx", header + 8, &[1, 2, 3]);
            }
        },
    ),
    class(
        "VHDX with its region tables damaged",
        "x.vhdx",
        VHDX,
        &["region"],
        |bench| {
            vhdx(bench);
            for table in [192 << 10, 256 << 10] {
                bench.patch("x.vhdx", table + 20, &[1, 2, 3]);
            }
        },
    ),
    class(
        "a gzip stream of one thousandth",
        "x.gz",
        &["--format", "raw-gzip", "--max-size", "64MiB"],
        &["64"],
        |bench| {
            bench.shell("yes groundstate | head -c 300M | gzip > x.gz");
        },
    ),
    class(
        "a disk that is larger than was allowed",
        "x.raw",
        &["--format", "raw", "--max-size", "1MiB"],
        &["--max-size"],
        raw,
    ),
    class(
        "qcow2 that is stated to be raw",
        "x.qcow2",
        RAW,
        &["qcow2"],
        qcow2,
    ),
    class(
        "raw bytes that are stated to be qcow2",
        "x.raw",
        QCOW2,
        &["qcow2"],
        raw,
    ),
    class(
        "an .xz that is cut off",
        "x.xz",
        &["--format", "raw-xz"],
        &[],
        |bench| {
            raw(bench);
            bench.shell("xz -k x.raw; head -c -30 x.raw.xz > x.xz");
        },
    ),
    class(
        "an .xz with one bit flipped",
        "x.xz",
        &["--format", "raw-xz"],
        &[],
        |bench| {
            raw(bench);
            bench.shell("xz -c x.raw > x.xz");
            flip(bench, "x.xz");
        },
    ),
    class(
        "a zstd stream that is cut off",
        "x.zst",
        &["--format", "raw-zstd"],
        &[],
        |bench| {
            raw(bench);
            bench.shell("zstd -qc x.raw | head -c -9 > x.zst");
        },
    ),
    class(
        "a zstd stream with one bit flipped",
        "x.zst",
        &["--format", "raw-zstd"],
        &[],
        |bench| {
            raw(bench);
            bench.shell("zstd -qc --check x.raw > x.zst");
            flip(bench, "x.zst");
        },
    ),
    class(
        "a gzip stream with one bit flipped",
        "x.gz",
        &["--format", "raw-gzip"],
        &[],
        |bench| {
            raw(bench);
            bench.shell("gzip -c x.raw > x.gz");
            flip(bench, "x.gz");
        },
    ),
    class(
        "a gzip stream with something behind it",
        "x.gz",
        &["--format", "raw-gzip"],
        &[],
        |bench| {
            raw(bench);
            bench.shell("gzip -c x.raw > x.gz; echo something else >> x.gz");
        },
    ),
    class("a tar that climbs out", "x.tar", TAR, &[".."], |bench| {
        bench.shell("mkdir tree; echo x > evil; cd tree; tar -Pcf ../x.tar ../evil");
    }),
    class(
        "a tar with an absolute path",
        "x.tar",
        TAR,
        &["/"],
        |bench| {
            bench.shell("echo x > evil; tar -Pcf x.tar \"$PWD/evil\"");
        },
    ),
    class(
        "a tar that writes through its own link",
        "x.tar",
        TAR,
        &["link"],
        |bench| {
            bench.shell(
            "mkdir one two; ln -s /tmp one/out; tar -C one -cf x.tar out; mkdir two/out; echo x > two/out/evil; \
             tar -C two -rf x.tar out/evil",
        );
        },
    ),
    class(
        "a root file system that is none",
        "x.raw",
        ROOT_FS,
        &["ext4"],
        |bench| {
            ext4(bench);
            raw(bench);
        },
    ),
    class(
        "a root file system that is cut off",
        "x.ext4",
        ROOT_FS,
        &["cut off"],
        |bench| {
            ext4(bench);
            let file = File::options()
                .write(true)
                .open(bench.at("x.ext4"))
                .unwrap();
            file.set_len(9 << 20).unwrap();
        },
    ),
    class(
        "a kernel that is a text",
        "x.ext4",
        ROOT_FS,
        &["vmlinuz", "no Linux kernel", "a script"],
        |bench| {
            ext4(bench);
            bench.write("vmlinuz", "#!/bin/sh");
        },
    ),
    class(
        "an initial RAM file system that is a kernel",
        "x.ext4",
        ROOT_FS,
        &["initrd", "no initial RAM file system", "a UEFI program"],
        |bench| {
            ext4(bench);
            bench.shell("cp vmlinuz initrd");
        },
    ),
    class(
        "a boot loader for another processor",
        "x.ext4",
        ROOT_FS,
        &["boot is a boot loader for aarch64", "for x86_64"],
        |bench| {
            ext4(bench);
            bench.patch("boot", 0x84, &[0x64, 0xaa]);
        },
    ),
    class(
        "a command line that names the root",
        "x.ext4",
        &[
            "--format",
            "raw",
            "--kernel",
            "vmlinuz",
            "--initrd",
            "initrd",
            "--boot-loader",
            "boot",
            "--cmdline",
            "quiet root=/dev/sda1",
        ],
        &["root="],
        ext4,
    ),
    class(
        "a table for other sectors",
        "x.raw",
        &["--format", "raw", "--sector-size", "4096"],
        &["512"],
        |bench| {
            bench.shell("truncate -s 64M x.raw");
            bench.tool("sgdisk", &["-n", "1:2048:0", "x.raw"]);
        },
    ),
    class(
        "an image for another processor",
        "x.raw",
        &["--format", "raw", "--arch", "aarch64"],
        &["x86"],
        |bench| {
            bench.shell(
            "truncate -s 64M x.raw; sgdisk -n 1:2048:0 -t 1:EF00 x.raw; truncate -s 60M esp; mformat -i esp -F ::; \
             mmd -i esp ::EFI ::EFI/BOOT; mcopy -i esp /usr/lib/systemd/boot/efi/systemd-bootx64.efi \
             ::EFI/BOOT/BOOTX64.EFI; dd if=esp of=x.raw bs=1M seek=1 conv=notrunc status=none",
        );
        },
    ),
    class(
        "an OCI layout with a wrong digest",
        "oci",
        &["--format", "oci", "--inner", "raw"],
        &["digest"],
        |bench| {
            raw(bench);
            bench.shell(
            "mkdir -p oci/blobs/sha256; cd oci; printf '{\"imageLayoutVersion\":\"1.0.0\"}' > oci-layout
             put() { sum=$(sha256sum \"$1\" | cut -c1-64); size=$(stat -c %s \"$1\"); cp \"$1\" blobs/sha256/$sum; }
             printf '{}' > ../config; put ../config; config=$sum
             put ../x.raw; layer=$sum
             printf '{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"artifactType\":\"application/x-raw-disk\",\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\"sha256:%s\",\"size\":2},\"layers\":[{\"mediaType\":\"application/octet-stream\",\"digest\":\"sha256:%s\",\"size\":%s}]}' $config $layer $size > ../manifest
             put ../manifest
             printf '{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:%s\",\"size\":%s}]}' $sum $size > index.json
             printf x | dd of=blobs/sha256/$layer bs=1 seek=1000 conv=notrunc status=none",
        );
        },
    ),
];

fn flip(bench: &Bench, name: &str) {
    let bytes = bench.read(name);
    let at = bytes.len() / 2;
    bench.patch(name, at as u64, &[bytes[at] ^ 4]);
}

#[test]
fn each_class_is_refused_with_its_reason_and_leaves_nothing() {
    let mut wrong = Vec::new();
    for class in CLASSES {
        let bench = Bench::new();
        (class.make)(&bench);
        let mut words = vec!["import", class.file, "--name", "bad", "--version", "1"];
        words.extend(class.words);
        let out = bench.run(&words);
        let text = said(&out);
        if out.status.success() {
            wrong.push(format!("{}: it was taken: {text}", class.name));
            continue;
        }
        if text.contains("panicked") {
            wrong.push(format!("{}: {text}", class.name));
        }
        for word in class.says {
            if !text.contains(word) {
                wrong.push(format!("{}: {word:?} is not said: {text}", class.name));
            }
        }
        let listed = said(&bench.run(&["ls"]));
        if listed.contains("bad") {
            wrong.push(format!("{}: it is listed: {listed}", class.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} classes:\n{}",
        wrong.len(),
        CLASSES.len(),
        wrong.join("\n")
    );
}

/// What never ends is not waited for without end.
#[test]
fn an_endless_stream_ends_where_it_was_allowed_to() {
    let bench = Bench::new();
    let mut yes = std::process::Command::new("yes")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let words = [
        "import",
        "-",
        "--format",
        "raw",
        "--name",
        "bad",
        "--version",
        "1",
        "--max-size",
        "48MiB",
    ];
    let out = bench
        .command(&words)
        .stdin(yes.stdout.take().unwrap())
        .output()
        .unwrap();
    yes.kill().unwrap();
    yes.wait().unwrap();
    let text = said(&out);
    assert!(!out.status.success() && text.contains("48"), "{text}");
    assert!(!said(&bench.run(&["ls"])).contains("bad"));
}
