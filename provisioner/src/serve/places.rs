// SPDX-License-Identifier: Apache-2.0
//! How many connections there may be, and whose: so many as the process has file descriptors for, and of each address and each
//! certificate so few that one machine cannot keep the others out. What does not fit is closed at once, and asks again.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Connections that are wanted: 10,000 nodes with one each, and as many again that come while others go.
const WANTED: usize = 20_000;
/// File descriptors for what is no connection of ours: the journal, images, BMCs, webhooks, boot files.
const OTHERS: usize = 512;
/// Where the kernel does not say how many file descriptors there may be.
const UNKNOWN: usize = 1_000;
/// Connections at once from one address that have not shown a certificate of ours. A rack behind one relay has 80 machines.
const PER_ADDRESS_MAX: usize = 256;
/// Connections at once of one certificate: a boot service and a person's browser use under ten.
const PER_CERTIFICATE_MAX: usize = 64;
/// How often it is said that connections are closed.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Connections that each node of a fleet wants: its own, and one that comes while that goes.
const PER_NODE: usize = 2;

/// One limit of the process, raised once for all its listeners: the places, and the file descriptors that there may be.
static MOST: LazyLock<(usize, u64)> = LazyLock::new(raised_limit);
/// Connections to the API that are open.
static OPEN: AtomicU64 = AtomicU64::new(0);
/// Connections that were closed at once.
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Connections to the API that are open, and those that were closed at once since the start.
pub(crate) fn connections() -> (u64, u64) {
    (
        OPEN.load(Ordering::Relaxed),
        REFUSED.load(Ordering::Relaxed),
    )
}

/// Why a connection has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All places are taken.
    All(usize),
    /// Those of one address.
    Address,
    /// Those of one certificate.
    Certificate,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(most) => write!(f, "all {most} connections are in use (RLIMIT_NOFILE)"),
            Self::Address => write!(
                f,
                "this address has {PER_ADDRESS_MAX} connections without a certificate"
            ),
            Self::Certificate => {
                write!(f, "this certificate has {PER_CERTIFICATE_MAX} connections")
            }
        }
    }
}

/// The connections of one listener.
#[derive(Clone)]
pub(crate) struct Places(Arc<Inner>);

struct Inner {
    most: usize,
    /// Whether it is the API's: those are counted.
    api: bool,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    addresses: HashMap<IpAddr, usize>,
    certificates: HashMap<String, usize>,
    said: Option<Instant>,
}

/// A place among them, given back when dropped.
pub(crate) struct Place {
    places: Places,
    whose: Whose,
}

enum Whose {
    Address(IpAddr),
    Certificate(String),
}

impl Places {
    /// As many as the process may have: its soft limit of file descriptors is raised to the hard one first.
    pub(crate) fn new(api: bool) -> Self {
        Self::with(MOST.0, api)
    }

    fn with(most: usize, api: bool) -> Self {
        Self(Arc::new(Inner {
            most,
            api,
            open: Mutex::default(),
        }))
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.lock().all
    }

    /// A place for a connection from this address.
    pub(crate) fn enter(&self, from: IpAddr) -> Result<Place, Full> {
        let mut open = self.lock();
        if open.all >= self.0.most {
            return Err(Full::All(self.0.most));
        }
        let mine = open.addresses.entry(from).or_default();
        // This machine's own programs answer for themselves.
        if *mine >= PER_ADDRESS_MAX && !from.is_loopback() {
            return Err(Full::Address);
        }
        *mine += 1;
        open.all += 1;
        if self.0.api {
            OPEN.fetch_add(1, Ordering::Relaxed);
        }
        drop(open);
        Ok(Place {
            places: self.clone(),
            whose: Whose::Address(from),
        })
    }

