// SPDX-License-Identifier: Apache-2.0
//! Boot files and scripts by HTTP/1.1: GET and HEAD, one range, no redirects, exact names.

use crate::ServeError;
use crate::body::{Activity, FileBody, Told};
use crate::content::Content;
use crate::desk::{Desk, NoScript};
use crate::limits::Limits;
use crate::metrics::{Gauge, Metric};
use crate::places::Places;
use crate::tls;
use groundstate_api::boot_session::{BootStep, Via};
use groundstate_api::{MacAddr, Millis};
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use pxe_core::names::{Wanted, file_names, read_path};
use pxe_core::range::{Part, read_range};
use std::convert::Infallible;
use std::net::IpAddr;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::rustls::ServerConfig;

/// Connections at a time where nobody says otherwise; further ones wait.
pub(crate) const CONNECTIONS_MAX: usize = 1_024;
/// Connections of one address at a time; further ones are closed. A booting machine has one or two, and each has an
/// address of its own: it is in our subnet, and nothing translates addresses on the way.
pub(crate) const CONNECTIONS_OF_ONE_MAX: usize = 64;
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

/// Connections of every port together, so that no second port doubles what may be open.
pub(crate) struct Room {
    all: Arc<Semaphore>,
    places: Arc<Places>,
}

impl Room {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.http_connections)),
            places: Places::new(limits.http_connections_of_one),
        }
    }
}

/// Serves until the socket stops working; over TLS where a configuration for it is given.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    room: Arc<Room>,
    desk: Arc<Desk>,
) -> ServeError {
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
        let Some(place) = room.places.take(peer.ip()) else {
            tracing::debug!(%peer, "HTTP: closed; this address has as many connections as one may have");
            continue;
        };
        let permit = match Arc::clone(&room.all).acquire_owned().await {
            Ok(permit) => permit,
            Err(error) => {
                return ServeError::Socket {
                    service: "HTTP",
                    source: std::io::Error::other(error),
                };
            }
        };
        let (desk, tls) = (Arc::clone(&desk), tls.clone());
        connections.spawn(async move {
            let _open = desk.held(Gauge::HttpConnections);
            match tls {
                None => converse(stream, peer.ip(), desk).await,
                Some(tls) => {
                    match tokio::time::timeout(HEADER_WAIT, tls::accept(&tls, stream)).await {
                        Ok(Ok(stream)) => converse(stream, peer.ip(), desk).await,
                        Ok(Err(error)) => tracing::debug!(%peer, %error, "HTTPS: no TLS"),
                        Err(_) => tracing::debug!(%peer, "HTTPS: no TLS in time"),
                    }
                }
            }
            drop((place, permit));
        });
    }
}

async fn converse<S>(stream: S, peer: IpAddr, desk: Arc<Desk>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
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
    desk.count(Metric::HttpRequests, 1);
    reply(request, peer, desk).response(request, desk, activity)
}

fn reply(request: &Request<Incoming>, peer: IpAddr, desk: &Arc<Desk>) -> Reply {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let refused = Reply::text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
        return refused.with(header::ALLOW, "GET, HEAD");
    }
    // What has a body is no request for a boot file. Where two servers could disagree about its length, the next request
    // on this connection would be anybody's; so there is none.
    if !request.body().is_end_stream() || request.headers().contains_key(header::TRANSFER_ENCODING)
    {
        let refused = Reply::text(StatusCode::BAD_REQUEST, "a request here has no body\n");
        return refused.with(header::CONNECTION, "close");
    }
    match read_path(request.uri().path()) {
        None => not_found(),
        Some(Wanted::Metrics) => {
            let text = Reply::text(StatusCode::OK, desk.metrics_text());
            Reply {
                kind: "text/plain; version=0.0.4; charset=utf-8",
                ..text
            }
        }
        Some(Wanted::Script(mac)) => script(desk, mac, peer),
        Some(Wanted::File(path)) => {
            let found = file_names(&path)
                .find_map(|name| desk.files.file(name).map(|content| (name, content)));
            match found {
                None => {
                    missed(desk, peer, file_names(&path).next().unwrap_or(&path));
                    not_found()
                }
                Some((name, content)) => {
                    let told = Told {
                        desk: Arc::clone(desk),
                        peer,
                        mac: desk.machine(peer),
                        file: name.to_owned(),
                    };
                    file(request, content, told)
                }
            }
        }
    }
}

