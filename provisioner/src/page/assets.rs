// SPDX-License-Identifier: Apache-2.0
//! What pages are made of beside their text: one style, one script, one icon, all in the binary.

use super::harden;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

pub(super) const STYLE: &str = include_str!("../../templates/page.css");
const SCRIPT: &str = include_str!("../../templates/page.js");
const ICON: &str = include_str!("../../templates/icon.svg");

pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn icon() -> Response {
    asset("image/svg+xml", ICON)
}

/// A browser asks again after a minute: a new binary brings a new style.
fn asset(kind: &'static str, text: &'static str) -> Response {
    let mut response = harden(([(header::CONTENT_TYPE, kind)], text).into_response());
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=60"),
    );
    response
}