    /// Says, once in a while, that connections are closed.
    pub(crate) fn say(&self, from: IpAddr, full: Full) {
        if self.0.api {
            REFUSED.fetch_add(1, Ordering::Relaxed);
        }
        let mut open = self.lock();
        let now = Instant::now();
        if open.said.is_none_or(|said| now - said >= SAID_EVERY) {
            open.said = Some(now);
            tracing::warn!(%from, "{full}; connections are closed at once until some end");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        // Counts change in pairs, and nothing between them can panic.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The connection has shown a certificate of ours: it counts to that from now on, and not to its address.
    pub(crate) fn prove(&mut self, name: &str) -> Result<(), Full> {
        let mut open = self.places.lock();
        let mine = open.certificates.entry(name.to_owned()).or_default();
        if *mine >= PER_CERTIFICATE_MAX {
            return Err(Full::Certificate);
        }
        *mine += 1;
        let before = std::mem::replace(&mut self.whose, Whose::Certificate(name.to_owned()));
        open.leave(&before);
        Ok(())
    }

    pub(crate) fn places(&self) -> Places {
        self.places.clone()
    }
}

impl Open {
    fn leave(&mut self, whose: &Whose) {
        match whose {
            Whose::Address(from) => less(&mut self.addresses, from),
            Whose::Certificate(name) => less(&mut self.certificates, name),
        }
    }
}

fn less<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    let left = counts.get(key).map_or(0, |count| count.saturating_sub(1));
    match (left, counts.get_mut(key)) {
        (0, _) => {
            counts.remove(key);
        }
        (left, Some(count)) => *count = left,
        (_, None) => {}
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.lock();
        open.leave(&self.whose);
        open.all = open.all.saturating_sub(1);
        if self.places.0.api {
            OPEN.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What is to be told of the limit of open files where a fleet of so many nodes wants more; `None` where it has enough.
#[must_use]
pub fn too_few_for(nodes: usize) -> Option<String> {
    let (places, files) = *MOST;
    few(places, files, nodes)
}

fn few(places: usize, files: u64, nodes: usize) -> Option<String> {
    let wanted = nodes.saturating_mul(PER_NODE).min(WANTED);
    (places < wanted).then(|| {
        format!(
            "at most {places} connections at once: the hard limit of open files is {files}; a fleet of {nodes} nodes wants {}: LimitNOFILE= in the unit, or ulimit -Hn",
            wanted + OTHERS
        )
    })
}

/// How many connections there may be, and how many file descriptors.
fn raised_limit() -> (usize, u64) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(WANTED + OTHERS).unwrap_or(u64::MAX);
    let soft = limit.current.unwrap_or(wanted);
    let can = limit.maximum.unwrap_or(wanted).min(wanted);
    let now = if soft < can {
        let raised = Rlimit {
            current: Some(can),
            maximum: limit.maximum,
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => can,
            Err(error) => {
                tracing::warn!(%error, "the limit of open files stays at {soft}");
                soft
            }
        }
    } else {
        soft
    };
    let places = usize::try_from(now).unwrap_or(UNKNOWN);
    (places.saturating_sub(OTHERS).clamp(64, WANTED), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn a_fleet_is_told_of_a_low_limit_only_where_it_wants_more() {
        assert_eq!(few(488, 1_000, 1), None);
        assert_eq!(few(488, 1_000, 244), None);
        let told = few(488, 1_000, 245).unwrap();
        assert!(told.contains("245 nodes wants 1002"), "{told}");
        assert!(few(WANTED, 30_000, 100_000).is_none());
    }

    #[test]
    fn one_address_does_not_keep_the_others_out_and_places_come_back() {
        let places = Places::with(PER_ADDRESS_MAX + 1, false);
        let mut held: Vec<Place> = (0..PER_ADDRESS_MAX)
            .map(|_| places.enter(HERE).unwrap())
            .collect();
        assert_eq!(places.enter(HERE).err(), Some(Full::Address));
        let other = places.enter(THERE).unwrap();
        let most = Full::All(PER_ADDRESS_MAX + 1);
        assert_eq!(places.enter(THERE).err(), Some(most));
        drop(other);
        // A fleet behind one address: each shows its own certificate.
        held.iter_mut()
            .enumerate()
            .for_each(|(n, place)| place.prove(&format!("host:n{n}")).unwrap());
        held.push(places.enter(HERE).unwrap());
        drop(held);
        assert_eq!(places.open(), 0);
        let open = places.lock();
        assert!(open.addresses.is_empty() && open.certificates.is_empty());
    }

    #[test]
    fn one_certificate_has_so_many_and_no_more() {
        let places = Places::with(1_000, false);
        let proven = |_| {
            let mut place = places.enter(HERE).unwrap();
            place.prove("viewer:a").map(|()| place)
        };
        let held: Result<Vec<Place>, Full> = (0..PER_CERTIFICATE_MAX).map(proven).collect();
        let held = held.unwrap();
        assert_eq!(proven(0).err(), Some(Full::Certificate));
        drop(held);
        assert_eq!(places.open(), 0);
        proven(0).unwrap();
    }

    #[test]
    fn the_limit_is_raised_to_what_the_kernel_allows() {
        let (places, _) = raised_limit();
        let soft = getrlimit(Resource::Nofile).current.unwrap();
        assert!(u64::try_from(places).unwrap() <= soft);
        assert!((64..=WANTED).contains(&places));
    }
}
