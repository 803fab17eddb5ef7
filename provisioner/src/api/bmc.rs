// SPDX-License-Identifier: Apache-2.0
//! What a node's BMC says: its inventory, and the serial console as far as it keeps one. Nothing is changed by asking.

use super::operator::known;
use super::problem::Refusal;
use super::routes::{Routes, routes};
use super::text::clean_log;
use crate::provisioner::Provisioner;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use groundstate_api::bmc::BmcReport;
use groundstate_api::paths;

pub(crate) fn routes() -> Routes {
    routes![
        GET paths::NODE_BMC => report,
        GET paths::NODE_CONSOLE => console,
    ]
}

async fn report(
    State(ours): State<Provisioner>,
    Path(name): Path<String>,
) -> Result<Json<BmcReport>, Refusal> {
    let node = known(&ours, &name)?;
    ours.bmc_report(&node).await.map(Json)
}

async fn console(
    State(ours): State<Provisioner>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let node = known(&ours, &name)?;
    let mut text = ours.bmc_console(&node).await?.join("\n");
    text.push('\n');
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, clean_log(&text)).into_response())
}
