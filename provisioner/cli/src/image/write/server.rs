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
use groundstate_api::{Digest, Reason, ReasonCode, paths};
use image_core::limits::MANIFEST_NODE_MAX;
use image_core::manifest::{parse_as, reference, title};
use image_core::trust::limits::{CATALOGUE_MAX, ROOTS_MAX, SIGNATURE_MAX, SIGNATURES_MAX};
use image_core::trust::{Trusted, trusted};
use image_repo::trust::{Pin, TrustFault};
use maintenance_os::image::{Fixed, Source};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::de::DeserializeOwned;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to answer with a document.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// The longest document with its signatures, in bytes.
const SIGNED_MAX: u64 = 2 * CATALOGUE_MAX.0 + SIGNATURE_MAX.0 * SIGNATURES_MAX as u64;

/// A server of images.
pub(super) struct Server {
    url: String,
    source: Source,
    agent: ureq::Agent,
}

impl Server {
    pub(super) fn new(url: &str, ca: Option<&Path>) -> Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let (source, agent) = Self::connect(&url, ca)?;
        Ok(Self { url, source, agent })
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

    fn connect(server: &str, ca: Option<&Path>) -> Result<(Source, ureq::Agent)> {
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
        let Some(ca) = ca else {
            bail!(
                "--from {server} needs --ca FILE: the certificate that the server's is checked by"
            );
        };
        let pem = std::fs::read(ca).with_context(|| format!("{} cannot be read", ca.display()))?;
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
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let first = ureq::tls::Certificate::from_pem(&pem)
            .with_context(|| format!("{} is no certificate", ca.display()))?;
        let tls = ureq::tls::TlsConfig::builder()
            .provider(ureq::tls::TlsProvider::Rustls)
            .root_certs(ureq::tls::RootCerts::new_with_certs(&[first]))
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
