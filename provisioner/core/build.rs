// SPDX-License-Identifier: Apache-2.0
//! What the fold is made of, as one number: the sources of this crate and of the types that it folds. A snapshot that another
//! build wrote is not believed.

use std::path::{Path, PathBuf};

/// FNV-1a, 128 bits: it tells sources apart, and guards nothing.
struct Sum(u128);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u128::from(*byte);
            self.0 = self
                .0
                .wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}

fn main() {
    let here =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where we are"));
    let mut sum = Sum(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
    for folder in [here.join("src"), here.join("../../api/src")] {
        println!("cargo:rerun-if-changed={}", folder.display());
        take(&folder, &mut sum);
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=GROUNDSTATE_FOLD={:032x}", sum.0);
}

/// Every file below a folder, by name.
fn take(folder: &Path, sum: &mut Sum) {
    let entries = std::fs::read_dir(folder).expect("a folder of sources");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a source").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            take(&path, sum);
        } else {
            let name = path.file_name().unwrap_or_default();
            sum.add(name.as_encoded_bytes());
            sum.add(&std::fs::read(&path).expect("a source can be read"));
        }
    }
}
