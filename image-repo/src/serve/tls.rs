// SPDX-License-Identifier: Apache-2.0
//! Certificate, key and the authority of clients, for the server that stands alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// Why a server cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum ServeTlsError {
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
    /// Certificate and key do not belong together, or one is of a kind that is not known.
    #[error("the certificate {} and the key {} cannot be used: {why}", certificate.display(), key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        why: String,
    },
    /// What should certify the clients cannot.
    #[error("{} cannot certify clients: {why}", path.display())]
    ClientAuthority {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// A configuration out of PEM files: a certificate (with those that follow it to its authority), its key, and, where only
/// holders of a certificate may come in, the authority that signed theirs.
///
/// # Errors
/// A file that cannot be read, or files that do not belong together.
pub fn tls(
    certificate: &Path,
    key: &Path,
    client_authority: Option<&Path>,
) -> Result<Arc<ServerConfig>, ServeTlsError> {
    let unusable = |why: String| ServeTlsError::Unusable {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        why,
    };
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| ServeTlsError::Read {
        what: "a private key",
        path: key.to_owned(),
        why: error.to_string(),
    })?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?;
    let builder = match client_authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let refuse = |why: String| ServeTlsError::ClientAuthority {
                path: path.to_owned(),
                why,
            };
            let mut roots = RootCertStore::empty();
            for each in certificates(path)? {
                roots.add(each).map_err(|error| refuse(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| refuse(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut tls = builder
        .with_single_cert(chain, private)
        .map_err(|error| unusable(error.to_string()))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ServeTlsError> {
    let refuse = |why: String| ServeTlsError::Read {
        what: "a certificate",
        path: path.to_owned(),
        why,
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let chain = chain.map_err(|error| refuse(error.to_string()))?;
    if chain.is_empty() {
        return Err(refuse("it has none".to_owned()));
    }
    Ok(chain)
}
