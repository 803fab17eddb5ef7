// SPDX-License-Identifier: Apache-2.0
//! Reads a JSON body: bounded in length and in time, with the wrong field named.

use super::problem::Refusal;
use super::text;
use super::wrong;
use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use groundstate_api::{Bytes, Reason, ReasonCode, SCHEMA};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long a caller may take for its body: 2 MiB over a management network at 1 Mb/s.
const BODY_TIME_MAX: Duration = Duration::from_secs(30);
/// Pieces of a body that is too long which are read away: about 8 MiB.
const READ_AWAY_PIECES: usize = 1_024;
/// How long that may take.
const READ_AWAY_WAIT: Duration = Duration::from_secs(2);
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
    serde_path_to_error::deserialize(value).map_err(|error| wrong::body(&error))
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

/// Reads away, for a moment, a body of whose caller we know enough: it hears its refusal then.
pub(crate) async fn read_away(body: Body) {
    away(body.into_data_stream()).await;
}

async fn away(pieces: BodyDataStream) {
    let all = pieces.take(READ_AWAY_PIECES).for_each(|_| async {});
    // What it says does not matter any more.
    let _ = tokio::time::timeout(READ_AWAY_WAIT, all).await;
}

/// Reads the body: at most so many bytes, in bounded time. What is too long is read away for a moment: a connection that is
/// closed over unread bytes is reset, and the caller then has no answer but "disconnected".
pub(crate) async fn read(body: Body, max: Bytes) -> Result<axum::body::Bytes, Refusal> {
    let limit = usize::try_from(max.0).unwrap_or(usize::MAX);
    let mut pieces = body.into_data_stream();
    let mut bytes = Vec::new();
    let reading = async {
        while let Some(piece) = pieces.next().await {
            let Ok(piece) = piece else {
                return Err("was cut off");
            };
            if bytes.len() + piece.len() > limit {
                return Err("is too long");
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(())
    };
    match tokio::time::timeout(BODY_TIME_MAX, reading).await {
        Ok(Ok(())) => Ok(bytes.into()),
        Ok(Err(why)) => {
            away(pieces).await;
            let reason = Reason::new(
                ReasonCode::BadRequest,
                format!("the body {why}; {max} is the most"),
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
    // Every body is an object. A list of a body's fields without their names would be read as one.
    if bytes
        .trim_ascii_start()
        .first()
        .is_some_and(|first| *first != b'{')
    {
        return Err(wrong::no_object());
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value =
        serde_path_to_error::deserialize(&mut reader).map_err(|error| wrong::body(&error))?;
    reader.end().map_err(|error| wrong::no_json(&error))?;
    Ok(value)
}
