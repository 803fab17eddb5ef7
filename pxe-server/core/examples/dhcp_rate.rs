// SPDX-License-Identifier: Apache-2.0
//! How many leases a second the deciding half alone grants, with no leases and with 100,000, and what a lease costs.
//!
//! `cargo run --release -p pxe-core --example dhcp_rate`

use groundstate_api::boot::BootAnswer;
use groundstate_api::{MacAddr, Millis};
use pxe_core::dhcp::{
    Action, BootNames, Event, Lease, LeaseState, Request, Server, ServerConfig, SubnetConfig,
};
use pxe_core::names::HttpBase;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const ROUNDS: u32 = 50_000;

fn main() {
    // Nobody in the pool; a pool that is nearly full; one where every address is used again.
    for (already, pool) in [
        (0u32, 131_072u32),
        (100_000, 1_048_576),
        (100_000, 150_001),
        (100_000, 100_000),
    ] {
        measure(already, pool);
    }
}

fn measure(already: u32, pool: u32) {
    let before = resident();
    let kept: Vec<Lease> = (0..already).map(|n| lease(n, already)).collect();
    let began = Instant::now();
    let mut server = Server::new(config(pool), kept).expect("it can be served");
    let restored = began.elapsed();
    let grown = resident().saturating_sub(before);
    // Later than the leases of a full pool end, so that its addresses are used again.
    let now = Millis::secs(if already == pool { 90_000 } else { 10 });
    let mut machine = 1_000_000;
    let best = (0..3)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..ROUNDS / 3 {
                machine += 1;
                exchange(&mut server, now, mac(machine));
            }
            began.elapsed()
        })
        .min()
        .unwrap_or(Duration::MAX);
    let rate = f64::from(ROUNDS / 3) / best.as_secs_f64();
    println!(
        "{already:>7} leases, pool {pool:>9}: {rate:>9.0} exchanges/s, restored in {:>5.1} ms, {:>6} KiB more memory",
        restored.as_secs_f64() * 1_000.0,
        grown / 1_024
    );
}

fn exchange(server: &mut Server, now: Millis, mac: MacAddr) {
    let mut out = Vec::with_capacity(8);
    ask(server, now, &packet(1, mac, None), &mut out);
    let address = given(&out);
    out.clear();
    ask(server, now, &packet(3, mac, Some(address)), &mut out);
    assert_eq!(given(&out), address, "{out:?}");
}

fn ask(server: &mut Server, now: Millis, bytes: &[u8], out: &mut Vec<Action>) {
    let request = Box::new(Request::parse(bytes).expect("it is a request"));
    let answer = BootAnswer::MaintenanceOs;
    server.handle(now, Event::Asked { request, answer }, out);
}

fn given(out: &[Action]) -> [u8; 4] {
    let sent = out.iter().find_map(|action| match action {
        Action::Send { bytes, .. } => Some([bytes[16], bytes[17], bytes[18], bytes[19]]),
        _ => None,
    });
    sent.expect("an answer")
}

/// As perfdhcp sends it: relayed, with a parameter request list.
fn packet(message: u8, mac: MacAddr, address: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = vec![0; 240];
    bytes[..4].copy_from_slice(&[1, 1, 6, 1]);
    bytes[24..28].copy_from_slice(&[10, 0, 0, 2]);
    bytes[28..34].copy_from_slice(&mac.0);
    bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
    bytes.extend([53, 1, message, 55, 7, 1, 28, 2, 3, 15, 6, 12]);
    if let Some(address) = address {
        bytes.extend([50, 4]);
        bytes.extend(address);
        bytes.extend([54, 4]);
        bytes.extend(SERVER.octets());
    }
    bytes.push(255);
    bytes
}

fn mac(n: u32) -> MacAddr {
    let [a, b, c, d] = n.to_be_bytes();
    MacAddr([2, 0, a, b, c, d])
}

fn lease(n: u32, already: u32) -> Lease {
    let scattered = u64::from(n) * 7_919 % u64::from(already);
    Lease {
        address: (u32::from(Ipv4Addr::new(10, 0, 1, 0)) + u32::try_from(scattered).unwrap_or(0))
            .into(),
        mac: mac(n),
        state: LeaseState::Bound,
        since: Millis(0),
        until: Millis(3_600_000 + u64::from(n)),
        uuid: None,
        firmware: None,
    }
}

fn config(pool: u32) -> ServerConfig {
    let first = u32::from(Ipv4Addr::new(10, 0, 1, 0));
    ServerConfig {
        address: SERVER,
        http: HttpBase {
            address: SERVER.into(),
            port: 80,
        },
        subnets: vec![SubnetConfig {
            network: SERVER,
            prefix: 8,
            pools: vec![(first.into(), (first + pool - 1).into())],
            router: Some(SERVER),
            dns: vec![SERVER],
            ntp: Vec::new(),
            domain: None,
            mtu: None,
            routes: Vec::new(),
            lease_secs: 3_600,
        }],
        reservations: Vec::new(),
        boot: BootNames::default(),
        probe: false,
    }
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}