/// A machine asked for a file that is not there: its boot says so, as it does by TFTP.
fn missed(desk: &Desk, peer: IpAddr, file: &str) {
    if let Some(mac) = desk.machine(peer) {
        let (via, file) = (Via::Http, file.to_owned());
        let why = "no such file".to_owned();
        desk.step(mac, BootStep::FileEnded { via, file, why });
    }
}

fn not_found() -> Reply {
    Reply::text(StatusCode::NOT_FOUND, "no such boot file\n")
}

fn script(desk: &Desk, mac: MacAddr, peer: IpAddr) -> Reply {
    match desk.script(mac, peer) {
        Ok(script) => Reply::text(StatusCode::OK, script),
        Err(NoScript::Refused(reason)) => Reply::text(StatusCode::FORBIDDEN, format!("{reason}\n")),
        Err(no @ (NoScript::Nothing | NoScript::Recipe(_))) => {
            Reply::text(StatusCode::NOT_FOUND, format!("{no}\n"))
        }
    }
}

/// A reply before HEAD is told from GET.
struct Reply {
    status: StatusCode,
    kind: &'static str,
    content: Content,
    part: Range<u64>,
    more: Vec<(HeaderName, HeaderValue)>,
    told: Option<Told>,
}

impl Reply {
    fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let content = Content::Memory(text.into().into());
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            part: 0..content.length(),
            content,
            more: Vec::new(),
            told: None,
        }
    }

    fn validated(self, ours: &Validators) -> Self {
        self.with(header::ETAG, &ours.tag)
            .with(header::LAST_MODIFIED, &ours.modified)
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.more
            .extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
        self
    }

    fn response(
        self,
        request: &Request<Incoming>,
        desk: &Arc<Desk>,
        activity: &Activity,
    ) -> Response<FileBody> {
        let length = self.part.end - self.part.start;
        let body = if request.method() == Method::HEAD {
            FileBody::new(desk, self.content, 0..0, None, activity.clone())
        } else {
            if let Some(Told {
                mac: Some(mac),
                file,
                ..
            }) = &self.told
            {
                let (via, file) = (Via::Http, file.clone());
                desk.step(*mac, BootStep::FileAsked { via, file });
            }
            FileBody::new(desk, self.content, self.part, self.told, activity.clone())
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        // RFC 9110 section 8.6: not the length of what is not sent.
        if self.status != StatusCode::NOT_MODIFIED {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        }
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.more);
        response
    }
}

fn file(request: &Request<Incoming>, content: Content, told: Told) -> Reply {
    let length = content.length();
    let validators = Validators::of(&content);
    // What is not the version that the client has a piece of is not sent behind that piece.
    if let Some(ours) = validators
        .as_ref()
        .filter(|ours| ours.are_missed(request.headers()))
    {
        let refused = Reply::text(StatusCode::PRECONDITION_FAILED, "the file has changed\n");
        return refused.validated(ours);
    }
    if let Some(ours) = validators
        .as_ref()
        .filter(|ours| ours.are_known(request.headers()))
    {
        return Reply::text(StatusCode::NOT_MODIFIED, "").validated(ours);
    }
    // A range is only for the file that the client began with, and HEAD is about the whole file (RFC 9110 section 14.2).
    let range = request.headers().get(header::RANGE).filter(|_| {
        if request.method() == Method::HEAD {
            return false;
        }
        let known = request.headers().get(header::IF_RANGE);
        known.is_none_or(|known| validators.as_ref().is_some_and(|ours| ours.are(known)))
    });
    let part = range
        .and_then(|value| value.to_str().ok())
        .map_or(Part::Whole, |v| read_range(v, length));
    let mut reply = match part {
        Part::Whole => Reply {
            status: StatusCode::OK,
            kind: kind(&told.file),
            content,
            part: 0..length,
            more: Vec::new(),
            told: Some(told),
        },
        Part::Unsatisfiable => {
            let refused = Reply::text(StatusCode::RANGE_NOT_SATISFIABLE, "the file is shorter\n");
            return refused.with(header::CONTENT_RANGE, &format!("bytes */{length}"));
        }
        Part::Bytes(range) => Reply {
            status: StatusCode::PARTIAL_CONTENT,
            kind: kind(&told.file),
            content,
            part: range.clone(),
            more: Vec::new(),
            told: None,
        }
        .with(
            header::CONTENT_RANGE,
            &format!("bytes {}-{}/{length}", range.start, range.end - 1),
        ),
    };
    if let Some(ours) = validators {
        reply = reply.validated(&ours);
    }
    reply
}

