// SPDX-License-Identifier: Apache-2.0
//! What a machine boots where no provisioner is asked: rules in order, and the files that are there.
//!
//! The first rule that fits decides. Where none does, the machine gets the files of its firmware. Every decision can be
//! told rule by rule, and the telling is made by the decision itself.

use crate::names::{INITRD, KERNEL, SNPONLY, UKI, UNDIONLY};
use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use groundstate_api::boot::{BootAnswer, BootQuestion, BootRecipe, Firmware, LocalBoot};
use groundstate_api::{MacAddr, Reason, SystemUuid};

/// What asks, as a boot file is chosen for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asker {
    /// BIOS PXE (architecture 0).
    Bios,
    /// UEFI x64 PXE (7, 9).
    UefiPxe,
    /// UEFI x64 HTTP Boot (16).
    UefiHttp,
    /// UEFI arm64 PXE (11).
    Arm64Pxe,
    /// UEFI arm64 HTTP Boot (19).
    Arm64Http,
    /// iPXE, on whatever firmware.
    Ipxe,
}

impl Asker {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Bios,
        Self::UefiPxe,
        Self::UefiHttp,
        Self::Arm64Pxe,
        Self::Arm64Http,
        Self::Ipxe,
    ];

    /// Who asks this; `None` is an operating system, or firmware that nothing here is for.
    #[must_use]
    pub fn of(question: &BootQuestion) -> Option<Self> {
        if question.ipxe {
            return Some(Self::Ipxe);
        }
        Self::of_firmware(question)
    }

    /// The firmware below, where it is known.
    fn of_firmware(question: &BootQuestion) -> Option<Self> {
        match (question.architecture, question.firmware) {
            (Some(0), _) | (None, Some(Firmware::Bios)) => Some(Self::Bios),
            (Some(7 | 9), _) | (None, Some(Firmware::UefiPxe)) => Some(Self::UefiPxe),
            (Some(16), _) | (None, Some(Firmware::UefiHttp)) => Some(Self::UefiHttp),
            (Some(11), _) => Some(Self::Arm64Pxe),
            (Some(19), _) => Some(Self::Arm64Http),
            (Some(_), firmware) => firmware.map(|firmware| match firmware {
                Firmware::Bios => Self::Bios,
                Firmware::UefiPxe => Self::UefiPxe,
                Firmware::UefiHttp => Self::UefiHttp,
            }),
            (None, None) => None,
        }
    }

    /// The processor architecture type (IANA) that such firmware sends in option 93.
    #[must_use]
    pub const fn architecture(self) -> u16 {
        match self {
            Self::Bios | Self::Ipxe => 0,
            Self::UefiPxe => 7,
            Self::UefiHttp => 16,
            Self::Arm64Pxe => 11,
            Self::Arm64Http => 19,
        }
    }

    /// As it stands on a command line and in a configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::UefiPxe => "uefi-pxe",
            Self::UefiHttp => "uefi-http",
            Self::Arm64Pxe => "arm64-pxe",
            Self::Arm64Http => "arm64-http",
            Self::Ipxe => "ipxe",
        }
    }

    /// In words, as one speaks of such machines.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Bios => "BIOS PXE",
            Self::UefiPxe => "UEFI PXE",
            Self::UefiHttp => "UEFI HTTP Boot",
            Self::Arm64Pxe => "arm64 UEFI PXE",
            Self::Arm64Http => "arm64 UEFI HTTP Boot",
            Self::Ipxe => "iPXE",
        }
    }

    /// The files that it takes where nothing was said, best first. For iPXE these are scripts.
    #[must_use]
    pub const fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Bios => &[
                UNDIONLY,
                "ipxe.pxe",
                "ipxe.kpxe",
                "pxelinux.0",
                "lpxelinux.0",
                "grub2pxe",
                "pxegrub.0",
            ],
            Self::UefiPxe => &[
                SNPONLY,
                "ipxe.efi",
                "shimx64.efi",
                "bootx64.efi",
                "BOOTX64.EFI",
                "grubx64.efi",
                "grubnetx64.efi.signed",
                "syslinux.efi",
            ],
            Self::UefiHttp => &[UKI, "ipxe.efi", SNPONLY],
            Self::Arm64Pxe => &[
                "snponly-arm64.efi",
                "ipxe-arm64.efi",
                "shimaa64.efi",
                "bootaa64.efi",
                "BOOTAA64.EFI",
                "grubaa64.efi",
            ],
            Self::Arm64Http => &["groundstate-arm64.efi", "ipxe-arm64.efi"],
            Self::Ipxe => &["boot.ipxe", "autoexec.ipxe"],
        }
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No such kind of client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no firmware; there are bios, uefi-pxe, uefi-http, arm64-pxe, arm64-http and ipxe"
)]
pub struct UnknownAsker(pub String);

