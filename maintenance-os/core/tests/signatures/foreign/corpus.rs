// SPDX-License-Identifier: Apache-2.0
//! The captures of util-linux, unpacked.

use super::{Foreign, command, skipped};
use std::fs;
use std::path::{Path, PathBuf};

pub(super) fn all(dir: &Path) -> Vec<Foreign> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|folder| folder.join("clippy.toml").is_file())
        .expect("the workspace's root")
        .join("../shared/data");
    let root = std::env::var_os("GROUNDSTATE_CORPUS").map_or(root, PathBuf::from);
    let root = root.join("disk-images/util-linux-blkid");
    let mut all = Vec::new();
    for folder in ["images-fs", "images-pt"] {
        let Ok(entries) = fs::read_dir(root.join(folder)) else {
            skipped(&format!("no captures at {}", root.join(folder).display()));
            continue;
        };
        for entry in entries {
            let packed = entry.expect("an entry").path();
            let name = packed
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let output = command("xz")
                .arg("-dc")
                .arg(&packed)
                .output()
                .expect("xz runs");
            assert!(output.status.success(), "xz -dc {}", packed.display());
            let path = dir.join(format!("capture-{name}"));
            fs::write(&path, output.stdout).expect("a file is written");
            all.push(Foreign {
                origin: format!("capture {name}"),
                path,
                expected: None,
            });
        }
    }
    all
}
