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
use groundstate_api::ready::{Addresses, HOPS_MAX, LEADER_HEADER, PROVISIONERS_HEADER, Then};
use groundstate_api::view::Problem;
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

/// How long one call may take from name to last byte. The answers are a few bytes.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long, where there is another provisioner to go to: one that was stopped in the middle never answers.
const CALL_TIMEOUT_AMONG: Duration = Duration::from_secs(4);

/// The provisioners of the site as they were heard of last, a line each; a host that starts while the one of its seed is gone
/// finds the others here.
const KNOWN_PATH: &str = "var/lib/groundstate/provisioners";

/// How long sending a package of diagnostics may take: 4 MiB over a management network at 1 Mb/s.
const PACKAGE_TIMEOUT: Duration = Duration::from_secs(90);

/// The provisioner, as this host may call it.
#[derive(Clone, Debug)]
pub struct Provisioner {
    agent: ureq::Agent,
    known: Arc<Mutex<Addresses>>,
    root: Root,
}

impl Provisioner {
    /// Reads the credential below `root`; `address` is `https://address:port`, and so are the `others`. What was heard of the
    /// site's provisioners before is known too.
    ///
    /// # Errors
    /// The credential is missing or not what TLS needs.
    pub fn new(root: &Root, address: &str, others: &[String]) -> Result<Self, AgentError> {
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
        let heard = root.read(KNOWN_PATH)?.unwrap_or_default();
        let heard = String::from_utf8_lossy(&heard).into_owned();
        let others = others.iter().map(String::as_str);
        let mut known = Addresses::new(address, others);
        known.heard(&heard);
        Ok(Self {
            agent: config.new_agent(),
            known: Arc::new(Mutex::new(known)),
            root: root.clone(),
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Addresses> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the provisioner that answered last; who leads, where it says that another one does; and the next time another one,
    /// where it does not answer.
    fn ask(&self, call: impl Fn(&str) -> Result<Answer, ureq::Error>) -> Result<Vec<u8>, Failure> {
        let mut hops = 0;
        loop {
            let address = self.known().current().to_owned();
            let answer = call(&address);
            if hops < HOPS_MAX && self.sent_on(&answer) {
                hops += 1;
                continue;
            }
            let mut answer = answer.map_err(|error| Failure::Unreachable {
                seen: format!("{address}: {error}"),
            })?;
            return read(&address, &mut answer);
        }
    }

    /// Takes in what an answer says of the provisioners; true where the call belongs to another one.
    fn sent_on(&self, answer: &Result<Answer, ureq::Error>) -> bool {
        let mut known = self.known();
        let Ok(answer) = answer else {
            known.next();
            return false;
        };
        let header = |name| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        if header(PROVISIONERS_HEADER).is_some_and(|list| known.heard(list)) {
            self.keep(&known);
        }
        known.answered(answer.status().as_u16(), header(LEADER_HEADER)) == Then::SendOn
    }

    /// For the next start. Without it that start knows the provisioner of its seed, and hears of the others from it.
    fn keep(&self, known: &Addresses) {
        let lines: String = known.all().map(|one| format!("{one}\n")).collect();
        if let Err(error) = self.root.write(KNOWN_PATH, lines.as_bytes(), 0o644) {
            crate::say::console(&format!(
                "the provisioners' addresses are not kept: {error}"
            ));
        }
    }

    fn patience(&self) -> Duration {
        if self.known().all().nth(1).is_some() {
            CALL_TIMEOUT_AMONG
        } else {
            CALL_TIMEOUT
        }
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
        let patience = self.patience();
        let bytes = self.ask(|address| {
            let call = self.agent.post(format!("{address}{path}")).config();
            call.timeout_global(Some(patience)).build().send_json(body)
        })?;
        serde_json::from_slice(&bytes).map_err(|error| Failure::Unreachable {
            seen: format!(
                "{}: the answer cannot be understood: {error}",
                self.known().current()
            ),
        })
    }

    /// Sends a package of diagnostics.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub fn diagnostics(&self, action: ActionId, package: Vec<u8>) -> Result<(), Failure> {
        let sent = self.ask(|address| {
            let url = format!("{address}{HOST_DIAGNOSTICS}?action={action}");
            let call = self.agent.post(url).config();
            let call = call.timeout_global(Some(PACKAGE_TIMEOUT)).build();
            call.content_type("application/gzip").send(&package[..])
        });
        sent.map(|_| ())
    }
}

type Answer = ureq::http::Response<ureq::Body>;

/// The bytes of an answer; a refusal with what it says.
fn read(address: &str, response: &mut Answer) -> Result<Vec<u8>, Failure> {
    let status = response.status();
    let body = response.body_mut().with_config().limit(JSON_BODY_MAX.0);
    let bytes = body.read_to_vec().map_err(|error| Failure::Unreachable {
        seen: format!("{address}: {error}"),
    })?;
    if status.is_success() {
        return Ok(bytes);
    }
    let problem = serde_json::from_slice::<Problem>(&bytes).ok();
    let code = problem.as_ref().map(|problem| problem.reason.code);
    let said = problem.map_or_else(|| "no reason given".into(), |problem| problem.title);
    Err(match code {
        Some(ReasonCode::Fenced) => Failure::Fenced { said },
        // Nobody leads at this moment: nothing is wrong with this host, and it stays registered.
        Some(ReasonCode::NotLeader) => Failure::NoLeader { said },
        Some(_) | None => Failure::Refused {
            status: status.as_u16(),
            said,
        },
    })
}