impl FromStr for Asker {
    type Err = UnknownAsker;
    fn from_str(text: &str) -> Result<Self, UnknownAsker> {
        let lower = text.to_ascii_lowercase();
        match lower.as_str() {
            "arm64" | "aarch64" => Ok(Self::Arm64Pxe),
            "uefi" | "x64" => Ok(Self::UefiPxe),
            "http" => Ok(Self::UefiHttp),
            lower => Self::ALL
                .into_iter()
                .find(|asker| asker.as_str() == lower)
                .ok_or_else(|| UnknownAsker(text.to_owned())),
        }
    }
}

/// A recipe of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// What firmware and iPXE are told.
    pub recipe: BootRecipe,
    /// An iPXE script of the user's own: firmware is brought to iPXE, and iPXE to this.
    pub script: Option<String>,
}

/// What a rule says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// The files of the machine's firmware.
    Files,
    /// A recipe.
    Offer(Offer),
    /// Its own disk.
    LocalDisk(LocalBoot),
    /// An address and nothing to boot.
    Nothing,
    /// No answer.
    Refuse(Reason),
}

/// For whom, and what. What is `None` or empty fits everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What people call it.
    pub name: String,
    /// These machines by MAC address.
    pub macs: Vec<MacAddr>,
    /// Machines whose MAC address begins so: one maker's, often one model's.
    pub mac_prefixes: Vec<Vec<u8>>,
    /// These machines by UUID.
    pub uuids: Vec<SystemUuid>,
    /// This firmware.
    pub firmware: Vec<Asker>,
    /// What they boot.
    pub then: Then,
}

/// The rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// In order; the first that fits decides.
    pub rules: Vec<Rule>,
    /// Files that were named for a kind of client, in place of the usual ones.
    pub files: Vec<(Asker, String)>,
    /// The command line of `vmlinuz`, where no script is there.
    pub command_line: String,
}

/// A decision, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is answered.
    pub answer: BootAnswer,
    /// A sentence for each thing that was looked at.
    pub because: Vec<String>,
}

impl Rules {
    /// What this machine boots. `there` says whether there is a boot file of a name.
    pub fn ask(&self, question: &BootQuestion, there: &dyn Fn(&str) -> bool) -> BootAnswer {
        self.decide(question, there, &mut |_| {})
    }

    /// The same, told.
    #[must_use]
    pub fn explain(&self, question: &BootQuestion, there: &dyn Fn(&str) -> bool) -> Decision {
        let mut because = Vec::new();
        let answer = self.decide(question, there, &mut |say| because.push(say()));
        Decision { answer, because }
    }

    fn decide(
        &self,
        question: &BootQuestion,
        there: &dyn Fn(&str) -> bool,
        say: &mut Telling<'_>,
    ) -> BootAnswer {
        for rule in &self.rules {
            match rule.misses(question) {
                Some(why) => say(&|| format!("rule {:?} does not fit: {why}", rule.name)),
                None => {
                    say(&|| format!("rule {:?} fits", rule.name));
                    return self.follow(&rule.then, question, there, say);
                }
            }
        }
        if !self.rules.is_empty() {
            say(&|| "no rule fits: the files of its firmware".to_owned());
        }
        self.files(question, there, say)
    }

    fn follow(
        &self,
        then: &Then,
        question: &BootQuestion,
        there: &dyn Fn(&str) -> bool,
        say: &mut Telling<'_>,
    ) -> BootAnswer {
        match then {
            Then::Files => self.files(question, there, say),
            Then::LocalDisk(how) => {
                say(&|| "it boots its own disk".to_owned());
                BootAnswer::LocalDisk { how: *how }
            }
            Then::Nothing => {
                say(&|| "it gets nothing to boot".to_owned());
                BootAnswer::Nothing
            }
            Then::Refuse(reason) => {
                say(&|| format!("it is refused: {reason}"));
                BootAnswer::Refuse {
                    reason: reason.clone(),
                }
            }
            Then::Offer(offer) => self.offer(offer, question, there, say),
        }
    }

    fn offer(
        &self,
        offer: &Offer,
        question: &BootQuestion,
        there: &dyn Fn(&str) -> bool,
        say: &mut Telling<'_>,
    ) -> BootAnswer {
        let name = &offer.recipe.name;
        if let Some(script) = &offer.script {
            return if question.ipxe {
                say(&|| format!("recipe {name:?}: iPXE fetches its script {script}"));
                recipe(name, script)
            } else {
                say(&|| format!("recipe {name:?} has a script: firmware is brought to iPXE first"));
                self.first_stage(question, there, say)
            };
        }
        if offer.recipe.file.is_none() && !question.ipxe {
            say(&|| format!("recipe {name:?} has a kernel: firmware is brought to iPXE first"));
            if Asker::of(question).is_some() {
                return self.first_stage(question, there, say);
            }
        }
        say(&|| format!("recipe {name:?}"));
        BootAnswer::Recipe {
            recipe: offer.recipe.clone(),
        }
    }

