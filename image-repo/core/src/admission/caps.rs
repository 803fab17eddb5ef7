// SPDX-License-Identifier: Apache-2.0
//! What one server gives at most, and to whom.

use groundstate_api::Millis;

/// The bounds of one server. Each is a number that somebody chose; none is found by failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Bytes a second to all together; none: as fast as it goes.
    pub total_rate: Option<u64>,
    /// Bytes a second to one client.
    pub client_rate: Option<u64>,
    /// Requests in work at once, of all clients.
    pub requests: usize,
    /// Requests in work at once, of one client.
    pub client_requests: usize,
    /// Bytes that are read and not yet taken by a connection, of all clients: what the server's memory is bounded by.
    pub window: u64,
    /// The same of one client, so that it cannot hold what all the others need.
    pub client_window: u64,
    /// A reader below this many bytes a second, once `grace` is over, is cut off.
    pub slow_rate: u64,
    /// How long a reader may take nothing at all.
    pub grace: Millis,
    /// The same while others wait for the memory that it holds.
    pub grace_pressed: Millis,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            total_rate: None,
            client_rate: None,
            requests: REQUESTS,
            client_requests: CLIENT_REQUESTS,
            window: WINDOW,
            client_window: CLIENT_WINDOW,
            slow_rate: SLOW_RATE,
            grace: GRACE,
            grace_pressed: GRACE_PRESSED,
        }
    }
}

/// Requests in work: 250 nodes with eight each. A request that waits costs about 2 KiB.
pub const REQUESTS: usize = 2_048;
/// Of one client: a node has a few connections with a few requests each; a lab behind one address has more.
pub const CLIENT_REQUESTS: usize = 512;
/// Bytes read and not yet taken: half of what the server may have for a hundred downloads at once.
pub const WINDOW: u64 = 32 << 20;
/// Of one client: enough for 10 Gbit/s at a round trip of 10 ms.
pub const CLIENT_WINDOW: u64 = 12 << 20;
/// Bytes a second: a tenth of what a working 1 Mbit/s line gives. Nobody provisions a machine over less.
pub const SLOW_RATE: u64 = 12 * 1024;
/// A node whose disk stalls, or that boots, comes back within this; as long as TCP itself is patient with a lost link.
pub const GRACE: Millis = Millis::secs(20);
/// A fifth of that where its memory is what others wait for.
pub const GRACE_PRESSED: Millis = Millis::secs(4);
