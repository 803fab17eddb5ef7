// SPDX-License-Identifier: Apache-2.0
//! Who a new virtual disk is, and when it was made.

use std::fs::File;
use std::io::{self, Read as _};
use std::time::{SystemTime, UNIX_EPOCH};

/// 2000-01-01 00:00 UTC, from which VHDs count seconds.
pub(super) const EPOCH: i64 = 946_684_800;

/// A random (version 4) identity.
pub(super) fn fresh() -> io::Result<[u8; 16]> {
    let mut id = [0u8; 16];
    File::open("/dev/urandom")?.read_exact(&mut id)?;
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut id;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    Ok(id)
}

/// Seconds since 2000, of a moment in seconds since 1970; what lies outside is the nearest that can be told.
pub(super) fn since_2000(unix: i64) -> u32 {
    u32::try_from((unix - EPOCH).max(0)).unwrap_or(u32::MAX)
}

/// Seconds since 2000 until now.
pub(super) fn now() -> u32 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |past| past.as_secs());
    since_2000(i64::try_from(now).unwrap_or(i64::MAX))
}
