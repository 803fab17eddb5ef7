// SPDX-License-Identifier: Apache-2.0
//! What a host gets of its own, as its plan has it: texts filled in, places decided, large texts put aside by digest.
//!
//! A secret is looked for, so that no disk is touched for a host that would miss it, and is not kept: the plan has its name.

use crate::api::Refusal;
use crate::credential::SecretBytes;
use crate::images::Images;
use crate::planner::Job;
use crate::provisioner::Provisioner;
use groundstate_api::customise::{
    FileBytes, INLINE_ALL_MAX, INLINE_MAX, PlannedContent, PlannedFile, SITE_FILE_MAX, Source,
    TextSource,
};
use groundstate_api::image::ImageRef;
use groundstate_api::site::{Network, Node, Policy, Site};
use groundstate_api::template::Template;
use groundstate_api::{Bytes, Digest, Part, Reason, RunId};
use mos_core::customise::{
    CloudSeed, CredentialName, CustomiseRefusal, NewFile, Order, RootPath, Stated, Volume,
    names_no_old_guid, new_file, place, planned,
};
use prov_core::custom::{Fields, Merged, cannot_be_made, merged};
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two looks whether this provisioner decides.
const LEAD_POLL: Duration = Duration::from_secs(1);

/// The files of a plan, and what of them is put aside before the plan is written down.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) planned: Vec<PlannedFile>,
    pub(crate) aside: Vec<Vec<u8>>,
}

/// What a plan's files follow from.
#[derive(Clone, Copy)]
pub(crate) struct Basis<'a> {
    pub(crate) site: &'a str,
    pub(crate) network: &'a Network,
    pub(crate) policy: &'a Policy,
    pub(crate) node: &'a Node,
    pub(crate) run: &'a RunId,
    pub(crate) image: &'a ImageRef,
}

impl Job {
    /// What the host of this run gets. A host that stays gets nothing anew.
    pub(crate) fn files(&self, image: &ImageRef, images: &dyn Images) -> Result<Files, Reason> {
        if self.terms.erase.is_some() || self.terms.rebuild.is_some() {
            return Ok(Files::default());
        }
        let basis = Basis {
            site: &self.site,
            network: &self.network,
            policy: &self.policy,
            node: &self.node,
            run: &self.run,
            image,
        };
        basis.files(&mut |image| images.volumes(image))
    }
}

impl Basis<'_> {
    /// What the host gets, in the image whose file systems `volumes` tells.
    pub(crate) fn files(
        self,
        volumes: &mut dyn FnMut(&ImageRef) -> Result<Vec<Volume>, Reason>,
    ) -> Result<Files, Reason> {
        let merged = merged(self.policy, self.node);
        if merged.is_empty() {
            return Ok(Files::default());
        }
        let image = self.image;
        let fields = Fields::of_run(self.site, self.network, self.node, self.run, image);
        let mut files = Files::default();
        let order = order(&merged, fields, &mut files)?;
        let placed = place(&order, &volumes(image)?).map_err(|error| about(image, &error))?;
        files.planned = planned(placed);
        Ok(files)
    }
}

/// Why a file does not go with the image.
fn about(image: &ImageRef, error: &CustomiseRefusal) -> Reason {
    error.reason().about(Part::Image {
        image: image.name.clone(),
        digest: Some(image.manifest.to_string()),
    })
}

fn order(
    merged: &Merged<'_>,
    fields: Fields<'_>,
    files: &mut Files,
) -> Result<Order<PlannedContent>, Reason> {
    let refused = |error: CustomiseRefusal| error.reason();
    let mut room = Room {
        fields,
        left: INLINE_ALL_MAX,
        aside: &mut files.aside,
    };
    let mut order = Order::default();
    for rule in &merged.files {
        let source = rule.source();
        let mode = rule.mode_bits();
        let (Some(source), Some(mode)) = (source, mode) else {
            return Err(cannot_be_made(
                &rule.path,
                "no source, or no permissions that can be read",
            ));
        };
        let path = RootPath::parse(&rule.path).map_err(refused)?;
        let mut file = NewFile::plain(path, room.content(&rule.path, source)?);
        (file.mode, file.owner, file.group) = (mode, rule.owner, rule.group);
        order.files.push(Stated {
            partition: rule.partition,
            file,
        });
    }
    for rule in &merged.credentials {
        let name = CredentialName::parse(&rule.name).map_err(refused)?;
        let from = rule.from.clone();
        order.files.push(Stated {
            partition: None,
            file: name
                .file(PlannedContent::Credential { from })
                .map_err(refused)?,
        });
    }
    order.cloud = cloud(merged, &mut room)?;
    order.unattend = match merged.unattend {
        Some(text) => Some(room.text("the unattend file", text)?),
        None => None,
    };
    Ok(order)
}

