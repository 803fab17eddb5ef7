// SPDX-License-Identifier: Apache-2.0
//! Whatever a client sends: no panic, no address, one short answer at most.

use crate::packet::{Packet, config};
use dhcproto::Decodable as _;
use dhcproto::v4::Message;
use groundstate_api::Millis;
use groundstate_api::boot::BootAnswer;
use proptest::prelude::*;
use pxe_core::proxy::{Port, Proxy, ProxyAction, ProxyEvent, ProxyRequest};
use std::net::{Ipv4Addr, SocketAddrV4};

/// What IPv4 must be able to take (RFC 791), less its header and UDP's, and a relay agent's longest option on top.
const REPLY_MAX: usize = 548 + 2 * 257;

fn any_answer() -> impl Strategy<Value = BootAnswer> {
    prop_oneof![
        Just(BootAnswer::MaintenanceOs),
        Just(BootAnswer::LOCAL_DISK),
        Just(BootAnswer::Nothing)
    ]
}

fn handle(bytes: &[u8], port: Port, answer: BootAnswer) -> Result<(), TestCaseError> {
    let from = SocketAddrV4::new(Ipv4Addr::new(10, 77, 0, 9), 4011);
    let Ok(asked) = ProxyRequest::parse(bytes, port, from) else {
        return Ok(());
    };
    let (asked, mut out) = (Box::new(asked), Vec::new());
    let mut proxy = Proxy::new(config()).unwrap();
    proxy.handle(Millis(1), ProxyEvent::Asked { asked, answer }, &mut out);
    let sent: Vec<_> = out
        .iter()
        .filter_map(|action| match action {
            ProxyAction::Send { bytes, .. } => Some(bytes),
            _ => None,
        })
        .collect();
    prop_assert!(sent.len() <= 1 && out.len() <= 4, "{out:?}");
    for bytes in sent {
        prop_assert!((300..=REPLY_MAX).contains(&bytes.len()), "{}", bytes.len());
        let reply = Message::from_bytes(bytes).unwrap();
        prop_assert_eq!(reply.yiaddr(), Ipv4Addr::UNSPECIFIED);
        prop_assert_eq!(reply.xid(), 0xdead_beef);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_options(
        message in 0u8..10,
        options in prop::collection::vec((prop::sample::select(vec![43u8, 50, 52, 54, 57, 60, 61, 77, 82, 93, 97, 175]), prop::collection::vec(any::<u8>(), 0..40)), 0..12),
        class in prop::sample::select(vec![&b"PXEClient:Arch:00007"[..], b"HTTPClient", b"", b"MSFT 5.0"]),
        port in prop::sample::select(vec![Port::Dhcp, Port::BootServer]),
        answer in any_answer(),
    ) {
        let mut packet = Packet::new(message).option(60, class);
        for (code, value) in &options {
            packet = packet.option(*code, value);
        }
        handle(&packet.end(), port, answer)?;
    }

    #[test]
    fn any_bytes_after_the_header(tail in prop::collection::vec(any::<u8>(), 0..400), answer in any_answer()) {
        let mut bytes = Packet::new(1).end();
        bytes.pop();
        bytes.extend(tail);
        handle(&bytes, Port::Dhcp, answer)?;
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        handle(&bytes, Port::BootServer, BootAnswer::MaintenanceOs)?;
    }
}
