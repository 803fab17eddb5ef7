// SPDX-License-Identifier: Apache-2.0
//! The page: nodes, phase, reason and report for a browser without JavaScript. It reads and never orders; it is served
//! on a listener of its own, on loopback by default, because it asks nobody who they are.

mod node;
mod nodes;

use crate::provisioner::Provisioner;
use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use groundstate_api::{NodeId, Reason};

impl Provisioner {
    /// The page: `/`, `/nodes/{node}`, `/nodes/{node}/log`.
    pub fn page(&self) -> Router {
        Router::new()
            .route("/", get(list))
            .route("/nodes/{node}", get(one))
            .route("/nodes/{node}/log", get(log))
            .with_state(self.clone())
    }
}

/// A reason as the page shows it.
struct Why {
    what: String,
    code: &'static str,
    part: Option<String>,
    evidence: Vec<String>,
    next_automatic: String,
    next_step: String,
}

impl From<&Reason> for Why {
    fn from(reason: &Reason) -> Self {
        Self {
            what: reason.what.clone(),
            code: reason.code.as_str(),
            part: reason.part.as_ref().map(ToString::to_string),
            evidence: reason.evidence.clone(),
            next_automatic: reason.next_automatic.clone(),
            next_step: reason.next_step.clone(),
        }
    }
}

async fn list(State(ours): State<Provisioner>) -> Response {
    show(&nodes::Nodes::of(&ours.site().name, &ours.list()))
}

async fn one(State(ours): State<Provisioner>, Path(name): Path<String>) -> Response {
    let report = name
        .parse::<NodeId>()
        .ok()
        .and_then(|node| ours.report(&node));
    match report {
        Some(report) => show(&node::NodePage::of(&ours.site().name, &report)),
        None => no_such_node(),
    }
}

async fn log(State(ours): State<Provisioner>, Path(name): Path<String>) -> Response {
    let Ok(node) = name.parse::<NodeId>() else {
        return no_such_node();
    };
    let run = ours.view(&node).and_then(|view| view.run);
    let Some(run) = run else {
        return no_such_node();
    };
    let read = tokio::task::spawn_blocking(move || ours.log(&node, &run)).await;
    match read {
        Ok(Ok(text)) => {
            let text = text.unwrap_or_else(|| "There is no log of this run yet.\n".to_owned());
            let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            harden((kind, text).into_response())
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the page cannot show a log");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The log cannot be read; see the provisioner's own log.\n",
            )
                .into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the page cannot show a log");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn no_such_node() -> Response {
    let text = "There is no such node, or it has no run yet. The list is at /\n";
    harden((StatusCode::NOT_FOUND, text).into_response())
}

fn show(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => harden(axum::response::Html(html).into_response()),
        Err(error) => {
            tracing::error!(%error, "the page cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Nothing on these pages is a script; a browser shall not find one either.
fn harden(mut response: Response) -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(policy),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
