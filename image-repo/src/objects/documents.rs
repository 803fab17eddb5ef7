// SPDX-License-Identifier: Apache-2.0
//! The signed documents of a repository go into a bucket: trust roots, what was signed of the images that are there, and last
//! of all the catalogue, so that a channel is never found before the image that it stands for.
//!
//! They go as they are: whoever reads them believes nothing of the way they came. It refuses to put an older document in
//! place of a newer one.

use super::bucket::{Bucket, BucketError};
use crate::repository::Repository;
use crate::store::Kind;
use crate::trust::{Subject, TrustFault, TrustFiles, beyond};
use groundstate_api::Digest;
use groundstate_api::trust::{Catalogue, Channel, Signed};
use image_core::trust::parse;
use serde::Serialize;
use std::collections::BTreeSet;

/// How often a document is tried that somebody else changes at the same moment.
const TRIES: u32 = 5;

/// What became of a repository's signed documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Documents {
    /// Documents that belong there: roots, statements about images, the catalogue.
    pub documents: u64,
    /// Those that were sent now: they were not there, or with fewer signatures, or an older one was.
    pub sent: u64,
    /// The number of this repository's newest catalogue, where it has one.
    pub catalogue: Option<u64>,
    /// Why that catalogue is not there; empty where it is.
    pub held: Vec<Held>,
}

/// Why a catalogue was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Held {
    /// A channel stands for an image that is not in the bucket.
    NoImage {
        /// The channel.
        channel: Channel,
    },
    /// A channel stands for an image of which nothing is signed, in the bucket or here.
    NoStatement {
        /// The channel.
        channel: Channel,
    },
    /// The bucket has a newer one.
    Newer {
        /// Its number.
        there: u64,
    },
}

/// What became of one document.
enum Put {
    Sent,
    There,
    /// A newer one is there.
    Newer(u64),
}

impl Repository {
    /// Publishes the trust roots, what was signed of `images` and of whatever else a channel stands for, and the catalogue,
    /// in this order. Of an image that is not in the bucket nothing is sent, and no catalogue whose channels could not be
    /// deployed from there.
    ///
    /// # Errors
    /// A document of ours cannot be read, the bucket does not take it, or has another one of the same number. What was
    /// published until then stays.
    pub async fn publish_documents(
        &self,
        images: &[Digest],
        bucket: &Bucket,
    ) -> Result<Documents, BucketError> {
        let files = self.trust();
        let mut done = Documents::default();
        for version in files.roots()? {
            let subject = Subject::Root(version);
            if let Some(root) = subject.of(&files)? {
                done.add(&put(bucket, subject, &root).await?);
            }
        }
        let catalogue = files.catalogue()?;
        let parsed = catalogue
            .as_ref()
            .map(|signed| parse::<Catalogue>(&signed.document).map_err(TrustFault::from))
            .transpose()?;
        let rows = parsed.as_ref().map_or(&[][..], |parsed| &parsed.channels);
        let named: BTreeSet<Digest> = rows
            .iter()
            .map(|row| row.manifest)
            .chain(images.iter().copied())
            .collect();
        let lacks = send_statements(&files, bucket, &named, &mut done).await?;
        let (Some(signed), Some(catalogue)) = (catalogue, &parsed) else {
            return Ok(done);
        };
        done.catalogue = Some(catalogue.sequence);
        done.held = rows.iter().filter_map(|row| lacks.held(row)).collect();
        if done.held.is_empty() {
            let what = put(bucket, Subject::Catalogue, &signed).await?;
            done.add(&what);
            if let Put::Newer(there) = what {
                done.held.push(Held::Newer { there });
            }
        } else {
            done.documents += 1;
        }
        Ok(done)
    }
}

/// What the bucket has not of the images that are named.
#[derive(Default)]
struct Lacks {
    images: BTreeSet<Digest>,
    statements: BTreeSet<Digest>,
}

impl Lacks {
    fn held(&self, row: &Channel) -> Option<Held> {
        if self.images.contains(&row.manifest) {
            let channel = row.clone();
            return Some(Held::NoImage { channel });
        }
        let lacks = self.statements.contains(&row.manifest);
        lacks.then(|| Held::NoStatement {
            channel: row.clone(),
        })
    }
}

async fn send_statements(
    files: &TrustFiles,
    bucket: &Bucket,
    named: &BTreeSet<Digest>,
    done: &mut Documents,
) -> Result<Lacks, BucketError> {
    let mut lacks = Lacks::default();
    for manifest in named {
        // Its manifest went last: where it is, all of the image is.
        if bucket.length(Kind::Manifest, manifest).await?.is_none() {
            lacks.images.insert(*manifest);
            continue;
        }
        let subject = Subject::Statement(*manifest);
        match subject.of(files)? {
            Some(statement) => done.add(&put(bucket, subject, &statement).await?),
            None if bucket.document(subject).await?.is_none() => {
                lacks.statements.insert(*manifest);
            }
            None => {}
        }
    }
    Ok(lacks)
}

/// Puts a document under its name, unless the same one or a newer one is there.
async fn put(bucket: &Bucket, subject: Subject, ours: &Signed) -> Result<Put, BucketError> {
    let number = subject.number(&ours.document).map_err(TrustFault::from)?;
    let key = || bucket.name(subject);
    for _ in 0..TRIES {
        let mut send = ours.clone();
        let there = bucket.document_to_change(subject).await?;
        let version = match there {
            None => None,
            Some((there, version)) => {
                // What cannot be understood is in nobody's way.
                match subject.number(&there.document).ok() {
                    Some(newer) if newer > number => return Ok(Put::Newer(newer)),
                    Some(same) if same == number && there.document != ours.document => {
                        return Err(BucketError::OtherDocument { key: key() });
                    }
                    Some(same) if same == number => {
                        if !add_signatures(&there, &mut send) {
                            return Ok(Put::There);
                        }
                    }
                    Some(_) | None => {}
                }
                Some(version)
            }
        };
        if bucket.put_document(subject, &send, version).await? {
            return Ok(Put::Sent);
        }
    }
    Err(BucketError::Contended { key: key() })
}

/// Takes over the signatures that are there and not in ours; false where ours has none that is not there.
fn add_signatures(there: &Signed, ours: &mut Signed) -> bool {
    let has_more = beyond(ours, there).next().is_some();
    let more: Vec<String> = beyond(there, ours).cloned().collect();
    ours.signatures.extend(more);
    has_more
}

impl Documents {
    fn add(&mut self, put: &Put) {
        self.documents += 1;
        if matches!(put, Put::Sent) {
            self.sent += 1;
        }
    }
}
