// SPDX-License-Identifier: Apache-2.0
//! Entity tags: an answer that the caller has already is not sent again.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use groundstate_api::boot::BootSighting;
use groundstate_api::run::StepState;
use groundstate_api::view::NodeView;

/// In an answer's extensions: it says what no event says, such as how far a step is, so that its tag stays while it changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moving;

/// Whether a node's view does.
pub(crate) fn moves(view: &NodeView) -> bool {
    let runs = matches!(view.step, Some((_, StepState::Running { .. })));
    runs || matches!(view.boot, Some(BootSighting::FileProgress { .. }))
}

/// Whether one of the tags of an `If-Match` or `If-None-Match` is this one. Weak tags count only where `weak` is true.
pub(crate) fn matches(wanted: &HeaderValue, tag: &str, weak: bool) -> bool {
    let bare = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let Ok(wanted) = wanted.to_str() else {
        return false;
    };
    wanted.trim() == "*"
        || wanted.split(',').map(str::trim).any(|one| match weak {
            true => bare(one) == bare(tag),
            false => one == tag,
        })
}

/// Answers 304 where the tag of an answer to GET is one that the caller names, and tells all of it.
pub(crate) async fn conditional(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let (true, Some(known), StatusCode::OK) = (reads, known, response.status()) else {
        return response;
    };
    if response.extensions().get::<Moving>().is_some() {
        return response;
    }
    let Some(tag) = response.headers().get(header::ETAG) else {
        return response;
    };
    if !matches(&known, tag.to_str().unwrap_or_default(), true) {
        return response;
    }
    (StatusCode::NOT_MODIFIED, [(header::ETAG, tag.clone())]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_as_the_standard_says() {
        let yes =
            |wanted: &str, tag, weak| matches(&HeaderValue::from_str(wanted).unwrap(), tag, weak);
        assert!(yes("\"7\"", "\"7\"", false) && yes("*", "\"7\"", false));
        assert!(yes("\"6\", \"7\"", "\"7\"", false));
        assert!(!yes("W/\"7\"", "\"7\"", false) && yes("W/\"7\"", "\"7\"", true));
        assert!(yes("\"7\"", "W/\"7\"", true) && !yes("\"70\"", "\"7\"", true));
        assert!(!yes("7", "\"7\"", true));
    }
}
