// SPDX-License-Identifier: Apache-2.0
//! Enrolment: whose key it is. A MAC address finds the node and proves nothing; UUID and serial number must agree, a
//! run must be ordered, its window must be open, and the first key wins. A run that lost its machine to a power loss is bound
//! to the key of the machine's next boot.

use crate::deadline::{ENROL_RETRY, ENROL_RETRY_SLOW, REFUSAL_AGAIN, RETURNS_MAX};
use crate::decide::{Note, Reply, Wish};
use crate::node::{BoundKey, Node, Run};
use crate::reasons;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::enrol::EnrolRequest;
use groundstate_api::event::Happened;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, Reason, ReasonCode};

impl Node {
    pub(crate) fn enrol(
        &self,
        now: Millis,
        request: &EnrolRequest,
        key: &str,
        out: &mut Vec<Wish>,
    ) {
        if let Some(reason) = self.identity_mismatch(request) {
            self.refuse(now, reason, out);
            return;
        }
        match self.phase {
            Phase::Enrolled | Phase::Retired => {
                self.refuse(now, reasons::nothing_ordered(self.phase), out);
            }
            Phase::Rescue => self.rescue_enrols(request, out),
            // As a node that is held: its host may run, and nothing of ours is written.
            Phase::Quarantined | Phase::InRepair => self.held(now, request, out),
            Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Planned
            | Phase::Provisioning
            | Phase::Erasing => match &self.run {
                Some(run) => self.bind(now, run, request, key, out),
                None => self.refuse(now, reasons::nothing_ordered(self.phase), out),
            },
            Phase::HandedOver | Phase::Ready | Phase::Suspect | Phase::Draining => {
                self.local_or_nothing(now, out)
            }
            Phase::Held => self.held(now, request, out),
        }
    }

    /// An order that lapsed has touched nothing: its machine goes back to the host. Held for another reason: a machine
    /// on BIOS with its host still on disk goes back to that host too, as a machine on UEFI does by itself. Without a
    /// host a closed window is the answer.
    fn held(&self, now: Millis, request: &EnrolRequest, out: &mut Vec<Wish>) {
        if self.order_has_lapsed() || (self.host.is_some() && !request.uefi) {
            self.local_or_nothing(now, out);
            return;
        }
        match &self.reason {
            Some(reason) if reason.code == ReasonCode::EnrolmentExpired => {
                self.refuse(now, reason.clone(), out);
            }
            Some(_) | None => self.refuse(now, reasons::nothing_ordered(self.phase), out),
        }
    }

    fn local_or_nothing(&self, now: Millis, out: &mut Vec<Wish>) {
        // Where an adopted host's kernel lies nobody has told us, and an image of a whole disk has a boot loader of its own;
        // the firmware finds it.
        let plan = self.host.as_ref().and_then(|host| host.plan.as_ref());
        match plan.filter(|plan| plan.image.whole.is_none()) {
            Some(plan) => out.push(Wish::Reply(Reply::BootLocal(plan.get()))),
            None => self.refuse(now, reasons::nothing_ordered(self.phase), out),
        }
    }

    fn bind(&self, now: Millis, run: &Run, request: &EnrolRequest, key: &str, out: &mut Vec<Wish>) {
        match &run.key {
            Some(first) if first.key == key && first.boot_id == request.boot_id => {
                out.push(Wish::Note(Note::Spoke));
            }
            Some(first) if first.key != key && first.boot_id != request.boot_id => {
                self.another_boot(now, (run, first), request, key, out);
                return;
            }
            Some(first) => {
                self.refuse(now, reasons::second_key(first, request, key), out);
                return;
            }
            None if now >= run.window_closes => {
                self.refuse(
                    now,
                    reasons::window_closed(run.window_closes, self.phase),
                    out,
                );
                return;
            }
            None => {
                out.push(Wish::Append(Happened::Enrolled {
                    run: run.id.clone(),
                    boot_id: request.boot_id.clone(),
                    key: key.to_string(),
                }));
                self.go(Phase::Checking, None, out);
                out.push(Wish::Note(Note::Spoke));
            }
        }
        out.push(Wish::Reply(Reply::Enrolled {
            run: run.id.clone(),
            firmware: self.firmware,
            boot: run.boots.max(1),
        }));
    }

