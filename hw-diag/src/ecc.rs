// SPDX-License-Identifier: Apache-2.0
//! Memory errors that the kernel's EDAC drivers counted since this boot.

use crate::sysfs::{Tree, below};

/// The counters of one DIMM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EccCount {
    /// The slot's name, where the driver knows it, else controller and DIMM number.
    pub slot: String,
    /// Corrected errors.
    pub corrected: u64,
    /// Uncorrected errors.
    pub uncorrected: u64,
}

/// The counters of every DIMM; empty where no EDAC driver has bound (non-ECC memory, virtual machines).
#[must_use]
pub fn counts() -> Vec<EccCount> {
    read(&Tree::machine())
}

fn read(tree: &Tree) -> Vec<EccCount> {
    const ROOT: &str = "sys/devices/system/edac/mc";
    let mut counts = Vec::new();
    for controller in tree.names(ROOT).unwrap_or_default() {
        let controller_path = below(ROOT, &controller);
        let names = tree.names(&controller_path).unwrap_or_default();
        for dimm in names
            .iter()
            .filter(|name| name.starts_with("dimm") || name.starts_with("rank"))
        {
            let file = |name: &str| below(&below(&controller_path, dimm), name);
            counts.push(EccCount {
                slot: tree
                    .text(&file("dimm_label"))
                    .unwrap_or_else(|| format!("{controller} {dimm}")),
                corrected: tree.number(&file("dimm_ce_count")).unwrap_or(0),
                uncorrected: tree.number(&file("dimm_ue_count")).unwrap_or(0),
            });
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_per_dimm() {
        let root = tempfile::tempdir().unwrap();
        let dimm = root.path().join("sys/devices/system/edac/mc/mc0/dimm1");
        std::fs::create_dir_all(&dimm).unwrap();
        for (name, value) in [
            ("dimm_label", "A2\n"),
            ("dimm_ce_count", "3\n"),
            ("dimm_ue_count", "1\n"),
        ] {
            std::fs::write(dimm.join(name), value).unwrap();
        }
        let counts = read(&Tree::at(root.path()));
        assert_eq!(
            counts,
            [EccCount {
                slot: "A2".into(),
                corrected: 3,
                uncorrected: 1
            }]
        );
    }
}
