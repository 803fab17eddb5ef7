// SPDX-License-Identifier: Apache-2.0
//! Disks in files: qcow2, VMDK, VHD, VHDX.

use super::{Table, be32, be64, index, le32, le64, with};
use crate::{children, run, text};
use expect_test::expect_file;
use groundstate_api::image::ImageFormat::{Qcow2, Vhd, Vhdx, Vmdk};

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn qcow2() {
    let mut table = Table::new();
    let whole = table.made("qcow2", &[]);
    let (l1, cluster) = (index(be64(&whole, 40)), 65_536);
    let l2 = index(be64(&whole, l1) & 0x00ff_ffff_ffff_fe00);
    let far = (1u64 << 63 | 1 << 40).to_be_bytes();
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("cut within the header", whole[..60].to_vec()),
        ("version 4", with(&whole, 4, &4u32.to_be_bytes())),
        ("version 1", with(&whole, 4, &1u32.to_be_bytes())),
        (
            "clusters of 256 bytes",
            with(&whole, 20, &8u32.to_be_bytes()),
        ),
        ("clusters of 4 MiB", with(&whole, 20, &22u32.to_be_bytes())),
        (
            "a header of 100 bytes",
            with(&whole, 100, &100u32.to_be_bytes()),
        ),
        (
            "a header of 4 GiB",
            with(&whole, 100, &0xffff_fff8u32.to_be_bytes()),
        ),
        ("counts of 128 bits", with(&whole, 96, &7u32.to_be_bytes())),
        ("marked as corrupt", with(&whole, 72, &2u64.to_be_bytes())),
        (
            "an unknown incompatible feature",
            with(&whole, 72, &(1u64 << 40).to_be_bytes()),
        ),
        (
            "a data file without a name",
            with(&whole, 72, &4u64.to_be_bytes()),
        ),
        ("compression without its feature", with(&whole, 104, &[1])),
        (
            "a feature without compression",
            with(&whole, 72, &8u64.to_be_bytes()),
        ),
        (
            "an unknown compression",
            with(&with(&whole, 104, &[9]), 72, &8u64.to_be_bytes()),
        ),
        (
            "subclusters of 16 bytes",
            with(
                &with(&whole, 72, &16u64.to_be_bytes()),
                20,
                &9u32.to_be_bytes(),
            ),
        ),
        ("AES", with(&whole, 32, &1u32.to_be_bytes())),
        (
            "an unknown encryption",
            with(&whole, 32, &77u32.to_be_bytes()),
        ),
        (
            "a backing file outside the file",
            with(
                &whole,
                8,
                &[&u64::MAX.to_be_bytes()[..], &1000u32.to_be_bytes()].concat(),
            ),
        ),
        (
            "an extension beyond the cluster",
            with(
                &whole,
                112,
                &[0x6803_f857u32.to_be_bytes(), 0xffff_0000u32.to_be_bytes()].concat(),
            ),
        ),
        (
            "a size of 16 EiB",
            with(&whole, 24, &0xffff_ffff_ffff_fe00u64.to_be_bytes()),
        ),
        (
            "a size of 1,000 bytes",
            with(&whole, 24, &1000u64.to_be_bytes()),
        ),
        ("a size of nothing", with(&whole, 24, &0u64.to_be_bytes())),
        (
            "a size beyond its table",
            with(&whole, 24, &(1u64 << 40).to_be_bytes()),
        ),
        (
            "a table of 4 billion entries",
            with(&whole, 36, &u32::MAX.to_be_bytes()),
        ),
        (
            "a table beyond the file",
            with(&whole, 40, &(1u64 << 40).to_be_bytes()),
        ),
        (
            "a table within a cluster",
            with(&whole, 40, &(l1 as u64 + 512).to_be_bytes()),
        ),
        (
            "a table on the header",
            with(&whole, 40, &0u64.to_be_bytes()),
        ),
        ("no counts", with(&whole, 48, &0u64.to_be_bytes())),
        (
            "counts beyond the file",
            with(&whole, 48, &(1u64 << 40).to_be_bytes()),
        ),
        (
            "reserved bits in the first table",
            with(&whole, l1, &(1u64 << 60 | l2 as u64).to_be_bytes()),
        ),
        ("a second table beyond the file", with(&whole, l1, &far)),
        (
            "a second table that is the first",
            with(&whole, l1, &(1u64 << 63 | l1 as u64).to_be_bytes()),
        ),
        (
            "a second table within a cluster",
            with(&whole, l1, &(1u64 << 63 | (l2 as u64 + 512)).to_be_bytes()),
        ),
        (
            "reserved bits in an entry",
            with(&whole, l2, &(1u64 << 57).to_be_bytes()),
        ),
        ("a cluster beyond the file", with(&whole, l2, &far)),
        (
            "a cluster that is a table",
            with(&whole, l2, &(1u64 << 63 | l2 as u64).to_be_bytes()),
        ),
        (
            "a cluster that is the header",
            with(&whole, l2, &(1u64 << 62 | 1).to_be_bytes()),
        ),
        (
            "two places in one cluster",
            with(&whole, l2, &whole[l2 + 8..l2 + 16]),
        ),
        (
            "a compressed cluster beyond the file",
            with(&whole, l2, &(1u64 << 62 | 1 << 50).to_be_bytes()),
        ),
        (
            "cut within the data",
            whole[..whole.len() - 3 * cluster].to_vec(),
        ),
    ];
    for (class, bytes) in rows {
        table.refused(class, Qcow2, &bytes);
    }
    let words = b"a word or two ".repeat(100_000);
    let packed = table.made_of(&words, "qcow2", &["-c"]);
    let l2 = index(be64(&packed, index(be64(&packed, 40))) & 0x00ff_ffff_ffff_fe00);
    let at = index(be64(&packed, l2) & 0x0000_ffff_ffff_ffff);
    assert!(at < packed.len());
    table.refused(
        "a damaged compressed cluster",
        Qcow2,
        &with(&packed, at, &[0xff; 64]),
    );
    let parts = table.made("qcow2", &["-o", "extended_l2=on"]);
    let l2 = index(be64(&parts, index(be64(&parts, 40))) & 0x00ff_ffff_ffff_fe00);
    table.refused(
        "parts that are there and zero",
        Qcow2,
        &with(&parts, l2 + 8, &[0xff; 8]),
    );
    table.refused("parts of nothing", Qcow2, &with(&parts, l2, &[0; 8]));
    for (class, words) in [
        ("a backing file", "-u -b /etc/shadow -F raw"),
        (
            "an old backing file",
            "-u -b /etc/shadow -F raw -o compat=0.10",
        ),
        ("a remote backing file", "-u -b nbd://127.0.0.1:1/x -F raw"),
        (
            "LUKS",
            "--object secret,id=s,data=abcd -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10",
        ),
    ] {
        let path = table.at("FILE");
        let mut all = vec!["create", "-q", "-f", "qcow2"];
        all.extend(words.split(' '));
        all.extend([text(&path), "1M"]);
        run("qemu-img", &all);
        table.refused_at(class, Qcow2, &path);
    }
    let (path, data) = (table.at("FILE"), table.at("data"));
    let option = format!("data_file={}", text(&data));
    run(
        "qemu-img",
        &[
            "create",
            "-q",
            "-f",
            "qcow2",
            "-o",
            &option,
            text(&path),
            "1M",
        ],
    );
    table.refused_at("a data file", Qcow2, &path);
    expect_file!["qcow2.txt"].assert_eq(&table.rows);
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn vmdk() {
    let mut table = Table::new();
    let whole = table.made("vmdk", &[]);
    let directory = index(le64(&whole, 56) * 512);
    let grains = index(u64::from(le32(&whole, directory)) * 512);
    let far = 0x7fff_ffffu32.to_le_bytes();
    for (class, bytes) in [
        ("cut within the header", whole[..300].to_vec()),
        ("version 4", with(&whole, 4, &4u32.to_le_bytes())),
        (
            "unknown flags",
            with(&whole, 8, &0x0100_0003u32.to_le_bytes()),
        ),
        ("transferred as text", with(&whole, 75, b"\n\n")),
        (
            "an unknown compression",
            with(&whole, 77, &7u16.to_le_bytes()),
        ),
        ("grains of 3 sectors", with(&whole, 20, &3u64.to_le_bytes())),
        (
            "grains of 1 GiB",
            with(&whole, 20, &(1u64 << 21).to_le_bytes()),
        ),
        ("tables of nothing", with(&whole, 44, &0u32.to_le_bytes())),
        (
            "a size of 8 EiB",
            with(&whole, 12, &(1u64 << 54).to_le_bytes()),
        ),
        (
            "a directory beyond the file",
            with(&whole, 56, &(1u64 << 40).to_le_bytes()),
        ),
        (
            "a directory in the footer, and none",
            with(&whole, 56, &u64::MAX.to_le_bytes()),
        ),
        ("a table beyond the file", with(&whole, directory, &far)),
        (
            "a table that is the directory",
            with(&whole, directory, &whole[56..60]),
        ),
        ("a grain beyond the file", with(&whole, grains, &far)),
        (
            "a grain that is the header",
            with(&whole, grains, &[0, 0, 0, 0, 1, 0, 0, 0]),
        ),
        (
            "two places in one grain",
            with(&whole, grains, &whole[grains + 4..grains + 8]),
        ),
        (
            "cut within the data",
            whole[..whole.len() - 100_000].to_vec(),
        ),
        ("no descriptor", with(&whole, 28, &0u64.to_le_bytes())),
        ("an ESX delta disk", with(&whole, 0, b"COWD")),
        (
            "an SEsparse disk",
            with(&whole, 0, b"\xbe\xba\xfe\xca\0\0\0\0"),
        ),
    ] {
        table.refused(class, Vmdk, &bytes);
    }
    let stream = table.made("vmdk", &["-o", "subformat=streamOptimized"]);
    let directory = index(le64(&stream, 56) * 512);
    let grains = index(u64::from(le32(&stream, directory)) * 512);
    let first = index(u64::from(le32(&stream, grains)) * 512);
    for (class, bytes) in [
        ("a grain that is another's", with(&stream, first, &[9])),
        ("a grain of 4 GiB", with(&stream, first + 8, &[0xff; 4])),
        ("a damaged grain", with(&stream, first + 100, &[0xff; 64])),
        ("a grain whose sum differs", {
            let length = index(u64::from(le32(&stream, first + 8)));
            with(&stream, first + 12 + length - 2, &[0x5a])
        }),
    ] {
        table.refused(class, Vmdk, &bytes);
    }
    descriptors(&mut table);
    expect_file!["vmdk.txt"].assert_eq(&table.rows);
}

