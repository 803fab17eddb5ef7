// SPDX-License-Identifier: Apache-2.0
//! Both ends prove that they are nodes of this site: by the site's CA, and by a name that only nodes get.

use groundstate_api::fan_out::{PEER_DOMAIN, peer_name};
use groundstate_api::{NodeId, Reason, ReasonCode};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
};
use std::fmt;
use std::sync::Arc;

/// What a node proves itself with, and whom it believes.
pub(super) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
}

impl Identity {
    /// Of PEM texts.
    pub(super) fn read(ca: &str, certificate: &str, key: &str) -> Result<Self, Reason> {
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(ca.as_bytes()) {
            let root = root.map_err(|error| refused(&error))?;
            roots.add(root).map_err(|error| refused(&error))?;
        }
        Ok(Self {
            chain: chain.map_err(|error| refused(&error))?,
            key: key.map_err(|error| refused(&error))?,
            roots: Arc::new(roots),
        })
    }

    /// For serving: who calls must have a certificate of this site.
    pub(super) fn server(&self) -> Result<Arc<ServerConfig>, Reason> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let callers = WebPkiClientVerifier::builder_with_provider(
            Arc::clone(&self.roots),
            Arc::clone(&provider),
        );
        let callers = callers.build().map_err(|error| refused(&error))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&error))?
            .with_client_cert_verifier(callers)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| refused(&error))?;
        // Each caller comes once and stays: tickets would only cost memory.
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// For fetching from one node: whoever answers at its address must be it.
    pub(super) fn client(&self, node: &NodeId) -> Result<Arc<ClientConfig>, Reason> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let site = WebPkiServerVerifier::builder_with_provider(
            Arc::clone(&self.roots),
            Arc::clone(&provider),
        );
        let verifier = OneNode {
            name: ServerName::try_from(peer_name(node)).map_err(|error| refused(&error))?,
            site: site.build().map_err(|error| refused(&error))?,
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| refused(&error))?;
        Ok(Arc::new(config))
    }
}

/// Whether the certificate, which is this site's, is a node's. Hosts and operators have none of these names.
pub(super) fn is_node(certificate: &CertificateDer<'_>) -> bool {
    webpki::EndEntityCert::try_from(certificate).is_ok_and(|certificate| {
        let mut names = certificate.valid_dns_names();
        names.any(|name| {
            name.strip_suffix(PEER_DOMAIN)
                .is_some_and(|rest| rest.ends_with('.'))
        })
    })
}

fn refused(error: &dyn fmt::Display) -> Reason {
    Reason::new(
        ReasonCode::TlsRefused,
        "this node's certificate cannot be used with other nodes",
        "order the run anew, so that the machine enrols again",
    )
    .seen(error.to_string())
}

/// The site's verifier with one name in place of the address that was called.
#[derive(Debug)]
struct OneNode {
    name: ServerName<'static>,
    site: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for OneNode {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _called: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.site
            .verify_server_cert(end_entity, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.site
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.site
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.site.supported_verify_schemes()
    }
}
