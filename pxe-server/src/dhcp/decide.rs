// SPDX-License-Identifier: Apache-2.0
//! Asks the boot policy and the core about what has come, many requests under one lock, and sorts what is to be done.

use super::queue::Waiting;
use super::send::Reply;
use crate::desk::Desk;
use crate::metrics::Metric;
use groundstate_api::MacAddr;
use groundstate_api::boot::{BootQuestion, BootSighting};
use groundstate_api::boot_session::BootStep;
use pxe_core::dhcp::{Action, Client, Dropped, Event, Lease, Request};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

/// A request as a capture shows it: whoever asks by broadcast has no address yet.
const FROM: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 68);
const TO: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::BROADCAST), 67);

/// What is to be told about a machine; not by the thread that answers.
#[derive(Debug)]
pub(super) enum Told {
    /// Something was seen.
    Saw(MacAddr, BootSighting),
    /// A step of a boot, and the question that the machine's request was.
    Step(BootQuestion, BootStep),
    /// Another DHCP server, and the machine that it answered or that chose it.
    Foreign(Ipv4Addr, MacAddr),
}

/// What is to be done about one batch.
#[derive(Debug, Default)]
pub(super) struct Decided {
    /// Replies that grant nothing.
    pub(super) at_once: Vec<Reply>,
    /// Leases that are to be made durable.
    pub(super) leases: Vec<Lease>,
    /// Replies that leave after that.
    pub(super) granted: Vec<Reply>,
    /// What is to be told.
    pub(super) told: Vec<Told>,
    /// Addresses that are to be probed.
    pub(super) probes: Vec<Ipv4Addr>,
    /// Requests without an answer.
    dropped: u64,
    /// The last machine that got none because of how we are set up, and why.
    pub(super) unserved: Option<(MacAddr, Dropped)>,
}

/// Where an event came from.
struct Origin {
    question: BootQuestion,
    /// The address of ours that was asked; `None` of a broadcast.
    asked: Option<Ipv4Addr>,
    read: Instant,
}

impl Decided {
    /// Takes the actions of one call of the core.
    fn take(&mut self, origin: &Origin, actions: &mut Vec<Action>) {
        let keeps = actions
            .iter()
            .any(|action| matches!(action, Action::Keep(_)));
        for action in actions.drain(..) {
            match action {
                Action::Keep(lease) => self.leases.push(lease),
                Action::Send { to, bytes } => {
                    let reply = Reply {
                        to,
                        bytes,
                        asked: origin.asked,
                        read: origin.read,
                    };
                    let replies = if keeps {
                        &mut self.granted
                    } else {
                        &mut self.at_once
                    };
                    replies.push(reply);
                }
                Action::Probe { address } => self.probes.push(address),
                Action::Saw { mac, sighting } => self.told.push(Told::Saw(mac, sighting)),
                Action::Step { mac, step } => {
                    let question = if mac == origin.question.mac {
                        origin.question.clone()
                    } else {
                        BootQuestion::about(mac)
                    };
                    self.told.push(Told::Step(question, step));
                }
                Action::Foreign { server, mac } => self.told.push(Told::Foreign(server, mac)),
                Action::Dropped { mac, why } => {
                    self.dropped += 1;
                    if is_of_our_making(why) {
                        self.unserved = Some((mac, why));
                    }
                    tracing::trace!(%mac, %why, "DHCP: not answered");
                }
            }
        }
    }
}

/// Whether another configuration of ours would have got the machine an address.
const fn is_of_our_making(why: Dropped) -> bool {
    match why {
        Dropped::PoolExhausted | Dropped::ForeignRelay(_) => true,
        Dropped::Refused
        | Dropped::LocalDisk
        | Dropped::NotServed(_)
        | Dropped::OtherServer(_)
        | Dropped::NoAddress
        | Dropped::Declines => false,
    }
}

impl Desk {
    /// Decides about requests under one lock.
    pub(super) fn dhcp_requests(&self, batch: &[Waiting]) -> Decided {
        let mut asked = Vec::with_capacity(batch.len());
        for waiting in batch {
            match Request::parse(&waiting.bytes) {
                Err(why) => {
                    self.count(Metric::DhcpMalformed, 1);
                    tracing::trace!(%why, bytes = waiting.bytes.len(), "DHCP: no request");
                }
                Ok(request) => asked.push(self.asked(waiting, request)),
            }
        }
        self.decide(asked.into_iter())
    }

    /// Decides about what else was heard.
    pub(super) fn dhcp_heard(&self, events: impl Iterator<Item = Event>) -> Decided {
        let nobody = || Origin {
            question: BootQuestion::about(MacAddr([0; 6])),
            asked: None,
            read: Instant::now(),
        };
        self.decide(events.map(|event| (nobody(), event)))
    }

    fn asked(&self, waiting: &Waiting, request: Request) -> (Origin, Event) {
        let question = request.question();
        let answer = self.policy.ask(&question);
        if matches!(request.client, Client::Plain) {
            self.plain();
        } else {
            self.captured(question.mac, FROM, TO, &waiting.bytes);
        }
        let origin = Origin {
            question,
            asked: waiting.asked,
            read: waiting.read,
        };
        let request = Box::new(request);
        (origin, Event::Asked { request, answer })
    }

    fn decide(&self, events: impl Iterator<Item = (Origin, Event)>) -> Decided {
        let mut decided = Decided::default();
        let mut actions = Vec::new();
        {
            let now = self.clock.now();
            let mut server = self.server();
            for (origin, event) in events {
                server.handle(now, event, &mut actions);
                decided.take(&origin, &mut actions);
            }
        }
        self.count(Metric::DhcpDropped, decided.dropped);
        decided
    }

    /// Whether each of these machines has an offer or a lease.
    pub(super) fn knows(&self, machines: impl Iterator<Item = MacAddr>) -> Vec<bool> {
        let server = self.server();
        machines.map(|mac| server.knows(mac)).collect()
    }
}