fn cloud(merged: &Merged<'_>, room: &mut Room<'_>) -> Result<CloudSeed<PlannedContent>, Reason> {
    let mut seed = CloudSeed::default();
    for (key, text) in &merged.nocloud {
        let content = room.text(&format!("the NoCloud {}", key.replace('_', "-")), text)?;
        match *key {
            "user_data" => seed.user_data = Some(content),
            "meta_data" => seed.meta_data = Some(content),
            _ => seed.network_config = Some(content),
        }
    }
    if !merged.nocloud.is_empty() && seed.meta_data.is_none() {
        // Another instance for each installation, so that cloud-init does its first-boot work again; and the node's own name.
        let usual = "instance-id: gs-${run.id}\nlocal-hostname: ${node.name}\n";
        let content = room.content("the NoCloud meta-data", Source::Template(usual))?;
        seed.meta_data = Some(content);
    }
    Ok(seed)
}

/// Room for texts in the plan itself, and what is put aside.
struct Room<'a> {
    fields: Fields<'a>,
    left: usize,
    aside: &'a mut Vec<Vec<u8>>,
}

impl Room<'_> {
    fn text(&mut self, what: &str, text: &TextSource) -> Result<PlannedContent, Reason> {
        let source = text.source();
        let source =
            source.ok_or_else(|| cannot_be_made(what, "none or several sources are named"))?;
        self.content(what, source)
    }

    fn content(&mut self, what: &str, source: Source<'_>) -> Result<PlannedContent, Reason> {
        let text = match source {
            Source::Content(text) => text.to_owned(),
            Source::Template(text) => {
                let template =
                    Template::parse(text).map_err(|error| cannot_be_made(what, error))?;
                let value = |field| self.fields.get(field);
                template
                    .render(&value)
                    .map_err(|error| cannot_be_made(what, error))?
            }
            Source::File {
                stored: Some((digest, size)),
                ..
            } => return Ok(PlannedContent::Stored { digest, size }),
            Source::File { name, stored: None } => {
                let why = format!("the site does not say the digest of {name:?}");
                return Err(cannot_be_made(what, why));
            }
        };
        if text.len() <= INLINE_MAX.min(self.left) {
            self.left -= text.len();
            return Ok(PlannedContent::Inline { text });
        }
        let content = PlannedContent::Stored {
            digest: Digest::of(text.as_bytes()),
            size: Bytes(u64::try_from(text.len()).unwrap_or(u64::MAX)),
        };
        self.aside.push(text.into_bytes());
        Ok(content)
    }
}

/// What the names of the journal's documents begin with that hold files.
pub(crate) const KEPT_FILES: &str = "file/";

/// The document of the journal that holds a file.
pub(crate) fn document(digest: &Digest) -> String {
    format!("{KEPT_FILES}{}", digest.hex())
}

impl Provisioner {
    /// Keeps a file by its digest, until nothing names it any more. Blocks.
    pub(crate) fn keep_file(
        &self,
        bytes: &[u8],
    ) -> Result<Digest, groundstate_journal::JournalError> {
        let digest = Digest::of(bytes);
        self.asked_for_file(&digest);
        self.change_document(&document(&digest), |before| {
            let is_there = before.is_some_and(|before| before == bytes);
            ((!is_there).then(|| bytes.to_vec()), ())
        })?;
        Ok(digest)
    }

