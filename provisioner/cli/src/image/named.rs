// SPDX-License-Identifier: Apache-2.0
//! How a person names an image: `NAME`, `NAME:VERSION`, `NAME VERSION`, `NAME@CHANNEL`, or the digest of its manifest.

use super::state::StateArgs;
use crate::client::Refused;
use anyhow::{Result, bail};
use groundstate_api::image::ImageRef;
use groundstate_api::trust::ImageChoice;
use groundstate_api::{Digest, Millis};
use image_core::ManifestError;
use image_core::manifest::reference;
use image_repo::trust::{Pin, resolve};
use image_repo::{RepoError, Repository};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

const WAYS: &str = "an image is named NAME, NAME:VERSION, NAME@CHANNEL or sha256:DIGEST";

/// A name as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    name: String,
    version: Option<String>,
    channel: Option<String>,
}

/// The time that signatures are judged by.
pub(super) fn now() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version, channel) = match (text.split_once(':'), text.split_once('@')) {
            // `sha256:…` is the digest of a manifest.
            (Some(("sha256", digest)), None)
                if digest.parse::<Digest>().is_ok() || text.parse::<Digest>().is_ok() =>
            {
                (text, None, None)
            }
            (Some(("sha256", digest)), None) => {
                return Err(format!(
                    "{digest:?} is no digest: sha256: is followed by 64 lower-case hexadecimal digits, as `groundstate image show` \
                     prints them"
                ));
            }
            (Some((name, version)), None) => (name, Some(version), None),
            (None, Some((name, channel))) => (name, None, Some(channel)),
            (None, None) => (text, None, None),
            (Some(_), Some(_)) => return Err(WAYS.to_owned()),
        };
        if name.is_empty() || version == Some("") || channel == Some("") {
            return Err(WAYS.to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            channel: channel.map(str::to_owned),
        })
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.version, &self.channel) {
            (Some(version), _) => write!(to, "{}:{version}", self.name),
            (None, Some(channel)) => write!(to, "{}@{channel}", self.name),
            (None, None) => write!(to, "{}", self.name),
        }
    }
}

impl Named {
    /// With the version as a word of its own.
    pub(super) fn with(&self, version: Option<&str>) -> Result<Self> {
        match (&self.version, version) {
            (_, None) => Ok(self.clone()),
            (None, Some(version)) if self.channel.is_none() && self.digest().is_none() => {
                Ok(Self {
                    name: self.name.clone(),
                    version: Some(version.to_owned()),
                    channel: None,
                })
            }
            (None, Some(version)) => {
                bail!("{self} is one image already; leave out {version}")
            }
            (Some(first), Some(second)) => {
                bail!("two versions are given: {first} and {second}; say one")
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }
    pub(super) fn channel(&self) -> Option<&str> {
        self.channel.as_deref()
    }
    /// The manifest, where it is named by its digest.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.name.parse().ok().filter(|_| self.name.contains(':'))
    }

    /// The image that it names; a channel's, where its signatures are right.
    pub(super) fn any(&self, state: &StateArgs, repository: &Repository) -> Result<ImageRef> {
        let Some(channel) = &self.channel else {
            return self.find(repository);
        };
        let choice = ImageChoice {
            name: self.name.clone(),
            channel: Some(channel.clone()),
        };
        let pin = Pin::of_state(&state.state_dir);
        match resolve(repository, &choice, &pin, now()) {
            Ok(verified) => Ok(verified.image),
            Err(fault) => Err(Refused {
                reason: fault.reason(&self.to_string()),
            }
            .into()),
        }
    }

    /// The image that it names; without a version, the newest import.
    pub(super) fn find(&self, repository: &Repository) -> Result<ImageRef> {
        if let Some(digest) = self.digest() {
            return Ok(reference(&repository.manifest(&digest)?));
        }
        // What lies under other names is in nobody's way.
        match repository.find(&self.name, self.version.as_deref()) {
            Err(
                RepoError::NoSuchImage { .. } | RepoError::Manifest(ManifestError::Name { .. }),
            ) => {}
            other => return Ok(other?),
        }
        let listing = repository.listing()?;
        let versions: Vec<_> = listing
            .images
            .iter()
            .filter(|image| image.name == self.name)
            .map(|image| image.version.as_str())
            .collect();
        match &self.version {
            Some(version) if !versions.is_empty() => bail!(
                "{} has no version {version}: there are {}",
                self.name,
                versions.join(", ")
            ),
            Some(_) | None => bail!(
                "there is no image {}; `groundstate image ls` has all of them",
                self.name
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (text, version, channel) in [
            ("debian", None, None),
            ("debian:12-1", Some("12-1"), None),
            ("debian@stable", None, Some("stable")),
            (digest.as_str(), None, None),
        ] {
            let named = Named::from_str(text).unwrap();
            assert_eq!(named.version.as_deref(), version);
            assert_eq!(named.channel(), channel);
            assert_eq!(named.to_string(), text);
            assert_eq!(named.digest().is_some(), text == digest);
        }
        for wrong in ["", ":", "a:", ":1", "a@", "@b", "a:1@b"] {
            assert!(Named::from_str(wrong).is_err(), "{wrong}");
        }
        let named = Named::from_str("a").unwrap();
        assert_eq!(named.with(Some("7")).unwrap().to_string(), "a:7");
        for one in ["a:1", "a@b", &digest] {
            assert!(
                Named::from_str(one).unwrap().with(Some("7")).is_err(),
                "{one}"
            );
        }
    }
}
