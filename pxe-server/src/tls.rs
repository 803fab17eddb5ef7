// SPDX-License-Identifier: Apache-2.0
//! The same boot files over TLS, for firmware that trusts a certificate of the site.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// HTTPS beside HTTP.
#[derive(Clone, Debug)]
pub struct Https {
    /// The TCP port.
    pub port: u16,
    /// Certificate, key and versions.
    pub tls: Arc<ServerConfig>,
}

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// A file cannot be read as PEM.
    #[error("cannot read {what} from {}: {why}", path.display())]
    Read {
        /// `a certificate` or `a private key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The two do not belong together, or the key is of a kind that is not known.
    #[error("the certificate {} and the key {} cannot be used: {why}", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        why: String,
    },
}

impl Https {
    /// Reads a certificate (with those that follow it to its authority) and its key, each PEM.
    ///
    /// # Errors
    /// A file that cannot be read, or two that do not belong together.
    pub fn read(port: u16, certificate: &Path, key: &Path) -> Result<Self, HttpsError> {
        let refuse = |what, path: &Path, why: String| HttpsError::Read {
            what,
            path: path.to_owned(),
            why,
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect)
            .map_err(|error| refuse("a certificate", certificate, error.to_string()));
        let chain = chain?;
        if chain.is_empty() {
            return Err(refuse(
                "a certificate",
                certificate,
                "it has none".to_owned(),
            ));
        }
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| refuse("a private key", key, error.to_string()))?;
        let mut tls = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| HttpsError::Unusable {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
                why: error.to_string(),
            })?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            port,
            tls: Arc::new(tls),
        })
    }
}

/// Takes a connection, or says why it is none.
pub(crate) async fn accept(
    tls: &Arc<ServerConfig>,
    stream: tokio::net::TcpStream,
) -> io::Result<tokio_rustls::server::TlsStream<tokio::net::TcpStream>> {
    tokio_rustls::TlsAcceptor::from(Arc::clone(tls))
        .accept(stream)
        .await
}