/// Disks in several files.
#[allow(clippy::too_many_lines, reason = "a table")]
fn descriptors(table: &mut Table) {
    std::fs::write(table.at("disk-flat.vmdk"), vec![7; 1 << 20]).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", table.at("link.vmdk")).unwrap();
    let descriptor = |kind: &str, more: &str| {
        format!(
            "# Disk DescriptorFile\nversion=1\nCID=12345678\ncreateType=\"{kind}\"\n{more}\n\nddb.adapterType = \"ide\"\n"
        )
    };
    let flat =
        |extent: &str| descriptor("monolithicFlat", &format!("parentCID=ffffffff\n{extent}"));
    let good = flat("RW 2048 FLAT \"disk-flat.vmdk\" 0");
    let path = table.at("good.vmdk");
    std::fs::write(&path, &good).unwrap();
    assert!(crate::read_file(Vmdk, &path).is_ok());
    for (class, text) in [
        ("an absolute extent", flat("RW 2048 FLAT \"/etc/shadow\" 0")),
        (
            "an extent in another folder",
            flat("RW 2048 FLAT \"../disk-flat.vmdk\" 0"),
        ),
        (
            "an extent behind a link",
            flat("RW 2048 FLAT \"link.vmdk\" 0"),
        ),
        (
            "an extent that is not there",
            flat("RW 2048 FLAT \"absent.vmdk\" 0"),
        ),
        (
            "an extent that is the folder",
            flat("RW 2048 FLAT \"..\" 0"),
        ),
        (
            "an extent that is too short",
            flat("RW 4096 FLAT \"disk-flat.vmdk\" 0"),
        ),
        (
            "an extent that is too long",
            flat("RW 1024 FLAT \"disk-flat.vmdk\" 0"),
        ),
        (
            "an extent twice",
            flat("RW 2048 FLAT \"disk-flat.vmdk\" 0\nRW 2048 FLAT \"disk-flat.vmdk\" 0"),
        ),
        (
            "an extent of 16 EiB",
            flat("RW 99999999999999999 FLAT \"disk-flat.vmdk\" 0"),
        ),
        (
            "an extent without access",
            flat("NOACCESS 2048 FLAT \"disk-flat.vmdk\" 0"),
        ),
        (
            "an extent of another type",
            flat("RW 2048 SPARSE \"disk-flat.vmdk\""),
        ),
        (
            "an extent of an unknown type",
            flat("RW 2048 VMFSSPARSE \"disk-flat.vmdk\""),
        ),
        ("no extent", flat("")),
        (
            "a device",
            descriptor(
                "fullDevice",
                "parentCID=ffffffff\nRW 2048 FLAT \"/dev/sda\" 0",
            ),
        ),
        (
            "a parent",
            descriptor(
                "monolithicFlat",
                "parentCID=aabbccdd\nparentFileNameHint=\"/etc/shadow\"\nRW 2048 FLAT \"disk-flat.vmdk\" 0",
            ),
        ),
        (
            "no word of a parent",
            descriptor("monolithicFlat", "RW 2048 FLAT \"disk-flat.vmdk\" 0"),
        ),
        (
            "encryption",
            descriptor(
                "monolithicFlat",
                "parentCID=ffffffff\nencryption.keySafe = \"vmware:key/list\"\nRW 2048 FLAT \"disk-flat.vmdk\" 0",
            ),
        ),
        (
            "two kinds",
            flat("createType=\"vmfs\"\nRW 2048 FLAT \"disk-flat.vmdk\" 0"),
        ),
        ("a line of nothing known", flat("what is this")),
        ("bytes after its end", format!("{good}\0x")),
    ] {
        table.refused(class, Vmdk, text.as_bytes());
    }
}

