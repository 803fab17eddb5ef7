// SPDX-License-Identifier: Apache-2.0
//! The site's own certificate authority. Made at the first start, kept in the state directory, never sent anywhere.
//!
//! Of a certificate signing request only the public key is taken: every name in a certificate is ours.

mod access;
mod server;

pub use access::{Access, AccessError, Issued};

use groundstate_api::erase::SignedErase;
use groundstate_api::fan_out::peer_name;
use groundstate_api::site::Site;
use groundstate_api::{Digest, NodeId, PlanId, RunId};
use prov_core::Peer;
use prov_core::access::FIRST_NAME;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKey,
    PublicKeyData as _, SanType, SigningKey as _,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use server::{server_names, server_params, still_good};
use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use time::{Duration, OffsetDateTime};

/// How far back a certificate begins. A server's hardware clock that was set to local time is up to 14 hours off, and a
/// drained battery's worth of drift must not stop a run that the node would otherwise survive.
const BACKDATED: Duration = Duration::days(2);
/// The site CA outlives the hardware that it enrols.
const CA_LIFE: Duration = Duration::days(3_650);
/// Server and operator certificates; re-issued at the next start after they expired.
const SERVICE_LIFE: Duration = Duration::days(730);
/// A run's certificate: longer than the slowest run with its waits, shorter than anybody's memory of it.
const RUN_LIFE: Duration = Duration::hours(24);
/// A certificate of a run that erases: a disk of 30 TB at 80 MB a second takes four and a half days.
const ERASE_LIFE: Duration = Duration::days(10);
/// A host's certificate: as long as the CA that signs it. It is not renewed, so a shorter life would only silence hosts
/// that run well; a host that was replaced is refused because of its plan, not because of its age.
const HOST_LIFE: Duration = CA_LIFE;

/// The CA with the server's and the operator's certificates.
pub struct Pki {
    dir: PathBuf,
    ca_pem: String,
    access: Access,
    issuer: Issuer<'static, KeyPair>,
    /// Held while an erase is signed: two disks that end at once must not both make the signer's key.
    signing: Mutex<()>,
    /// Names of the server beside the site's address: where this one of several provisioners is.
    names: Vec<String>,
    server_chain: Vec<CertificateDer<'static>>,
    server_key: PrivateKeyDer<'static>,
}

/// A public key out of a certificate signing request whose signature was right.
pub struct ProvenKey {
    key: PublicKey,
}

impl ProvenKey {
    /// Reads a PKCS #10 request in PEM and checks that it is signed by its own key.
    ///
    /// # Errors
    /// Where the text is no request, or the signature is wrong.
    pub fn from_csr(pem: &str) -> Result<Self, PkiError> {
        let request = CertificateSigningRequestParams::from_pem(pem).map_err(PkiError::Request)?;
        Ok(Self {
            key: request.public_key,
        })
    }

    /// `sha256:…` of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn digest(&self) -> String {
        Digest::of(&self.key.subject_public_key_info()).to_string()
    }
}

impl Pki {
    /// Reads the certificates of `state_dir/pki`, and makes what is missing. The server's certificate is made anew when
    /// it has expired, names another address, or is not of this CA; the operator's likewise. A CA is made only where
    /// there is nothing: a directory that was restored in part must not become another site in silence.
    ///
    /// # Errors
    /// Where a file cannot be read, written or understood, or the CA's certificate is missing among others.
    pub fn open(state_dir: &Path, site: &Site) -> Result<Self, PkiError> {
        Self::open_as(state_dir, site, &[])
    }

