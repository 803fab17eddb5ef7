// SPDX-License-Identifier: Apache-2.0
//! A bucket behind a repository, for threads that may wait: whoever reads an image asks for its files one after the other.

use super::bucket::BucketError;
use super::cache::ReadThrough;
use crate::store::Kind;
use groundstate_api::Digest;
use std::fs::File;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use tokio::runtime::Handle;

/// A bucket behind a repository: what the repository has not is fetched from there, proved and kept.
#[derive(Clone, Debug)]
pub struct Behind {
    cache: Arc<ReadThrough>,
    runtime: Handle,
}

impl Behind {
    /// `runtime`: what requests run on. It must not be one whose only thread waits here.
    #[must_use]
    pub const fn new(cache: Arc<ReadThrough>, runtime: Handle) -> Self {
        Self { cache, runtime }
    }

    /// For those who do not wait.
    pub(crate) const fn cache(&self) -> &Arc<ReadThrough> {
        &self.cache
    }

    /// The file with these bytes, proved; none where the bucket has it not either. It waits.
    pub(crate) fn file(&self, kind: Kind, digest: &Digest) -> Result<Option<File>, BucketError> {
        let (cache, digest) = (Arc::clone(&self.cache), *digest);
        self.wait(async move { cache.file(kind, &digest).await })
    }

    /// The same, and what was kept of it is removed first.
    pub(crate) fn file_anew(
        &self,
        kind: Kind,
        digest: &Digest,
    ) -> Result<Option<File>, BucketError> {
        self.cache.forget(kind, digest);
        self.file(kind, digest)
    }

    /// Where these bytes lie once they were fetched.
    pub(crate) fn path(&self, kind: Kind, digest: &Digest) -> PathBuf {
        self.cache.path(kind, digest)
    }

    /// Waits for an answer. Not by `Handle::block_on`, which panics in a thread that is the server's own.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, BucketError>> + Send + 'static,
    ) -> Result<T, BucketError> {
        let (answer, answered) = sync_channel(1);
        self.runtime.spawn(async move {
            // Whoever asked may have gone.
            let _ = answer.send(work.await);
        });
        answered.recv().unwrap_or_else(|_| {
            Err(BucketError::NoAnswer {
                done: "read",
                key: "the bucket".to_owned(),
                why: "this process is ending".to_owned(),
            })
        })
    }
}
