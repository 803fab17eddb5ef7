// SPDX-License-Identifier: Apache-2.0
//! Through relay agents (RFC 8415 section 19).

use crate::packet::{Desk, LINK_LOCAL, Packet, SOLICIT, config, ip};
use expect_test::expect;
use groundstate_api::MacAddr;
use pxe_core::dhcp6::{Dhcp6Config, Malformed6, RELAYS_MAX, Request6, Subnet6};

fn two_links() -> Dhcp6Config {
    Dhcp6Config {
        subnets: vec![
            Subnet6::around(ip("fd77::1")),
            Subnet6::around(ip("fd78::1")),
        ],
        ..config()
    }
}

#[test]
fn two_relay_agents_get_their_envelopes_back() {
    let inner = Packet::new(SOLICIT, 1)
        .ia(&[])
        .relayed(0, ip("fd78::9"), LINK_LOCAL)
        .option(18, b"port 7");
    let outer = inner
        .relayed(1, ip("::"), ip("fd78::9"))
        .option(18, b"uplink");
    expect![[r#"
        send to Relay
          relay-reply hops=1 link=:: peer=fd78::9
          18 75706c696e6b
            relay-reply hops=0 link=fd78::9 peer=fe80::5054:ff:fe12:3456
            18 706f72742037
              advertise
              1 00030001525400123401
              2 0001000130000000525400000001
              7 "�"
              3 ia 7 t1=1800 t2=2880
                address fd78::d6:e513:a3b9 for 3600 s
    "#]]
    .assert_eq(&Desk::with(two_links(), Vec::new()).says(&outer));
}

#[test]
fn a_link_that_is_not_ours_is_not_served() {
    let relayed = |link| {
        Packet::new(SOLICIT, 1)
            .ia(&[])
            .relayed(0, ip(link), LINK_LOCAL)
    };
    let mut desk = Desk::with(two_links(), Vec::new());
    let text = desk.says(&relayed("fd79::1"));
    assert_eq!(
        text,
        "dropped: the relay agent's link fd79::1 is not served here\n"
    );
    // A switch that names no link (RFC 6221) stands on ours.
    assert!(desk.says(&relayed("::")).contains("address fd77::d6:"));
    assert!(desk.says(&relayed("fd78::1")).contains("address fd78::d6:"));
}

#[test]
fn the_relay_agent_may_tell_the_mac_address() {
    let hidden = ip("fe80::1:2:3:4");
    let mac = MacAddr([2, 0, 0, 0, 0, 9]);
    let uuid = [0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    let packet = Packet::nobody(SOLICIT)
        .option(1, &uuid)
        .relayed(0, ip("fd77::9"), hidden);
    let seen = |packet: Packet| Request6::parse(&packet.0, hidden).unwrap().mac;
    assert_eq!(seen(packet.clone()), None);
    assert_eq!(
        seen(packet.clone().option(79, &[0, 1, 2, 0, 0, 0, 0, 9])),
        Some(mac)
    );
    // Not Ethernet, a group, too short.
    for wrong in [
        &[0, 6, 2, 0, 0, 0, 0, 9][..],
        &[0, 1, 3, 0, 0, 0, 0, 9],
        &[0, 1, 2],
    ] {
        assert_eq!(seen(packet.clone().option(79, wrong)), None);
    }
}

#[test]
fn envelopes_in_envelopes_have_an_end() {
    let mut packet = Packet::new(SOLICIT, 1).ia(&[]);
    for count in 0..RELAYS_MAX {
        packet = packet.relayed(u8::try_from(count).unwrap(), ip("fd77::9"), LINK_LOCAL);
    }
    Request6::parse(&packet.0, LINK_LOCAL).unwrap();
    let packet = packet.relayed(9, ip("fd77::9"), LINK_LOCAL);
    assert_eq!(
        Request6::parse(&packet.0, LINK_LOCAL).unwrap_err(),
        Malformed6::TooManyRelays
    );
}
