// SPDX-License-Identifier: Apache-2.0
//! What stands in each provisioner's state folder and must be the same for all: the list of certificates of people and programs,
//! which each may change and all merge; and what the leader learned of BMCs, which the next leader takes over. Neither holds a
//! secret; keys and credentials stay in their files.

use super::{Inner, Provisioner};
use crate::journal::{Common, JournalError};
use crate::leader::Standing;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The name of the list of certificates.
const ACCESS: &str = "access";
/// The document with what was learned of BMCs.
const BMCS: &str = "bmcs";
/// How often the list is compared: a certificate that is revoked at one provisioner opens nothing at the others this much later.
const SHARE_EVERY: Duration = Duration::from_secs(2);

impl Provisioner {
    /// The addresses of the other provisioners, who leads first; none where there is one.
    #[must_use]
    pub fn others(&self) -> Vec<String> {
        let mut others = self.inner.leader.addresses();
        others.retain(|one| *one != self.inner.leader.me().url);
        others
    }

    /// Whether another provisioner decides, or nobody at this moment.
    pub(crate) fn leads_elsewhere(&self) -> Option<JournalError> {
        self.inner.leader.is_elsewhere()
    }

    /// What every answer says of the provisioners; `None` where there is one.
    pub(crate) fn provisioners_header(&self) -> Option<axum::http::HeaderValue> {
        self.inner.leader.header()
    }

    /// Keeps the list of certificates the same as the others', until the provisioner is dropped.
    pub(super) fn share(&self, common: Box<dyn Common>) {
        let inner = Arc::downgrade(&self.inner);
        std::thread::spawn(move || share_on(&inner, common.as_ref()));
    }

    fn share_access(&self, common: &dyn Common) -> Result<(), ShareError> {
        let (there, state) = common.get(ACCESS)?;
        let merged = self.pki().access().merge(there.as_deref())?;
        if let Some(merged) = merged
            && there.as_ref() != Some(&merged)
        {
            // Where another one was quicker, the next turn merges with what that one wrote.
            common.put(ACCESS, &merged, state)?;
        }
        Ok(())
    }

    /// Takes over what the leader before us learned of BMCs.
    pub(super) fn take_over_of_bmcs(&self) -> Result<(), JournalError> {
        let document = self.book().journal.document(BMCS)?;
        if let Some(bytes) = document {
            self.power().take_over(&bytes);
        }
        Ok(())
    }

    /// Leaves to the next leader what was learned of BMCs since it was last left.
    pub(super) fn keep_bmcs(&self) {
        if !matches!(self.standing(), Standing::Leads { .. }) {
            return;
        }
        let Some(bytes) = self.power().to_hand_over() else {
            return;
        };
        let kept = self.book().journal.put_document(BMCS, &bytes);
        if let Err(error) = kept {
            tracing::warn!(%error, "what was learned of BMCs is not left to the next leader; it is tried again");
            self.power().hand_over_again();
        }
    }
}

/// Why the list is not the others'.
#[derive(Debug, thiserror::Error)]
enum ShareError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Access(#[from] crate::pki::AccessError),
}

fn share_on(inner: &Weak<Inner>, common: &dyn Common) {
    let mut said = None;
    loop {
        let Some(inner) = inner.upgrade() else { return };
        let ours = Provisioner {
            inner,
            only_if: None,
        };
        let shared = ours.share_access(common);
        let trouble = shared.err().map(|error| error.to_string());
        if let Some(trouble) = trouble.as_ref().filter(|_| trouble != said) {
            tracing::warn!(
                trouble,
                "the list of certificates is not compared with the other provisioners'"
            );
        }
        said = trouble;
        std::thread::sleep(SHARE_EVERY);
    }
}
