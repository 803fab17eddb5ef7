// SPDX-License-Identifier: Apache-2.0
//! The host's calls. First the site CA's certificate is fetched from whoever answers, and compared with the fingerprint that a
//! person brought: nothing secret was said until then. Everything else goes over TLS that this CA vouches for.

use crate::client::Refused;
use anyhow::{Context as _, Result, anyhow, bail};
use groundstate_api::adopt::{AdoptReply, AdoptRequest};
use groundstate_api::limits::JSON_BODY_MAX;
use groundstate_api::ready::LEADER_HEADER;
use groundstate_api::view::Problem;
use groundstate_api::{Digest, paths};
use std::time::Duration;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

/// How long one call may take: an inventory of 2 MiB over a management network at 1 Mb/s.
const CALL_MAX: Duration = Duration::from_secs(45);
/// The largest certificate that is read.
const CA_MAX: u64 = 64 * 1024;
/// How often another provisioner is asked that is said to lead.
const HOPS_MAX: usize = 3;

/// A provisioner whose CA was compared.
pub(super) struct Checked {
    agent: ureq::Agent,
    /// Where it is.
    pub(super) url: String,
    /// The site CA, PEM.
    pub(super) ca_pem: String,
}

/// Fetches the CA and compares it.
pub(super) fn check(url: &str, fingerprint: Digest) -> Result<Checked> {
    if !url.starts_with("https://") {
        bail!("--url: {url:?} should begin with https://");
    }
    let url = url.trim_end_matches('/').to_owned();
    let blind = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .disable_verification(true)
        .build();
    let asked = agent(blind).get(format!("{url}{}", paths::CA)).call();
    let mut answer = asked.with_context(|| format!("{url} does not answer"))?;
    if !answer.status().is_success() {
        bail!(
            "{url} is no provisioner of this version: it answers {} where its CA should be",
            answer.status()
        );
    }
    let pem = answer.body_mut().with_config().limit(CA_MAX);
    let ca_pem = pem
        .read_to_string()
        .with_context(|| format!("{url}: its CA"))?;
    let der = parse_pem(ca_pem.as_bytes()).find_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate.der().to_vec()),
        Ok(_) | Err(_) => None,
    });
    let der = der.with_context(|| format!("{url} shows no certificate of a CA"))?;
    let shown = Digest::of(&der);
    if shown != fingerprint {
        bail!(
            "{url} is not the provisioner that was meant: its CA is {shown}, and --ca-fingerprint says {fingerprint}. Nothing \
             was sent to it"
        );
    }
    let ca = Certificate::from_pem(ca_pem.as_bytes()).context("the site CA")?;
    let trusting = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::new_with_certs(&[ca]))
        .build();
    Ok(Checked {
        agent: agent(trusting),
        url,
        ca_pem,
    })
}

fn agent(tls: TlsConfig) -> ureq::Agent {
    ureq::Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .https_only(true)
        .proxy(None)
        .max_redirects(0)
        .timeout_global(Some(CALL_MAX))
        .build()
        .new_agent()
}

impl Checked {
    /// Shows the token, and what the host says of itself. Where another provisioner leads, that one is asked.
    pub(super) fn adopt(&mut self, token: &str, request: &AdoptRequest) -> Result<AdoptReply> {
        for _ in 0..=HOPS_MAX {
            let call = self
                .agent
                .post(format!("{}{}", self.url, paths::ADOPT_HOST));
            let call = call.header("Authorization", format!("Bearer {token}"));
            let mut answer = call.send_json(request).with_context(|| {
                format!(
                    "{} was not heard to its end: whether this host is adopted is not known. The same command again is right",
                    self.url
                )
            })?;
            let leader = answer.headers().get(LEADER_HEADER).cloned();
            let leader = leader.and_then(|leader| leader.to_str().ok().map(str::to_owned));
            let status = answer.status();
            let body = answer.body_mut().with_config().limit(JSON_BODY_MAX.0);
            let text = body.read_to_string()?;
            if status.is_success() {
                return serde_json::from_str(&text).context(
                    "the answer is not understood here; is this groundstate of another version?",
                );
            }
            match leader.filter(|leader| status.as_u16() == 503 && *leader != self.url) {
                Some(leader) if leader.starts_with("https://") => self.url = leader,
                _ => return Err(refusal(&self.url, status.as_u16(), &text)),
            }
        }
        Err(anyhow!(
            "each provisioner says that another one leads; try again in a minute"
        ))
    }
}

fn refusal(url: &str, status: u16, text: &str) -> anyhow::Error {
    match serde_json::from_str::<Problem>(text) {
        Ok(problem) => Refused {
            reason: problem.reason,
        }
        .into(),
        Err(_) => anyhow!("{url} answers {status} without a reason"),
    }
}
