// SPDX-License-Identifier: Apache-2.0
//! One HTTP connection to one BMC, with limits on time and size. It follows no redirection and speaks through no proxy.

use crate::address::Address;
use crate::clock::duration;
use crate::settings::Settings;
use crate::tls::Pinned;
use bmc_core::answer::ANSWER_MAX;
use bmc_core::text::inert;
use bmc_core::trouble::Trouble;
use groundstate_api::Digest;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The longest head of an answer, in bytes: real ones have under 2 KiB.
const HEAD_MAX: usize = 32 * 1024;
/// The most header fields of an answer.
const FIELDS_MAX: usize = 100;

/// What is asked.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) fields: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<Vec<u8>>,
}

impl Ask<'_> {
    /// In words: `GET /redfish/v1/`.
    pub(crate) fn says(&self) -> String {
        format!("{} {}", self.method, inert(self.path))
    }
}

/// What is answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Bytes,
}

/// The connection.
pub(crate) struct Wire {
    address: Address,
    authority: String,
    tls: Option<Arc<Pinned>>,
    sender: Option<SendRequest<Full<Bytes>>>,
    places: Arc<Semaphore>,
    settings: Arc<Settings>,
}

impl Wire {
    /// Nothing is connected yet. `tls` is `None` for plain HTTP.
    pub(crate) fn new(
        address: Address,
        tls: Option<Arc<Pinned>>,
        places: Arc<Semaphore>,
        settings: Arc<Settings>,
    ) -> Self {
        Self {
            authority: address.authority(),
            address,
            tls,
            sender: None,
            places,
            settings,
        }
    }

    /// The authority that links may name.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The certificate of the connection.
    pub(crate) fn certificate(&self) -> Option<Digest> {
        self.tls.as_ref()?.believed()
    }

    /// Asks, and reads the whole answer. A connection that the BMC closed in between is opened again; a question that may have been
    /// carried out is not asked twice, unless it only reads.
    pub(crate) async fn send(&mut self, ask: &Ask<'_>) -> Result<Reply, Trouble> {
        let places = self.places.clone();
        let _place = places
            .acquire()
            .await
            .map_err(|_| Trouble::odd("it is shut down"))?;
        let fresh = self.sender.as_ref().is_none_or(SendRequest::is_closed);
        if fresh {
            self.connect().await?;
        }
        let limit = duration(self.settings.answer);
        match timeout(limit, self.once(ask)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(Stumble::Gone(_))) if !fresh => {
                self.connect().await?;
                match timeout(limit, self.once(ask)).await {
                    Ok(Ok(reply)) => Ok(reply),
                    Ok(Err(stumble)) => Err(self.lost(stumble)),
                    Err(_) => Err(self.late(ask)),
                }
            }
            Ok(Err(stumble)) => Err(self.lost(stumble)),
            Err(_) => Err(self.late(ask)),
        }
    }

    fn lost(&mut self, stumble: Stumble) -> Trouble {
        self.sender = None;
        match stumble {
            Stumble::Gone(what) => Trouble::Unreachable { what },
            Stumble::Trouble(trouble) => trouble,
        }
    }

    fn late(&mut self, ask: &Ask<'_>) -> Trouble {
        self.sender = None;
        Trouble::TimedOut {
            asked: ask.says(),
            after: self.settings.answer,
        }
    }

    async fn connect(&mut self) -> Result<(), Trouble> {
        self.sender = None;
        let limit = self.settings.connect;
        match timeout(duration(limit), self.connected()).await {
            Ok(Ok(sender)) => {
                self.sender = Some(sender);
                Ok(())
            }
            Ok(Err(trouble)) => Err(trouble),
            Err(_) => Err(Trouble::TimedOut {
                asked: "a connection".into(),
                after: limit,
            }),
        }
    }

    async fn connected(&self) -> Result<SendRequest<Full<Bytes>>, Trouble> {
        let unreachable = |error: std::io::Error| Trouble::Unreachable {
            what: inert(&error.to_string()),
        };
        let port = self
            .address
            .port()
            .unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((self.address.host(), port))
            .await
            .map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let Some(pinned) = &self.tls else {
            return spoken(stream).await;
        };
        let tls = |what: String| Trouble::Tls { what: inert(&what) };
        let config = pinned.config().map_err(|error| tls(error.to_string()))?;
        let name = ServerName::try_from(self.address.host().to_owned())
            .map_err(|error| tls(error.to_string()))?;
        match TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
        {
            Ok(stream) => {
                pinned.believe();
                spoken(stream).await
            }
            Err(error) => Err(match pinned.mismatch() {
                Some((pinned, shown)) => Trouble::Certificate { pinned, shown },
                None => tls(error.to_string()),
            }),
        }
    }

    async fn once(&mut self, ask: &Ask<'_>) -> Result<Reply, Stumble> {
        let sender = self
            .sender
            .as_mut()
            .ok_or_else(|| Stumble::Gone("no connection".into()))?;
        let request = request(&self.authority, ask).map_err(Stumble::Trouble)?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| stumble(&error, ask))?;
        let (head, body) = answer.into_parts();
        let limit = usize::try_from(ANSWER_MAX.0).unwrap_or(usize::MAX);
        let body = Limited::new(body, limit).collect().await.map_err(|error| {
            Stumble::Trouble(if error.downcast_ref::<LengthLimitError>().is_some() {
                Trouble::TooLarge {
                    what: ask.says(),
                    limit: ANSWER_MAX,
                }
            } else {
                Trouble::Unreachable {
                    what: format!("the answer to {} broke off", ask.says()),
                }
            })
        })?;
        Ok(Reply {
            status: head.status,
            fields: head.headers,
            body: body.to_bytes(),
        })
    }
}

/// Why one try failed.
enum Stumble {
    /// The connection was gone before anything was answered, and asking again does no harm.
    Gone(String),
    /// Anything else.
    Trouble(Trouble),
}

fn stumble(error: &hyper::Error, ask: &Ask<'_>) -> Stumble {
    let what = inert(&error.to_string());
    if error.is_parse() || error.is_parse_too_large() {
        return Stumble::Trouble(Trouble::odd(&format!(
            "{}: is no HTTP ({what})",
            ask.says()
        )));
    }
    // A request that hyper could not send was not seen by the BMC.
    if error.is_canceled() || ask.method == Method::GET {
        Stumble::Gone(what)
    } else {
        Stumble::Trouble(Trouble::Unreachable { what })
    }
}

async fn spoken<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
) -> Result<SendRequest<Full<Bytes>>, Trouble> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_MAX).max_headers(FIELDS_MAX);
    let (sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Trouble::Unreachable {
            what: inert(&error.to_string()),
        })?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to a BMC ended");
        }
    });
    Ok(sender)
}

fn request(authority: &str, ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, Trouble> {
    let mut builder = Request::builder()
        .method(ask.method.clone())
        .uri(ask.path)
        .header("Host", authority)
        .header("Accept", "application/json")
        .header("Accept-Encoding", "identity")
        .header("OData-Version", "4.0")
        .header("User-Agent", "groundstate");
    if ask.body.is_some() {
        builder = builder.header("Content-Type", "application/json");
    }
    for (name, value) in &ask.fields {
        builder = builder.header(name, value);
    }
    let body = Full::new(Bytes::from(ask.body.clone().unwrap_or_default()));
    builder
        .body(body)
        .map_err(|error| Trouble::odd(&error.to_string()))
}
