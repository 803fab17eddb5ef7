// SPDX-License-Identifier: Apache-2.0
//! What machines and relay agents ask the DHCPv6 server.
#![no_main]

use groundstate_api::boot::BootAnswer;
use groundstate_api::{MacAddr, Millis};
use groundstate_fuzz::{MIB, Pieces, bounded};
use libfuzzer_sys::fuzz_target;
use pxe_core::dhcp6::{Action6, Dhcp6Config, Duid, Event6, REPLY_MAX, Request6, Server6};
use std::net::Ipv6Addr;

/// Heap, in bytes: leases of one input, and one request.
const HEAP_MAX: usize = 4 * MIB;
/// What eight relay agents' envelopes may add.
const ENVELOPES: usize = 8 * (34 + 8 + 256);
const FROM: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0xff, 0xfe12, 0x3456);

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || serve(Pieces::new(input)));
});

fn serve(mut pieces: Pieces<'_>) {
    let own = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
    let config = Dhcp6Config {
        rapid_commit: true,
        nameless: true,
        ..Dhcp6Config::of_interface(&[(own, 64)], 80).expect("the interface is one")
    };
    let pool = config.subnets.clone();
    let duid = Duid::of_server(MacAddr([2, 0, 0, 0, 0, 1]), 1);
    let mut server = Server6::new(config, duid, []).expect("the configuration is one");
    let mut now = Millis(0);
    while !pieces.is_empty() {
        let control = pieces.byte();
        now = now.plus(Millis::secs(u64::from(control >> 2) * 60));
        let Ok(request) = Request6::parse(pieces.string(), FROM) else {
            continue;
        };
        let answer = request.question().map(|_| match control & 3 {
            0 => BootAnswer::Nothing,
            1 => BootAnswer::LOCAL_DISK,
            _ => BootAnswer::MaintenanceOs,
        });
        let (request, mut out) = (Box::new(request), Vec::new());
        server.handle(now, Event6::Asked { request, answer }, &mut out);
        for action in &out {
            match action {
                Action6::Keep(lease) => {
                    let inside = pool.iter().any(|pool| pool.in_pool(lease.address));
                    assert!(inside, "{} is outside the pool", lease.address);
                }
                Action6::Send { bytes, .. } => {
                    assert!(bytes.len() <= REPLY_MAX + ENVELOPES, "{} bytes", bytes.len());
                }
                Action6::Saw { .. } | Action6::Step { .. } | Action6::Dropped { .. } => {}
            }
        }
    }
}
