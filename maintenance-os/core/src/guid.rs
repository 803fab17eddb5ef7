// SPDX-License-Identifier: Apache-2.0
//! GUIDs that follow from a seed (RFC 9562, version 8), and the byte order in which GPT stores them.
//!
//! Nothing here is random: the same seed, serial number and purpose give the same GUID on every machine.

use alloc::format;
use alloc::string::String;
use groundstate_api::Digest;
use sha2::Digest as _;

/// A GUID in the byte order of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

/// What a derived identity is for; two purposes never give the same identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The disk's own GUID in its GPT header.
    Disk,
    /// The partition with this number, from 1.
    Partition(u16),
    /// The file system in the partition with this number, from 1.
    FileSystem(u16),
    /// The VHD with this index on its volume, from 0.
    Vhd(u16),
}

impl Purpose {
    const fn bytes(self) -> [u8; 3] {
        let (kind, number) = match self {
            Self::Disk => (1, 0),
            Self::Partition(number) => (2, number),
            Self::FileSystem(number) => (3, number),
            Self::Vhd(index) => (4, index),
        };
        let [high, low] = number.to_be_bytes();
        [kind, high, low]
    }
}

impl Guid {
    /// The version 8 GUID for `purpose` on the disk with this serial number.
    #[must_use]
    pub fn derived(seed: &Digest, serial: &str, purpose: Purpose) -> Self {
        Self::version_8(derived(seed, serial, purpose))
    }

    fn version_8(hash: [u8; 32]) -> Self {
        let mut bytes = [0u8; 16];
        for (to, from) in bytes.iter_mut().zip(hash) {
            *to = from;
        }
        let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
        *version = *version & 0x0f | 0x80;
        *variant = *variant & 0x3f | 0x80;
        Self(bytes)
    }

    /// Whether it is one that [`Guid::derived`] gives: version 8 of RFC 9562, which nothing else writes into partition tables.
    #[must_use]
    pub const fn is_derived(self) -> bool {
        let [_, _, _, _, _, _, version, _, variant, ..] = self.0;
        version & 0xf0 == 0x80 && variant & 0xc0 == 0x80
    }

    /// The version 8 GUID that follows from this one for what `word` names: the first 16 bytes of the SHA-256 of
    /// `groundstate guid of a guid 1`, a zero, this GUID's 16 bytes in the order of its text, and the word. Where a format
    /// wants more identities of one thing than the plan names, the others follow from the one that it names.
    #[must_use]
    pub fn following(self, word: &str) -> Self {
        let mut hash = sha2::Sha256::new();
        hash.update(b"groundstate guid of a guid 1\0");
        hash.update(self.0);
        hash.update(word.as_bytes());
        let hash: [u8; 32] = hash.finalize().into();
        Self::version_8(hash)
    }

    /// Reads `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, in either case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<groundstate_api::SystemUuid>()
            .ok()
            .map(|uuid| Self(uuid.0))
    }

    /// From the sixteen bytes as GPT stores them: the first three fields are little-endian (UEFI 2.10, appendix A).
    #[must_use]
    pub const fn from_gpt(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Self([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
    }

    /// The sixteen bytes as GPT stores them.
    #[must_use]
    pub const fn to_gpt(self) -> [u8; 16] {
        Self::from_gpt(self.0).0
    }

    /// Lower-case text, as file systems and VHDs write it.
    #[must_use]
    pub fn lower(self) -> String {
        format!("{}", groundstate_api::SystemUuid(self.0))
    }

    /// Upper-case text, as partition tables write it.
    #[must_use]
    pub fn upper(self) -> String {
        self.lower().to_ascii_uppercase()
    }
}

/// A FAT volume id for `purpose` on the disk with this serial number.
#[must_use]
pub fn volume_id(seed: &Digest, serial: &str, purpose: Purpose) -> u32 {
    derived(seed, serial, purpose)
        .iter()
        .take(4)
        .fold(0, |id, byte| id << 8 | u32::from(*byte))
}

fn derived(seed: &Digest, serial: &str, purpose: Purpose) -> [u8; 32] {
    let mut hash = sha2::Sha256::new();
    hash.update(b"groundstate guid 1\0");
    hash.update(seed.0);
    hash.update(purpose.bytes());
    hash.update(serial.as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;

    #[test]
    fn derived_guids_are_version_8_and_differ_by_purpose() {
        let seed = Digest::of(b"seed");
        let all = [
            Purpose::Disk,
            Purpose::Partition(1),
            Purpose::Partition(2),
            Purpose::FileSystem(1),
            Purpose::Vhd(0),
        ]
        .map(|purpose| Guid::derived(&seed, "GS-1", purpose).upper());
        for (index, text) in all.iter().enumerate() {
            assert_eq!(text.as_bytes()[14], b'8', "{text}");
            assert!(b"89AB".contains(&text.as_bytes()[19]), "{text}");
            assert!(!all[..index].contains(text), "{text} twice");
        }
        let again = Guid::derived(&seed, "GS-1", Purpose::Disk).upper();
        assert_eq!(again, all[0]);
        assert_ne!(Guid::derived(&seed, "GS-2", Purpose::Disk).upper(), all[0]);
    }

    #[test]
    fn what_follows_from_a_guid_is_fixed_and_differs_by_word() {
        let id = Guid([7; 16]);
        let other = id.following("vhdx file write");
        // SHA-256 by another program: a plan's bytes must not change with a release.
        assert_eq!(other.lower(), "63f1ee32-e741-8e57-92a5-2e3a9ee66efa");
        assert_ne!(other, id.following("vhdx data write"));
        assert_ne!(other, Guid([8; 16]).following("vhdx file write"));
    }

    #[test]
    fn gpt_order_is_that_of_the_uefi_specification() {
        let esp = Guid::parse("C12A7328-F81F-11D2-BA4B-00A0C93EC93B").unwrap();
        assert_eq!(
            esp.to_gpt()[..8],
            [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]
        );
        assert_eq!(Guid::from_gpt(esp.to_gpt()), esp);
    }
}