/// What firmware wants to read about a file. EDK2 starts only what it takes for an EFI program.
fn kind(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    match ending.map(str::to_ascii_lowercase).as_deref() {
        Some("efi") => "application/efi",
        Some("ipxe" | "txt" | "cfg") => "text/plain; charset=utf-8",
        Some(_) | None => "application/octet-stream",
    }
}

/// What tells one version of a file on disk from another.
struct Validators {
    tag: String,
    modified: String,
}

impl Validators {
    fn of(content: &Content) -> Option<Self> {
        let Content::Disk { file, length } = content else {
            return None;
        };
        let about = file.metadata().ok()?;
        let tag = format!(
            "\"{:x}-{length:x}-{:x}.{:x}\"",
            about.ino(),
            about.mtime(),
            about.mtime_nsec()
        );
        let modified = httpdate::fmt_http_date(about.modified().ok()?);
        Some(Self { tag, modified })
    }

    /// Whether the client has this version whole (RFC 9110 section 13.2.2): a tag counts before a date.
    fn are_known(&self, asked: &HeaderMap) -> bool {
        // A weak tag is as good as a strong one here.
        let ours = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag) == self.tag;
        match tags(asked, header::IF_NONE_MATCH, ours) {
            Some(known) => known,
            None => self
                .since(asked, header::IF_MODIFIED_SINCE)
                .unwrap_or(false),
        }
    }

    /// Whether the client wants another version than this one, or none (sections 13.1.1 and 13.1.4).
    fn are_missed(&self, asked: &HeaderMap) -> bool {
        let wanted = tags(asked, header::IF_MATCH, |tag| tag == self.tag)
            .or_else(|| self.since(asked, header::IF_UNMODIFIED_SINCE));
        wanted == Some(false)
    }

    /// Whether this version is not newer than the date of a header; `None` where there is no date.
    fn since(&self, asked: &HeaderMap, name: HeaderName) -> Option<bool> {
        let date = |text: &str| httpdate::parse_http_date(text).ok();
        let since = date(asked.get(name)?.to_str().ok()?)?;
        Some(date(&self.modified)? <= since)
    }

    /// Whether the client's copy is of this version (RFC 9110 section 13.1.5; a weak tag never is).
    fn are(&self, known: &HeaderValue) -> bool {
        known == self.tag.as_str() || known == self.modified.as_str()
    }
}

/// Whether one of a header's tags is ours, or it says that any is; `None` where there is no such header.
fn tags(asked: &HeaderMap, name: HeaderName, ours: impl Fn(&str) -> bool) -> Option<bool> {
    let mut all = asked.get_all(name).iter().peekable();
    all.peek()?;
    let one = |tag: &str| tag == "*" || ours(tag);
    let texts = all.filter_map(|value| value.to_str().ok());
    Some(
        texts
            .flat_map(|tags| tags.split(','))
            .any(|tag| one(tag.trim())),
    )
}
