// SPDX-License-Identifier: Apache-2.0
//! Every boot that is remembered: found by machine and by address, in bounds.

use super::foreign::ForeignServers;
use super::one::{Belongs, Boot};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::net::IpAddr;
use groundstate_api::boot_session::{BootSession, BootStep, ForeignServer, SessionState};
use groundstate_api::{MacAddr, Millis, SystemUuid};

/// What is kept at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions in all. A session of a usual boot takes about 3 KiB.
    pub sessions: usize,
    /// Sessions of one machine.
    pub per_machine: usize,
    /// Steps of one session. A usual boot has about 12.
    pub steps: usize,
}

impl Default for Limits {
    /// Two boots each of a thousand machines, and 24 MiB where each step is as long as it may be.
    fn default() -> Self {
        Self {
            sessions: 2_048,
            per_machine: 4,
            steps: 40,
        }
    }
}

/// What is known of a machine beside its step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Its UUID, where it was sent.
    pub uuid: Option<SystemUuid>,
    /// The relay agent, where there is one.
    pub relay: Option<core::net::Ipv4Addr>,
    /// Whether somebody has declared this machine: its session survives a flood.
    pub known: bool,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step was seen.
    Step {
        /// Of which machine.
        mac: MacAddr,
        /// What.
        step: BootStep,
        /// What else is known.
        about: About,
    },
    /// A packet of a DHCP server that is not ours was heard.
    Foreign {
        /// The server.
        server: IpAddr,
        /// The machine that it answered, where that is known.
        client: Option<MacAddr>,
    },
    /// [`Sessions::deadline`] has passed.
    Timeout,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A boot began.
    Began(MacAddr),
    /// A boot came to a state other than running.
    Ended(BootSession),
    /// A foreign DHCP server is heard: an alarm.
    Foreign(ForeignServer),
}

/// Sessions by their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Something was heard lately.
    pub running: usize,
    /// The boot files were fetched.
    pub fetched: usize,
    /// Sent to the machine's own disk.
    pub local_disk: usize,
    /// Stopped.
    pub stopped: usize,
}

/// The boots of one machine, oldest first.
#[derive(Clone, Debug, Default)]
struct Machine {
    known: bool,
    boots: Vec<Boot>,
    addresses: Vec<IpAddr>,
}

/// Addresses by which one machine is found: IPv4, and IPv6 by two ways.
const ADDRESSES_MAX: usize = 4;
/// One in so many sessions is let go when there is no room, so that a flood does not pay for each.
const ROOM: usize = 32;

/// Every boot that is remembered.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    limits: Limits,
    machines: BTreeMap<MacAddr, Machine>,
    addresses: BTreeMap<IpAddr, MacAddr>,
    deadlines: BTreeSet<(Millis, MacAddr)>,
    foreign: ForeignServers,
    total: usize,
    revision: u64,
    forgotten: u64,
}

