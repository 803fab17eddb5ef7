// SPDX-License-Identifier: Apache-2.0
//! The server's certificate: every name and address that it is called by, and whether the one that is there still has them.

use super::{PkiError, SERVICE_LIFE, named, roots};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

/// By what names the server is called, each once.
pub(super) fn server_names(address: Ipv4Addr, names: &[String]) -> Vec<String> {
    let ours = [address.to_string(), Ipv4Addr::LOCALHOST.to_string()];
    let mut all: Vec<String> = ours.into_iter().chain(["localhost".to_owned()]).collect();
    for name in names {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

pub(super) fn server_params(names: &[String]) -> Result<CertificateParams, PkiError> {
    let mut params = named("Groundstate provisioner", SERVICE_LIFE);
    let san = |name: &String| match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => name.as_str().try_into().map(SanType::DnsName),
    };
    let names = names.iter().map(san).collect::<Result<_, _>>();
    params.subject_alt_names = names.map_err(PkiError::Make)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Whether the certificate is there, is signed by this CA, has not expired, and is the server's with all these names; or, without
/// names, a client's.
pub(super) fn still_good(path: &Path, ca_pem: &str, names: Option<&[String]>) -> bool {
    let Ok(certificate) = CertificateDer::from_pem_file(path) else {
        return false;
    };
    let Ok(roots) = roots(ca_pem) else {
        return false;
    };
    let (roots, now) = (Arc::new(roots), UnixTime::now());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let Some(names) = names else {
        return WebPkiClientVerifier::builder_with_provider(roots, provider)
            .build()
            .is_ok_and(|ours| ours.verify_client_cert(&certificate, &[], now).is_ok());
    };
    let Ok(ours) = WebPkiServerVerifier::builder_with_provider(roots, provider).build() else {
        return false;
    };
    names.iter().all(|name| {
        ServerName::try_from(name.as_str()).is_ok_and(|name| {
            ours.verify_server_cert(&certificate, &[], &name, &[], now)
                .is_ok()
        })
    })
}
