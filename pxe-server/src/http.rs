// SPDX-License-Identifier: Apache-2.0
//! Boot files and scripts by HTTP/1.1: GET and HEAD, one range, no redirects, exact names.

use crate::ServeError;
use crate::body::{Activity, FileBody, Told};
use crate::desk::Desk;
use crate::places::Places;
use groundstate_api::Millis;
use groundstate_api::boot::BootAnswer;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pxe_core::names::{Wanted, read_path};
use pxe_core::range::{Part, read_range};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections at a time; further ones wait.
pub(crate) const CONNECTIONS_MAX: usize = 1_024;
/// Connections of one address at a time; further ones are closed. A booting machine has one or two, and each has an
/// address of its own: it is in our subnet, and nothing translates addresses on the way.
const CONNECTIONS_OF_ONE_MAX: usize = 64;
/// How long a client may take for a request's header, and how long a connection may idle between two.
const HEADER_WAIT: Duration = Duration::from_secs(20);
/// How long a client may take nothing of a file. Firmware pauses while it wipes memory; a minute is not that.
const STALLED: Millis = Millis::secs(60);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Bytes kept of a request's header. Firmware sends under 1 KiB.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;
/// Wait after an accept that failed (out of file descriptors), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the socket stops working.
pub(crate) async fn serve(listener: TcpListener, desk: Arc<Desk>) -> ServeError {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let places = Places::new(CONNECTIONS_OF_ONE_MAX);
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "HTTP: accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let Some(place) = places.take(peer.ip()) else {
            tracing::debug!(%peer, "HTTP: closed; this address has {CONNECTIONS_OF_ONE_MAX} connections");
            continue;
        };
        let permit = match Arc::clone(&room).acquire_owned().await {
            Ok(permit) => permit,
            Err(error) => {
                return ServeError::Socket {
                    service: "HTTP",
                    source: std::io::Error::other(error),
                };
            }
        };
        let desk = Arc::clone(&desk);
        connections.spawn(async move {
            converse(stream, peer.ip(), desk).await;
            drop((place, permit));
        });
    }
}

async fn converse(stream: TcpStream, peer: IpAddr, desk: Arc<Desk>) {
    let activity = Activity::new(desk.clock);
    let (clock, watched) = (desk.clock, activity.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        activity.moved();
        let response = answer(&request, peer, &desk, &activity);
        tracing::debug!(%peer, method = %request.method(), path = request.uri().path(), status = %response.status(), "HTTP");
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WAIT)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let stalled = async {
        loop {
            tokio::time::sleep(LOOK).await;
            if clock.now().since(watched.last()) > STALLED {
                return;
            }
        }
    };
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                tracing::debug!(%peer, %error, "HTTP: connection ended");
            }
        }
        () = stalled => tracing::info!(%peer, "HTTP: the client took nothing for a minute; closed"),
    }
}

fn answer(
    request: &Request<Incoming>,
    peer: IpAddr,
    desk: &Arc<Desk>,
    activity: &Activity,
) -> Response<FileBody> {
    let text =
        |status, text: &str| Reply::text(status, text.to_owned()).response(request, activity);
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match read_path(request.uri().path()) {
        None => text(StatusCode::NOT_FOUND, "no such boot file\n"),
        Some(Wanted::Script(mac)) => match desk.script(mac) {
            Ok(script) => text(StatusCode::OK, &script),
            Err(BootAnswer::Refuse { reason }) => {
                text(StatusCode::FORBIDDEN, &format!("{reason}\n"))
            }
            Err(
                BootAnswer::MaintenanceOs
                | BootAnswer::LocalDisk { .. }
                | BootAnswer::Recipe { .. }
                | BootAnswer::Nothing,
            ) => text(
                StatusCode::NOT_FOUND,
                "there is no script for this machine\n",
            ),
        },
        Some(Wanted::File(name)) => match desk.files.file(name) {
            None => text(StatusCode::NOT_FOUND, "no such boot file\n"),
            Some(bytes) => {
                let mac = desk.machine(peer);
                let told = Told {
                    desk: Arc::clone(desk),
                    peer,
                    mac,
                    file: name.to_owned(),
                };
                file(request, name, bytes, told).response(request, activity)
            }
        },
    }
}

/// A reply before HEAD is told from GET.
struct Reply {
    status: StatusCode,
    kind: &'static str,
    bytes: Bytes,
    range: Option<String>,
    told: Option<Told>,
}

impl Reply {
    fn text(status: StatusCode, text: String) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            bytes: text.into(),
            range: None,
            told: None,
        }
    }

    fn response(self, request: &Request<Incoming>, activity: &Activity) -> Response<FileBody> {
        let length = self.bytes.len();
        let head = request.method() == Method::HEAD;
        let (bytes, told) = if head {
            (Bytes::new(), None)
        } else {
            (self.bytes, self.told)
        };
        let mut response = Response::new(FileBody::new(bytes, told, activity.clone()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(range) = self
            .range
            .and_then(|range| HeaderValue::try_from(range).ok())
        {
            headers.insert(header::CONTENT_RANGE, range);
        }
        response
    }
}

fn file(request: &Request<Incoming>, name: &str, bytes: Bytes, told: Told) -> Reply {
    let kind = if std::path::Path::new(name)
        .extension()
        .is_some_and(|e| e == "efi")
    {
        "application/efi"
    } else {
        "application/octet-stream"
    };
    let length = bytes.len() as u64;
    // We give out no validator, so an If-Range can never match, and the range is to be ignored.
    let header = request
        .headers()
        .get(header::RANGE)
        .filter(|_| !request.headers().contains_key(header::IF_RANGE));
    let part = header
        .and_then(|value| value.to_str().ok())
        .map_or(Part::Whole, |v| read_range(v, length));
    match part {
        Part::Whole => Reply {
            status: StatusCode::OK,
            kind,
            bytes,
            range: None,
            told: Some(told),
        },
        Part::Unsatisfiable => Reply {
            range: Some(format!("bytes */{length}")),
            ..Reply::text(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "the file is shorter\n".to_owned(),
            )
        },
        Part::Bytes(range) => {
            let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(bytes.len());
            let piece = bytes.slice(at(range.start)..at(range.end));
            let range = Some(format!("bytes {}-{}/{length}", range.start, range.end - 1));
            Reply {
                status: StatusCode::PARTIAL_CONTENT,
                kind,
                bytes: piece,
                range,
                told: None,
            }
        }
    }
}
