// SPDX-License-Identifier: Apache-2.0
//! Disks that other programs wrote, from the corpus: read as QEMU reads them, or refused by name.

use super::*;
use std::path::PathBuf;

/// The corpus, or `None` where it is absent; with `CI` set it must be there.
fn corpus(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GROUNDSTATE_CORPUS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "no corpus at {}",
        path.display()
    );
    eprintln!("skipped: no corpus at {}", path.display());
    None
}

#[test]
fn disks_of_other_programs_are_read_as_qemu_reads_them_or_refused() {
    let Some(images) = corpus("disk-images") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for folder in std::fs::read_dir(images).unwrap() {
        let Ok(files) = std::fs::read_dir(folder.unwrap().path()) else {
            continue;
        };
        for file in files {
            let packed = file.unwrap().path();
            let name = packed.file_name().unwrap().to_str().unwrap().to_owned();
            let (program, name) = match (name.strip_suffix(".gz"), name.strip_suffix(".bz2")) {
                (Some(name), _) => ("zcat", name.to_owned()),
                (_, Some(name)) => ("bzcat", name.to_owned()),
                (None, None) => continue,
            };
            let format = match name.rsplit_once('.') {
                Some((_, "vhd")) => "vpc",
                Some((_, "vhdx")) => "vhdx",
                Some(_) | None => continue,
            };
            let path = dir.path().join(&name);
            let unpacked = Command::new(program).arg(&packed).output().unwrap();
            assert!(unpacked.status.success(), "{program} {packed:?}");
            std::fs::write(&path, unpacked.stdout).unwrap();
            seen += 1;
            judge(&path, format);
        }
    }
    assert!(seen > 0, "no VHD in the corpus");
}

/// Read right, or refused by name; never something third.
fn judge(path: &Path, format: &str) {
    let raw = path.with_extension("raw");
    match convert(&request(path, None, &raw, Target::Raw), &mut |_, _| {}) {
        Ok(done) => {
            same(path, format, &raw, "raw");
            let found = info(path, None).unwrap();
            assert_eq!(found.size, done.size);
            println!("{}: {:?} bytes {}", path.display(), found.kind, found.size);
            let checked = check(path, None, &Parents::default()).unwrap();
            println!("{:?}", checked.faults);
        }
        Err(error @ (VirtualDiskError::Vhd { .. } | VirtualDiskError::Vhdx { .. })) => {
            println!("refused: {error}");
        }
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
