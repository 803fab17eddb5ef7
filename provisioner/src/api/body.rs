// SPDX-License-Identifier: Apache-2.0
//! Reads a JSON body: bounded in length and in time, with the wrong field named.

use super::problem::Refusal;
use super::text;
use axum::body::Body;
use axum::http::StatusCode;
use groundstate_api::{Bytes, Reason, ReasonCode, SCHEMA};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long a caller may take for its body: 2 MiB over a management network at 1 Mb/s.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// An empty order and a heartbeat are below 1 KiB; a registration lists what its first boot changed.
pub(crate) const SMALL: Bytes = Bytes(256 * 1024);

/// Reads the body as `T`.
pub(crate) async fn json<T: DeserializeOwned>(body: Body, max: Bytes) -> Result<T, Refusal> {
    let bytes = read(body, max).await?;
    parse(&bytes)
}

/// Reads what a node or a host says of itself as `T`. Its texts are cleaned before anything is made of them: this is the
/// one place where they come in.
pub(crate) async fn said<T: DeserializeOwned>(body: Body, max: Bytes) -> Result<T, Refusal> {
    let bytes = read(body, max).await?;
    let mut value: serde_json::Value = parse(&bytes)?;
    text::clean(&mut value);
    serde_path_to_error::deserialize(value)
        .map_err(|error| Refusal::field(&error.path().to_string(), error.inner().to_string()))
}

/// Reads the body as `T`, or as its default where it is empty.
pub(crate) async fn json_or_default<T: DeserializeOwned + Default>(
    body: Body,
    max: Bytes,
) -> Result<T, Refusal> {
    let bytes = read(body, max).await?;
    if bytes.is_empty() {
        Ok(T::default())
    } else {
        parse(&bytes)
    }
}

/// Refuses a document of another schema.
pub(crate) fn check_schema(path: &str, found: u32) -> Result<(), Refusal> {
    if found == SCHEMA {
        Ok(())
    } else {
        Err(Refusal::field(
            path,
            format!("schema {found} is not known here; {SCHEMA} is"),
        ))
    }
}

async fn read(body: Body, max: Bytes) -> Result<axum::body::Bytes, Refusal> {
    let limit = usize::try_from(max.0).unwrap_or(usize::MAX);
    match tokio::time::timeout(BODY_TIME_MAX, axum::body::to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => {
            let reason = Reason::new(
                ReasonCode::BadRequest,
                format!("the body is longer than {max}, or was cut off"),
                "send less",
            )
            .then("nothing: the request changed nothing");
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason))
        }
        Err(_) => {
            let reason = Reason::new(
                ReasonCode::BadRequest,
                "the body did not arrive in time",
                "send it again",
            )
            .seen(format!("waited {} s", BODY_TIME_MAX.as_secs()));
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, reason))
        }
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| Refusal::field(&error.path().to_string(), error.inner().to_string()))?;
    reader
        .end()
        .map_err(|error| Refusal::field(".", error.to_string()))?;
    Ok(value)
}
