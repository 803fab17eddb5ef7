// SPDX-License-Identifier: Apache-2.0
//! The provisioner as a handler of orders gets it: bound to the state that the caller named in `If-Match`, where it named one.

use crate::provisioner::{OnlyIf, Provisioner};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;
use std::sync::Arc;

/// What changes a node takes the provisioner this way, and not as the state.
pub(crate) struct Ours(pub(crate) Provisioner);

impl FromRequestParts<Provisioner> for Ours {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, ours: &Provisioner) -> Result<Self, Infallible> {
        let named = parts.extensions.get::<Arc<OnlyIf>>().cloned();
        Ok(Self(ours.only_if(named)))
    }
}
