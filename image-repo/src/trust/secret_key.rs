// SPDX-License-Identifier: Apache-2.0
//! Secret keys as minisign keeps them, behind a password (`minisign -G`) or not (`minisign -G -W`), and the signatures made
//! with them.
//!
//! The password comes in as bytes; who asks for it is not this module's business. Keys are wiped from memory when dropped.

use base64ct::{Base64, Encoding as _};
use blake2::Blake2b;
use blake2::digest::Digest as _;
use blake2::digest::consts::U32;
use ed25519_dalek::{Signer as _, SigningKey};
use groundstate_api::Bytes;
use groundstate_api::trust::KeyId;
use image_core::trust::minisign::{ED25519, PublicKey, UNTRUSTED, prehash, signature_file};

/// The length of a secret key in bytes: three algorithms, salt and costs of scrypt, id, key and check sum.
const LENGTH: usize = 158;
/// Where the part begins that the password hides.
const HIDDEN: usize = 54;
/// The most memory that scrypt may ask for; minisign asks for 1 GiB.
const MEMORY_MAX: Bytes = Bytes::gib(2);
/// The most work that scrypt may ask for, in the units of libsodium; minisign asks for 2^25.
const WORK_MAX: u64 = 1 << 27;

/// Why a text is not a secret key that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretKeyError {
    /// Not minisign's.
    #[error(
        "it is no secret key of minisign: a comment line, and one line of {LENGTH} bytes in Base64"
    )]
    Form,
    /// Another algorithm.
    #[error("the secret key is for another algorithm than minisign's")]
    Algorithm,
    /// A password is needed.
    #[error("the secret key is behind a password, and none was given")]
    PasswordNeeded,
    /// The password does not open it.
    #[error("the password does not open this secret key")]
    WrongPassword,
    /// The key asks for too much work.
    #[error(
        "the secret key asks for more memory or time than {} and a minute",
        MEMORY_MAX
    )]
    TooCostly,
    /// Its halves do not belong together.
    #[error("the secret key is damaged")]
    Damaged,
}

/// A secret key that can sign.
pub struct SecretKey {
    id: KeyId,
    key: SigningKey,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({})", self.id)
    }
}

impl SecretKey {
    /// The key of that id and seed: who makes keys brings the randomness.
    #[must_use]
    pub fn of(id: KeyId, seed: &[u8; 32]) -> Self {
        Self {
            id,
            key: SigningKey::from_bytes(seed),
        }
    }

    /// Whether the key in this file is behind a password.
    ///
    /// # Errors
    /// It is no secret key.
    pub fn is_behind_password(text: &str) -> Result<bool, SecretKeyError> {
        Ok(raw(text)?[2..4] == *b"Sc")
    }

