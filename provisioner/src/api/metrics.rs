// SPDX-License-Identifier: Apache-2.0
//! `/metrics`, and the measuring of every call.

use crate::provisioner::Provisioner;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prov_core::Route;
use std::time::Instant;

/// The text format of Prometheus.
const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn metrics(State(ours): State<Provisioner>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, KIND)], ours.metrics_text())
}

/// Counts a call and how long its answer took.
pub(crate) async fn measure(
    State(ours): State<Provisioner>,
    request: Request,
    next: Next,
) -> Response {
    let method = match request.method() {
        &Method::HEAD => "GET",
        method => method.as_str(),
    };
    let path = request.extensions().get::<MatchedPath>();
    let row = path.and_then(|path| Route::find(method, path.as_str()));
    let began = Instant::now();
    let response = next.run(request).await;
    if let Some(row) = row {
        let status = response.status().as_u16();
        ours.figures().answered(row, status, began.elapsed());
    }
    response
}
