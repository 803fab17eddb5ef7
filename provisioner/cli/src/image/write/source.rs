// SPDX-License-Identifier: Apache-2.0
//! Where the image comes from: this machine's repository, or a server by the digest of the manifest; and who signed it.

use super::refused;
use crate::image::named::{Named, now};
use crate::image::state::StateArgs;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use groundstate_api::image::{Chunk, Manifest};
use groundstate_api::trust::ImageChoice;
use groundstate_api::{Digest, Reason, paths};
use image_core::limits::MANIFEST_NODE_MAX;
use image_core::manifest::{parse_as, reference, title};
use image_repo::Repository;
use image_repo::trust::{Pin, resolve, verify};
use maintenance_os::image::{ChunkSource, Fixed, Source};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to answer with a manifest.
const ANSWER_MAX: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(crate) struct FromArgs {
    /// Take the image from this server instead of the repository on this machine: https://HOST:PORT.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The certificate of the authority that the server's certificate is of.
    #[arg(long, value_name = "FILE", requires = "from")]
    ca: Option<PathBuf>,
}

/// An image, and who gives its chunks.
pub(super) struct Given {
    pub(super) manifest: Manifest,
    pub(super) digest: Digest,
    /// For people: from where.
    pub(super) from: String,
    /// For people: who signed it.
    pub(super) signed: String,
    pub(super) sources: Fixed,
    /// The repository, where it is on this machine.
    pub(super) repository: Option<Arc<Repository>>,
}

/// The chunks of a repository of this machine.
struct Local(Arc<Repository>);

impl ChunkSource for Local {
    fn stored(&self, chunk: &Chunk, into: &mut Vec<u8>) -> io::Result<()> {
        self.0.read_stored(chunk, into)
    }
}

impl FromArgs {
    pub(super) fn open(
        &self,
        state: &StateArgs,
        named: &Named,
        allow_unsigned: bool,
    ) -> Result<Given> {
        match &self.from {
            None => local(state, named, allow_unsigned),
            Some(server) => self.remote(server, named, allow_unsigned),
        }
    }

    fn remote(&self, server: &str, named: &Named, allow_unsigned: bool) -> Result<Given> {
        let server = server.trim_end_matches('/');
        let Some(digest) = named.digest() else {
            bail!(
                "from a server, an image is named by the digest of its manifest, sha256:…; `groundstate image show {named}` \
                 on the server's machine tells it"
            );
        };
        if !allow_unsigned {
            return Err(refused(
                Reason::new(
                    groundstate_api::ReasonCode::ImageMissing,
                    format!("who signed {digest} is not known on this machine"),
                    "copy the image into this machine's repository with its signatures, or say --allow-unsigned",
                )
                .seen(format!("taken from {server}")),
            ));
        }
        let (source, agent) = self.connect(server)?;
        let url = format!(
            "{server}{}",
            paths::IMAGE_MANIFEST.replace("{digest}", &digest.to_string())
        );
        let mut answer = agent
            .get(&url)
            .call()
            .with_context(|| format!("asking {url}"))?;
        let mut bytes = Vec::new();
        answer
            .body_mut()
            .as_reader()
            .take(MANIFEST_NODE_MAX.0 + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("reading {url}"))?;
        let manifest = parse_as(&bytes, &digest, MANIFEST_NODE_MAX)
            .with_context(|| format!("the manifest from {url}"))?;
        Ok(Given {
            manifest,
            digest,
            from: server.to_owned(),
            signed: "by nobody that is known here; taken by its digest".to_owned(),
            sources: Fixed::one(source),
            repository: None,
        })
    }

    fn connect(&self, server: &str) -> Result<(Source, ureq::Agent)> {
        if server.starts_with("http://") {
            // Every byte is proved by the digest that was typed, whoever brings it.
            let agent = ureq::Agent::config_builder()
                .timeout_global(Some(ANSWER_MAX))
                .max_redirects(0)
                .build()
                .new_agent();
            return Ok((Source::plain(server), agent));
        }
        if !server.starts_with("https://") {
            bail!("--from: {server:?} should begin with https://");
        }
        let Some(ca) = &self.ca else {
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
            .tls_config(tls)
            .https_only(true)
            .max_redirects(0)
            .timeout_global(Some(ANSWER_MAX))
            .build()
            .new_agent();
        Ok((Source::with_tls(server, Arc::new(config)), agent))
    }
}

fn local(state: &StateArgs, named: &Named, allow_unsigned: bool) -> Result<Given> {
    let repository = state.find()?;
    let pin = Pin::of_state(&state.state_dir);
    let (image, signed) = match named.channel() {
        Some(channel) => {
            let choice = ImageChoice {
                name: named.name().to_owned(),
                channel: Some(channel.to_owned()),
            };
            let verified = resolve(&repository, &choice, &pin, now())
                .map_err(|fault| refused(fault.reason(&choice.to_string())))?;
            (verified.image, signers(&verified.signers))
        }
        None => {
            let image = named.find(&repository)?;
            let verified = verify(&repository, &image, &pin, now());
            let signed = match verified {
                Ok(verified) => signers(&verified.signers),
                Err(fault) if allow_unsigned => {
                    let why = fault.reason(&format!("{} {}", image.name, image.version));
                    format!("no; taken all the same ({})", why.what)
                }
                Err(fault) => {
                    let mut reason = fault.reason(&format!("{} {}", image.name, image.version));
                    reason
                        .evidence
                        .push("--allow-unsigned takes an image that nobody signed".to_owned());
                    return Err(refused(reason));
                }
            };
            (image, signed)
        }
    };
    let manifest = repository.manifest(&image.manifest)?;
    debug_assert_eq!(reference(&manifest), image, "{}", title(&manifest));
    let repository = Arc::new(repository);
    Ok(Given {
        digest: image.manifest,
        from: format!("the repository in {}", state.folder().display()),
        signed,
        sources: Fixed::local(Arc::new(Local(repository.clone()))),
        repository: Some(repository),
        manifest,
    })
}

fn signers(keys: &[groundstate_api::trust::KeyId]) -> String {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    format!("by {}", keys.join(", "))
}
