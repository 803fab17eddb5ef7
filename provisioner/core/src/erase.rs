// SPDX-License-Identifier: Apache-2.0
//! Erased disks and disks in quarantine. A disk is in quarantine from the moment that its erase begins until it is proved;
//! a run that is to provision its node stops before anything is written, as often as one is ordered.

use crate::decide::{Reply, Wish};
use crate::kept::KeptPlan;
use crate::node::{Node, Run};
use crate::reasons;
use crate::reasons_life::unknown_disk;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::erase::SignedErase;
use groundstate_api::event::Happened;
use groundstate_api::inventory::Inventory;
use groundstate_api::plan::{DiskAction, DiskPlan, OrderTerms, Plan};
use groundstate_api::view::Phase;
use groundstate_api::{Millis, Reason, RunId};

/// The disks that a plan erases.
pub(crate) fn erased_by(plan: &Plan) -> impl Iterator<Item = &DiskPlan> {
    let erased = |disk: &&DiskPlan| matches!(disk.action, DiskAction::Erase { .. });
    plan.disks.iter().filter(erased)
}

impl Node {
    /// Why an order is refused whose disk nobody knows: it would restart a running host for a mistyped serial number. A disk is
    /// known by the node's last report, its host's plan, the site file, or from quarantine. A disk to rebuild may be newer than
    /// all of them: who confirms it by the order means it.
    pub(crate) fn names_unknown_disk(&self, terms: &OrderTerms) -> Option<Reason> {
        let host = self.host.as_ref()?;
        let run = self.run.as_ref().and_then(|run| run.inventory.as_ref());
        let seen = run.or(self.last_good.as_ref())?.get();
        let plan = host.plan.as_ref().map(KeptPlan::get);
        let planned = plan.as_deref().map_or(&[][..], |plan| &plan.disks);
        let site = &self.site;
        let expected = site.hardware.as_ref().map_or(&[][..], |all| &all.disks);
        let is_known = |serial: &String| {
            seen.disks.iter().any(|disk| disk.serial == *serial)
                || planned.iter().any(|disk| disk.serial == *serial)
                || expected.iter().any(|disk| disk.serial == *serial)
                || site.os_disk.as_ref() == Some(serial)
                || site.keep.contains(serial)
                || self.quarantine.contains_key(serial)
        };
        let rebuilt = terms.rebuild.iter();
        let rebuilt = rebuilt.filter(|serial| !terms.confirm_wipe.contains(serial));
        let erased = terms.erase.iter().flat_map(|erase| &erase.serials);
        // A report without a disk says nothing of disks.
        let tells = !seen.disks.is_empty();
        let mut named = rebuilt.chain(erased);
        let unknown = named.find(|serial| tells && !is_known(serial))?;
        let there = seen.disks.iter().map(|disk| disk.serial.as_str());
        let is_rebuild = terms.rebuild.is_some();
        Some(unknown_disk(
            self.id(),
            unknown,
            &there.collect::<Vec<_>>(),
            is_rebuild,
        ))
    }

    /// A disk's certificate arrived. One more of the same disk changes nothing: the first one counts.
    pub(crate) fn disk_done(
        &self,
        run: &RunId,
        serial: String,
        erased: bool,
        signed: Box<SignedErase>,
        out: &mut Vec<Wish>,
    ) {
        self.spoke(run, out);
        let open = self.carries_out();
        let current = self.run.as_ref().filter(|one| open && one.id == *run);
        let plan = current.and_then(|current| current.plan.as_ref());
        let named = |plan: &KeptPlan| erased_by(&plan.get()).any(|disk| disk.serial == serial);
        let named = plan.is_some_and(named);
        let Some(current) = current.filter(|_| named) else {
            out.retain(|wish| !matches!(wish, Wish::Reply(_)));
            let reason = reasons::not_to_be_erased(run, &serial);
            out.push(Wish::Reply(Reply::Conflict(reason)));
            return;
        };
        if !current.erased.contains_key(&serial) {
            out.push(Wish::Append(Happened::DiskErased {
                run: run.clone(),
                serial,
                erased,
                signed,
            }));
        }
    }

    /// The erase step has begun: from now on none of its disks is known to be empty, and none to be whole.
    pub(crate) fn erase_began(&mut self, at: Millis, run: &RunId) {
        let current = self.run.as_ref().filter(|current| current.id == *run);
        let Some(plan) = current.and_then(|current| current.plan.as_ref()) else {
            return;
        };
        let plan = plan.get();
        let proved = |disk: &&DiskPlan| {
            current.and_then(|current| current.erased.get(&disk.serial)) == Some(&true)
        };
        for disk in erased_by(&plan).filter(|disk| !proved(disk)) {
            self.quarantine.entry(disk.serial.clone()).or_insert(at);
        }
    }

    /// A disk's certificate stands in the journal.
    pub(crate) fn disk_erased(&mut self, at: Millis, run: &RunId, serial: &str, erased: bool) {
        if let Some(current) = self.run.as_mut().filter(|current| current.id == *run) {
            current.erased.insert(serial.into(), erased);
        }
        if erased {
            self.quarantine.remove(serial);
            self.earlier.erased(serial);
        } else {
            self.quarantine.entry(serial.into()).or_insert(at);
        }
    }

    /// The serial numbers of the run's disks that no certificate calls erased.
    pub(crate) fn unproved(&self, run: &Run) -> Vec<String> {
        let plan = run.plan.as_ref().map(KeptPlan::get);
        let planned = plan.as_deref().into_iter().flat_map(erased_by);
        planned
            .filter(|disk| run.erased.get(&disk.serial) != Some(&true))
            .map(|disk| disk.serial.clone())
            .collect()
    }

    /// The erase step is done: the node is known again, or a disk of it is in quarantine.
    pub(crate) fn erase_ended(&self, now: Millis, unproved: Vec<String>, out: &mut Vec<Wish>) {
        if unproved.is_empty() {
            self.go(Phase::Enrolled, None, out);
        } else {
            self.hold(now, reasons::not_proved(self.id(), &unproved), out);
        }
    }

    /// Why a run that is to provision this node stops: a disk in it is in quarantine.
    pub(crate) fn quarantined(&self, run: &Run, inventory: &Inventory) -> Option<Reason> {
        let mut disks = inventory.disks.iter();
        let disk = disks.find(|disk| self.quarantine.contains_key(&disk.serial))?;
        let since = self.quarantine.get(&disk.serial).copied();
        (run.terms.erase.is_none()).then(|| reasons::in_quarantine(self.id(), disk, since))
    }
}
