// SPDX-License-Identifier: Apache-2.0
//! Calls to the provisioner over TLS that trusts the site CA and nothing else.

use groundstate_api::boot::BootConfig;
use groundstate_api::ready::{Addresses, HOPS_MAX, LEADER_HEADER, PROVISIONERS_HEADER, Then};
use groundstate_api::view::Problem;
use groundstate_api::{Reason, ReasonCode};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// How long one call may take, connection and answer together.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long, where there is another provisioner to go to: one that was stopped in the middle answers never, and reports are
/// numbered, so that one which was heard twice counts once.
const CALL_TIMEOUT_AMONG: Duration = Duration::from_secs(5);
/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read: a plan with 100 disks is under 200 KiB.
const ANSWER_MAX_BYTES: u64 = 4 << 20;

/// The provisioner as this node reaches it.
#[derive(Clone)]
pub(super) struct Provisioner {
    agent: ureq::Agent,
    /// The provisioners of the site, the same for all clones.
    known: Arc<Mutex<Addresses>>,
    tls: Arc<rustls::ClientConfig>,
}

/// The key and certificate of this boot, PEM.
#[derive(Clone, Debug)]
pub(super) struct Credential {
    /// Certificate.
    pub(super) certificate_pem: String,
    /// Private key.
    pub(super) key_pem: String,
}

