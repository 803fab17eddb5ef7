// SPDX-License-Identifier: Apache-2.0
//! Serves a router over TLS, or the read-only page over plain HTTP: bounded in connections, headers and time.

use crate::pki::peer_of;
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use prov_core::Peer;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// Connections at once: 250 nodes with four each. A file descriptor and about 50 KiB per connection.
const CONNECTIONS_MAX: usize = 1_000;
/// Connections at once from one address, so that one machine cannot keep the others out.
const CONNECTIONS_PER_PEER_MAX: usize = 64;
/// How long a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long a request's head may take, and how long a connection may idle.
const HEAD_MAX: Duration = Duration::from_secs(60);
/// The most header lines of a request.
const HEADERS_MAX: usize = 64;
/// How long open requests may go on when we stop.
const STOP_MAX: Duration = Duration::from_secs(3);
/// How long to wait after the kernel refused a connection (out of file descriptors).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(pub(crate) IpAddr);

/// Serves over TLS until `stop` is true. Who calls is put into each request as a [`Peer`].
pub async fn serve_tls(
    listener: TcpListener,
    router: Router,
    tls: Arc<ServerConfig>,
    stop: watch::Receiver<bool>,
) {
    serve(listener, router, Some(TlsAcceptor::from(tls)), stop).await;
}

/// Serves plain HTTP until `stop` is true; every caller is anyone.
pub async fn serve_plain(listener: TcpListener, router: Router, stop: watch::Receiver<bool>) {
    serve(listener, router, None, stop).await;
}

/// Returns when `stop` is true, or when nobody can say so any more.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let heard = stop.wait_for(|stop| *stop).await;
    if heard.is_err() {
        tracing::debug!("who could stop us is gone");
    }
}

async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    mut stop: watch::Receiver<bool>,
) {
    let open = Open::default();
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Some(place) = open.enter(from.ip()) else {
            tracing::warn!(%from, "too many connections; this one is closed");
            continue;
        };
        let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            connection(stream, from, router, tls, watcher).await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(STOP_MAX, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests were still open when the server stopped");
    }
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    tls: Option<TlsAcceptor>,
    watcher: Watcher,
) {
    // Answers are small and are waited for: Nagle's delay would only add to them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%from, %error, "TCP_NODELAY");
    }
    let Some(tls) = tls else {
        speak(stream, from, router, Peer::Anyone, watcher).await;
        return;
    };
    let stream = match tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::info!(%from, %error, "TLS was refused");
            return;
        }
        Err(_) => {
            tracing::info!(%from, "the TLS handshake took too long");
            return;
        }
    };
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first());
    let peer = match certificate.map(peer_of) {
        None => Peer::Anyone,
        Some(Some(peer)) => peer,
        Some(None) => {
            tracing::warn!(%from, "a certificate of this site's CA has a name that is not ours");
            return;
        }
    };
    speak(stream, from, router, peer, watcher).await;
}

async fn speak<S>(stream: S, from: SocketAddr, router: Router, peer: Peer, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let inner = TowerToHyperService::new(router);
    let bell = Bell(Arc::new(Notify::new()));
    let rung = bell.0.clone();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(bell.clone());
        request.extensions_mut().insert(Caller(from.ip()));
        hyper::service::Service::call(&inner, request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = watcher.watch(connection) => {
            if let Err(error) = ended {
                tracing::debug!(%from, %error, "a connection ended early");
            }
        }
        () = rung.notified() => tracing::debug!(%from, "a connection is closed: its reader takes too little"),
    }
}

/// Rung to close the connection that a request came on. It is an extension of each request.
#[derive(Clone, Debug)]
pub struct Bell(pub Arc<Notify>);

/// The connections that are open, by address.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place among them, given back when dropped.
struct Place(Open, IpAddr);

impl Open {
    fn enter(&self, from: IpAddr) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let mine = open.get(&from).copied().unwrap_or_default();
        if all >= CONNECTIONS_MAX || mine >= CONNECTIONS_PER_PEER_MAX {
            return None;
        }
        open.insert(from, mine + 1);
        Some(Place(self.clone(), from))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = open.get(&self.1).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            open.remove(&self.1);
        } else {
            open.insert(self.1, left);
        }
    }
}
