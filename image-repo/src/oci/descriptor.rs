// SPDX-License-Identifier: Apache-2.0
//! Descriptors, indexes and manifests, and which manifest of an index is meant.

use super::layout::Layout;
use super::named;
use crate::roots::{PrepareOptions, RootsError, shown};
use groundstate_api::image::Architecture;
use image_core::facts::Machine;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The longest document, in bytes; registries take 4 MiB at most.
pub(super) const DOCUMENT_MAX: u64 = 4 << 20;
/// The most indexes one within the other.
const DEPTH_MAX: usize = 4;
/// The most indexes that are read in all.
const INDEXES_MAX: usize = 32;
/// The annotation that names a manifest of an index.
const REFERENCE: &str = "org.opencontainers.image.ref.name";
/// The annotation by which BuildKit says what a manifest is that is no image.
const DOCKER_KIND: &str = "vnd.docker.reference.type";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A descriptor (OCI Image Specification 1.1, "OCI Content Descriptors"). Fields that are not known are passed over, as
/// the specification asks.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default)]
    pub(super) annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) platform: Option<Platform>,
}

impl Descriptor {
    pub(super) fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether it is beside an image and none itself: what a build says of how it was made (BuildKit, "Image attestation
    /// storage").
    fn is_attestation(&self) -> bool {
        self.annotation(DOCKER_KIND) == Some("attestation-manifest")
    }

    /// Whether it is for that architecture, or does not say what it is for.
    fn is_for(&self, architecture: Architecture) -> bool {
        let word = match architecture {
            Architecture::X86_64 => "amd64",
            Architecture::Aarch64 => "arm64",
        };
        let platform = self.platform.as_ref();
        platform.is_none_or(|platform| platform.architecture == word)
    }

    fn is_index(&self) -> bool {
        self.media_type == INDEX || self.media_type == DOCKER_LIST
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

#[derive(Debug, Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// A manifest.
#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    #[serde(default)]
    pub(super) layers: Vec<Descriptor>,
}

/// The manifest that is meant: the one of that tag and that architecture, or the only one.
pub(super) fn choose(layout: &Layout, options: &PrepareOptions) -> Result<Manifest, RootsError> {
    let index: Index = parse("index.json", &layout.index()?)?;
    let mut found = Vec::new();
    let mut read = 0;
    gather(layout, index, 0, None, &mut read, &mut found)?;
    found.retain(|(_, descriptor)| !descriptor.is_attestation());
    let is_wanted = |(tag, descriptor): &&(Option<String>, Descriptor)| {
        let is_tagged = options.tag.is_none() || tag.as_deref() == options.tag.as_deref();
        is_tagged
            && options
                .architecture
                .is_none_or(|wanted| descriptor.is_for(wanted))
    };
    let wanted: Vec<_> = found.iter().filter(is_wanted).collect();
    match wanted.as_slice() {
        [(_, descriptor)] => parse(&named(descriptor), &layout.document(descriptor)?),
        [] => Err(RootsError::OciNone {
            wanted: wish(options),
            there: titles(found.iter()),
        }),
        several => Err(RootsError::OciSeveral {
            count: several.len(),
            names: titles(several.iter().copied()),
            how: which(several),
        }),
    }
}

fn gather(
    layout: &Layout,
    index: Index,
    depth: usize,
    outer: Option<&str>,
    read: &mut usize,
    found: &mut Vec<(Option<String>, Descriptor)>,
) -> Result<(), RootsError> {
    *read += 1;
    if depth >= DEPTH_MAX || *read > INDEXES_MAX {
        return Err(RootsError::OciDepth { max: DEPTH_MAX });
    }
    for descriptor in index.manifests {
        let tag = descriptor.annotation(REFERENCE).or(outer);
        if descriptor.is_index() {
            let inner: Index = parse(&named(&descriptor), &layout.document(&descriptor)?)?;
            gather(layout, inner, depth + 1, tag, read, found)?;
        } else {
            found.push((tag.map(String::from), descriptor));
        }
    }
    Ok(())
}

fn titles<'a>(all: impl Iterator<Item = &'a (Option<String>, Descriptor)>) -> String {
    all.map(title).collect::<Vec<_>>().join(", ")
}

/// What was asked for.
fn wish(options: &PrepareOptions) -> String {
    let tag = options.tag.as_ref();
    let tag = tag.map(|tag| format!(" with the tag {}", shown(tag.as_bytes())));
    let architecture = options.architecture.map(Machine::from);
    let architecture = architecture.map(|machine| format!(" for {machine}"));
    [tag, architecture].into_iter().flatten().collect()
}

/// Which option tells several apart.
fn which(several: &[&(Option<String>, Descriptor)]) -> &'static str {
    let differ = |by: fn(&(Option<String>, Descriptor)) -> Option<&str>| {
        several.windows(2).any(|pair| match pair {
            [one, other] => by(one) != by(other),
            _ => false,
        })
    };
    let by_platform = differ(|(_, of)| of.platform.as_ref().map(|of| of.architecture.as_str()));
    let by_tag = differ(|(tag, _)| tag.as_deref());
    match (by_tag, by_platform) {
        (true, false) => "--tag NAME takes one",
        (false, true) => "--arch x86_64 or aarch64 takes one",
        (true, true) => "--tag NAME and --arch x86_64 or aarch64 take one",
        (false, false) => {
            "nothing tells them apart; copy the one that is meant into a layout of its own"
        }
    }
}

fn title((tag, descriptor): &(Option<String>, Descriptor)) -> String {
    let mut title = match tag {
        Some(tag) => shown(tag.as_bytes()),
        None => named(descriptor),
    };
    if let Some(platform) = &descriptor.platform {
        let text = format!(" ({}/{})", platform.os, platform.architecture);
        title.push_str(&shown(text.as_bytes()));
    }
    title
}

fn parse<'a, T: Deserialize<'a>>(name: &str, bytes: &'a [u8]) -> Result<T, RootsError> {
    // serde_json refuses a depth of more than 128.
    serde_json::from_slice(bytes).map_err(|error| RootsError::OciDocument {
        digest: name.into(),
        said: error.to_string(),
    })
}
