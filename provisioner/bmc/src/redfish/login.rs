// SPDX-License-Identifier: Apache-2.0
//! How a session is begun and ended. The password is sent to begin one; with every question only to services that have no sessions.

use super::Redfish;
use super::client::Client;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::wire::Wire;
use base64ct::{Base64, Encoding as _};
use bmc_core::link::Link;
use bmc_core::resource::{Root, Sessions};
use bmc_core::text::inert;
use bmc_core::trouble::Trouble;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;

/// What is shown with every question.
pub(crate) enum Ticket {
    /// Nothing.
    None,
    /// A session's token; where the session is ended; where a new one is begun.
    Token {
        token: HeaderValue,
        session: Option<Link>,
        sessions: Link,
    },
    /// User and password: the service has no sessions.
    Basic,
}

impl Ticket {
    pub(super) fn field(
        &self,
        secret: &Secret,
    ) -> Result<Option<(HeaderName, HeaderValue)>, Trouble> {
        Ok(match self {
            Self::None => None,
            Self::Token { token, .. } => {
                Some((HeaderName::from_static("x-auth-token"), token.clone()))
            }
            Self::Basic => {
                let pair = format!("{}:{}", secret.user(), secret.password());
                let text = format!("Basic {}", Base64::encode_string(pair.as_bytes()));
                let mut value =
                    HeaderValue::from_str(&text).map_err(|_| Trouble::CredentialUnfit {
                        why: "it is no header of HTTP".into(),
                    })?;
                value.set_sensitive(true);
                Some((AUTHORIZATION, value))
            }
        })
    }
}

impl Redfish {
    /// Finds the service, begins a session, finds the machine.
    pub(crate) async fn open(
        wire: Wire,
        secret: Secret,
        system: Option<&str>,
        settings: Arc<Settings>,
    ) -> Result<Self, Trouble> {
        let mut client = Client {
            wire,
            secret,
            ticket: Ticket::None,
            settings,
        };
        let root = client.root().await?;
        client.log_in(&root).await?;
        match Self::find(client, root, system).await {
            Ok(redfish) => Ok(redfish),
            Err((mut client, trouble)) => {
                client.log_out().await;
                Err(trouble)
            }
        }
    }
}

impl Client {
    /// The service root needs no credential (DSP0266, 13.3.4.1); services that want one all the same are given it.
    async fn root(&mut self) -> Result<Root, Trouble> {
        let mut link = Link::root();
        for _ in 0..4 {
            let reply = self.ask_once(Method::GET, &link, Vec::new(), None).await?;
            if reply.status.is_redirection() {
                link = self.within(&reply)?;
                continue;
            }
            if reply.status == StatusCode::UNAUTHORIZED && matches!(self.ticket, Ticket::None) {
                self.ticket = Ticket::Basic;
                continue;
            }
            if reply.status == StatusCode::UNAUTHORIZED {
                return Err(self.refused(&reply));
            }
            let asked = format!("GET {link}");
            self.good(&asked, &reply)?;
            return Root::read(&self.read(&asked, &reply)?);
        }
        Err(Trouble::odd("the service root is redirected in a circle"))
    }

    async fn log_in(&mut self, root: &Root) -> Result<(), Trouble> {
        match self.sessions(root).await? {
            Some(sessions) => {
                if !self.begin(&sessions).await? {
                    self.ticket = Ticket::Basic;
                }
            }
            None => self.ticket = Ticket::Basic,
        }
        Ok(())
    }

    /// Where sessions are begun; `None` where the service has none.
    async fn sessions(&mut self, root: &Root) -> Result<Option<Link>, Trouble> {
        if let Some(link) = &root.sessions {
            return Ok(Some(link.clone()));
        }
        let Some(service) = &root.session_service else {
            return Ok(None);
        };
        let mut reply = self
            .ask_once(Method::GET, service, Vec::new(), None)
            .await?;
        if reply.status == StatusCode::UNAUTHORIZED && matches!(self.ticket, Ticket::None) {
            self.ticket = Ticket::Basic;
            reply = self
                .ask_once(Method::GET, service, Vec::new(), None)
                .await?;
        }
        if reply.status == StatusCode::UNAUTHORIZED {
            return Err(self.refused(&reply));
        }
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let asked = format!("GET {service}");
        self.good(&asked, &reply)?;
        let found = Sessions::read(&self.read(&asked, &reply)?);
        Ok(found.sessions.filter(|_| found.enabled))
    }

    /// Begins a session; `false` where the service has no such thing after all.
    async fn begin(&mut self, sessions: &Link) -> Result<bool, Trouble> {
        self.ticket = Ticket::None;
        let body = json!({"UserName": self.secret.user(), "Password": self.secret.password()});
        let reply = self
            .ask_once(Method::POST, sessions, Vec::new(), Some(&body))
            .await?;
        match reply.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                // A service without a session left may say so with 403.
                return Err(match self.good("begin a session", &reply) {
                    Err(limit @ Trouble::SessionLimit { .. }) => limit,
                    Ok(()) | Err(_) => self.refused(&reply),
                });
            }
            StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::NOT_IMPLEMENTED => return Ok(false),
            _ => {}
        }
        // A collection that can take no more members says so in other words.
        self.good("begin a session", &reply)
            .map_err(|trouble| match trouble {
                Trouble::Refused { says, .. } if says.contains("limit") => {
                    Trouble::SessionLimit { says }
                }
                other => other,
            })?;
        let Some(mut token) = reply.fields.get("x-auth-token").cloned() else {
            // It took the credential and gave nothing for it: such a service has no sessions.
            return Ok(false);
        };
        token.set_sensitive(true);
        let location = reply.fields.get(LOCATION).and_then(|to| to.to_str().ok());
        let session = location.and_then(|to| Link::parse(to, self.wire.authority()));
        let session =
            session.or_else(|| self.read("a session", &reply).ok()?.top().link("@odata.id"));
        self.ticket = Ticket::Token {
            token,
            session,
            sessions: sessions.clone(),
        };
        Ok(true)
    }

    /// Begins a new session where one ended; `false` where the password itself was refused.
    pub(super) async fn begin_again(&mut self) -> Result<bool, Trouble> {
        let Ticket::Token { sessions, .. } = &self.ticket else {
            return Ok(false);
        };
        let sessions = sessions.clone();
        self.begin(&sessions).await
    }

    /// Ends the session at the service, as well as it can be done.
    pub(super) async fn log_out(&mut self) {
        let ticket = std::mem::replace(&mut self.ticket, Ticket::None);
        if let Ticket::Token {
            session: Some(session),
            ..
        } = &ticket
        {
            let link = session.clone();
            self.ticket = ticket;
            if let Err(trouble) = self.ask_once(Method::DELETE, &link, Vec::new(), None).await {
                tracing::debug!(%trouble, "a session at a BMC was not ended; it ends by its own time-out");
            }
            self.ticket = Ticket::None;
        }
    }

    fn refused(&self, reply: &crate::wire::Reply) -> Trouble {
        Trouble::CredentialRefused {
            user: inert(self.secret.user()),
            says: self.says(reply),
        }
    }
}
