// SPDX-License-Identifier: Apache-2.0
//! Serves manifests, chunks and blobs over HTTP: GET and HEAD, one range, bytes that never change under a name; with
//! caps, fair turns, and a time to come back instead of collapse.
//!
//! It refuses to know who may have an image: the server that composes the router says that. [`run()`] is such a server
//! for laboratories and measurements, where everybody with a certificate of one authority may have everything.

mod answer;
mod body;
mod buffers;
mod client;
mod config;
mod desk;
mod files;
mod metrics;
mod run;
mod tls;

pub use client::{Client, HangUp};
pub use config::ServeConfig;
pub use run::{ServeOptions, run};
pub use tls::{ServeTlsError, tls};

use metrics::{Metrics, Now};

use crate::repository::Repository;
use crate::store::Kind;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::routing::get;
use body::Reading;
use desk::Desk;
use groundstate_api::paths;
use std::sync::Arc;

/// A repository as it is served: its routes, and the numbers of what went out by them.
#[derive(Clone, Debug)]
pub struct Served {
    repository: Arc<Repository>,
    desk: Arc<Desk>,
    reading: Arc<Reading>,
    metrics: Arc<Metrics>,
    cache_control: &'static str,
}

/// The routes of [`paths::IMAGE_MANIFEST`], [`paths::CHUNK`] and [`paths::BLOB`] with the defaults of [`ServeConfig`].
/// They know neither TLS nor who may ask.
pub fn router(repository: Arc<Repository>) -> Router {
    router_with(repository, &ServeConfig::default())
}

/// The same with bounds of one's own. Who asks is told by the request extensions [`Client`] and [`HangUp`].
pub fn router_with(repository: Arc<Repository>, config: &ServeConfig) -> Router {
    Served::new(repository, config).router()
}

impl Served {
    /// A repository that is to be served.
    #[must_use]
    pub fn new(repository: Arc<Repository>, config: &ServeConfig) -> Self {
        let metrics = Arc::new(Metrics::default());
        Self {
            repository,
            desk: Desk::new(config.caps(), Arc::clone(&metrics)),
            reading: Arc::new(Reading::default()),
            metrics,
            cache_control: config.cache_control(),
        }
    }

    /// Its routes.
    pub fn router(&self) -> Router {
        let route = |kind| {
            get(
                move |State(served): State<Self>, Path(digest): Path<String>, request: Request| async move {
                    served.answer(kind, &digest, &request.into_parts().0).await
                },
            )
        };
        Router::new()
            .route(paths::IMAGE_MANIFEST, route(Kind::Manifest))
            .route(paths::CHUNK, route(Kind::Chunk))
            .route(paths::BLOB, route(Kind::Blob))
            .with_state(self.clone())
    }

    /// What was served, in Prometheus' text format 0.0.4; the names are `groundstate_api::metrics::IMAGE_SERVICE`.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let (in_work, window) = self.desk.now();
        let behind = self.repository.store.behind();
        let (fetched, failed) = behind.map_or((0, 0), |behind| behind.cache().fetched());
        self.metrics.text(Now {
            in_work: in_work as u64,
            window,
            fetched,
            failed,
        })
    }
}