    /// Reads a secret key file.
    ///
    /// # Errors
    /// It is none, or the password is not right.
    pub fn open(text: &str, password: Option<&[u8]>) -> Result<Self, SecretKeyError> {
        let mut bytes = raw(text)?;
        let behind_password = match &bytes[2..4] {
            b"Sc" => true,
            [0, 0] => false,
            _ => return Err(SecretKeyError::Algorithm),
        };
        if bytes[..2] != ED25519 || bytes[4..6] != *b"B2" {
            return Err(SecretKeyError::Algorithm);
        }
        if behind_password {
            let password = password.ok_or(SecretKeyError::PasswordNeeded)?;
            uncover(&mut bytes, password)?;
        }
        let mut sum = Blake2b::<U32>::new();
        sum.update(&bytes[..2]);
        sum.update(&bytes[HIDDEN..126]);
        let sum: [u8; 32] = sum.finalize().into();
        // minisign writes no check sum into keys without password.
        let unsummed = !behind_password && bytes[126..] == [0; 32];
        if bytes[126..] != sum && !unsummed {
            return Err(if behind_password {
                SecretKeyError::WrongPassword
            } else {
                SecretKeyError::Damaged
            });
        }
        let id: [u8; 8] = bytes[54..62].try_into().map_err(|_| SecretKeyError::Form)?;
        let pair: [u8; 64] = bytes[62..126]
            .try_into()
            .map_err(|_| SecretKeyError::Form)?;
        let key = SigningKey::from_keypair_bytes(&pair).map_err(|_| SecretKeyError::Damaged)?;
        Ok(Self {
            id: KeyId(u64::from_le_bytes(id)),
            key,
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The public key of it, as its 56 letters.
    #[must_use]
    pub fn public(&self) -> String {
        PublicKey::of(self.id, &self.key.verifying_key().to_bytes())
            .expect("the point of a secret key can be signed with")
            .text()
    }

    /// The public key as minisign's file.
    #[must_use]
    pub fn public_file(&self) -> String {
        format!(
            "{UNTRUSTED}minisign public key {}\n{}\n",
            self.id,
            self.public()
        )
    }

    /// The secret key as minisign's file, without a password.
    #[must_use]
    pub fn file_without_password(&self) -> String {
        let mut bytes = vec![0; LENGTH];
        bytes[..2].copy_from_slice(&ED25519);
        bytes[4..6].copy_from_slice(b"B2");
        bytes[54..62].copy_from_slice(&self.id.0.to_le_bytes());
        bytes[62..126].copy_from_slice(&self.key.to_keypair_bytes());
        format!(
            "{UNTRUSTED}minisign encrypted secret key\n{}\n",
            Base64::encode_string(&bytes)
        )
    }

    /// A signature file over `document`; `comment` is one line that is signed with it.
    #[must_use]
    pub fn sign(&self, document: &[u8], comment: &str) -> String {
        let comment: String = comment
            .chars()
            .filter(|c| *c == '\t' || !c.is_control())
            .collect();
        let signature = self.key.sign(&prehash(document)).to_bytes();
        let global = self
            .key
            .sign(&[&signature, comment.as_bytes()].concat())
            .to_bytes();
        signature_file(self.id, &signature, &comment, &global)
    }
}

fn raw(text: &str) -> Result<[u8; LENGTH], SecretKeyError> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let (Some(first), Some(second), None) = (lines.next(), lines.next(), lines.next()) else {
        return Err(SecretKeyError::Form);
    };
    if !first.starts_with(UNTRUSTED) {
        return Err(SecretKeyError::Form);
    }
    let bytes = Base64::decode_vec(second).map_err(|_| SecretKeyError::Form)?;
    bytes.try_into().map_err(|_| SecretKeyError::Form)
}

/// Takes the password's stream off the hidden part.
fn uncover(bytes: &mut [u8; LENGTH], password: &[u8]) -> Result<(), SecretKeyError> {
    let number = |at: usize| {
        bytes[at..at + 8]
            .try_into()
            .map(u64::from_le_bytes)
            .map_err(|_| SecretKeyError::Form)
    };
    let (work, memory) = (number(38)?, number(46)?);
    if memory > MEMORY_MAX.0 || work > WORK_MAX {
        return Err(SecretKeyError::TooCostly);
    }
    let (log_n, p) = costs(work, memory);
    let params = scrypt::Params::new(log_n, 8, p).map_err(|_| SecretKeyError::TooCostly)?;
    let mut stream = [0; LENGTH - HIDDEN];
    scrypt::scrypt(password, &bytes[6..38], &params, &mut stream)
        .map_err(|_| SecretKeyError::Form)?;
    for (byte, mask) in bytes[HIDDEN..].iter_mut().zip(stream) {
        *byte ^= mask;
    }
    Ok(())
}

/// What libsodium makes of its two limits (`crypto_pwhash_scryptsalsa208sha256`): log2 of N, and p, with r = 8.
fn costs(work: u64, memory: u64) -> (u8, u32) {
    let work = work.max(32_768);
    let log_of = |max: u64| (1u8..63).find(|log| 1u64 << log > max / 2).unwrap_or(63);
    if work < memory / 32 {
        return (log_of(work / 32), 1);
    }
    let log_n = log_of(memory / 1_024);
    let most = ((work / 4) >> log_n).min(0x3fff_ffff);
    (log_n, u32::try_from(most / 8).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_costs_are_libsodiums() {
        assert_eq!(costs(33_554_432, 1 << 30), (20, 1), "minisign's own");
        assert_eq!(costs(524_288, 16 << 20), (14, 1), "interactive");
        assert_eq!(costs(1 << 20, 1 << 30), (15, 1), "little work, much memory");
        assert_eq!(
            costs(1 << 25, 16 << 20),
            (14, 64),
            "much work, little memory"
        );
    }

    #[test]
    fn a_key_comes_back_from_its_file() {
        let key = SecretKey::of(KeyId(0xAB), &[7; 32]);
        let text = key.file_without_password();
        assert_eq!(SecretKey::is_behind_password(&text), Ok(false));
        let again = SecretKey::open(&text, None).unwrap();
        assert_eq!((again.id(), again.public()), (key.id(), key.public()));
        assert_eq!(again.sign(b"x", "c"), key.sign(b"x", "c"));
    }

    #[test]
    fn no_other_password_opens_a_key() {
        let mut bytes = raw(&SecretKey::of(KeyId(0xAB), &[7; 32]).file_without_password()).unwrap();
        bytes[2..4].copy_from_slice(b"Sc");
        bytes[6..38].copy_from_slice(&[9; 32]);
        // As cheap as libsodium has it.
        bytes[38..46].copy_from_slice(&32_768u64.to_le_bytes());
        bytes[46..54].copy_from_slice(&(1u64 << 20).to_le_bytes());
        let mut sum = Blake2b::<U32>::new();
        sum.update(&bytes[..2]);
        sum.update(&bytes[HIDDEN..126]);
        bytes[126..].copy_from_slice(&sum.finalize());
        uncover(&mut bytes, b"right").unwrap();
        let text = format!("{UNTRUSTED}x\n{}\n", Base64::encode_string(&bytes));
        for (password, error) in [
            (None, SecretKeyError::PasswordNeeded),
            (Some(&b"wrong"[..]), SecretKeyError::WrongPassword),
            (Some(b""), SecretKeyError::WrongPassword),
        ] {
            assert_eq!(SecretKey::open(&text, password).unwrap_err(), error);
        }
        let opened = SecretKey::open(&text, Some(b"right")).unwrap();
        assert_eq!(opened.id(), KeyId(0xAB));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let key = SecretKey::of(KeyId(0xAB), &[7; 32]).file_without_password();
        let line = key.lines().nth(1).unwrap();
        for (text, error) in [
            (String::new(), SecretKeyError::Form),
            (line.to_string(), SecretKeyError::Form),
            (key.replace("RWQ", "RWR"), SecretKeyError::Algorithm),
        ] {
            assert_eq!(SecretKey::open(&text, None).unwrap_err(), error, "{text}");
        }
        let mut bytes = raw(&key).unwrap();
        bytes[62] ^= 1;
        let text = format!("{UNTRUSTED}x\n{}\n", Base64::encode_string(&bytes));
        assert_eq!(
            SecretKey::open(&text, None).unwrap_err(),
            SecretKeyError::Damaged
        );
        bytes[2..4].copy_from_slice(b"Sc");
        let text = format!("{UNTRUSTED}x\n{}\n", Base64::encode_string(&bytes));
        assert_eq!(
            SecretKey::open(&text, None).unwrap_err(),
            SecretKeyError::PasswordNeeded
        );
        bytes[38..54].copy_from_slice(&[0xff; 16]);
        let text = format!("{UNTRUSTED}x\n{}\n", Base64::encode_string(&bytes));
        let opened = SecretKey::open(&text, Some(b"x"));
        assert_eq!(opened.unwrap_err(), SecretKeyError::TooCostly);
    }
}
