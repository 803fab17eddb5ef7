// SPDX-License-Identifier: Apache-2.0
//! What a member's report of trouble does to the standing of another.
//!
//! One who cannot reach another leaves it alone for a while; when two of them say so, everybody does. Who gave wrong bytes
//! is not used again by anybody. A member that accuses many is itself in doubt, and is then believed for itself only.

use super::Action;
use super::group::{Group, Scene};
use super::member::{Rest, Slot};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use groundstate_api::fan_out::{PeerTrouble, TroubleKind};
use groundstate_api::{Millis, NodeId, RunId};

/// The first pause after trouble.
const REST_FIRST: Millis = Millis::secs(2);
/// The longest.
const REST_MAX: Millis = Millis::secs(60);
/// A piece that is gone keeps its asker away from that member only so long.
const REST_GONE: Millis = Millis(500);
/// For a member that lied to one who is not believed: longer than any run.
const REST_FOR_EVER: Millis = Millis(u64::MAX);
/// Reports that are older than this say nothing about now.
const REPORT_AGE_MAX: Millis = Millis::secs(30);
/// How many different members must report before all believe it.
const REPORTERS: usize = 2;
/// The most others that one member may call liars. Two bad disks in a rack at once are rare, four are the reporter's fault.
const ACCUSATIONS_MAX: u32 = 3;

impl Group {
    /// Takes what member `reporter` tells of another.
    pub(super) fn trouble(
        &mut self,
        scene: &Scene,
        reporter: Slot,
        trouble: &PeerTrouble,
        liars: &mut BTreeMap<NodeId, RunId>,
        out: &mut Vec<Action>,
    ) {
        let Some(peer) = self.slot_of(&trouble.peer).filter(|peer| *peer != reporter) else {
            return;
        };
        match trouble.what {
            TroubleKind::Gone => {
                let was_hot = self
                    .member_mut(peer)
                    .is_some_and(|peer| peer.hot.remove(trouble.piece));
                if !was_hot {
                    self.avoid(reporter, peer, scene.now.plus(REST_GONE));
                }
            }
            TroubleKind::Away | TroubleKind::Slow => {
                let times = self.rest_of(reporter, peer).times;
                self.avoid(reporter, peer, scene.now.plus(pause(times)));
                self.reported(scene, reporter, peer, out);
            }
            TroubleKind::Lied => self.lied(reporter, peer, trouble.piece, liars, out),
        }
    }

    fn rest_of(&self, reporter: Slot, peer: Slot) -> Rest {
        self.member(reporter)
            .and_then(|member| member.avoids.get(&peer).copied())
            .unwrap_or_default()
    }

    fn avoid(&mut self, reporter: Slot, peer: Slot, until: Millis) {
        if let Some(member) = self.member_mut(reporter) {
            let rest = member.avoids.entry(peer).or_default();
            rest.until = rest.until.max(until);
            rest.times = rest.times.saturating_add(1);
        }
    }

    fn reported(&mut self, scene: &Scene, reporter: Slot, peer: Slot, out: &mut Vec<Action>) {
        let now = scene.now;
        // In a rack of two or three there may be nobody else to say so.
        let needed = if self.present_at(now) <= 3 {
            1
        } else {
            REPORTERS
        };
        let Some(member) = self.member_mut(peer) else {
            return;
        };
        member
            .reports
            .retain(|(by, at)| *by != reporter && now.since(*at) <= REPORT_AGE_MAX);
        member.reports.push((reporter, now));
        if member.reports.len() < needed || member.out.until > now {
            return;
        }
        // Whoever did well for long is forgiven.
        if now.since(member.out.until) > REST_MAX {
            member.out.times = 0;
        }
        member.out.until = now.plus(pause(member.out.times));
        member.out.times = member.out.times.saturating_add(1);
        member.reports.clear();
        out.push(Action::TakenOut {
            peer: member.node.clone(),
            until: member.out.until,
        });
    }

    fn lied(
        &mut self,
        reporter: Slot,
        peer: Slot,
        piece: u32,
        liars: &mut BTreeMap<NodeId, RunId>,
        out: &mut Vec<Action>,
    ) {
        self.avoid(reporter, peer, REST_FOR_EVER);
        let image = self.image();
        let Some((node, run)) = self
            .member(peer)
            .map(|peer| (peer.node.clone(), peer.run.clone()))
        else {
            return;
        };
        let Some(by) = self.member_mut(reporter) else {
            return;
        };
        if liars.get(&node) == Some(&run) {
            return;
        }
        by.accusations = by.accusations.saturating_add(1);
        if by.accusations == ACCUSATIONS_MAX + 1 {
            out.push(Action::Doubted {
                reporter: by.node.clone(),
            });
        }
        if by.accusations <= ACCUSATIONS_MAX {
            out.push(Action::Lied {
                image,
                peer: node.clone(),
                reporter: by.node.clone(),
                piece,
            });
            liars.insert(node, run);
        }
    }
}

/// 2 s, 4 s, 8 s, … 60 s.
fn pause(times: u32) -> Millis {
    let pause = REST_FIRST.0.checked_shl(times.min(16));
    Millis(pause.unwrap_or(REST_MAX.0).min(REST_MAX.0))
}
