// SPDX-License-Identifier: Apache-2.0
//! The next boot of a machine, by the ladder of `bmc-core`: each way is set and read back, and what the network sees of the machine
//! after its restart says whether it was believed. A node's ladder stands between two orders, so that the second tries another way.

use super::{Power, locked};
use crate::provisioner::Provisioner;
use bmc::ladder::{Action as Step, Event, Sighting};
use bmc::{Ladder, MachineKey, Rung, Target, Trouble};
use groundstate_api::action::{Act, NextBoot, Outcome};
use groundstate_api::site_parts::BmcProtocol;
use groundstate_api::{Millis, NodeId};
use prov_core::{Input, Reply};
use std::time::Duration;

/// How many steps of a ladder are taken in one go; it has five rungs of two.
const STEPS_MAX: usize = 32;
/// Who wants it of the host.
const BY_LADDER: &str = "boot-ladder";
/// How often it is looked whether the host has done it.
const HOST_LOOK_EVERY: Duration = Duration::from_millis(250);

/// A node's ladder, and whom it climbs.
pub(super) struct Climb {
    node: NodeId,
    ladder: Ladder,
    machine: Option<MachineKey>,
    target: Target,
}

/// The ways that there are for this BMC, best first. The last one needs no BMC: the machine's own order, and our boot service.
fn ways(protocol: Option<BmcProtocol>, to: NextBoot, host_can: bool) -> Vec<Rung> {
    let by_bmc: &[Rung] = match protocol {
        Some(BmcProtocol::Redfish | BmcProtocol::RedfishHttp) => {
            &[Rung::RedfishOnce, Rung::RedfishPersistent]
        }
        Some(BmcProtocol::Ipmi) => &[Rung::Ipmi],
        None => &[Rung::RedfishOnce, Rung::RedfishPersistent, Rung::Ipmi],
    };
    let served = matches!(to, NextBoot::Network | NextBoot::HttpBoot);
    let mut ways = by_bmc.to_vec();
    // A host knows no entry for media that its BMC shows only later.
    let by_host = host_can && Rung::InOs.can(to);
    ways.extend(by_host.then_some(Rung::InOs));
    ways.extend(served.then_some(Rung::BootService));
    ways
}

/// Has the host's agent set it, by an action of its own that stands in the journal, and waits for its end: the host hears of it
/// with its next report.
async fn by_the_host(
    ours: &Provisioner,
    node: &NodeId,
    to: NextBoot,
) -> Result<Vec<String>, Trouble> {
    let refused = |why: String| Trouble::NotOffered {
        wanted: format!("the host sets what it boots next: {why}"),
        offers: Vec::new(),
    };
    let wanted = {
        let (ours, node) = (ours.clone(), node.clone());
        let (act, by) = (Act::HostBootNext { to }, BY_LADDER.to_owned());
        move || {
            let because = None;
            ours.submit(&node, Input::ActionWanted { act, by, because })
        }
    };
    let asked = tokio::task::spawn_blocking(wanted).await;
    let action = match asked {
        Ok(Ok(Some(Reply::Action(action)))) => action,
        Ok(Ok(Some(Reply::Conflict(reason)))) => return Err(refused(reason.what)),
        Ok(Ok(_)) => return Err(refused("the node is gone".to_owned())),
        Ok(Err(error)) => return Err(refused(error.to_string())),
        Err(error) => return Err(refused(error.to_string())),
    };
    loop {
        let ended = ours.with_node(node, |node| {
            let mut all = node.actions.iter();
            let doing = all.find(|doing| doing.action.id == action.id);
            doing.map(|doing| doing.ended.clone())
        });
        match ended.flatten() {
            // It ends by its deadline at the latest.
            Some(None) => tokio::time::sleep(HOST_LOOK_EVERY).await,
            Some(Some((_, Outcome::Done { facts, .. }))) => return Ok(facts),
            Some(Some((_, Outcome::Failed { reason }))) => {
                let why = reason.evidence.first().unwrap_or(&reason.what);
                return Err(refused(why.clone()));
            }
            Some(Some((_, Outcome::Vetoed { by, .. }))) => {
                return Err(refused(format!("stopped by {by}")));
            }
            None => return Err(refused("the node is gone".to_owned())),
        }
    }
}

