// SPDX-License-Identifier: Apache-2.0
//! What plans made of a node's disks, remembered from their events: which disks are the node's, and which tables on them
//! are ours.
//!
//! It is asked for a few times in a run and takes as much room as a plan for every disk that the node ever had, so what
//! happened is kept, and what that means is worked out when somebody asks. Once a plan has made its volumes, only that is kept
//! of what is older which the plan does not say again.

use crate::kept::{Kept, KeptPlan, Packed};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::plan::{DiskAction, EarlierDisks, Plan, Role, Step, TablePlan};
use serde::{Deserialize, Serialize};

/// Happenings that are kept as such; more are worked out once and kept as what they mean.
const HAPPENED_MAX: usize = 8;

/// What is remembered of a node's disks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// What all that is older means.
    base: Option<Kept<EarlierDisks>>,
    /// What happened since, the oldest first.
    since: Vec<Happening>,
}

/// What happened to the disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Happening {
    /// A plan was written.
    Planned(KeptPlan),
    /// A step of a plan is done on every disk.
    Done(KeptPlan, Step),
    /// A disk is erased.
    Erased(String),
}

impl Earlier {
    /// What it is known to mean.
    #[must_use]
    pub fn of(disks: &EarlierDisks) -> Self {
        Self {
            base: Some(Kept::new(disks)),
            since: Vec::new(),
        }
    }

    /// What it means.
    #[must_use]
    pub fn get(&self) -> EarlierDisks {
        after(self.base(), &self.since, &mut None)
    }

    pub(crate) fn planned(&mut self, plan: &KeptPlan) {
        self.happened(Happening::Planned(plan.clone()));
    }

    pub(crate) fn done(&mut self, plan: &KeptPlan, step: Step) {
        // Other steps mean nothing here.
        if matches!(step, Step::Partition | Step::Volumes) {
            self.happened(Happening::Done(plan.clone(), step));
        }
        if step == Step::Volumes {
            self.forget_older(plan);
        }
    }

    pub(crate) fn erased(&mut self, serial: &str) {
        self.happened(Happening::Erased(serial.into()));
    }

    fn happened(&mut self, what: Happening) {
        // A disk that is erased twice is erased.
        if self.since.last() == Some(&what) {
            return;
        }
        self.since.push(what);
        if self.since.len() > HAPPENED_MAX {
            *self = Self::of(&self.get());
        }
    }

    /// Keeps of what is older than this plan only what it does not say again.
    fn forget_older(&mut self, plan: &KeptPlan) {
        let written = |one: &Happening| matches!(one, Happening::Planned(one) if one.id == plan.id);
        let at = self.since.iter().rposition(written).unwrap_or_default();
        if at == 0 && self.base.is_none() {
            return;
        }
        let (older, newest) = self.since.split_at_checked(at).unwrap_or_default();
        let mut open = None;
        let said = after(EarlierDisks::default(), newest, &mut open);
        let older = after(self.base(), older, &mut None);
        let all = after(older, newest, &mut open);
        if let Some(beside) = without(all, &said) {
            let is_any = beside != EarlierDisks::default();
            *self = Self {
                base: is_any.then(|| Kept::new(&beside)),
                since: newest.to_vec(),
            };
        }
    }

    fn base(&self) -> EarlierDisks {
        self.base.as_ref().map(Kept::get).unwrap_or_default()
    }

    /// The plans among it.
    pub(crate) fn plans_mut(&mut self) -> impl Iterator<Item = &mut KeptPlan> {
        self.since
            .iter_mut()
            .filter_map(|happening| match happening {
                Happening::Planned(plan) | Happening::Done(plan, _) => Some(plan),
                Happening::Erased(_) => None,
            })
    }

    /// Every long value, for a snapshot.
    pub(crate) fn each_packed(&mut self, each: &mut dyn FnMut(&mut Packed)) {
        if let Some(base) = &mut self.base {
            each(&mut base.packed);
        }
        self.plans_mut().for_each(|plan| each(plan.packed_mut()));
    }
}

/// What is remembered once this has happened too. `open` is the plan that was opened last.
fn after(
    mut earlier: EarlierDisks,
    since: &[Happening],
    open: &mut Option<Box<Plan>>,
) -> EarlierDisks {
    for happening in since {
        match happening {
            Happening::Planned(plan) => planned(&mut earlier, opened(open, plan)),
            Happening::Done(plan, step) => done(&mut earlier, opened(open, plan), *step),
            Happening::Erased(serial) => {
                earlier.tables.remove(serial);
                earlier.data.remove(serial);
            }
        }
    }
    earlier
}

/// The plan, opened where it is not the one that was opened last: one is written, and then done step by step.
fn opened<'a>(open: &'a mut Option<Box<Plan>>, kept: &KeptPlan) -> &'a Plan {
    let known = open.take().filter(|plan| plan.id == kept.id);
    open.insert(known.unwrap_or_else(|| kept.get()))
}

/// What must be remembered beside that which says `said` by itself. `None` where a disk may carry tables of both.
fn without(mut all: EarlierDisks, said: &EarlierDisks) -> Option<EarlierDisks> {
    let mut written = said.tables.iter();
    if !written.all(|(serial, tables)| all.tables.get(serial) == Some(tables)) {
        return None;
    }
    all.tables
        .retain(|serial, _| !said.tables.contains_key(serial));
    all.used.retain(|serial| !said.used.contains(serial));
    all.os.retain(|serial| !said.os.contains(serial));
    all.data.retain(|serial| !said.data.contains(serial));
    Some(all)
}

