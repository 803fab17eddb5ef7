// SPDX-License-Identifier: Apache-2.0
//! Leaves the first-boot data in the host's root file system.

use super::contents::Contents;
use super::place::place;
use crate::mount::{Access, Mounted};
use groundstate_api::host::{HostSeed, SEED_PATH};
use groundstate_api::{Reason, ReasonCode};
use std::path::Path;

/// Mounts the root partition, writes the seed (mode 0600), and unmounts. The facts hold no secret.
///
/// # Errors
/// The partition cannot be mounted, is full, or does not write.
pub fn place_seed(root_partition: &Path, seed: &HostSeed) -> Result<Vec<String>, Reason> {
    let root = Mounted::new(root_partition, "root", "ext4", Access::ReadWrite)?;
    let facts = place_seed_in(root.path(), seed)?;
    root.finish()?;
    Ok(facts)
}

/// The same in a directory that holds the host's root.
///
/// # Errors
/// The directory is full, does not write, or leads out of itself.
pub fn place_seed_in(root: &Path, seed: &HostSeed) -> Result<Vec<String>, Reason> {
    let bytes = serde_json::to_vec_pretty(seed).map_err(|error| {
        Reason::new(
            ReasonCode::Internal,
            "the host's first-boot data cannot be written down",
            "report it with the node's log",
        )
        .seen(error.to_string())
    })?;
    place(
        root,
        SEED_PATH,
        &Contents::Bytes(bytes.into()),
        0o600,
        0o700,
    )?;
    Ok(vec![format!(
        "first-boot data for {}: {} volume(s), certificate and key in /{SEED_PATH}, readable by root only",
        seed.node,
        seed.volumes.len()
    )])
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::boot::Firmware;
    use groundstate_api::host::NetworkBoot;
    use groundstate_api::{MacAddr, SCHEMA};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn seed() -> HostSeed {
        HostSeed {
            schema: SCHEMA,
            node: "node1".parse().unwrap(),
            run: "run-1".parse().unwrap(),
            plan: "ab".repeat(32).parse().unwrap(),
            provisioner: "https://10.77.0.1:8443".into(),
            others: Vec::new(),
            ca_pem: "CA".into(),
            certificate_pem: "CERT".into(),
            key_pem: "SECRET".into(),
            root_guid: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B".into(),
            volumes: vec![],
            network_boot: NetworkBoot {
                mac: MacAddr([2, 0, 0, 0, 0, 1]),
                firmware: Firmware::UefiHttp,
            },
            same_host: false,
            epoch: 1,
            adopted: false,
        }
    }

    #[test]
    fn the_seed_is_for_root_only_reads_back_and_is_not_in_the_facts() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/lib")).unwrap();
        for _ in 0..2 {
            let facts = place_seed_in(root.path(), &seed()).unwrap();
            assert!(!facts.join("\n").contains("SECRET"));
        }
        let path = root.path().join(SEED_PATH);
        let back: HostSeed = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(back, seed());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "no temporary name stays"
        );
    }

    #[test]
    fn a_link_in_the_image_leads_nowhere() {
        let (root, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir_all(root.path().join("var")).unwrap();
        symlink(elsewhere.path(), root.path().join("var/lib")).unwrap();
        assert_eq!(
            place_seed_in(root.path(), &seed()).unwrap_err().code,
            ReasonCode::PlanRefused
        );
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}