impl Power {
    /// Sets what a node boots next, by the first way that holds.
    pub(super) async fn set_next_boot(
        &self,
        ours: &Provisioner,
        node: &NodeId,
        target: &Target,
        to: NextBoot,
    ) -> Result<Outcome, Trouble> {
        let mut prepared = Vec::new();
        if to == NextBoot::VirtualMedia {
            let url = iso_url(ours);
            prepared = self.0.bmcs.insert_media(target, &url).await?;
        } else {
            // Whoever answers at all says its model, by which the ways are ordered.
            self.0.bmcs.power_state(target).await?;
        }
        let machine = self.0.bmcs.machine(&target.address);
        let before = locked(&self.0.climbs).remove(node);
        let now = ours.now();
        let mut steps = Vec::new();
        let mut ladder = match before {
            // It was set before and the machine is still not there: that way did not work.
            Some(Climb { mut ladder, .. }) if ladder.to() == to && ladder.deadline().is_some() => {
                let over = ladder.deadline().unwrap_or(now);
                ladder.handle(over, Event::Tick, &mut steps);
                ladder
            }
            _ => {
                let learned = self.0.kept.learned();
                let host_can = ours.with_node(node, |node| node.host_boots_next(now));
                let ways = ways(target.protocol, to, host_can == Some(true));
                let mut ladder = Ladder::new(to, &ways, &learned, machine.as_ref());
                ladder.handle(now, Event::Begin, &mut steps);
                ladder
            }
        };
        let mut climb = Climb {
            node: node.clone(),
            ladder: ladder.clone(),
            machine,
            target: target.clone(),
        };
        for _ in 0..STEPS_MAX {
            let mut next = Vec::new();
            for step in steps {
                if let Some((rung, mut facts)) = self
                    .take(ours, &mut ladder, &climb, step, &mut next)
                    .await?
                {
                    climb.ladder = ladder;
                    locked(&self.0.climbs).insert(node.clone(), climb);
                    prepared.append(&mut facts);
                    return Ok(Outcome::Done {
                        by: rung.as_str().to_owned(),
                        facts: prepared,
                    });
                }
            }
            if next.is_empty() {
                break;
            }
            steps = next;
        }
        Err(Trouble::odd("the ladder of ways ended without a word"))
    }

    /// One step of a ladder; gives the way that is set, once one is.
    async fn take(
        &self,
        ours: &Provisioner,
        ladder: &mut Ladder,
        climb: &Climb,
        step: Step,
        next: &mut Vec<Step>,
    ) -> Result<Option<(Rung, Vec<String>)>, Trouble> {
        match step {
            Step::Set(rung) => {
                let result = match rung {
                    Rung::InOs => by_the_host(ours, &climb.node, ladder.to()).await,
                    Rung::RedfishOnce
                    | Rung::RedfishPersistent
                    | Rung::Ipmi
                    | Rung::BootService => self.set(climb, ladder.to(), rung).await,
                };
                ladder.handle(ours.now(), Event::Set { rung, result }, next);
                Ok(None)
            }
            Step::Ready { rung, facts } | Step::RestartAgain { rung, facts } => {
                Ok(Some((rung, facts)))
            }
            Step::ClearOverride => {
                self.clear(&climb.target).await;
                Ok(None)
            }
            Step::Learn { rung, lesson } => {
                if let Some(machine) = &climb.machine {
                    let at = ours.wall();
                    self.0.kept.note(machine, ladder.to(), rung, lesson, at);
                }
                Ok(None)
            }
            Step::Proven { .. } => Ok(None),
            Step::GiveUp(trouble) => Err(trouble),
        }
    }

