// SPDX-License-Identifier: Apache-2.0
//! What machines ask the DHCP server.
#![no_main]

use groundstate_api::boot::{BootAnswer, BootRecipe, LocalBoot};
use groundstate_api::{MacAddr, Millis, Reason, ReasonCode};
use groundstate_fuzz::{MIB, Pieces, bounded};
use libfuzzer_sys::fuzz_target;
use pxe_core::dhcp::{
    Action, BootNames, Destination, Event, LeaseState, Overheard, Request, Reservation, Route,
    Server, ServerConfig, SubnetConfig, Who,
};
use pxe_core::names::HttpBase;
use std::net::Ipv4Addr;

/// Heap, in bytes: two pools of a few leases and one request.
const HEAP_MAX: usize = 4 * MIB;
/// The longest reply: what an Ethernet frame carries.
const REPLY_MAX: usize = 1_472;
/// Reserved for a MAC address, and for whoever stands at a relay agent's port.
const RESERVED: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 25), Ipv4Addr::new(10, 0, 1, 99)];

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || server(Pieces::new(input)));
});

fn subnet(third: u8) -> SubnetConfig {
    let at = |last| Ipv4Addr::new(10, 0, third, last);
    SubnetConfig {
        network: at(0),
        prefix: 24,
        pools: vec![(at(20), at(26)), (at(30), at(33))],
        router: Some(at(1)),
        dns: vec![at(2)],
        ntp: vec![at(3)],
        domain: Some("rack.example".to_owned()),
        mtu: Some(1_500),
        routes: vec![Route {
            to: Ipv4Addr::new(172, 16, 0, 0),
            prefix: 12,
            via: at(1),
        }],
        lease_secs: 3_600,
    }
}

fn config() -> ServerConfig {
    let own = MacAddr([2, 0, 0, 0, 0, 1]);
    let port = Who::RelayPort {
        circuit: b"port".to_vec(),
        remote: None,
    };
    let [one, other] = RESERVED;
    let address = Ipv4Addr::new(10, 0, 0, 1);
    ServerConfig {
        address,
        http: HttpBase { address: address.into(), port: 80 },
        subnets: vec![subnet(0), subnet(1)],
        reservations: vec![reserved(Who::Mac(own), one), reserved(port, other)],
        boot: BootNames::default(),
        probe: true,
    }
}

fn reserved(who: Who, address: Ipv4Addr) -> Reservation {
    Reservation {
        who,
        address,
        host_name: Some("node".to_owned()),
    }
}

fn answer(control: u8) -> BootAnswer {
    match control & 7 {
        0 => BootAnswer::MaintenanceOs,
        1 => BootAnswer::LOCAL_DISK,
        2 => BootAnswer::LocalDisk {
            how: LocalBoot::Exit,
        },
        3 => BootAnswer::LocalDisk {
            how: LocalBoot::NoAnswer,
        },
        4 => BootAnswer::Nothing,
        5 => BootAnswer::Recipe {
            recipe: BootRecipe {
                file: Some("x".repeat(usize::from(control) * 2)),
                ..BootRecipe::default()
            },
        },
        _ => BootAnswer::Refuse {
            reason: Reason::new(ReasonCode::NotAllowed, "it is refused", "allow it"),
        },
    }
}

fn event(control: u8, pieces: &mut Pieces<'_>) -> Option<Event> {
    let (answer, bytes) = (answer(control), pieces.string());
    let last = bytes.first().copied().unwrap_or_default();
    match control >> 3 & 7 {
        5 => Some(Event::ScriptAsked {
            mac: MacAddr([2, 0, 0, 0, 0, control]),
            answer,
        }),
        6 => Some(Event::ProbeAnswered {
            address: Ipv4Addr::new(10, 0, 0, last),
            by: None,
        }),
        7 => Overheard::parse(bytes).map(Event::Overheard),
        _ => {
            let request = Box::new(Request::parse(bytes).ok()?);
            let _ = request.question();
            Some(Event::Asked { request, answer })
        }
    }
}

fn server(mut pieces: Pieces<'_>) {
    let mut server = Server::new(config(), Vec::new()).expect("the configuration can be served");
    let mut now = Millis::secs(1_800_000_000);
    while !pieces.is_empty() {
        let control = pieces.byte();
        now = now.plus(Millis::secs(u64::from(control >> 6) * 900));
        let Some(event) = event(control, &mut pieces) else {
            continue;
        };
        let relay = match &event {
            Event::Asked { request, .. } => request.relay_agent(),
            Event::ScriptAsked { .. } | Event::ProbeAnswered { .. } | Event::Overheard(_) => None,
        };
        let mut out = Vec::new();
        server.handle(now, event, &mut out);
        assert!(out.len() <= 8, "{} actions", out.len());
        for action in &out {
            check(action, relay);
        }
        let kept = server.keep();
        assert!(kept.len() <= 24, "{} leases of 24 addresses", kept.len());
        let mut bound: Vec<MacAddr> = kept
            .iter()
            .filter(|lease| lease.state == LeaseState::Bound)
            .map(|lease| lease.mac)
            .collect();
        bound.sort_unstable();
        let machines = bound.len();
        bound.dedup();
        assert_eq!(machines, bound.len(), "one machine has two addresses");
        for lease in &kept {
            assert!(
                is_ours(lease.address),
                "{} is no address of ours",
                lease.address
            );
        }
    }
}

fn check(action: &Action, relay: Option<Ipv4Addr>) {
    let Action::Send { to, bytes } = action else {
        return;
    };
    assert!(
        (300..=REPLY_MAX).contains(&bytes.len()),
        "a reply of {} bytes",
        bytes.len()
    );
    if let Some(relay) = relay {
        assert_eq!(
            *to,
            Destination::Relay(relay),
            "an answer beside the relay agent"
        );
    }
    let given = Ipv4Addr::new(bytes[16], bytes[17], bytes[18], bytes[19]);
    assert!(
        given.is_unspecified() || is_ours(given),
        "{given} is no address of ours"
    );
}

fn is_ours(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    let pooled = (a, b) == (10, 0) && c <= 1 && ((20..=26).contains(&d) || (30..=33).contains(&d));
    pooled || RESERVED.contains(&address)
}
