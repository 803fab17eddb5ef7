// SPDX-License-Identifier: Apache-2.0
//! What we show to etcd and whom we believe there: a CA, a certificate with its key, a user with a password. Read once from their
//! files; no password is ever shown.

use super::options::EtcdOptions;
use crate::error::EngineError;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use ureq::tls::{
    Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem,
};

/// Bytes of such a file: a bundle of fifty CAs has a quarter of it.
const FILE_MAX: u64 = 1 << 20;
/// What others may not do with a secret's file.
const OTHERS: u32 = 0o077;

/// A user and a password.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

/// What TLS needs.
pub(super) fn tls(options: &EtcdOptions) -> Result<TlsConfig, EngineError> {
    let mut tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
    if let Some(path) = &options.ca {
        tls = tls.root_certs(RootCerts::Specific(Arc::new(certificates(path)?)));
    }
    if let Some((path, key_path)) = &options.client {
        let own = certificates(path)?;
        let key = PrivateKey::from_pem(&secret(key_path)?)
            .map_err(|_| unusable(key_path, "it holds no private key in PEM"))?;
        // A pair that does not fit is found here, in words, and not at the first call.
        fits(&own, &key).map_err(|said| unusable(path, &said))?;
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&own, key)));
    }
    Ok(tls.build())
}

/// Whether a certificate and a key are one pair.
fn fits(own: &[Certificate<'static>], key: &PrivateKey<'static>) -> Result<(), String> {
    let chain = own.iter().map(|one| one.der().to_vec().into()).collect();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.der().to_vec())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_client_auth_cert(chain, key)
        .map(|_| ())
        .map_err(|error| format!("it does not go with its key: {error}"))
}

/// The user and the password, where the cluster asks for them.
pub(super) fn login(options: &EtcdOptions) -> Result<Option<Login>, EngineError> {
    let Some(path) = &options.login else {
        return Ok(None);
    };
    let text = String::from_utf8(secret(path)?);
    let text = text.map_err(|_| unusable(path, "it is no UTF-8"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line.split_once(':') {
        Some((user, password))
            if !user.is_empty() && !password.is_empty() && !line.contains(char::is_control) =>
        {
            Ok(Some(Login {
                user: user.to_owned(),
                password: password.to_owned(),
            }))
        }
        Some(_) | None => Err(unusable(path, "it is not one line user:password")),
    }
}

/// Every certificate of a file.
fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, EngineError> {
    let bytes = read(path)?;
    let mut found = Vec::new();
    for item in parse_pem(&bytes) {
        match item {
            Ok(PemItem::Certificate(one)) => found.push(one),
            Ok(_) => {}
            Err(error) => return Err(unusable(path, &error.to_string())),
        }
    }
    if found.is_empty() {
        return Err(unusable(path, "it holds no certificate in PEM"));
    }
    Ok(found)
}

/// A file that nobody but its owner may read.
fn secret(path: &Path) -> Result<Vec<u8>, EngineError> {
    let mode = std::fs::metadata(path).map_err(|error| unusable(path, &error.to_string()))?;
    if mode.mode() & OTHERS != 0 {
        return Err(unusable(path, "others may read it: chmod 600"));
    }
    read(path)
}

fn read(path: &Path) -> Result<Vec<u8>, EngineError> {
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| unusable(path, &error.to_string()))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_MAX {
        return Err(unusable(path, "it is longer than 1 MiB"));
    }
    Ok(bytes)
}

fn unusable(path: &Path, said: &str) -> EngineError {
    EngineError::EtcdFile {
        path: path.to_owned(),
        said: said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_login_is_one_line_of_a_file_that_only_its_owner_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("login");
        let read = |text: &[u8], mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let mut options = EtcdOptions::parse("etcd://a").unwrap();
            options.login = Some(path.clone());
            let said = login(&options).map(Option::unwrap);
            said.map(|login| (login.user, login.password))
                .map_err(|error| error.to_string())
        };
        let good = Ok(("root".to_owned(), "a:b ".to_owned()));
        assert_eq!(read(b"root:a:b \r\n", 0o600), good);
        for (text, mode, wants) in [
            (&b"root:secret"[..], 0o640, "others may read it"),
            (b"root", 0o600, "user:password"),
            (b"root:", 0o600, "user:password"),
            (b":secret", 0o600, "user:password"),
            (b"root:sec\nret", 0o600, "user:password"),
            (b"root:\xff", 0o600, "UTF-8"),
        ] {
            let said = read(text, mode).unwrap_err();
            assert!(said.contains(wants), "{said}");
            assert!(!said.contains("sec"), "{said}");
        }
    }

    #[test]
    fn a_file_that_is_no_certificate_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let options = |ca: &Path| EtcdOptions::parse("etcds://a").unwrap().with_ca(ca.into());
        let said = tls(&options(&path)).unwrap_err().to_string();
        assert!(
            said.contains("ca.pem") && said.contains("No such file"),
            "{said}"
        );
        for text in [&b""[..], b"hello", b"-----BEGIN CERTIFICATE-----\n%%\n"] {
            std::fs::write(&path, text).unwrap();
            let said = tls(&options(&path)).unwrap_err().to_string();
            assert!(said.contains("ca.pem cannot be used"), "{said}");
        }
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(FILE_MAX + 1).unwrap();
        let said = tls(&options(&path)).unwrap_err().to_string();
        assert!(said.contains("longer than 1 MiB"), "{said}");
    }
}
