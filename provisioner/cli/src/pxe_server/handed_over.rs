// SPDX-License-Identifier: Apache-2.0
//! Sockets that a supervisor bound for us (`LISTEN_FDS`): told apart by `LISTEN_FDNAMES`, or by their ports.

use anyhow::{Context as _, Result, bail};
use listenfd::ListenFd;
use pxe_server::Sockets;
use std::net::UdpSocket;

/// What was handed over.
#[derive(Debug, Default)]
pub(super) struct HandedOver {
    /// What the service opens itself where it is not here.
    pub(super) sockets: Sockets,
    /// UDP 4011, for proxyDHCP.
    pub(super) proxy: Option<UdpSocket>,
}

/// The sockets, by what they are for.
pub(super) fn sockets() -> Result<HandedOver> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<&str> = names.split(':').collect();
    let mut all = ListenFd::from_env();
    let mut over = HandedOver::default();
    for index in 0..all.len() {
        let name = names.get(index).copied().unwrap_or_default();
        take(&mut all, index, name, &mut over)
            .with_context(|| format!("LISTEN_FDS: the socket {index} ({name})"))?;
    }
    Ok(over)
}

fn take(all: &mut ListenFd, index: usize, name: &str, over: &mut HandedOver) -> Result<()> {
    let into = &mut over.sockets;
    let udp = all.take_udp_socket(index);
    if let Ok(Some(socket)) = udp {
        let port = socket.local_addr()?.port();
        let place = match (name, port) {
            ("dhcp", _) | (_, 67) => &mut into.dhcp,
            ("tftp", _) | (_, 69) => &mut into.tftp,
            ("proxy", _) | (_, 4011) => &mut over.proxy,
            (name, port) => bail!("{name:?} on UDP port {port} is none of dhcp, tftp and proxy"),
        };
        *place = Some(socket);
        return Ok(());
    }
    let listener = all.take_tcp_listener(index)?;
    let listener = listener.context("it is neither UDP nor listening TCP")?;
    let port = listener.local_addr()?.port();
    let place = match (name, port) {
        ("http", _) | (_, 80) => &mut into.http,
        ("https", _) | (_, 443) => &mut into.https,
        (name, port) => bail!("{name:?} on TCP port {port} is none of http and https"),
    };
    *place = Some(listener);
    Ok(())
}
