// SPDX-License-Identifier: Apache-2.0
//! A repository that is not on this machine, behind a server or in a bucket: its manifests by digest, its channels by what this
//! machine has pinned. It is believed nothing: a manifest is proved by its digest, a channel by signatures, and what was seen
//! once is never gone back behind.

mod bucket;
mod server;
mod trouble;

use super::finish::refused;
use super::named::{Named, now};
use super::progress::Progress;
use crate::client::Refused;
use anyhow::{Result, bail};
use bucket::InBucket;
use clap::Args;
use groundstate_api::image::Manifest;
use groundstate_api::trust::{Seen, Signed, TrustRoot};
use groundstate_api::{Bytes, Digest, Millis, Part, Reason, ReasonCode, paths};
use image_core::limits::MANIFEST_NODE_MAX;
use image_core::manifest::{parse_as, reference, title};
use image_core::trust::limits::{READ_TIME_MAX, ROOTS_MAX, SIGNED_MAX};
use image_core::trust::{
    TrustError, Trusted, Verified, newest_root, still_revoked, trusted, without_catalogue,
};
use image_repo::trust::{Pin, TrustFault};
use maintenance_os::image::Fixed;
use serde::de::DeserializeOwned;
use server::Server;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Args)]
pub(crate) struct FromArgs {
    /// Take the image from this server instead of the repository on this machine: https://HOST:PORT, or http:// where it
    /// serves plain.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The certificate of the authority that the server's certificate is of; a file may have several. Without it, ca.crt of
    /// --from-credential.
    #[arg(long, value_name = "FILE", requires = "from")]
    ca: Option<PathBuf>,
    /// Folder with ca.crt, operator.crt and operator.key: as whom the server of --from is asked. A provisioner gives images
    /// to the roles operator, admin and fabric.
    #[arg(
        long,
        value_name = "DIR",
        env = "GROUNDSTATE_CREDENTIAL",
        hide_env_values = true
    )]
    from_credential: Option<PathBuf>,
    /// Take the image out of an S3-compatible bucket, which this TOML file names (see `image publish --help`).
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    s3: Option<PathBuf>,
}

impl FromArgs {
    /// Who is asked; `None`: the repository on this machine.
    pub(super) fn origin(&self) -> Result<Option<Box<dyn Origin>>> {
        if let Some(path) = &self.s3 {
            return Ok(Some(Box::new(InBucket::open(path)?)));
        }
        let Some(url) = &self.from else {
            return Ok(None);
        };
        let server = Server::new(url, self.ca.as_deref(), self.from_credential.as_deref())?;
        Ok(Some(Box::new(server)))
    }
}

/// Where images come from over a network.
pub(super) trait Origin {
    /// Its name, for people.
    fn name(&self) -> &str;
    /// What lies under a path of [`groundstate_api::paths`]; `None`: it is not there. At most `max` bytes and one more, which
    /// whoever reads them then refuses, or an error.
    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>>;
    /// Who gives its chunks.
    fn sources(&self) -> Fixed;
    /// What to do where bytes are not what their digest says.
    fn mend(&self) -> &'static str;
    /// What a person should know of its signed documents where they are not believed.
    fn of_documents(&self) -> Option<String> {
        None
    }
    /// What brings a catalogue there, where it is not made where the image is.
    fn bring_catalogue(&self) -> Option<&'static str> {
        None
    }
}

/// Why that is not believed which the origin's documents say.
fn unbelieved(origin: &dyn Origin, title: &str, error: TrustError) -> anyhow::Error {
    let missing = matches!(
        error.cause(),
        TrustError::NoCatalogue { .. } | TrustError::NotPromoted { .. }
    );
    let mut reason = TrustFault::from(error).reason(title);
    if let (true, Some(step)) = (missing, origin.bring_catalogue()) {
        step.clone_into(&mut reason.next_step);
    }
    reason.evidence.extend(origin.of_documents());
    Refused { reason }.into()
}

/// An image, and what is believed of it.
pub(super) struct Found {
    pub(super) manifest: Manifest,
    /// Why it is not believed: a [`Refused`], or what kept us from finding out.
    pub(super) believed: Result<Believed>,
}

/// What is believed of an image, and by which root and catalogue.
pub(super) struct Believed {
    pub(super) verified: Verified,
    pub(super) trusted: Trusted,
}

