// SPDX-License-Identifier: Apache-2.0
//! Pools as the site file has them: several in one subnet and in subnets behind relay agents, with addresses that are kept.

use crate::packet::{Desk, Packet, SERVER, network, reply};
use groundstate_api::MacAddr;
use groundstate_api::boot::BootAnswer;
use groundstate_api::site::Network;
use groundstate_api::site_pool::{Pool, PoolReservation};
use pxe_core::dhcp::{Action, Dropped, ServerConfig};
use std::net::Ipv4Addr;

fn pool(name: &str, network: Option<&str>, first: [u8; 4], last: [u8; 4]) -> Pool {
    Pool {
        name: name.into(),
        network: network.map(str::to_owned),
        first: first.into(),
        last: last.into(),
        rack: None,
        router: None,
        dns: Vec::new(),
        lease_secs: None,
        reservations: Vec::new(),
    }
}

fn mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 1, number])
}

/// 10.77.0.0/24 with another pool in it, and 10.78.0.0/24 behind a relay agent with two of them and a reservation.
fn several() -> Network {
    let mut network = network();
    let mut far = pool(
        "far",
        Some("10.78.0.0/24"),
        [10, 78, 0, 100],
        [10, 78, 0, 100],
    );
    far.router = Some([10, 78, 0, 1].into());
    far.dns = vec![[10, 78, 0, 53].into()];
    far.lease_secs = Some(600);
    far.reservations.push(PoolReservation {
        mac: mac(9),
        address: [10, 78, 0, 9].into(),
        host_name: Some("nine".into()),
    });
    network.pools = vec![
        pool("more", None, [10, 77, 0, 210], [10, 77, 0, 211]),
        far,
        pool(
            "far-2",
            Some("10.78.0.0/24"),
            [10, 78, 0, 200],
            [10, 78, 0, 200],
        ),
    ];
    network
}

fn asked(desk: &mut Desk, packet: Packet) -> Result<dhcproto::v4::Message, Dropped> {
    let out = desk.ask(&packet.end(), &BootAnswer::MaintenanceOs);
    match out.last() {
        Some(Action::Dropped { why, .. }) => Err(*why),
        _ => Ok(reply(&out)),
    }
}

#[test]
fn each_subnet_is_leased_from_its_own_pools_with_its_own_terms() {
    let mut desk = Desk::new(&several());
    let far = |number| Packet::new(1, mac(number)).giaddr([10, 78, 0, 1]);
    // An offer that nobody takes is somebody else's soon: both are leased.
    let mut leased = |number| {
        let offer = asked(&mut desk, far(number)).unwrap().yiaddr().octets();
        let request = Packet::new(3, mac(number)).giaddr([10, 78, 0, 1]);
        let request = request.option(50, &offer).option(54, &SERVER);
        asked(&mut desk, request).unwrap()
    };
    let (first, second) = (leased(1), leased(2));
    let mut got = [first.yiaddr(), second.yiaddr()];
    got.sort_unstable();
    // Both pools of the subnet, whichever came first.
    assert_eq!(
        got,
        [Ipv4Addr::new(10, 78, 0, 100), Ipv4Addr::new(10, 78, 0, 200)]
    );
    let said = format!("{:?}", first.opts());
    for wants in ["10.78.0.1", "10.78.0.53", "AddressLeaseTime(600)"] {
        assert!(said.contains(wants), "{wants}: {said}");
    }
    assert_eq!(asked(&mut desk, far(3)), Err(Dropped::PoolExhausted));
    // The reservation is its machine's, also where the pools are empty.
    let reserved = asked(&mut desk, far(9)).unwrap();
    assert_eq!(reserved.yiaddr(), Ipv4Addr::new(10, 78, 0, 9));
    // Here the network's own terms hold, whatever the other subnet says.
    let here = asked(&mut desk, Packet::new(1, mac(4))).unwrap();
    assert_eq!(here.yiaddr().octets()[..2], [10, 77]);
    let said = format!("{:?}", here.opts());
    for wants in ["10.77.0.254", "10.77.0.253", "AddressLeaseTime(3600)"] {
        assert!(said.contains(wants), "{wants}: {said}");
    }
    // A relay agent of no pool's subnet is refused, as ever.
    let stranger = Packet::new(1, mac(5)).giaddr([10, 79, 0, 1]);
    assert_eq!(
        asked(&mut desk, stranger),
        Err(Dropped::ForeignRelay([10, 79, 0, 1].into()))
    );
}

#[test]
fn without_pools_the_configuration_is_the_one_that_it_always_was() {
    let config = ServerConfig::from(&network());
    assert_eq!(config.subnets.len(), 1);
    assert!(config.reservations.is_empty());
    let config = ServerConfig::from(&several());
    assert_eq!(
        config.subnets.len(),
        2,
        "one for each subnet, not for each pool"
    );
    assert_eq!(config.subnets[0].pools.len(), 2);
    assert_eq!(config.subnets[1].pools.len(), 2);
    // A pool says nothing of the provisioning network's own terms.
    let mut network = several();
    network.pools[0].router = Some([10, 77, 0, 99].into());
    let config = ServerConfig::from(&network);
    assert_eq!(config.subnets[0].router, network.router);
}
