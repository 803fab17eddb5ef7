// SPDX-License-Identifier: Apache-2.0
//! The client's way to the API. What is asked may be asked again by whoever asks; an order carries a key by which the
//! provisioner knows it again, so an order whose answer was lost is sent again without being carried out twice.

use super::said::{causes, tell};
use super::{Connect, Refused, Unwell, read, unanswered};
use crate::tls_fault::TlsFault;
use anyhow::{Context as _, Result, anyhow, bail};
use groundstate_api::ReasonCode;
use groundstate_api::paths;
use groundstate_api::ready::{Addresses, HOPS_MAX, LEADER_HEADER, PROVISIONERS_HEADER, Then};
use groundstate_api::view::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ureq::http::Response;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

/// How long an answer may take: the longest long poll and a slow network.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long a server may take to say why it hung up.
const ASK_WHY_MAX: Duration = Duration::from_secs(3);
/// The largest answer that is read: a page of 200 events with inventories and plans, or a log.
pub(crate) const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// The pauses before an order is sent again whose answer was lost: a provisioner restarts within them.
const AGAIN: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

/// A document that may have been fetched before.
#[derive(Debug)]
pub(crate) enum Fetched<T> {
    /// It is the same as before.
    Same,
    /// It is this, with its entity tag.
    New(T, Option<String>),
}

/// How an order is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Post,
    Put,
    Delete,
}

impl Verb {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What goes with an order.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// The key by which the provisioner knows it again.
    pub(crate) key: String,
    /// The entity tag of what the person saw who decided; the order is refused where it has changed since.
    pub(crate) if_match: Option<String>,
}

impl Terms {
    /// With a key that never was.
    pub(crate) fn fresh() -> Self {
        Self {
            key: uuid::Uuid::new_v4().to_string(),
            if_match: None,
        }
    }
}

/// Why there is no answer.
enum Failure {
    /// The connection broke: whether it was carried out is not known.
    Broken(anyhow::Error),
    /// Nobody leads at this moment: it was not carried out, and will be in a few seconds.
    NoLeader(anyhow::Error),
    /// It was answered, or never sent.
    Final(anyhow::Error),
}

impl From<Failure> for anyhow::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Broken(error) | Failure::NoLeader(error) | Failure::Final(error) => error,
        }
    }
}

type Called = Result<Response<ureq::Body>, ureq::Error>;

/// A connection to the API.
pub(crate) struct Client {
    agent: ureq::Agent,
    known: Mutex<Addresses>,
    /// The folder of our certificate.
    credential: PathBuf,
    verbose: bool,
}

impl Client {
    pub(crate) fn new(connect: &Connect) -> Result<Self> {
        let mut servers = connect.server.split(',').map(str::trim);
        if let Some(odd) = servers.find(|server| !server.starts_with("https://")) {
            bail!("--server: {odd:?} should begin with https://");
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
        let mut servers = connect.server.split(',').map(str::trim);
        let first = servers.next().unwrap_or_default();
        Ok(Self {
            agent,
            known: Mutex::new(Addresses::new(first, servers)),
            credential: connect.credential.clone(),
            verbose: connect.verbose,
        })
    }

    fn known(&self) -> MutexGuard<'_, Addresses> {
        // An address is whole whoever held it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The provisioner that is called.
    fn server(&self) -> String {
        self.known().current().to_owned()
    }

    /// Calls the provisioner, and who leads where it says that another one does.
    fn ask(&self, call: impl Fn(&str) -> Called) -> Called {
        let mut hops = 0;
        loop {
            let server = self.server();
            let answer = call(&server);
            let Ok(head) = &answer else { return answer };
            let header = |name| {
                head.headers()
                    .get(name)
                    .and_then(|value| value.to_str().ok())
            };
            let mut known = self.known();
            if let Some(list) = header(PROVISIONERS_HEADER) {
                known.heard(list);
            }
            let then = known.answered(head.status().as_u16(), header(LEADER_HEADER));
            let is_sent_on = then == Then::SendOn;
            if hops == HOPS_MAX || !is_sent_on {
                return answer;
            }
            if self.verbose {
                tell(&format!("{server} follows; {} leads", known.current()));
            }
            hops += 1;
        }
    }

    /// Asks for a document: where a provisioner does not answer, the next one knows it too.
    fn look(&self, path: &str, tag: Option<&str>) -> Called {
        let several = self.known().all().count();
        for _ in 1..several {
            let answer = self.ask(|server| self.get_from(server, path, tag));
            if answer.is_ok() {
                return answer;
            }
            self.known().next();
        }
        self.ask(|server| self.get_from(server, path, tag))
    }

    fn get_from(&self, server: &str, path: &str, tag: Option<&str>) -> Called {
        let request = self.agent.get(format!("{server}{path}"));
        match tag {
            Some(tag) => request.header("If-None-Match", tag).call(),
            None => request.call(),
        }
    }

    /// GET a document.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.parse(path, &self.text(path)?)
    }