/// The image that is named, by channel or by digest. How far this machine has come with channels is written down.
pub(super) fn find(origin: &dyn Origin, pin: &Pin, named: &Named) -> Result<Found> {
    match (named.channel(), named.digest()) {
        (Some(channel), _) => of_channel(origin, pin, named.name(), channel),
        (None, Some(digest)) => of_digest(origin, pin, &digest),
        (None, None) => bail!(
            "from {}, an image is named NAME@CHANNEL, or by the digest of its manifest, sha256:…; `groundstate image show \
             {named}` on the repository's machine tells it",
            origin.name()
        ),
    }
}

fn of_channel(origin: &dyn Origin, pin: &Pin, name: &str, channel: &str) -> Result<Found> {
    let choice = format!("{name}@{channel}");
    let fault = |error: TrustError| unbelieved(origin, &choice, error);
    let trusted = Documents::of(origin, pin, &choice)?
        .trusted()
        .map_err(fault)?;
    pin.keep(trusted.seen()).map_err(refused(&choice))?;
    let row = trusted.channel(name, channel).map_err(fault)?;
    let manifest = manifest(origin, &row.manifest)?;
    let statement = statement(origin, &row.manifest)?;
    let verified = trusted
        .image_of(row, &reference(&manifest), statement.as_ref())
        .map_err(fault)?;
    Ok(Found {
        manifest,
        believed: Ok(Believed { verified, trusted }),
    })
}

fn of_digest(origin: &dyn Origin, pin: &Pin, digest: &Digest) -> Result<Found> {
    let manifest = manifest(origin, digest)?;
    let believed = believed(origin, pin, digest, &manifest);
    Ok(Found { manifest, believed })
}

fn believed(
    origin: &dyn Origin,
    pin: &Pin,
    digest: &Digest,
    manifest: &Manifest,
) -> Result<Believed> {
    let (title, image) = (title(manifest), reference(manifest));
    let fault = |error: TrustError| unbelieved(origin, &title, error);
    let statement = statement(origin, digest)?;
    let documents = Documents::of(origin, pin, &title)?;
    let trusted = match documents.trusted() {
        Err(TrustError::NoCatalogue { seen: 0, .. }) => {
            let root = documents.root().map_err(fault)?;
            let said = without_catalogue(&root, &image, statement.as_ref(), false, documents.now);
            return Err(fault(said));
        }
        trusted => trusted.map_err(|error| {
            // A catalogue that nobody renews takes no revocation back.
            let revoked = still_revoked(
                &documents.pinned,
                &documents.roots,
                documents.catalogue.as_ref(),
                &image,
                statement.as_ref(),
            );
            fault(revoked.unwrap_or(error))
        })?,
    };
    let verified = trusted.image(&image, statement.as_ref()).map_err(fault)?;
    Ok(Believed { verified, trusted })
}

/// What an origin has of roots and catalogue, and what this machine knows.
struct Documents {
    pinned: TrustRoot,
    roots: Vec<Signed>,
    catalogue: Option<Signed>,
    seen: Seen,
    now: Millis,
}

impl Documents {
    fn of(origin: &dyn Origin, pin: &Pin, title: &str) -> Result<Self> {
        let fault = |fault: TrustFault| refused(title)(fault);
        let until = Instant::now() + Duration::from_millis(READ_TIME_MAX.0);
        let pinned = pin.root().map_err(fault)?;
        let mut roots: Vec<Signed> = Vec::new();
        for version in (pinned.version + 1..).take(ROOTS_MAX) {
            let path = paths::TRUST_ROOT.replace("{version}", &version.to_string());
            match document(origin, &path)? {
                Some(root) => roots.push(root),
                None => break,
            }
            if Instant::now() > until {
                return Err(too_slow(origin));
            }
        }
        Ok(Self {
            catalogue: document(origin, paths::TRUST_CATALOGUE)?,
            seen: pin.seen().map_err(fault)?,
            now: now(),
            pinned,
            roots,
        })
    }

    /// Root and catalogue that this machine believes.
    fn trusted(&self) -> Result<Trusted, TrustError> {
        let catalogue = self.catalogue.as_ref();
        trusted(&self.pinned, &self.roots, catalogue, &self.seen, self.now)
    }

    fn root(&self) -> Result<TrustRoot, TrustError> {
        newest_root(&self.pinned, &self.roots, &self.seen, self.now)
    }
}

