// SPDX-License-Identifier: Apache-2.0
//! A DHCPv4 client (RFC 2131) for one interface, as a machine without sockets.
//!
//! It asks for an address, a mask and a router, and nothing else: what to do, the provisioner says over TLS.
//! Every message asks for a broadcast answer, since the interface has no address yet. A client of the same MAC
//! address and without a client identifier gets the firmware's lease again, so the node keeps one address.

use alloc::vec::Vec;
use core::net::Ipv4Addr;
use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, OptionCode};
use dhcproto::{Decodable as _, Encodable as _};
use groundstate_api::{MacAddr, Millis};

/// First wait for an answer. A switch port in its learning state swallows the first packets.
pub const FIRST_WAIT: Millis = Millis(500);
/// The longest wait between two tries.
pub const WAIT_MAX: Millis = Millis::secs(4);
/// Tries before the client says that nobody answers.
pub const TRIES: u32 = 8;

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Our address.
    pub address: Ipv4Addr,
    /// Length of the network prefix.
    pub prefix: u8,
    /// The router, if the server named one.
    pub router: Option<Ipv4Addr>,
    /// The server.
    pub server: Ipv4Addr,
    /// When to renew it.
    pub renew_at: Millis,
    /// When it ends.
    pub ends_at: Millis,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Begin, with a transaction id from the shell.
    Start {
        /// Random.
        xid: u32,
    },
    /// A datagram came to port 68.
    Received(&'a [u8]),
    /// The deadline has come.
    Timeout,
}

/// What shall be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this datagram from port 68 to port 67, broadcast.
    Broadcast(Vec<u8>),
    /// Give the interface this address.
    Configure(Lease),
    /// Nobody answered after [`TRIES`] tries.
    GiveUp,
    /// The lease ended and could not be renewed.
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Off,
    Selecting,
    Requesting { address: Ipv4Addr, server: Ipv4Addr },
    Bound(Lease),
    Renewing(Lease),
}

/// The client.
#[derive(Clone, Debug)]
pub struct DhcpClient {
    mac: MacAddr,
    xid: u32,
    state: State,
    tries: u32,
    wake: Option<Millis>,
}

impl DhcpClient {
    /// A client for the interface with this MAC address.
    #[must_use]
    pub fn new(mac: MacAddr) -> Self {
        Self {
            mac,
            xid: 0,
            state: State::Off,
            tries: 0,
            wake: None,
        }
    }

    /// When to call again with [`Event::Timeout`].
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.wake
    }

    /// Takes one event; appends what shall be done.
    pub fn handle(&mut self, now: Millis, event: Event<'_>, out: &mut Vec<Action>) {
        match event {
            Event::Start { xid } => {
                self.xid = xid;
                self.tries = 0;
                self.state = State::Selecting;
                self.send(now, out);
            }
            Event::Received(bytes) => self.received(now, bytes, out),
            Event::Timeout => self.timeout(now, out),
        }
    }

    fn timeout(&mut self, now: Millis, out: &mut Vec<Action>) {
        if self.wake.is_none_or(|wake| now < wake) {
            return;
        }
        match self.state.clone() {
            State::Off => self.wake = None,
            State::Bound(lease) => {
                self.tries = 0;
                self.state = State::Renewing(lease);
                self.send(now, out);
            }
            State::Renewing(lease) if now >= lease.ends_at => {
                self.state = State::Off;
                self.wake = None;
                out.push(Action::Lost);
            }
            State::Selecting | State::Requesting { .. } if self.tries >= TRIES => {
                self.state = State::Off;
                self.wake = None;
                out.push(Action::GiveUp);
            }
            State::Requesting { .. } if self.tries >= TRIES / 2 => {
                self.state = State::Selecting;
                self.send(now, out);
            }
            State::Selecting | State::Requesting { .. } | State::Renewing(_) => self.send(now, out),
        }
    }

    fn send(&mut self, now: Millis, out: &mut Vec<Action>) {
        let doubled = FIRST_WAIT.0 << self.tries.min(8);
        self.tries += 1;
        self.wake = Some(now.plus(Millis(doubled).min(WAIT_MAX)));
        let none = Ipv4Addr::UNSPECIFIED;
        let ciaddr = if let State::Renewing(lease) = &self.state {
            lease.address
        } else {
            none
        };
        let mut message = Message::new_with_id(self.xid, ciaddr, none, none, none, &self.mac.0);
        message.set_flags(Flags::default().set_broadcast());
        let options = message.opts_mut();
        let wanted = [
            OptionCode::SubnetMask,
            OptionCode::Router,
            OptionCode::AddressLeaseTime,
            OptionCode::ServerIdentifier,
        ];
        options.insert(DhcpOption::ParameterRequestList(wanted.to_vec()));
        match &self.state {
            State::Selecting => {
                options.insert(DhcpOption::MessageType(MessageType::Discover));
            }
            State::Requesting { address, server } => {
                options.insert(DhcpOption::MessageType(MessageType::Request));
                options.insert(DhcpOption::RequestedIpAddress(*address));
                options.insert(DhcpOption::ServerIdentifier(*server));
            }
            State::Renewing(_) => {
                options.insert(DhcpOption::MessageType(MessageType::Request));
            }
            State::Off | State::Bound(_) => return,
        }
        if let Ok(mut bytes) = message.to_vec() {
            bytes.resize(bytes.len().max(300), 0); // BOOTP's least length, RFC 1542 2.1.
            out.push(Action::Broadcast(bytes));
        }
    }

    fn received(&mut self, now: Millis, bytes: &[u8], out: &mut Vec<Action>) {
        // The decoder trusts hlen (byte 2) and panics above 16; an Ethernet client's is 6.
        if bytes.get(2) != Some(&6) {
            return;
        }
        let Ok(message) = Message::from_bytes(bytes) else {
            return;
        };
        if message.xid() != self.xid || message.chaddr().get(..6) != Some(&self.mac.0) {
            return;
        }
        let options = message.opts();
        let Some(DhcpOption::MessageType(kind)) = options.get(OptionCode::MessageType) else {
            return;
        };
        let Some(DhcpOption::ServerIdentifier(server)) = options.get(OptionCode::ServerIdentifier)
        else {
            return;
        };
        match (&self.state, kind) {
            (State::Selecting, MessageType::Offer) => {
                self.tries = 0;
                self.state = State::Requesting {
                    address: message.yiaddr(),
                    server: *server,
                };
                self.send(now, out);
            }
            (State::Requesting { .. } | State::Renewing(_), MessageType::Ack) => {
                let lease = lease(now, &message, *server);
                self.wake = Some(lease.renew_at);
                self.state = State::Bound(lease.clone());
                out.push(Action::Configure(lease));
            }
            (State::Requesting { .. } | State::Renewing(_), MessageType::Nak) => {
                self.tries = 0;
                self.state = State::Selecting;
                self.send(now, out);
            }
            (
                State::Off
                | State::Selecting
                | State::Requesting { .. }
                | State::Bound(_)
                | State::Renewing(_),
                _,
            ) => {}
        }
    }
}

