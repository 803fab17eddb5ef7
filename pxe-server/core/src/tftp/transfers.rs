// SPDX-License-Identifier: Apache-2.0
//! Which transfers run, and which one gives way when there are too many.
//!
//! A UDP sender's address is a claim until it acknowledges something. So a transfer that was never acknowledged gives way
//! to a new request, the oldest first; one that was acknowledged never does, whoever asks.

use super::request::{ReadRequest, TftpRefusal};
use alloc::collections::BTreeMap;
use core::net::SocketAddrV4;

/// Transfers at a time: two racks' worth of machines, at one socket and about 8 KiB each.
pub const TRANSFERS_MAX: usize = 2_048;
/// Transfers of one address at a time. Firmware has one, and leaves one behind when it asks for the length first.
const TRANSFERS_OF_ONE_MAX: usize = 16;

/// A transfer's number; none is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(u64);

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The client has not heard us yet and asks the same again; its transfer sends again by itself.
    Running,
    /// A transfer begins.
    Begins {
        /// Its number.
        id: TransferId,
        /// The transfer that is to be ended for it.
        instead_of: Option<TransferId>,
    },
}

#[derive(Clone, Debug)]
struct Transfer {
    id: TransferId,
    request: ReadRequest,
    heard: bool,
}

/// The transfers that run.
#[derive(Clone, Debug, Default)]
pub struct Transfers {
    by_peer: BTreeMap<SocketAddrV4, Transfer>,
    /// Those that were never acknowledged, the oldest first.
    unheard: BTreeMap<TransferId, SocketAddrV4>,
    next: u64,
}

impl Transfers {
    /// Decides about a request for a file that there is.
    ///
    /// # Errors
    /// [`TftpRefusal::Busy`], where only transfers that were acknowledged would have to give way.
    pub fn admit(
        &mut self,
        peer: SocketAddrV4,
        request: &ReadRequest,
    ) -> Result<Admission, TftpRefusal> {
        let old = self.by_peer.get(&peer);
        if old.is_some_and(|old| old.request == *request) {
            return Ok(Admission::Running);
        }
        let gives_way = match old {
            Some(_) => Some(peer),
            None => self.place(peer)?,
        };
        let instead_of = gives_way.and_then(|peer| self.remove(peer));
        let id = TransferId(self.next);
        self.next += 1;
        self.unheard.insert(id, peer);
        let (request, heard) = (request.clone(), false);
        self.by_peer.insert(peer, Transfer { id, request, heard });
        Ok(Admission::Begins { id, instead_of })
    }

    /// The client of a transfer has acknowledged something.
    pub fn heard(&mut self, peer: SocketAddrV4, id: TransferId) {
        if let Some(transfer) = self.by_peer.get_mut(&peer).filter(|t| t.id == id) {
            transfer.heard = true;
            self.unheard.remove(&id);
        }
    }

    /// A transfer is over.
    pub fn ended(&mut self, peer: SocketAddrV4, id: TransferId) {
        if self.by_peer.get(&peer).is_some_and(|t| t.id == id) {
            self.remove(peer);
        }
    }

    /// Whose transfer has to give way to a new one, if one has to.
    fn place(&self, peer: SocketAddrV4) -> Result<Option<SocketAddrV4>, TftpRefusal> {
        let port = |port| SocketAddrV4::new(*peer.ip(), port);
        let of_one = || self.by_peer.range(port(0)..=port(u16::MAX));
        let oldest = if of_one().count() >= TRANSFERS_OF_ONE_MAX {
            let unheard = of_one().filter(|(_, transfer)| !transfer.heard);
            unheard
                .min_by_key(|(_, transfer)| transfer.id)
                .map(|(peer, _)| *peer)
        } else if self.by_peer.len() >= TRANSFERS_MAX {
            self.unheard.values().next().copied()
        } else {
            return Ok(None);
        };
        oldest.map(Some).ok_or(TftpRefusal::Busy)
    }