impl Provisioner {
    /// A provisioner that must prove itself with a certificate of the site CA.
    ///
    /// # Errors
    /// `TlsRefused` when the CA or the credential cannot be read.
    pub(super) fn new(
        config: &BootConfig,
        credential: Option<&Credential>,
    ) -> Result<Self, Reason> {
        let bad = |what: &str, error: ureq::Error| {
            Reason::new(
                ReasonCode::TlsRefused,
                format!("{what} cannot be read: {error}"),
                "make the boot image again: restart `groundstate up`",
            )
        };
        let ca = Certificate::from_pem(config.ca_pem.as_bytes())
            .map_err(|e| bad("the site CA in the boot image", e))?;
        let client = match credential {
            None => None,
            Some(credential) => {
                let certificate = Certificate::from_pem(credential.certificate_pem.as_bytes())
                    .map_err(|e| bad("this node's certificate", e))?;
                let key = PrivateKey::from_pem(credential.key_pem.as_bytes())
                    .map_err(|e| bad("this node's key", e))?;
                Some(ClientCert::new_with_certs(&[certificate], key))
            }
        };
        let images = image_tls(config, credential)?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(vec![ca])))
            .client_cert(client)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = ureq::Agent::config_builder()
            .https_only(true)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(CALL_TIMEOUT))
            .proxy(None)
            .tls_config(tls)
            .build()
            .new_agent();
        Ok(Self {
            agent,
            known: Arc::new(Mutex::new(Addresses::new(
                &config.provisioner,
                config.others.iter().map(String::as_str),
            ))),
            tls: images,
        })
    }

    /// The same, and what `before` has heard of the site's provisioners.
    #[must_use]
    pub(super) fn knowing(self, before: &Self) -> Self {
        Self {
            known: Arc::clone(&before.known),
            ..self
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Addresses> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The other provisioners, for who comes after.
    #[must_use]
    pub(super) fn others(&self) -> Vec<String> {
        let known = self.known();
        let others = known.all().filter(|one| *one != known.current());
        others.map(str::to_owned).collect()
    }

    /// Whom to trust and who this is, for the image room, whose connections are its own.
    #[must_use]
    pub(super) fn tls(&self) -> Arc<rustls::ClientConfig> {
        Arc::clone(&self.tls)
    }

    /// The base URL.
    #[must_use]
    pub(super) fn base(&self) -> String {
        self.known().current().to_owned()
    }

    fn patience(&self) -> Duration {
        if self.known().all().nth(1).is_some() {
            CALL_TIMEOUT_AMONG
        } else {
            CALL_TIMEOUT
        }
    }

    /// Calls the provisioner that answered last; who leads where it says that another one does; and the next time another
    /// one, where it does not answer.
    fn ask(
        &self,
        path: &str,
        call: impl Fn(&str) -> Result<Answer, ureq::Error>,
    ) -> Result<Answer, Refusal> {
        let mut hops = 0;
        loop {
            let base = self.base();
            let answer = call(&base);
            if hops < HOPS_MAX && self.sent_on(&base, &answer) {
                hops += 1;
                continue;
            }
            return self.accepted(&base, path, answer);
        }
    }

    /// Takes in what an answer says of the provisioners; true where the call belongs to another one.
    fn sent_on(&self, base: &str, answer: &Result<Answer, ureq::Error>) -> bool {
        let mut known = self.known();
        let answer = match answer {
            Ok(answer) => answer,
            Err(_) => {
                // Another thread may have gone on already.
                if known.current() == base {
                    known.next();
                }
                return false;
            }
        };
        let header = |name| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        if let Some(list) = header(PROVISIONERS_HEADER) {
            known.heard(list);
        }
        known.answered(answer.status().as_u16(), header(LEADER_HEADER)) == Then::SendOn
    }

    /// Posts a document and reads the answer.
    ///
    /// # Errors
    /// Why there was no answer, or the reason that the provisioner gave for its refusal.
    pub(super) fn post<Q: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        body: &Q,
    ) -> Result<A, Refusal> {
        self.send(path, body)
            .and_then(|answer| self.read(path, answer))
    }

    /// Posts a document to which the answer is empty.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub(super) fn tell<Q: Serialize>(&self, path: &str, body: &Q) -> Result<(), Refusal> {
        self.send(path, body).map(|_| ())
    }

    /// Gets a document.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub(super) fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Refusal> {
        let patience = self.patience();
        let answer = self.ask(path, |base| {
            let call = self.agent.get(format!("{base}{path}")).config();
            call.timeout_global(Some(patience)).build().call()
        });
        answer.and_then(|answer| self.read(path, answer))
    }

    fn send<Q: Serialize>(&self, path: &str, body: &Q) -> Result<Answer, Refusal> {
        let patience = self.patience();
        self.ask(path, |base| {
            let call = self.agent.post(format!("{base}{path}")).config();
            call.timeout_global(Some(patience)).build().send_json(body)
        })
    }

    fn accepted(
        &self,
        base: &str,
        path: &str,
        answer: Result<Answer, ureq::Error>,
    ) -> Result<Answer, Refusal> {
        let mut answer = answer.map_err(|error| Refusal::NoAnswer(unreachable(base, &error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let problem = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_MAX_BYTES)
            .read_json::<Problem>();
        let said = match problem {
            Ok(problem) => problem.reason,
            Err(_) => Reason::new(
                ReasonCode::Internal,
                format!("{base}{path} answered {status} without a reason"),
                "look at the provisioner's log",
            ),
        };
        if status.is_server_error() {
            Err(Refusal::NoAnswer(said))
        } else {
            Err(Refusal::Said(said))
        }
    }

    fn read<A: DeserializeOwned>(&self, path: &str, mut answer: Answer) -> Result<A, Refusal> {
        let base = self.base();
        answer.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_json().map_err(|error| {
            Refusal::NoAnswer(Reason::new(
                ReasonCode::Internal,
                format!("{base}{path} answered something that this maintenance OS does not understand: {error}"),
                "boot image and provisioner must be of one version: restart `groundstate up`, then the node",
            ))
        })
    }
}

/// What a failed call to a provisioner means for a person.
fn unreachable(base: &str, error: &ureq::Error) -> Reason {
    let text = error.to_string();
    let source = tls_error(error);
    match source {
            Some(rustls::Error::InvalidCertificate(
                rustls::CertificateError::NotValidYet | rustls::CertificateError::NotValidYetContext { .. }
                | rustls::CertificateError::Expired | rustls::CertificateError::ExpiredContext { .. },
            )) => Reason::new(
                ReasonCode::ClockWrong,
                "this machine's clock does not fit the provisioner's certificate",
                "set the clock in the firmware's set-up (UTC), or check the provisioner's own clock",
            )
            .seen(format!("{base} says: {text}")),
            Some(_) => Reason::new(
                ReasonCode::TlsRefused,
                "the provisioner's certificate is not of this site",
                "check that no other machine has the provisioner's address; if the site was set up anew, restart this machine to fetch the new boot image",
            )
            .seen(format!("{base} says: {text}")),
            None => Reason::new(
                ReasonCode::ProvisionerUnreachable,
                "the provisioner does not answer",
                format!("check that `groundstate up` runs and that {base} is reachable from this network"),
            )
            .seen(text),
        }
        .then("it asks again every few seconds")
}

/// The same trust and credential as the calls', for connections without ureq.
fn image_tls(
    config: &BootConfig,
    credential: Option<&Credential>,
) -> Result<Arc<rustls::ClientConfig>, Reason> {
    let bad = |what: &str, error: &dyn std::fmt::Display| {
        Reason::new(
            ReasonCode::TlsRefused,
            format!("{what} cannot be read: {error}"),
            "make the boot image again: restart `groundstate up`",
        )
    };
    let mut roots = rustls::RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(config.ca_pem.as_bytes()) {
        let ca = ca.map_err(|error| bad("the site CA in the boot image", &error))?;
        let added = roots.add(ca);
        added.map_err(|error| bad("the site CA in the boot image", &error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad("the list of TLS versions", &error))?
        .with_root_certificates(roots);
    let tls = match credential {
        None => builder.with_no_client_auth(),
        Some(credential) => {
            let certificates =
                CertificateDer::pem_slice_iter(credential.certificate_pem.as_bytes());
            let certificates = certificates.collect::<Result<Vec<_>, _>>();
            let certificates =
                certificates.map_err(|error| bad("this node's certificate", &error))?;
            let key = PrivateKeyDer::from_pem_slice(credential.key_pem.as_bytes())
                .map_err(|error| bad("this node's key", &error))?;
            builder
                .with_client_auth_cert(certificates, key)
                .map_err(|error| bad("this node's certificate", &error))?
        }
    };
    Ok(Arc::new(tls))
}

type Answer = ureq::http::Response<ureq::Body>;

/// Why a call brought no answer.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// Nobody answered, or the server is unwell: ask again.
    NoAnswer(Reason),
    /// The provisioner refused, and asking the same again will not help.
    Said(Reason),
}

impl Refusal {
    /// The reason in it.
    #[must_use]
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::NoAnswer(reason) | Self::Said(reason) => reason,
        }
    }
}

