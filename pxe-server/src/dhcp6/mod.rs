// SPDX-License-Identifier: Apache-2.0
//! The DHCPv6 socket's loop: read what is there, decide, make the leases durable once, then answer.
//!
//! It refuses to speak first: every datagram that leaves is the answer to one that came.

mod interface;
mod leases;
mod socket;

pub use interface::Dhcp6SetUpError;
pub(crate) use interface::{addresses, mac, server_id};
pub(crate) use leases::LeaseLog6;
pub use leases::{Dhcp6LeaseError, kept_leases6};
use socket::Datagram;
pub(crate) use socket::Dhcp6Socket;

use crate::ServeError;
use crate::front::Front;
use crate::metrics::Metric;
use pxe_core::dhcp6::{Action6, Destination6, Event6, Lease6, Request6, Server6};
use std::net::SocketAddrV6;
use std::sync::{Arc, Mutex, MutexGuard};

/// Datagrams that share one write of the lease log.
const BATCH_MAX: usize = 128;
const CLIENT_PORT: u16 = 546;
const SERVER_PORT: u16 = 547;

/// The server's state: decisions on one task, the log's rewriting on another.
#[derive(Clone, Debug)]
pub(crate) struct Dhcp6 {
    server: Arc<Mutex<Server6>>,
}

impl Dhcp6 {
    pub(crate) fn new(server: Server6) -> Self {
        Self {
            server: Arc::new(Mutex::new(server)),
        }
    }

    pub(crate) fn server(&self) -> MutexGuard<'_, Server6> {
        self.server
            .lock()
            .expect("nothing panics while it holds the DHCPv6 server")
    }
}

/// An answer, and to whom.
struct Answer {
    to: SocketAddrV6,
    bytes: Vec<u8>,
}

/// Serves until the socket stops working.
pub(crate) async fn serve(
    socket: Dhcp6Socket,
    front: Arc<dyn Front>,
    dhcp6: Dhcp6,
    leases: LeaseLog6,
) -> ServeError {
    let log = Arc::new(Mutex::new(leases));
    loop {
        if let Err(source) = socket.readable().await {
            return ServeError::Socket {
                service: "DHCPv6",
                source,
            };
        }
        let (mut keep, mut later) = (Vec::new(), Vec::new());
        for datagram in socket.received(BATCH_MAX) {
            let kept = keep.len();
            let answers = decide(&*front, &dhcp6, &datagram, &mut keep);
            if keep.len() > kept {
                later.extend(answers);
            } else {
                send(&socket, &*front, answers).await;
            }
        }
        if !keep.is_empty() {
            write(&log, &dhcp6, keep).await;
        }
        send(&socket, &*front, later).await;
    }
}

fn decide(
    front: &dyn Front,
    dhcp6: &Dhcp6,
    datagram: &Datagram,
    keep: &mut Vec<Lease6>,
) -> Vec<Answer> {
    let Datagram { bytes, from, to } = datagram;
    let from = *from;
    front.count(Metric::Dhcp6Received, 1);
    let request = match Request6::parse(bytes, *from.ip()) {
        Ok(request) => Box::new(request.sent_to(*to)),
        Err(why) => {
            front.count(Metric::Dhcp6Malformed, 1);
            tracing::trace!(%from, %why, bytes = bytes.len(), "DHCPv6: no request");
            return Vec::new();
        }
    };
    let answer = request.question().map(|question| front.ask(&question));
    let mut out = Vec::new();
    let event = Event6::Asked { request, answer };
    dhcp6.server().handle(front.now(), event, &mut out);
    let mut answers = Vec::new();
    for action in out {
        match action {
            Action6::Keep(lease) => keep.push(lease),
            Action6::Saw { mac, sighting } => front.saw(mac, sighting),
            Action6::Step { mac, step } => front.step(mac, step),
            Action6::Dropped { mac, why } => {
                front.count(Metric::Dhcp6Dropped, 1);
                tracing::debug!(?mac, %from, %why, "DHCPv6: not answered");
            }
            Action6::Send { to, bytes } => {
                let mut address = from;
                address.set_port(match to {
                    Destination6::Client => CLIENT_PORT,
                    Destination6::Relay => SERVER_PORT,
                });
                answers.push(Answer { to: address, bytes });
            }
        }
    }
    answers
}

async fn send(socket: &Dhcp6Socket, front: &dyn Front, answers: Vec<Answer>) {
    for Answer { to, bytes } in answers {
        match socket.send(&bytes, to).await {
            Ok(()) => front.count(Metric::Dhcp6Sent, 1),
            Err(error) => tracing::warn!(%error, %to, "DHCPv6: an answer was not sent"),
        }
    }
}

/// A full disk must not stop machines from booting: a lease that was not kept is granted again when the machine asks for
/// the same address, so this is an error to show, not one to stop for.
async fn write(log: &Arc<Mutex<LeaseLog6>>, dhcp6: &Dhcp6, keep: Vec<Lease6>) {
    let (log, dhcp6) = (Arc::clone(log), dhcp6.clone());
    let written = tokio::task::spawn_blocking(move || {
        let mut log = log
            .lock()
            .expect("nothing panics while it holds the lease log");
        log.append(&keep)?;
        if log.is_long() {
            let leases: Vec<Lease6> = dhcp6.server().leases().cloned().collect();
            log.rewrite(&leases)?;
        }
        Ok::<_, Dhcp6LeaseError>(())
    });
    match written.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "DHCPv6: leases would not survive a restart"),
        Err(error) => tracing::error!(%error, "DHCPv6: the lease writer ended"),
    }
}
