// SPDX-License-Identifier: Apache-2.0
//! Calls etcd's JSON gateway: each call has a time-out, and so have all tries together. What was asked of a member that then
//! fell silent may have been done: whoever writes is told so.

use super::credentials::{self, Login};
use super::options::EtcdOptions;
use super::wire::{LoginAnswer, Problem, Streamed};
use crate::error::EngineError;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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
/// How long all tries of one call for a lease take together: a turn of the election is two of them, and its lease lives 3 s.
const LEASE_CALL_MAX: Duration = Duration::from_millis(1_200);
/// The call that gives a token.
const LOGIN: &str = "auth/authenticate";
/// What etcd says of a token that it does not know any more: it was restarted, the token is too old, or users were changed.
const STALE: [&str; 2] = ["invalid auth token", "revision of auth store is old"];
/// What it says to who shows no token.
const NO_USER: &str = "user name is empty";
/// What it says to who logs in although it asks nobody.
const NO_AUTH: &str = "authentication is not enabled";
/// gRPC's code for an argument that is wrong: user or password.
const INVALID_ARGUMENT: u64 = 3;
/// gRPC's code for what this user may not do.
const PERMISSION_DENIED: u64 = 7;
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
    /// What our keys begin with.
    keys: String,
    /// The member that answered last.
    at: AtomicUsize,
    login: Option<Login>,
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
    /// This member will not do better, but another one may.
    Member(EngineError),
    Over(EngineError),
}

impl Client {
    pub(super) fn new(options: &EtcdOptions) -> Result<Self, EngineError> {
        let login = credentials::login(options)?;
        let config = ureq::Agent::config_builder()
            .tls_config(credentials::tls(options)?)
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
                keys: options.prefix.clone(),
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
        self.call_within(call, body, TRY_MAX, CALL_MAX)
    }

    /// The same for what must be over long before a lease ends.
    pub(super) fn call_for_lease<T: DeserializeOwned>(
        &self,
        call: &'static str,
        body: &Value,
    ) -> Result<T, EngineError> {
        self.call_within(call, body, LEASE_TRY_MAX, LEASE_CALL_MAX)
    }

    fn call_within<T: DeserializeOwned>(
        &self,
        call: &'static str,
        body: &Value,
        one: Duration,
        all: Duration,
    ) -> Result<T, EngineError> {
        let (began, members) = (Instant::now(), self.shared.endpoints.len());
        let (mut seen, mut uncertain, mut hopeless) = (String::new(), false, 0);
        let mut pause = AGAIN_FIRST;
        for tries in 1usize.. {
            let at = self.shared.at.load(Ordering::Relaxed) % members;
            let endpoint = &self.shared.endpoints[at];
            match self.once(at, call, body, one) {
                Ok(answer) => return Ok(answer),
                Err(Tried::Over(error)) => return Err(error),
                Err(Tried::Member(error)) => {
                    hopeless += 1;
                    // Every member says so: another round says the same.
                    if hopeless >= members && !uncertain {
                        return Err(error);
                    }
                    seen = error.to_string();
                }
                Err(Tried::Again(said, maybe)) => {
                    tracing::debug!(member = endpoint, call, said, "etcd is asked again");
                    hopeless = 0;
                    seen = format!("{endpoint}: {said}");
                    uncertain |= maybe;
                }
            }
            self.shared.at.store(at + 1, Ordering::Relaxed);
            if began.elapsed() >= all {
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
            if let Some(why) = by_tls(&self.shared.endpoints[at], &error) {
                return Tried::Member(why);
            }
            // Nothing was sent where there was no connection.
            let sent = !matches!(
                &error,
                ureq::Error::ConnectionFailed | ureq::Error::HostNotFound
            ) && !matches!(&error, ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused)
              && !matches!(&error, ureq::Error::Timeout(ureq::Timeout::Connect));
            Tried::Again(in_words(&self.shared.endpoints[at], &error), sent)
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
        let user = || {
            let login = self.shared.login.as_ref();
            login.map_or_else(String::new, |login| login.user.clone())
        };
        if code == Some(UNAUTHENTICATED) || STALE.iter().any(|stale| words.contains(stale)) {
            *self.held() = None;
            return Tried::Again(said, false);
        }
        if words.contains(NO_USER) {
            return Tried::Over(EngineError::EtcdNoLogin {
                endpoint: endpoint.to_owned(),
            });
        }
        if call == LOGIN && words.contains(NO_AUTH) {
            return Tried::Over(EngineError::EtcdOpen {
                endpoint: endpoint.to_owned(),
            });
        }
        if call == LOGIN && code == Some(INVALID_ARGUMENT) {
            return Tried::Over(EngineError::EtcdLogin {
                endpoint: endpoint.to_owned(),
                user: user(),
                said,
            });
        }
        if code == Some(PERMISSION_DENIED) {
            return Tried::Over(EngineError::EtcdDenied {
                user: user(),
                call,
                keys: self.shared.keys.clone(),
            });
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

    fn held(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.shared
            .token
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The token that says who we are; none where the cluster does not ask. It is made anew when etcd does not know it any more.
    fn token(&self, at: usize, call: &str) -> Result<Option<String>, Tried> {
        let Some(login) = self.shared.login.as_ref().filter(|_| call != LOGIN) else {
            return Ok(None);
        };
        if let Some(token) = self.held().clone() {
            return Ok(Some(token));
        }
        let body = json!({"name": login.user, "password": login.password});
        let answer: LoginAnswer = self.once(at, LOGIN, &body, TRY_MAX)?;
        *self.held() = Some(answer.token.clone());
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

/// What TLS says of a failed call, where that is why it failed; trying the same member again says the same.
fn by_tls(endpoint: &str, error: &ureq::Error) -> Option<EngineError> {
    let endpoint = endpoint.to_owned();
    let said = match error {
        ureq::Error::Rustls(error) => error.clone(),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref::<rustls::Error>()?.clone(),
        _ => return None,
    };
    match said {
        rustls::Error::AlertReceived(alert) => Some(EngineError::EtcdOurCertificate {
            endpoint,
            said: format!("{alert:?}"),
        }),
        rustls::Error::InvalidCertificate(_) => Some(EngineError::EtcdCertificate {
            endpoint,
            said: said.to_string(),
        }),
        _ => None,
    }
}

/// A failed call for people. A member that does not believe our certificate hangs up, and its alert is often lost on the way.
fn in_words(endpoint: &str, error: &ureq::Error) -> String {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let hung_up = matches!(error, ureq::Error::Io(io)
        if matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof));
    if hung_up && endpoint.starts_with("https://") {
        return format!(
            "{error}; where it hangs up on every call it asks for a certificate that its --trusted-ca-file signed: --journal-cert with --journal-key"
        );
    }
    error.to_string()
}
