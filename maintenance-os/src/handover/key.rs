// SPDX-License-Identifier: Apache-2.0
//! Makes a key on this machine, and a request for a certificate that proves possession of it.

use groundstate_api::{Reason, ReasonCode};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};

/// A fresh P-256 key (PKCS #8, PEM) and a certificate signing request for it (PKCS #10, PEM). The key is never logged
/// and never leaves the machine but for the host's own disk.
///
/// # Errors
/// The system has no entropy, or the library refused.
pub fn make_key_and_csr(common_name: &str) -> Result<(String, String), Reason> {
    let refused = |error: rcgen::Error| {
        Reason::new(
            ReasonCode::Internal,
            "a key and a certificate request could not be made",
            "restart the machine; if it happens again, report it with the node's log",
        )
        .seen(error.to_string())
    };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(refused)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let request = params
        .serialize_request(&key)
        .and_then(|request| request.pem())
        .map_err(refused)?;
    Ok((key.serialize_pem(), request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateSigningRequestParams, PublicKeyData as _};

    #[test]
    fn the_request_is_for_that_key_and_name_and_every_key_is_new() {
        let (key_pem, csr_pem) = make_key_and_csr("host:node1:plan").unwrap();
        let request = CertificateSigningRequestParams::from_pem(&csr_pem).unwrap();
        let name = request.params.distinguished_name.get(&DnType::CommonName);
        assert_eq!(
            name,
            Some(&rcgen::DnValue::Utf8String("host:node1:plan".into()))
        );
        let key = KeyPair::from_pem(&key_pem).unwrap();
        assert_eq!(request.public_key.der_bytes(), key.der_bytes());
        assert_ne!(make_key_and_csr("host:node1:plan").unwrap().0, key_pem);
    }
}
