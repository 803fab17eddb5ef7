// SPDX-License-Identifier: Apache-2.0
//! Limits of a deploy, each with its unit and its reason.

use crate::limits::stored_max;
use groundstate_api::{Bytes, Millis};

/// How long a span is, where chunks are not longer: a disk takes requests of this size as fast as any larger ones.
pub const SPAN: Bytes = Bytes::mib(1);
/// The head of the target that is cleared before the first change and written last: boot sector, both headers of a GPT,
/// its entries, the superblocks of ext4, XFS, btrfs and FAT, and El Torito's catalogue all stand there.
pub const HEAD: Bytes = Bytes::mib(1);
/// The most bytes of chunks, compressed and plain together, between the question and the disk: PID 1 lives in 64 MiB.
pub const FLIGHT_BYTES_MAX: Bytes = Bytes::mib(34);
/// The most spans between the question and the disk: more do not make it faster.
pub const FLIGHT_MAX: usize = 12;
/// The most spans that are asked of one lane before the first of them has come.
pub const LANE_MAX: usize = 6;
/// Zeros that are cleared at once, so that progress is seen.
pub const CLEARED_AT_ONCE: Bytes = Bytes::mib(64);
/// Zeros that are looked at at once.
pub const LOOKED_AT_ONCE: Bytes = Bytes::mib(8);
/// Runs of zeros that are worked on at once.
pub const ZEROS_AT_ONCE: usize = 4;
/// Spans that are known to be wanted, beyond those that are asked for: sources that have different pieces find theirs.
pub const WANTED_MAX: usize = 4_096;
/// So many bytes of data are written after a span before it is read back on the way: the largest cache of its own in the
/// data sheet of a disk is 512 MiB, and what is behind that many newer bytes is read from where it is kept.
pub const READ_BEHIND: Bytes = Bytes::mib(512);
/// After so many spans in a row without one right chunk the disk is taken for another's: 32 MiB, read in a few hundredths
/// of a second.
pub const MISSES_MAX: u32 = 32;
/// One span in so many is then still read, so that an old image further on is found.
pub const PROBE_EVERY: usize = 64;
/// How often it looks at how the lanes do.
pub const TICK: Millis = Millis(500);
/// After so long without a byte a source is as good as dead.
pub const STALL_MAX: Millis = Millis::secs(15);
/// The same where another source gives: nobody is waited for who is not needed.
pub const STALL_BESIDE_MAX: Millis = Millis::secs(4);
/// Over so long a rate is taken.
pub const RATE_OVER: Millis = Millis::secs(4);
/// Slower than this, in bytes a second, is slow data: an image of 1 GiB would take nine hours.
pub const RATE_MIN: u64 = 32 * 1_024;
/// So many times slower than the fastest is slow, where nothing but the slow one's spans is left.
pub const SLOWER_MAX: u64 = 8;
/// After so long another source is asked for the same span, where nothing else is left to ask for.
pub const HEDGE_AFTER: Millis = Millis(1_000);
/// The first pause of a source that was dropped.
pub const BACK_FIRST: Millis = Millis::secs(5);
/// The longest pause of a source that was dropped.
pub const BACK_MAX: Millis = Millis::secs(300);
/// A source that lied so often is not asked again: one bad cable does not lie three times, after pauses.
pub const LIES_MAX: u32 = 3;
/// The most lanes of one source: two keep a wire busy whose ends take turns in computing, four a long one.
pub const LANES_MAX: usize = 4;

/// How many spans of `span` bytes may be between the question and the disk, 1 to [`FLIGHT_MAX`].
#[must_use]
pub fn flight(span: Bytes) -> usize {
    let each = span.0.saturating_add(stored_max(span).0).max(1);
    usize::try_from(FLIGHT_BYTES_MAX.0 / each)
        .unwrap_or(FLIGHT_MAX)
        .clamp(1, FLIGHT_MAX)
}

/// How many spans may be read from the disk at once, of a flight of `flight`: they have buffers of their own.
#[must_use]
pub fn reading(flight: usize) -> usize {
    (flight / 3).max(1)
}

/// How many spans may stand in memory as plain bytes, on their way from a source to the disk.
#[must_use]
pub fn plain(flight: usize) -> usize {
    flight.saturating_sub(reading(flight)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::limits::CHUNK_SIZE_MAX;

    #[test]
    fn what_is_in_flight_fits_into_pid_1() {
        assert_eq!(flight(SPAN), FLIGHT_MAX);
        assert_eq!(flight(CHUNK_SIZE_MAX), 1);
        for size in [
            SPAN,
            Bytes::mib(2),
            Bytes::mib(4),
            Bytes::mib(8),
            CHUNK_SIZE_MAX,
        ] {
            let held = flight(size) as u64 * (size.0 + stored_max(size).0);
            assert!(held <= FLIGHT_BYTES_MAX.0, "{size}: {held}");
        }
    }
}