/// The Update Framework's "slow retrieval": who gives the next document and never the last holds newer ones back.
fn too_slow(origin: &dyn Origin) -> anyhow::Error {
    let reason = Reason::new(
        ReasonCode::ImageUntrusted,
        format!(
            "{} gives its trust roots too slowly: not all came within {} s",
            origin.name(),
            READ_TIME_MAX.0 / 1000
        ),
        "try again, or take the image from another server; slow answers may hide that newer ones are held back",
    );
    Refused {
        reason: reason.then("nothing: no disk is touched"),
    }
    .into()
}

fn statement(origin: &dyn Origin, digest: &Digest) -> Result<Option<Signed>> {
    document(
        origin,
        &paths::TRUST_IMAGE.replace("{digest}", &digest.hex()),
    )
}

fn manifest(origin: &dyn Origin, digest: &Digest) -> Result<Manifest> {
    let path = paths::IMAGE_MANIFEST.replace("{digest}", &digest.hex());
    let Some(bytes) = origin.get(&path, MANIFEST_NODE_MAX.0)? else {
        let reason = Reason::new(
            ReasonCode::ImageMissing,
            format!("{} has no image with the manifest {digest}", origin.name()),
            "look which images it has: `groundstate image ls` on the repository's machine",
        );
        return Err(Refused { reason }.into());
    };
    parse_as(&bytes, digest, MANIFEST_NODE_MAX).map_err(|error| {
        let reason = Reason::new(
            ReasonCode::ChunkCorrupt,
            format!("{} does not give the manifest {digest}", origin.name()),
            origin.mend(),
        );
        let reason = reason.seen(error.to_string());
        Refused {
            reason: reason.then("nothing: no disk is touched"),
        }
        .into()
    })
}

fn document<T: DeserializeOwned>(origin: &dyn Origin, path: &str) -> Result<Option<T>> {
    let Some(bytes) = origin.get(path, SIGNED_MAX.0)? else {
        return Ok(None);
    };
    let odd = |what: String| {
        let reason = Reason::new(
            ReasonCode::ImageUntrusted,
            format!("{path} of {} {what}", origin.name()),
            "see that an image server of this version answers there, and what stands in between",
        );
        reason.then("nothing: no disk is touched")
    };
    if bytes.len() as u64 > SIGNED_MAX.0 {
        let what = format!(
            "is longer than {} bytes: no signed document is",
            SIGNED_MAX.0
        );
        return Err(Refused { reason: odd(what) }.into());
    }
    let parsed = serde_json::from_slice(&bytes).map_err(|error| Refused {
        reason: odd("is no signed document".into()).seen(error.to_string()),
    });
    Ok(Some(parsed?))
}

/// Reads all that makes up the image now, and compares it with the manifest: every chunk as it is stored and as it is, and the
/// boot files.
pub(super) fn read_all(origin: &dyn Origin, manifest: &Manifest) -> Result<()> {
    let mut progress = Progress::new("verifying")?;
    let title = title(manifest);
    let total: u64 = manifest.chunks.iter().map(|one| one.stored_length.0).sum();
    let mut done = 0;
    let wrong = |path: &str, digest: &Digest, said: String| {
        let reason = Reason::new(
            ReasonCode::ChunkCorrupt,
            format!(
                "{path} of {} is not what the manifest of {title} says",
                origin.name()
            ),
            origin.mend(),
        );
        let image = Part::Image {
            image: title.clone(),
            digest: Some(digest.to_string()),
        };
        anyhow::Error::from(Refused {
            reason: reason.about(image).seen(said),
        })
    };
    for chunk in &manifest.chunks {
        let path = paths::CHUNK.replace("{digest}", &chunk.digest.hex());
        let Some(stored) = origin.get(&path, chunk.stored_length.0)? else {
            return Err(wrong(&path, &chunk.digest, "it is not there".to_owned()));
        };
        if let Err(corrupt) = image_repo::unpacked(chunk, &stored) {
            return Err(wrong(&path, &chunk.digest, corrupt.to_string()));
        }
        done += chunk.stored_length.0;
        progress.set(Bytes(done), Some(Bytes(total)));
    }
    progress.clear();
    let files = manifest.boot_files();
    let blobs = files.map(|files| [&files.kernel, &files.initrd, &files.boot_loader]);
    for blob in blobs.into_iter().flatten() {
        let path = paths::BLOB.replace("{digest}", &blob.digest.hex());
        let found = origin.get(&path, blob.length.0)?;
        if found.as_deref().map(Digest::of) != Some(blob.digest) {
            let said = found.map_or("it is not there", |_| "it has other bytes");
            return Err(wrong(&path, &blob.digest, said.to_owned()));
        }
    }
    Ok(())
}
