// SPDX-License-Identifier: Apache-2.0
//! Boot sessions of every boot service of the site: the one in this process, read where it keeps them, and those on other
//! machines, as they report. In memory only: a boot that matters to a run stands in the journal as its sightings.

use groundstate_api::boot_session::{BootReport, BootSession, BootSessions, ForeignServer};
use groundstate_api::{MacAddr, Millis};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Boot services on other machines whose sessions are kept: a site has one for each broadcast domain.
const SERVICES_MAX: usize = 16;
/// Sessions kept of each: as many as it keeps itself.
const SESSIONS_MAX: usize = 2_048;
/// Foreign DHCP servers kept of each.
const FOREIGN_MAX: usize = 32;
/// Steps kept of a session: more than a boot service sends.
const STEPS_MAX: usize = 64;

/// Where a boot service in this process keeps its sessions.
pub trait BootSource: Send + Sync {
    /// The sessions, newest first; of one machine, or of all.
    fn boots(&self, mac: Option<MacAddr>) -> BootSessions;
}

/// The sessions of the site.
#[derive(Default)]
pub(crate) struct Boots {
    here: OnceLock<Arc<dyn BootSource>>,
    elsewhere: Mutex<BTreeMap<String, Service>>,
}

#[derive(Default)]
struct Service {
    heard: Millis,
    sessions: BTreeMap<(Millis, MacAddr), BootSession>,
    foreign: Vec<ForeignServer>,
}

impl Boots {
    /// Reads the sessions of this process there from now on. A second time changes nothing.
    pub(crate) fn read_from(&self, source: Arc<dyn BootSource>) {
        if self.here.set(source).is_err() {
            tracing::debug!("there is a boot service in this process already");
        }
    }

    /// Takes a report of another machine's boot service in; its sightings are somebody else's.
    pub(crate) fn report(&self, now: Millis, report: BootReport) {
        let mut elsewhere = self.elsewhere();
        if !elsewhere.contains_key(&report.service) && elsewhere.len() >= SERVICES_MAX {
            let oldest = elsewhere.iter().min_by_key(|(_, service)| service.heard);
            let oldest = oldest.map(|(name, _)| name.clone());
            elsewhere.retain(|name, _| Some(name) != oldest.as_ref());
        }
        let name = report.service.clone();
        let service = elsewhere.entry(report.service).or_default();
        service.heard = now;
        service.foreign = report.foreign;
        service.foreign.truncate(FOREIGN_MAX);
        for mut session in report.sessions {
            session.service = Some(name.clone());
            session.steps.truncate(STEPS_MAX);
            service
                .sessions
                .insert((session.began, session.mac), session);
        }
        while service.sessions.len() > SESSIONS_MAX {
            service.sessions.pop_first();
        }
    }

    /// Every session, newest first; of one machine, or of all.
    pub(crate) fn all(&self, mac: Option<MacAddr>) -> BootSessions {
        let mut all = self
            .here
            .get()
            .map(|here| here.boots(mac))
            .unwrap_or_default();
        for service in self.elsewhere().values() {
            let sessions = service.sessions.values();
            let of = |session: &&BootSession| mac.is_none_or(|mac| mac == session.mac);
            all.sessions.extend(sessions.filter(of).cloned());
            all.foreign.extend(service.foreign.iter().cloned());
        }
        all.sessions
            .sort_by_key(|session| std::cmp::Reverse((session.began, session.mac)));
        all
    }

    fn elsewhere(&self) -> MutexGuard<'_, BTreeMap<String, Service>> {
        // Each session is put in whole.
        self.elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::SCHEMA;
    use groundstate_api::boot_session::SessionState;

    fn session(mac: u8, began: u64, state: SessionState) -> BootSession {
        BootSession {
            mac: MacAddr([2, 0, 0, 0, 0, mac]),
            uuid: None,
            firmware: None,
            address: None,
            relay: None,
            service: None,
            began: Millis(began),
            last: Millis(began),
            state,
            steps: Vec::new(),
            left_out: 0,
        }
    }

    fn report(service: &str, sessions: Vec<BootSession>) -> BootReport {
        BootReport {
            schema: SCHEMA,
            service: service.into(),
            sightings: Vec::new(),
            sessions,
            foreign: Vec::new(),
        }
    }

    #[test]
    fn a_session_that_changed_takes_the_place_of_what_it_was() {
        let boots = Boots::default();
        boots.report(
            Millis(1),
            report("east", vec![session(1, 5, SessionState::Running)]),
        );
        boots.report(
            Millis(2),
            report("east", vec![session(1, 5, SessionState::Fetched)]),
        );
        boots.report(
            Millis(3),
            report("west", vec![session(2, 9, SessionState::Running)]),
        );
        let all = boots.all(None).sessions;
        let seen: Vec<_> = all
            .iter()
            .map(|s| (s.service.as_deref().unwrap(), s.state.as_str()))
            .collect();
        assert_eq!(seen, [("west", "running"), ("east", "fetched")]);
        let one = boots.all(Some(MacAddr([2, 0, 0, 0, 0, 1]))).sessions;
        assert_eq!(one.len(), 1);
    }

    #[test]
    fn services_and_sessions_are_bounded() {
        let boots = Boots::default();
        for n in 0..40u64 {
            let name = format!("service-{n}");
            boots.report(
                Millis(n),
                report(&name, vec![session(1, n, SessionState::Running)]),
            );
        }
        let all = boots.all(None).sessions;
        assert_eq!(all.len(), SERVICES_MAX);
        assert_eq!(all[0].service.as_deref(), Some("service-39"));
        for n in 0..3_000u64 {
            boots.report(
                Millis(n),
                report("one", vec![session(1, n, SessionState::Running)]),
            );
        }
        let one = boots.all(None).sessions;
        let kept = one.iter().filter(|s| s.service.as_deref() == Some("one"));
        assert_eq!(kept.count(), SESSIONS_MAX);
    }
}
