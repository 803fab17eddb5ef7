// SPDX-License-Identifier: Apache-2.0
//! The page: the site, its racks, nodes and machines for a browser, complete without JavaScript and live with it.
//!
//! It reads and never orders; it is served on a listener of its own, on loopback by default, because it asks nobody who
//! they are. Its sentences are those of the reasons: it makes none about a node by itself. Nothing that it needs comes
//! from elsewhere, and a browser is told so (Content-Security-Policy).

mod actions;
mod assets;
mod elevation;
mod front;
mod inert;
mod live;
mod machines;
mod node;
mod nodes;
mod renewal;
pub(crate) mod sheet;
mod why;
mod words;

pub(crate) use inert::Inert;

use crate::provisioner::Provisioner;
use askama::Template;
use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use groundstate_api::NodeId;
use live::Streams;
use renewal::Renewal;
use std::convert::Infallible;
use std::sync::Arc;

/// What the page's handlers share, and how it is asked for by one request.
#[derive(Clone)]
struct Page {
    ours: Provisioner,
    streams: Arc<Streams>,
    renewal: Renewal,
}

impl FromRequestParts<Self> for Page {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, page: &Self) -> Result<Self, Infallible> {
        Ok(Self {
            renewal: Renewal::of(&parts.uri),
            ..page.clone()
        })
    }
}

impl Provisioner {
    /// The page: `/`, `/racks/{rack}`, `/needs`, `/nodes`, `/nodes/{node}` with `log`, `history` and `ticket`, `/machines`,
    /// `/actions`; what they are made of; and `/live`, the stream that tells a page of news.
    pub fn page(&self) -> Router {
        Router::new()
            .route("/", get(front::front))
            .route("/needs", get(front::needs))
            .route("/racks/{rack}", get(front::rack))
            .route("/nodes", get(nodes::list))
            .route("/nodes/{node}", get(node::one))
            .route("/nodes/{node}/log", get(node::log))
            .route("/nodes/{node}/history", get(node::history))
            .route("/nodes/{node}/ticket", get(sheet::ticket))
            .route("/machines", get(machines::list))
            .route("/actions", get(actions::list))
            .route("/live", get(live::stream))
            .route("/page.css", get(assets::style))
            .route("/page.js", get(assets::script))
            .route("/icon.svg", get(assets::icon))
            // Where a text names no icon, browsers ask for this one.
            .route("/favicon.ico", get(assets::icon))
            .fallback(nothing_here)
            .with_state(Page {
                ours: self.clone(),
                streams: Arc::new(Streams::default()),
                renewal: Renewal::default(),
            })
    }
}

impl Page {
    /// The node of this name in an address.
    fn node(&self, name: &str) -> Result<NodeId, Response> {
        let node = name.parse::<NodeId>().ok();
        node.filter(|node| self.ours.with_node(node, |_| ()).is_some())
            .ok_or_else(|| not_found(&self.ours.site().name, "There is no such node."))
    }

    /// What stands at the top of every page.
    fn top(&self, here: &'static str) -> Top {
        let fleet = self.ours.fleet_view();
        Top {
            site: fleet.site.clone(),
            here,
            needs: fleet.needs.len(),
            machines: fleet.machines,
            nodes: fleet.phases.values().sum(),
            renewal: self.renewal.clone(),
        }
    }
}

/// The top of a page.
struct Top {
    site: String,
    /// The address of the entry of the navigation that this page belongs to.
    here: &'static str,
    needs: usize,
    machines: u32,
    nodes: u32,
    renewal: Renewal,
}

#[derive(Template)]
#[template(path = "nothing.html")]
struct Nothing<'a> {
    site: &'a str,
    what: &'a str,
}

fn not_found(site: &str, what: &str) -> Response {
    let mut response = show(&Nothing { site, what });
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

async fn nothing_here(axum::extract::State(page): axum::extract::State<Page>) -> Response {
    not_found(&page.ours.site().name, "There is nothing at this address.")
}

fn show(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => harden(axum::response::Html(html).into_response()),
        Err(error) => {
            tracing::error!(%error, "the page cannot be written");
            harden(StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
    }
}

/// Only what this listener serves is loaded, nothing in a page is a script or a style, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Runs what reads the journal where it may block.
async fn reading<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::error!(%error, "the page cannot read");
            None
        }
    }
}
