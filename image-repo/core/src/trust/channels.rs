// SPDX-License-Identifier: Apache-2.0
//! The catalogue: what makes one meaningful, and whether it goes on from what was seen before.

use super::limits::CLOCK_SLACK;
use super::refusal::TrustError;
use super::root::is_line;
use super::version;
use crate::manifest::check_name;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::trust::{Catalogue, Channel, Seen, SeenChannel};
use groundstate_api::{Digest, Millis};

/// Checks what the types do not hold.
pub(super) fn check(catalogue: &Catalogue) -> Result<(), TrustError> {
    let wrong = |field: String, should: String| TrustError::CatalogueInvalid {
        sequence: catalogue.sequence,
        field,
        should,
    };
    if catalogue.sequence == 0 {
        let should = "a catalogue's sequence is at least 1";
        return Err(wrong("sequence".to_string(), should.to_string()));
    }
    if catalogue.expires <= catalogue.issued {
        let should = "a catalogue expires after it was issued";
        return Err(wrong("expires".to_string(), should.to_string()));
    }
    for (index, row) in catalogue.channels.iter().enumerate() {
        let field = format!("channels[{index}]");
        let names = [
            ("image", &row.image),
            ("channel", &row.channel),
            ("version", &row.version),
        ];
        for (what, name) in names {
            check_name(what, name).map_err(|error| wrong(field.clone(), error.to_string()))?;
        }
        if row.since == 0 || row.since > catalogue.sequence {
            let should = format!(
                "set in catalogue {}, which this one does not know of",
                row.since
            );
            return Err(wrong(field, should));
        }
        let before = catalogue.channels.iter().take(index).next_back();
        if before.is_some_and(|before| key(before) >= key(row)) {
            let should = "channels come once each, by image and name".to_string();
            return Err(wrong(field, should));
        }
    }
    for (index, revoked) in catalogue.revoked.iter().enumerate() {
        if revoked.why.is_empty() || !is_line(&revoked.why) {
            let should = "a revocation says why in one line".to_string();
            return Err(wrong(format!("revoked[{index}]"), should));
        }
    }
    Ok(())
}

fn key(row: &Channel) -> (&str, &str) {
    (&row.image, &row.channel)
}

/// The time that is decided on: ours, but never before what was seen, so that a clock that is set back a little does not
/// bring an old catalogue to life.
pub(super) fn effective_now(now: Millis, seen: &Seen) -> Result<Millis, TrustError> {
    if now.plus(CLOCK_SLACK) < seen.at {
        return Err(TrustError::ClockBack { now, seen: seen.at });
    }
    Ok(now.max(seen.at))
}

/// Whether the catalogue goes on from what was seen.
pub(super) fn check_goes_on(
    catalogue: &Catalogue,
    digest: &Digest,
    seen: &Seen,
    now: Millis,
) -> Result<(), TrustError> {
    let sequence = catalogue.sequence;
    if sequence < seen.sequence {
        return Err(TrustError::CatalogueRollback {
            found: sequence,
            seen: seen.sequence,
        });
    }
    if sequence == seen.sequence && seen.catalogue.is_some_and(|before| before != *digest) {
        return Err(TrustError::CatalogueOther { sequence });
    }
    if catalogue.issued > now.plus(CLOCK_SLACK) {
        return Err(TrustError::FromTheFuture {
            sequence,
            issued: catalogue.issued,
            now,
        });
    }
    if catalogue.expires <= now {
        return Err(TrustError::CatalogueExpired {
            sequence,
            expired: catalogue.expires,
            now,
        });
    }
    for row in &catalogue.channels {
        let before = seen.channels.iter().find(|before| same(before, row));
        if let Some(before) = before {
            check_row(row, before)?;
        }
    }
    Ok(())
}

fn same(before: &SeenChannel, row: &Channel) -> bool {
    (before.image.as_str(), before.channel.as_str()) == key(row)
}

/// A channel is set by promoting, and what it was set to before is older.
fn check_row(row: &Channel, before: &SeenChannel) -> Result<(), TrustError> {
    let title = format!("{}@{}", row.image, row.channel);
    let moved = row.since > before.since;
    if !moved && (row.since < before.since || row.manifest != before.manifest) {
        return Err(TrustError::ChannelRollback {
            channel: title,
            found: row.since,
            seen: before.since,
        });
    }
    if moved && !row.step_back && version::compare(&row.version, &before.version).is_lt() {
        return Err(TrustError::VersionRollback {
            channel: title,
            found: row.version.clone(),
            seen: before.version.clone(),
        });
    }
    Ok(())
}

/// How far the reader has come once it believes this catalogue. Channels that are gone are remembered.
pub(super) fn now_seen(
    root: u64,
    catalogue: &Catalogue,
    digest: &Digest,
    seen: &Seen,
    now: Millis,
) -> Seen {
    let rows = catalogue.channels.iter().map(|row| SeenChannel {
        image: row.image.clone(),
        channel: row.channel.clone(),
        since: row.since,
        manifest: row.manifest,
        version: row.version.clone(),
    });
    let gone = seen
        .channels
        .iter()
        .filter(|before| !catalogue.channels.iter().any(|row| same(before, row)))
        .cloned();
    let mut channels: Vec<SeenChannel> = rows.chain(gone).collect();
    channels.sort_by(|a, b| (&a.image, &a.channel).cmp(&(&b.image, &b.channel)));
    Seen {
        root: root.max(seen.root),
        sequence: catalogue.sequence,
        catalogue: Some(*digest),
        at: now,
        channels,
    }
}
