// SPDX-License-Identifier: Apache-2.0
//! Adoption: a host that runs already becomes a node's host, with a token that a person made for that node. Tokens are known by
//! their digests only, are good for a while, and for one machine.
//!
//! It refuses a machine that is another node by any of its addresses, its UUID or its serial number, and a node that has a host
//! of ours or a run. It writes nothing and changes nothing about how a machine boots.

use crate::decide::{Reply, Wish};
use crate::fleet::Fleet;
use crate::node::{Host, Node};
use crate::reasons_adopt as words;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::adopt::{AdoptRequest, AdoptToken};
use groundstate_api::boot::Firmware;
use groundstate_api::event::Happened;
use groundstate_api::view::Phase;
use groundstate_api::{Digest, Millis, NodeId, PlanId, Reason};

/// Tokens that are good at once: a hall that is taken over in a day.
pub const TOKENS_MAX: usize = 1_024;

/// A running host that asks to be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adoptee {
    /// What it says.
    pub request: AdoptRequest,
    /// The digest of the token that it showed.
    pub token: Digest,
    /// The digest of its agent's key, where it is to have an agent.
    pub key: Option<String>,
}

/// The tokens that were made and are not too old.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Tokens {
    made: BTreeMap<Digest, AdoptToken>,
    /// Whose key each was used with: the same one may ask again, because an answer can be lost.
    used: BTreeMap<Digest, Option<String>>,
}

impl Tokens {
    pub(crate) fn take(&mut self, at: Millis, token: &AdoptToken) {
        self.made.retain(|_, made| made.expires > at);
        let made = &self.made;
        self.used.retain(|digest, _| made.contains_key(digest));
        self.made.insert(token.token, token.clone());
    }

    pub(crate) fn use_up(&mut self, token: Digest, key: Option<&String>) {
        if self.made.contains_key(&token) {
            self.used.insert(token, key.cloned());
        }
    }

    /// A host that was let go does not come back by a token of before.
    pub(crate) fn forget(&mut self, node: &NodeId) {
        self.made.retain(|_, made| made.node != *node);
        let made = &self.made;
        self.used.retain(|digest, _| made.contains_key(digest));
    }

    fn good(&self, now: Millis, token: &Digest, key: Option<&String>) -> Option<&AdoptToken> {
        let made = self.made.get(token).filter(|made| now < made.expires)?;
        let free = self
            .used
            .get(token)
            .is_none_or(|by| by.is_some() && by.as_ref() == key);
        free.then_some(made)
    }
}

/// The adoption of a host by its key: another key, or another node, is another adoption.
#[must_use]
pub fn adoption_id(node: &NodeId, token: &Digest, key: Option<&str>) -> Option<PlanId> {
    let key = key.unwrap_or_default();
    let said = format!("groundstate adoption\n{node}\n{token}\n{key}");
    Digest::of(said.as_bytes()).hex().parse().ok()
}

impl Fleet {
    /// A person made a token.
    pub fn adopt_token(&self, now: Millis, token: AdoptToken, out: &mut Vec<Wish>) {
        let good = self
            .tokens
            .made
            .values()
            .filter(|made| made.expires > now)
            .count();
        if good >= TOKENS_MAX {
            let reason = words::too_many_tokens(TOKENS_MAX);
            out.push(Wish::Reply(Reply::Conflict(reason)));
            return;
        }
        let token = alloc::boxed::Box::new(token);
        out.push(Wish::Append(Happened::AdoptTokenMade { token }));
        out.push(Wish::Reply(Reply::Accepted));
    }

    /// Whether a token is one that was made and is not too old: what comes with another one is not read.
    #[must_use]
    pub fn has_token(&self, now: Millis, token: &Digest) -> bool {
        let made = self.tokens.made.get(token);
        made.is_some_and(|made| now < made.expires)
    }

