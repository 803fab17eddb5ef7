// SPDX-License-Identifier: Apache-2.0
//! The gate: every request passes it, and a path without a row in [`Route::ALL`] does not.

use super::problem::Refusal;
use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use groundstate_api::{Reason, ReasonCode};
use prov_core::{Peer, Route};

/// Lets a request through whose caller may call its path.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        return no_such_path().await.into_response();
    };
    // A listener that forgot to say who calls gets the rights of nobody.
    let peer = request.extensions().get::<Peer>().unwrap_or(&Peer::Anyone);
    match Route::who(path.as_str()) {
        Some(who) if who.admits(peer) => next.run(request).await,
        Some(who) => {
            let what = format!("this path is for {}", who.says());
            Refusal::not_allowed(what, format!("called by {peer}")).into_response()
        }
        None => no_such_path().await.into_response(),
    }
}

/// 404.
pub(crate) async fn no_such_path() -> Refusal {
    let reason = Reason::new(
        ReasonCode::BadRequest,
        "there is nothing at this path",
        "the paths of version 1 are in the guide, and begin with /v1/",
    );
    Refusal::new(StatusCode::NOT_FOUND, reason)
}
