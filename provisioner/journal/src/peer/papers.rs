// SPDX-License-Identifier: Apache-2.0
//! Certificates of a cluster on loopback, made for one test and gone with its folder.

use crate::etcd::EtcdOptions;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair,
};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// PEM files.
#[derive(Clone, Debug)]
pub struct Papers {
    /// The CA of the servers and of the clients.
    pub ca: PathBuf,
    /// The servers' certificate and its key.
    pub server: (PathBuf, PathBuf),
    /// A client's certificate and its key.
    pub client: (PathBuf, PathBuf),
    /// A CA that signed nothing of this cluster.
    pub other_ca: PathBuf,
    /// A client's certificate of that one, and its key.
    pub other_client: (PathBuf, PathBuf),
}

impl Papers {
    /// Makes them.
    pub(super) fn write(dir: &Path) -> Self {
        let (ca, issuer) = authority(dir, "ca");
        let (other_ca, other_issuer) = authority(dir, "other-ca");
        Self {
            ca,
            // etcd's gateway shows the server's certificate to its own server: it must do for both.
            server: signed(dir, "server", &issuer),
            client: signed(dir, "client", &issuer),
            other_ca,
            other_client: signed(dir, "other-client", &other_issuer),
        }
    }

    /// With the right CA and the right certificate.
    #[must_use]
    pub fn over(&self, options: EtcdOptions) -> EtcdOptions {
        let mut options = options.with_ca(self.ca.clone());
        options.client = Some(self.client.clone());
        options
    }
}

fn authority(dir: &Path, name: &str) -> (PathBuf, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.distinguished_name = called(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    let path = dir.join(format!("{name}.pem"));
    write(&path, &certificate.pem());
    (path, Issuer::new(params, key))
}

fn signed(dir: &Path, name: &str, by: &Issuer<'static, KeyPair>) -> (PathBuf, PathBuf) {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name = called(name);
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, by).expect("a certificate");
    let (path, key_path) = (
        dir.join(format!("{name}.pem")),
        dir.join(format!("{name}-key.pem")),
    );
    write(&path, &certificate.pem());
    write(&key_path, &key.serialize_pem());
    (path, key_path)
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

fn write(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut open = std::fs::OpenOptions::new();
    let file = open
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.expect("a file of the test");
}
