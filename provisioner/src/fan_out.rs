// SPDX-License-Identifier: Apache-2.0
//! Tells nodes of an open run where to get the next pieces of their image: the plan of `image-core`, kept in memory.
//!
//! Nothing of it is durable. After a restart every node tells the whole of what it has with its next question.

use crate::api::Refusal;
use crate::api::body;
use crate::api::node::{me, own_run};
use crate::provisioner::Provisioner;
use crate::serve::Caller;
use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use groundstate_api::fan_out::{ImageRules, QUESTION_MAX, SourcesAnswer, SourcesQuestion};
use groundstate_api::limits::CHUNKS_MAX;
use groundstate_api::{Millis, NodeId};
use image_core::fan_out::{Action, Event, FanOut, Settings};
use prov_core::Peer;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// The plan; none where the site switched it off.
#[derive(Debug)]
pub(crate) struct Sources {
    plan: Mutex<Planned>,
}

#[derive(Debug)]
struct Planned {
    rules: ImageRules,
    plan: Option<FanOut>,
}

impl Planned {
    fn new(rules: &ImageRules) -> Self {
        let settings = Settings { rate: rules.rate() };
        Self {
            rules: rules.clone(),
            plan: rules.peers.then(|| FanOut::new(settings)),
        }
    }
}

impl Sources {
    pub(crate) fn new(rules: &ImageRules) -> Self {
        Self {
            plan: Mutex::new(Planned::new(rules)),
        }
    }

    /// Other rules hold from now on: the plan begins anew, since every node tells the whole with its next question.
    pub(crate) fn renew(&self, rules: &ImageRules) {
        let mut planned = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if planned.rules != *rules {
            *planned = Planned::new(rules);
        }
    }

    /// Answers a question of a node in this rack. Where there is no plan, the whole image is the repository's to give.
    pub(crate) fn answer(
        &self,
        now: Millis,
        rack: String,
        node: &NodeId,
        from: IpAddr,
        mut question: SourcesQuestion,
    ) -> SourcesAnswer {
        let everything = image_core::fan_out::everything_from_the_repository(&question, None);
        question
            .troubles
            .truncate(groundstate_api::fan_out::TROUBLES_MAX);
        let mut actions = Vec::new();
        {
            // A panic in the plan cannot leave it half changed in a way that the next questions do not put right.
            let mut planned = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(plan) = &mut planned.plan else {
                return everything;
            };
            if plan.deadline().is_some_and(|at| at <= now) {
                plan.handle(now, Event::Timeout, &mut actions);
            }
            let event = Event::Asked {
                node: node.clone(),
                rack,
                from,
                question,
            };
            plan.handle(now, event, &mut actions);
        }
        let mut answer = everything;
        for action in actions {
            match action {
                Action::Answer(planned) => answer = planned,
                Action::Lied {
                    image,
                    peer,
                    reporter,
                    piece,
                } => tracing::error!(
                    %peer, %reporter, image = %image.short(), piece,
                    "a node gave bytes of an image that are not what the manifest says; nobody is sent to it again in its run: check its memory and its disk"
                ),
                Action::TakenOut { peer, .. } => {
                    tracing::info!(%peer, "other nodes cannot fetch from this one for now");
                }
                Action::Doubted { reporter } => tracing::warn!(
                    %reporter,
                    "a node says of many others that they give wrong bytes; it is believed for itself only: check its memory and its cable"
                ),
            }
        }
        answer
    }
}

/// POST [`groundstate_api::paths::RUN_SOURCES`].
pub(crate) async fn sources(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    caller: Option<Extension<Caller>>,
    body: Body,
) -> Result<Json<SourcesAnswer>, Refusal> {
    let me = me(&ours, &peer)?;
    let question: SourcesQuestion = body::json(body, QUESTION_MAX).await?;
    own_run(&me.run, &question.run, &peer)?;
    let is_open = ours.with_node(&me.node, |node| node.is_bound_to(&me.run, &me.key));
    if is_open != Some(true) {
        return Err(Refusal::not_allowed(
            "this run is over, or has not begun",
            format!("called by {peer}"),
        ));
    }
    if usize::try_from(question.chunks).unwrap_or(usize::MAX) > CHUNKS_MAX {
        return Err(Refusal::field(
            "chunks",
            format!("an image has at most {CHUNKS_MAX} chunks"),
        ));
    }
    let Some(Extension(Caller(from))) = caller else {
        return Err(Refusal::internal("the listener does not say who calls"));
    };
    Ok(Json(ours.sources(&me.node, from, question)))
}
