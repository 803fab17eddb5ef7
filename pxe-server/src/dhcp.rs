// SPDX-License-Identifier: Apache-2.0
//! The DHCP socket's loop: read what is there, decide, make the leases durable once, then answer.

use crate::ServeError;
use crate::desk::Desk;
use crate::lease_file::LeaseFile;
use crate::sockets::OnInterface;
use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use pxe_core::dhcp::{Action, Destination};
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use tokio::io::Interest;

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// Datagrams that share one write of the lease file.
const BATCH_MAX: usize = 128;
/// The longest datagram that is read, in bytes: what an Ethernet frame carries.
const DATAGRAM_MAX: usize = 1_500;

/// Serves until the socket stops working.
pub(crate) async fn serve(on: OnInterface, desk: Arc<Desk>, leases: Arc<LeaseFile>) -> ServeError {
    let from = desk.address();
    let mut buffer = [0; DATAGRAM_MAX];
    loop {
        if let Err(source) = on.socket.readable().await {
            return ServeError::Socket {
                service: "DHCP",
                source,
            };
        }
        let mut out = Vec::new();
        for _ in 0..BATCH_MAX {
            match on.socket.try_recv_from(&mut buffer) {
                Ok((length, _)) => desk.dhcp(buffer.get(..length).unwrap_or_default(), &mut out),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An error that an earlier answer met (port unreachable); it says nothing about the next datagram.
                Err(error) => tracing::debug!(%error, "DHCP: receive"),
            }
        }
        if out.iter().any(|action| matches!(action, Action::Keep(_))) {
            keep(&desk, &leases).await;
        }
        for action in out {
            act(&on, &desk, from, action).await;
        }
    }
}

/// A full disk must not stop machines from booting: a lease that was not kept is granted again when the machine asks for
/// the same address, so this is an error to show, not one to stop for.
async fn keep(desk: &Arc<Desk>, leases: &Arc<LeaseFile>) {
    let (kept, file) = (desk.keep(), Arc::clone(leases));
    match tokio::task::spawn_blocking(move || file.write(&kept)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "DHCP: leases would not survive a restart"),
        Err(error) => tracing::error!(%error, "DHCP: the lease writer ended"),
    }
}

async fn act(on: &OnInterface, desk: &Desk, from: Ipv4Addr, action: Action) {
    match action {
        Action::Keep(_) => {}
        Action::Saw { mac, sighting } => desk.saw(mac, sighting),
        Action::Step { mac, step } => desk.step(mac, step),
        Action::Foreign { server, mac } => {
            tracing::warn!(%server, %mac, "DHCP: another server is on this network");
        }
        // Probes are off: whoever turns them on sends ARP requests here.
        Action::Probe { address } => tracing::debug!(%address, "DHCP: not probed"),
        Action::Dropped { mac, why } => tracing::debug!(%mac, %why, "DHCP: not answered"),
        Action::Send { to, bytes } => {
            let to = match to {
                Destination::Relay(address) => SocketAddrV4::new(address, SERVER_PORT),
                Destination::Client(address) => SocketAddrV4::new(address, CLIENT_PORT),
                // Without ARP's answer a socket cannot send to a machine that does not have its address yet.
                Destination::Broadcast | Destination::Hardware { .. } => SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT),
            };
            let sent = on
                .socket
                .async_io(Interest::WRITABLE, || send(on, from, to, &bytes))
                .await;
            if let Err(error) = sent {
                tracing::warn!(%error, %to, "DHCP: an answer was not sent");
            }
        }
    }
}

/// Sends from our address through our interface, whatever the routing table says about broadcasts.
fn send(on: &OnInterface, from: Ipv4Addr, to: SocketAddrV4, bytes: &[u8]) -> io::Result<()> {
    let source = libc::in_addr {
        s_addr: u32::from_ne_bytes(from.octets()),
    };
    let info = libc::in_pktinfo {
        ipi_ifindex: on.index,
        ipi_spec_dst: source,
        ipi_addr: source,
    };
    let control = [ControlMessage::Ipv4PacketInfo(&info)];
    let (slices, to) = ([IoSlice::new(bytes)], SockaddrIn::from(to));
    sendmsg(
        on.socket.as_raw_fd(),
        &slices,
        &control,
        MsgFlags::empty(),
        Some(&to),
    )?;
    Ok(())
}
