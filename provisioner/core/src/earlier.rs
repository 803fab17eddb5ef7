// SPDX-License-Identifier: Apache-2.0
//! What plans made of a node's disks, remembered from their events: which disks are the node's, and which tables on them
//! are ours.
//!
//! It is asked for a few times in a run and takes as much room as a plan for every disk that the node ever had, so what
//! happened is kept, and what that means is worked out when somebody asks.

use crate::kept::{Kept, KeptPlan, Packed};
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
        let mut earlier = self.base.as_ref().map(Kept::get).unwrap_or_default();
        for happening in &self.since {
            match happening {
                Happening::Planned(plan) => planned(&mut earlier, &plan.get()),
                Happening::Done(plan, step) => done(&mut earlier, &plan.get(), *step),
                Happening::Erased(serial) => {
                    earlier.tables.remove(serial);
                    earlier.data.remove(serial);
                }
            }
        }
        earlier
    }

    pub(crate) fn planned(&mut self, plan: &KeptPlan) {
        self.happened(Happening::Planned(plan.clone()));
    }

    pub(crate) fn done(&mut self, plan: &KeptPlan, step: Step) {
        // Other steps mean nothing here.
        if matches!(step, Step::Partition | Step::Volumes) {
            self.happened(Happening::Done(plan.clone(), step));
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

    /// Every long value, for a snapshot.
    pub(crate) fn each_packed(&mut self, each: &mut dyn FnMut(&mut Packed)) {
        if let Some(base) = &mut self.base {
            each(&mut base.packed);
        }
        for happening in &mut self.since {
            match happening {
                Happening::Planned(plan) | Happening::Done(plan, _) => each(plan.packed_mut()),
                Happening::Erased(_) => {}
            }
        }
    }
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
