// SPDX-License-Identifier: Apache-2.0
//! What the boot service has seen: boot sessions, foreign DHCP servers, and how to look at them.
//!
//! A step costs a lock and a look into a table. It refuses to keep sessions of operating systems: those are counted.

use crate::ServeError;
use crate::capture::Capture;
use crate::clock::Clock;
use crate::desk::Desk;
use crate::metrics::{Gauge, Metric, Timing};
use crate::{BootPolicy, Sightings};
use groundstate_api::boot::BootQuestion;
use groundstate_api::boot_session::{
    BootSession, BootSessions, BootStep, ForeignServer, SessionState,
};
use groundstate_api::{MacAddr, Millis};
use pxe_core::session::{About, Action, Counts, Event, Limits, Sessions};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// How often silences are judged. They are tens of seconds long.
const LOOK: Duration = Duration::from_secs(1);

/// Where a DHCPv4 message has its client's hardware address (RFC 2131 section 2), in bytes.
const CHADDR: std::ops::Range<usize> = 28..34;

/// The boot sessions of a running boot service, to be read. Clones are the same ones.
#[derive(Clone)]
pub struct BootLog {
    sessions: Arc<Mutex<Sessions>>,
}

impl std::fmt::Debug for BootLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BootLog").finish_non_exhaustive()
    }
}

impl BootLog {
    /// Every session that is remembered, newest first; of one machine, or of all.
    #[must_use]
    pub fn boots(&self, mac: Option<MacAddr>) -> BootSessions {
        let sessions = self.sessions();
        BootSessions {
            sessions: sessions.list(mac),
            foreign: sessions.foreign().list(),
            forgotten: sessions.forgotten(),
        }
    }

    /// The DHCP servers that were heard and are not ours.
    #[must_use]
    pub fn foreign(&self) -> Vec<ForeignServer> {
        self.sessions().foreign().list()
    }

