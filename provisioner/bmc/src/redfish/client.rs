// SPDX-License-Identifier: Apache-2.0
//! Questions to a Redfish service: who asks, entity tags, tasks, redirections, and errors in words.

use super::login::Ticket;
use crate::clock::duration;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::wire::{Ask, Reply, Wire};
use bmc_core::answer::Answer;
use bmc_core::link::Link;
use bmc_core::resource::{Task, TaskState};
use bmc_core::text::inert;
use bmc_core::trouble::Trouble;
use bmc_core::words;
use groundstate_api::{Digest, Millis};
use hyper::header::{ETAG, HeaderName, HeaderValue, IF_MATCH, LOCATION, RETRY_AFTER};
use hyper::{Method, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use tokio::time::{Instant, sleep};

/// The most redirections of one question, all within the BMC.
const REDIRECTIONS_MAX: usize = 3;
/// Between two looks at a task that does not say when to come back.
const TASK_PAUSE: Millis = Millis::secs(1);
/// The longest pause that a task may ask for.
const TASK_PAUSE_MAX: Millis = Millis::secs(10);

/// A session, or what stands for it.
pub(crate) struct Client {
    pub(super) wire: Wire,
    pub(super) secret: Secret,
    pub(super) ticket: Ticket,
    pub(super) settings: Arc<Settings>,
}

impl Client {
    /// The certificate that was shown.
    pub(super) fn certificate(&self) -> Option<Digest> {
        self.wire.certificate()
    }

    /// Reads a resource.
    pub(super) async fn get(&mut self, link: &Link) -> Result<Answer, Trouble> {
        self.get_tagged(link).await.map(|(answer, _)| answer)
    }

    /// Reads a resource and its entity tag.
    pub(super) async fn get_tagged(
        &mut self,
        link: &Link,
    ) -> Result<(Answer, Option<String>), Trouble> {
        let mut link = link.clone();
        for _ in 0..=REDIRECTIONS_MAX {
            let reply = self.ask(Method::GET, &link, Vec::new(), None).await?;
            if reply.status.is_redirection() {
                link = self.within(&reply)?;
                continue;
            }
            let asked = format!("GET {link}");
            self.good(&asked, &reply)?;
            let answer = self.read(&asked, &reply)?;
            let tag = reply
                .fields
                .get(ETAG)
                .and_then(|tag| tag.to_str().ok())
                .map(String::from);
            let tag = tag.or_else(|| answer.top().word("@odata.etag").map(String::from));
            return Ok((answer, tag.filter(|tag| !tag.is_empty())));
        }
        Err(Trouble::odd(&format!(
            "GET {link}: is redirected in a circle"
        )))
    }

    /// Changes a resource. `tag` is its entity tag as it was read; where the service does not take it, a fresh one, that one as strong,
    /// and at last none are tried: what is changed here is read back afterwards in any case.
    pub(super) async fn patch(
        &mut self,
        link: &Link,
        body: &Value,
        tag: Option<String>,
    ) -> Result<(), Trouble> {
        let asked = format!("PATCH {link}");
        let mut tag = tag;
        for attempt in 0..4 {
            let fields = match tag.as_deref().map(HeaderValue::from_str) {
                Some(Ok(value)) => vec![(IF_MATCH, value)],
                Some(Err(_)) | None => Vec::new(),
            };
            let reply = self.ask(Method::PATCH, link, fields, Some(body)).await?;
            match (reply.status, attempt) {
                (StatusCode::PRECONDITION_FAILED, 0) => tag = self.get_tagged(link).await?.1,
                (StatusCode::PRECONDITION_FAILED, 1) => {
                    tag = self
                        .get_tagged(link)
                        .await?
                        .1
                        .map(|tag| tag.trim_start_matches("W/").to_owned());
                }
                (StatusCode::PRECONDITION_FAILED, 2) => tag = None,
                (StatusCode::PRECONDITION_REQUIRED, 0 | 1) => {
                    tag = Some(self.get_tagged(link).await?.1.unwrap_or_else(|| "*".into()));
                }
                _ => return self.finished(&asked, reply).await.map(|_| ()),
            }
        }
        Err(Trouble::Refused {
            asked,
            status: 412,
            says: "it takes no entity tag".into(),
        })
    }

    /// Carries out an action, its task included.
    pub(super) async fn post(
        &mut self,
        link: &Link,
        body: &Value,
    ) -> Result<Option<Answer>, Trouble> {
        let asked = format!("POST {link}");
        let reply = self.ask(Method::POST, link, Vec::new(), Some(body)).await?;
        self.finished(&asked, reply).await
    }

    /// One question with the ticket; a session that ended in between is begun anew, once.
    async fn ask(
        &mut self,
        method: Method,
        link: &Link,
        fields: Vec<(HeaderName, HeaderValue)>,
        body: Option<&Value>,
    ) -> Result<Reply, Trouble> {
        let reply = self
            .ask_once(method.clone(), link, fields.clone(), body)
            .await?;
        if reply.status != StatusCode::UNAUTHORIZED {
            return Ok(reply);
        }
        let says = self.says(&reply);
        if !self.begin_again().await? {
            return Err(Trouble::CredentialRefused {
                user: inert(self.secret.user()),
                says,
            });
        }
        let reply = self.ask_once(method, link, fields, body).await?;
        if reply.status == StatusCode::UNAUTHORIZED {
            return Err(Trouble::CredentialRefused {
                user: inert(self.secret.user()),
                says: self.says(&reply),
            });
        }
        Ok(reply)
    }

    pub(super) async fn ask_once(
        &mut self,
        method: Method,
        link: &Link,
        mut fields: Vec<(HeaderName, HeaderValue)>,
        body: Option<&Value>,
    ) -> Result<Reply, Trouble> {
        fields.extend(self.ticket.field(&self.secret)?);
        let ask = Ask {
            method,
            path: link.as_str(),
            fields,
            body: body.map(|body| body.to_string().into_bytes()),
        };
        self.wire.send(&ask).await
    }

    /// Where a redirection leads, if it stays on the BMC.
    pub(super) fn within(&self, reply: &Reply) -> Result<Link, Trouble> {
        let location = reply
            .fields
            .get(LOCATION)
            .and_then(|to| to.to_str().ok())
            .unwrap_or_default();
        Link::parse(location, self.wire.authority()).ok_or_else(|| Trouble::Elsewhere {
            to: inert(location),
        })
    }

    /// A 2xx, or why not.
    pub(super) fn good(&self, asked: &str, reply: &Reply) -> Result<(), Trouble> {
        if reply.status.is_success() {
            return Ok(());
        }
        if reply.status.is_redirection() {
            // Only questions that read are asked again elsewhere, and only on this BMC.
            let location = reply
                .fields
                .get(LOCATION)
                .and_then(|to| to.to_str().ok())
                .unwrap_or_default();
            return Err(Trouble::Elsewhere {
                to: inert(location),
            });
        }
        let says = self.says(reply);
        let ids = self
            .read(asked, reply)
            .map(|answer| words::ids(&answer))
            .unwrap_or_default();
        let named = |names: &[&str]| ids.iter().any(|id| names.iter().any(|name| id == name));
        if named(&["SessionLimitExceeded"]) {
            return Err(Trouble::SessionLimit { says });
        }
        let later = [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ]
        .contains(&reply.status);
        if later
            || named(&[
                "UnableToModifyDuringSystemPOST",
                "ServiceTemporarilyUnavailable",
                "SystemPOSTInProgress",
            ])
        {
            return Err(Trouble::Busy {
                says,
                pause: pause(reply),
            });
        }
        Err(Trouble::Refused {
            asked: asked.into(),
            status: reply.status.as_u16(),
            says,
        })
    }

    /// What an answer says, for people.
    pub(super) fn says(&self, reply: &Reply) -> String {
        let words = self
            .read("error", reply)
            .ok()
            .and_then(|answer| words::of(&answer));
        words.unwrap_or_else(|| inert(&reply.status.to_string()))
    }

    pub(super) fn read(&self, asked: &str, reply: &Reply) -> Result<Answer, Trouble> {
        Answer::read(&reply.body, asked, self.wire.authority())
    }

    /// Ends well at once, or when its task has.
    async fn finished(&mut self, asked: &str, reply: Reply) -> Result<Option<Answer>, Trouble> {
        self.good(asked, &reply)?;
        let answer = if reply.body.is_empty() {
            None
        } else {
            self.read(asked, &reply).ok()
        };
        if reply.status != StatusCode::ACCEPTED {
            return Ok(answer);
        }
        let task = answer.as_ref().and_then(Task::read);
        let location = reply.fields.get(LOCATION).and_then(|to| to.to_str().ok());
        let monitor = location.and_then(|to| Link::parse(to, self.wire.authority()));
        let Some(monitor) = monitor.or_else(|| task.as_ref().and_then(|task| task.monitor.clone()))
        else {
            // Nothing to follow: what became of it is seen by looking at the resource.
            return Ok(answer);
        };
        self.follow(asked, monitor, pause(&reply)).await
    }

    async fn follow(
        &mut self,
        asked: &str,
        monitor: Link,
        first: Option<Millis>,
    ) -> Result<Option<Answer>, Trouble> {
        let begun = Instant::now();
        let mut pause_now = first;
        let mut seen = String::from("nothing");
        while begun.elapsed() < duration(self.settings.task) {
            let pace = self.settings.pace_divisor.max(1);
            let wait = Millis(pause_now.unwrap_or(TASK_PAUSE).0.min(TASK_PAUSE_MAX.0) / pace);
            sleep(duration(wait)).await;
            let reply = self.ask(Method::GET, &monitor, Vec::new(), None).await?;
            pause_now = pause(&reply);
            // A monitor that is gone was taken away with its task.
            if [StatusCode::NOT_FOUND, StatusCode::GONE].contains(&reply.status) {
                return Ok(None);
            }
            if let Err(trouble) = self.good(asked, &reply) {
                return Err(failed(asked, trouble));
            }
            let answer = if reply.body.is_empty() {
                None
            } else {
                self.read(asked, &reply).ok()
            };
            match answer.as_ref().and_then(Task::read) {
                Some(task) if task.state == TaskState::Completed => return Ok(answer),
                Some(task) if task.state == TaskState::Failed => {
                    return Err(Trouble::TaskFailed {
                        asked: asked.into(),
                        says: task.says,
                    });
                }
                Some(task) => seen = task.says,
                None if reply.status == StatusCode::ACCEPTED => {}
                None => return Ok(answer),
            }
        }
        Err(Trouble::Late {
            asked: asked.into(),
            seen: format!("its task at {seen}"),
            within: self.settings.task,
        })
    }
}

fn failed(asked: &str, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Refused { says, .. } => Trouble::TaskFailed {
            asked: asked.into(),
            says,
        },
        other => other,
    }
}

/// `Retry-After` in seconds; a date is not read.
fn pause(reply: &Reply) -> Option<Millis> {
    let seconds: u64 = reply
        .fields
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Millis(seconds.saturating_mul(1_000)))
}