    /// Another boot of the run's machine, as far as its identity says. As after a power loss, the run goes on in it: once the
    /// key before has been silent, as long as it never spoke beside another boot, and not for ever.
    ///
    /// Identity can be copied. A copy beside the living machine gets nothing, and from then on a person decides; a copy that is
    /// there in a silence of the true machine takes its run, and the alarm says so.
    fn another_boot(
        &self,
        now: Millis,
        (run, first): (&Run, &BoundKey),
        request: &EnrolRequest,
        key: &str,
        out: &mut Vec<Wish>,
    ) {
        if self.live.contested {
            self.refuse(now, reasons::contested(first, request, key), out);
            out.push(Wish::Note(Note::SecondKey));
        } else if !self.key_is_quiet(now) {
            let heard = self.last_spoke(self.counts_from());
            let reason = reasons::key_still_speaks(now.since(heard), first, request, key);
            self.refuse_for(now, reason, ENROL_RETRY, out);
            out.push(Wish::Note(Note::SecondKey));
        } else if run.boots > RETURNS_MAX {
            let reason = reasons::came_back_too_often(run.boots);
            self.hold(now, reason.clone(), out);
            out.push(Wish::Note(Note::Asked));
            let retry = ENROL_RETRY_SLOW;
            out.push(Wish::Reply(Reply::NotEnrolled { reason, retry }));
        } else {
            let boot = run.boots.saturating_add(1);
            out.push(Wish::Append(Happened::CameBack {
                run: run.id.clone(),
                boot_id: request.boot_id.clone(),
                key: key.to_string(),
                boot,
            }));
            out.push(Wish::Note(Note::Spoke));
            out.push(Wish::Note(Note::Moved));
            out.push(Wish::Reply(Reply::Enrolled {
                run: run.id.clone(),
                firmware: self.firmware,
                boot,
            }));
        }
    }

    fn identity_mismatch(&self, request: &EnrolRequest) -> Option<Reason> {
        let mut differs: Vec<String> = Vec::new();
        if !request.macs.contains(&self.site.mac) {
            differs.push(alloc::format!(
                "MAC {} is not among the machine's interfaces",
                self.site.mac
            ));
        }
        if request.uuid != Some(self.site.uuid) {
            let said = request
                .uuid
                .map_or("none".to_string(), |uuid| uuid.to_string());
            differs.push(alloc::format!(
                "UUID: site file {}, machine {said}",
                self.site.uuid
            ));
        }
        if request.serial.trim() != self.site.serial.trim() {
            differs.push(alloc::format!(
                "serial number: site file {:?}, machine {:?}",
                self.site.serial,
                request.serial
            ));
        }
        (!differs.is_empty()).then(|| reasons::identity_mismatch(self.id(), differs))
    }

    /// Refuses an enrolment, and journals it where that is news.
    pub(crate) fn refuse(&self, now: Millis, reason: Reason, out: &mut Vec<Wish>) {
        let alarm = is_alarm(reason.code);
        let retry = if alarm { ENROL_RETRY_SLOW } else { ENROL_RETRY };
        self.refuse_for(now, reason, retry, out);
    }

    fn refuse_for(&self, now: Millis, reason: Reason, retry: Millis, out: &mut Vec<Wish>) {
        self.journal_refusal(now, &reason, out);
        if reason.code != ReasonCode::IdentityMismatch {
            out.push(Wish::Note(Note::Asked));
        }
        out.push(Wish::Reply(Reply::NotEnrolled { reason, retry }));
    }

    /// One refusal of each kind per [`REFUSAL_AGAIN`], whatever it says in detail: what a machine says of itself is
    /// different in every question, if it likes.
    pub(crate) fn journal_refusal(&self, now: Millis, reason: &Reason, out: &mut Vec<Wish>) {
        let recent = |at: &Millis| now.since(*at) < REFUSAL_AGAIN;
        if self.live.refusals.get(&reason.code).is_some_and(recent) {
            return;
        }
        out.push(Wish::Append(Happened::EnrolRefused {
            reason: reason.clone(),
            alarm: is_alarm(reason.code),
        }));
        out.push(Wish::Note(Note::Refused(reason.code)));
    }
}

/// Whether a person should look at once.
fn is_alarm(code: ReasonCode) -> bool {
    matches!(code, ReasonCode::SecondKey | ReasonCode::IdentityMismatch)
}
