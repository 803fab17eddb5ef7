// SPDX-License-Identifier: Apache-2.0
//! What one host gets of its own: the node's before the policy's, with every field filled in.
//!
//! It reads no file and no secret: bytes that are elsewhere stay there, known by digest or by name.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::customise::{CredentialRule, FileRule, Source, TextSource};
use groundstate_api::image::ImageRef;
use groundstate_api::site::{Network, Node, Policy, Site};
use groundstate_api::template::Field;
use groundstate_api::{Reason, ReasonCode, RunId};

/// Where a NoCloud seed lies in a root file system.
pub const NOCLOUD: &str = "/var/lib/cloud/seed/nocloud";

/// What one host gets.
#[derive(Clone, Debug)]
pub struct Merged<'a> {
    /// Files: the policy's that the node does not replace, then the node's.
    pub files: Vec<&'a FileRule>,
    /// Credentials, likewise by name.
    pub credentials: Vec<&'a CredentialRule>,
    /// Documents of the NoCloud seed, each with its key.
    pub nocloud: Vec<(&'static str, &'a TextSource)>,
    /// The answer file.
    pub unattend: Option<&'a TextSource>,
}

/// What a node gets of the policy's and of its own.
#[must_use]
pub fn merged<'a>(policy: &'a Policy, node: &'a Node) -> Merged<'a> {
    let (all, own) = (policy.custom(), node.custom());
    let replaced = |file: &&FileRule| {
        let same =
            |other: &FileRule| (other.partition, &other.path) == (file.partition, &file.path);
        !own.files.iter().any(same)
    };
    let renamed =
        |one: &&CredentialRule| !own.credentials.iter().any(|other| other.name == one.name);
    let mut nocloud: Vec<(&'static str, &TextSource)> = Vec::new();
    for cloud in [own.nocloud, all.nocloud].into_iter().flatten() {
        for (key, text) in cloud.texts() {
            if !nocloud.iter().any(|(known, _)| *known == key) {
                nocloud.push((key, text));
            }
        }
    }
    nocloud.sort_by_key(|(key, _)| *key);
    Merged {
        files: all.files.iter().filter(replaced).chain(own.files).collect(),
        credentials: all
            .credentials
            .iter()
            .filter(renamed)
            .chain(own.credentials)
            .collect(),
        nocloud,
        unattend: own.unattend.or(all.unattend),
    }
}

impl Merged<'_> {
    /// Whether the host gets nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
            && self.credentials.is_empty()
            && self.nocloud.is_empty()
            && self.unattend.is_none()
    }

    /// Every source with the words for it. What has none is a fault of the site and is left out.
    pub fn sources(&self) -> impl Iterator<Item = (String, Source<'_>)> {
        let files = self.files.iter();
        let files = files.filter_map(|file| Some((file.path.clone(), file.source()?)));
        let texts = self.nocloud.iter();
        let texts = texts.filter_map(|(key, text)| {
            Some((format!("nocloud {}", key.replace('_', "-")), text.source()?))
        });
        let unattend = self.unattend.into_iter();
        let unattend = unattend.filter_map(|text| Some(("unattend".to_string(), text.source()?)));
        files.chain(texts).chain(unattend)
    }
}

/// What is filled in for one node.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    site: &'a str,
    network: &'a Network,
    node: &'a Node,
    run: Option<(&'a RunId, &'a ImageRef)>,
}

impl<'a> Fields<'a> {
    /// For a node of the site, before there is a run.
    #[must_use]
    pub fn of_site(site: &'a Site, node: &'a Node) -> Self {
        Self {
            site: &site.name,
            network: &site.network,
            node,
            run: None,
        }
    }

    /// For a run of the node with an image.
    #[must_use]
    pub const fn of_run(
        site: &'a str,
        network: &'a Network,
        node: &'a Node,
        run: &'a RunId,
        image: &'a ImageRef,
    ) -> Self {
        Self {
            site,
            network,
            node,
            run: Some((run, image)),
        }
    }

    /// Whether a run of the node will have a value for it.
    #[must_use]
    pub fn may_have(&self, field: Field) -> bool {
        matches!(field, Field::ImageName | Field::ImageVersion | Field::Run)
            || self.get(field).is_some()
    }

    /// The value.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<String> {
        let (node, network) = (self.node, self.network);
        let slot = node.slot.as_ref();
        Some(match field {
            Field::NodeName => node.name.to_string(),
            Field::NodeMac => node.mac.to_string(),
            Field::NodeUuid => node.uuid.to_string(),
            Field::NodeSerial => node.serial.clone(),
            Field::NodeRack => slot?.rack.clone(),
            Field::NodeUnit => slot?.unit.to_string(),
            Field::NodeBay => slot?.bay?.to_string(),
            Field::NodePort => slot?.port.clone()?,
            Field::NodeProfile => node.profile.clone()?,
            Field::BmcAddress => node.bmc.as_ref()?.address.clone(),
            Field::SiteName => self.site.to_string(),
            Field::NetworkAddress => network.address.to_string(),
            Field::NetworkPrefix => network.prefix.to_string(),
            Field::NetworkRouter => network.router?.to_string(),
            Field::NetworkDns if network.dns.is_empty() => return None,
            Field::NetworkDns => {
                let all: Vec<String> = network.dns.iter().map(ToString::to_string).collect();
                all.join(", ")
            }
            Field::ImageName => self.run?.1.name.clone(),
            Field::ImageVersion => self.run?.1.version.clone(),
            Field::Run => self.run?.0.to_string(),
        })
    }
}

/// A file for the host cannot be made: no disk is touched for half a host.
#[must_use]
pub fn cannot_be_made(what: &str, why: impl ToString) -> Reason {
    Reason::new(
        ReasonCode::PlanRefused,
        format!("{what} of the host cannot be made"),
        "correct it in the site file and apply it (groundstate apply), then order again",
    )
    .seen(why.to_string())
    .then("nothing: no disk was touched")
}
