// SPDX-License-Identifier: Apache-2.0
//! What comes to the server, and what it wants done.

use super::foreign::Overheard;
use super::lease::Lease;
use super::reply::Destination;
use super::request::Request;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use groundstate_api::MacAddr;
use groundstate_api::boot::{BootAnswer, BootSighting};
use groundstate_api::boot_session::BootStep;

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client's message came, and the boot policy answered its question.
    Asked {
        /// The message.
        request: Box<Request>,
        /// What the machine shall boot.
        answer: BootAnswer,
    },
    /// The machine fetched its iPXE script, and this is what the boot policy answered.
    ScriptAsked {
        /// The machine.
        mac: MacAddr,
        /// What it shall boot.
        answer: BootAnswer,
    },
    /// Somebody answered the probe of an address.
    ProbeAnswered {
        /// The address.
        address: Ipv4Addr,
        /// Who, where the answer says so.
        by: Option<MacAddr>,
    },
    /// A DHCP server's message was heard on the wire.
    Overheard(Overheard),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make this lease durable: it replaces what was kept of its address and of its machine. The replies of the same
    /// call leave after that and not before.
    Keep(Lease),
    /// Send a reply.
    Send {
        /// Where to.
        to: Destination,
        /// The bytes of the datagram.
        bytes: Vec<u8>,
    },
    /// Ask whether anybody uses this address (ARP), and tell [`Event::ProbeAnswered`] if so. Nothing waits for it.
    Probe {
        /// The address.
        address: Ipv4Addr,
    },
    /// Tell what was seen.
    Saw {
        /// Of which machine.
        mac: MacAddr,
        /// What.
        sighting: BootSighting,
    },
    /// Join a step to the machine's boot session.
    Step {
        /// Of which machine.
        mac: MacAddr,
        /// Which.
        step: BootStep,
    },
    /// Raise the alarm: another DHCP server is on the wire. At most once a minute for each server.
    Foreign {
        /// The server.
        server: Ipv4Addr,
        /// The machine that it answered, or that chose it.
        mac: MacAddr,
    },
    /// The message got no answer.
    Dropped {
        /// Whose it was.
        mac: MacAddr,
        /// Why.
        why: Dropped,
    },
}

/// Why a message got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// The boot policy refuses the machine.
    #[error("the boot policy refuses this machine")]
    Refused,
    /// The machine shall boot its own disk, and its model does that best without an answer.
    #[error("the machine shall boot its own disk, and does that without an answer")]
    LocalDisk,
    /// Every address is leased.
    #[error("every address of the pool is leased")]
    PoolExhausted,
    /// The relay agent, or the link that it names, is in none of our subnets.
    #[error("the relay agent's link {0} is in no subnet that is served")]
    ForeignRelay(Ipv4Addr),
    /// The address is in none of our subnets.
    #[error("{0} is in no subnet that is served")]
    NotServed(Ipv4Addr),
    /// The client chose another server.
    #[error("the client chose the server {0}")]
    OtherServer(Ipv4Addr),
    /// The message names no address, or one it does not hold.
    #[error("the message names no address that this machine holds")]
    NoAddress,
    /// The machine declines one address after the other, and is no longer believed.
    #[error("the machine declined too many addresses, and is not believed")]
    Declines,
}