/// A plan was written: its disks are the node's, and each may carry its table from now on.
fn planned(earlier: &mut EarlierDisks, plan: &Plan) {
    for disk in &plan.disks {
        match &disk.action {
            DiskAction::Wipe { table, .. } => {
                earlier.used.insert(disk.serial.clone());
                let tables = earlier.tables.entry(disk.serial.clone()).or_default();
                tables.push(table.clone());
            }
            DiskAction::Renew { table, .. } => {
                earlier.used.insert(disk.serial.clone());
                let tables = earlier.tables.entry(disk.serial.clone()).or_default();
                // The table is the same; what its partitions hold is as this plan says.
                tables.retain(|one| one.disk_guid != table.disk_guid);
                tables.push(table.clone());
            }
            DiskAction::Keep { .. } => {
                earlier.used.insert(disk.serial.clone());
            }
            DiskAction::Erase { .. } | DiskAction::LeaveAlone => continue,
        }
        if disk.role == Role::Os {
            earlier.os.insert(disk.serial.clone());
        }
    }
}

/// A step of a plan is done on every disk.
fn done(earlier: &mut EarlierDisks, plan: &Plan, step: Step) {
    if step == Step::Partition {
        for (serial, table) in written(plan) {
            // The disk carries this one now and no older one.
            let tables = earlier.tables.entry(serial.clone()).or_default();
            tables.retain(|one| one.disk_guid == table.disk_guid);
        }
    }
    if step == Step::Volumes {
        let data = plan.disks.iter().filter(|disk| disk.role.is_data());
        earlier.data.extend(data.map(|disk| disk.serial.clone()));
    }
}

fn written(plan: &Plan) -> Vec<(&String, &TablePlan)> {
    let tables = plan.disks.iter().filter_map(|disk| match &disk.action {
        DiskAction::Wipe { table, .. } | DiskAction::Renew { table, .. } => {
            Some((&disk.serial, table))
        }
        DiskAction::Keep { .. } | DiskAction::Erase { .. } | DiskAction::LeaveAlone => None,
    });
    tables.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const SERIALS: [&str; 4] = ["A", "B", "C", "D"];

    /// What happened: a kind, and a number that says what it is about.
    fn happening() -> impl Strategy<Value = (u8, usize)> {
        (0u8..8, 0usize..48)
    }

    /// One of a few plans of these disks: some wiped, renewed, kept, left alone.
    fn plan(number: usize) -> KeptPlan {
        let table =
            |at: usize| json!({"disk_guid": format!("G{}", number % 5 + at), "partitions": []});
        let disk = |(at, serial): (usize, &&str)| {
            let action = match (number + at) % 4 {
                0 => json!({"action": "wipe", "goes": [], "table": table(at)}),
                1 => json!({"action": "renew", "goes": [], "table": table(at)}),
                2 => json!({"action": "keep", "table": table(at)}),
                _ => json!({"action": "leave-alone"}),
            };
            json!({"serial": serial, "wwn": null, "slot": "bay", "model": "m", "size": 1, "logical_sector": 512,
                "role": if (number / 4 + at).is_multiple_of(3) { "os" } else { "data" }, "because": "b", "action": action})
        };
        let disks: Vec<_> = SERIALS.iter().enumerate().map(disk).collect();
        let plan = json!({
            "schema": 1, "id": format!("{number:064x}"), "run": "run-1", "node": "n1", "machine": "564d1234-5678-9abc-def0-123456789abc",
            "hand_over": "kexec", "uefi": true, "boot_mac": "02:00:00:00:00:01", "disks": disks, "notes": [],
            "image": {"name": "i", "version": "1", "kind": "root-fs-ext4", "manifest": format!("sha256:{:064x}", 7), "size": 1, "sector_size": 512},
        });
        KeptPlan::new(&serde_json::from_value(plan).unwrap())
    }

    /// Each table once: that one was written twice in a row is known once or twice.
    fn each_once(mut earlier: EarlierDisks) -> EarlierDisks {
        for tables in earlier.tables.values_mut() {
            let mut seen = Vec::new();
            tables.retain(|table| {
                let is_new = !seen.contains(table);
                seen.push(table.clone());
                is_new
            });
        }
        earlier
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_kept_means_what_happened(all in prop::collection::vec(happening(), 0..24)) {
            let (mut kept, mut plain) = (Earlier::default(), Vec::new());
            for (kind, number) in all {
                let (plan, serial) = (plan(number), SERIALS.into_iter().cycle().nth(number).unwrap());
                match kind {
                    0..=2 => {
                        kept.planned(&plan);
                        plain.push(Happening::Planned(plan));
                    }
                    3 | 4 => {
                        kept.done(&plan, Step::Partition);
                        plain.push(Happening::Done(plan, Step::Partition));
                    }
                    5 | 6 => {
                        kept.done(&plan, Step::Volumes);
                        plain.push(Happening::Done(plan, Step::Volumes));
                    }
                    _ => {
                        kept.erased(serial);
                        plain.push(Happening::Erased(serial.into()));
                    }
                }
                let all = after(EarlierDisks::default(), &plain, &mut None);
                prop_assert_eq!(each_once(kept.get()), each_once(all));
            }
        }
    }

    #[test]
    fn a_plan_that_makes_every_disk_anew_leaves_nothing_of_the_one_before() {
        let mut earlier = Earlier::default();
        for number in [0, 12] {
            let plan = plan(number);
            earlier.planned(&plan);
            earlier.done(&plan, Step::Partition);
            earlier.done(&plan, Step::Volumes);
        }
        assert!(earlier.since.iter().all(|one| match one {
            Happening::Planned(plan) | Happening::Done(plan, _) => *plan == self::plan(12),
            Happening::Erased(_) => false,
        }));
        assert_eq!((earlier.since.len(), &earlier.base), (3, &None));
    }
}
