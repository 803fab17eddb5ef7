// SPDX-License-Identifier: Apache-2.0
//! How a person names an image: `NAME`, `NAME:VERSION`, `NAME VERSION`, or the digest of its manifest.

use anyhow::{Result, bail};
use groundstate_api::image::ImageRef;
use image_repo::Repository;
use std::str::FromStr;

/// A name as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    name: String,
    version: Option<String>,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = match text.split_once(':') {
            // `sha256:…` is the digest of a manifest.
            Some(("sha256", _)) | None => (text, None),
            Some((name, version)) => (name, Some(version)),
        };
        if name.is_empty() || version == Some("") {
            return Err("an image is named NAME, NAME:VERSION or sha256:DIGEST".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            version: version.map(str::to_owned),
        })
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.version {
            Some(version) => write!(to, "{}:{version}", self.name),
            None => write!(to, "{}", self.name),
        }
    }
}

impl Named {
    /// With the version as a word of its own.
    pub(super) fn with(&self, version: Option<&str>) -> Result<Self> {
        match (&self.version, version) {
            (_, None) => Ok(self.clone()),
            (None, Some(version)) => Ok(Self {
                name: self.name.clone(),
                version: Some(version.to_owned()),
            }),
            (Some(first), Some(second)) => {
                bail!("two versions are given: {first} and {second}; say one")
            }
        }
    }

    /// The image that it names; without a version, the newest import.
    pub(super) fn find(&self, repository: &Repository) -> Result<ImageRef> {
        let images = repository.list()?;
        let found = images.iter().rfind(|image| match &self.version {
            Some(version) => image.name == self.name && image.version == *version,
            None => image.name == self.name || image.manifest.to_string() == self.name,
        });
        if let Some(image) = found {
            return Ok(image.clone());
        }
        let versions: Vec<_> = images
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
        let named = |text: &str| Named::from_str(text).map(|named| (named.name, named.version));
        let fine =
            |name: &str, version: Option<&str>| Ok((name.to_owned(), version.map(str::to_owned)));
        assert_eq!(named("debian"), fine("debian", None));
        assert_eq!(named("debian:12-1"), fine("debian", Some("12-1")));
        assert_eq!(named("sha256:ab"), fine("sha256:ab", None));
        for wrong in ["", ":", "a:", ":1"] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