#[test]
fn vhd() {
    let mut table = Table::new();
    let fixed = table.made("vpc", &["-o", "subformat=fixed,force_size=on"]);
    let whole = table.made("vpc", &["-o", "subformat=dynamic,force_size=on"]);
    let end = whole.len() - 512;
    let blocks = index(be64(&whole, 512 + 16));
    let both = |at: usize, value: &[u8]| {
        let one = summed(&with(&whole, at, value), 0, 64);
        summed(&with(&one, end + at, value), end, end + 64)
    };
    for (class, bytes) in [
        (
            "a fixed disk that was cut",
            fixed[..fixed.len() - 1024].to_vec(),
        ),
        (
            "a fixed disk with something behind it",
            with(&fixed, fixed.len(), &[7; 512]),
        ),
        (
            "a fixed disk with a wrong sum",
            with(&fixed, fixed.len() - 512 + 64, &[1, 2, 3, 4]),
        ),
        ("something between a fixed disk and its footer", {
            let (disk, footer) = fixed.split_at(fixed.len() - 512);
            [disk, &[9; 4096], footer].concat()
        }),
        (
            "a wrong sum in the footer",
            with(&whole, end + 64, &[1, 2, 3, 4]),
        ),
        ("a wrong sum in the copy", with(&whole, 64, &[1, 2, 3, 4])),
        (
            "a wrong sum in both",
            with(&with(&whole, 64, &[1, 2, 3, 4]), end + 64, &[1, 2, 3, 4]),
        ),
        (
            "a wrong sum in the header",
            with(&whole, 512 + 36, &[1, 2, 3, 4]),
        ),
        ("cut off", whole[..end - 1000].to_vec()),
        ("something behind it", with(&whole, whole.len(), &[7; 700])),
        ("a size of 16 EiB", both(48, &[0xff; 8])),
        ("a type of 9", both(60, &9u32.to_be_bytes())),
        ("a differencing disk", both(60, &4u32.to_be_bytes())),
        (
            "a block beyond the file",
            with(&whole, blocks, &0x7fff_ffffu32.to_be_bytes()),
        ),
        (
            "a block on the table",
            with(
                &whole,
                blocks,
                &u32::try_from(blocks / 512).unwrap().to_be_bytes(),
            ),
        ),
        ("bytes under bits that are not set", {
            let bitmap = index(u64::from(be32(&whole, blocks)) * 512);
            with(&whole, bitmap, &[0; 16])
        }),
    ] {
        table.refused(class, Vhd, &bytes);
    }
    let child = children::vhd("/etc/shadow");
    table.refused("a disk over a parent", Vhd, &child);
    expect_file!["vhd.txt"].assert_eq(&table.rows);
}

