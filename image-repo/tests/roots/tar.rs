// SPDX-License-Identifier: Apache-2.0
//! Archives by GNU tar, made into root file systems and disks, and judged by e2fsck, debugfs, fsck.vfat and sgdisk.

use crate::{folder, linux, made, sh, text};
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageKind};
use image_repo::facts::of_file;
use image_repo::roots::{PrepareOptions, RootsError, RootsInput, prepare};
use image_repo::{ImportRequest, RawFile, Repository};
use std::path::{Path, PathBuf};

fn root_fs() -> PrepareOptions {
    PrepareOptions {
        kind: ImageKind::RootFsExt4,
        free: Bytes::mib(16),
        cmdline: "quiet".into(),
        ..PrepareOptions::default()
    }
}

/// The tree's archive, with owners, a device and attributes that only root could put on a disk.
fn archive(at: &Path) -> PathBuf {
    let tree = linux(at);
    let (t, d) = (text(&tree), text(at));
    sh(&format!(
        "fakeroot bash -euc 'mknod {t}/dev/null c 1 3; chmod 666 {t}/dev/null; mkfifo {t}/dev/pipe; touch -d @1700000000 {t}/dev/null {t}/dev/pipe {t}/dev
        chown -R 0:0 {t}; chown 1000:100000 {t}/usr/bin/suid; chmod 4755 {t}/usr/bin/suid
        cd {t}; tar --sort=name --sparse --format=gnu -cf {d}/root.tar .'"
    ));
    at.join("root.tar")
}

#[test]
fn an_archive_becomes_a_clean_root_file_system_with_all_it_says() {
    let at = folder();
    let tar = archive(at.path());
    let prepared = made(ImageFormat::Tar, &tar, &root_fs(), at.path(), "one").unwrap();
    println!("{:#?}", prepared.lines);
    let fs = text(&prepared.path);
    sh(&format!("e2fsck -fn {fs}"));
    let stat = |name: &str| sh(&format!("debugfs -R 'stat {name}' {fs} 2>/dev/null"));
    let suid = stat("/usr/bin/hard");
    for word in [
        "Mode:  04755",
        "User:  1000",
        "Group: 100000",
        "Links: 2",
        "mtime: 0x6553f100",
    ] {
        assert!(suid.contains(word), "{word}: {suid}");
    }
    assert!(stat("/dev/null").contains("Device major/minor number: 01:03"));
    assert!(stat("/dev/pipe").contains("Type: FIFO"));
    assert!(stat("/etc/os-release").contains("../usr/lib/os-release"));
    assert!(stat("\"/a folder\"").contains("mtime: 0x6553f100"));
    let hard = sh(&format!(
        "debugfs -R 'cat \"/a folder/<12>/<2>\"' {fs} 2>/dev/null"
    ));
    assert_eq!(hard, "two\n");
    // Every byte of every file is there.
    let out = text(at.path().join("out"));
    let tree = text(at.path().join("tree"));
    sh(&format!(
        "mkdir {out}; debugfs -R 'rdump / {out}' {fs} 2>/dev/null >&2; rm -rf {out}/lost+found; cd {tree}
        find . -type f ! -path './dev/*' -exec cmp {{}} {out}/{{}} \\;
        diff <(cd {tree}; find . ! -path './dev/*' | sort) <(cd {out}; find . ! -path './dev/*' | sort)"
    ));
    let facts = of_file(&prepared.path).unwrap();
    assert_eq!(facts.os.unwrap().version, "12");
    let boot = prepared.boot.clone().unwrap();
    assert_eq!(
        std::fs::read(&boot.kernel).unwrap(),
        std::fs::read(at.path().join("tree/boot/vmlinuz-6.1.0-44-amd64")).unwrap()
    );
    assert!(
        prepared
            .lines
            .iter()
            .any(|line| line.contains("6.1.0-44-amd64"))
    );
    let repository = Repository::open(&at.path().join("repository")).unwrap();
    let request = ImportRequest {
        name: "from-tar",
        version: "1",
        kind: prepared.kind,
        format: ImageFormat::Tar,
        sector_size: 512,
        chunk_size: None,
        boot: Some(boot.borrowed()),
    };
    let mut content = RawFile::open(&prepared.path).unwrap();
    repository
        .import(&request, &mut content, &mut |_, _| {})
        .unwrap();
}

