// SPDX-License-Identifier: Apache-2.0
//! How the image repository is served to the site's nodes: who is who, how much each gets, and who is too slow.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use groundstate_api::Bytes;
use groundstate_api::fan_out::ImageRules;
use image_repo::serve::{Client, HangUp};
use image_repo::trust::trust_router;
use image_repo::{Repository, ServeConfig, Served};
use prov_core::Peer;
use provisioner::Provisioner;
use provisioner::serve::Bell;
use std::sync::Arc;

/// The repository as it is served.
pub(super) struct Gallery {
    served: Served,
    repository: Arc<Repository>,
}

impl Gallery {
    /// By the rules of the site file, which was checked.
    pub(super) fn new(repository: &Arc<Repository>, rules: &ImageRules) -> Self {
        let rate = |rate: &Option<String>| rate.as_deref().and_then(Bytes::parse);
        let config = ServeConfig {
            shared_caches: rules.shared_caches,
            total_rate: rate(&rules.total_rate),
            client_rate: rate(&rules.node_rate),
            ..ServeConfig::default()
        };
        Self {
            served: Served::new(repository.clone(), &config),
            repository: repository.clone(),
        }
    }

    /// Images and their signatures, for the API.
    pub(super) fn router(&self) -> Router {
        self.served
            .router()
            .layer(from_fn(name_the_client))
            .merge(trust_router(self.repository.clone()))
    }

    /// Its numbers stand beside the provisioner's, and all of them on the page's listener too.
    pub(super) fn numbers(&self, ours: &Provisioner) -> Router {
        let served = self.served.clone();
        ours.metrics_beside(move || served.metrics_text());
        let ours = ours.clone();
        let text = move || async move {
            let kind = [("content-type", "text/plain; version=0.0.4")];
            (kind, ours.metrics_text())
        };
        Router::new().route("/metrics", get(text))
    }
}

/// A node is one client, however many connections it opens.
async fn name_the_client(mut request: Request, next: Next) -> axum::response::Response {
    let client = match request.extensions().get::<Peer>() {
        Some(Peer::Node { node, .. } | Peer::Host { node, .. }) => {
            Some(Client::named(node.as_str()))
        }
        Some(Peer::Client { .. } | Peer::Anyone) | None => None,
    };
    let bell = request
        .extensions()
        .get::<Bell>()
        .map(|bell| HangUp::of(bell.0.clone()));
    if let Some(client) = client {
        request.extensions_mut().insert(client);
    }
    if let Some(bell) = bell {
        request.extensions_mut().insert(bell);
    }
    next.run(request).await
}