/// The bytes with the sum of the footer at `at` put right.
fn summed(bytes: &[u8], at: usize, sum_at: usize) -> Vec<u8> {
    let zeroed = with(bytes, sum_at, &[0; 4]);
    let sum: u32 = zeroed[at..at + 512]
        .iter()
        .map(|byte| u32::from(*byte))
        .sum();
    with(&zeroed, sum_at, &(!sum).to_be_bytes())
}

#[test]
fn vhdx() {
    let mut table = Table::new();
    let whole = table.made("vhdx", &["-o", "block_size=1M"]);
    let kib = 1024;
    let both = with(&with(&whole, 64 * kib + 4, &[9; 4]), 128 * kib + 4, &[9; 4]);
    let regions = with(
        &with(&whole, 192 * kib + 4, &[9; 4]),
        256 * kib + 4,
        &[9; 4],
    );
    let table_at = |name: &[u8]| whole.windows(16).position(|window| window == name).unwrap();
    // The block table's region by its GUID, 2dc27766-f623-4200-9d64-115e9bfd4a08.
    let region = table_at(b"\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08");
    let blocks = index(le64(&whole, region + 16));
    for (class, bytes) in [
        ("no header that counts", both),
        ("no regions that count", regions),
        ("cut within the first MiB", whole[..500 * kib].to_vec()),
        (
            "cut within the data",
            whole[..whole.len() - 1000 * kib].to_vec(),
        ),
        (
            "a block beyond the file",
            with(&whole, blocks, &(6u64 | 1 << 45).to_le_bytes()),
        ),
        (
            "a block on the log",
            with(&whole, blocks, &(6u64 | 1 << 20).to_le_bytes()),
        ),
        (
            "a block of an unknown state",
            with(
                &whole,
                blocks,
                &(4u64 | le64(&whole, blocks) >> 3 << 3).to_le_bytes(),
            ),
        ),
        (
            "a block that is partly a parent's",
            with(
                &whole,
                blocks,
                &(7u64 | le64(&whole, blocks) >> 3 << 3).to_le_bytes(),
            ),
        ),
        ("another format", table.made("vpc", &[])),
    ] {
        table.refused(class, Vhdx, &bytes);
    }
    let child = children::vhdx("/etc/shadow");
    table.refused("a disk over a parent", Vhdx, &child);
    expect_file!["vhdx.txt"].assert_eq(&table.rows);
}
