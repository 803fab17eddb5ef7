// SPDX-License-Identifier: Apache-2.0
//! Serves a router over TLS, or the read-only page over plain HTTP: bounded in connections, headers and time.

mod named;
mod places;

pub(crate) use places::connections;
pub use places::too_few_for;

use crate::pki::peer_of;
use axum::Router;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use places::{Place, Places};
use prov_core::Peer;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// How long a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Handshakes at once: each costs a third of a millisecond of a core, so these are done in a tenth of a second on two, and the
/// rest waits for its turn instead of taking the cores from those that are served.
const HANDSHAKES_MAX: usize = 256;
/// How long a request's head may take, and how long a connection may idle. Hosts report every 5 to 10 seconds.
const HEAD_MAX: Duration = Duration::from_secs(20);
/// Above so many connections a host's or a node's is closed after each answer: 10,000 idle ones would hold 300 MiB, and a resumed
/// handshake costs less than that memory is worth.
const KEPT_OPEN_MAX: usize = 2_000;
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

/// Serves plain HTTP until `stop` is true; every caller is anyone. On loopback, only who names this machine is answered.
pub async fn serve_plain(listener: TcpListener, router: Router, stop: watch::Receiver<bool>) {
    let on_loopback = listener.local_addr().is_ok_and(|at| at.ip().is_loopback());
    let router = if on_loopback {
        router.layer(axum::middleware::from_fn(named::as_this_machine))
    } else {
        router
    };
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
    let places = Places::new(tls.is_some());
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
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
        let place = match places.enter(from.ip()) {
            Ok(place) => place,
            Err(full) => {
                places.say(from.ip(), full);
                continue;
            }
        };
        let tls = tls.clone().map(|tls| (tls, handshakes.clone()));
        let (router, watcher) = (router.clone(), graceful.watcher());
        tokio::spawn(connection(stream, from, router, tls, watcher, place));
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
    tls: Option<(TlsAcceptor, Arc<Semaphore>)>,
    watcher: Watcher,
    mut place: Place,
) {
    // Answers are small and are waited for: Nagle's delay would only add to them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%from, %error, "TCP_NODELAY");
    }
    let Some((tls, turns)) = tls else {
        speak(stream, from, router, Peer::Anyone, watcher, &place).await;
        return;
    };
    let shaken = async {
        // The semaphore is never closed.
        let _turn = turns.acquire().await;
        tls.accept(stream).await
    };
    let stream = match tokio::time::timeout(HANDSHAKE_MAX, shaken).await {
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
    if let Some(name) = peer.common_name()
        && let Err(full) = place.prove(&name)
    {
        tracing::warn!(%from, %peer, "{full}; this connection is closed");
        return;
    }
    speak(stream, from, router, peer, watcher, &place).await;
}

async fn speak<S>(
    stream: S,
    from: SocketAddr,
    router: Router,
    peer: Peer,
    watcher: Watcher,
    place: &Place,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let inner = TowerToHyperService::new(router);
    let bell = Bell(Arc::new(Notify::new()));
    let rung = bell.0.clone();
    let machine = matches!(peer, Peer::Host { .. } | Peer::Node { .. });
    let places = place.places();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(bell.clone());
        request.extensions_mut().insert(Caller(from.ip()));
        let answer = hyper::service::Service::call(&inner, request);
        let close = machine && places.open() > KEPT_OPEN_MAX;
        async move {
            let mut answer = answer.await;
            if let (true, Ok(answer)) = (close, &mut answer) {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            answer
        }
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
