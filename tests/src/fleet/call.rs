// SPDX-License-Identifier: Apache-2.0
//! One caller's line to the provisioner: HTTPS with a certificate of its own, kept open or opened for each call.

use anyhow::{Context as _, Result, ensure};
use groundstate_api::ready::{HOPS_MAX, LEADER_HEADER};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

/// How long a call may take in all: as long as the longest call of the maintenance OS.
const CALL_MAX: Duration = Duration::from_secs(20);
/// And where there is another provisioner to go to: as long as there.
const CALL_MAX_AMONG: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 << 20;
/// TLS sessions that a caller keeps: there is one server.
const SESSIONS: usize = 2;

/// Where the provisioner is, and what makes its certificate believed. Made once for all callers.
#[derive(Clone, Debug)]
pub struct Trust {
    to: SocketAddr,
    /// The site's provisioners, where there are several.
    all: Arc<[SocketAddr]>,
    from: Option<Ipv4Addr>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Trust {
    /// The provisioner at this address, of this authority.
    ///
    /// # Errors
    /// The authority's certificate cannot be read.
    pub fn new(to: SocketAddr, ca_pem: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).context("the CA")?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider);
        let verifier = verifier.build().context("the CA")?;
        Ok(Self {
            to,
            all: Arc::new([]),
            from: None,
            verifier,
        })
    }

    /// The same authority at another address.
    #[must_use]
    pub fn at(&self, to: SocketAddr) -> Self {
        Self { to, ..self.clone() }
    }

    /// Of a site with these provisioners: a caller goes where the leader is said to be, and to the next one where there is no
    /// answer, as nodes and hosts do.
    #[must_use]
    pub fn among(&self, all: &[SocketAddr]) -> Self {
        Self {
            all: all.into(),
            ..self.clone()
        }
    }

    /// Whether there are several.
    pub(super) fn has_others(&self) -> bool {
        self.all.len() > 1
    }

    /// For a caller with this address: a server counts connections by address.
    #[must_use]
    pub fn calling_from(&self, from: Ipv4Addr) -> Self {
        Self {
            from: Some(from),
            ..self.clone()
        }
    }

    fn config(&self, credential: Option<(&str, &str)>) -> Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_webpki_verifier(self.verifier.clone());
        let mut config = match credential {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
                let chain = chain
                    .collect::<Result<Vec<_>, _>>()
                    .context("certificate")?;
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).context("key")?;
                builder.with_client_auth_cert(chain, key)?
            }
        };
        let sessions = Arc::new(ClientSessionMemoryCache::new(SESSIONS));
        config.resumption = Resumption::store(sessions);
        Ok(config)
    }
}

/// A line.
pub struct Line {
    trust: Trust,
    tls: Arc<ClientConfig>,
    open: Option<SendRequest<Full<Bytes>>>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// When to come again, where it said so, in seconds.
    pub retry_after: Option<u64>,
    /// The entity tag.
    pub etag: Option<String>,
    /// Who leads, where it said so.
    pub leader: Option<SocketAddr>,
    /// Path and query of the next page, where there is one.
    pub next: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// Of a header `Link` (RFC 8288) what leads on.
fn next_page(link: &str) -> Option<String> {
    let (path, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("rel=\"next\"").then(|| path.to_owned())
}

impl Answer {
    /// The body as a document.
    ///
    /// # Errors
    /// The call was refused, or it is another document.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        ensure!(self.is_good(), "{}: {}", self.status, self.says());
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// Whether it was done.
    #[must_use]
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The beginning of the body, for people.
    #[must_use]
    pub fn says(&self) -> String {
        String::from_utf8_lossy(self.body.get(..300).unwrap_or(&self.body)).into_owned()
    }
}

impl Line {
    /// Of a caller without a certificate, or with this one and its key (PEM).
    ///
    /// # Errors
    /// Certificate or key cannot be used.
    pub fn new(trust: &Trust, credential: Option<(&str, &str)>) -> Result<Self> {
        Ok(Self {
            trust: trust.clone(),
            tls: Arc::new(trust.config(credential)?),
            open: None,
        })
    }

    /// The next call opens a new connection.
    pub fn hang_up(&mut self) {
        self.open = None;
    }

    /// The next calls go to this address.
    pub fn turn_to(&mut self, to: SocketAddr) {
        self.trust.to = to;
        self.open = None;
    }

    /// GET.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        self.call(Method::GET, path, None, &[]).await
    }

    /// POST of a document.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn post(&mut self, path: &str, body: &(impl Serialize + Sync)) -> Result<Answer> {
        let body = serde_json::to_vec(body)?;
        self.call(Method::POST, path, Some(body), &[]).await
    }

    /// Any call, with further header lines.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn call(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let most = if self.trust.has_others() {
            CALL_MAX_AMONG
        } else {
            CALL_MAX
        };
        for hop in 0..=HOPS_MAX {
            let called = self.call_once(method.clone(), path, body.clone(), headers);
            let answer = tokio::time::timeout(most, called).await;
            let answer = answer.context("no answer in time").flatten();
            let leader = match &answer {
                Err(_) => {
                    self.turn_to(self.next());
                    return answer;
                }
                Ok(answer) if answer.status == 503 && self.trust.has_others() => answer.leader,
                Ok(_) => return answer,
            };
            match leader {
                Some(leader) if hop < HOPS_MAX && leader != self.trust.to => self.turn_to(leader),
                Some(_) | None => {
                    // It may be cut off from the others.
                    self.turn_to(self.next());
                    return answer;
                }
            }
        }
        anyhow::bail!("sent on too often")
    }

    /// The provisioner after this one.
    fn next(&self) -> SocketAddr {
        let all = &self.trust.all;
        let at = all.iter().position(|one| *one == self.trust.to);
        let next = at.and_then(|at| all.get((at + 1) % all.len()));
        next.or(all.first()).copied().unwrap_or(self.trust.to)
    }

    async fn call_once(
        &mut self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.trust.to.to_string());
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default())))?;
        let mut line = match self.open.take().filter(|line| !line.is_closed()) {
            Some(line) => line,
            None => self.dial().await?,
        };
        line.ready().await?;
        let answer = line.send_request(request).await?;
        let (head, body) = answer.into_parts();
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        let retry_after = text(header::RETRY_AFTER).and_then(|secs| secs.parse().ok());
        let etag = text(header::ETAG).map(str::to_owned);
        let leader = head.headers.get(LEADER_HEADER).and_then(|value| {
            let url = value.to_str().ok()?;
            url.strip_prefix("https://")?.parse().ok()
        });
        let next = text(header::LINK).and_then(next_page);
        let body = Limited::new(body, ANSWER_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
        self.open = Some(line);
        Ok(Answer {
            status: head.status.as_u16(),
            retry_after,
            etag,
            leader,
            next,
            body,
        })
    }

    async fn reach(&self) -> Result<TcpStream> {
        let Some(from) = self.trust.from else {
            return Ok(TcpStream::connect(self.trust.to).await?);
        };
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        Ok(socket.connect(self.trust.to).await?)
    }

    async fn dial(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = self.reach().await?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(self.trust.to.ip());
        let stream = TlsConnector::from(self.tls.clone())
            .connect(name, stream)
            .await?;
        let (line, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends when the line is dropped; how is of no interest then.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(line)
    }
}

/// A key and what asks for its certificate, both PEM.
///
/// # Errors
/// None can be made.
pub(super) fn key_and_request() -> Result<(String, String)> {
    let pair = KeyPair::generate()?;
    let request = CertificateParams::default()
        .serialize_request(&pair)?
        .pem()?;
    Ok((pair.serialize_pem(), request))
}