fn lease(now: Millis, message: &Message, server: Ipv4Addr) -> Lease {
    let options = message.opts();
    let secs = match options.get(OptionCode::AddressLeaseTime) {
        Some(DhcpOption::AddressLeaseTime(secs)) => u64::from(*secs).max(60),
        Some(_) | None => 600,
    };
    let prefix = match options.get(OptionCode::SubnetMask) {
        Some(DhcpOption::SubnetMask(mask)) => {
            u8::try_from(u32::from(*mask).leading_ones()).unwrap_or(32)
        }
        Some(_) | None => 24,
    };
    let router = match options.get(OptionCode::Router) {
        Some(DhcpOption::Router(routers)) => routers.first().copied(),
        Some(_) | None => None,
    };
    Lease {
        address: message.yiaddr(),
        prefix,
        router,
        server,
        renew_at: now.plus(Millis::secs(secs / 2)),
        ends_at: now.plus(Millis::secs(secs)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);

    fn answer(kind: MessageType, asked: &[u8]) -> Vec<u8> {
        let asked = Message::from_bytes(asked).unwrap();
        let (client, server) = (Ipv4Addr::new(10, 77, 0, 100), Ipv4Addr::new(10, 77, 0, 1));
        let mut message = Message::new_with_id(
            asked.xid(),
            Ipv4Addr::UNSPECIFIED,
            client,
            server,
            Ipv4Addr::UNSPECIFIED,
            &MAC.0,
        );
        message.set_opcode(dhcproto::v4::Opcode::BootReply);
        message.opts_mut().insert(DhcpOption::MessageType(kind));
        message
            .opts_mut()
            .insert(DhcpOption::ServerIdentifier(server));
        message
            .opts_mut()
            .insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)));
        message
            .opts_mut()
            .insert(DhcpOption::AddressLeaseTime(3_600));
        message.to_vec().unwrap()
    }

    fn sent(out: &[Action]) -> &[u8] {
        let Some(Action::Broadcast(bytes)) = out.last() else {
            panic!("nothing was sent: {out:?}")
        };
        bytes
    }

    #[test]
    fn four_messages_give_an_address_and_half_the_time_later_it_is_renewed() {
        let mut client = DhcpClient::new(MAC);
        let mut out = Vec::new();
        client.handle(Millis(0), Event::Start { xid: 7 }, &mut out);
        let offer = answer(MessageType::Offer, sent(&out));
        client.handle(Millis(10), Event::Received(&offer), &mut out);
        let ack = answer(MessageType::Ack, sent(&out));
        client.handle(Millis(20), Event::Received(&ack), &mut out);
        let Some(Action::Configure(lease)) = out.pop() else {
            panic!("{out:?}")
        };
        assert_eq!(
            (lease.address, lease.prefix),
            (Ipv4Addr::new(10, 77, 0, 100), 24)
        );
        assert_eq!(client.deadline(), Some(Millis(1_800_020)));
        client.handle(Millis(1_800_020), Event::Timeout, &mut out);
        let renewal = Message::from_bytes(sent(&out)).unwrap();
        assert_eq!(renewal.ciaddr(), lease.address);
        client.handle(Millis(3_600_020), Event::Timeout, &mut out);
        assert_eq!(out.last(), Some(&Action::Lost));
    }

    #[test]
    fn silence_ends_in_giving_up() {
        let mut client = DhcpClient::new(MAC);
        let mut out = Vec::new();
        client.handle(Millis(0), Event::Start { xid: 7 }, &mut out);
        for _ in 0..TRIES {
            let now = client.deadline().unwrap();
            client.handle(now, Event::Timeout, &mut out);
        }
        assert_eq!(out.last(), Some(&Action::GiveUp));
        assert_eq!(out.len(), TRIES as usize + 1);
    }

    proptest! {
        #[test]
        fn no_datagram_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut client = DhcpClient::new(MAC);
            let mut out = Vec::new();
            client.handle(Millis(0), Event::Start { xid: 7 }, &mut out);
            client.handle(Millis(1), Event::Received(&bytes), &mut out);
        }
    }
}
