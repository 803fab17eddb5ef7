// SPDX-License-Identifier: Apache-2.0
//! What machines ask a proxyDHCP service, on either port.
#![no_main]

use groundstate_api::Millis;
use groundstate_api::boot::BootAnswer;
use groundstate_fuzz::{MIB, Pieces, bounded};
use libfuzzer_sys::fuzz_target;
use pxe_core::dhcp::BootNames;
use pxe_core::names::HttpBase;
use pxe_core::proxy::{Port, Proxy, ProxyAction, ProxyConfig, ProxyEvent, ProxyRequest};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Heap, in bytes: machines that were told of, and one request.
const HEAP_MAX: usize = 2 * MIB;
/// The longest reply: what an Ethernet frame carries.
const REPLY_MAX: usize = 1_472;
/// Where the address that is given would stand.
const YIADDR: std::ops::Range<usize> = 16..20;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || serve(Pieces::new(input)));
});

fn serve(mut pieces: Pieces<'_>) {
    let address = Ipv4Addr::new(10, 0, 0, 1);
    let http = HttpBase {
        address: address.into(),
        port: 80,
    };
    let boot = BootNames::default();
    let mut proxy = Proxy::new(ProxyConfig {
        address,
        http,
        boot,
    })
    .expect("the configuration is one");
    while !pieces.is_empty() {
        let control = pieces.byte();
        let port = match control & 1 {
            0 => Port::Dhcp,
            _ => Port::BootServer,
        };
        let answer = match control >> 1 & 3 {
            0 => BootAnswer::Nothing,
            1 => BootAnswer::LOCAL_DISK,
            _ => BootAnswer::MaintenanceOs,
        };
        let from = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, control), 68);
        let Ok(asked) = ProxyRequest::parse(pieces.string(), port, from) else {
            continue;
        };
        let (asked, mut out) = (Box::new(asked), Vec::new());
        proxy.handle(Millis(1), ProxyEvent::Asked { asked, answer }, &mut out);
        assert!(out.len() <= 4, "{} actions", out.len());
        for action in &out {
            if let ProxyAction::Send { bytes, .. } = action {
                assert!(bytes.len() <= REPLY_MAX, "a reply of {} bytes", bytes.len());
                assert_eq!(bytes.get(YIADDR), Some(&[0; 4][..]), "it gives an address");
            }
        }
    }
}