    /// Keeps the files beside the site file of a start, once this provisioner decides. Another one that does has its own.
    pub async fn keep_site_files(self, files: Vec<FileBytes>) {
        while self.may_decide().is_err() {
            tokio::time::sleep(LEAD_POLL).await;
        }
        for file in files {
            let ours = self.clone();
            let kept =
                tokio::task::spawn_blocking(move || ours.keep_file(&file.base64.0).map(drop));
            match kept.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(%error, "a file beside the site file is not kept; apply the site again")
                }
                Err(error) => {
                    tracing::error!(%error, "keeping the files beside the site file stopped")
                }
            }
        }
    }

    /// Whether every file that a site names is kept here. Blocks.
    ///
    /// # Errors
    /// Those that are not, or the journal cannot be read.
    pub(crate) fn has_files_of(&self, site: &Site) -> Result<(), Refusal> {
        let mut wanted = BTreeMap::new();
        let policy = ("policy".to_owned(), site.policy.custom());
        let nodes = site.nodes.iter();
        let nodes = nodes.map(|node| (format!("node {}", node.name), node.custom()));
        for (at, custom) in std::iter::once(policy).chain(nodes) {
            for (path, source) in custom.sources() {
                if let Some(Source::File {
                    stored: Some((digest, _)),
                    name,
                }) = source
                {
                    let says = || (format!("{at}: {path}.from"), name.to_owned());
                    wanted.entry(digest).or_insert_with(says);
                }
            }
        }
        for (digest, (path, name)) in wanted {
            if self.kept_file(&digest)?.is_none() {
                let should = format!(
                    "the provisioner has no file {name:?} with the digest {digest}; apply the site from the folder that has it: groundstate apply"
                );
                return Err(Refusal::field(&path, should));
            }
        }
        Ok(())
    }

    /// A file by its digest; `None` where there is none, or what is there is not what it was. Blocks.
    pub(crate) fn kept_file(
        &self,
        digest: &Digest,
    ) -> Result<Option<Vec<u8>>, groundstate_journal::JournalError> {
        self.asked_for_file(digest);
        let bytes = self.read_document(&document(digest))?;
        Ok(bytes.filter(|bytes| Digest::of(bytes) == *digest))
    }

    /// Whether no file names a GUID of the image's own partition table, where the disk gets other ones: before there is a
    /// plan, and so before anything on a disk is changed. What is not kept yet is in `aside`; what is nowhere is refused by
    /// [`Provisioner::are_there`]. Blocks.
    pub(crate) fn name_no_old_guids(
        &self,
        image: &ImageRef,
        files: &[PlannedFile],
        aside: &[Vec<u8>],
    ) -> Result<(), Reason> {
        if files.is_empty() {
            return Ok(());
        }
        let old = self.images().table_guids(image)?;
        if old.is_empty() {
            return Ok(());
        }
        for planned in files {
            let Some(bytes) = self.contents(planned, aside)? else {
                continue;
            };
            new_file(planned, bytes)
                .and_then(|file| names_no_old_guid(old.iter().copied(), &file))
                .map_err(|error| about(image, &error).then("nothing: no disk is touched"))?;
        }
        Ok(())
    }

    /// The bytes of a planned file, where they can be had.
    fn contents(&self, file: &PlannedFile, aside: &[Vec<u8>]) -> Result<Option<Vec<u8>>, Reason> {
        match &file.content {
            PlannedContent::Inline { text } => Ok(Some(text.clone().into_bytes())),
            PlannedContent::Stored { digest, .. } => {
                let found = aside.iter().find(|bytes| Digest::of(bytes) == *digest);
                match found {
                    Some(bytes) => Ok(Some(bytes.clone())),
                    None => self
                        .kept_file(digest)
                        .map_err(|error| cannot_be_made(&file.path, error)),
                }
            }
            PlannedContent::Credential { from } => {
                let secret = self.credentials().read_bytes(from).ok();
                Ok(secret.map(SecretBytes::into_bytes))
            }
        }
    }

    /// Whether all that a plan names is there, before it is given out: what is stored, and secrets that can be read. Blocks.
    pub(crate) fn are_there(&self, files: &[PlannedFile]) -> Result<(), Reason> {
        for file in files {
            match &file.content {
                PlannedContent::Inline { .. } => {}
                PlannedContent::Stored { digest, .. } => {
                    let kept = self.kept_file(digest);
                    let kept = kept.map_err(|error| cannot_be_made(&file.path, error))?;
                    if kept.is_none() {
                        let why = format!(
                            "no file {digest} is kept here; groundstate apply sends the files beside the site file ({SITE_FILE_MAX} each at most)"
                        );
                        return Err(cannot_be_made(&file.path, why));
                    }
                }
                PlannedContent::Credential { from } => {
                    self.credentials()
                        .read_bytes(from)
                        .map_err(|error| error.reason_of_host())?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = r#"
name = "lab"
[network]
address = "10.0.0.1"
prefix = 24
pool_first = "10.0.0.100"
pool_last = "10.0.0.200"
[policy]
image = "debian"
hand_over = "kexec"
[[node]]
name = "n1"
mac = "52:54:00:00:00:01"
uuid = "564d1234-5678-9abc-def0-000000000001"
serial = "S1"
"#;

    #[test]
    fn a_plan_holds_little_and_the_rest_is_put_aside_by_its_digest() {
        let site: Site = toml::from_str(SITE).unwrap();
        let mut aside = Vec::new();
        let mut room = Room {
            fields: Fields::of_site(&site, &site.nodes[0]),
            left: INLINE_ALL_MAX,
            aside: &mut aside,
        };
        let text = "x".repeat(INLINE_MAX);
        let large = "y".repeat(INLINE_MAX + 1);
        let inline = |content: &PlannedContent| matches!(content, PlannedContent::Inline { .. });
        assert!(!inline(
            &room.content("a", Source::Content(&large)).unwrap()
        ));
        for _ in 0..INLINE_ALL_MAX / INLINE_MAX {
            assert!(inline(&room.content("a", Source::Content(&text)).unwrap()));
        }
        let last = room.content("a", Source::Content("z")).unwrap();
        let PlannedContent::Stored { digest, size } = last else {
            panic!("{last:?}");
        };
        assert_eq!((digest, size), (Digest::of(b"z"), Bytes(1)));
        let empty = room.content("a", Source::Content("")).unwrap();
        assert!(inline(&empty), "nothing takes no room");
        let none = Source::Template("${node.rack}");
        let refused = room.content("/etc/x", none).unwrap_err();
        let said = refused.lines().join(" ");
        assert!(
            said.contains("/etc/x") && said.contains("node.rack"),
            "{said}"
        );
        let unknown = Source::File {
            name: "f",
            stored: None,
        };
        room.content("b", unknown).unwrap_err();
        assert_eq!(aside, [large.into_bytes(), b"z".to_vec()]);
    }
}
