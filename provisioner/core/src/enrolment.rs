// SPDX-License-Identifier: Apache-2.0
//! Enrolment: whose key it is. A MAC address finds the node and proves nothing; UUID and serial number must agree, a
//! run must be ordered, its window must be open, and the first key wins.

use crate::deadline::{ENROL_RETRY, ENROL_RETRY_SLOW, REFUSAL_AGAIN};
use crate::decide::{Note, Reply, Wish};
use crate::node::{Node, Run};
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
            Phase::Known => self.refuse(now, reasons::nothing_ordered(self.phase), out),
            Phase::Ordered | Phase::Booting | Phase::Checking | Phase::Deploying => {
                match &self.run {
                    Some(run) => self.bind(now, run, request, key, out),
                    None => self.refuse(now, reasons::nothing_ordered(self.phase), out),
                }
            }
            Phase::HandedOver | Phase::Ready | Phase::Silent => self.local_or_nothing(now, out),
            Phase::Held => self.held(now, request, out),
        }
    }

    /// Held by a closed window: that is the answer. Held for another reason: a machine on BIOS with its host still on
    /// disk goes back to that host, as a machine on UEFI does by itself.
    fn held(&self, now: Millis, request: &EnrolRequest, out: &mut Vec<Wish>) {
        match &self.reason {
            Some(reason) if reason.code == ReasonCode::EnrolmentExpired => {
                self.refuse(now, reason.clone(), out);
            }
            Some(_) | None if self.host.is_some() && !request.uefi => {
                self.local_or_nothing(now, out);
            }
            Some(_) | None => self.refuse(now, reasons::nothing_ordered(self.phase), out),
        }
    }

    fn local_or_nothing(&self, now: Millis, out: &mut Vec<Wish>) {
        match &self.host {
            Some(host) => out.push(Wish::Reply(Reply::BootLocal(host.plan.clone()))),
            None => self.refuse(now, reasons::nothing_ordered(self.phase), out),
        }
    }

    fn bind(&self, now: Millis, run: &Run, request: &EnrolRequest, key: &str, out: &mut Vec<Wish>) {
        match &run.key {
            Some(first) if first.key == key && first.boot_id == request.boot_id => {
                out.push(Wish::Note(Note::Spoke));
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
        }));
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

    fn refuse(&self, now: Millis, reason: Reason, out: &mut Vec<Wish>) {
        let alarm = is_alarm(reason.code);
        let again = self.live.refusal.as_ref().is_some_and(|(at, old)| {
            old.code == reason.code
                && old.evidence == reason.evidence
                && now.since(*at) < REFUSAL_AGAIN
        });
        if !again {
            out.push(Wish::Append(Happened::EnrolRefused {
                reason: reason.clone(),
                alarm,
            }));
            out.push(Wish::Note(Note::Refused(reason.clone())));
        }
        let retry = if alarm { ENROL_RETRY_SLOW } else { ENROL_RETRY };
        out.push(Wish::Reply(Reply::NotEnrolled { reason, retry }));
    }
}

/// Whether a person should look at once.
fn is_alarm(code: ReasonCode) -> bool {
    matches!(code, ReasonCode::SecondKey | ReasonCode::IdentityMismatch)
}
