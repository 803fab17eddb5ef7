// SPDX-License-Identifier: Apache-2.0
//! What machines ask the DHCP server.
#![no_main]

use groundstate_api::boot::BootAnswer;
use groundstate_api::site::Network;
use groundstate_api::{MacAddr, Millis, Reason, ReasonCode};
use groundstate_fuzz::{MIB, Pieces, bounded};
use libfuzzer_sys::fuzz_target;
use pxe_core::dhcp::{Action, Event, Request, Server, Subnet};
use std::net::Ipv4Addr;

/// Heap, in bytes: a pool of 200 leases and one request.
const HEAP_MAX: usize = 4 * MIB;
/// The longest reply: what an Ethernet frame carries.
const REPLY_MAX: usize = 1_472;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || server(Pieces::new(input)));
});

fn subnet() -> Subnet {
    let network = Network {
        address: Ipv4Addr::new(10, 0, 0, 1),
        prefix: 24,
        pool_first: Ipv4Addr::new(10, 0, 0, 20),
        pool_last: Ipv4Addr::new(10, 0, 0, 30),
        router: Some(Ipv4Addr::new(10, 0, 0, 1)),
        dns: vec![Ipv4Addr::new(10, 0, 0, 2)],
        lease_secs: 3_600,
        http_port: 80,
        https_port: 8443,
    };
    Subnet::new(&network).expect("the subnet is one")
}

fn server(mut pieces: Pieces<'_>) {
    let mut server = Server::new(subnet(), Vec::new());
    let mut now = Millis::secs(1_800_000_000);
    while !pieces.is_empty() {
        let control = pieces.byte();
        now = now.plus(Millis::secs(u64::from(control >> 3) * 120));
        let answer = match control & 3 {
            0 => BootAnswer::MaintenanceOs,
            1 => BootAnswer::LOCAL_DISK,
            _ => BootAnswer::Refuse {
                reason: Reason::new(ReasonCode::NotAllowed, "it is refused", "allow it"),
            },
        };
        let bytes = pieces.string();
        let mut out = Vec::new();
        if control & 4 != 0 {
            let mac = MacAddr([2, 0, 0, 0, 0, control]);
            server.handle(now, Event::ScriptAsked { mac, answer }, &mut out);
        } else if let Ok(request) = Request::parse(bytes) {
            let _ = request.question();
            let request = Box::new(request);
            server.handle(now, Event::Asked { request, answer }, &mut out);
        }
        assert!(out.len() <= 4, "{} actions", out.len());
        for action in &out {
            if let Action::Send { bytes, .. } = action {
                assert!(bytes.len() <= REPLY_MAX, "a reply of {} bytes", bytes.len());
            }
        }
        let kept = server.keep();
        assert!(kept.len() <= 11, "{} leases of 11 addresses", kept.len());
        for lease in &kept {
            assert!(server.subnet().in_pool(lease.address));
        }
    }
}
