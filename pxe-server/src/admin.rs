// SPDX-License-Identifier: Apache-2.0
//! The boot service's own endpoint for people and collectors on the same machine: health, metrics, boots, leases.
//!
//! It asks nobody who they are, and it changes nothing: it belongs on loopback or on a Unix socket. It refuses every
//! method but GET and HEAD.

use crate::ServeError;
use crate::desk::Desk;
use groundstate_api::{MacAddr, paths};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

/// Where it is served where nothing else is said: the ports of DHCP and TFTP side by side.
pub const ADDRESS: &str = "127.0.0.1:6769";
const PORT: u16 = 6_769;
/// Connections at a time: a collector, and a few people.
const CONNECTIONS_MAX: usize = 32;
/// How long a request's header may take, and a connection may idle.
const HEADER_WAIT: Duration = Duration::from_secs(20);
/// How long a whole conversation may take.
const CONVERSATION_MAX: Duration = Duration::from_secs(120);
/// Bytes kept of a request's header.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;
/// Wait after an accept that failed, so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the endpoint is: `127.0.0.1:6769`, or `unix:/run/groundstate/pxe.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl AdminAddress {
    /// Where it is where nothing else is said.
    #[must_use]
    pub const fn usual() -> Self {
        Self::Tcp(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, PORT)))
    }
}

impl FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(path) => Err(format!(
                "{path:?} should be a whole path, unix:/run/groundstate/pxe.sock"
            )),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                format!("{text:?} should be ADDRESS:PORT, for example {ADDRESS}, or unix:PATH")
            }),
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The open socket of the endpoint.
#[derive(Debug)]
pub enum AdminListener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl AdminAddress {
    /// Opens the socket. A Unix socket that nobody serves any more is replaced.
    ///
    /// # Errors
    /// The system's: a port that is taken, a folder that is not there.
    pub async fn open(&self) -> io::Result<AdminListener> {
        match self {
            Self::Tcp(address) => Ok(AdminListener::Tcp(TcpListener::bind(address).await?)),
            Self::Unix(path) => {
                let taken = tokio::net::UnixStream::connect(path).await.is_ok();
                let is_socket = std::fs::symlink_metadata(path).is_ok_and(|about| {
                    use std::os::unix::fs::FileTypeExt as _;
                    about.file_type().is_socket()
                });
                if is_socket && !taken {
                    std::fs::remove_file(path)?;
                }
                Ok(AdminListener::Unix(UnixListener::bind(path)?))
            }
        }
    }
}

/// Serves until the socket stops working.
pub(crate) async fn serve(listener: AdminListener, desk: Arc<Desk>) -> ServeError {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = match Arc::clone(&room).acquire_owned().await {
            Ok(permit) => permit,
            Err(error) => {
                let (service, source) = ("admin", io::Error::other(error));
                return ServeError::Socket { service, source };
            }
        };
        let accepted: io::Result<Box<dyn Stream>> = match &listener {
            AdminListener::Tcp(listener) => listener.accept().await.map(|(s, _)| Box::new(s) as _),
            AdminListener::Unix(listener) => listener.accept().await.map(|(s, _)| Box::new(s) as _),
        };
        match accepted {
            Ok(stream) => {
                let desk = Arc::clone(&desk);
                tokio::spawn(async move {
                    let talk = converse(stream, desk);
                    if tokio::time::timeout(CONVERSATION_MAX, talk).await.is_err() {
                        tracing::debug!("admin: a conversation took too long");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "admin: accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn converse(stream: Box<dyn Stream>, desk: Arc<Desk>) {
    let service = service_fn(move |request: Request<Incoming>| {
        std::future::ready(Ok::<_, Infallible>(answer(&request, &desk)))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WAIT)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "admin: connection ended");
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

fn answer(request: &Request<Incoming>, desk: &Desk) -> Response<Whole> {
    let head = request.method() == Method::HEAD;
    let (status, kind, body) = if head || request.method() == Method::GET {
        page(request.uri().path(), request.uri().query(), desk)
    } else {
        (
            StatusCode::METHOD_NOT_ALLOWED,
            TEXT,
            "GET and HEAD only\n".to_owned(),
        )
    };
    let length = body.len();
    let mut response = Response::new(Whole(if head { Bytes::new() } else { body.into() }));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

fn page(path: &str, query: Option<&str>, desk: &Desk) -> (StatusCode, &'static str, String) {
    let json = |text: Result<String, serde_json::Error>| match text {
        Ok(text) => (StatusCode::OK, JSON, text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            TEXT,
            format!("{error}\n"),
        ),
    };
    match path {
        paths::HEALTHZ => (StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/metrics" => (StatusCode::OK, METRICS, desk.metrics_text()),
        paths::BOOTS => match asked_mac(query) {
            Ok(mac) => json(serde_json::to_string(&desk.boot_log().boots(mac))),
            Err(why) => (StatusCode::BAD_REQUEST, TEXT, why),
        },
        "/v1/leases" => json(serde_json::to_string(&desk.keep())),
        _ => {
            let text = format!(
                "served here: {}, /metrics, {}, /v1/leases\n",
                paths::HEALTHZ,
                paths::BOOTS
            );
            (StatusCode::NOT_FOUND, TEXT, text)
        }
    }
}

/// The machine that `?mac=` names, where it does.
fn asked_mac(query: Option<&str>) -> Result<Option<MacAddr>, String> {
    let Some(query) = query.filter(|query| !query.is_empty()) else {
        return Ok(None);
    };
    let Some(mac) = query.strip_prefix("mac=") else {
        return Err("the query should be mac=MAC\n".to_owned());
    };
    let mac = mac.replace("%3A", ":").replace("%3a", ":");
    mac.parse()
        .map(Some)
        .map_err(|error| format!("mac: {error}\n"))
}

/// A body that is there.
struct Whole(Bytes);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_print() {
        for text in [ADDRESS, "[::1]:6769", "unix:/run/groundstate/pxe.sock"] {
            let address: AdminAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        for (text, why) in [
            ("6769", "ADDRESS:PORT"),
            ("unix:here", "whole path"),
            ("", "unix:PATH"),
        ] {
            let said = text.parse::<AdminAddress>().unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn the_usual_address_is_the_one_that_is_documented() {
        assert_eq!(AdminAddress::usual().to_string(), ADDRESS);
    }

    #[test]
    fn a_query_names_one_machine_or_none() {
        assert_eq!(asked_mac(None), Ok(None));
        assert_eq!(asked_mac(Some("")), Ok(None));
        let mac = Ok(Some(MacAddr([2, 0, 0, 0, 0, 1])));
        assert_eq!(asked_mac(Some("mac=02:00:00:00:00:01")), mac);
        assert_eq!(asked_mac(Some("mac=02%3A00%3a00:00:00:01")), mac);
        assert!(asked_mac(Some("mac=x")).is_err());
        assert!(asked_mac(Some("node=1")).is_err());
    }
}
