// SPDX-License-Identifier: Apache-2.0
//! The certificate that a BMC makes for itself, as they come from the factory.

use crate::rack::RackError;
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

/// A fresh certificate, and its SHA-256.
pub(super) fn config(address: IpAddr) -> Result<(Arc<rustls::ServerConfig>, String), RackError> {
    let failed = |what: &dyn std::fmt::Display| {
        RackError::file("the BMC's certificate")(io::Error::other(what.to_string()))
    };
    let key = KeyPair::generate().map_err(|error| failed(&error))?;
    let mut params = CertificateParams::default();
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "bmc");
    params.subject_alt_names.push(SanType::IpAddress(address));
    let certificate = params.self_signed(&key).map_err(|error| failed(&error))?;
    let der = certificate.der().clone();
    let digest = Sha256::digest(&der);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_no_client_auth()
        .with_single_cert(vec![der], key)
        .map_err(|error| failed(&error))?;
    Ok((Arc::new(tls), format!("sha256:{digest}")))
}
