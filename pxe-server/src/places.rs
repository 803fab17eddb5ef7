// SPDX-License-Identifier: Apache-2.0
//! Places for connections: so many for each address, so that one host cannot take them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};

/// How many places each address has taken.
#[derive(Debug)]
pub(crate) struct Places {
    each: usize,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

impl Places {
    /// `each` places for every address.
    pub(crate) fn new(each: usize) -> Arc<Self> {
        let taken = Mutex::default();
        Arc::new(Self { each, taken })
    }

    /// A place for this address, until it is dropped; `None` where the address has all of its own.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut taken = self.taken();
        let count = taken.get(&address).copied().unwrap_or_default();
        if count >= self.each {
            return None;
        }
        taken.insert(address, count + 1);
        let places = Arc::clone(self);
        Some(Place { places, address })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken
            .lock()
            .expect("nothing panics while it counts places")
    }
}

/// One place.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_places_and_no_others_and_nothing_is_kept_of_who_left() {
        let places = Places::new(2);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let one = places.take(address("10.77.0.9")).unwrap();
        let two = places.take(address("::ffff:10.77.0.9")).unwrap();
        assert!(places.take(address("10.77.0.9")).is_none());
        let other = places.take(address("10.77.0.10")).unwrap();
        drop(one);
        let again = places.take(address("10.77.0.9")).unwrap();
        assert!(places.take(address("10.77.0.9")).is_none());
        drop((two, other, again));
        assert!(places.taken().is_empty());
    }
}
