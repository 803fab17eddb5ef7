// SPDX-License-Identifier: Apache-2.0
//! Brings the network up: every interface, then DHCP on those with a link; the first lease wins and is renewed.

use crate::pid1::clock;
use crate::pid1::interface::{self, Interface};
use crate::pid1::log::Log;
use groundstate_api::{MacAddr, Reason, ReasonCode};
use mos_core::dhcp_client::{Action, DhcpClient, Event, Lease};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

/// How long a link may take to come up. Switch ports with spanning tree take up to 30 s; the search is repeated.
const LINK_WAIT: Duration = Duration::from_secs(10);
/// How often it is looked at.
const LINK_POLL: Duration = Duration::from_millis(50);
/// How long a socket is listened to before deadlines are looked at.
const LISTEN: Duration = Duration::from_millis(100);
/// The same once there is a lease: renewals are due after minutes, not milliseconds.
const LISTEN_IDLE: Duration = Duration::from_secs(5);
/// The largest datagram that a DHCP server sends on Ethernet.
const DATAGRAM_MAX: usize = 1_500;

/// An interface with its lease.
#[derive(Clone, Debug)]
pub(super) struct Online {
    /// The interface.
    pub(super) interface: Interface,
    /// Its lease.
    pub(super) lease: Lease,
}

/// Brings the network up, once.
///
/// # Errors
/// `NoLink` or `NoLease`, with each interface and what is known of it.
pub(super) fn bring_up(log: &Log, avoid: Option<&str>) -> Result<(Online, Session), Reason> {
    let (all, linked) = wait_for_link(log);
    if linked.is_empty() {
        return Err(no_link(&all));
    }
    let others: Vec<_> = linked
        .iter()
        .filter(|each| Some(each.name.as_str()) != avoid)
        .cloned()
        .collect();
    if others.is_empty() {
        return lease_any(&linked, log);
    }
    lease_any(&others, log)
}

/// Renews the lease for ever; runs on a thread of its own.
pub(super) fn keep(mut session: Session, log: &Log) -> ! {
    loop {
        let interface = session.interface.clone();
        drop(session.socket.set_read_timeout(Some(LISTEN_IDLE)));
        let ended = match session.turn() {
            Turn::GoesOn(same) => {
                session = same;
                continue;
            }
            Turn::Leased(lease, same) => {
                if let Err(reason) = configure(interface, lease) {
                    log.line(&reason.what);
                }
                session = same;
                continue;
            }
            Turn::Ended(why) => why,
        };
        log.line(&format!(
            "{}: {ended}; asking for a new lease",
            interface.name
        ));
        session = loop {
            std::thread::sleep(LISTEN_IDLE);
            if let Ok(new) = Session::begin(interface.clone(), xid(interface.mac, 0)) {
                break new;
            }
        };
    }
}

/// Every interface and those with a link; drivers may still be loading, so new interfaces are taken up as they come.
fn wait_for_link(log: &Log) -> (Vec<Interface>, Vec<Interface>) {
    let mut waited = Duration::ZERO;
    let mut up: Vec<Interface> = Vec::new();
    loop {
        for each in interface::interfaces() {
            if !up.contains(&each) {
                if let Err(error) = interface::set_up(&each.name) {
                    log.line(&format!("{} does not come up: {error}", each.name));
                }
                up.push(each);
            }
        }
        let linked: Vec<_> = up
            .iter()
            .filter(|each| interface::has_link(&each.name) == Some(true))
            .cloned()
            .collect();
        if !linked.is_empty() || waited >= LINK_WAIT {
            return (up, linked);
        }
        std::thread::sleep(LINK_POLL);
        waited += LINK_POLL;
    }
}

fn lease_any(linked: &[Interface], log: &Log) -> Result<(Online, Session), Reason> {
    let mut sessions = Vec::new();
    for (number, each) in (0u32..).zip(linked) {
        match Session::begin(each.clone(), xid(each.mac, number)) {
            Ok(session) => sessions.push(session),
            Err(error) => log.line(&format!("{}: DHCP cannot be asked: {error}", each.name)),
        }
    }
    while !sessions.is_empty() {
        let mut going = Vec::new();
        for session in sessions {
            let interface = session.interface.clone();
            match session.turn() {
                Turn::Leased(lease, session) => return Ok((configure(interface, lease)?, session)),
                Turn::GoesOn(session) => going.push(session),
                Turn::Ended(why) => log.line(&format!("{}: {why}", interface.name)),
            }
        }
        sessions = going;
    }
    Err(no_lease(linked))
}

/// Why there is no link: no card that we drive, or no cable.
fn no_link(all: &[Interface]) -> Reason {
    let (what, next_step) = if all.is_empty() {
        (
            "this machine has no network interface that the maintenance OS has a driver for",
            "tell us the network card's PCI id (`lspci -nn` on any Linux) or plug in another card",
        )
    } else {
        (
            "no network interface has a link",
            "check the cable and the switch port of one of these interfaces",
        )
    };
    let mut reason =
        Reason::new(ReasonCode::NoLink, what, next_step).then("it looks again every two seconds");
    for each in all {
        reason = reason.seen(format!("{} {}: no link", each.name, each.mac));
    }
    reason
}