    /// GET a text, as it is.
    pub(crate) fn text(&self, path: &str) -> Result<String> {
        Ok(self.read(self.look(path, None))?)
    }

    /// GET bytes, and when they were last changed, as the header says.
    pub(crate) fn bytes(&self, path: &str) -> Result<(Vec<u8>, Option<String>)> {
        let mut answer = self.look(path, None);
        if let Ok(answer) = &mut answer
            && answer.status().is_success()
        {
            let changed = answer.headers().get("last-modified");
            let changed = changed.and_then(|at| at.to_str().ok()).map(str::to_owned);
            let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
            let bytes = body.read_to_vec();
            let cut = || format!("the answer of {} was cut off", self.server());
            return Ok((bytes.with_context(cut)?, changed));
        }
        self.read(answer)?;
        bail!("{} answered with nothing", self.server())
    }

    /// The document in an answer.
    pub(crate) fn parse<T: DeserializeOwned>(&self, path: &str, text: &str) -> Result<T> {
        serde_json::from_str(text).with_context(|| {
            format!(
                "the answer of {} to {path} is not understood here; is this groundstate of another version?",
                self.server()
            )
        })
    }

    /// Makes an order and answers with the document as it is. It is sent again, with the same key, where the connection
    /// breaks.
    pub(crate) fn order<B: Serialize>(
        &self,
        verb: Verb,
        path: &str,
        body: Option<&B>,
        terms: &Terms,
    ) -> Result<String> {
        if self.verbose {
            let matching = terms.if_match.as_ref();
            let matching = matching.map(|tag| format!(", If-Match: {tag}"));
            let (verb, key) = (verb.as_str(), &terms.key);
            let matching = matching.unwrap_or_default();
            tell(&format!(
                "{verb} {}{path}, Idempotency-Key: {key}{matching}",
                self.server()
            ));
        }
        for pause in AGAIN {
            match self.once(verb, path, body, terms) {
                Ok(text) => return Ok(text),
                Err(Failure::Broken(error)) => {
                    let again = pause.as_secs_f64();
                    tell(&format!(
                        "{}; the same order is sent again in {again} s",
                        causes(&error)
                    ));
                    std::thread::sleep(pause);
                    self.known().next();
                }
                Err(Failure::NoLeader(error)) => {
                    let again = pause.as_secs_f64();
                    tell(&format!(
                        "{}; the same order is sent again in {again} s",
                        causes(&error)
                    ));
                    std::thread::sleep(pause);
                }
                Err(Failure::Final(error)) => return Err(error),
            }
        }
        self.once(verb, path, body, terms)
            .map_err(|failure| match failure {
                Failure::NoLeader(error) | Failure::Final(error) => error,
                Failure::Broken(error) => error.context(format!(
                    "whether the order was taken is not known; ask before you order again (its key was {})",
                    terms.key
                )),
            })
    }

