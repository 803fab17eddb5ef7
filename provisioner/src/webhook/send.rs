// SPDX-License-Identifier: Apache-2.0
//! One request to a webhook, on a connection of its own, bounded in time.

use super::address;
use super::target::Target;
use axum::http::{Request, StatusCode, header};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long a request may take, from the name to the answer.
const TIME_MAX: Duration = Duration::from_secs(30);
/// Where the machine keeps the authorities that it trusts; the first that is there.
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
/// Authorities for webhooks only, in the state directory.
const OWN_AUTHORITIES: &str = "webhook-ca.crt";

/// What the request says of itself.
pub(super) struct Head {
    pub(super) webhook: String,
    pub(super) signature: String,
    pub(super) delivery: String,
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the URL cannot be used: {0}")]
    Url(&'static str),
    #[error("the name {0} cannot be found: {1}")]
    Name(String, std::io::Error),
    #[error("{0} is not spoken to: {1}")]
    Address(std::net::IpAddr, &'static str),
    #[error("the name {0} has no address")]
    NoAddress(String),
    #[error("{0} cannot be reached: {1}")]
    Connect(SocketAddr, std::io::Error),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("it answered {0}: redirects are not followed; put the last address into the site file")]
    Redirect(StatusCode),
    #[error("it answered {0}")]
    Answer(StatusCode),
    #[error("it did not answer within {} s", TIME_MAX.as_secs())]
    Time,
}

/// Sends the body; any status of 200 to 299 means that it was taken.
pub(super) async fn post(
    url: &str,
    head: &Head,
    body: Vec<u8>,
    ca_pem: &str,
    state_dir: &Path,
) -> Result<(), SendError> {
    let sending = send(url, head, body, ca_pem, state_dir);
    tokio::time::timeout(TIME_MAX, sending)
        .await
        .unwrap_or(Err(SendError::Time))
}

async fn send(
    url: &str,
    head: &Head,
    body: Vec<u8>,
    ca_pem: &str,
    state_dir: &Path,
) -> Result<(), SendError> {
    let target = Target::of(url).map_err(SendError::Url)?;
    let to = resolve(&target).await?;
    let stream = TcpStream::connect(to)
        .await
        .map_err(|error| SendError::Connect(to, error))?;
    let request = Request::post(target.path.as_str())
        .header(header::HOST, target.authority())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "groundstate")
        .header("groundstate-webhook", &head.webhook)
        .header("groundstate-delivery", &head.delivery)
        .header("groundstate-signature", &head.signature)
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| SendError::Url("its path cannot stand in a request"))?;
    let status = if target.encrypted {
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| SendError::Url("its host is no name"))?;
        let connector = TlsConnector::from(tls(ca_pem, state_dir)?);
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(|error| SendError::Tls(error.to_string()))?;
        speak(stream, request).await?
    } else {
        speak(stream, request).await?
    };
    if status.is_success() {
        Ok(())
    } else if status.is_redirection() {
        Err(SendError::Redirect(status))
    } else {
        Err(SendError::Answer(status))
    }
}

/// The address of the target: the first that may be spoken to.
async fn resolve(target: &Target) -> Result<SocketAddr, SendError> {
    let found = tokio::net::lookup_host((target.host.as_str(), target.port))
        .await
        .map_err(|error| SendError::Name(target.host.clone(), error))?;
    let mut refused = None;
    for address in found {
        match address::refused(address.ip(), target.encrypted) {
            None => return Ok(address),
            Some(why) => refused = Some(SendError::Address(address.ip(), why)),
        }
    }
    Err(refused.unwrap_or_else(|| SendError::NoAddress(target.host.clone())))
}

/// Speaks HTTP on the connection and drops it with the answer's head: what the receiver says beside its status is not read.
async fn speak<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, SendError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(sender.send_request(request));
    tokio::select! {
        answer = &mut answer => Ok(answer?.status()),
        ended = &mut connection => {
            // It may have ended with the answer in hand.
            ended?;
            Ok(answer.await?.status())
        }
    }
}

fn tls(ca_pem: &str, state_dir: &Path) -> Result<Arc<ClientConfig>, SendError> {
    let mut roots = RootCertStore::empty();
    let machine = AUTHORITIES.iter().map(Path::new).find(|path| path.exists());
    let own = state_dir.join(OWN_AUTHORITIES);
    for path in machine
        .into_iter()
        .chain(own.exists().then_some(own.as_path()))
    {
        let certificates = CertificateDer::pem_file_iter(path)
            .map_err(|error| SendError::Tls(format!("{}: {error}", path.display())))?;
        // One that cannot be read among the machine's hundred is not ours to mend.
        roots.add_parsable_certificates(certificates.flatten());
    }
    let site = CertificateDer::pem_slice_iter(ca_pem.as_bytes());
    roots.add_parsable_certificates(site.flatten());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SendError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
