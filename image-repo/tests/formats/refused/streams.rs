// SPDX-License-Identifier: Apache-2.0
//! Compressed streams, and files that are not what they are stated to be.

use super::{Table, with};
use crate::{noise, run, text};
use expect_test::expect_file;
use groundstate_api::image::ImageFormat::{
    Oci, Qcow2, Raw, RawGzip, RawXz, RawZstd, Tar, Vhd, Vhdx, Vmdk, Wim,
};
use image_repo::formats::name;

#[test]
fn streams() {
    let mut table = Table::new();
    let raw = table.at("raw");
    std::fs::write(&raw, noise(1, 200_000)).unwrap();
    for (format, program) in [(RawZstd, "zstd"), (RawGzip, "gzip"), (RawXz, "xz")] {
        let whole = run(program, &["-c", "-q", text(&raw)]);
        let middle = whole.len() / 2;
        for (class, bytes) in [
            ("cut off", whole[..whole.len() - 5].to_vec()),
            ("cut in the middle", whole[..middle].to_vec()),
            ("something behind it", [&whole[..], b"garbage"].concat()),
            ("damaged in the middle", with(&whole, middle, &[0x5a; 16])),
            ("nothing", Vec::new()),
            ("noise", noise(3, 1000)),
        ] {
            table.refused(&format!("{program}, {class}"), format, &bytes);
        }
    }
    expect_file!["streams.txt"].assert_eq(&table.rows);
}

#[test]
fn other_formats_than_stated() {
    let mut table = Table::new();
    let raw = table.at("plain");
    std::fs::write(&raw, noise(1, 100_000)).unwrap();
    let qcow2 = table.made("qcow2", &[]);
    let mut files = vec![
        ("qcow2", qcow2.clone()),
        ("vmdk", table.made("vmdk", &[])),
        ("vhd", table.made("vpc", &[])),
        ("fixed vhd", table.made("vpc", &["-o", "subformat=fixed"])),
        ("vhdx", table.made("vhdx", &[])),
        ("vdi", table.made("vdi", &[])),
        ("qed", table.made("qed", &[])),
        ("qcow", table.made("qcow", &[])),
        (
            "tar",
            run("tar", &["-cf", "-", "-C", text(table.dir.path()), "plain"]),
        ),
        ("wim", with(&[0; 4096], 0, b"MSWIM\0\0\0")),
        ("bzip2", run("bzip2", &["-c", text(&raw)])),
    ];
    for program in ["gzip", "zstd", "xz"] {
        files.push((program, run(program, &["-c", "-q", text(&raw)])));
    }
    for (class, bytes) in &files {
        for stated in [Raw, Qcow2, RawGzip] {
            let own = matches!((*class, stated), ("qcow2", Qcow2) | ("gzip", RawGzip));
            if !own {
                table.refused(
                    &format!("{class} stated as {}", name(stated)),
                    stated,
                    bytes,
                );
            }
        }
    }
    for stated in [Vmdk, Vhd, Vhdx, RawZstd, RawXz, Tar, Oci, Wim] {
        table.refused(&format!("qcow2 stated as {}", name(stated)), stated, &qcow2);
        let noise = noise(1, 2000);
        table.refused(&format!("noise stated as {}", name(stated)), stated, &noise);
    }
    // Packed, it is as little a disk's bytes.
    let inner = table.at("inner");
    std::fs::write(&inner, &qcow2).unwrap();
    let packed = run("gzip", &["-c", text(&inner)]);
    table.refused("qcow2 in gzip", RawGzip, &packed);
    std::fs::write(&inner, &files[3].1).unwrap();
    let packed = run("zstd", &["-c", "-q", text(&inner)]);
    table.refused("fixed vhd in zstd", RawZstd, &packed);
    expect_file!["stated.txt"].assert_eq(&table.rows);
}
