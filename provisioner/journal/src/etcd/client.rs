// SPDX-License-Identifier: Apache-2.0
//! Calls etcd's JSON gateway: each call has a time-out, and so have all tries together. What was asked of a member that then
//! fell silent may have been done: whoever writes is told so.

use super::options::EtcdOptions;
use super::wire::{LoginAnswer, Problem, Streamed};
use crate::error::EngineError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

/// How long one member may take: an election of etcd's own takes one to two seconds.
const TRY_MAX: Duration = Duration::from_millis(2_000);
/// How long one member may take over a lease: two tries must fit into its life.
const LEASE_TRY_MAX: Duration = Duration::from_millis(1_000);
/// How long a member may take to accept a connection: on one network, milliseconds.
const CONNECT_MAX: Duration = Duration::from_millis(700);
/// How long all tries of one call take together.
const CALL_MAX: Duration = Duration::from_millis(5_000);
/// What is waited after every member was tried, at first; it doubles.
const AGAIN_FIRST: Duration = Duration::from_millis(50);
/// And at most.
const AGAIN_MAX: Duration = Duration::from_millis(400);
/// Bytes of an answer: a page of a hundred events, some of them inventories.
const ANSWER_MAX: u64 = 128 << 20;
/// gRPC's code for "not now, try another time or another member".
const UNAVAILABLE: u64 = 14;
/// gRPC's code for a token that is too old.
const UNAUTHENTICATED: u64 = 16;

/// A cluster, as we may call it. Clones share their connections.
#[derive(Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    shared: Arc<Shared>,
}

struct Shared {
    endpoints: Vec<String>,
    /// The member that answered last.
    at: AtomicUsize,
    login: Option<(String, String)>,
    token: Mutex<Option<String>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("endpoints", &self.shared.endpoints)
            .finish_non_exhaustive()
    }
}

/// How one try ended.
enum Tried {
    /// Another try may do better; true: it may have been carried out.
    Again(String, bool),
    Over(EngineError),
}