impl Sessions {
    /// None yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Takes in what happened. `now` is milliseconds since 1970 and does not run backwards.
    pub fn handle(&mut self, now: Millis, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Step { mac, step, about } => self.step(now, mac, step, about, out),
            Event::Foreign { server, client } => {
                out.extend(self.foreign.heard(now, server, client).map(Action::Foreign));
            }
            Event::Timeout => self.timeout(now, out),
        }
    }

    /// When a silence will mean something.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The machine that has this address, as its steps said.
    #[must_use]
    pub fn of_address(&self, address: IpAddr) -> Option<MacAddr> {
        self.addresses.get(&address).copied()
    }

    /// The sessions, newest first; of one machine, or of all.
    #[must_use]
    pub fn list(&self, of: Option<MacAddr>) -> Vec<BootSession> {
        let machines = self
            .machines
            .iter()
            .filter(|(mac, _)| of.is_none_or(|of| of == **mac));
        let boots = machines.flat_map(|(_, machine)| &machine.boots);
        let mut all: Vec<BootSession> = boots.map(|boot| boot.session.clone()).collect();
        all.sort_by_key(|session| core::cmp::Reverse((session.began, session.mac)));
        all
    }

    /// The sessions that changed after this revision, at most so many, and the revision to ask after next.
    #[must_use]
    pub fn changed(&self, after: u64, most: usize) -> (Vec<BootSession>, u64) {
        let boots = self.machines.values().flat_map(|machine| &machine.boots);
        let mut new: Vec<&Boot> = boots.filter(|boot| boot.revision > after).collect();
        new.sort_by_key(|boot| boot.revision);
        new.truncate(most);
        let next = new.last().map_or(after, |boot| boot.revision);
        (
            new.into_iter().map(|boot| boot.session.clone()).collect(),
            next,
        )
    }

    /// Sessions by their state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for boot in self.machines.values().flat_map(|machine| &machine.boots) {
            let count = match boot.session.state {
                SessionState::Running => &mut counts.running,
                SessionState::Fetched => &mut counts.fetched,
                SessionState::LocalDisk => &mut counts.local_disk,
                SessionState::Stopped { .. } => &mut counts.stopped,
            };
            *count += 1;
        }
        counts
    }

    /// The foreign DHCP servers.
    #[must_use]
    pub const fn foreign(&self) -> &ForeignServers {
        &self.foreign
    }

    /// Sessions that were let go, or not begun, because there was no room.
    #[must_use]
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn step(
        &mut self,
        now: Millis,
        mac: MacAddr,
        step: BootStep,
        about: About,
        out: &mut Vec<Action>,
    ) {
        let newest = self
            .machines
            .get(&mac)
            .and_then(|machine| machine.boots.last());
        match newest.map_or(Belongs::Anew, |boot| boot.belongs(now, &step)) {
            Belongs::Nowhere => {}
            Belongs::Anew => self.begin(now, mac, step, about, out),
            Belongs::Here => self.take(now, mac, step, about, out),
            Belongs::Aside => {
                let most = self.limits.steps;
                self.change(mac, |boot| boot.take_aside(now, step, most));
            }
        }
    }

    fn begin(
        &mut self,
        now: Millis,
        mac: MacAddr,
        step: BootStep,
        about: About,
        out: &mut Vec<Action>,
    ) {
        let Some(boot) = Boot::begin(now, mac, &step) else {
            return;
        };
        self.end_newest(mac, out, |boot, foreign| boot.cut_short(foreign));
        if self.total >= self.limits.sessions && !self.make_room(about.known) {
            self.forgotten = self.forgotten.saturating_add(1);
            return;
        }
        let machine = self.machines.entry(mac).or_default();
        machine.boots.push(boot);
        self.total += 1;
        if machine.boots.len() > self.limits.per_machine {
            machine.boots.remove(0);
            self.total -= 1;
        }
        out.push(Action::Began(mac));
        self.take(now, mac, step, about, out);
    }

    fn take(
        &mut self,
        now: Millis,
        mac: MacAddr,
        step: BootStep,
        about: About,
        out: &mut Vec<Action>,
    ) {
        self.join_address(mac, &step);
        let most = self.limits.steps;
        if let Some(machine) = self.machines.get_mut(&mac) {
            machine.known |= about.known;
        }
        let ended = self.change(mac, |boot| {
            let before = boot.session.state.clone();
            boot.session.uuid = about.uuid.or(boot.session.uuid);
            if let Some(relay) = about.relay {
                boot.session.relay = Some(relay.to_string());
            }
            boot.take(now, step, most);
            let state = &boot.session.state;
            (*state != SessionState::Running && *state != before).then(|| boot.session.clone())
        });
        out.extend(ended.flatten().map(Action::Ended));
    }

    /// Changes the newest boot of a machine, and keeps its deadline and revision right.
    fn change<T>(&mut self, mac: MacAddr, change: impl FnOnce(&mut Boot) -> T) -> Option<T> {
        let boot = self.machines.get_mut(&mac)?.boots.last_mut()?;
        let before = boot.deadline();
        let done = change(boot);
        self.revision += 1;
        boot.revision = self.revision;
        let after = boot.deadline();
        if let Some(at) = before {
            self.deadlines.remove(&(at, mac));
        }
        self.deadlines.extend(after.map(|at| (at, mac)));
        Some(done)
    }

    /// Ends the newest boot of a machine where it still runs.
    fn end_newest(
        &mut self,
        mac: MacAddr,
        out: &mut Vec<Action>,
        end: impl FnOnce(&mut Boot, Option<&str>),
    ) {
        let newest = self
            .machines
            .get(&mac)
            .and_then(|machine| machine.boots.last());
        let Some(began) = newest
            .filter(|boot| boot.session.state == SessionState::Running)
            .map(|boot| boot.session.began)
        else {
            return;
        };
        let foreign = self.foreign.since(began).map(str::to_string);
        let ended = self.change(mac, |boot| {
            end(boot, foreign.as_deref());
            boot.session.clone()
        });
        out.extend(ended.map(Action::Ended));
    }

    fn timeout(&mut self, now: Millis, out: &mut Vec<Action>) {
        while let Some((_, mac)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.pop_first();
            self.end_newest(mac, out, Boot::silent);
        }
    }

    fn join_address(&mut self, mac: MacAddr, step: &BootStep) {
        let (BootStep::Bound { address, .. }
        | BootStep::Offered {
            address: Some(address),
            ..
        }) = step
        else {
            return;
        };
        let (Ok(address), Some(machine)) = (address.parse::<IpAddr>(), self.machines.get_mut(&mac))
        else {
            return;
        };
        if machine.addresses.contains(&address) {
            return;
        }
        if machine.addresses.len() >= ADDRESSES_MAX {
            let old = machine.addresses.remove(0);
            self.addresses.remove(&old);
        }
        machine.addresses.push(address);
        if let Some(before) = self
            .addresses
            .insert(address, mac)
            .filter(|before| *before != mac)
            && let Some(other) = self.machines.get_mut(&before)
        {
            other.addresses.retain(|old| *old != address);
        }
    }

    /// Lets the least of them go; `false` where there is nothing that may go for such a machine.
    fn make_room(&mut self, known: bool) -> bool {
        let mut all: Vec<(Rank, Millis, MacAddr, Millis)> = Vec::with_capacity(self.total);
        for (mac, machine) in &self.machines {
            for (n, boot) in machine.boots.iter().enumerate() {
                let newest = n + 1 == machine.boots.len();
                let rank = Rank::of(machine.known, newest, boot);
                if rank < Rank::Known || known {
                    all.push((rank, boot.moved, *mac, boot.session.began));
                }
            }
        }
        all.sort_unstable();
        let most = (self.limits.sessions / ROOM).max(1);
        // Askers make room for askers; what has come further goes one by one.
        let few = all.first().is_some_and(|first| first.0 > Rank::Asker);
        all.truncate(if few { 1 } else { most });
        for (_, _, mac, began) in &all {
            self.forget(*mac, *began);
        }
        !all.is_empty()
    }

    fn forget(&mut self, mac: MacAddr, began: Millis) {
        let Some(machine) = self.machines.get_mut(&mac) else {
            return;
        };
        let Some(at) = machine
            .boots
            .iter()
            .position(|boot| boot.session.began == began)
        else {
            return;
        };
        let boot = machine.boots.remove(at);
        self.total -= 1;
        self.forgotten = self.forgotten.saturating_add(1);
        if at == machine.boots.len()
            && let Some(deadline) = boot.deadline()
        {
            self.deadlines.remove(&(deadline, mac));
        }
        if machine.boots.is_empty() {
            for address in core::mem::take(&mut machine.addresses) {
                self.addresses.remove(&address);
            }
            self.machines.remove(&mac);
        }
    }
}

/// Who goes first when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// A stranger that has only asked.
    Asker,
    /// An earlier boot of a stranger.
    Earlier,
    /// An earlier boot of a known machine.
    KnownEarlier,
    /// A stranger that came as far as a file.
    Stranger,
    /// The newest boot of a known machine, which is over.
    Known,
    /// The boot of a known machine, which goes on.
    KnownRunning,
}

impl Rank {
    fn of(known: bool, newest: bool, boot: &Boot) -> Self {
        let running = boot.session.state == SessionState::Running;
        match (known, newest) {
            (true, true) if running => Self::KnownRunning,
            (true, true) => Self::Known,
            (true, false) => Self::KnownEarlier,
            (false, true) if boot.has_file() => Self::Stranger,
            (false, true) => Self::Asker,
            (false, false) => Self::Earlier,
        }
    }
}
