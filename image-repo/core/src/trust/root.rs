// SPDX-License-Identifier: Apache-2.0
//! Trust roots: what makes one meaningful, and how the next one follows.

use super::count::signers;
use super::document::parse;
use super::limits::{KEYS_MAX, ROOTS_MAX, TEXT_MAX};
use super::minisign::PublicKey;
use super::refusal::TrustError;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::trust::{KeyId, Role, Signed, TrustRoot};

/// Checks what the types do not hold.
///
/// # Errors
/// [`TrustError::RootInvalid`] by field.
pub fn check_root(root: &TrustRoot) -> Result<(), TrustError> {
    let wrong = |field: String, should: String| TrustError::RootInvalid {
        version: root.version,
        field,
        should,
    };
    if root.version == 0 {
        let should = "a trust root's version is at least 1";
        return Err(wrong("version".to_string(), should.to_string()));
    }
    if root.keys.is_empty() || root.keys.len() > KEYS_MAX {
        let should = format!("{} keys should be 1 to {KEYS_MAX}", root.keys.len());
        return Err(wrong("keys".to_string(), should));
    }
    let mut points: Vec<([u8; 32], KeyId)> = Vec::new();
    for (index, key) in root.keys.iter().enumerate() {
        let field = format!("keys[{index}]");
        let parsed = PublicKey::parse(&key.key).map_err(|e| wrong(field.clone(), e.to_string()))?;
        if parsed.id != key.id || parsed.text() != key.key {
            let should = format!(
                "{} is not the id of this key, {}, or not its one spelling",
                key.id, parsed.id
            );
            return Err(wrong(field, should));
        }
        if !is_line(&key.comment) {
            let should = format!("a comment is one line of at most {TEXT_MAX} bytes");
            return Err(wrong(field, should));
        }
        let same = points
            .iter()
            .find(|(point, id)| *point == parsed.point() || *id == key.id);
        if let Some((_, id)) = same {
            let should = format!("{} is the same key as {id}, or has its id", key.id);
            return Err(wrong(field, should));
        }
        points.push((parsed.point(), key.id));
    }
    for (name, role) in roles(root) {
        check_role(root, role).map_err(|should| wrong(format!("roles.{name}"), should))?;
    }
    Ok(())
}

/// Whether a text is for one line of a screen.
pub(super) fn is_line(text: &str) -> bool {
    text.len() <= TEXT_MAX && !text.chars().any(char::is_control)
}

fn roles(root: &TrustRoot) -> [(&'static str, &Role); 3] {
    [
        ("root", &root.roles.root),
        ("images", &root.roles.images),
        ("channels", &root.roles.channels),
    ]
}

fn check_role(root: &TrustRoot, role: &Role) -> Result<(), String> {
    for (index, id) in role.keys.iter().enumerate() {
        if root.key(*id).is_none() {
            return Err(format!("{id} is not among the keys"));
        }
        if role.keys.iter().take(index).any(|before| before == id) {
            return Err(format!("{id} is named twice"));
        }
    }
    let keys = role.keys.len();
    let fits = usize::try_from(role.threshold).is_ok_and(|least| (1..=keys).contains(&least));
    if !fits {
        return Err(format!(
            "a threshold of {} should be 1 to {keys}, the number of its keys",
            role.threshold
        ));
    }
    Ok(())
}

/// The root that `candidate` is, where it is the next one after `trusted`: one version higher, and signed by enough root
/// keys of both.
///
/// # Errors
/// Why it does not follow.
pub fn may_install(trusted: &TrustRoot, candidate: &Signed) -> Result<TrustRoot, TrustError> {
    signers::<TrustRoot>(trusted, &trusted.roles.root, &[], candidate)?;
    let next: TrustRoot = parse(&candidate.document)?;
    check_root(&next)?;
    let expected = trusted.version.saturating_add(1);
    if next.version != expected {
        return Err(TrustError::RootOrder {
            found: next.version,
            expected,
        });
    }
    signers::<TrustRoot>(&next, &next.roles.root, &[], candidate)?;
    Ok(next)
}

/// The newest root that can be reached from the pinned one, step by step.
///
/// # Errors
/// The first step that is none. What comes after it is not looked at.
pub fn advance(pinned: &TrustRoot, candidates: &[Signed]) -> Result<TrustRoot, TrustError> {
    check_root(pinned)?;
    if candidates.len() > ROOTS_MAX {
        return Err(TrustError::TooManyRoots {
            found: candidates.len(),
        });
    }
    let mut root = pinned.clone();
    for candidate in candidates {
        root = may_install(&root, candidate)?;
    }
    Ok(root)
}