    /// The same for a server that has these names and addresses beside the site's: one of several.
    ///
    /// # Errors
    /// As [`Self::open`], and where a name is none.
    pub fn open_as(state_dir: &Path, site: &Site, names: &[String]) -> Result<Self, PkiError> {
        let dir = state_dir.join("pki");
        let (ca_path, ca_key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
        if !ca_path.exists() {
            let found = files_in(&dir)?;
            if !found.is_empty() {
                return Err(PkiError::Partial {
                    missing: ca_path,
                    found: found.join(", "),
                });
            }
            first_start(state_dir, &dir, &site.name)?;
        }
        make_private_dir(&dir.join("operator"))?;
        let ca_pem = read(&ca_path)?;
        let ca_key = KeyPair::from_pem(&read(&ca_key_path)?).map_err(|source| PkiError::Key {
            path: ca_key_path,
            source,
        })?;
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, ca_key).map_err(|source| PkiError::Key {
            path: ca_path,
            source,
        })?;
        let all = server_names(site.network.address, names);
        let server = dir.join("server.crt");
        if !still_good(&server, &ca_pem, Some(&all)) {
            service(
                &issuer,
                &server,
                &dir.join("server.key"),
                server_params(&all)?,
            )?;
        }
        let operator = dir.join("operator/operator.crt");
        if !still_good(&operator, &ca_pem, None) {
            let params = client_params(&first_client(), SERVICE_LIFE);
            service(
                &issuer,
                &operator,
                &dir.join("operator/operator.key"),
                params,
            )?;
        }
        write_public(&dir.join("operator/ca.crt"), &ca_pem)?;
        let (server_chain, server_key) = load(&server, &dir.join("server.key"))?;
        Ok(Self {
            access: Access::of(&dir),
            dir,
            ca_pem,
            issuer,
            signing: Mutex::new(()),
            names: names.to_vec(),
            server_chain,
            server_key,
        })
    }

    /// Serves with a certificate for this address from now on.
    pub(crate) fn serve_at(&mut self, address: Ipv4Addr) -> Result<(), PkiError> {
        let (server, key) = self.server_files();
        let all = server_names(address, &self.names);
        if !still_good(&server, &self.ca_pem, Some(&all)) {
            service(&self.issuer, &server, &key, server_params(&all)?)?;
        }
        (self.server_chain, self.server_key) = load(&server, &key)?;
        Ok(())
    }

    /// The site CA, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The state directory that these certificates lie in.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        self.dir.parent().unwrap_or(&self.dir)
    }

    /// The server's certificate and its key, each PEM.
    #[must_use]
    pub fn server_files(&self) -> (PathBuf, PathBuf) {
        (self.dir.join("server.crt"), self.dir.join("server.key"))
    }

    /// The certificates of people and programs: which were issued, and which were revoked.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The directory with `ca.crt`, `operator.crt` and `operator.key`.
    #[must_use]
    pub fn operator_dir(&self) -> PathBuf {
        self.dir.join("operator")
    }

    /// Signs a maintenance OS's key for one run of one node.
    ///
    /// # Errors
    /// Where the certificate cannot be made.
    pub fn sign_node(
        &self,
        node: &NodeId,
        run: &RunId,
        key: &ProvenKey,
    ) -> Result<String, PkiError> {
        self.sign_run((node, run), RUN_LIFE, key)
    }

    /// The same for a run that erases disks: overwriting a large one takes days, and its record must still be heard.
    ///
    /// # Errors
    /// As [`Self::sign_node`].
    pub(crate) fn sign_eraser(
        &self,
        node: &NodeId,
        run: &RunId,
        key: &ProvenKey,
    ) -> Result<String, PkiError> {
        self.sign_run((node, run), ERASE_LIFE, key)
    }

    /// Signs a host's key for one plan of one node.
    ///
    /// # Errors
    /// Where the certificate cannot be made.
    pub fn sign_host(
        &self,
        node: &NodeId,
        plan: &PlanId,
        key: &ProvenKey,
    ) -> Result<String, PkiError> {
        let peer = Peer::Host {
            node: node.clone(),
            plan: plan.clone(),
            key: key.digest(),
        };
        self.sign(&peer, HOST_LIFE, key)
    }

    /// Signs an erase certificate's text: the signature in DER, and the signer's certificate. The signer's key is made at the
    /// first erase.
    ///
    /// # Errors
    /// Where the key or its certificate cannot be read, made or used.
    pub(crate) fn sign_erase(&self, text: &[u8]) -> Result<(Vec<u8>, String), PkiError> {
        let _one_at_a_time = self.signing.lock().unwrap_or_else(PoisonError::into_inner);
        let (certificate, key) = (self.dir.join("erase.crt"), self.dir.join("erase.key"));
        if !certificate.exists() {
            let mut params = named(crate::erase::SIGNER, CA_LIFE);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.use_authority_key_identifier_extension = true;
            service(&self.issuer, &certificate, &key, params)?;
        }
        let refused = |source| PkiError::Key {
            path: key.clone(),
            source,
        };
        let pair = KeyPair::from_pem(&read(&key)?).map_err(refused)?;
        let signature = pair.sign(text).map_err(refused)?;
        Ok((signature, read(&certificate)?))
    }

    /// Keeps a certificate's files beside the journal, in `certificates/NODE`.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub(crate) fn keep_erase(
        &self,
        node: &NodeId,
        run: &RunId,
        serial: &str,
        signed: &SignedErase,
    ) -> Result<(), PkiError> {
        let state = self.dir.parent().unwrap_or(&self.dir);
        let dir = state.join("certificates").join(node.as_str());
        crate::erase::write_files(&dir, &crate::erase::file_name(run, serial), signed)
    }

    fn sign_run(
        &self,
        (node, run): (&NodeId, &RunId),
        life: Duration,
        key: &ProvenKey,
    ) -> Result<String, PkiError> {
        let peer = Peer::Node {
            node: node.clone(),
            run: run.clone(),
            key: key.digest(),
        };
        self.sign(&peer, life, key)
    }

    fn sign(&self, peer: &Peer, life: Duration, key: &ProvenKey) -> Result<String, PkiError> {
        let params = match peer {
            Peer::Node { node, .. } => node_params(peer, node, life)?,
            Peer::Anyone | Peer::Host { .. } | Peer::Client { .. } => client_params(peer, life),
        };
        let certificate = params
            .signed_by(&key.key, &self.issuer)
            .map_err(PkiError::Make)?;
        Ok(certificate.pem())
    }

    /// TLS for the API: our certificate, and a client certificate of this site where the caller has one.
    ///
    /// # Errors
    /// Where rustls does not accept our own files.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, PkiError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = roots(&self.ca_pem)?;
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(PkiError::Verifier)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(PkiError::Tls)?
            .with_client_cert_verifier(clients)
            .with_single_cert(self.server_chain.clone(), self.server_key.clone_key())
            .map_err(PkiError::Tls)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A host that reports every few seconds on a new connection resumes its session: a ticket, kept by the host. Which
        // certificate it showed is in the ticket, and whether it still counts is asked at each request.
        config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(PkiError::Tls)?;
        config.send_tls13_tickets = 1;
        Ok(Arc::new(config))
    }
}

