// SPDX-License-Identifier: Apache-2.0
//! Health: what the host's agent, the judgement on its hardware and the fabric controller say is wrong with it.

use crate::decide::{Note, Wish};
use crate::node::Node;
use crate::{reasons, reasons_life};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::event::Happened;
use groundstate_api::healing::{Trouble, TroubleKind, TroubleView};
use groundstate_api::view::Phase;
use groundstate_api::{Millis, ReasonCode};

/// Troubles that one reporter may have at once; more are not read by anybody.
pub const TROUBLES_MAX: usize = 16;
/// The longest sentence or line of evidence of a trouble, in bytes.
pub const TROUBLE_LINE_MAX: usize = 512;
/// The most lines of evidence of a trouble.
pub const TROUBLE_LINES_MAX: usize = 16;
/// What a host says of its health is journalled again only after this: a service that starts and fails every second must not
/// fill the journal.
const HEALTH_AGAIN: Millis = Millis::secs(15);
/// Who the host's agent is, as a reporter.
pub const BY_HOST: &str = "host-agent";
/// Who the judgement on the hardware is, as a reporter.
pub const BY_HARDWARE: &str = "hw-diag";

/// What one reporter says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reported {
    /// Since when it says so.
    pub since: Millis,
    /// What is wrong.
    pub troubles: Vec<Trouble>,
}

/// How grave a kind is, the gravest first: broken hardware before what it breaks, and what nobody can see before what is seen.
const fn gravity(kind: TroubleKind) -> u8 {
    match kind {
        TroubleKind::Memory => 0,
        TroubleKind::Disk => 1,
        TroubleKind::Volume => 2,
        TroubleKind::Silent => 3,
        TroubleKind::Service => 4,
        TroubleKind::Other => 5,
    }
}

impl Node {
    /// The host's agent says what is wrong, all of it. Whether the host is in trouble after that.
    pub(crate) fn host_health(
        &self,
        now: Millis,
        troubles: Vec<Trouble>,
        out: &mut Vec<Wish>,
    ) -> bool {
        let recent = self
            .live
            .health_said
            .is_some_and(|at| now.since(at) < HEALTH_AGAIN);
        if recent {
            self.is_ill()
        } else {
            self.health(now, BY_HOST, troubles, out)
        }
    }

    /// Somebody says what is wrong, all of it. Whether the host is in trouble after that.
    pub(crate) fn health(
        &self,
        now: Millis,
        by: &str,
        troubles: Vec<Trouble>,
        out: &mut Vec<Wish>,
    ) -> bool {
        let troubles = bounded(troubles);
        let known = self.troubles.get(by).map_or(&[][..], |said| &said.troubles);
        let others = self.troubles.iter().any(|(who, _)| who != by);
        let ill = others || !troubles.is_empty();
        let first = troubles.first().cloned();
        if known != troubles {
            out.push(Wish::Append(Happened::HealthReported {
                by: by.to_string(),
                troubles,
            }));
            if by == BY_HOST {
                out.push(Wish::Note(Note::HealthSaid));
            }
        }
        let silent = self.is_silent() && by == BY_HOST;
        if ill && (self.phase == Phase::Ready || self.phase == Phase::Suspect && silent) {
            let mut of_others = self.troubles.iter().filter_map(|(who, said)| {
                let trouble = said.troubles.first().filter(|_| who != by)?;
                Some((who.as_str(), trouble))
            });
            let first = first.as_ref().map(|trouble| (by, trouble));
            if let Some((by, trouble)) = first.or_else(|| of_others.next()) {
                let reason = reasons_life::in_trouble(now, by, trouble);
                self.go(Phase::Suspect, Some(reason), out);
            }
        }
        ill
    }

    /// Whether anybody says that something is wrong.
    #[must_use]
    pub fn is_ill(&self) -> bool {
        !self.troubles.is_empty()
    }

    /// Whether its host is Suspect because it is silent.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let silent = |code| code == ReasonCode::HostSilent;
        self.phase == Phase::Suspect && self.reason.as_ref().is_some_and(|r| silent(r.code))
    }

    /// The gravest kind of its trouble, and what it is, in words.
    #[must_use]
    pub fn worst_trouble(&self) -> Option<(TroubleKind, String)> {
        let said = self.troubles.values().flat_map(|said| &said.troubles);
        let said = said.map(|trouble| (trouble.kind, trouble.what.clone()));
        let gone = self.is_silent() || self.held_by_policy();
        let gone = gone.then(|| {
            let why = self.reason.as_ref().map(|reason| reason.what.clone());
            (TroubleKind::Silent, why.unwrap_or_default())
        });
        said.chain(gone).min_by_key(|(kind, _)| gravity(*kind))
    }

    /// The troubles with who says so.
    #[must_use]
    pub fn trouble_views(&self) -> Vec<TroubleView> {
        let of = |(by, said): (&String, &Reported)| {
            let view = |trouble: &Trouble| TroubleView {
                by: by.clone(),
                since: said.since,
                trouble: trouble.clone(),
            };
            said.troubles.iter().map(view).collect::<Vec<_>>()
        };
        self.troubles.iter().flat_map(of).collect()
    }

    // ---- the fold ----

    pub(crate) fn health_reported(&mut self, at: Millis, by: &str, troubles: &[Trouble]) {
        if troubles.is_empty() {
            self.troubles.remove(by);
        } else {
            let said = self.troubles.entry(by.to_string()).or_insert(Reported {
                since: at,
                troubles: Vec::new(),
            });
            said.troubles = troubles.to_vec();
            self.trouble_began(at);
        }
    }

    /// A person has the hardware in hand: what was judged of it until then is theirs to look at, and is told again only where it
    /// goes on.
    pub(crate) fn forget_hardware_health(&mut self) {
        self.troubles.remove(BY_HARDWARE);
    }

    /// A new host has none of the old one's troubles. What hardware and fabric have said stays: they see more than the host.
    pub(crate) fn forget_host_health(&mut self) {
        self.troubles.remove(BY_HOST);
        self.live.health_said = None;
    }
}

/// What a person reads, and no more than the journal should keep.
fn bounded(mut troubles: Vec<Trouble>) -> Vec<Trouble> {
    troubles.truncate(TROUBLES_MAX);
    for trouble in &mut troubles {
        reasons::cut(&mut trouble.what, TROUBLE_LINE_MAX);
        trouble.evidence.truncate(TROUBLE_LINES_MAX);
        for line in &mut trouble.evidence {
            reasons::cut(line, TROUBLE_LINE_MAX);
        }
    }
    troubles
}
