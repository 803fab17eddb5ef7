// SPDX-License-Identifier: Apache-2.0
//! What we call what `blkid -p` calls otherwise. Everything else has blkid's name.

/// Our name and blkid's (`TYPE` or `PTTYPE`).
pub const ALIASES: &[(&str, &str)] = &[
    ("mbr", "dos"),
    ("mbr", "PMBR"),
    ("LUKS1", "crypto_LUKS"),
    ("LUKS2", "crypto_LUKS"),
    ("LVM2 PV", "LVM2_member"),
    ("linux_raid", "linux_raid_member"),
    ("zfs", "zfs_member"),
    ("ext journal", "jbd"),
];

/// Whether `ours` is what blkid calls `blkid`.
#[must_use]
pub fn is_same_name(ours: &str, blkid: &str) -> bool {
    let aliased = ALIASES.iter().any(|(one, _)| *one == ours);
    ALIASES.contains(&(ours, blkid)) || (!aliased && ours == blkid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stands_for_its_name_and_for_nothing_else() {
        assert!(is_same_name("mbr", "dos") && is_same_name("xfs", "xfs"));
        assert!(!is_same_name("mbr", "gpt") && !is_same_name("zfs", "zfs"));
    }
}
