// SPDX-License-Identifier: Apache-2.0
//! The TFTP port, and a socket and task of its own for each transfer.

use crate::ServeError;
use crate::content::Content;
use crate::desk::Desk;
use crate::sockets::{OnInterface, open_transfer};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg};
use pxe_core::tftp::{
    Action, Admission, End, Event, ReadRequest, Session, TftpRefusal, TransferId, Transfers,
    data_header, error_packet, read_request,
};
use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::{AbortHandle, Id, JoinSet};

/// The longest packet that is read, in bytes. A request has at most 512; what is cut off is refused.
const PACKET_MAX: usize = 1_024;

/// A transfer, and whose it is.
#[derive(Clone, Copy)]
struct Whose {
    peer: SocketAddrV4,
    id: TransferId,
}

/// The transfers' table, and their tasks.
struct Running {
    table: Transfers,
    tasks: JoinSet<()>,
    handles: HashMap<TransferId, AbortHandle>,
    whose: HashMap<Id, Whose>,
    /// Each transfer says here, once, that its client has acknowledged something.
    heard: UnboundedSender<Whose>,
}

/// A datagram on port 69, and the address of ours that it was sent to.
struct Asked {
    length: usize,
    peer: SocketAddrV4,
    to: Ipv4Addr,
}

/// Serves until the socket stops working.
pub(crate) async fn serve(on: OnInterface, desk: Arc<Desk>) -> ServeError {
    let (heard, mut hears) = mpsc::unbounded_channel();
    let mut running = Running::new(heard);
    let mut buffer = [0; PACKET_MAX];
    loop {
        let asked = tokio::select! {
            asked = on.socket.async_io(Interest::READABLE, || receive(&on, &mut buffer)) => asked,
            Some(Whose { peer, id }) = hears.recv() => {
                running.table.heard(peer, id);
                continue;
            }
            Some(ended) = running.tasks.join_next_with_id() => {
                running.forget(ended.map_or_else(|error| error.id(), |(id, ())| id));
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
                if let Err(refusal) = running.begin(&on, &desk, packet, &asked) {
                    tracing::debug!(peer = %asked.peer, %refusal, "TFTP: refused");
                    refuse(&on, &asked, &refusal);
                }
            }
        }
    }
}

impl Running {
    fn new(heard: UnboundedSender<Whose>) -> Self {
        Self {
            table: Transfers::default(),
            tasks: JoinSet::new(),
            handles: HashMap::new(),
            whose: HashMap::new(),
            heard,
        }
    }

    fn begin(
        &mut self,
        on: &OnInterface,
        desk: &Arc<Desk>,
        packet: &[u8],
        asked: &Asked,
    ) -> Result<(), TftpRefusal> {
        let request = read_request(packet)?;
        let file = desk
            .files
            .file(&request.name)
            .ok_or(TftpRefusal::NotFound)?;
        let peer = asked.peer;
        let id = match self.table.admit(peer, &request)? {
            Admission::Running => return Ok(()),
            Admission::Begins { id, instead_of } => {
                if let Some(task) = instead_of.and_then(|old| self.handles.remove(&old)) {
                    task.abort();
                }
                id
            }
        };
        let socket = open_transfer(asked.to, peer, &on.name)
            .and_then(tokio::net::UdpSocket::from_std)
            .map_err(|error| {
                tracing::warn!(%peer, %error, "TFTP: no socket for a transfer");
                self.table.ended(peer, id);
                TftpRefusal::Busy
            })?;
        let whose = Whose { peer, id };
        let transfer = send_file(
            socket,
            Arc::clone(desk),
            request,
            file,
            whose,
            self.heard.clone(),
        );
        let task = self.tasks.spawn(transfer);
        self.whose.insert(task.id(), whose);
        self.handles.insert(id, task);
        Ok(())
    }

    fn forget(&mut self, task: Id) {
        if let Some(Whose { peer, id }) = self.whose.remove(&task) {
            self.handles.remove(&id);
            self.table.ended(peer, id);
        }
    }
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

async fn send_file(
    socket: tokio::net::UdpSocket,
    desk: Arc<Desk>,
    request: ReadRequest,
    file: Content,
    whose: Whose,
    heard: UnboundedSender<Whose>,
) {
    let peer = IpAddr::V4(*whose.peer.ip());
    let mut heard = Some(heard);
    let length = file.length();
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
                    let mut packet = vec![0; 4 + usize::from(length)];
                    let (header, data) = packet.split_at_mut(4);
                    header.copy_from_slice(&data_header(block));
                    match file.read_at(offset, data) {
                        Ok(()) => socket.send(&packet).await,
                        Err(error) => Err(error),
                    }
                }
                Action::End(end) => return ended(&desk, peer, &request, length, &end),
            };
            if let Err(error) = sent {
                // Port unreachable: the client is gone.
                tracing::debug!(%peer, %error, file = request.name, "TFTP: transfer ended");
                return;
            }
        }
        if let Some(heard) = heard.take_if(|_| session.heard()) {
            // It fails only where the service is ending.
            let _ = heard.send(whose);
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
