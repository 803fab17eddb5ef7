// SPDX-License-Identifier: Apache-2.0
//! What the three services share: the DHCP server's state, the boot files, the policy and the ear for sightings.

use crate::beside::Beside;
use crate::boot_files::BootFiles;
use crate::clock::Clock;
use crate::limits::Limits;
use crate::metrics::{Counters, Metric};
use crate::pieces::Pieces;
use crate::seen::Seen;
use crate::{BootPolicy, Sightings};
use groundstate_api::boot::{BootAnswer, BootQuestion, BootSighting};
use groundstate_api::boot_session::{BootStep, Via};
use groundstate_api::{Bytes, MacAddr, Millis, Reason};
use pxe_core::dhcp::{Action, Event, Lease, LeaseCounts, Server};
use pxe_core::names::HttpBase;
use pxe_core::script::{CommandLine, Recipe, RecipeError, Script};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// Why a machine gets no script.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoScript {
    /// The boot policy has nothing for it to boot.
    #[error("there is no script for this machine")]
    Nothing,
    /// The boot policy refuses it.
    #[error("{0}")]
    Refused(Reason),
    /// What it should boot cannot be said in a script.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
}

/// The script that an answer becomes for iPXE. Without a command line there is no maintenance OS.
///
/// # Errors
/// Why there is none.
pub fn script_text(
    answer: &BootAnswer,
    base: HttpBase,
    command_line: Option<&CommandLine>,
) -> Result<String, NoScript> {
    let script = match answer {
        BootAnswer::MaintenanceOs => Script::Boot {
            base,
            command_line: command_line.ok_or(NoScript::Nothing)?,
        },
        BootAnswer::LocalDisk { how } => Script::of_local(*how),
        BootAnswer::Recipe { recipe } => return Ok(Recipe::read(recipe)?.script(base).render()),
        BootAnswer::Nothing => return Err(NoScript::Nothing),
        BootAnswer::Refuse { reason } => return Err(NoScript::Refused(reason.clone())),
    };
    Ok(script.render())
}

/// What the services share.
pub(crate) struct Desk {
    server: Mutex<Server>,
    pub(crate) clock: Clock,
    pub(crate) files: BootFiles,
    pub(crate) counters: Counters,
    pub(crate) pieces: Pieces,
    pub(crate) seen: Seen,
    pub(crate) policy: Arc<dyn BootPolicy>,
    sightings: Arc<dyn Sightings>,
    /// Where our HTTP boot files are over IPv6, where that is served.
    pub(crate) over6: OnceLock<HttpBase>,
    /// What is served beside DHCP, where it is.
    pub(crate) beside: Beside,
}

impl Desk {
    pub(crate) fn new(
        server: Server,
        clock: Clock,
        files: BootFiles,
        policy: Arc<dyn BootPolicy>,
        sightings: Arc<dyn Sightings>,
        limits: &Limits,
    ) -> Self {
        Self {
            server: Mutex::new(server),
            clock,
            files,
            counters: Counters::default(),
            pieces: Pieces::default(),
            seen: Seen::new(clock, &policy, &sightings, limits),
            policy,
            sightings,
            over6: OnceLock::new(),
            beside: Beside::default(),
        }
    }

    /// The machine's iPXE script, or why it gets none.
    pub(crate) fn script(&self, mac: MacAddr, peer: IpAddr) -> Result<String, NoScript> {
        let mut out = Vec::new();
        let (answer, base) = {
            let mut server = self.server();
            let lease = server.of_machine(mac);
            let question = BootQuestion {
                uuid: lease.and_then(|lease| lease.uuid),
                firmware: lease.and_then(|lease| lease.firmware),
                ipxe: true,
                ..BootQuestion::about(mac)
            };
            let answer = self.policy.ask(&question);
            server.handle(
                self.clock.now(),
                Event::ScriptAsked {
                    mac,
                    answer: answer.clone(),
                },
                &mut out,
            );
            (answer, server.http())
        };
        for action in out {
            if let Action::Saw { mac, sighting } = action {
                self.saw(mac, sighting);
            }
        }
        if matches!(answer, BootAnswer::LocalDisk { .. }) {
            self.step(mac, BootStep::SentToLocalDisk { via: Via::Http });
        }
        // Who came over IPv6 may have no other way.
        let base = match (peer.to_canonical(), self.over6.get()) {
            (IpAddr::V6(_), Some(over6)) => *over6,
            (IpAddr::V4(_) | IpAddr::V6(_), _) => base,
        };
        script_text(&answer, base, Some(self.files.command_line()))
    }

    /// How many leases are in which state.
    pub(crate) fn lease_counts(&self, now: Millis) -> LeaseCounts {
        self.server().lease_counts(now)
    }

    /// The leases that are kept.
    pub(crate) fn keep(&self) -> Vec<Lease> {
        self.server().keep()
    }

    /// Our own address on the provisioning network.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.server().address()
    }

    /// How many addresses the pools have.
    pub(crate) fn pool_size(&self) -> u64 {
        self.server().pool_size()
    }

    /// How many addresses are offered and not taken yet.
    pub(crate) fn offers(&self) -> u64 {
        u64::try_from(self.server().offers()).unwrap_or(u64::MAX)
    }

    /// Whose address this is.
    pub(crate) fn machine(&self, address: IpAddr) -> Option<MacAddr> {
        let leased = match address.to_canonical() {
            IpAddr::V4(address) => self.server().of_address(address).map(|lease| lease.mac),
            IpAddr::V6(_) => None,
        };
        leased.or_else(|| self.seen.machine(address))
    }

    /// Counts.
    pub(crate) fn count(&self, metric: Metric, n: u64) {
        self.counters.add(metric, n);
    }

    pub(crate) fn saw(&self, mac: MacAddr, sighting: BootSighting) {
        tracing::debug!(%mac, ?sighting, "seen");
        self.sightings.saw(mac, sighting);
    }

    /// Tells that a file went out whole, where we know to whom.
    pub(crate) fn file_sent(&self, peer: IpAddr, file: &str, length: u64, by: &str) {
        match self.machine(peer) {
            None => {
                tracing::info!(%peer, file, by, "file sent to a machine without a lease of ours")
            }
            Some(mac) => {
                let (file, by, length) = (file.to_owned(), by.to_owned(), Bytes(length));
                self.saw(mac, BootSighting::FileSent { file, length, by });
            }
        }
    }

    pub(crate) fn server(&self) -> MutexGuard<'_, Server> {
        self.server
            .lock()
            .expect("nothing panics while it holds the DHCP server")
    }
}
