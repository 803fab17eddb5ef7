// SPDX-License-Identifier: Apache-2.0
//! Where the API is, for the greeting: where it listens, which may be elsewhere than the site says, and where a command on this
//! machine reaches it.

use groundstate_api::site::Network;
use provisioner::Provisioner;
use provisioner::leader::Standing;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Where the API is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct At {
    /// Where it listens.
    pub(super) listens: String,
    /// Where a command on this machine reaches it, by an address that its certificate names.
    pub(super) here: String,
    /// What machines are told, where that is not where it listens.
    pub(super) told: Option<String>,
}

impl At {
    /// `listens` is the socket's address; `local` whether there is another one on loopback, at the site's port.
    pub(super) fn of(ours: &Provisioner, listens: SocketAddr, local: bool) -> Self {
        let told = ours.address();
        match ours.standing() {
            Standing::Alone => Self::alone(&ours.site().network, told, listens, local),
            // Among several each has its own address, by --address or --listen, and tells that one.
            Standing::Leads { .. } | Standing::Follows(_) | Standing::Refuses(_) => Self {
                listens: told.clone(),
                here: told,
                told: None,
            },
        }
    }

    fn alone(network: &Network, told: String, listens: SocketAddr, local: bool) -> Self {
        let site = SocketAddr::from((network.address, network.https_port));
        let loopback = |port| format!("https://{}", SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let exact = format!("https://{listens}");
        let is_named = [network.address, Ipv4Addr::LOCALHOST]
            .map(IpAddr::from)
            .contains(&listens.ip());
        let here = if listens.ip().is_unspecified() {
            loopback(listens.port())
        } else if local && !is_named {
            loopback(network.https_port)
        } else {
            exact.clone()
        };
        let reaches =
            listens == site || listens.ip().is_unspecified() && listens.port() == site.port();
        Self {
            listens: exact,
            here,
            told: (!reaches).then_some(told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_where_it_listens_and_is_called_by_a_name_of_its_certificate() {
        let pool = ("10.77.0.100", "10.77.0.199");
        let pool = (pool.0.parse().unwrap(), pool.1.parse().unwrap());
        let network = Network::new("10.77.0.1".parse().unwrap(), 24, pool);
        let told = "https://10.77.0.1:8443";
        for (listens, here, is_told) in [
            ("10.77.0.1:8443", "https://10.77.0.1:8443", false),
            ("10.77.0.1:9443", "https://10.77.0.1:9443", true),
            ("127.0.0.1:9443", "https://127.0.0.1:9443", true),
            ("0.0.0.0:8443", "https://127.0.0.1:8443", false),
            ("[::]:9443", "https://127.0.0.1:9443", true),
            // Its certificate does not name that one; the socket on loopback is there at the site's port.
            ("192.0.2.7:9443", "https://127.0.0.1:8443", true),
        ] {
            let at = At::alone(&network, told.to_owned(), listens.parse().unwrap(), true);
            assert_eq!(at.listens, format!("https://{listens}"));
            assert_eq!((at.here.as_str(), at.told.is_some()), (here, is_told));
        }
    }
}
