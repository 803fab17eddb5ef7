// SPDX-License-Identifier: Apache-2.0
//! The TPM as sysfs shows it. Nothing is asked of the TPM itself.

use crate::sysfs::Tree;
use hw_core::machine::TpmFacts;

const ROOT: &str = "sys/class/tpm/tpm0";

/// The first TPM; a machine whose firmware describes one that the kernel does not show is named.
pub(crate) fn tpm(tree: &Tree, described: bool, missed: &mut Vec<String>) -> Option<TpmFacts> {
    if !tree.exists(ROOT) {
        if described {
            missed.push(format!(
                "TPM: the firmware describes one, and the kernel shows none at /{ROOT}"
            ));
        }
        return None;
    }
    let switch = |name: &str| {
        let value: Option<u32> = tree.number(&format!("{ROOT}/device/{name}"));
        value.map(|value| value == 1)
    };
    let (enabled, active) = (switch("enabled"), switch("active"));
    // Kernels before 5.6 have no version file; only a TPM 1.2 can be switched off and stay visible.
    let version: Option<u32> = tree.number(&format!("{ROOT}/tpm_version_major"));
    Some(TpmFacts {
        version: version.or(enabled.map(|_| 1)),
        description: tree
            .text(&format!("{ROOT}/device/description"))
            .unwrap_or_default(),
        enabled,
        active,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn a_tpm_is_read_and_a_hidden_one_is_named() {
        let fixture = Fixture::new();
        let mut missed = Vec::new();
        assert_eq!(tpm(&fixture.tree(), false, &mut missed), None);
        assert!(missed.is_empty());
        assert_eq!(tpm(&fixture.tree(), true, &mut missed), None);
        assert_eq!(missed.len(), 1);
        fixture.file(&format!("{ROOT}/tpm_version_major"), "2\n");
        let seen = tpm(&fixture.tree(), true, &mut missed).unwrap();
        assert_eq!((seen.version, seen.enabled), (Some(2), None));
        fixture.file(&format!("{ROOT}/device/active"), "0\n");
        assert_eq!(
            tpm(&fixture.tree(), true, &mut missed).unwrap().active,
            Some(false)
        );
    }
}
