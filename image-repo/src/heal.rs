// SPDX-License-Identifier: Apache-2.0
//! Which stored form a manifest asks for, where a chunk is damaged or missing.
//!
//! A chunk's name is the digest of its plain bytes, and a manifest also states the digest of the stored ones. Another
//! level or another zstd makes other stored bytes of the same plain ones; an older image is whole again only when the new
//! ones are those that it states.

use crate::error::RepoError;
use crate::pack::Form;
use crate::repository::Repository;
use crate::store::{Kind, children, digest_of};
use groundstate_api::Digest;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// Looked up only where something is damaged; then it holds every chunk that the manifests name, 100 bytes each.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    marked: HashSet<Digest>,
    forms: Mutex<Option<HashMap<Digest, Form>>>,
    healed: Mutex<Vec<Digest>>,
}

impl Wanted {
    /// Reads which chunks fsck has taken away or missed.
    pub(crate) fn of(repository: &Repository) -> Result<Self, RepoError> {
        let left = children(&repository.store.dir().join("damaged"))?;
        Ok(Self {
            marked: left.iter().filter_map(|path| digest_of(path)).collect(),
            ..Self::default()
        })
    }

    /// Whether fsck found that chunk damaged or missing.
    pub(crate) fn is_marked(&self, digest: &Digest) -> bool {
        self.marked.contains(digest)
    }

    /// The stored form that the first of the manifests that name that chunk asks for.
    pub(crate) fn form_of(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Form>, RepoError> {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(forms) = &*forms {
            return Ok(forms.get(digest).copied());
        }
        let mut found = HashMap::new();
        repository.store.each(Kind::Manifest, &mut |path| {
            // A manifest that cannot be read asks for nothing; fsck names it.
            let manifest = digest_of(path).and_then(|digest| repository.manifest(&digest).ok());
            for chunk in manifest.into_iter().flat_map(|manifest| manifest.chunks) {
                let form = (chunk.stored_length, chunk.stored_digest);
                found.entry(chunk.digest).or_insert(form);
            }
            Ok(())
        })?;
        let form = found.get(digest).copied();
        *forms = Some(found);
        Ok(form)
    }

    /// That chunk is there again.
    pub(crate) fn healed(&self, digest: &Digest) {
        let mut healed = self.healed.lock().unwrap_or_else(PoisonError::into_inner);
        healed.push(*digest);
    }

    /// Once all is durable: what fsck kept of the chunks that are there again is not needed any more.
    pub(crate) fn forget(&self, repository: &Repository) -> Result<u64, RepoError> {
        let healed = self.healed.lock().unwrap_or_else(PoisonError::into_inner);
        for digest in healed.iter().filter(|digest| self.is_marked(digest)) {
            let path = repository.store.dir().join("damaged").join(digest.hex());
            repository.store.remove(&path)?;
        }
        Ok(healed.len() as u64)
    }
}
