// SPDX-License-Identifier: Apache-2.0
//! The one form of bytes of the three documents, and what a reader takes.

use super::limits::{CATALOGUE_MAX, ROOT_MAX, STATEMENT_MAX};
use super::refusal::TrustError;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::Bytes;
use groundstate_api::trust::{Catalogue, DocumentType, ImageSigned, TRUST_SCHEMA, TrustRoot};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One of the three documents.
pub trait Document: Serialize + DeserializeOwned {
    /// Which one.
    const TYPE: DocumentType;
    /// The most bytes that a reader takes.
    const MAX: Bytes;
    /// What it says that it is, and its schema.
    fn head(&self) -> (DocumentType, u32);
}

impl Document for TrustRoot {
    const TYPE: DocumentType = DocumentType::Root;
    const MAX: Bytes = ROOT_MAX;
    fn head(&self) -> (DocumentType, u32) {
        (self.document, self.schema)
    }
}

impl Document for ImageSigned {
    const TYPE: DocumentType = DocumentType::Image;
    const MAX: Bytes = STATEMENT_MAX;
    fn head(&self) -> (DocumentType, u32) {
        (self.document, self.schema)
    }
}

impl Document for Catalogue {
    const TYPE: DocumentType = DocumentType::Catalogue;
    const MAX: Bytes = CATALOGUE_MAX;
    fn head(&self) -> (DocumentType, u32) {
        (self.document, self.schema)
    }
}

/// The bytes that are signed: JSON without white space, fields in the order of the type.
#[must_use]
pub fn canonical<T: Document>(document: &T) -> String {
    serde_json::to_string(document).expect("a document has string keys only and writes to memory")
}

/// Reads canonical bytes and checks what all documents have in common.
///
/// # Errors
/// They are too many, another document, of another schema, with unknown fields, or in another form.
pub fn parse<T: Document>(text: &str) -> Result<T, TrustError> {
    let subject = T::TYPE;
    check_length::<T>(text)?;
    let json = |error: serde_json::Error| TrustError::Json {
        subject,
        message: error.to_string(),
    };
    let found = type_of(text).ok_or_else(|| TrustError::OtherType {
        subject,
        found: "no type".to_string(),
    })?;
    if found != subject.as_str() {
        return Err(TrustError::OtherType { subject, found });
    }
    let document: T = serde_json::from_str(text).map_err(json)?;
    let (_, schema) = document.head();
    if schema != TRUST_SCHEMA {
        return Err(TrustError::Schema {
            subject,
            found: schema,
        });
    }
    if canonical(&document) != text {
        return Err(TrustError::NotCanonical { subject });
    }
    Ok(document)
}

/// Before anything else is done with it.
pub(super) fn check_length<T: Document>(text: &str) -> Result<(), TrustError> {
    let length = Bytes(text.len() as u64);
    if length > T::MAX {
        return Err(TrustError::TooLong {
            subject: T::TYPE,
            length,
            max: T::MAX,
        });
    }
    Ok(())
}

/// What a text says that it is: the value of its first field, where that is `type`.
fn type_of(text: &str) -> Option<String> {
    let rest = text.strip_prefix("{\"type\":\"")?;
    let (found, _) = rest.split_once('"')?;
    let word: Vec<char> = found.chars().take(64).collect();
    Some(word.into_iter().collect())
}
