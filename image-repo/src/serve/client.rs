// SPDX-License-Identifier: Apache-2.0
//! Who asks, as far as fairness goes. The server that composes the router says so by extensions of each request.

use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Notify;

/// Between whom bytes are shared out. A request without this extension is [`Client::Anyone`]'s: it is shared out to by
/// itself, and the bounds on one client are then bounds on one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// Nobody said.
    #[default]
    Anyone,
    /// An address.
    Address(IpAddr),
    /// Whom a certificate names.
    Named(Arc<str>),
}

impl Client {
    /// By address. Of IPv6 it is the network of 64 bits: a machine has as many addresses in it as it likes.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
            address @ IpAddr::V4(_) => address,
        })
    }

    /// By what a certificate says.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::Named(name.into())
    }
}

/// A bell that rings when a connection is to be closed, because whoever reads from it is too slow. The server makes one
/// for each connection, puts a clone into each of its requests, and closes the connection when [`HangUp::rung`] returns.
/// Without this extension a slow reader loses its place at once, and its connection when it next takes something.
#[derive(Clone, Debug, Default)]
pub struct HangUp(Arc<Notify>);

impl HangUp {
    /// A new bell.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same bell by the type of tokio's, for a server that does not know this crate.
    #[must_use]
    pub fn of(bell: Arc<Notify>) -> Self {
        Self(bell)
    }

    /// Returns when the connection is to be closed.
    pub async fn rung(&self) {
        self.0.notified().await;
    }

    pub(super) fn ring(&self) {
        self.0.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_one_client_whatever_address_it_takes() {
        let at = |text: &str| Client::at(text.parse().unwrap());
        assert_eq!(at("fe80::1:2:3:4"), at("fe80::ffff"));
        assert_ne!(at("fd00:0:0:1::5"), at("fd00:0:0:2::5"));
        assert_eq!(at("::ffff:10.0.0.7"), at("10.0.0.7"));
        assert_ne!(at("10.0.0.7"), at("10.0.0.8"));
    }
}
