// SPDX-License-Identifier: Apache-2.0
//! What the site says about disks, read: the node's word before the policy's, and the first rule that a disk matches.
//!
//! No condition sees the kernel's name of a disk.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::disk_policy::{DataOnOs, DiskPolicy, DiskRule, Media, Span, WipeRule};
use groundstate_api::inventory::{Disk, Transport};
use groundstate_api::plan::VolumeFs;
use groundstate_api::site::{Node, Policy};
use groundstate_api::{Bytes, Part, Reason, ReasonCode};

/// What holds for the disks of one node.
pub(super) struct Terms<'a> {
    pub(super) fs: VolumeFs,
    pub(super) wipe: WipeRule,
    pub(super) span: Span,
    pub(super) missing_data_disks: u16,
    pub(super) data_on_os_disk: DataOnOs,
    pub(super) root_size: Option<Bytes>,
    pub(super) grow_image: bool,
    rules: Vec<Rule<'a>>,
}

/// A rule with the place where it stands.
pub(super) struct Rule<'a> {
    pub(super) path: String,
    pub(super) says: &'a DiskRule,
    size_min: Option<Bytes>,
    size_max: Option<Bytes>,
}

impl<'a> Terms<'a> {
    pub(super) fn read(node: &'a Node, policy: &'a Policy) -> Result<Self, Reason> {
        let (ours, site) = (&node.disks, &policy.disks);
        let at_node = format!("node.{}.disks", node.name);
        let mut rules = rules(&at_node, ours)?;
        rules.extend(rules_of_policy(site)?);
        let root_size = match (&ours.root_size, &site.root_size) {
            (Some(text), _) => Some(size(&format!("{at_node}.root_size"), text)?),
            (None, Some(text)) => Some(size("policy.disks.root_size", text)?),
            (None, None) => None,
        };
        Ok(Self {
            fs: ours.fs.or(site.fs).unwrap_or_default(),
            wipe: ours.wipe.or(site.wipe).unwrap_or_default(),
            span: ours.span.or(site.span).unwrap_or_default(),
            missing_data_disks: ours
                .missing_data_disks
                .or(site.missing_data_disks)
                .unwrap_or_default(),
            data_on_os_disk: ours
                .data_on_os_disk
                .or(site.data_on_os_disk)
                .unwrap_or_default(),
            root_size,
            grow_image: ours.grow_image.or(site.grow_image).unwrap_or_default(),
            rules,
        })
    }

    /// The first rule that the disk matches.
    pub(super) fn rule(&self, disk: &Disk) -> Option<&Rule<'a>> {
        self.rules.iter().find(|rule| rule.matches(disk))
    }

    /// Every rule, in the order in which they are asked.
    pub(super) fn rules(&self) -> &[Rule<'a>] {
        &self.rules
    }

    /// What may be wiped on this disk without being confirmed.
    pub(super) fn wipe(&self, disk: &Disk) -> WipeRule {
        let rule = self.rule(disk);
        rule.and_then(|rule| rule.says.wipe).unwrap_or(self.wipe)
    }
}

fn rules_of_policy(site: &DiskPolicy) -> Result<Vec<Rule<'_>>, Reason> {
    rules("policy.disks", site)
}

fn rules<'a>(at: &str, policy: &'a DiskPolicy) -> Result<Vec<Rule<'a>>, Reason> {
    let read = policy.rules.iter().enumerate().map(|(index, says)| {
        let path = format!("{at}.rule[{index}]");
        let bound = |key: &str, text: &Option<String>| match text {
            Some(text) => size(&format!("{path}.{key}"), text).map(Some),
            None => Ok(None),
        };
        Ok(Rule {
            size_min: bound("size_min", &says.size_min)?,
            size_max: bound("size_max", &says.size_max)?,
            path,
            says,
        })
    });
    read.collect()
}

fn size(path: &str, text: &str) -> Result<Bytes, Reason> {
    Bytes::parse(text).ok_or_else(|| {
        Reason::new(
            ReasonCode::PlanRefused,
            format!("`{text}` is not a size; for example `64GiB` is."),
            "Correct the field in the site file and order the run again.",
        )
        .about(Part::Field { path: path.into() })
    })
}

impl Rule<'_> {
    fn matches(&self, disk: &Disk) -> bool {
        let says = self.says;
        let any = |wanted: &[String], is: &dyn Fn(&str) -> bool| {
            wanted.is_empty() || wanted.iter().any(|one| is(one))
        };
        any(&says.serial, &|one| one == disk.serial)
            && any(&says.wwn, &|one| Some(one) == disk.wwn.as_deref())
            && any(&says.slot, &|one| glob(one, &disk.slot))
            && any(&says.model, &|one| glob(one, &disk.model))
            && self.size_min.is_none_or(|least| disk.size >= least)
            && self.size_max.is_none_or(|most| disk.size <= most)
            && (says.media.is_empty() || says.media.contains(&media(disk)))
            && (says.health.is_empty() || says.health.contains(&disk.health.verdict))
    }

    /// Whether the rule names single disks or slots, and not a kind of disk: then it means a USB disk and one that no
    /// plan used before as well.
    pub(super) fn names(&self) -> bool {
        let exact = |slot: &String| !slot.contains(['*', '?']);
        let says = self.says;
        !says.serial.is_empty()
            || !says.wwn.is_empty()
            || (!says.slot.is_empty() && says.slot.iter().all(exact))
    }
}

/// The kind of the disk's medium.
fn media(disk: &Disk) -> Media {
    match disk.transport {
        Transport::Nvme => Media::Nvme,
        _ if disk.rotational => Media::Hdd,
        Transport::Ata
        | Transport::Scsi
        | Transport::Virtio
        | Transport::Usb
        | Transport::Other => Media::Ssd,
    }
}

/// Whether the text is what the pattern says: `*` stands for any characters, `?` for one.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where the last `*` stood, and how far it has eaten.
    let mut star: Option<(usize, usize)> = None;
    while let Some(character) = text.get(seen) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                at += 1;
                seen += 1;
            }
            Some(_) | None => match &mut star {
                Some((back, eaten)) => {
                    *eaten += 1;
                    (at, seen) = (*back + 1, *eaten);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        for (pattern, text, is) in [
            ("bay-1", "bay-1", true),
            ("bay-1", "bay-11", false),
            ("bay-*", "bay-", true),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("b?y-*1*", "bay-2101x", true),
            ("*-nvme-?", "pci-0000:00:05.0-nvme-1", true),
            ("*ab", "aab", true),
            ("*ab", "aba", false),
            ("?", "é", true),
            ("**", "x", true),
        ] {
            assert_eq!(glob(pattern, text), is, "{pattern} {text}");
        }
    }
}
