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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// What a receiver says once it has heard anything.
    enum Says {
        /// This, and then nothing more; the connection stays open.
        Once(&'static str),
        /// This, and then this without end.
        Forever(&'static str, &'static str),
        /// Nothing: it hangs up.
        Nothing,
    }

    async fn receiver(says: Says) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = [0; 16];
            stream.read_exact(&mut heard).await.unwrap();
            match says {
                Says::Nothing => {}
                Says::Once(text) => {
                    stream.write_all(text.as_bytes()).await.unwrap();
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
                Says::Forever(text, more) => {
                    stream.write_all(text.as_bytes()).await.unwrap();
                    while stream.write_all(more.as_bytes()).await.is_ok() {}
                }
            }
        });
        port
    }

    async fn sent(says: Says) -> Result<(), SendError> {
        let port = receiver(says).await;
        let head = Head {
            webhook: "hook".into(),
            signature: "t=1,v1=0".into(),
            delivery: "1-1".into(),
        };
        let url = format!("http://127.0.0.1:{port}/");
        let dir = Path::new("/nonexistent");
        post(&url, &head, vec![b'x'; 4_096], "", dir).await
    }

    #[tokio::test]
    async fn what_counts_is_the_status_and_no_redirect_is_followed() {
        sent(Says::Once("HTTP/1.1 204 No Content\r\n\r\n"))
            .await
            .unwrap();
        // What comes behind the head is not waited for, however long it is.
        let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        sent(Says::Forever(endless, "5\r\nagain\r\n"))
            .await
            .unwrap();
        let long = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
        sent(Says::Once(long)).await.unwrap();
        for (says, status) in [
            ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 500),
            ("HTTP/1.1 404 None\r\nContent-Length: 5\r\n\r\n", 404),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", 101),
        ] {
            let refused = sent(Says::Once(says)).await.unwrap_err();
            let right = matches!(&refused, SendError::Answer(said) if said.as_u16() == status);
            assert!(right || status == 101, "{refused}");
        }
        for status in ["301", "302", "303", "307", "308"] {
            let says = format!("HTTP/1.1 {status} x\r\nLocation: http://127.0.0.1:1/\r\n\r\n");
            let refused = sent(Says::Once(says.leak())).await.unwrap_err();
            assert!(matches!(refused, SendError::Redirect(_)), "{refused}");
        }
        for says in [Says::Nothing, Says::Once("no HTTP\r\n\r\n")] {
            let refused = sent(says).await.unwrap_err();
            assert!(matches!(refused, SendError::Http(_)), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_head_without_end_is_not_kept() {
        let says = Says::Forever("HTTP/1.1 200 OK\r\n", "Again: and again and again\r\n");
        let refused = sent(says).await.unwrap_err();
        assert!(matches!(refused, SendError::Http(_)), "{refused}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_hangs_is_not_waited_for() {
        for says in [
            Says::Once(""),
            Says::Once("HTTP/1.1 200 OK\r\nHalf: a he"),
            Says::Once("HTTP/1.1 100 Continue\r\n\r\n"),
        ] {
            let refused = sent(says).await.unwrap_err();
            assert!(matches!(refused, SendError::Time), "{refused}");
        }
    }
}
