// SPDX-License-Identifier: Apache-2.0
//! Each message of RFC 8415 section 18.3 and its answer.

use crate::packet::{
    CONFIRM, DECLINE, Desk, INFORMATION, LINK_LOCAL, Packet, REBIND, RELEASE, RENEW, REQUEST,
    SOLICIT, config, ip, show,
};
use expect_test::expect;
use groundstate_api::Millis;
use groundstate_api::boot::BootAnswer;
use pxe_core::dhcp6::Dhcp6Config;

#[test]
fn request_renew_release() {
    let mut desk = Desk::new();
    let solicit = Packet::new(SOLICIT, 1).ia(&[]);
    expect![[r#"
        send to Client
          advertise
          1 00030001525400123401
          2 0001000130000000525400000001
          7 "�"
          3 ia 7 t1=1800 t2=2880
            address fd77::d6:e513:a3b9 for 3600 s
    "#]]
    .assert_eq(&desk.says(&solicit));
    assert_eq!(
        desk.says(&solicit),
        desk.says(&solicit),
        "the same address again"
    );
    let address = desk.lease(1).unwrap();
    let request = Packet::new(REQUEST, 1).naming_us().ia(&[address]);
    expect![[r#"
        keep fd77::d6:e513:a3b9 00030001525400123401 7 Bound until 4600000
        send to Client
          reply
          1 00030001525400123401
          2 0001000130000000525400000001
          3 ia 7 t1=1800 t2=2880
            address fd77::d6:e513:a3b9 for 3600 s
        saw Leased { address: "fd77::d6:e513:a3b9", firmware: None }
    "#]]
    .assert_eq(&desk.says(&request));
    desk.now = desk.now.plus(Millis::secs(1_800));
    expect![[r#"
        keep fd77::d6:e513:a3b9 00030001525400123401 7 Bound until 6400000
        send to Client
          reply
          1 00030001525400123401
          2 0001000130000000525400000001
          3 ia 7 t1=1800 t2=2880
            address fd77::d6:e513:a3b9 for 3600 s
    "#]]
    .assert_eq(&desk.says(&Packet::new(RENEW, 1).naming_us().ia(&[address])));
    expect![[r#"
        keep fd77::d6:e513:a3b9 00030001525400123401 7 Bound until 2800000
        send to Client
          reply
          1 00030001525400123401
          2 0001000130000000525400000001
          status 0 done
    "#]]
    .assert_eq(&desk.says(&Packet::new(RELEASE, 1).naming_us().ia(&[address])));
    // Not leased any longer.
    expect![[r#"
        send to Client
          reply
          1 00030001525400123402
          2 0001000130000000525400000001
          status 0 done
          3 ia 7 t1=0 t2=0
            status 3 this is not leased to this client
    "#]]
    .assert_eq(&desk.says(&Packet::new(RELEASE, 2).naming_us().ia(&[address])));
    assert_eq!(
        desk.lease(1),
        Some(address),
        "an address stays with its client"
    );
}

#[test]
fn rapid_commit_only_where_both_wish_it() {
    let solicit = Packet::new(SOLICIT, 1).ia(&[]).option(14, &[]);
    assert!(Desk::new().says(&solicit).contains("  advertise\n"));
    let rapid = Dhcp6Config {
        rapid_commit: true,
        ..config()
    };
    let mut desk = Desk::with(rapid, Vec::new());
    expect![[r#"
        keep fd77::d6:e513:a3b9 00030001525400123401 7 Bound until 4600000
        send to Client
          reply
          1 00030001525400123401
          2 0001000130000000525400000001
          14 ""
          3 ia 7 t1=1800 t2=2880
            address fd77::d6:e513:a3b9 for 3600 s
        saw Leased { address: "fd77::d6:e513:a3b9", firmware: None }
    "#]]
    .assert_eq(&desk.says(&solicit));
    let slow = Packet::new(SOLICIT, 2).ia(&[]);
    assert!(desk.says(&slow).contains("  advertise\n"));
}

#[test]
fn confirm_says_whether_the_link_is_the_same() {
    let mut desk = Desk::new();
    let confirm = |address: &str| Packet::new(CONFIRM, 1).ia(&[ip(address)]);
    assert!(desk.says(&confirm("fd77::5")).contains("status 0"));
    assert!(desk.says(&confirm("fd78::5")).contains("status 4"));
    let none = desk.says(&Packet::new(CONFIRM, 1).ia(&[]));
    assert_eq!(none, "dropped: the message names no address\n");
}

#[test]
fn a_lease_that_was_lost_here_is_taken_up_again() {
    let mut desk = Desk::new();
    let address = ip("fd77::d6:1:2");
    for (message, to_us) in [(RENEW, true), (REBIND, false)] {
        let packet = Packet::new(message, 1);
        let packet = if to_us { packet.naming_us() } else { packet };
        let text = desk.says(&packet.ia(&[address]));
        assert!(text.contains("address fd77::d6:1:2 for 3600 s"), "{text}");
    }
    // Somebody else's, and one of another link.
    let text = desk.says(&Packet::new(RENEW, 2).naming_us().ia(&[address]));
    assert!(
        text.contains("status 3") && !text.contains("keep"),
        "{text}"
    );
    let text = desk.says(&Packet::new(REBIND, 2).ia(&[ip("fd99::1")]));
    assert!(
        text.contains("address fd99::1 for 0 s") && !text.contains("keep"),
        "{text}"
    );
}

#[test]
fn a_declined_address_is_left_alone_for_a_while() {
    let mut desk = Desk::new();
    let address = desk.lease(1).unwrap();
    let decline = |last| Packet::new(DECLINE, last).naming_us().ia(&[address]);
    // Only by whose it is.
    assert!(desk.says(&decline(2)).contains("status 3"));
    expect![[r#"
        keep fd77::d6:e513:a3b9 00030001525400123401 7 Declined until 1600000
        send to Client
          reply
          1 00030001525400123401
          2 0001000130000000525400000001
          status 0 done
    "#]]
    .assert_eq(&desk.says(&decline(1)));
    let other = desk.lease(1).unwrap();
    assert_ne!(other, address);
    let wish = Packet::new(SOLICIT, 3).ia(&[address]);
    assert!(
        !desk
            .says(&wish)
            .contains(&format!("address {address} for 3600"))
    );
    desk.now = desk.now.plus(Millis::secs(600));
    assert!(
        desk.says(&wish)
            .contains(&format!("address {address} for 3600"))
    );
}

#[test]
fn what_is_not_given_is_refused_by_its_code() {
    let mut desk = Desk::new();
    let mut prefix = vec![0, 0, 0, 9];
    prefix.extend([0; 8]);
    let packet = Packet::new(SOLICIT, 1)
        .ia(&[])
        .option(4, &[0, 0, 0, 8])
        .option(25, &prefix);
    let text = desk.says(&packet);
    assert!(text.contains("25 ia 9 t1=0 t2=0\n    status 6"), "{text}");
    assert!(
        text.contains("3 ia 7 t1=1800 t2=2880\n    address"),
        "{text}"
    );
}

#[test]
fn two_associations_get_two_addresses() {
    let mut desk = Desk::new();
    let packet = Packet::new(REQUEST, 1).naming_us().ia(&[]).numbered(8, &[]);
    let text = desk.says(&packet);
    let kept: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("keep ")?.split(' ').next())
        .collect();
    assert!(kept.len() == 2 && kept[0] != kept[1], "{text}");
}

#[test]
fn another_servers_client_is_left_alone() {
    let mut desk = Desk::new();
    let packet = Packet::new(REQUEST, 1).option(2, &[0, 3, 0, 1, 9, 9, 9, 9, 9, 9]);
    assert_eq!(
        desk.says(&packet.ia(&[])),
        "dropped: the client chose another server\n"
    );
    let packet = Packet::nobody(INFORMATION).option(2, b"other");
    assert_eq!(
        desk.says(&packet),
        "dropped: the client chose another server\n"
    );
}

/// RFC 8415 section 18.4: we send nobody the option Server Unicast, so nobody may ask one address of ours.
#[test]
fn who_asks_one_address_of_ours_is_told_to_ask_the_group_and_nothing_else_happens() {
    let mut desk = Desk::new();
    let address = desk.lease(1).unwrap();
    let answer = BootAnswer::MaintenanceOs;
    let held = |desk: &Desk| desk.server.leases().cloned().collect::<Vec<_>>();
    let before = held(&desk);
    for (message, named) in [
        (REQUEST, true),
        (RENEW, true),
        (RELEASE, true),
        (DECLINE, true),
        (REBIND, false),
        (CONFIRM, false),
        (SOLICIT, false),
        (INFORMATION, false),
    ] {
        let packet = Packet::new(message, 1);
        let packet = if named { packet.naming_us() } else { packet };
        let packet = if message == INFORMATION {
            packet
        } else {
            packet.ia(&[address])
        };
        for to in [ip("fd77::1"), ip("fe80::1")] {
            let told = show(&desk.ask_at(to, &packet, &answer));
            let kind = if message == SOLICIT {
                "advertise"
            } else {
                "reply"
            };
            let expected = format!(
                "send to Client\n  {kind}\n  1 00030001525400123401\n  2 0001000130000000525400000001\n  status 5 ask the group ff02::1:2, not this address\n"
            );
            assert_eq!(told, expected, "message {message} to {to}");
        }
        assert_eq!(held(&desk), before, "message {message}");
        // A relay agent passes on by unicast.
        let relayed = packet.relayed(0, ip("fd77::1"), LINK_LOCAL);
        if message == CONFIRM {
            let told = show(&desk.ask_at(ip("fd77::1"), &relayed, &answer));
            assert!(told.contains("status 0 done"), "{told}");
        }
    }
    // Another server's is left to that one.
    let other = Packet::new(RENEW, 1).option(2, b"another").ia(&[address]);
    let told = show(&desk.ask_at(ip("fd77::1"), &other, &answer));
    assert_eq!(told, "dropped: the client chose another server\n");
}
