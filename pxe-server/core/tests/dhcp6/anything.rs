// SPDX-License-Identifier: Apache-2.0
//! Whatever a client sends: no panic, no address outside the pool, no long answer.

use crate::packet::{LINK_LOCAL, Packet, config, server_id};
use groundstate_api::Millis;
use groundstate_api::boot::BootAnswer;
use proptest::prelude::*;
use pxe_core::dhcp6::{Action6, Event6, REPLY_MAX, Request6, Server6};

/// What a relay agent's envelope may add: its header, and an interface identifier.
const ENVELOPE: usize = 34 + 4 + 4 + 256;

fn any_answer() -> impl Strategy<Value = BootAnswer> {
    prop_oneof![
        Just(BootAnswer::MaintenanceOs),
        Just(BootAnswer::LOCAL_DISK),
        Just(BootAnswer::Nothing)
    ]
}

fn any_option() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let code = prop::sample::select(vec![1u16, 2, 3, 4, 5, 6, 14, 15, 16, 25, 61, 62, 999]);
    (code, prop::collection::vec(any::<u8>(), 0..60))
}

/// One of ours, in the pool, out of it.
fn any_association() -> impl Strategy<Value = Vec<u8>> {
    let address = prop::sample::select(vec!["fd77::d6:0:5", "fd77::1", "fd77::5", "fd99::5", "::"]);
    (any::<u8>(), prop::collection::vec(address, 0..4)).prop_map(|(iaid, addresses)| {
        let mut value = vec![0, 0, 0, iaid & 3, 0, 0, 0, 0, 0, 0, 0, 0];
        for address in addresses {
            value.extend([0, 5, 0, 24]);
            value.extend(crate::packet::ip(address).octets());
            value.extend([0; 8]);
        }
        value
    })
}

fn handle(
    server: &mut Server6,
    now: u64,
    bytes: &[u8],
    answer: BootAnswer,
) -> Result<(), TestCaseError> {
    let Ok(request) = Request6::parse(bytes, LINK_LOCAL) else {
        return Ok(());
    };
    let answer = request.question().map(|_| answer);
    let (request, mut out) = (Box::new(request), Vec::new());
    server.handle(Millis(now), Event6::Asked { request, answer }, &mut out);
    let sent = out
        .iter()
        .filter(|action| matches!(action, Action6::Send { .. }));
    prop_assert!(sent.count() <= 1 && out.len() <= 16, "{out:?}");
    let pool = config().subnets[0];
    for action in out {
        match action {
            Action6::Keep(lease) => prop_assert!(pool.in_pool(lease.address), "{lease:?}"),
            Action6::Send { bytes, .. } => prop_assert!(bytes.len() <= REPLY_MAX + 8 * ENVELOPE),
            _ => {}
        }
    }
    prop_assert!(server.leases().all(|lease| pool.in_pool(lease.address)));
    Ok(())
}

proptest! {
    #[test]
    fn any_conversation(messages in prop::collection::vec(
        (1u8..12, 0u8..3, any::<bool>(), prop::collection::vec(any_association(), 0..3), prop::collection::vec(any_option(), 0..3), 0u64..4_000_000, any_answer()),
        1..12,
    )) {
        let mut server = Server6::new(config(), server_id(), []).unwrap();
        let mut now = 0;
        for (kind, who, to_us, associations, options, later, answer) in messages {
            let mut packet = Packet::new(kind, who);
            if to_us {
                packet = packet.naming_us();
            }
            for association in associations {
                packet = packet.option(3, &association);
            }
            for (code, value) in options {
                packet = packet.option(code, &value);
            }
            now += later;
            handle(&mut server, now, &packet.0, answer)?;
        }
    }

    #[test]
    fn any_envelopes(depth in 0usize..12, tail in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut packet = Packet::new(1, 1).ia(&[]);
        packet.0.extend(tail);
        for _ in 0..depth {
            packet = packet.relayed(0, crate::packet::ip("fd77::9"), LINK_LOCAL).option(18, b"x");
        }
        let mut server = Server6::new(config(), server_id(), []).unwrap();
        handle(&mut server, 1, &packet.0, BootAnswer::MaintenanceOs)?;
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut server = Server6::new(config(), server_id(), []).unwrap();
        handle(&mut server, 1, &bytes, BootAnswer::MaintenanceOs)?;
    }
}
