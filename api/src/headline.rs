// SPDX-License-Identifier: Apache-2.0
//! One line of text for an event, the same on every terminal and in every transcript.

use crate::action::{ActionId, Outcome};
use crate::boot::{BootSighting, Firmware};
use crate::event::Happened;
use crate::machine::Left;
use crate::plan::Step;
use crate::reason::Reason;
use crate::run::StepState;
use crate::text::counted;
use alloc::format;
use alloc::string::{String, ToString};

/// The event in one line.
#[allow(clippy::too_many_lines, reason = "one arm for each kind of event")]
#[must_use]
pub fn headline(what: &Happened) -> String {
    match what {
        Happened::NodeAdded => "added from the site file".to_string(),
        Happened::RunOrdered { run, terms, .. } => match terms.takes_away() {
            Some(what) => format!("run {run} ordered: {what}"),
            None => format!("run {run} ordered"),
        },
        Happened::BootSeen { sighting } => boot(sighting),
        Happened::ForeignDhcp { reason, .. } => format!("ALARM: {}", short(reason)),
        Happened::Enrolled { boot_id, .. } => format!("enrolled, boot {boot_id}"),
        Happened::CameBack { boot, .. } => {
            let boot = ordinal(*boot);
            format!("ALARM: node came back after power loss, {boot} boot of this run")
        }
        Happened::EnrolRefused { reason, alarm } => {
            let grave = if *alarm { "ALARM: " } else { "" };
            format!("{grave}enrolment refused: {}", short(reason))
        }
        Happened::InventoryTaken {
            inventory,
            findings,
        } => {
            let dimms = inventory.memory.dimms.iter().filter(|d| d.populated);
            let (disks, dimms, findings) = (inventory.disks.len(), dimms.count(), findings.len());
            format!("inventory: disks {disks}, DIMMs {dimms}, findings {findings}")
        }
        Happened::Planned { plan } => {
            let id = plan.id.as_str().get(..12).unwrap_or_default();
            format!("plan {id} for {} disks", plan.disks.len())
        }
        Happened::StepMoved { step, state, .. } => moved(*step, state),
        Happened::DiskErased {
            serial,
            erased: true,
            ..
        } => format!("disk {serial} is erased; its certificate is signed"),
        Happened::DiskErased { serial, .. } => {
            format!("QUARANTINE: disk {serial} is not erased, or it cannot be proved")
        }
        Happened::HostCredentialIssued { .. } => "host certificate issued".to_string(),
        Happened::HostRegistered { os, .. } => format!("host registered: {os}"),
        Happened::SiteApplied {
            version,
            by,
            changes,
            ..
        } => match (changes.len(), version) {
            (0, 1) => format!("site {version} by {by}: the first one"),
            (0, _) => format!("site {version} by {by}: it was in force already"),
            (some, _) => format!("site {version} by {by}: {}", counted(some, "change")),
        },
        Happened::MachineSeen { machine } => format!("machine {} waits", machine.mac),
        Happened::MachineLeft {
            mac,
            left: Left::Accepted { node },
            by,
        } => format!("machine {mac} is {node} now, by {by}"),
        Happened::MachineLeft { mac, by, .. } => format!("machine {mac} was sent away by {by}"),
        Happened::PlanApproved { by, .. } => format!("plan approved by {by}"),
        Happened::ActionBegun { action } => {
            format!(
                "{} begun by {} (action {})",
                action.act.says(),
                action.by,
                action.id
            )
        }
        Happened::ActionApproved { id, by } => format!("action {id} approved by {by}"),
        Happened::ActionStarted { id } => format!("action {id} goes on"),
        Happened::HostFenced { reason } => format!("ALARM: {}", short(reason)),
        Happened::ActionEnded { id, outcome } => ended(*id, outcome),
        Happened::HealthReported { by, troubles } => match troubles.as_slice() {
            [] => format!("in health again, says {by}"),
            [first, rest @ ..] => {
                let more = rest.len();
                let more = (more > 0).then(|| format!(" and {more} more"));
                format!("trouble: {}{}", first.what, more.unwrap_or_default())
            }
        },
        Happened::Braked { on, by, reason } => {
            let why = reason.as_ref().map(|r| format!(": {}", short(r)));
            let what = if *on { "BRAKE set" } else { "brake let go" };
            format!("{what} by {by}{}", why.unwrap_or_default())
        }
        Happened::Adopted { os, key, .. } => {
            let agent = if key.is_some() {
                ""
            } else {
                ", without an agent"
            };
            format!("adopted as it is: {os}{agent}")
        }
        Happened::AdoptTokenMade { token } => {
            format!("{} may be adopted, by {}", token.node, token.by)
        }
        Happened::Unadopted { by, why, .. } if why.is_empty() => {
            format!("adopted host let go by {by}")
        }
        Happened::Unadopted { by, why, .. } => format!("adopted host let go by {by}: {why}"),
        Happened::Remarked { by, text } => format!("remark of {by}: {text}"),
        Happened::Audited { audit } => {
            format!("{} {} -> {}", audit.by, audit.words(), audit.status)
        }
        Happened::LeaderChanged { leader, term } => format!("{leader} leads, term {term}"),
        Happened::PhaseChanged { from, to, reason } => {
            let why = reason.as_ref().map(|r| format!(": {}", short(r)));
            format!(
                "{} -> {}{}",
                from.as_str(),
                to.as_str(),
                why.unwrap_or_default()
            )
        }
    }
}

fn ended(id: ActionId, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done { by, .. } => format!("action {id} done by {by}"),
        Outcome::Failed { reason } => format!("action {id} failed: {}", short(reason)),
        Outcome::Vetoed { by, why } => format!("action {id} vetoed by {by}: {why}"),
    }
}

/// 1st, 2nd, 3rd, 4th, …
#[must_use]
pub fn ordinal(number: u32) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn short(reason: &Reason) -> String {
    let part = reason.part.as_ref().map(|p| format!(" ({p})"));
    format!(
        "{} [{}]{}",
        reason.what,
        reason.code,
        part.unwrap_or_default()
    )
}

fn boot(sighting: &BootSighting) -> String {
    match sighting {
        BootSighting::Leased { address, firmware } => {
            let to = firmware.map_or("an operating system", Firmware::as_str);
            format!("leased {address} to {to}")
        }
        BootSighting::FileSent { file, length, by } => format!("{file} sent by {by}, {length}"),
        BootSighting::FileProgress { file, done, length } => format!("{file}: {done} of {length}"),
        BootSighting::Refused { reason } => format!("no boot file: {}", short(reason)),
        BootSighting::SentToLocalDisk => "sent to its own disk".to_string(),
    }
}

fn moved(step: Step, state: &StepState) -> String {
    let name = step.as_str();
    match state {
        StepState::Started => format!("{name}: {}", step.says()),
        StepState::Running { done, total } => format!("{name}: {done} of {total}"),
        StepState::Done { .. } => format!("{name}: done"),
        StepState::Failed { reason } => format!("{name}: failed: {}", short(reason)),
        StepState::Waiting { reason } => format!("{name}: waits: {}", short(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::ordinal;

    #[test]
    fn ordinals_are_as_people_say_them() {
        let said = [1, 2, 3, 4, 9, 11, 12, 13, 21, 22, 101, 111, 112].map(ordinal);
        let right = [
            "1st", "2nd", "3rd", "4th", "9th", "11th", "12th", "13th", "21st", "22nd", "101st",
            "111th", "112th",
        ];
        assert_eq!(said, right);
    }
}
