// SPDX-License-Identifier: Apache-2.0
//! Counts the signatures of a role: a key counts once, whatever it is called and however often it signed.

use super::document::{Document, check_length};
use super::limits::SIGNATURES_MAX;
use super::minisign::{PublicKey, Signature, SignatureError};
use super::refusal::TrustError;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use groundstate_api::trust::{KeyId, Revoked, RevokedPart, Role, Signed, TrustRoot};

/// A signature that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The key that it says it is of; `None` where it cannot be read.
    pub id: Option<KeyId>,
    /// Why.
    pub why: IgnoredWhy,
}

/// Why a signature does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IgnoredWhy {
    /// It is no signature file.
    Unreadable(SignatureError),
    /// The trust root does not know the key.
    UnknownKey,
    /// The key is for other documents.
    OtherRole,
    /// The key is revoked.
    Revoked(String),
    /// It is not a signature of these bytes by this key.
    Bad,
    /// The key has been counted.
    Again,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "signature of key {id}: ")?,
            None => f.write_str("a signature: ")?,
        }
        match &self.why {
            IgnoredWhy::Unreadable(error) => write!(f, "{error}"),
            IgnoredWhy::UnknownKey => f.write_str("the trust root does not know this key"),
            IgnoredWhy::OtherRole => {
                f.write_str("the trust root lets this key sign other documents, not this one")
            }
            IgnoredWhy::Revoked(why) => write!(f, "this key is revoked: {why}"),
            IgnoredWhy::Bad => f.write_str("it is not over these bytes"),
            IgnoredWhy::Again => f.write_str("this key is counted already"),
        }
    }
}

/// Who of the role signed, at least as many as the role needs.
///
/// # Errors
/// Too long, too many signatures, or too few that count: the variant says the most telling cause, its evidence all of them.
pub fn signers<T: Document>(
    root: &TrustRoot,
    role: &Role,
    revoked: &[Revoked],
    signed: &Signed,
) -> Result<Vec<KeyId>, TrustError> {
    let subject = T::TYPE;
    check_length::<T>(&signed.document)?;
    let found = signed.signatures.len();
    if found > SIGNATURES_MAX {
        return Err(TrustError::TooManySignatures { subject, found });
    }
    let needed = role.threshold;
    if found == 0 {
        return Err(TrustError::Unsigned { subject, needed });
    }
    let mut points = Vec::new();
    let mut counted = Vec::new();
    let mut ignored = Vec::new();
    for text in &signed.signatures {
        match count_one(root, role, revoked, text, signed.document.as_bytes()) {
            Ok(key) if points.contains(&key.point()) => ignored.push(Ignored {
                id: Some(key.id),
                why: IgnoredWhy::Again,
            }),
            Ok(key) => {
                points.push(key.point());
                counted.push(key.id);
            }
            Err(why) => ignored.push(why),
        }
    }
    if u32::try_from(counted.len()).unwrap_or(u32::MAX) >= needed {
        return Ok(counted);
    }
    let has = |wanted: fn(&IgnoredWhy) -> bool| ignored.iter().any(|each| wanted(&each.why));
    Err(if has(|why| matches!(why, IgnoredWhy::Revoked(_))) {
        TrustError::RevokedKey { subject, ignored }
    } else if has(|why| matches!(why, IgnoredWhy::Bad | IgnoredWhy::Unreadable(_))) {
        TrustError::BadSignature { subject, ignored }
    } else if counted.is_empty() {
        TrustError::OtherKey { subject, ignored }
    } else {
        TrustError::TooFew {
            subject,
            needed,
            counted,
            ignored,
        }
    })
}

fn count_one(
    root: &TrustRoot,
    role: &Role,
    revoked: &[Revoked],
    text: &str,
    document: &[u8],
) -> Result<PublicKey, Ignored> {
    let signature = Signature::parse(text).map_err(|error| Ignored {
        id: None,
        why: IgnoredWhy::Unreadable(error),
    })?;
    let id = signature.id;
    let ignored = |why| Ignored { id: Some(id), why };
    let key = root
        .key(id)
        .and_then(|key| PublicKey::parse(&key.key).ok())
        .ok_or_else(|| ignored(IgnoredWhy::UnknownKey))?;
    if !role.keys.contains(&id) {
        return Err(ignored(IgnoredWhy::OtherRole));
    }
    if !signature.is_of(&key, document) {
        return Err(ignored(IgnoredWhy::Bad));
    }
    let revocation = revoked
        .iter()
        .find(|each| each.part == RevokedPart::Key(id));
    if let Some(revocation) = revocation {
        return Err(ignored(IgnoredWhy::Revoked(revocation.why.clone())));
    }
    Ok(key)
}
