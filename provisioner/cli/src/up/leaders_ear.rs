// SPDX-License-Identifier: Apache-2.0
//! What the boot service of one of several provisioners saw, told to whoever leads: itself, or another one over the API.
//!
//! Machines are answered from this provisioner's own memory, which follows the leader's journal. It never blocks a boot: while
//! another one leads, one thread does the talking.

use crate::client::{Client, Connect};
use crate::remote::Post;
use anyhow::{Context as _, Result};
use groundstate_api::boot::BootSighting;
use groundstate_api::boot_session::BootReport;
use groundstate_api::{MacAddr, paths};
use provisioner::Provisioner;
use provisioner::leader::Standing;
use pxe_server::BootLog;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The way to the leader. Dropped, it ends after its last report.
pub(super) struct LeadersEar {
    ours: Provisioner,
    post: Arc<Post>,
    stop: Arc<AtomicBool>,
}

impl LeadersEar {
    /// Begins to listen for what is to be told on.
    ///
    /// # Errors
    /// An operator's certificate that cannot be read, or a thread that cannot be started.
    pub(super) fn open(ours: &Provisioner) -> Result<Self> {
        // Any provisioner will do to begin with: it names the leader.
        let connect = Connect::to(&ours.address(), &ours.pki().operator_dir());
        let client = Client::new(&connect).context("what the boot service tells the leader")?;
        let this = Self {
            ours: ours.clone(),
            post: Arc::default(),
            stop: Arc::default(),
        };
        let (post, stop, ours) = (this.post.clone(), this.stop.clone(), ours.clone());
        std::thread::Builder::new()
            .name("boot-reports".into())
            .spawn(move || post.run(&stop, |report| told(&ours, &client, report)))?;
        Ok(this)
    }

    /// Takes a sighting where another one leads; `false` where it is ours to write down.
    pub(super) fn takes(&self, mac: MacAddr, sighting: &BootSighting) -> bool {
        let elsewhere = follows(&self.ours);
        if elsewhere {
            self.post.saw(mac, sighting.clone());
        }
        elsewhere
    }

    /// Whether another one writes down foreign servers, which every report names.
    pub(super) fn takes_foreign(&self) -> bool {
        let elsewhere = follows(&self.ours);
        if elsewhere {
            self.post.wake();
        }
        elsewhere
    }

    /// Reports the sessions that are kept there.
    pub(super) fn read_from(&self, log: BootLog) {
        self.post.read_from(log);
    }
}

impl Drop for LeadersEar {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.post.wake();
    }
}

fn follows(ours: &Provisioner) -> bool {
    matches!(ours.standing(), Standing::Follows(_))
}

/// Tells it to whoever leads now. Where that is this provisioner since, what waited is written down here; it reads the sessions
/// where they are kept.
fn told(ours: &Provisioner, client: &Client, report: &BootReport) -> Result<()> {
    if follows(ours) {
        return client.post_only(paths::BOOT_REPORTS, report);
    }
    for seen in &report.sightings {
        ours.saw(seen.mac, seen.sighting.clone());
    }
    Ok(())
}
