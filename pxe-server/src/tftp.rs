// SPDX-License-Identifier: Apache-2.0
//! The TFTP port, and a socket and task of its own for each transfer.

use crate::ServeError;
use crate::desk::Desk;
use crate::sockets::{OnInterface, open_transfer};
use hyper::body::Bytes;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg};
use pxe_core::tftp::{
    Action, End, Event, ReadRequest, Session, TftpRefusal, data_header, error_packet, read_request,
};
use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::task::{AbortHandle, Id, JoinSet};

/// Transfers at a time: two racks' worth of machines, at one socket and about 8 KiB each.
const TRANSFERS_MAX: usize = 2_048;
/// Transfers of one address at a time. Firmware has one, and leaves one behind when it asks for the length first.
const TRANSFERS_OF_ONE_MAX: usize = 16;
/// The longest packet that is read, in bytes. A request has at most 512; what is cut off is refused.
const PACKET_MAX: usize = 1_024;

struct Transfer {
    request: ReadRequest,
    task: AbortHandle,
}

/// A datagram on port 69, and the address of ours that it was sent to.
struct Asked {
    length: usize,
    peer: SocketAddrV4,
    to: Ipv4Addr,
}

/// Serves until the socket stops working.
pub(crate) async fn serve(on: OnInterface, desk: Arc<Desk>) -> ServeError {
    let mut transfers: HashMap<SocketAddrV4, Transfer> = HashMap::new();
    let mut tasks: JoinSet<()> = JoinSet::new();
    let mut buffer = [0; PACKET_MAX];
    loop {
        let asked = tokio::select! {
            asked = on.socket.async_io(Interest::READABLE, || receive(&on, &mut buffer)) => asked,
            Some(ended) = tasks.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => error.id(),
                };
                forget(&mut transfers, id);
                continue;
            }
        };
        match asked {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(source) => {
                return ServeError::Socket {
                    service: "TFTP",
                    source,
                };
            }
            Ok(asked) => {
                let packet = buffer.get(..asked.length).unwrap_or_default();
                if let Err(refusal) = begin(&on, &desk, packet, &asked, &mut transfers, &mut tasks)
                {
                    tracing::debug!(peer = %asked.peer, %refusal, "TFTP: refused");
                    refuse(&on, &asked, &refusal);
                }
            }
        }
    }
}

fn forget(transfers: &mut HashMap<SocketAddrV4, Transfer>, id: Id) {
    transfers.retain(|_, transfer| transfer.task.id() != id);
}

fn receive(on: &OnInterface, buffer: &mut [u8]) -> io::Result<Asked> {
    let mut slices = [IoSliceMut::new(buffer)];
    let mut control = nix::cmsg_space!(nix::libc::in_pktinfo);
    let message = recvmsg::<SockaddrIn>(
        on.socket.as_raw_fd(),
        &mut slices,
        Some(&mut control),
        MsgFlags::empty(),
    )?;
    let peer = message
        .address
        .ok_or_else(|| io::Error::other("a datagram without a sender"))?;
    let mut to = Ipv4Addr::UNSPECIFIED;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::Ipv4PacketInfo(info) = control {
            to = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
        }
    }
    Ok(Asked {
        length: message.bytes,
        peer: SocketAddrV4::new(peer.ip(), peer.port()),
        to,
    })
}

fn refuse(on: &OnInterface, asked: &Asked, refusal: &TftpRefusal) {
    let Some(packet) = error_packet(refusal) else {
        return;
    };
    let sent =
        open_transfer(asked.to, asked.peer, &on.name).and_then(|socket| socket.send(&packet));
    if let Err(error) = sent {
        tracing::debug!(peer = %asked.peer, %error, "TFTP: a refusal was not sent");
    }
}

fn begin(
    on: &OnInterface,
    desk: &Arc<Desk>,
    packet: &[u8],
    asked: &Asked,
    transfers: &mut HashMap<SocketAddrV4, Transfer>,
    tasks: &mut JoinSet<()>,
) -> Result<(), TftpRefusal> {
    let request = read_request(packet)?;
    let file = desk
        .files
        .file(&request.name)
        .ok_or(TftpRefusal::NotFound)?;
    if let Some(old) = transfers.get(&asked.peer) {
        if old.request == request {
            // The client has not heard us yet; the transfer sends again by itself.
            return Ok(());
        }
        old.task.abort();
        transfers.remove(&asked.peer);
    }
    let of_one = transfers
        .keys()
        .filter(|peer| peer.ip() == asked.peer.ip())
        .count();
    if transfers.len() >= TRANSFERS_MAX || of_one >= TRANSFERS_OF_ONE_MAX {
        return Err(TftpRefusal::Busy);
    }
    let socket = open_transfer(asked.to, asked.peer, &on.name)
        .and_then(tokio::net::UdpSocket::from_std)
        .map_err(|error| {
            tracing::warn!(peer = %asked.peer, %error, "TFTP: no socket for a transfer");
            TftpRefusal::Busy
        })?;
    let transfer = send_file(
        socket,
        Arc::clone(desk),
        request.clone(),
        file,
        IpAddr::V4(*asked.peer.ip()),
    );
    let task = tasks.spawn(transfer);
    transfers.insert(asked.peer, Transfer { request, task });
    Ok(())
}

async fn send_file(
    socket: tokio::net::UdpSocket,
    desk: Arc<Desk>,
    request: ReadRequest,
    file: Bytes,
    peer: IpAddr,
) {
    let length = u64::try_from(file.len()).unwrap_or(u64::MAX);
    let mut out = Vec::new();
    let mut session = Session::begin(desk.clock.now(), &request, length, &mut out);
    let mut buffer = [0; PACKET_MAX];
    loop {
        for action in out.drain(..) {
            let sent = match action {
                Action::Packet(packet) => socket.send(&packet).await,
                Action::Data {
                    block,
                    offset,
                    length,
                } => {
                    let mut packet = Vec::with_capacity(4 + usize::from(length));
                    packet.extend_from_slice(&data_header(block));
                    packet.extend_from_slice(slice(&file, offset, length));
                    socket.send(&packet).await
                }
                Action::End(end) => return ended(&desk, peer, &request, length, &end),
            };
            if let Err(error) = sent {
                // Port unreachable: the client is gone.
                tracing::debug!(%peer, %error, file = request.name, "TFTP: transfer ended");
                return;
            }
        }
        let Some(deadline) = session.deadline() else {
            return;
        };
        let deadline = tokio::time::Instant::from_std(desk.clock.instant(deadline));
        match tokio::time::timeout_at(deadline, socket.recv(&mut buffer)).await {
            Err(_) => session.handle(desk.clock.now(), Event::Timeout, &mut out),
            Ok(Ok(received)) => {
                let packet = buffer.get(..received).unwrap_or_default();
                session.handle(desk.clock.now(), Event::Packet(packet), &mut out);
            }
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, file = request.name, "TFTP: transfer ended");
                return;
            }
        }
    }
}

fn slice(file: &Bytes, offset: u64, length: u16) -> &[u8] {
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    file.get(from..from.saturating_add(usize::from(length)))
        .expect("a session stays inside its file")
}

fn ended(desk: &Desk, peer: IpAddr, request: &ReadRequest, length: u64, end: &End) {
    match end {
        End::Complete => desk.file_sent(peer, &request.name, length, "tftp"),
        End::ByClient { code, text } => {
            tracing::debug!(%peer, code, text, file = request.name, "TFTP: ended by the client");
        }
        End::Silent => {
            tracing::info!(%peer, file = request.name, "TFTP: the client stopped answering")
        }
    }
}
