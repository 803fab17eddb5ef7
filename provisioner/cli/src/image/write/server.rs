// SPDX-License-Identifier: Apache-2.0
//! A repository on another machine: its manifests by digest, its channels by what this machine has pinned. It is believed
//! nothing: a manifest is proved by its digest, a channel by signatures, and what was seen once is never gone back behind.

use super::refused;
use super::source::{Given, signers, taken_unsigned};
use crate::client::Refused;
use crate::image::named::{Named, now};
use anyhow::{Context as _, Result, bail};
use groundstate_api::image::Manifest;
use groundstate_api::trust::Signed;
use groundstate_api::view::Problem;
use groundstate_api::{Digest, Reason, ReasonCode, paths};
use image_core::limits::MANIFEST_NODE_MAX;
use image_core::manifest::{parse_as, reference, title};
use image_core::trust::limits::{CATALOGUE_MAX, ROOTS_MAX, SIGNATURE_MAX, SIGNATURES_MAX};
use image_core::trust::{Trusted, trusted};
use image_repo::trust::{Pin, TrustFault};
use maintenance_os::image::{Fixed, Source};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::de::DeserializeOwned;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to answer with a document.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// The longest document with its signatures, in bytes.
const SIGNED_MAX: u64 = 2 * CATALOGUE_MAX.0 + SIGNATURE_MAX.0 * SIGNATURES_MAX as u64;

/// The longest refusal that is read, in bytes.
const PROBLEM_MAX: u64 = 64 << 10;

/// Who asks: certificate and key of a person or program, as PEM.
struct Own {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Own {
    fn read(folder: &Path) -> Result<Self> {
        Ok(Self {
            certificate: read(&folder.join("operator.crt"))?,
            key: read(&folder.join("operator.key"))?,
        })
    }

