// SPDX-License-Identifier: Apache-2.0
//! A server of images: a provisioner, `image serve`, or whatever gives a bucket's objects out by HTTP.

use super::{Origin, trouble};
use crate::client::Refused;
use anyhow::{Context as _, Result, anyhow, bail};
use groundstate_api::view::Problem;
use groundstate_api::{Reason, ReasonCode};
use maintenance_os::image::{Fixed, Source};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to answer with a document.
const ANSWER_MAX: Duration = Duration::from_secs(60);
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
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    anyhow!("operator.crt and operator.key do not go together: {error}")
                }
                other => anyhow!(
                    "operator.crt is not taken as who asks, it has to be an X.509 certificate of version 3: {other}"
                ),
            })
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
        let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
        if host.contains('/') {
            bail!(
                "--from {url}: a server of images is named by its address and port alone; where objects of a bucket lie below a \
                 prefix, let that be the root of what stands in front of it"
            );
        }
        let (source, agent) = Self::connect(&url, ca, credential)?;
        Ok(Self {
            url,
            source,
            agent,
            is_named: credential.is_some(),
        })
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
            Err(_) => reason.seen(
                "no provisioner and no `image serve` says so: where a bucket or a network in front of one answers, what is not \
                 there must be answered with 404, for which its reader has to be allowed to list it (s3:ListBucket)",
            ),
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
            bail!("--from: {server:?} should begin with https:// or http://");
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
        let mut all = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate =
                certificate.with_context(|| format!("{} is no certificate", ca.display()))?;
            all.push(ureq::tls::Certificate::from_der(&certificate).to_owned());
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
        let tls = ureq::tls::TlsConfig::builder()
            .provider(ureq::tls::TlsProvider::Rustls)
            .root_certs(ureq::tls::RootCerts::new_with_certs(&all))
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

impl Origin for Server {
    fn name(&self) -> &str {
        &self.url
    }

    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>> {
        let url = format!("{}{path}", self.url);
        let mut answer = self.agent.get(&url).call().map_err(|error| Refused {
            reason: trouble::reason(&self.url, self.is_named, &error),
        })?;
        match answer.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            status @ (401 | 403) => {
                let mut said = Vec::new();
                let body = answer.body_mut().as_reader();
                body.take(PROBLEM_MAX)
                    .read_to_end(&mut said)
                    .with_context(|| format!("reading {url}"))?;
                let reason = self.not_allowed(path, status, &said);
                return Err(Refused { reason }.into());
            }
            status @ (429 | 503) => {
                let retry = answer.headers().get("retry-after");
                let retry = retry.and_then(|value| value.to_str().ok());
                let reason = trouble::full(&self.url, status, retry);
                return Err(Refused { reason }.into());
            }
            status => bail!("{url} answers with status {status}; the server's log says why"),
        }
        let mut bytes = Vec::new();
        answer
            .body_mut()
            .as_reader()
            .take(max + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| Refused {
                reason: trouble::broken_off(&self.url, self.is_named, &error),
            })?;
        Ok(Some(bytes))
    }

    fn sources(&self) -> Fixed {
        Fixed::one(self.source.clone())
    }

    fn mend(&self) -> &'static str {
        "on the machine that serves it: groundstate image fsck --heal, then import it again there; where a cache stands in between, \
         empty it"
    }
}
