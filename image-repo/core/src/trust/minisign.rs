// SPDX-License-Identifier: Apache-2.0
//! Public keys and signature files as minisign writes them. Only prehashed signatures (`ED`) are taken: the other kind
//! (`Ed`, minisign before 0.8) is refused by name.
//!
//! The untrusted comment is the one line that nobody signs; nothing in it is believed or shown.

use super::limits::SIGNATURE_MAX;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use base64ct::{Base64, Encoding as _};
use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::{Signature as Ed25519, VerifyingKey};
use groundstate_api::trust::KeyId;

/// The algorithm of keys, and of signatures over the bytes themselves.
pub const ED25519: [u8; 2] = *b"Ed";
/// The algorithm of signatures over the BLAKE2b-512 of the bytes.
pub const PREHASHED: [u8; 2] = *b"ED";
/// How the first line of every file begins.
pub const UNTRUSTED: &str = "untrusted comment: ";
/// How the third line of a signature file begins.
pub const TRUSTED: &str = "trusted comment: ";

/// Why a text is not a public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 56 letters of Base64, alone or under a comment line.
    #[error(
        "a public key is 56 letters that begin with RW, alone or under minisign's comment line"
    )]
    Form,
    /// Another algorithm.
    #[error("the key is for the algorithm {found:?}; minisign's is \"Ed\"")]
    Algorithm {
        /// Its name.
        found: String,
    },
    /// No point of the curve, or one under which anything is signed.
    #[error("the key {id} is no point of the curve that can be signed with")]
    Point {
        /// Its id.
        id: KeyId,
    },
}

/// Why a text is not a signature file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Longer than a reader takes.
    #[error("it is longer than {} bytes", SIGNATURE_MAX.0)]
    TooLong,
    /// Not the four lines.
    #[error("it is not the four lines that minisign writes")]
    Lines,
    /// A line that is not strict Base64 of the right length.
    #[error("its line {line} is not Base64 of {bytes} bytes")]
    Base64 {
        /// The line, from 1.
        line: usize,
        /// How many bytes it should be.
        bytes: usize,
    },
    /// Made by an old minisign.
    #[error(
        "it is of the old kind, not prehashed: sign again with minisign 0.8 or newer, without -l"
    )]
    NotPrehashed,
    /// Made by something else.
    #[error("its algorithm is not minisign's")]
    Algorithm,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its id.
    pub id: KeyId,
    key: VerifyingKey,
}

impl PublicKey {
    /// Reads the 56 letters, or a key file with its comment line.
    ///
    /// # Errors
    /// It is no key, or one that must not be used.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut line = lines.next().ok_or(KeyError::Form)?;
        if line.starts_with(UNTRUSTED) {
            line = lines.next().ok_or(KeyError::Form)?;
        }
        if lines.next().is_some() {
            return Err(KeyError::Form);
        }
        let bytes: [u8; 42] = base64(line).ok_or(KeyError::Form)?;
        let (algorithm, rest) = bytes.split_first_chunk::<2>().ok_or(KeyError::Form)?;
        if *algorithm != ED25519 {
            return Err(KeyError::Algorithm {
                found: algorithm.escape_ascii().to_string(),
            });
        }
        let (id, key) = rest.split_first_chunk::<8>().ok_or(KeyError::Form)?;
        let key: [u8; 32] = key.try_into().map_err(|_| KeyError::Form)?;
        Self::of(KeyId(u64::from_le_bytes(*id)), &key)
    }

    /// The key of that id and point.
    ///
    /// # Errors
    /// [`KeyError::Point`].
    pub fn of(id: KeyId, point: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(point).map_err(|_| KeyError::Point { id })?;
        if key.is_weak() {
            return Err(KeyError::Point { id });
        }
        Ok(Self { id, key })
    }

    /// The point: two keys with the same one are the same key, whatever their ids say.
    #[must_use]
    pub fn point(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// The 56 letters.
    #[must_use]
    pub fn text(&self) -> String {
        let mut bytes = Vec::with_capacity(42);
        bytes.extend_from_slice(&ED25519);
        bytes.extend_from_slice(&self.id.0.to_le_bytes());
        bytes.extend_from_slice(&self.point());
        Base64::encode_string(&bytes)
    }
}

/// A signature file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Which key it says it is of.
    pub id: KeyId,
    signature: [u8; 64],
    /// What the signer said beside it; signed too.
    pub comment: String,
    global: [u8; 64],
}

impl Signature {
    /// Reads a signature file.
    ///
    /// # Errors
    /// What about it is not minisign's.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        if text.len() as u64 > SIGNATURE_MAX.0 {
            return Err(SignatureError::TooLong);
        }
        let text = text.strip_suffix('\n').unwrap_or(text);
        let mut lines = text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line));
        let mut line = || lines.next().ok_or(SignatureError::Lines);
        let (first, second, third, fourth) = (line()?, line()?, line()?, line()?);
        let comment = third.strip_prefix(TRUSTED).ok_or(SignatureError::Lines)?;
        if line().is_ok() || !first.starts_with(UNTRUSTED) {
            return Err(SignatureError::Lines);
        }
        let bytes: [u8; 74] =
            base64(second).ok_or(SignatureError::Base64 { line: 2, bytes: 74 })?;
        let global = base64(fourth).ok_or(SignatureError::Base64 { line: 4, bytes: 64 })?;
        let (algorithm, rest) = bytes.split_first_chunk().ok_or(SignatureError::Lines)?;
        match *algorithm {
            PREHASHED => {}
            ED25519 => return Err(SignatureError::NotPrehashed),
            _ => return Err(SignatureError::Algorithm),
        }
        let (id, signature) = rest.split_first_chunk().ok_or(SignatureError::Lines)?;
        Ok(Self {
            id: KeyId(u64::from_le_bytes(*id)),
            signature: signature.try_into().map_err(|_| SignatureError::Lines)?,
            comment: comment.to_string(),
            global,
        })
    }

    /// Whether `key` made it over `document`, comment and all.
    #[must_use]
    pub fn is_of(&self, key: &PublicKey, document: &[u8]) -> bool {
        let global = [&self.signature, self.comment.as_bytes()].concat();
        self.id == key.id
            && is_signed(key, &prehash(document), &self.signature)
            && is_signed(key, &global, &self.global)
    }
}

