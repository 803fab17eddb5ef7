// SPDX-License-Identifier: Apache-2.0
//! Which transfers run, and which one gives way when there are too many.
//!
//! A UDP sender's address is a claim until it acknowledges something. So a transfer that was never acknowledged gives way
//! to a new request, the oldest first. One that was acknowledged gives way only where all places are taken, to an address
//! with few transfers, from the address that has the most: one host cannot take everybody's places, and one address may
//! have as many as it wants while nobody else needs them (a relay that hides its clients, a bench).

use super::request::{ReadRequest, TftpRefusal};
use alloc::collections::BTreeMap;
use core::net::{IpAddr, SocketAddr};

/// Transfers at a time where nobody says otherwise: two racks' worth of machines, at one socket and about 2 KiB each.
pub const TRANSFERS_MAX: usize = 2_048;
/// Transfers of one address that never give way once they were acknowledged. Firmware has one, and leaves one behind when
/// it asks for the length first.
const TRANSFERS_OF_ONE_SAFE: usize = 16;

/// A transfer's number; none is used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId(u64);

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A transfer of this very request runs. Where the client has heard it, and it got on lately, the request is a late
    /// copy; where it did not, the machine may have been reset: then end this one and ask again.
    Running(TransferId),
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
#[derive(Clone, Debug)]
pub struct Transfers {
    most: usize,
    by_peer: BTreeMap<SocketAddr, Transfer>,
    /// Those that were never acknowledged, the oldest first.
    unheard: BTreeMap<TransferId, SocketAddr>,
    /// How many an address has.
    counts: BTreeMap<IpAddr, usize>,
    next: u64,
}

impl Default for Transfers {
    /// Room for [`TRANSFERS_MAX`].
    fn default() -> Self {
        Self::at_most(TRANSFERS_MAX)
    }
}

impl Transfers {
    /// None yet, and so many at a time; at least one.
    #[must_use]
    pub fn at_most(most: usize) -> Self {
        Self {
            most: most.max(1),
            by_peer: BTreeMap::new(),
            unheard: BTreeMap::new(),
            counts: BTreeMap::new(),
            next: 0,
        }
    }

    /// Decides about a request for a file that there is.
    ///
    /// # Errors
    /// [`TftpRefusal::Busy`], where all places are taken and nobody has to give way.
    pub fn admit(
        &mut self,
        peer: SocketAddr,
        request: &ReadRequest,
    ) -> Result<Admission, TftpRefusal> {
        let old = self.by_peer.get(&peer);
        if let Some(old) = old.filter(|old| old.request == *request) {
            return Ok(Admission::Running(old.id));
        }
        let gives_way = match old {
            Some(_) => Some(peer),
            None => self.place(peer)?,
        };
        let instead_of = gives_way.and_then(|peer| self.remove(peer));
        let id = TransferId(self.next);
        self.next += 1;
        self.unheard.insert(id, peer);
        *self.counts.entry(peer.ip()).or_default() += 1;
        let (request, heard) = (request.clone(), false);
        self.by_peer.insert(peer, Transfer { id, request, heard });
        Ok(Admission::Begins { id, instead_of })
    }

    /// The client of a transfer has acknowledged something.
    pub fn heard(&mut self, peer: SocketAddr, id: TransferId) {
        if let Some(transfer) = self.by_peer.get_mut(&peer).filter(|t| t.id == id) {
            transfer.heard = true;
            self.unheard.remove(&id);
        }
    }