    /// Whom a token makes of this machine, and who made the token.
    ///
    /// # Errors
    /// The token is none, or the machine is not that node.
    pub fn adoptee(&self, now: Millis, who: &Adoptee) -> Result<&AdoptToken, Reason> {
        let token = self
            .tokens
            .good(now, &who.token, who.key.as_ref())
            .ok_or_else(words::no_such_token)?;
        let said = &who.request;
        if said.uuid.is_none() {
            return Err(words::says_not_who_it_is("UUID"));
        }
        if said.serial.trim().is_empty() {
            return Err(words::says_not_who_it_is("serial number"));
        }
        let mut differs = Vec::new();
        if let Some(mac) = token.mac.filter(|mac| !has_mac(said, *mac)) {
            differs.push(words::differs("MAC", &mac.to_string(), &macs(said)));
        }
        if let Some(serial) = &token.serial
            && serial.trim() != said.serial.trim()
        {
            differs.push(words::differs("serial number", serial, said.serial.trim()));
        }
        if !differs.is_empty() {
            return Err(words::token_is_for_another(&token.node, differs));
        }
        let mut differs = self.is_another(&token.node, said);
        if let Some(node) = self.node(&token.node) {
            differs.extend(node.differs_from(said));
            if differs.is_empty() {
                node.may_be_adopted()?;
            }
        }
        if differs.is_empty() {
            Ok(token)
        } else {
            Err(words::is_another(&token.node, differs))
        }
    }

    /// The nodes beside this one that the machine would be, a line each.
    fn is_another(&self, id: &NodeId, said: &AdoptRequest) -> Vec<String> {
        let mut lines = Vec::new();
        let all: BTreeSet<_> = said.macs.iter().chain([&said.boot_mac]).collect();
        for mac in all {
            if let Some(owner) = self.by_mac(*mac).filter(|owner| owner.id() != id) {
                lines.push(format!("MAC {mac} belongs to {}", owner.id()));
            }
        }
        for other in self.nodes().filter(|node| node.id() != id) {
            if Some(other.site.uuid) == said.uuid {
                lines.push(format!(
                    "UUID {} belongs to {}",
                    other.site.uuid,
                    other.id()
                ));
            }
            if other.site.serial.trim() == said.serial.trim() {
                lines.push(format!(
                    "serial number {:?} belongs to {}",
                    said.serial.trim(),
                    other.id()
                ));
            }
        }
        lines
    }
}

fn has_mac(said: &AdoptRequest, mac: groundstate_api::MacAddr) -> bool {
    said.boot_mac == mac || said.macs.contains(&mac)
}

fn macs(said: &AdoptRequest) -> String {
    let all: Vec<String> = said.macs.iter().map(ToString::to_string).collect();
    all.join(", ")
}

impl Node {
    /// How a machine differs from what the site says of this node.
    fn differs_from(&self, said: &AdoptRequest) -> Vec<String> {
        let mut lines = Vec::new();
        if !has_mac(said, self.site.mac) {
            lines.push(words::differs(
                "MAC",
                &self.site.mac.to_string(),
                &macs(said),
            ));
        }
        if said.uuid != Some(self.site.uuid) {
            let uuid = said
                .uuid
                .map_or_else(|| "none".to_string(), |uuid| uuid.to_string());
            lines.push(words::differs("UUID", &self.site.uuid.to_string(), &uuid));
        }
        if said.serial.trim() != self.site.serial.trim() {
            lines.push(words::differs(
                "serial number",
                self.site.serial.trim(),
                said.serial.trim(),
            ));
        }
        lines
    }

    /// Whether its host was taken in as it runs.
    #[must_use]
    pub fn is_adopted(&self) -> bool {
        self.host.as_ref().is_some_and(|host| host.plan.is_none())
    }

    /// Whether its host was taken in and its agent has never called.
    #[must_use]
    pub fn awaits_agent(&self) -> bool {
        let host = self.host.as_ref().filter(|host| host.plan.is_none());
        host.is_some_and(|host| host.seen.is_none())
    }

    /// Whether a host may be taken in here.
    fn may_be_adopted(&self) -> Result<(), Reason> {
        let made = self.host.is_some() && !self.is_adopted();
        let may = match self.phase {
            Phase::Enrolled => true,
            Phase::Ready | Phase::Suspect | Phase::Draining | Phase::Held => !made,
            Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Planned
            | Phase::Provisioning
            | Phase::Erasing
            | Phase::HandedOver
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Rescue
            | Phase::Retired => false,
        };
        if may {
            Ok(())
        } else {
            Err(words::cannot_adopt(self.id(), self.phase, made))
        }
    }