/// What is signed of a document: its BLAKE2b-512.
#[must_use]
pub fn prehash(document: &[u8]) -> [u8; 64] {
    Blake2b512::digest(document).into()
}

/// A signature file from what two signatures came to: one over [`prehash`], one over that signature and the comment.
#[must_use]
pub fn signature_file(id: KeyId, signature: &[u8; 64], comment: &str, global: &[u8; 64]) -> String {
    let mut bytes = Vec::with_capacity(74);
    bytes.extend_from_slice(&PREHASHED);
    bytes.extend_from_slice(&id.0.to_le_bytes());
    bytes.extend_from_slice(signature);
    format!(
        "{UNTRUSTED}signature of key {id}\n{}\n{TRUSTED}{comment}\n{}\n",
        Base64::encode_string(&bytes),
        Base64::encode_string(global)
    )
}

fn is_signed(key: &PublicKey, bytes: &[u8], signature: &[u8; 64]) -> bool {
    key.key
        .verify_strict(bytes, &Ed25519::from_bytes(signature))
        .is_ok()
}

/// Strict: one spelling for the same bytes.
fn base64<const N: usize>(text: &str) -> Option<[u8; N]> {
    let bytes = Base64::decode_vec(text).ok()?;
    (Base64::encode_string(&bytes) == text)
        .then(|| bytes.try_into().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by minisign 0.11.
    const KEY: &str = "untrusted comment: minisign public key 2080044B1E77DC9\nRWTJfeexRAAIAkKoTVRUizP5gnMEFHlcXZ65+1GT5bkMREqrWWLrKEDA\n";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUTJfeexRAAIAgPk+F++TNwua+e9iq1SJjlGZpMZ16xARXx0MN6vBrXCPnFxce+GbdTXv5I2ZTXJ31LJHDw8Fp0nyDzPP7SWgQk=
trusted comment: timestamp:1795350614\tfile:doc\thashed
J1DJF2dcykxppYcgAn1Pv2EJhE2kgtknAIKqwz0VsbJF6mCqe5dn5ue987If9tzywuV676qswykM9TjfxfzBAg==
";

    #[test]
    fn what_minisign_made_is_taken() {
        let key = PublicKey::parse(KEY).unwrap();
        assert_eq!(key.id.to_string(), "02080044B1E77DC9");
        assert!(KEY.contains(&key.text()));
        let signature = Signature::parse(SIGNATURE).unwrap();
        assert!(signature.is_of(&key, b"hi\n"));
        assert!(!signature.is_of(&key, b"hi"));
        let crlf = SIGNATURE.replace('\n', "\r\n");
        assert_eq!(Signature::parse(&crlf), Ok(signature));
    }

    #[test]
    fn every_other_bit_is_refused_but_in_the_comment_that_nobody_signs() {
        let key = PublicKey::parse(KEY).unwrap();
        let comment =
            UNTRUSTED.len().."untrusted comment: signature from minisign secret key".len();
        for at in (0..SIGNATURE.len()).filter(|at| !comment.contains(at)) {
            for bit in 0..8 {
                let mut bytes = SIGNATURE.as_bytes().to_vec();
                *bytes.get_mut(at).unwrap() ^= 1 << bit;
                let taken = String::from_utf8(bytes)
                    .ok()
                    .and_then(|text| Signature::parse(&text).ok())
                    .is_some_and(|signature| signature.is_of(&key, b"hi\n"));
                assert!(!taken, "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn weak_and_strange_keys_are_refused() {
        let zero = PublicKey::of(KeyId(1), &[0; 32]);
        assert_eq!(zero, Err(KeyError::Point { id: KeyId(1) }));
        let mut one = [0; 32];
        one[0] = 1;
        assert_eq!(
            PublicKey::of(KeyId(1), &one),
            Err(KeyError::Point { id: KeyId(1) })
        );
        for text in [
            "",
            "RW",
            "untrusted comment: x",
            "RWTJfeexRAAIAkKoTVRUizP5gnMEFHlcXZ65+1GT5bkMREqrWWLrKEDA\nmore",
        ] {
            assert_eq!(PublicKey::parse(text), Err(KeyError::Form), "{text}");
        }
        let other = KEY.lines().nth(1).unwrap().replacen("RWT", "RUT", 1);
        assert!(matches!(
            PublicKey::parse(&other),
            Err(KeyError::Algorithm { .. })
        ));
    }

    #[test]
    fn an_old_signature_is_refused_by_name() {
        let old = SIGNATURE.replacen("RUT", "RWT", 1);
        assert_eq!(Signature::parse(&old), Err(SignatureError::NotPrehashed));
        let long = alloc::format!("{UNTRUSTED}{}", "x".repeat(11_000));
        assert_eq!(Signature::parse(&long), Err(SignatureError::TooLong));
    }
}
