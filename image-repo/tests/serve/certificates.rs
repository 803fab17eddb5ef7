// SPDX-License-Identifier: Apache-2.0
//! TLS: who has a certificate of the authority comes in, with curl as the peer.

use crate::server::{Bench, Server};
use image_repo::ServeConfig;
use image_repo::serve::{ServeOptions, ServeTlsError, tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub(crate) fn authority(dir: &Path, name: &str) -> (CertifiedIssuer<'static, KeyPair>, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    // A certificate with its authority's own name would be taken for a self-signed one.
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let path = dir.join(format!("{name}.pem"));
    std::fs::write(&path, issuer.pem()).unwrap();
    (issuer, path)
}

pub(crate) fn leaf(
    dir: &Path,
    name: &str,
    by: &CertifiedIssuer<'static, KeyPair>,
) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    let paths = (
        dir.join(format!("{name}.crt")),
        dir.join(format!("{name}.key")),
    );
    std::fs::write(&paths.0, certificate.pem()).unwrap();
    std::fs::write(&paths.1, key.serialize_pem()).unwrap();
    paths
}

#[test]
fn only_holders_of_a_certificate_come_in_where_that_is_asked() {
    let bench = Bench::new();
    let dir = bench.dir.path();
    let (ours, ca) = authority(dir, "ca");
    let (other, _) = authority(dir, "other");
    let (certificate, key) = leaf(dir, "server", &ours);
    let node = leaf(dir, "node", &ours);
    let stranger = leaf(dir, "stranger", &other);
    let config = tls(&certificate, &key, Some(&ca)).unwrap();
    let server = Server::with(ServeOptions {
        repository: Arc::clone(&bench.repository),
        config: ServeConfig::default(),
        tls: Some(config),
    });
    let (path, bytes) = &bench.objects()[0];
    let url = format!("https://{}{path}", server.address);
    let curl = |with: Option<&(PathBuf, PathBuf)>| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "--noproxy", "*", "--max-time", "30", "--cacert"])
            .arg(&ca);
        if let Some((certificate, key)) = with {
            curl.arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        curl.arg(&url).output().unwrap()
    };
    let taken = curl(Some(&node));
    assert!(taken.status.success() && taken.stdout == *bytes);
    for refused in [curl(None), curl(Some(&stranger))] {
        assert!(!refused.status.success() && refused.stdout.is_empty());
    }
    let odd = tls(&certificate, &node.1, None).unwrap_err();
    assert!(matches!(odd, ServeTlsError::Unusable { .. }), "{odd}");
    let none = tls(&key, &key, None).unwrap_err();
    assert!(matches!(none, ServeTlsError::Read { .. }), "{none}");
}
