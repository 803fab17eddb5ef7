// SPDX-License-Identifier: Apache-2.0
//! The last boots over the network, step by step.

use crate::page::words::When;
use groundstate_api::Millis;
use groundstate_api::boot::Firmware;
use groundstate_api::boot_session::{BootSession, BootSessions, SessionState};

/// Boots that are shown, newest first.
const BOOTS: usize = 3;

pub(super) struct Boot {
    pub(super) about: String,
    pub(super) state: &'static str,
    pub(super) class: &'static str,
    pub(super) began: When,
    pub(super) took: String,
    pub(super) stopped: Option<(String, String)>,
    pub(super) steps: Vec<Step>,
    pub(super) left_out: u32,
}

pub(super) struct Step {
    pub(super) at: String,
    pub(super) says: String,
    pub(super) again: u32,
}

pub(super) fn boots(boots: &BootSessions, now: Millis) -> Vec<Boot> {
    boots
        .sessions
        .iter()
        .take(BOOTS)
        .map(|b| one(b, now))
        .collect()
}

fn one(boot: &BootSession, now: Millis) -> Boot {
    let mut about = Vec::new();
    about.extend(boot.firmware.map(|f| Firmware::as_str(f).to_owned()));
    about.extend(boot.address.clone());
    about.extend(boot.relay.as_ref().map(|relay| format!("relay {relay}")));
    about.extend(boot.service.as_ref().map(|s| format!("seen by {s}")));
    let step = |step: &groundstate_api::boot_session::TimedStep| Step {
        at: format!("+{}", step.at.since(boot.began)),
        says: step.step.says(),
        again: if step.again > 0 { step.again + 1 } else { 0 },
    };
    Boot {
        about: about.join(", "),
        state: boot.state.as_str(),
        class: match boot.state {
            SessionState::Running => "warn",
            SessionState::Fetched | SessionState::LocalDisk => "ok",
            SessionState::Stopped { .. } => "fail",
        },
        began: When::of(boot.began, now),
        took: boot.last.since(boot.began).to_string(),
        stopped: match &boot.state {
            SessionState::Stopped { why, next } => Some((why.clone(), next.clone())),
            SessionState::Running | SessionState::Fetched | SessionState::LocalDisk => None,
        },
        steps: boot.steps.iter().map(step).collect(),
        left_out: boot.left_out,
    }
}