/// Why there is no address although there is a link.
fn no_lease(linked: &[Interface]) -> Reason {
    let next_step = "check that this port is in the provisioning network, that `groundstate up` runs there, and that the site file names this machine's MAC address";
    let mut reason = Reason::new(
        ReasonCode::NoLease,
        "no DHCP server gave this machine an address",
        next_step,
    )
    .then("it asks again every two seconds");
    for each in linked {
        let seen = format!("{} {}: link, no answer to DHCP", each.name, each.mac);
        reason = reason.seen(seen);
    }
    reason
}

fn configure(interface: Interface, lease: Lease) -> Result<Online, Reason> {
    let done = interface::set_address(&interface.name, lease.address, lease.prefix)
        .and_then(|()| lease.router.map_or(Ok(()), interface::set_default_route));
    match done {
        Ok(()) => Ok(Online { interface, lease }),
        Err(error) => Err(Reason::new(
            ReasonCode::Internal,
            format!(
                "{} does not take its address {}/{}: {error}",
                interface.name, lease.address, lease.prefix
            ),
            "restart the machine; if it stays, report it with this screen",
        )),
    }
}

/// A transaction id; it need not be secret, only differ between boots and interfaces.
fn xid(mac: MacAddr, number: u32) -> u32 {
    let [_, _, c, d, e, f] = mac.0;
    let time = u32::try_from(clock::now().0 & 0xffff_ffff).unwrap_or(0);
    u32::from_be_bytes([c, d, e, f]) ^ time.rotate_left(16) ^ number
}

/// One interface's conversation with a DHCP server.
pub(super) struct Session {
    interface: Interface,
    socket: UdpSocket,
    client: DhcpClient,
}

enum Turn {
    Leased(Lease, Session),
    GoesOn(Session),
    Ended(String),
}

impl Session {
    fn begin(interface: Interface, xid: u32) -> io::Result<Self> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_broadcast(true)?;
        socket.bind_device(Some(interface.name.as_bytes()))?;
        socket.bind(&std::net::SocketAddr::from((Ipv4Addr::UNSPECIFIED, 68)).into())?;
        let socket = UdpSocket::from(socket);
        socket.set_read_timeout(Some(LISTEN))?;
        let mut session = Self {
            client: DhcpClient::new(interface.mac),
            interface,
            socket,
        };
        let mut out = Vec::new();
        session
            .client
            .handle(clock::now(), Event::Start { xid }, &mut out);
        session.send(&out)?;
        Ok(session)
    }

    fn turn(mut self) -> Turn {
        let mut out = Vec::new();
        let mut datagram = [0u8; DATAGRAM_MAX];
        if let Ok(length) = self.socket.recv(&mut datagram) {
            let bytes = datagram.get(..length).unwrap_or_default();
            self.client
                .handle(clock::now(), Event::Received(bytes), &mut out);
        }
        self.client.handle(clock::now(), Event::Timeout, &mut out);
        for action in &out {
            match action {
                Action::Configure(lease) => return Turn::Leased(lease.clone(), self),
                Action::GiveUp => return Turn::Ended("no answer to DHCP".to_owned()),
                Action::Lost => return Turn::Ended("the lease has ended".to_owned()),
                Action::Broadcast(_) => {}
            }
        }
        match self.send(&out) {
            Ok(()) => Turn::GoesOn(self),
            Err(error) => Turn::Ended(error.to_string()),
        }
    }

    fn send(&self, actions: &[Action]) -> io::Result<()> {
        for action in actions {
            if let Action::Broadcast(bytes) = action {
                self.socket.send_to(bytes, (Ipv4Addr::BROADCAST, 67))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use groundstate_api::Millis;
    use mos_core::phases::Scene;
    use mos_core::screen::{Heading, page};

    fn check(reason: Reason, screen: &Expect) {
        let lines = page(&Heading::default(), Millis(0), &Scene::Waiting { reason });
        screen.assert_eq(&lines[3..].join("\n"));
    }

    #[test]
    fn a_missing_network_says_which_interface_and_what_to_check() {
        let card = Interface {
            name: "eth0".into(),
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
        };
        check(
            no_link(&[]),
            &expect![[r#"
            WAITING
            this machine has no network interface that the maintenance OS has a driver for
                  [no-link]
              by itself: it looks again every two seconds
              do now:    tell us the network card's PCI id (`lspci -nn` on any Linux) or
                  plug in another card"#]],
        );
        check(
            no_link(std::slice::from_ref(&card)),
            &expect![[r#"
            WAITING
            no network interface has a link [no-link]
              seen:      eth0 02:00:00:00:00:01: no link
              by itself: it looks again every two seconds
              do now:    check the cable and the switch port of one of these interfaces"#]],
        );
        check(
            no_lease(&[card]),
            &expect![[r#"
            WAITING
            no DHCP server gave this machine an address [no-lease]
              seen:      eth0 02:00:00:00:00:01: link, no answer to DHCP
              by itself: it asks again every two seconds
              do now:    check that this port is in the provisioning network, that
                  `groundstate up` runs there, and that the site file names this machine's
                  MAC address"#]],
        );
    }
}