    /// The sessions that changed after a revision (0 for all), at most so many, and the revision to ask after next.
    #[must_use]
    pub fn changed(&self, after: u64, most: usize) -> (Vec<BootSession>, u64) {
        self.sessions().changed(after, most)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        // Each step is taken in whole or, after a panic, not at all as far as bounds go.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was seen, and who is to hear of it.
pub(crate) struct Seen {
    log: BootLog,
    policy: Arc<dyn BootPolicy>,
    sightings: Arc<dyn Sightings>,
    clock: Clock,
    began: Millis,
    capture: OnceLock<Capture>,
}

impl Seen {
    pub(crate) fn new(
        clock: Clock,
        policy: &Arc<dyn BootPolicy>,
        sightings: &Arc<dyn Sightings>,
        limits: &crate::Limits,
    ) -> Self {
        let sessions = Sessions::new(Limits {
            sessions: limits.boots,
            per_machine: limits.boots_of_one,
            ..Limits::default()
        });
        let log = BootLog {
            sessions: Arc::new(Mutex::new(sessions)),
        };
        sightings.log(log.clone());
        Self {
            log,
            policy: Arc::clone(policy),
            sightings: Arc::clone(sightings),
            clock,
            began: clock.now(),
            capture: OnceLock::new(),
        }
    }

    /// When the service began.
    pub(crate) const fn began(&self) -> Millis {
        self.began
    }

    /// Whose address this is, as the steps said.
    pub(crate) fn machine(&self, address: IpAddr) -> Option<MacAddr> {
        self.log.sessions().of_address(address.to_canonical())
    }

    /// Sessions by their state, foreign servers, and sessions forgotten.
    pub(crate) fn counts(&self) -> (Counts, usize, u64) {
        let sessions = self.log.sessions();
        let foreign = sessions.foreign().list().len();
        (sessions.counts(), foreign, sessions.forgotten())
    }

    fn handle(&self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        self.log
            .sessions()
            .handle(self.clock.now(), event, &mut out);
        out
    }
}

impl Desk {
    /// Joins a step to the machine's boot session.
    pub(crate) fn step(&self, mac: MacAddr, step: BootStep) {
        self.step_about(mac, step, About::default());
    }

    /// The same, with what the question says of the machine beside.
    pub(crate) fn step_of(&self, question: &BootQuestion, step: BootStep) {
        let about = About {
            uuid: question.uuid,
            relay: question.relay,
            known: false,
        };
        self.step_about(question.mac, step, about);
    }

    fn step_about(&self, mac: MacAddr, step: BootStep, about: About) {
        self.count(Metric::BootSteps, 1);
        tracing::info!(
            target: "boot", %mac, step = step.as_str(), via = step.via().as_str(), "{}", step.says()
        );
        let about = About {
            known: self.seen.policy.knows(mac),
            ..about
        };
        self.tell(self.seen.handle(Event::Step { mac, step, about }));
    }

    /// An operating system asked by DHCP: it is counted.
    pub(crate) fn plain(&self) {
        self.count(Metric::DhcpPlain, 1);
    }

    /// A packet of a DHCP server that is not ours.
    pub(crate) fn foreign(&self, server: Ipv4Addr, client: Option<MacAddr>) {
        self.count(Metric::DhcpForeign, 1);
        let server = IpAddr::V4(server);
        self.tell(self.seen.handle(Event::Foreign { server, client }));
    }

    /// Adds to a gauge, or takes from it.
    pub(crate) fn gauge(&self, gauge: Gauge, n: i64) {
        self.counters.gauge(gauge, n);
    }

    /// Adds one to a gauge until the guard is dropped.
    pub(crate) fn held(self: &Arc<Self>, gauge: Gauge) -> Held {
        self.gauge(gauge, 1);
        Held(Arc::clone(self), gauge)
    }

    /// Notes how long something took.
    pub(crate) fn timed(&self, timing: Timing, took: Duration) {
        self.counters.timed(timing, took);
    }

    /// The sessions, to be read.
    pub(crate) fn boot_log(&self) -> &BootLog {
        &self.seen.log
    }

    /// Writes packets to files from now on. A second time changes nothing.
    pub(crate) fn capture_into(&self, capture: Capture) {
        if self.seen.capture.set(capture).is_err() {
            tracing::debug!("packets are captured already");
        }
    }

    /// Whether packets are captured.
    pub(crate) fn captures(&self) -> bool {
        self.seen.capture.get().is_some()
    }

    /// Captures a packet of the machine that has the address `whose`, where one of ours does.
    pub(crate) fn captured_of(
        &self,
        whose: SocketAddr,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) {
        if let Some(mac) = self.machine(whose.ip()) {
            self.captured(mac, from, to, payload);
        }
    }

    /// Captures a reply of DHCPv4, where requests of its machine are captured: those of operating systems are not.
    pub(crate) fn captured_reply(&self, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        let hardware = payload.get(CHADDR).and_then(|bytes| bytes.try_into().ok());
        let Some((capture, mac)) = self.seen.capture.get().zip(hardware.map(MacAddr)) else {
            return;
        };
        if capture.has(mac) {
            self.captured(mac, from.into(), to.into(), payload);
        }
    }

    /// Captures a packet of a machine, where that is asked for.
    pub(crate) fn captured(&self, mac: MacAddr, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        let Some(capture) = self.seen.capture.get() else {
            return;
        };
        if !capture.packet(mac, self.clock.now(), from, to, payload) {
            self.count(Metric::CaptureDropped, 1);
        }
    }

    fn tell(&self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Began(mac) => {
                    self.count(Metric::SessionsBegun, 1);
                    tracing::debug!(target: "boot", %mac, "a boot begins");
                }
                Action::Ended(session) => self.ended(&session),
                Action::Foreign(foreign) => {
                    let client = foreign
                        .client
                        .map(|mac| mac.to_string())
                        .unwrap_or_default();
                    tracing::warn!(
                        target: "boot", server = foreign.server, client,
                        "ALARM: another DHCP server answers on this network"
                    );
                    self.seen.sightings.foreign(&foreign);
                }
            }
        }
    }

    fn ended(&self, session: &BootSession) {
        let (mac, state) = (session.mac, session.state.as_str());
        let took = session.last.since(session.began);
        match &session.state {
            SessionState::Running => {}
            SessionState::Fetched => {
                self.count(Metric::SessionsFetched, 1);
                tracing::info!(target: "boot", %mac, state, took_ms = took.0, "the boot files were fetched");
            }
            SessionState::LocalDisk => {
                self.count(Metric::SessionsLocalDisk, 1);
                tracing::info!(target: "boot", %mac, state, took_ms = took.0, "sent to its own disk");
            }
            SessionState::Stopped { why, next } => {
                self.count(Metric::SessionsStopped, 1);
                tracing::warn!(target: "boot", %mac, state, took_ms = took.0, next, "the boot stopped: {why}");
            }
        }
    }

    /// The moment by the service's clock.
    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }
}

/// One of a gauge.
pub(crate) struct Held(Arc<Desk>, Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.gauge(self.1, -1);
    }
}

/// Judges silences for as long as the service runs.
pub(crate) async fn mind(desk: Arc<Desk>) -> ServeError {
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        desk.tell(desk.seen.handle(Event::Timeout));
    }
}