    fn once<B: Serialize>(
        &self,
        verb: Verb,
        path: &str,
        body: Option<&B>,
        terms: &Terms,
    ) -> Result<String, Failure> {
        let json = body.map(serde_json::to_string).transpose();
        let json = json.map_err(|error| Failure::Final(error.into()))?;
        let answer = self.ask(|server| {
            let request = ureq::http::Request::builder()
                .method(verb.as_str())
                .uri(format!("{server}{path}"))
                .header("Idempotency-Key", &terms.key);
            let request = match &terms.if_match {
                Some(tag) => request.header("If-Match", tag),
                None => request,
            };
            match &json {
                Some(json) => {
                    let request = request.header("Content-Type", "application/json");
                    self.agent.run(request.body(json.as_str())?)
                }
                None => self.agent.run(request.body(())?),
            }
        });
        self.read(answer)
    }

    /// GET a document, unless it is still the one of this entity tag.
    pub(crate) fn get_tagged<T: DeserializeOwned>(
        &self,
        path: &str,
        tag: Option<&str>,
    ) -> Result<Fetched<T>> {
        let answer = self.look(path, tag);
        let head = answer.as_ref().ok();
        if head.is_some_and(|answer| answer.status().as_u16() == 304) {
            return Ok(Fetched::Same);
        }
        let tag = head.and_then(|answer| answer.headers().get("etag"));
        let tag = tag.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(Fetched::New(self.parse(path, &self.read(answer)?)?, tag))
    }

    /// POST a document that is answered with nothing and orders nothing.
    pub(crate) fn post_only<B: Serialize>(&self, path: &str, body: &B) -> Result<()> {
        let answer = self.ask(|server| {
            let url = format!("{server}{path}");
            self.agent.post(url).send_json(body)
        });
        if answer.is_err() {
            self.known().next();
        }
        Ok(self.read(answer).map(drop)?)
    }

    fn read(&self, answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<String, Failure> {
        let mut answer = answer.map_err(|error| self.unanswered(error))?;
        let status = answer.status();
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()
            .with_context(|| format!("the answer of {} was cut off", self.server()))
            .map_err(Failure::Broken)?;
        if status.is_success() {
            return Ok(text);
        }
        let problem = serde_json::from_str::<Problem>(&text);
        if let Ok(problem) = &problem
            && problem.reason.code == ReasonCode::NotLeader
        {
            return Err(Failure::NoLeader(anyhow!("{}", problem.reason)));
        }
        Err(Failure::Final(match problem {
            Ok(problem) if status.is_client_error() => Refused {
                reason: problem.reason,
            }
            .into(),
            Ok(problem) => Unwell {
                server: self.server(),
                reason: problem.reason,
            }
            .into(),
            Err(_) => anyhow!(
                "{} answered {status} and no reason; is it a provisioner, and of this version?",
                self.server()
            ),
        }))
    }

    /// Why the server hung up, where it does not want us: it says so when our request is on its way already, and who still sends
    /// does not hear it. Who only asks does.
    fn why_hung_up(&self, error: &ureq::Error) -> Option<ureq::Error> {
        if !unanswered::is_hang_up(error) {
            return None;
        }
        let asked = self
            .agent
            .get(format!("{}{}", self.server(), paths::HEALTHZ));
        let asked = asked.config().timeout_global(Some(ASK_WHY_MAX)).build();
        let why = asked.call().err()?;
        TlsFault::of(&why).is_some().then_some(why)
    }

    /// Says what to do about a server from which nothing came.
    fn unanswered(&self, error: ureq::Error) -> Failure {
        let error = self.why_hung_up(&error).unwrap_or(error);
        let broken = unanswered::is_broken(&error);
        let failed = unanswered::failed(&self.server(), &self.credential, &error);
        let error = anyhow::Error::from(error).context(failed);
        if broken {
            Failure::Broken(error)
        } else {
            Failure::Final(error)
        }
    }
}