    /// iPXE for this firmware.
    fn first_stage(
        &self,
        question: &BootQuestion,
        there: &dyn Fn(&str) -> bool,
        say: &mut Telling<'_>,
    ) -> BootAnswer {
        match Asker::of(question) {
            None => nothing_for(say),
            Some(asker) => match self.pick(asker, there, say, is_ipxe) {
                Some(file) => recipe(file, file),
                None => BootAnswer::Nothing,
            },
        }
    }

    /// The files of its firmware.
    fn files(
        &self,
        question: &BootQuestion,
        there: &dyn Fn(&str) -> bool,
        say: &mut Telling<'_>,
    ) -> BootAnswer {
        let Some(asker) = Asker::of(question) else {
            return nothing_for(say);
        };
        if let Some(file) = self.pick(asker, there, say, |_| true) {
            return recipe(file, file);
        }
        if asker != Asker::Ipxe {
            return BootAnswer::Nothing;
        }
        if there(KERNEL) {
            say(&|| format!("no script of the user's own, but {KERNEL}: it is started"));
            return BootAnswer::Recipe {
                recipe: self.kernel(there),
            };
        }
        // iPXE in a network card's ROM starts what the firmware would have started; iPXE itself would come around again.
        let below = Asker::of_firmware(question).unwrap_or(Asker::Bios);
        say(&|| format!("no script and no {KERNEL}: what {} starts", below.words()));
        match self.pick(below, there, say, |name| !is_ipxe(name)) {
            Some(file) => recipe(file, file),
            None => BootAnswer::Nothing,
        }
    }

    fn kernel(&self, there: &dyn Fn(&str) -> bool) -> BootRecipe {
        BootRecipe {
            name: KERNEL.to_owned(),
            kernel: Some(KERNEL.to_owned()),
            initrd: there(INITRD)
                .then(|| INITRD.to_owned())
                .into_iter()
                .collect(),
            command_line: self.command_line.clone(),
            ..BootRecipe::default()
        }
    }

    /// The file for this kind of client: the one that was named, else the first usual one that is there.
    fn pick(
        &self,
        asker: Asker,
        there: &dyn Fn(&str) -> bool,
        say: &mut Telling<'_>,
        fits: impl Fn(&str) -> bool,
    ) -> Option<&str> {
        let named = self.files.iter().find(|(kind, _)| *kind == asker);
        if let Some((_, name)) = named.filter(|(_, name)| fits(name)) {
            let is_there = there(name);
            say(&|| {
                let but = if is_there {
                    ""
                } else {
                    ", but there is no such file"
                };
                format!("{name} is named for {asker}{but}")
            });
            return Some(name.as_str()).filter(|_| is_there);
        }
        let usual = || asker.usual().iter().copied().filter(|name| fits(name));
        let found = usual().find(|name| there(name));
        say(&|| {
            let names: Vec<_> = usual().collect();
            match found {
                Some(found) => format!("{found} is there for {asker}"),
                None => format!("none of {} is there for {asker}", names.join(", ")),
            }
        });
        found
    }
}

/// Takes a sentence that is made only where somebody reads it.
type Telling<'a> = dyn FnMut(&dyn Fn() -> String) + 'a;

fn nothing_for(say: &mut Telling<'_>) -> BootAnswer {
    say(&|| "it is no firmware that boots from here: nothing to boot".to_owned());
    BootAnswer::Nothing
}

fn recipe(name: &str, file: &str) -> BootAnswer {
    BootAnswer::Recipe {
        recipe: BootRecipe {
            name: name.to_owned(),
            file: Some(file.to_owned()),
            ..BootRecipe::default()
        },
    }
}

/// Whether the program is iPXE, as far as its name tells.
fn is_ipxe(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    ["ipxe", "undionly", "snponly", "intel.", "realtek."]
        .iter()
        .any(|part| last.contains(part))
        || last.ends_with("kpxe")
}

impl Rule {
    /// Why it does not fit; `None` where it does.
    fn misses(&self, question: &BootQuestion) -> Option<String> {
        let begins = |prefix: &Vec<u8>| question.mac.0.starts_with(prefix);
        let named = !self.macs.is_empty() || !self.mac_prefixes.is_empty();
        if named && !self.macs.contains(&question.mac) && !self.mac_prefixes.iter().any(begins) {
            return Some(format!("its MAC address is {}", question.mac));
        }
        if !self.uuids.is_empty() && !question.uuid.is_some_and(|uuid| self.uuids.contains(&uuid)) {
            let uuid = question
                .uuid
                .map_or_else(|| "unknown".to_owned(), |u| u.to_string());
            return Some(format!("its UUID is {uuid}"));
        }
        let asker = Asker::of(question);
        if !self.firmware.is_empty() && !asker.is_some_and(|a| self.firmware.contains(&a)) {
            let asker = asker.map_or("an operating system", Asker::as_str);
            return Some(format!("{asker} asks"));
        }
        None
    }
}

#[cfg(test)]
mod tests;