impl Client {
    pub(super) fn new(options: &EtcdOptions) -> Result<Self, EngineError> {
        let unusable = |path: &Path, said: String| EngineError::EtcdRefuses {
            endpoint: path.display().to_string(),
            call: "its set-up",
            said,
        };
        let read = |path: &Path| std::fs::read(path).map_err(|e| unusable(path, e.to_string()));
        let mut tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        if let Some(path) = &options.ca {
            let ca =
                Certificate::from_pem(&read(path)?).map_err(|e| unusable(path, e.to_string()))?;
            tls = tls.root_certs(RootCerts::new_with_certs(&[ca]));
        }
        if let Some((path, key_path)) = &options.client {
            let own =
                Certificate::from_pem(&read(path)?).map_err(|e| unusable(path, e.to_string()))?;
            let key = PrivateKey::from_pem(&read(key_path)?)
                .map_err(|e| unusable(key_path, e.to_string()))?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&[own], key)));
        }
        let login = match &options.login {
            None => None,
            Some(path) => {
                let text = String::from_utf8_lossy(&read(path)?).into_owned();
                let (user, password) = text
                    .trim_end()
                    .split_once(':')
                    .ok_or_else(|| unusable(path, "it is not user:password".into()))?;
                Some((user.to_owned(), password.to_owned()))
            }
        };
        let config = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_global(Some(TRY_MAX))
            .build();
        Ok(Self {
            agent: config.new_agent(),
            shared: Arc::new(Shared {
                endpoints: options.endpoints.clone(),
                at: AtomicUsize::new(0),
                login,
                token: Mutex::new(None),
            }),
        })
    }

    /// Asks until a member answers, or the time is over.
    pub(super) fn call<T: DeserializeOwned>(
        &self,
        call: &'static str,
        body: &Value,
    ) -> Result<T, EngineError> {
        let (began, members) = (Instant::now(), self.shared.endpoints.len());
        let (mut seen, mut uncertain) = (String::new(), false);
        let mut pause = AGAIN_FIRST;
        for tries in 1usize.. {
            let at = self.shared.at.load(Ordering::Relaxed) % members;
            let most = if call.starts_with("lease/") {
                LEASE_TRY_MAX
            } else {
                TRY_MAX
            };
            match self.once(at, call, body, most) {
                Ok(answer) => return Ok(answer),
                Err(Tried::Over(error)) => return Err(error),
                Err(Tried::Again(said, maybe)) => {
                    tracing::debug!(
                        member = self.shared.endpoints[at],
                        call,
                        said,
                        "etcd is asked again"
                    );
                    seen = format!("{}: {said}", self.shared.endpoints[at]);
                    uncertain |= maybe;
                    self.shared.at.store(at + 1, Ordering::Relaxed);
                }
            }
            if began.elapsed() >= CALL_MAX {
                break;
            }
            if tries % members == 0 {
                std::thread::sleep(pause);
                pause = (pause * 2).min(AGAIN_MAX);
            }
        }
        Err(EngineError::EtcdSilent {
            call,
            seen,
            uncertain,
        })
    }

    fn once<T: DeserializeOwned>(
        &self,
        at: usize,
        call: &'static str,
        body: &Value,
        most: Duration,
    ) -> Result<T, Tried> {
        let endpoint = &self.shared.endpoints[at];
        let bytes = serde_json::to_vec(body).map_err(|error| {
            Tried::Over(EngineError::EtcdNonsense {
                endpoint: endpoint.clone(),
                call,
                said: error.to_string(),
            })
        })?;
        let mut response = self.post(at, call, &bytes, most)?;
        let status = response.status();
        let answer = response
            .body_mut()
            .with_config()
            .limit(ANSWER_MAX)
            .read_to_vec()
            .map_err(|error| Tried::Again(error.to_string(), true))?;
        if !status.is_success() {
            return Err(self.refused(endpoint, call, status.as_u16(), &answer));
        }
        serde_json::from_slice(&answer).map_err(|error| {
            Tried::Over(EngineError::EtcdNonsense {
                endpoint: endpoint.clone(),
                call,
                said: error.to_string(),
            })
        })
    }

    fn post(
        &self,
        at: usize,
        call: &'static str,
        body: &[u8],
        most: Duration,
    ) -> Result<ureq::http::Response<ureq::Body>, Tried> {
        let url = format!("{}/v3/{call}", self.shared.endpoints[at]);
        let mut request = self
            .agent
            .post(url)
            .content_type("application/json")
            .config()
            .timeout_global(Some(most))
            .build();
        if let Some(token) = self.token(at, call)? {
            request = request.header("Authorization", token);
        }
        request.send(body).map_err(|error| {
            // Nothing was sent where there was no connection.
            let sent = !matches!(
                &error,
                ureq::Error::ConnectionFailed | ureq::Error::HostNotFound
            ) && !matches!(&error, ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused)
              && !matches!(&error, ureq::Error::Timeout(ureq::Timeout::Connect));
            Tried::Again(error.to_string(), sent)
        })
    }

    fn refused(&self, endpoint: &str, call: &'static str, status: u16, body: &[u8]) -> Tried {
        let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
        let code = serde_json::from_slice::<Value>(body)
            .ok()
            .and_then(|value| value.get("code").and_then(Value::as_u64));
        let words = match problem.error.as_str() {
            Some(text) if !text.is_empty() => text.to_owned(),
            Some(_) | None => problem.message,
        };
        let said = format!("{words} (status {status})");
        if code == Some(UNAUTHENTICATED) || words.contains("invalid auth token") {
            *self
                .shared
                .token
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = None;
            return Tried::Again(said, false);
        }
        // "etcdserver: request timed out" may still be carried out.
        if code == Some(UNAVAILABLE) || matches!(status, 502..=504) {
            return Tried::Again(said, true);
        }
        Tried::Over(EngineError::EtcdRefuses {
            endpoint: endpoint.to_owned(),
            call,
            said,
        })
    }

    /// The token that says who we are; none where the cluster does not ask.
    fn token(&self, at: usize, call: &str) -> Result<Option<String>, Tried> {
        const LOGIN: &str = "auth/authenticate";
        let Some((user, password)) = self.shared.login.as_ref().filter(|_| call != LOGIN) else {
            return Ok(None);
        };
        let held = || {
            self.shared
                .token
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(token) = held().clone() {
            return Ok(Some(token));
        }
        let body = json!({"name": user, "password": password});
        let answer: LoginAnswer = self.once(at, LOGIN, &body, TRY_MAX)?;
        *held() = Some(answer.token.clone());
        Ok(Some(answer.token))
    }

    /// Watches a key from a revision on, until it changes or `most` is over. A stream that breaks is no error: who waits asks
    /// again in any case.
    pub(super) fn watch(&self, key: &str, from: i64, most: Duration) {
        let began = Instant::now();
        let at = self.shared.at.load(Ordering::Relaxed) % self.shared.endpoints.len();
        let create = json!({"create_request": {
            "key": super::wire::b64(key.as_bytes()), "start_revision": from.to_string(),
        }});
        let body = create.to_string();
        if let Ok(response) = self.post(at, "watch", body.as_bytes(), most) {
            for line in BufReader::new(response.into_body().into_reader()).lines() {
                let Ok(line) = line else { break };
                let changed = serde_json::from_str::<Streamed<Value>>(&line)
                    .is_ok_and(|said| said.result.get("events").is_some());
                if changed {
                    return;
                }
            }
        }
        // A stream that broke early must not make its reader ask without rest.
        std::thread::sleep(AGAIN_FIRST.min(most.saturating_sub(began.elapsed())));
    }
}
