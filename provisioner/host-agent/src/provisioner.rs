// SPDX-License-Identifier: Apache-2.0
//! The calls to the provisioner: HTTPS with the site CA as the only authority and the host's own certificate.
//!
//! It follows no redirect, uses no proxy, and trusts no system certificate.

use crate::conversation::Failure;
use crate::error::AgentError;
use crate::root::Root;
use crate::step::credential::{CA, CERTIFICATE, KEY};
use groundstate_api::ReasonCode;
use groundstate_api::action::ActionId;
use groundstate_api::host::{CREDENTIAL_DIR, Heartbeat, HostInstruction, Register};
use groundstate_api::limits::JSON_BODY_MAX;
use groundstate_api::paths::{HOST_DIAGNOSTICS, HOST_HEARTBEAT, HOST_REGISTER};
use groundstate_api::view::Problem;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

/// How long one call may take from name to last byte. The answers are a few bytes.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long sending a package of diagnostics may take: 4 MiB over a management network at 1 Mb/s.
const PACKAGE_TIMEOUT: Duration = Duration::from_secs(90);

/// The provisioner, as this host may call it.
#[derive(Clone, Debug)]
pub struct Provisioner {
    agent: ureq::Agent,
    address: String,
}

impl Provisioner {
    /// Reads the credential below `root`; `address` is `https://address:port`.
    ///
    /// # Errors
    /// The credential is missing or not what TLS needs.
    pub fn new(root: &Root, address: &str) -> Result<Self, AgentError> {
        let file = |name: &str| {
            let path = format!("{CREDENTIAL_DIR}/{name}");
            root.read(&path)?.ok_or(AgentError::CredentialMissing {
                directory: root.at(CREDENTIAL_DIR),
            })
        };
        let unusable = |error: ureq::Error| AgentError::Credential(error.to_string());
        let ca = Certificate::from_pem(&file(CA)?).map_err(unusable)?;
        let certificate = Certificate::from_pem(&file(CERTIFICATE)?).map_err(unusable)?;
        let key = PrivateKey::from_pem(&file(KEY)?).map_err(unusable)?;
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&[ca]))
            .client_cert(Some(ClientCert::new_with_certs(&[certificate], key)))
            .build();
        let config = ureq::Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_global(Some(CALL_TIMEOUT))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            address: address.trim_end_matches('/').to_string(),
        })
    }

    /// Registers this boot.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn register(&self, register: &Register) -> Result<HostInstruction, Failure> {
        self.post(HOST_REGISTER, register)
    }

    /// Reports that the host lives.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HostInstruction, Failure> {
        self.post(HOST_HEARTBEAT, heartbeat)
    }

    fn post<T: Serialize>(&self, path: &str, body: &T) -> Result<HostInstruction, Failure> {
        let unreachable = |error: ureq::Error| Failure::Unreachable {
            seen: format!("{}: {error}", self.address),
        };
        let url = format!("{}{path}", self.address);
        let mut response = self.agent.post(url).send_json(body).map_err(unreachable)?;
        let bytes = self.answer(&mut response)?;
        serde_json::from_slice(&bytes).map_err(|error| Failure::Unreachable {
            seen: format!("{}: the answer cannot be understood: {error}", self.address),
        })
    }

    /// Sends a package of diagnostics.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn diagnostics(&self, action: ActionId, package: Vec<u8>) -> Result<(), Failure> {
        let url = format!("{}{HOST_DIAGNOSTICS}?action={action}", self.address);
        let call = self.agent.post(url).config();
        let call = call.timeout_global(Some(PACKAGE_TIMEOUT)).build();
        let sent = call.content_type("application/gzip").send(package);
        let mut response = sent.map_err(|error| Failure::Unreachable {
            seen: format!("{}: {error}", self.address),
        })?;
        self.answer(&mut response).map(|_| ())
    }

    /// The bytes of an answer; a refusal with what it says.
    fn answer(&self, response: &mut ureq::http::Response<ureq::Body>) -> Result<Vec<u8>, Failure> {
        let status = response.status();
        let body = response.body_mut().with_config().limit(JSON_BODY_MAX.0);
        let bytes = body.read_to_vec().map_err(|error| Failure::Unreachable {
            seen: format!("{}: {error}", self.address),
        })?;
        if status.is_success() {
            return Ok(bytes);
        }
        let problem = serde_json::from_slice::<Problem>(&bytes).ok();
        let fenced = |problem: &Problem| problem.reason.code == ReasonCode::Fenced;
        let is_fenced = problem.as_ref().is_some_and(fenced);
        let said = problem.map_or_else(|| "no reason given".into(), |problem| problem.title);
        Err(if is_fenced {
            Failure::Fenced { said }
        } else {
            Failure::Refused {
                status: status.as_u16(),
                said,
            }
        })
    }
}