/// Who holds this certificate, by its common name and its key. The TLS layer has checked the signature before.
#[must_use]
pub fn peer_of(certificate: &CertificateDer<'_>) -> Option<Peer> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let mut names = parsed.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?;
    // One name, or none: a certificate with two is not one of ours.
    names
        .next()
        .is_none()
        .then(|| Peer::from_common_name(name, &Digest::of(parsed.public_key().raw).to_string()))
        .flatten()
}

/// Who the provisioner's own machine is: an admin.
fn first_client() -> Peer {
    Peer::Client {
        role: groundstate_api::site_parts::Role::Admin,
        name: FIRST_NAME.to_owned(),
        key: String::new(),
    }
}

fn new_key() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(PkiError::Make)
}

fn named(common_name: &str, life: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACKDATED;
    params.not_after = now + life;
    params
}

fn ca_params(site: &str) -> CertificateParams {
    let mut params = named(&format!("Groundstate site CA of {site}"), CA_LIFE);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn client_params(peer: &Peer, life: Duration) -> CertificateParams {
    let mut params = named(&peer.common_name().unwrap_or_default(), life);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params
}

/// A maintenance OS calls, and serves what it has of an image to the others: they know it by the name of its node.
fn node_params(peer: &Peer, node: &NodeId, life: Duration) -> Result<CertificateParams, PkiError> {
    let mut params = client_params(peer, life);
    let name = peer_name(node).try_into().map_err(PkiError::Make)?;
    params.subject_alt_names = vec![SanType::DnsName(name)];
    params
        .extended_key_usages
        .push(ExtendedKeyUsagePurpose::ServerAuth);
    Ok(params)
}

/// Makes a key and its certificate.
fn service(
    issuer: &Issuer<'static, KeyPair>,
    certificate: &Path,
    key_path: &Path,
    params: CertificateParams,
) -> Result<(), PkiError> {
    let key = new_key()?;
    let signed = params.signed_by(&key, issuer).map_err(PkiError::Make)?;
    write_private(key_path, &key.serialize_pem())?;
    write_public(certificate, &signed.pem())
}

/// Makes the CA beside and renames the directory, so that a power cut leaves nothing or the whole of it.
fn first_start(state_dir: &Path, dir: &Path, site: &str) -> Result<(), PkiError> {
    let beside = state_dir.join("pki.new");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PkiError::File { path, source }
    };
    if beside.exists() {
        fs::remove_dir_all(&beside).map_err(failed(&beside))?;
    }
    if dir.exists() {
        // It holds no file; a directory can be renamed over an empty one only.
        fs::remove_dir_all(dir).map_err(failed(dir))?;
    }
    make_private_dir(&beside)?;
    let key = new_key()?;
    let ca = ca_params(site).self_signed(&key).map_err(PkiError::Make)?;
    write_private(&beside.join("ca.key"), &key.serialize_pem())?;
    write_public(&beside.join("ca.crt"), &ca.pem())?;
    fs::rename(&beside, dir).map_err(failed(dir))?;
    let parent = fs::File::open(state_dir).map_err(failed(state_dir))?;
    parent.sync_all().map_err(failed(state_dir))
}

