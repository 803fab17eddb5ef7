// SPDX-License-Identifier: Apache-2.0
//! Whether we can be asked, and for what. A process that runs says so on `/healthz`; this says whether its journal is current
//! and who leads.

use super::problem::Refusal;
use super::routes::{Routes, routes};
use crate::journal::{not_leader, reason_of};
use crate::leader::Standing;
use crate::provisioner::Provisioner;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use groundstate_api::paths;
use groundstate_api::ready::{Ready, RoleAmong};

/// A follower that knows all but this many events is current: they are on their way.
const BEHIND_MAX: u64 = 1_000;

pub(crate) fn routes() -> Routes {
    routes![GET paths::READYZ => readyz]
}

async fn readyz(State(ours): State<Provisioner>) -> Result<Response, Refusal> {
    let ready = tokio::task::spawn_blocking(move || ours.ready()).await?;
    let status = if ready.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok((status, Json(ready)).into_response())
}

impl Provisioner {
    /// Asks the journal whether what is known here is current. Blocks for it.
    #[must_use]
    pub fn ready(&self) -> Ready {
        let standing = self.standing();
        let (me, newest) = (self.who(), *self.follow().borrow());
        let mut ready = Ready {
            ready: true,
            role: RoleAmong::Alone,
            name: me.name.clone(),
            leader: None,
            leader_url: None,
            term: None,
            newest,
            behind: None,
            reason: None,
        };
        match &standing {
            Standing::Alone => {}
            Standing::Leads { term, .. } => {
                ready.role = RoleAmong::Leader;
                ready.term = Some(*term);
                ready.leader = Some(me.name);
                ready.leader_url = Some(me.url);
            }
            Standing::Follows(leader) => {
                ready.role = RoleAmong::Follower;
                ready.leader = leader.as_ref().map(|leader| leader.name.clone());
                ready.leader_url = leader.as_ref().map(|leader| leader.url.clone());
                ready.reason = Some(not_leader(leader.as_ref()));
                ready.ready = leader.is_some();
            }
            Standing::Refuses(_) => ready.role = RoleAmong::Refuses,
        }
        if let Err(error) = self.is_folded() {
            ready.ready = false;
            ready.reason = Some(reason_of(&error));
            return ready;
        }
        if matches!(standing, Standing::Follows(_)) {
            match self.newest_in_journal() {
                Ok(there) => {
                    let behind = there.saturating_sub(newest);
                    ready.behind = Some(behind);
                    ready.ready &= behind <= BEHIND_MAX;
                }
                Err(error) => {
                    ready.ready = false;
                    ready.reason = Some(reason_of(&error));
                }
            }
            return ready;
        }
        if let Err(error) = self.may_decide().and_then(|()| self.newest_in_journal()) {
            ready.ready = false;
            ready.reason = Some(reason_of(&error));
        } else if let Some(reason) = self.refusing() {
            ready.ready = false;
            ready.reason = Some(reason);
        }
        ready
    }
}
