// SPDX-License-Identifier: Apache-2.0
//! One BMC, for as long as it is spoken to. It is closed in every case: what is dropped is closed in the background.

use crate::door::{Door, Way};
use crate::kind::Bmc;
use bmc_core::gate::Fingerprint;
use bmc_core::trouble::Trouble;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// A session. Nobody else speaks to the BMC meanwhile.
pub struct Session {
    bmc: Option<Box<dyn Bmc>>,
    turn: Option<OwnedMutexGuard<()>>,
    door: Arc<Door>,
    way: Way,
    with: Fingerprint,
}

impl Session {
    pub(crate) fn new(
        bmc: Box<dyn Bmc>,
        turn: OwnedMutexGuard<()>,
        door: Arc<Door>,
        way: Way,
        with: Fingerprint,
    ) -> Self {
        Self {
            bmc: Some(bmc),
            turn: Some(turn),
            door,
            way,
            with,
        }
    }

    /// How it is spoken to: `redfish` or `ipmi`.
    #[must_use]
    pub const fn protocol(&self) -> &'static str {
        match self.way {
            Way::Redfish => "redfish",
            Way::Ipmi => "ipmi",
        }
    }

    /// Takes in how something went: a refused credential is not used again, a silent BMC is left alone for a while.
    pub fn note<T>(&self, result: &Result<T, Trouble>) {
        if result.is_err() {
            self.door.note(self.way, self.with, result);
        }
    }

    /// Ends it at the BMC.
    pub async fn close(mut self) {
        if let Some(mut bmc) = self.bmc.take() {
            if let Some(machine) = bmc.machine() {
                self.door.is(machine);
            }
            if let Err(trouble) = bmc.close().await {
                tracing::debug!(%trouble, "a session at a BMC was not closed");
            }
        }
        self.turn.take();
    }
}

impl Deref for Session {
    type Target = dyn Bmc;

    fn deref(&self) -> &Self::Target {
        self.bmc
            .as_deref()
            .expect("a session has its BMC until it is closed, which takes the session")
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.bmc
            .as_deref_mut()
            .expect("a session has its BMC until it is closed, which takes the session")
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.protocol())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (Some(mut bmc), turn) = (self.bmc.take(), self.turn.take()) else {
            return;
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = bmc.close().await;
                drop(turn);
            });
        }
    }
}
