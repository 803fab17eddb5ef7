// SPDX-License-Identifier: Apache-2.0
//! `/openapi.json`: the description of this API that stands in `docs/openapi.json`. A test writes it from the table of routes and
//! the types of the bodies, and refuses one that is not what they say.

use axum::http::header;
use axum::response::IntoResponse;

/// The description.
const TEXT: &str = include_str!("../../../docs/openapi.json");

pub(crate) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], TEXT)
}