    /// A host is taken in; that it may be was asked before. Asked again with the same key, the answer is the same.
    pub(crate) fn adopt(&self, now: Millis, who: Adoptee, by: &str, out: &mut Vec<Wish>) {
        let Adoptee {
            request,
            token,
            key,
        } = who;
        let known = self.host.as_ref().filter(|host| host.plan.is_none());
        let again = known.filter(|host| key.is_some() && host.key == key);
        let made = || adoption_id(self.id(), &token, key.as_deref());
        let Some(adoption) = again.map(|host| host.id.clone()).or_else(made) else {
            return;
        };
        let firmware = match request.inventory.system.firmware {
            Some(firmware) => firmware,
            None if request.uefi => Firmware::UefiPxe,
            None => Firmware::Bios,
        };
        out.push(Wish::Append(Happened::Adopted {
            os: request.os,
            inventory: request.inventory,
            key: key.clone(),
            adoption: adoption.clone(),
            boot_id: request.boot_id,
            firmware,
            token,
            by: by.to_string(),
        }));
        match (&key, self.phase) {
            // Who calls stays ready.
            (Some(_), Phase::Ready) if again.is_some() => {}
            (Some(_), _) => {
                let reason = words::agent_is_awaited(now, by);
                self.go(Phase::Suspect, Some(reason), out);
            }
            (None, Phase::Enrolled) => {
                let reason = words::without_agent(now, self.id(), by);
                self.go(Phase::Enrolled, Some(reason), out);
            }
            (None, _) => {}
        }
        out.push(Wish::Reply(Reply::Adopted(adoption)));
    }

    /// An adopted host is let go: what it was is forgotten, and its agent is believed no more.
    pub(crate) fn unadopt(&self, by: &str, why: &str, out: &mut Vec<Wish>) {
        let refused = if !self.is_adopted() {
            Some(words::not_adopted(self.id()))
        } else if self.run_is_open() {
            Some(words::run_is_at_it(self.id(), self.phase))
        } else {
            None
        };
        let adoption = self.host.as_ref().map(|host| host.id.clone());
        let (None, Some(adoption)) = (&refused, adoption) else {
            let reason = refused.unwrap_or_else(|| words::not_adopted(self.id()));
            out.push(Wish::Reply(Reply::Conflict(reason)));
            return;
        };
        self.end_host_work(None, by, "its host was let go", out);
        out.push(Wish::Append(Happened::Unadopted {
            adoption,
            by: by.to_string(),
            why: why.to_string(),
        }));
        // What a person took out of use stays so.
        if matches!(
            self.phase,
            Phase::Ready | Phase::Suspect | Phase::Draining | Phase::Held
        ) {
            self.go(Phase::Enrolled, None, out);
        }
        out.push(Wish::Reply(Reply::Accepted));
    }

    /// Why a host that was ours by adoption is answered no more, where that is who calls.
    pub(crate) fn was_let_go(&self, plan: &PlanId) -> Option<Reason> {
        self.let_go.contains(plan).then(|| words::let_go(self.id()))
    }

    /// The words of a host that was taken in, and calls.
    pub(crate) fn adopted_words(&self) -> Option<Reason> {
        let host = self.host.as_ref()?;
        host.adopted.map(|at| words::adopted(at, self.id()))
    }

    // ---- the fold ----

    pub(crate) fn host_adopted(&mut self, at: Millis, adopted: Adopted<'_>) {
        self.firmware.get_or_insert(adopted.firmware);
        let Some(key) = adopted.key else {
            return;
        };
        let (mut seen, mut past_boots) = (None, Vec::new());
        if let Some(before) = self.host.take() {
            if before.id == *adopted.adoption {
                (seen, past_boots) = (before.seen, before.past_boots);
            } else if before.plan.is_none() {
                self.let_it_go(before.id);
            }
        }
        self.let_go.retain(|id| id != adopted.adoption);
        self.host = Some(Host {
            id: adopted.adoption.clone(),
            plan: None,
            adopted: Some(at),
            key: Some(key.clone()),
            seen,
            epoch: self.runs,
            past_boots,
        });
    }

    pub(crate) fn host_unadopted(&mut self, adoption: &PlanId) {
        if self.host.as_ref().is_some_and(|host| host.id == *adoption) {
            self.host = None;
        }
        self.let_it_go(adoption.clone());
    }

    fn let_it_go(&mut self, adoption: PlanId) {
        self.let_go.push(adoption);
        if self.let_go.len() > LET_GO_MAX {
            self.let_go.remove(0);
        }
    }
}

/// Adoptions that are over and remembered, so that their agents are told so and nobody is alarmed.
const LET_GO_MAX: usize = 4;

/// What the fold needs of the event.
pub(crate) struct Adopted<'a> {
    pub(crate) adoption: &'a PlanId,
    pub(crate) key: Option<&'a String>,
    pub(crate) firmware: Firmware,
}
