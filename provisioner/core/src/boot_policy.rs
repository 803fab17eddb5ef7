// SPDX-License-Identifier: Apache-2.0
//! What a machine boots. A MAC address only selects a public boot file here; identity comes at enrolment.
//!
//! The phase decides: a run that is ordered boots the maintenance OS, whatever the site file says. Where the phase says
//! "its own disk", the site's rules say how, or what else.

use crate::fleet::Fleet;
use crate::node::Node;
use crate::reasons;
use alloc::vec::Vec;
use groundstate_api::SCHEMA;
use groundstate_api::boot::{BootAnswer, BootQuestion, Firmware};
use groundstate_api::boot_answers::{BootAnswers, NodeBootAnswer};
use groundstate_api::boot_rules::{BootRules, LOCAL_DISK, LocalDisk, NOTHING};
use groundstate_api::inventory::SystemInfo;
use groundstate_api::view::Phase;

impl Fleet {
    /// Answers the boot service's one question.
    #[must_use]
    pub fn boot(&self, question: &BootQuestion) -> BootAnswer {
        match self.by_mac(question.mac) {
            Some(node) => node.boot(question.firmware, &self.boot),
            None if self.closed() => BootAnswer::Refuse {
                reason: reasons::unknown_machine(&alloc::format!("{}", question.mac)),
            },
            // It writes nothing and asks to enrol: that is how it gets into the waiting room.
            None => BootAnswer::MaintenanceOs,
        }
    }

    /// Every answer in one table, for a boot service on another machine.
    #[must_use]
    pub fn boot_answers(&self) -> BootAnswers {
        let strangers = if self.closed() {
            BootAnswer::Refuse {
                reason: reasons::unknown_machine("of no node"),
            }
        } else {
            BootAnswer::MaintenanceOs
        };
        let row = |node: &Node| NodeBootAnswer {
            node: node.id().clone(),
            mac: node.site.mac,
            uefi: node.boot(Some(Firmware::UefiPxe), &self.boot),
            bios: node.boot(Some(Firmware::Bios), &self.boot),
            unsaid: node.boot(None, &self.boot),
            away: local(node.way_to_disk(&self.boot)),
        };
        BootAnswers {
            schema: SCHEMA,
            nodes: self.nodes().map(row).collect::<Vec<_>>(),
            strangers,
        }
    }
}

fn local(how: Option<LocalDisk>) -> BootAnswer {
    BootAnswer::LocalDisk {
        how: how.unwrap_or_default().0,
    }
}

impl Node {
    fn boot(&self, asked: Option<Firmware>, rules: &BootRules) -> BootAnswer {
        match self.phase {
            Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Planned
            | Phase::Provisioning
            | Phase::Erasing
            | Phase::Rescue => BootAnswer::MaintenanceOs,
            // The host is starting for the first time: nothing comes between.
            Phase::HandedOver => self.to_the_host(asked, rules),
            Phase::Ready | Phase::Suspect | Phase::Draining => self.instead(asked, rules),
            Phase::Held | Phase::Quarantined | Phase::InRepair if self.host.is_some() => {
                self.instead(asked, rules)
            }
            Phase::Held
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Enrolled
            | Phase::Retired => self.of_the_site(rules),
        }
    }

    /// What the site file wants in place of the local disk, where it wants something; else the host.
    fn instead(&self, asked: Option<Firmware>, rules: &BootRules) -> BootAnswer {
        match self.of_the_site(rules) {
            BootAnswer::LocalDisk { .. } => self.to_the_host(asked, rules),
            answer @ (BootAnswer::MaintenanceOs
            | BootAnswer::Recipe { .. }
            | BootAnswer::Nothing
            | BootAnswer::Refuse { .. }) => answer,
        }
    }

    /// UEFI finds the host by its boot entry. BIOS has no boot loader on our disks: the maintenance OS starts the
    /// host from disk, because enrolment answers "boot local" and nothing is written.
    fn to_the_host(&self, asked: Option<Firmware>, rules: &BootRules) -> BootAnswer {
        match asked.or(self.firmware) {
            // An adopted host has a boot loader of its own, and so has an image of a whole disk.
            Some(Firmware::Bios)
                if self.host.is_some() && !self.is_adopted() && !self.has_whole_disk() =>
            {
                BootAnswer::MaintenanceOs
            }
            Some(Firmware::Bios | Firmware::UefiPxe | Firmware::UefiHttp) | None => {
                local(self.way_to_disk(rules))
            }
        }
    }

    /// Whether the host's disk was made from an image of a whole disk.
    fn has_whole_disk(&self) -> bool {
        let plan = self.host.as_ref().and_then(|host| host.plan.as_ref());
        plan.is_some_and(|plan| plan.image.whole.is_some())
    }

    fn of_the_site(&self, rules: &BootRules) -> BootAnswer {
        let of_model = || self.system().and_then(|system| rules.of_model(system));
        let named = self.site.boot.as_ref();
        let name = named.or_else(|| of_model().and_then(|rule| rule.boot.as_ref()));
        match name.map_or(LOCAL_DISK, |name| name.as_str()) {
            NOTHING => BootAnswer::Nothing,
            LOCAL_DISK => local(self.way_to_disk(rules)),
            // A recipe that is not there is refused when the site file is read; the disk is never wrong.
            name => rules.recipe(name).map_or_else(
                || local(self.way_to_disk(rules)),
                |recipe| BootAnswer::Recipe {
                    recipe: recipe.clone(),
                },
            ),
        }
    }

    /// Node before model before site.
    fn way_to_disk(&self, rules: &BootRules) -> Option<LocalDisk> {
        let of_model = || {
            let rule = rules.of_model(self.system()?)?;
            rule.local_disk
        };
        self.site.local_disk.or_else(of_model).or(rules.local_disk)
    }

    /// What its last report said of the machine.
    fn system(&self) -> Option<&SystemInfo> {
        let of_run = self.run.as_ref().and_then(|run| run.inventory.as_ref());
        let report = of_run.or(self.last_good.as_ref());
        report.map(|inventory| &inventory.system)
    }
}
