// SPDX-License-Identifier: Apache-2.0
//! A server for one repository that stands alone: for laboratories, measurements, and as the origin behind a cache.
//!
//! Whoever may connect may have everything. Clients are told apart by certificate where they have one, else by address.

use super::Served;
use super::client::{Client, HangUp};
use super::config::ServeConfig;
use crate::repository::Repository;
use axum::Router;
use axum::routing::get;
use groundstate_api::Digest;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

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
/// What one connection too many is told, where it can be told without a handshake.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: text/plain\r\n\
    Cache-Control: no-store\r\nConnection: close\r\nContent-Length: 61\r\n\r\n\
    This server has as many connections as it takes. Come again.\n";

/// What [`run`] serves, and how.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The repository.
    pub repository: Arc<Repository>,
    /// Bounds, caps, and who may keep copies.
    pub config: ServeConfig,
    /// Certificate and key as [`super::tls()`] reads them; plain HTTP without.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Serves until `stop` is done. Its numbers are at `/metrics`.
pub async fn run(listener: TcpListener, options: ServeOptions, stop: impl Future<Output = ()>) {
    let signatures = crate::trust::trust_router(options.repository.clone());
    let served = Served::new(options.repository, &options.config);
    let numbers = served.clone();
    let router = served.router().merge(signatures).route(
        "/metrics",
        get(move || {
            let text = numbers.metrics_text();
            std::future::ready((
                [("content-type", "text/plain; version=0.0.4; charset=utf-8")],
                text,
            ))
        }),
    );
    let server = Server {
        router,
        tls: options.tls.map(TlsAcceptor::from),
        open: Open::default(),
        config: options.config,
    };
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => server.welcome(stream, from, graceful.watcher()),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    let ended = tokio::time::timeout(STOP_MAX, graceful.shutdown()).await;
    if ended.is_err() {
        tracing::warn!("some requests were still open when the server stopped");
    }
}

struct Server {
    router: Router,
    tls: Option<TlsAcceptor>,
    open: Open,
    config: ServeConfig,
}

impl Server {
    fn welcome(&self, stream: TcpStream, from: SocketAddr, watcher: Watcher) {
        let Some(place) = self.open.enter(from.ip(), &self.config) else {
            tracing::debug!(%from, "too many connections; this one is closed");
            if self.tls.is_none() {
                // What does not fit an empty socket buffer is not waited for.
                let _ = stream.try_write(FULL);
            }
            return;
        };
        // An answer's end is waited for: Nagle's delay would only add to it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%from, %error, "TCP_NODELAY");
        }
        let (router, tls) = (self.router.clone(), self.tls.clone());
        tokio::spawn(async move {
            connection(stream, from, router, tls, watcher).await;
            drop(place);
        });
    }
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    tls: Option<TlsAcceptor>,
    watcher: Watcher,
) {
    let Some(tls) = tls else {
        speak(stream, from, router, Client::at(from.ip()), watcher).await;
        return;
    };
    match tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            let chain = stream.get_ref().1.peer_certificates();
            let certificate = chain.and_then(|chain| chain.first());
            let client = certificate.map_or_else(
                || Client::at(from.ip()),
                |certificate| Client::named(&Digest::of(certificate).hex()),
            );
            speak(stream, from, router, client, watcher).await;
        }
        Ok(Err(error)) => tracing::info!(%from, %error, "TLS was refused"),
        Err(_) => tracing::info!(%from, "the TLS handshake took too long"),
    }
}

async fn speak<S>(stream: S, from: SocketAddr, router: Router, client: Client, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let inner = TowerToHyperService::new(router);
    let bell = HangUp::new();
    let ring = bell.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let extensions = request.extensions_mut();
        extensions.insert(client.clone());
        extensions.insert(ring.clone());
        hyper::service::Service::call(&inner, request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        // Not `pipeline_flush`: it copies every body into a buffer of its own, which then grows with what is in flight.
        // An answer is larger than what one call could take together with the next one.
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = watcher.watch(connection) => {
            if let Err(error) = ended {
                tracing::debug!(%from, %error, "a connection ended early");
            }
        }
        () = bell.rung() => {}
    }
}

/// The connections that are open, by address.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place among them, given back when dropped.
struct Place(Open, IpAddr);

impl Open {
    fn enter(&self, from: IpAddr, config: &ServeConfig) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = open.values().sum();
        let mine = open.get(&from).copied().unwrap_or_default();
        if all >= config.connections || mine >= config.client_connections {
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
