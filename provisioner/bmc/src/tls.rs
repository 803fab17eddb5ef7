// SPDX-License-Identifier: Apache-2.0
//! TLS with a pinned certificate: the certificate of a BMC is its own, so its digest is compared instead of a chain. The handshake's
//! signature is checked all the same: who shows the certificate must hold its key.

use groundstate_api::Digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use std::sync::{Arc, Mutex, PoisonError};

/// Believes one certificate, or the first one.
#[derive(Debug)]
pub(crate) struct Pinned {
    pin: Option<Digest>,
    shown: Mutex<Option<Digest>>,
    believed: Mutex<Option<Digest>>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    pub(crate) fn new(pin: Option<Digest>) -> Arc<Self> {
        Arc::new(Self {
            pin,
            shown: Mutex::new(None),
            believed: Mutex::new(None),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
        })
    }

    /// A connection stands: who showed the certificate holds its key.
    pub(crate) fn believe(&self) {
        *self.believed.lock().unwrap_or_else(PoisonError::into_inner) = self.shown();
    }

    /// The certificate of a connection that stood.
    pub(crate) fn believed(&self) -> Option<Digest> {
        *self.believed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was shown last.
    fn shown(&self) -> Option<Digest> {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pin and what was shown, where they differ.
    pub(crate) fn mismatch(&self) -> Option<(Digest, Digest)> {
        let (pin, shown) = (self.pin?, self.shown()?);
        (pin != shown).then_some((pin, shown))
    }

    pub(crate) fn config(self: &Arc<Self>) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?;
        Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(self.clone())
            .with_no_client_auth())
    }
}

/// The key in a certificate. Certificates of version 1, as old BMCs make them, are read too.
fn key_of(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let bad = Error::InvalidCertificate(CertificateError::BadEncoding);
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).map_err(|_| bad)?;
    Ok(SubjectPublicKeyInfoDer::from(
        certificate.tbs_certificate.subject_pki.raw.to_vec(),
    ))
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let digest = Digest::of(end_entity);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
        if self.pin.is_some_and(|pin| pin != digest) {
            return Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let bad = || Error::InvalidCertificate(CertificateError::BadSignature);
        let key = key_of(certificate)?;
        let entity = webpki::RawPublicKeyEntity::try_from(&key).map_err(|_| bad())?;
        let known = self.provider.signature_verification_algorithms.mapping;
        let algorithms = known
            .iter()
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, algorithms)| algorithms.iter());
        let mut algorithms = algorithms;
        if algorithms.any(|algorithm| {
            entity
                .verify_signature(*algorithm, message, signed.signature())
                .is_ok()
        }) {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(bad())
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = key_of(certificate)?;
        verify_tls13_signature_with_raw_key(
            message,
            &key,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