    fn config(
        &self,
        config: rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert>,
    ) -> Result<rustls::ClientConfig> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.context("operator.crt is no certificate")?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).context("operator.key is no key")?;
        config
            .with_client_auth_cert(chain, key)
            .context("operator.crt and operator.key do not go together")
    }

    fn client_cert(self) -> Result<ureq::tls::ClientCert> {
        let certificate = ureq::tls::Certificate::from_pem(&self.certificate)
            .context("operator.crt is no certificate")?;
        let key = ureq::tls::PrivateKey::from_pem(&self.key).context("operator.key is no key")?;
        Ok(ureq::tls::ClientCert::new_with_certs(&[certificate], key))
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// A server of images.
pub(super) struct Server {
    url: String,
    source: Source,
    agent: ureq::Agent,
    /// Whether it is told who asks.
    is_named: bool,
}

impl Server {
    /// `ca` names the authority of its certificate, `credential` the folder that says who asks.
    pub(super) fn new(url: &str, ca: Option<&Path>, credential: Option<&Path>) -> Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let (source, agent) = Self::connect(&url, ca, credential)?;
        Ok(Self {
            url,
            source,
            agent,
            is_named: credential.is_some(),
        })
    }

    pub(super) fn open(self, pin: &Pin, named: &Named, allow_unsigned: bool) -> Result<Given> {
        let (manifest, signed) = match (named.channel(), named.digest()) {
            (Some(channel), _) => self.of_channel(pin, named.name(), channel)?,
            (None, Some(digest)) => self.of_digest(pin, &digest, allow_unsigned)?,
            (None, None) => bail!(
                "from a server, an image is named NAME@CHANNEL, or by the digest of its manifest, sha256:…; `groundstate \
                 image show {named}` on the server's machine tells it"
            ),
        };
        Ok(Given {
            digest: image_core::manifest::digest(&manifest),
            from: self.url,
            signed,
            sources: Fixed::one(self.source),
            repository: None,
            manifest,
        })
    }

    /// What a channel stands for, by root and catalogue that are believed; how far this machine has come is written down.
    fn of_channel(&self, pin: &Pin, name: &str, channel: &str) -> Result<(Manifest, String)> {
        let choice = format!("{name}@{channel}");
        let fault = |fault: TrustFault| refused(fault.reason(&choice));
        let trusted = self.trusted(pin, &choice)?;
        pin.keep(trusted.seen()).map_err(fault)?;
        let row = trusted
            .channel(name, channel)
            .map_err(|error| fault(error.into()))?;
        let manifest = self.manifest(&row.manifest)?;
        let verified = trusted
            .image_of(
                row,
                &reference(&manifest),
                self.statement(&row.manifest)?.as_ref(),
            )
            .map_err(|error| fault(error.into()))?;
        Ok((manifest, signers(&verified.signers)))
    }

    fn of_digest(
        &self,
        pin: &Pin,
        digest: &Digest,
        allow_unsigned: bool,
    ) -> Result<(Manifest, String)> {
        let manifest = self.manifest(digest)?;
        let title = title(&manifest);
        let verified = self.statement(digest).and_then(|statement| {
            let trusted = self.trusted(pin, &title)?;
            trusted
                .image(&reference(&manifest), statement.as_ref())
                .map_err(|error| refused(TrustFault::from(error).reason(&title)))
        });
        match verified {
            Ok(verified) => Ok((manifest, signers(&verified.signers))),
            Err(error) => match error.downcast::<Refused>() {
                Ok(Refused { reason }) => Ok((manifest, taken_unsigned(reason, allow_unsigned)?)),
                // A server without signatures, an older one perhaps: only where none is asked for.
                Err(error) if allow_unsigned => {
                    Ok((manifest, format!("no; taken by its digest ({error:#})")))
                }
                Err(error) => Err(error),
            },
        }
    }

    /// Root and catalogue of the server that this machine believes.
    fn trusted(&self, pin: &Pin, title: &str) -> Result<Trusted> {
        let fault = |fault: TrustFault| refused(fault.reason(title));
        let pinned = pin.root().map_err(fault)?;
        let mut roots: Vec<Signed> = Vec::new();
        for version in (pinned.version + 1..).take(ROOTS_MAX) {
            let path = paths::TRUST_ROOT.replace("{version}", &version.to_string());
            match self.document(&path)? {
                Some(root) => roots.push(root),
                None => break,
            }
        }
        let catalogue: Option<Signed> = self.document(paths::TRUST_CATALOGUE)?;
        let seen = pin.seen().map_err(fault)?;
        trusted(&pinned, &roots, catalogue.as_ref(), &seen, now())
            .map_err(|error| fault(error.into()))
    }

    fn statement(&self, digest: &Digest) -> Result<Option<Signed>> {
        self.document(&paths::TRUST_IMAGE.replace("{digest}", &digest.hex()))
    }

    fn manifest(&self, digest: &Digest) -> Result<Manifest> {
        let path = paths::IMAGE_MANIFEST.replace("{digest}", &digest.hex());
        let Some(bytes) = self.get(&path, MANIFEST_NODE_MAX.0)? else {
            return Err(refused(Reason::new(
                ReasonCode::ImageMissing,
                format!("{} has no image with the manifest {digest}", self.url),
                "look which images it has: `groundstate image ls` on the server's machine",
            )));
        };
        parse_as(&bytes, digest, MANIFEST_NODE_MAX)
            .with_context(|| format!("the manifest {digest} from {}", self.url))
    }

    fn document<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        let Some(bytes) = self.get(path, SIGNED_MAX)? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{}{path} is not what it should be", self.url))
    }

    /// At most `max` bytes and one more, which whoever reads them then refuses; `None`: it is not there.
    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>> {
        let url = format!("{}{path}", self.url);
        let mut answer = self
            .agent
            .get(&url)
            .call()
            .with_context(|| format!("asking {url}"))?;
        match answer.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status @ (401 | 403) => {
                let mut said = Vec::new();
                let body = answer.body_mut().as_reader();
                body.take(PROBLEM_MAX)
                    .read_to_end(&mut said)
                    .with_context(|| format!("reading {url}"))?;
                return Err(refused(self.not_allowed(path, status, &said)));
            }
            status => bail!("{url} answers with status {status}"),
        }
        let mut bytes = Vec::new();
        answer
            .body_mut()
            .as_reader()
            .take(max + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("reading {url}"))?;
        Ok(Some(bytes))
    }

    /// The server does not give this to who asks.
    fn not_allowed(&self, path: &str, status: u16, said: &[u8]) -> Reason {
        let (who, next) = if self.is_named {
            (
                "whom --from-credential names",
                "ask with a certificate of the role operator, admin or fabric that is not revoked; `groundstate access \
                 issue` on the provisioner's machine makes one",
            )
        } else {
            (
                "who does not say who asks",
                "say --from-credential DIR, or set GROUNDSTATE_CREDENTIAL: the folder with ca.crt, operator.crt and \
                 operator.key of the role operator, admin or fabric (pki/operator in the state directory of groundstate up)",
            )
        };
        let reason = Reason::new(
            ReasonCode::NotAllowed,
            format!("{} gives no images to {who}", self.url),
            next,
        )
        .seen(format!("{path} is answered with status {status}"));
        match serde_json::from_slice::<Problem>(said) {
            Ok(problem) => reason.seen(problem.reason.what),
            Err(_) => reason,
        }
        .then("nothing: no disk is touched")
    }

    fn connect(
        server: &str,
        ca: Option<&Path>,
        credential: Option<&Path>,
    ) -> Result<(Source, ureq::Agent)> {
        if server.starts_with("http://") {
            // Every byte is proved by the digest that was typed, whoever brings it.
            let agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_global(Some(ANSWER_MAX))
                .max_redirects(0)
                .build()
                .new_agent();
            return Ok((Source::plain(server), agent));
        }
        if !server.starts_with("https://") {
            bail!("--from: {server:?} should begin with https://");
        }
        let of_credential = credential.map(|folder| folder.join("ca.crt"));
        let Some(ca) = ca.or(of_credential.as_deref()) else {
            bail!(
                "--from {server} needs --ca FILE, the certificate that the server's is checked by, or --from-credential \
                 DIR, the folder that has it as ca.crt"
            );
        };
        let own = credential.map(Own::read).transpose()?;
        let pem = read(ca)?;
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate =
                certificate.with_context(|| format!("{} is no certificate", ca.display()))?;
            roots
                .add(certificate)
                .with_context(|| format!("{} is no certificate", ca.display()))?;
        }
        if roots.is_empty() {
            bail!("{} has no certificate in it", ca.display());
        }
        let config = rustls::ClientConfig::builder().with_root_certificates(roots);
        let config = match &own {
            Some(own) => own.config(config)?,
            None => config.with_no_client_auth(),
        };
        let first = ureq::tls::Certificate::from_pem(&pem)
            .with_context(|| format!("{} is no certificate", ca.display()))?;
        let tls = ureq::tls::TlsConfig::builder()
            .provider(ureq::tls::TlsProvider::Rustls)
            .root_certs(ureq::tls::RootCerts::new_with_certs(&[first]))
            .client_cert(own.map(Own::client_cert).transpose()?)
            .build();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(tls)
            .https_only(true)
            .max_redirects(0)
            .timeout_global(Some(ANSWER_MAX))
            .build()
            .new_agent();
        Ok((Source::with_tls(server, Arc::new(config)), agent))
    }
}
