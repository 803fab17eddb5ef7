// SPDX-License-Identifier: Apache-2.0
//! How images are served: the bounds, and who may keep copies.

use groundstate_api::{Bytes, Millis};
use image_core::admission::{
    CLIENT_REQUESTS, CLIENT_WINDOW, Caps, GRACE, GRACE_PRESSED, REQUESTS, SLOW_RATE, WINDOW,
};
use serde::Deserialize;

/// Connections at once: 250 nodes with four each. A file descriptor and about 50 KiB per connection.
const CONNECTIONS: usize = 1_024;
/// Connections at once of one address.
const CLIENT_CONNECTIONS: usize = 256;

/// How images are served. Every field may be left out of a configuration file; the defaults suit a site of some hundred
/// nodes on 10 Gbit/s.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// Whether a cache that others share (an HTTP cache, a CDN) may keep what is served and give it to anybody who reaches
    /// it. What lies under a digest never changes, so such a cache needs no other rule; but it does not ask for a node's
    /// certificate. Where images are no secret, say yes; the node verifies every byte wherever it came from.
    pub shared_caches: bool,
    /// Bytes a second to all clients together; none: as fast as it goes.
    pub total_rate: Option<Bytes>,
    /// Bytes a second to each client.
    pub client_rate: Option<Bytes>,
    /// Requests in work at once.
    pub requests: usize,
    /// Requests of one client in work at once.
    pub client_requests: usize,
    /// Connections at once; [`crate::serve::run`] holds this one, and the next.
    pub connections: usize,
    /// Connections of one address at once.
    pub client_connections: usize,
    /// Memory for bytes that are read and not yet taken.
    pub memory: Bytes,
    /// The same for one client.
    pub client_memory: Bytes,
    /// A reader below this many bytes a second is cut off.
    pub slow_rate: Bytes,
    /// Seconds for which a reader may take nothing at all.
    pub grace_seconds: u64,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            shared_caches: false,
            total_rate: None,
            client_rate: None,
            requests: REQUESTS,
            client_requests: CLIENT_REQUESTS,
            connections: CONNECTIONS,
            client_connections: CLIENT_CONNECTIONS,
            memory: Bytes(WINDOW),
            client_memory: Bytes(CLIENT_WINDOW),
            slow_rate: Bytes(SLOW_RATE),
            grace_seconds: GRACE.0 / 1000,
        }
    }
}

impl ServeConfig {
    pub(super) fn caps(&self) -> Caps {
        let grace = Millis::secs(self.grace_seconds);
        Caps {
            total_rate: self.total_rate.map(|rate| rate.0),
            client_rate: self.client_rate.map(|rate| rate.0),
            requests: self.requests.max(1),
            client_requests: self.client_requests.max(1),
            window: self.memory.0,
            client_window: self.client_memory.0,
            slow_rate: self.slow_rate.0,
            grace,
            grace_pressed: grace.min(GRACE_PRESSED),
        }
    }

    /// What `Cache-Control` says of bytes that never change.
    pub(super) const fn cache_control(&self) -> &'static str {
        if self.shared_caches {
            "public, max-age=31536000, immutable"
        } else {
            "private, max-age=31536000, immutable"
        }
    }
}