    /// A transfer is over.
    pub fn ended(&mut self, peer: SocketAddr, id: TransferId) {
        if self.by_peer.get(&peer).is_some_and(|t| t.id == id) {
            self.remove(peer);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_peer.len()
    }

    /// Whose transfer has to give way to a new one, if one has to.
    fn place(&self, peer: SocketAddr) -> Result<Option<SocketAddr>, TftpRefusal> {
        if self.by_peer.len() < self.most {
            return Ok(None);
        }
        let own = self.counts.get(&peer.ip()).copied().unwrap_or_default();
        let gives_way = if own >= TRANSFERS_OF_ONE_SAFE {
            // Who has that many displaces none but their own.
            let mut unheard = self.unheard.values();
            unheard.find(|other| other.ip() == peer.ip()).copied()
        } else {
            let oldest = self.unheard.values().next().copied();
            oldest.or_else(|| self.newest_of_the_greediest())
        };
        gives_way.map(Some).ok_or(TftpRefusal::Busy)
    }

    /// The address with the most transfers loses the one that has got the least far.
    fn newest_of_the_greediest(&self) -> Option<SocketAddr> {
        let (greediest, count) = self.counts.iter().max_by_key(|(_, count)| **count)?;
        if *count <= TRANSFERS_OF_ONE_SAFE {
            return None;
        }
        let port = |port| SocketAddr::new(*greediest, port);
        let of_one = self.by_peer.range(port(0)..=port(u16::MAX));
        of_one
            .max_by_key(|(_, transfer)| transfer.id)
            .map(|(peer, _)| *peer)
    }

    fn remove(&mut self, peer: SocketAddr) -> Option<TransferId> {
        let id = self.by_peer.remove(&peer)?.id;
        self.unheard.remove(&id);
        if let Some(count) = self.counts.get_mut(&peer.ip()) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&peer.ip());
            }
        }
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
    fn client(n: u32) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::from(0x0a4d_0000 + n).into(), 2_000)
    }

    fn begins(transfers: &mut Transfers, peer: SocketAddr) -> (TransferId, Option<TransferId>) {
        match transfers.admit(peer, &request("f")).unwrap() {
            Admission::Begins { id, instead_of } => (id, instead_of),
            Admission::Running(_) => panic!("{peer} has a transfer"),
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
    fn one_address_may_have_every_place_until_others_ask() {
        let mut transfers = Transfers::default();
        let port = |port| SocketAddr::new([10, 77, 0, 9].into(), port);
        let max = u16::try_from(TRANSFERS_MAX).unwrap();
        let ids: std::vec::Vec<_> = (0..max)
            .map(|n| begins(&mut transfers, port(n)).0)
            .collect();
        // It displaces only its own, and only what was never acknowledged.
        transfers.heard(port(0), ids[0]);
        assert_eq!(begins(&mut transfers, port(60_000)).1, Some(ids[1]));
        let all: std::vec::Vec<_> = transfers
            .by_peer
            .iter()
            .map(|(peer, t)| (*peer, t.id))
            .collect();
        for (peer, id) in all {
            transfers.heard(peer, id);
        }
        let more = transfers.admit(port(60_001), &request("f"));
        assert_eq!(more, Err(TftpRefusal::Busy));
        // Others get their places, sixteen of one address for certain, and its oldest transfers stay.
        for n in 0..16 {
            let other = SocketAddr::new([10, 77, 0, 10].into(), n);
            let (id, instead_of) = begins(&mut transfers, other);
            assert!(instead_of.is_some_and(|gone| gone > ids[1_000]));
            transfers.heard(other, id);
        }
        let late = SocketAddr::new([10, 77, 0, 10].into(), 99);
        assert_eq!(transfers.admit(late, &request("f")), Err(TftpRefusal::Busy));
        assert_eq!(transfers.count(), TRANSFERS_MAX);
        assert!(transfers.by_peer.contains_key(&port(0)));
    }

    #[test]
    fn a_flood_of_one_address_displaces_itself_and_not_who_was_just_admitted() {
        let mut transfers = Transfers::default();
        let port = |port| SocketAddr::new([10, 77, 0, 9].into(), port);
        for n in 0..2_048 {
            begins(&mut transfers, port(n));
        }
        let (id, _) = begins(&mut transfers, client(1));
        for n in 2_048..12_048 {
            let (_, instead_of) = begins(&mut transfers, port(n));
            assert!(instead_of.is_some_and(|gone| gone != id));
        }
        assert_eq!(transfers.count(), TRANSFERS_MAX);
        assert!(transfers.by_peer.contains_key(&client(1)));
    }

    #[test]
    fn a_smaller_table_gives_way_sooner() {
        let mut transfers = Transfers::at_most(2);
        let first = begins(&mut transfers, client(0)).0;
        let second = begins(&mut transfers, client(1)).0;
        assert_eq!(begins(&mut transfers, client(2)).1, Some(first));
        transfers.heard(client(1), second);
        let third = begins(&mut transfers, client(3));
        transfers.heard(client(3), third.0);
        let late = transfers.admit(client(4), &request("f"));
        assert_eq!(late, Err(TftpRefusal::Busy));
    }

    #[test]
    fn a_repeated_request_changes_nothing_and_another_replaces_it() {
        let mut transfers = Transfers::default();
        let (first, _) = begins(&mut transfers, client(0));
        let again = transfers.admit(client(0), &request("f"));
        assert_eq!(again, Ok(Admission::Running(first)));
        let other = transfers.admit(client(0), &request("g")).unwrap();
        assert!(
            matches!(other, Admission::Begins { id, instead_of: Some(old) } if old == first && id != first)
        );
        // What is late from the first one does not touch the second.
        transfers.heard(client(0), first);
        transfers.ended(client(0), first);
        assert_eq!((transfers.by_peer.len(), transfers.unheard.len()), (1, 1));
        assert_eq!(transfers.counts.values().sum::<usize>(), 1);
    }
}