#[test]
fn the_same_archive_makes_the_same_bytes_however_it_is_compressed() {
    let at = folder();
    let tar = archive(at.path());
    let t = text(&tar);
    sh(&format!("gzip -k1 {t}; zstd -q -k {t}; xz -k0 {t}"));
    let first = made(ImageFormat::Tar, &tar, &root_fs(), at.path(), "plain").unwrap();
    for ending in ["gz", "zst", "xz"] {
        let input = at.path().join(format!("root.tar.{ending}"));
        let again = made(ImageFormat::Tar, &input, &root_fs(), at.path(), ending).unwrap();
        sh(&format!("cmp {} {}", text(&first.path), text(&again.path)));
    }
    // The same through a pipe, with other formats of tar, and attributes.
    let pax = at.path().join("pax.tar");
    let (p, tree) = (text(&pax), text(at.path().join("tree")));
    sh(&format!(
        "setfattr -n user.colour -v blue {tree}/usr/bin/init || true
        cd {tree}; tar --sort=name --owner=0 --group=0 --exclude=./dev/* --xattrs --sparse --format=pax -cf {p} ."
    ));
    let scratch = at.path().join("pipe");
    std::fs::create_dir(&scratch).unwrap();
    let mut stream = std::fs::File::open(&pax).unwrap();
    let prepared = prepare(
        ImageFormat::Tar,
        RootsInput::Stream(&mut stream),
        &root_fs(),
        &scratch,
        &mut |_, _| {},
    )
    .unwrap();
    let fs = text(&prepared.path);
    sh(&format!("e2fsck -fn {fs}"));
    let sparse = text(at.path().join("sparse"));
    sh(&format!(
        "debugfs -R 'dump /usr/sparse {sparse}' {fs} 2>/dev/null; cmp {sparse} {tree}/usr/sparse"
    ));
    let had = sh(&format!(
        "getfattr -n user.colour --only-values {tree}/usr/bin/init 2>/dev/null || true"
    ));
    if had == "blue" {
        let stat = sh(&format!("debugfs -R 'stat /usr/bin/init' {fs} 2>/dev/null"));
        assert!(stat.contains("user.colour (4) = \"blue\""), "{stat}");
    }
}

#[test]
#[allow(clippy::too_many_lines)] // One disk, and everything that it tells.
fn an_archive_becomes_a_whole_disk_that_the_tools_find_clean() {
    let at = folder();
    let tar = archive(at.path());
    for sector_size in [512u32, 4096] {
        let options = PrepareOptions {
            sector_size,
            free: Bytes::mib(16),
            ..PrepareOptions::default()
        };
        let name = format!("disk{sector_size}");
        let prepared = made(ImageFormat::Tar, &tar, &options, at.path(), &name).unwrap();
        println!("{:#?}", prepared.lines);
        let again = made(
            ImageFormat::Tar,
            &tar,
            &options,
            at.path(),
            &format!("{name}b"),
        )
        .unwrap();
        let d = text(&prepared.path);
        sh(&format!("cmp {d} {}", text(&again.path)));
        if sector_size == 512 {
            sh(&format!("sgdisk -v {d} | grep 'No problems found'"));
        }
        let facts = of_file(&prepared.path).unwrap();
        println!("{}", facts.text(90, false));
        assert_eq!(facts.sector_size, Some(sector_size));
        assert_eq!(facts.notes, Vec::<String>::new());
        assert_eq!(facts.loaders[0].path, r"\EFI\BOOT\BOOTX64.EFI");
        assert_eq!(facts.loader_entries, ["/loader/entries/image.conf"]);
        let [esp, root] = facts.partitions.as_slice() else {
            panic!("{:?}", facts.partitions);
        };
        let cut = |part: &image_core::facts::PartitionFacts, to: &str| {
            let to = text(at.path().join(to));
            sh(&format!(
                "dd if={d} of={to} bs=1M skip={} count={} conv=sparse status=none; truncate -s {} {to}",
                part.start.0 >> 20,
                part.length.0 >> 20,
                part.length.0
            ));
            to
        };
        let (esp, root) = (cut(esp, "esp"), cut(root, "root"));
        sh(&format!("fsck.vfat -n {esp}; e2fsck -fn {root}"));
        let entry = sh(&format!("mtype -i {esp} ::loader/entries/image.conf"));
        assert!(
            entry.contains("linux /linux") && entry.contains("root=PARTUUID="),
            "{entry}"
        );
        if sector_size == 512 {
            let guid = sh(&format!(
                "sgdisk -i 2 {d} | sed -n 's/Partition unique GUID: //p'"
            ));
            assert!(
                entry.contains(&guid.trim().to_lowercase()),
                "{entry} {guid}"
            );
        }
        let kernel = text(at.path().join("kernel"));
        sh(&format!(
            "rm -f {kernel}; mcopy -i {esp} ::linux {kernel}; cmp {kernel} {}",
            text(at.path().join("tree/boot/vmlinuz-6.1.0-44-amd64"))
        ));
        sh(&format!(
            "rm -rf {} {esp} {root}",
            text(at.path().join(format!("{name}b")))
        ));
    }
    let small = PrepareOptions {
        size: Some(Bytes::mib(300)),
        ..PrepareOptions::default()
    };
    let refused = made(ImageFormat::Tar, &tar, &small, at.path(), "small").unwrap_err();
    assert!(matches!(refused, RootsError::TooSmall { .. }), "{refused}");
    let stated = PrepareOptions {
        size: Some(Bytes::gib(1)),
        ..PrepareOptions::default()
    };
    let prepared = made(ImageFormat::Tar, &tar, &stated, at.path(), "stated").unwrap();
    assert_eq!(std::fs::metadata(&prepared.path).unwrap().len(), 1 << 30);
}

/// Archives that lie, each by its name.
fn lies(at: &Path) {
    let d = text(at);
    let t = text(archive(at));
    sh(&format!(
        r"cd {d}; echo x > x; mkdir -p l/lib; echo y > l/lib/y; mkdir k; ln -s /tmp k/lib
        tar -P -cf absolute.tar --transform 's,^,/tmp/groundstate-roots-,' x
        tar -P -cf dots.tar --transform 's,^,a/../../,' x
        tar -C k -cf through.tar lib; tar -C l -rf through.tar lib/y
        ln x z; tar -cf hard.tar x z; tar --delete -f hard.tar x
        head -c 100000 {t} > cut.tar
        head -c 1536 {t} > edge.tar
        gzip -k1 {t}; head -c 200000 {t}.gz > cut.tar.gz
        bzip2 -k {t} 2>/dev/null || printf 'BZh9' > root.tar.bz2
        cp {t} trailing.tar; echo more >> trailing.tar
        cp {t} flipped.tar; printf 'Z' | dd of=flipped.tar bs=1 seek=110 conv=notrunc status=none
        truncate -s 1M disk.tar; echo something >> disk.tar
        printf 'nothing that is an archive, but long enough to have a head %0600d' 1 > words.tar
        tar --sparse --format=posix --sparse-version=0.1 -C tree/usr -cf old.tar sparse
        tar --format=posix --pax-option=SCHILY.xattr.user.big:=$(head -c 5000 /dev/zero | tr '\0' v) -cf large.tar x
        fakeroot bash -c 'mknod odd b 259 70000; tar -cf device.tar odd'
        : > empty.tar; tar -cf none.tar -T /dev/null
        head -c 600M /dev/zero | tr '\0' 'A' > bomb; tar -c bomb | zstd -q -19 > bomb.tar.zst; rm bomb"
    ));
}

#[test]
fn archives_that_lie_are_refused_and_nothing_is_written_elsewhere() {
    let at = folder();
    lies(at.path());
    let tar = at.path().join("root.tar");
    let refused = |name: &str| {
        let input = at.path().join(name);
        let scratch = format!("s-{name}");
        let error = made(ImageFormat::Tar, &input, &root_fs(), at.path(), &scratch).unwrap_err();
        println!("{name}: {error}");
        std::fs::remove_dir_all(at.path().join(scratch)).unwrap();
        error
    };
    assert!(matches!(
        refused("absolute.tar"),
        RootsError::Name {
            why: "absolute",
            ..
        }
    ));
    assert!(matches!(refused("dots.tar"), RootsError::Name { .. }));
    assert!(matches!(
        refused("through.tar"),
        RootsError::ThroughLink { .. }
    ));
    assert!(matches!(refused("hard.tar"), RootsError::HardLink { .. }));
    assert!(matches!(
        refused("cut.tar"),
        RootsError::CutOff { .. } | RootsError::Archive { .. }
    ));
    assert!(matches!(refused("edge.tar"), RootsError::CutOff { .. }));
    assert!(matches!(
        refused("cut.tar.gz"),
        RootsError::CutOff { .. } | RootsError::Archive { .. }
    ));
    assert!(matches!(
        refused("root.tar.bz2"),
        RootsError::Compression { how: "bzip2" }
    ));
    assert!(matches!(
        refused("trailing.tar"),
        RootsError::Trailing { .. }
    ));
    for not in ["flipped.tar", "words.tar", "disk.tar"] {
        let error = refused(not);
        assert!(matches!(error, RootsError::NotAnArchive { .. }), "{error}");
    }
    assert!(matches!(refused("empty.tar"), RootsError::CutOff { .. }));
    assert!(matches!(refused("old.tar"), RootsError::OldSparse { name } if name == "sparse"));
    assert!(matches!(refused("large.tar"), RootsError::Attributes { name, .. } if name == "x"));
    assert!(matches!(
        refused("device.tar"),
        RootsError::Field {
            what: "the device number",
            ..
        }
    ));
    assert!(matches!(refused("none.tar"), RootsError::Empty));
    assert!(matches!(refused("bomb.tar.zst"), RootsError::Bomb { .. }));
    assert!(!Path::new("/tmp/groundstate-roots-x").exists());
    let small = PrepareOptions {
        max_size: Bytes::mib(1),
        ..root_fs()
    };
    let error = made(ImageFormat::Tar, &tar, &small, at.path(), "max").unwrap_err();
    assert!(matches!(error, RootsError::TooLarge { .. }), "{error}");
}

#[test]
fn what_boots_is_found_or_asked_for_by_its_option() {
    let at = folder();
    let tar = archive(at.path());
    let t = text(&tar);
    sh(&format!(
        "tar --delete -f {t} ./boot/initrd.img-6.1.0-44-amd64"
    ));
    let error = made(ImageFormat::Tar, &tar, &root_fs(), at.path(), "a").unwrap_err();
    assert!(error.to_string().contains("--initrd"), "{error}");
    let initrd = at.path().join("tree/boot/initrd.img-6.1.0-44-amd64");
    let with = PrepareOptions {
        initrd: Some(initrd.clone()),
        ..root_fs()
    };
    let prepared = made(ImageFormat::Tar, &tar, &with, at.path(), "b").unwrap();
    assert_eq!(prepared.boot.unwrap().initrd, initrd);
    sh(&format!(
        "tar --delete -f {t} ./usr/lib/systemd/boot/efi/systemd-bootx64.efi"
    ));
    let error = made(ImageFormat::Tar, &tar, &with, at.path(), "c").unwrap_err();
    assert!(matches!(error, RootsError::NoBootLoader), "{error}");
    let words = PrepareOptions {
        boot_loader: Some(initrd),
        ..with
    };
    let error = made(ImageFormat::Tar, &tar, &words, at.path(), "d").unwrap_err();
    assert!(
        matches!(&error, RootsError::BootFile { .. })
            && error.to_string().contains("it is a cpio archive"),
        "{error}"
    );
    sh(&format!("tar --delete -f {t} ./boot"));
    let error = made(ImageFormat::Tar, &tar, &root_fs(), at.path(), "e").unwrap_err();
    assert!(matches!(error, RootsError::NoKernel), "{error}");
}
