// SPDX-License-Identifier: Apache-2.0
//! The same way over TLS: the site's authority opens it, another one closes it at once.

use crate::rig::{fetch_blob, says};
use groundstate_api::image::Blob;
use groundstate_api::{Bytes, Digest, ReasonCode};
use maintenance_os::image::Source;
use rcgen::{CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Answers every GET with `body`, under a certificate of `authority` that is valid in the years given.
fn server(authority: &Authority, years: (i32, i32), client: bool, body: &'static [u8]) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_string()]).unwrap();
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let certificate = params.signed_by(&key, authority).unwrap();
    let builder = rustls::ServerConfig::builder();
    let builder = if client {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from(authority.der().to_vec()))
            .unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots));
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = Arc::new(
        builder
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut tls = rustls::StreamOwned::new(connection, stream.unwrap());
            let mut request = [0; 4096];
            // A client that does not like the certificate hangs up here; that is what is tested.
            if tls.read(&mut request).is_ok_and(|count| count > 0) {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = tls.write_all(&[head.as_bytes(), body].concat());
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    base
}

fn source(base: String, trusted: &Authority) -> Source {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from(trusted.der().to_vec()))
        .unwrap();
    let tls = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Source::with_tls(base, Arc::new(tls))
}

#[test]
fn only_the_sites_authority_is_trusted_and_a_wrong_one_is_not_waited_for() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (ours, another) = (authority("this site"), authority("another site"));
    let body = b"kernel";
    let blob = Blob {
        length: Bytes(6),
        digest: Digest::of(body),
    };
    let fetch = |base: String| {
        fetch_blob(&source(base, &ours), &blob, "the kernel", &mut |moved| {
            assert!(
                !matches!(moved, maintenance_os::image::Moved::Waiting(_)),
                "{moved:?}"
            );
        })
    };
    assert_eq!(
        fetch(server(&ours, (2020, 2100), false, body)).unwrap(),
        body
    );
    for (base, code, word) in [
        (
            server(&another, (2020, 2100), false, body),
            ReasonCode::TlsRefused,
            "not of this site",
        ),
        (
            server(&ours, (2020, 2021), false, body),
            ReasonCode::ClockWrong,
            "xpired",
        ),
        (
            server(&ours, (2090, 2100), false, body),
            ReasonCode::ClockWrong,
            "set the clocks",
        ),
        (
            server(&ours, (2020, 2100), true, body),
            ReasonCode::TlsRefused,
            "does not accept this machine",
        ),
    ] {
        let reason = fetch(base).unwrap_err();
        assert_eq!(reason.code, code, "{reason}");
        says(&reason, &[word]);
    }
}
