// SPDX-License-Identifier: Apache-2.0
//! WIM files by wimlib, read back from the NTFS volume by ntfs-3g's tools.

use crate::{folder, has, made, sh, text};
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageKind};
use image_repo::facts::of_file;
use image_repo::roots::{PrepareOptions, RootsError};

#[test]
#[allow(clippy::too_many_lines)] // One disk, and everything that it tells.
fn an_image_of_a_wim_file_becomes_a_disk_with_an_ntfs_volume() {
    if !(has("wimlib-imagex") && has("ntfscat") && has("mkntfs")) {
        return;
    }
    let at = folder();
    let d = text(at.path());
    sh(&format!(
        "cd {d}; mkdir -p tree/Windows/System32; head -c 3000000 /dev/urandom > tree/Windows/System32/ntoskrnl.exe
        echo hello > tree/hello.txt
        wimlib-imagex capture tree all.wim 'First <1>' >/dev/null
        echo other > tree/other.txt; wimlib-imagex append tree all.wim Second >/dev/null"
    ));
    let wim = at.path().join("all.wim");
    let options = PrepareOptions {
        free: Bytes::mib(16),
        ..PrepareOptions::default()
    };
    let error = made(ImageFormat::Wim, &wim, &options, at.path(), "a").unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("First <1>") && said.contains("Second"),
        "{said}"
    );
    let second = PrepareOptions {
        wim_image: Some(2),
        ..options.clone()
    };
    let prepared = made(ImageFormat::Wim, &wim, &second, at.path(), "b").unwrap();
    println!("{:#?}", prepared.lines);
    assert!(
        prepared
            .lines
            .iter()
            .any(|line| line.contains("does not start yet"))
    );
    let disk = text(&prepared.path);
    sh(&format!("sgdisk -v {disk} | grep 'No problems found'"));
    let facts = of_file(&prepared.path).unwrap();
    println!("{}", facts.text(90, false));
    let kinds: Vec<_> = facts
        .partitions
        .iter()
        .map(|one| one.kind.as_str())
        .collect();
    assert_eq!(
        kinds,
        ["EFI system", "Microsoft reserved", "Microsoft basic data"]
    );
    let volume = &facts.partitions[2];
    assert_eq!(volume.file_system.as_ref().unwrap().kind, "ntfs");
    let ntfs = text(at.path().join("ntfs"));
    sh(&format!(
        "dd if={disk} of={ntfs} bs=1M skip={} conv=sparse status=none; truncate -s {} {ntfs}
        ntfscat {ntfs} /other.txt | cmp - {d}/tree/other.txt
        ntfscat {ntfs} /Windows/System32/ntoskrnl.exe | cmp - {d}/tree/Windows/System32/ntoskrnl.exe",
        volume.start.0 >> 20,
        volume.length.0
    ));
    let missing = PrepareOptions {
        wim_image: Some(3),
        ..options.clone()
    };
    let error = made(ImageFormat::Wim, &wim, &missing, at.path(), "c").unwrap_err();
    assert!(
        matches!(error, RootsError::WimNone { count: 2, .. }),
        "{error}"
    );
    let root = PrepareOptions {
        kind: ImageKind::RootFsExt4,
        ..second
    };
    let error = made(ImageFormat::Wim, &wim, &root, at.path(), "d").unwrap_err();
    assert!(matches!(error, RootsError::WimKind), "{error}");
    sh(&format!("head -c 20000 {d}/all.wim > {d}/cut.wim"));
    let cut = at.path().join("cut.wim");
    let error = made(ImageFormat::Wim, &cut, &options, at.path(), "e").unwrap_err();
    assert!(matches!(error, RootsError::Wim { .. }), "{error}");
}