    async fn set(&self, climb: &Climb, to: NextBoot, rung: Rung) -> Result<Vec<String>, Trouble> {
        if rung == Rung::BootService {
            return Ok(vec![
                "no way of its BMC holds; it boots by its own order, and the boot service answers it"
                    .to_owned(),
            ]);
        }
        self.0.bmcs.set_next_boot(&climb.target, to, rung).await
    }

    async fn clear(&self, target: &Target) {
        let address = target.address.to_string();
        if let Err(trouble) = self.0.bmcs.clear_next_boot(target).await {
            tracing::warn!(bmc = address, %trouble, "a boot override that holds for every boot could not be taken back");
        }
    }

    /// The machine was switched on or restarted.
    pub(super) fn restarted(&self, node: &NodeId, now: Millis) {
        if let Some(climb) = locked(&self.0.climbs).get_mut(node) {
            let mut nothing = Vec::new();
            climb.ladder.handle(now, Event::Restarted, &mut nothing);
        }
    }

    /// Whether somebody waits to hear what this node boots.
    pub(super) fn watches(&self) -> bool {
        !locked(&self.0.climbs).is_empty()
    }

    /// The machine was seen. What it booted proves the way or not; a way that holds for every boot is taken back.
    pub(super) async fn sighted(&self, ours: &Provisioner, node: &NodeId, what: Sighting) {
        let Some(climb) = locked(&self.0.climbs).remove(node) else {
            return;
        };
        let mut ladder = climb.ladder.clone();
        // Our maintenance OS came up: where it was to come over the network, it did, whoever gave the address.
        let what = match (what, ladder.to()) {
            (Sighting::VirtualMedia, NextBoot::Network) => Sighting::Pxe,
            (Sighting::VirtualMedia, NextBoot::HttpBoot) => Sighting::Http,
            (other, _) => other,
        };
        let mut steps = Vec::new();
        ladder.handle(ours.now(), Event::Sighted(what), &mut steps);
        let address = climb.target.address.to_string();
        // Another way is tried when another boot is ordered, not by this look; until then the ladder stands where it stood.
        let climbs_on = steps.iter().any(|step| matches!(step, Step::Set(_)));
        for step in steps {
            if climbs_on && step != Step::ClearOverride {
                continue;
            }
            let mut next = Vec::new();
            let done = self.alone(
                &address,
                self.take(ours, &mut ladder, &climb, step, &mut next),
            );
            if let Err(trouble) = done.await {
                tracing::info!(%node, %trouble, "no way to its next boot is left");
            }
        }
        if !ladder.has_ended() {
            // What was ordered meanwhile is newer.
            locked(&self.0.climbs).entry(node.clone()).or_insert(climb);
        } else if ladder.to() == NextBoot::VirtualMedia {
            let eject = self.0.bmcs.eject_media(&climb.target);
            if let Err(trouble) = self.alone(&address, eject).await {
                tracing::warn!(%node, %trouble, "the boot image could not be taken out of the virtual drive");
            }
        }
    }
}

/// Where the boot service serves the ISO.
fn iso_url(ours: &Provisioner) -> String {
    let network = &ours.site().network;
    format!(
        "http://{}:{}/{}",
        network.address, network.http_port, ISO_NAME
    )
}

/// The name that the boot service serves it under.
const ISO_NAME: &str = "groundstate.iso";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ways_that_there_are_are_tried_and_the_boot_service_is_the_last() {
        let all = ways(None, NextBoot::Network, false);
        assert_eq!(all.len(), 4);
        // What the host can say comes after the BMC's ways and before the boot service.
        let with_host = ways(None, NextBoot::Network, true);
        assert_eq!(with_host.get(3), Some(&Rung::InOs));
        assert_eq!(with_host.len(), 5);
        assert!(!ways(None, NextBoot::VirtualMedia, true).contains(&Rung::InOs));
        assert_eq!(all.last(), Some(&Rung::BootService));
        assert_eq!(
            ways(Some(BmcProtocol::Ipmi), NextBoot::Disk, false),
            [Rung::Ipmi]
        );
        assert!(!ways(Some(BmcProtocol::Redfish), NextBoot::HttpBoot, false).contains(&Rung::Ipmi));
    }
}