fn tls_error(error: &ureq::Error) -> Option<rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error.clone()),
        ureq::Error::Io(error) => error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .cloned(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::CertificateError::{Expired, NotValidYet, UnknownIssuer};

    #[test]
    fn a_wrong_clock_a_foreign_certificate_and_silence_are_told_apart() {
        let key = rcgen::KeyPair::generate().unwrap();
        let ca = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        let config = BootConfig {
            schema: groundstate_api::SCHEMA,
            site: "test".into(),
            provisioner: "https://192.0.2.1:8443".into(),
            others: Vec::new(),
            ca_pem: ca.pem(),
        };
        assert!(Provisioner::new(&config, None).is_ok());
        let tls = |error| ureq::Error::Rustls(rustls::Error::InvalidCertificate(error));
        let inside = |error| {
            ureq::Error::Io(std::io::Error::other(rustls::Error::InvalidCertificate(
                error,
            )))
        };
        let silent = ureq::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        for (error, code) in [
            (tls(Expired), ReasonCode::ClockWrong),
            (inside(NotValidYet), ReasonCode::ClockWrong),
            (tls(UnknownIssuer), ReasonCode::TlsRefused),
            (inside(UnknownIssuer), ReasonCode::TlsRefused),
            (silent, ReasonCode::ProvisionerUnreachable),
        ] {
            let reason = unreachable(&config.provisioner, &error);
            assert_eq!(reason.code, code, "{error}");
            assert!(reason.lines().join(" ").contains("192.0.2.1"), "{reason}");
        }
    }
}
