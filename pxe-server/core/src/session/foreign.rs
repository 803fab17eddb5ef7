// SPDX-License-Identifier: Apache-2.0
//! DHCP servers on the provisioning network that are not ours. One of them can send machines anywhere: each is an alarm,
//! once an hour while it goes on, and a flood of invented ones costs no more than a full list.

use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::net::IpAddr;
use groundstate_api::boot_session::ForeignServer;
use groundstate_api::{MacAddr, Millis};

/// Servers that are remembered. A network with more than one is broken; with more than this it is under attack.
pub const FOREIGN_MAX: usize = 32;
/// A server that goes on is news again after this.
const AGAIN: Millis = Millis::secs(60 * 60);

/// The servers that were heard.
#[derive(Clone, Debug, Default)]
pub struct ForeignServers {
    servers: Vec<(IpAddr, Millis, ForeignServer)>,
    unlisted: u64,
}

impl ForeignServers {
    /// Takes a packet of a server in; answers with the server where a person should hear of it.
    pub fn heard(
        &mut self,
        now: Millis,
        server: IpAddr,
        client: Option<MacAddr>,
    ) -> Option<ForeignServer> {
        if let Some((_, told, known)) = self.servers.iter_mut().find(|(at, ..)| *at == server) {
            known.last = now;
            known.packets = known.packets.saturating_add(1);
            known.client = client.or(known.client);
            let news = now.since(*told) >= AGAIN;
            if news {
                *told = now;
            }
            return news.then(|| known.clone());
        }
        if self.servers.len() >= FOREIGN_MAX {
            self.servers
                .retain(|(_, _, known)| now.since(known.last) < AGAIN);
        }
        if self.servers.len() >= FOREIGN_MAX {
            self.unlisted = self.unlisted.saturating_add(1);
            return None;
        }
        let new = ForeignServer {
            server: server.to_string(),
            first: now,
            last: now,
            packets: 1,
            client,
        };
        self.servers.push((server, now, new.clone()));
        Some(new)
    }

    /// Each server that is remembered, in the order in which they were first heard.
    #[must_use]
    pub fn list(&self) -> Vec<ForeignServer> {
        self.servers
            .iter()
            .map(|(_, _, known)| known.clone())
            .collect()
    }

    /// Packets of servers that found no room in the list.
    #[must_use]
    pub const fn unlisted(&self) -> u64 {
        self.unlisted
    }

    /// The server that was heard last, since `began`.
    #[must_use]
    pub fn since(&self, began: Millis) -> Option<&str> {
        let heard = self.servers.iter().map(|(_, _, known)| known);
        heard
            .filter(|known| known.last >= began)
            .max_by_key(|known| known.last)
            .map(|known| known.server.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn server(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n))
    }

    #[test]
    fn a_server_is_news_once_an_hour() {
        let mut foreign = ForeignServers::default();
        let client = MacAddr([2, 0, 0, 0, 0, 1]);
        let first = foreign.heard(Millis(5), server(9), Some(client)).unwrap();
        assert_eq!((first.server.as_str(), first.packets), ("10.0.0.9", 1));
        assert_eq!(foreign.heard(Millis::secs(10), server(9), None), None);
        let again = foreign.heard(Millis::secs(3_601), server(9), None).unwrap();
        assert_eq!((again.packets, again.client), (3, Some(client)));
        assert_eq!(foreign.since(Millis::secs(3_600)), Some("10.0.0.9"));
        assert_eq!(foreign.since(Millis::secs(3_602)), None);
    }

    #[test]
    fn invented_servers_are_bounded_and_give_way_when_they_are_silent() {
        let mut foreign = ForeignServers::default();
        let told = (0..1_000).filter_map(|n| foreign.heard(Millis(1), server(n), None));
        assert_eq!(told.count(), FOREIGN_MAX);
        assert_eq!(foreign.unlisted(), 1_000 - FOREIGN_MAX as u64);
        assert!(
            foreign
                .heard(Millis::secs(4_000), server(2_000), None)
                .is_some()
        );
        assert_eq!(foreign.list().len(), 1);
    }
}
