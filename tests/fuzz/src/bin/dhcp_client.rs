// SPDX-License-Identifier: Apache-2.0
//! What DHCP servers answer to the maintenance OS.
#![no_main]

use groundstate_api::{MacAddr, Millis};
use groundstate_fuzz::{MIB, Pieces, bounded};
use libfuzzer_sys::fuzz_target;
use mos_core::dhcp_client::{Action, DhcpClient, Event};

/// Heap, in bytes: one datagram as dhcproto decodes it, and the actions.
const HEAP_MAX: usize = 4 * MIB;
/// Our transaction.
const XID: u32 = 0x4753_0001;
/// Our address.
const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || client(Pieces::new(input)));
});

fn client(mut pieces: Pieces<'_>) {
    let mut client = DhcpClient::new(MAC);
    let mut now = Millis(0);
    let mut out = Vec::new();
    client.handle(now, Event::Start { xid: XID }, &mut out);
    while !pieces.is_empty() {
        let control = pieces.byte();
        if control & 1 == 1 {
            now = client.deadline().map_or(now, |at| at.max(now));
            client.handle(now, Event::Timeout, &mut out);
            continue;
        }
        let mut reply = pieces.string().to_vec();
        if control & 2 == 0 && reply.len() >= 34 {
            // A reply to us.
            reply[4..8].copy_from_slice(&XID.to_be_bytes());
            reply[28..34].copy_from_slice(&MAC.0);
        }
        let before = out.len();
        client.handle(now, Event::Received(&reply), &mut out);
        assert!(
            out.len() - before <= 2,
            "one reply, {} actions",
            out.len() - before
        );
        for action in &out[before..] {
            if let Action::Configure(lease) = action {
                assert!(lease.prefix <= 32 && lease.renew_at <= lease.ends_at);
            }
        }
    }
}