/// The files of the directory and of those in it, by their paths in it; none where there is no directory.
fn files_in(dir: &Path) -> Result<Vec<String>, PkiError> {
    let (mut found, mut left) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(next) = left.pop() {
        let failed = |source| PkiError::File {
            path: next.clone(),
            source,
        };
        let entries = match fs::read_dir(&next) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_dir() {
                left.push(entry.path());
            } else {
                let path = entry.path();
                let path = path.strip_prefix(dir).unwrap_or(&path);
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The CA as the only authority.
fn roots(ca_pem: &str) -> Result<RootCertStore, PkiError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|e| PkiError::Pem(PathBuf::from("ca.crt"), e))?;
        roots.add(certificate).map_err(PkiError::Tls)?;
    }
    Ok(roots)
}

type Credential = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn load(certificate: &Path, key: &Path) -> Result<Credential, PkiError> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| PkiError::Pem(certificate.to_owned(), e))?;
    let key_der =
        PrivateKeyDer::from_pem_file(key).map_err(|e| PkiError::Pem(key.to_owned(), e))?;
    Ok((chain, key_der))
}

fn read(path: &Path) -> Result<String, PkiError> {
    fs::read_to_string(path).map_err(|source| PkiError::File {
        path: path.to_owned(),
        source,
    })
}

fn make_private_dir(path: &Path) -> Result<(), PkiError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| PkiError::File {
            path: path.to_owned(),
            source,
        })
}

fn write_private(path: &Path, text: &str) -> Result<(), PkiError> {
    write(path, text, 0o600)
}

fn write_public(path: &Path, text: &str) -> Result<(), PkiError> {
    write(path, text, 0o644)
}

/// Writes beside and renames, so that a power cut leaves the old file or the new one.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), PkiError> {
    let failed = |source| PkiError::File {
        path: path.to_owned(),
        source,
    };
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}

/// Why a certificate cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The CA's certificate is missing among files that it signed: a restore that is not whole.
    #[error(
        "{missing} is missing, but there is {found}: restore the whole directory, or move these files away to begin a new site"
    )]
    Partial {
        /// The file that is missing.
        missing: PathBuf,
        /// The files that are there.
        found: String,
    },
    /// A key or the CA's certificate is not what we wrote.
    #[error("{path} is not a key or certificate of ours: {source}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rcgen::Error,
    },
    /// A PEM file.
    #[error("{0}: {1}")]
    Pem(PathBuf, #[source] rustls_pki_types::pem::Error),
    /// A certificate could not be made.
    #[error("a certificate cannot be made: {0}")]
    Make(#[source] rcgen::Error),
    /// A signing request is wrong: the caller's fault.
    #[error("the certificate signing request cannot be accepted: {0}")]
    Request(#[source] rcgen::Error),
    /// rustls refuses our files.
    #[error("TLS: {0}")]
    Tls(#[source] rustls::Error),
    /// The client verifier cannot be built.
    #[error("TLS client verification: {0}")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}