    fn remove(&mut self, peer: SocketAddrV4) -> Option<TransferId> {
        let id = self.by_peer.remove(&peer)?.id;
        self.unheard.remove(&id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::read_request;
    use super::*;
    use core::net::Ipv4Addr;

    fn request(name: &str) -> ReadRequest {
        read_request(std::format!("\0\u{1}{name}\0octet\0timeout\x00255\0").as_bytes()).unwrap()
    }

    /// The `n`th of many clients, each with an address of its own.
    fn client(n: u32) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::from(0x0a4d_0000 + n), 2_000)
    }

    fn begins(transfers: &mut Transfers, peer: SocketAddrV4) -> (TransferId, Option<TransferId>) {
        match transfers.admit(peer, &request("f")).unwrap() {
            Admission::Begins { id, instead_of } => (id, instead_of),
            Admission::Running => panic!("{peer} has a transfer"),
        }
    }

    fn full() -> (Transfers, std::vec::Vec<TransferId>) {
        let mut transfers = Transfers::default();
        let max = u32::try_from(TRANSFERS_MAX).unwrap();
        let ids = (0..max).map(|n| {
            let (id, instead_of) = begins(&mut transfers, client(n));
            assert_eq!(instead_of, None);
            id
        });
        let ids = ids.collect();
        (transfers, ids)
    }

    #[test]
    fn a_flood_of_false_senders_gives_way_to_every_new_request() {
        let (mut transfers, ids) = full();
        // The oldest is a client in earnest: it stays.
        transfers.heard(client(0), ids[0]);
        for n in 0..5_000 {
            let (_, instead_of) = begins(&mut transfers, client(10_000 + n));
            let oldest = ids.get(usize::try_from(n).unwrap() + 1);
            assert!(oldest.is_none_or(|id| instead_of == Some(*id)));
            assert!(instead_of.is_some_and(|id| id != ids[0]));
            assert_eq!(transfers.by_peer.len(), TRANSFERS_MAX);
        }
        assert!(transfers.by_peer.contains_key(&client(0)));
    }

    #[test]
    fn transfers_that_were_acknowledged_do_not_give_way() {
        let (mut transfers, ids) = full();
        for (n, id) in (0..).zip(&ids) {
            transfers.heard(client(n), *id);
        }
        let late = client(10_000);
        assert_eq!(transfers.admit(late, &request("f")), Err(TftpRefusal::Busy));
        transfers.ended(client(7), ids[7]);
        assert_eq!(begins(&mut transfers, late).1, None);
    }

    #[test]
    fn one_address_has_16_transfers_and_displaces_only_its_own() {
        let mut transfers = Transfers::default();
        let port = |port| SocketAddrV4::new([10, 77, 0, 9].into(), port);
        begins(&mut transfers, client(0));
        let ids: std::vec::Vec<_> = (0..16).map(|n| begins(&mut transfers, port(n)).0).collect();
        transfers.heard(port(0), ids[0]);
        assert_eq!(begins(&mut transfers, port(99)).1, Some(ids[1]));
        for (n, id) in (2..).zip(&ids[2..]) {
            transfers.heard(port(n), *id);
        }
        let (last, instead_of) = begins(&mut transfers, port(100));
        assert!(instead_of.is_some_and(|id| !ids.contains(&id)));
        transfers.heard(port(100), last);
        assert_eq!(
            transfers.admit(port(101), &request("f")),
            Err(TftpRefusal::Busy)
        );
        assert_eq!(begins(&mut transfers, client(1)).1, None, "others may");
        assert_eq!(transfers.by_peer.len(), 18);
    }

    #[test]
    fn a_repeated_request_changes_nothing_and_another_replaces_it() {
        let mut transfers = Transfers::default();
        let (first, _) = begins(&mut transfers, client(0));
        let again = transfers.admit(client(0), &request("f"));
        assert_eq!(again, Ok(Admission::Running));
        let other = transfers.admit(client(0), &request("g")).unwrap();
        assert!(
            matches!(other, Admission::Begins { id, instead_of: Some(old) } if old == first && id != first)
        );
        // What is late from the first one does not touch the second.
        transfers.heard(client(0), first);
        transfers.ended(client(0), first);
        assert_eq!((transfers.by_peer.len(), transfers.unheard.len()), (1, 1));
    }
}
