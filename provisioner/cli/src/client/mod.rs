// SPDX-License-Identifier: Apache-2.0
//! The client half: the public HTTPS API with an operator's certificate. It sees `api` and nothing else of ours.

pub(crate) mod boot;
mod boot_picture;
pub(crate) mod erase;
pub(crate) mod events;
pub(crate) mod node;
pub(crate) mod plan;
pub(crate) mod power;
mod show;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use groundstate_api::Reason;
use groundstate_api::view::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

/// How long an answer may take: the longest long poll and a slow network.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// The largest answer that is read: a page of 200 events with inventories and plans, or a log.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Where the provisioner is, and who we are.
#[derive(Args, Clone)]
pub(crate) struct Connect {
    /// Address of the API, for example https://192.0.2.1:8443.
    #[arg(
        long,
        env = "GROUNDSTATE_SERVER",
        default_value = "https://127.0.0.1:8443",
        global = true
    )]
    server: String,
    /// Folder with ca.crt, operator.crt and operator.key.
    #[arg(
        long,
        env = "GROUNDSTATE_CREDENTIAL",
        default_value = "/var/lib/groundstate/pki/operator",
        global = true
    )]
    credential: PathBuf,
}

impl Connect {
    /// To this server with this credential.
    pub(crate) fn to(server: &str, credential: &Path) -> Self {
        Self {
            server: server.to_owned(),
            credential: credential.to_owned(),
        }
    }

    /// The site CA, PEM.
    pub(crate) fn ca_pem(&self) -> Result<String> {
        let path = self.credential.join("ca.crt");
        String::from_utf8(read(&path)?).with_context(|| format!("{} is no text", path.display()))
    }
}

/// The provisioner refused, and said why.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Refused {}

/// A document that may have been fetched before.
#[derive(Debug)]
pub(crate) enum Fetched<T> {
    /// It is the same as before.
    Same,
    /// It is this, with its entity tag.
    New(T, Option<String>),
}

/// A connection to the API.
pub(crate) struct Client {
    agent: ureq::Agent,
    server: String,
}

impl Client {
    pub(crate) fn new(connect: &Connect) -> Result<Self> {
        if !connect.server.starts_with("https://") {
            bail!("--server: {:?} should begin with https://", connect.server);
        }
        let file = |name: &str| read(&connect.credential.join(name));
        let ca = Certificate::from_pem(&file("ca.crt")?).context("ca.crt")?;
        let own = Certificate::from_pem(&file("operator.crt")?).context("operator.crt")?;
        let key = PrivateKey::from_pem(&file("operator.key")?).context("operator.key")?;
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::new_with_certs(&[ca]))
            .client_cert(Some(ClientCert::new_with_certs(&[own], key)))
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .https_only(true)
            .max_redirects(0)
            .timeout_global(Some(ANSWER_MAX))
            .build()
            .new_agent();
        let server = connect.server.trim_end_matches('/').to_owned();
        Ok(Self { agent, server })
    }

    /// GET a document.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        Ok(serde_json::from_str(&self.text(path)?)?)
    }

    /// GET a text.
    pub(crate) fn text(&self, path: &str) -> Result<String> {
        let answer = self.agent.get(format!("{}{path}", self.server)).call();
        self.read(answer)
    }

    /// POST a document and read the answer.
    pub(crate) fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T> {
        let answer = self
            .agent
            .post(format!("{}{path}", self.server))
            .send_json(body);
        Ok(serde_json::from_str(&self.read(answer)?)?)
    }

    /// GET a document, unless it is still the one of this entity tag.
    pub(crate) fn get_tagged<T: DeserializeOwned>(
        &self,
        path: &str,
        tag: Option<&str>,
    ) -> Result<Fetched<T>> {
        let mut request = self.agent.get(format!("{}{path}", self.server));
        if let Some(tag) = tag {
            request = request.header("If-None-Match", tag);
        }
        let answer = request.call();
        let head = answer.as_ref().ok();
        if head.is_some_and(|answer| answer.status().as_u16() == 304) {
            return Ok(Fetched::Same);
        }
        let tag = head.and_then(|answer| answer.headers().get("etag"));
        let tag = tag.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(Fetched::New(
            serde_json::from_str(&self.read(answer)?)?,
            tag,
        ))
    }

    /// POST a document that is answered with nothing.
    pub(crate) fn post_only<B: Serialize>(&self, path: &str, body: &B) -> Result<()> {
        let url = format!("{}{path}", self.server);
        self.read(self.agent.post(url).send_json(body)).map(drop)
    }

    fn read(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<String> {
        let mut answer = answer.with_context(|| format!("{} does not answer", self.server))?;
        let status = answer.status();
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()
            .with_context(|| format!("{} was cut off", self.server))?;
        if status.is_success() {
            return Ok(text);
        }
        match serde_json::from_str::<Problem>(&text) {
            Ok(problem) if status.is_client_error() => Err(Refused {
                reason: problem.reason,
            }
            .into()),
            Ok(problem) => Err(anyhow!("{}", problem.reason)),
            Err(_) => Err(anyhow!("{} answered {status}", self.server)),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| {
        format!(
            "{} cannot be read; --credential names the folder that groundstate up has made",
            path.display()
        )
    })
}

/// A path of the API with a node's name in it.
pub(crate) fn node_path(pattern: &str, node: &groundstate_api::NodeId) -> String {
    pattern.replace("{node}", node.as_str())
}
