// SPDX-License-Identifier: Apache-2.0
//! A client that names addresses of another link: what each message is told (RFC 8415 section 18.3).

use crate::packet::{
    CONFIRM, DECLINE, Desk, LINK_LOCAL, Packet, REBIND, RELEASE, RENEW, REQUEST, SOLICIT, config,
    given, ip, show,
};
use expect_test::expect;
use groundstate_api::boot::BootAnswer;
use groundstate_api::boot_session::BootStep;
use pxe_core::dhcp6::{Action6, Dhcp6Config, REPLY_MAX, Subnet6};
use std::fmt::Write as _;

/// fd77::/64 on the wire, fd78::/64 behind a relay agent.
fn two_links() -> Desk {
    let subnets = vec![
        Subnet6::around(ip("fd77::1")),
        Subnet6::around(ip("fd78::1")),
    ];
    let config = Dhcp6Config {
        subnets,
        ..config()
    };
    Desk::with(config, Vec::new())
}

/// As the client of a relay agent on the second link sends it.
fn behind(packet: &Packet) -> Packet {
    packet.relayed(0, ip("fd78::9"), LINK_LOCAL)
}

/// What is kept, given, ended and refused.
fn short(text: &str) -> String {
    let said = text.lines().filter_map(|line| {
        let line = line.trim();
        let kept = line
            .strip_prefix("keep ")
            .and_then(|rest| rest.split(' ').next());
        match kept {
            Some(address) => Some(format!("keep {address}")),
            None => ["address ", "status ", "dropped"]
                .iter()
                .any(|word| line.starts_with(word))
                .then(|| line.to_owned()),
        }
    });
    said.collect::<Vec<_>>().join("; ")
}

fn asks(message: u8) -> Packet {
    let packet = Packet::new(message, 1);
    match message {
        SOLICIT | CONFIRM | REBIND => packet,
        _ => packet.naming_us(),
    }
}

const MESSAGES: [(&str, u8); 7] = [
    ("solicit", SOLICIT),
    ("request", REQUEST),
    ("confirm", CONFIRM),
    ("renew", RENEW),
    ("rebind", REBIND),
    ("release", RELEASE),
    ("decline", DECLINE),
];

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn what_each_message_is_told_of_addresses_that_are_not_of_its_link() {
    let (here, there, nowhere) = ("fd77::d6:0:5", "fd78::d6:0:5", "fd99::5");
    let named: [(&str, &[&str]); 5] = [
        ("of this link", &[here]),
        ("of our other link", &[there]),
        ("of no link of ours", &[nowhere]),
        ("of both links", &[there, here]),
        ("none", &[]),
    ];
    let mut text = String::new();
    for (name, message) in MESSAGES {
        writeln!(text, "{name}").unwrap();
        for (says, addresses) in named {
            let addresses: Vec<_> = addresses.iter().map(|address| ip(address)).collect();
            let told = two_links().says(&asks(message).ia(&addresses));
            writeln!(text, "  {says:<19} {}", short(&told)).unwrap();
        }
        let relayed = behind(&asks(message).ia(&[ip(here)]));
        let told = two_links().says(&relayed);
        writeln!(text, "  {:<19} {}", "ours, behind relay", short(&told)).unwrap();
    }
    expect![[r#"
        solicit
          of this link        address fd77::d6:0:5 for 3600 s
          of our other link   address fd77::d6:e513:a3b9 for 3600 s; address fd78::d6:0:5 for 0 s
          of no link of ours  address fd77::d6:e513:a3b9 for 3600 s; address fd99::5 for 0 s
          of both links       address fd77::d6:0:5 for 3600 s; address fd78::d6:0:5 for 0 s
          none                address fd77::d6:e513:a3b9 for 3600 s
          ours, behind relay  address fd78::d6:e513:a3b9 for 3600 s; address fd77::d6:0:5 for 0 s
        request
          of this link        keep fd77::d6:0:5; address fd77::d6:0:5 for 3600 s
          of our other link   status 4 this address does not belong to this link
          of no link of ours  status 4 this address does not belong to this link
          of both links       status 4 this address does not belong to this link
          none                keep fd77::d6:e513:a3b9; address fd77::d6:e513:a3b9 for 3600 s
          ours, behind relay  status 4 this address does not belong to this link
        confirm
          of this link        status 0 done
          of our other link   status 4 this address does not belong to this link
          of no link of ours  status 4 this address does not belong to this link
          of both links       status 4 this address does not belong to this link
          none                dropped: the message names no address
          ours, behind relay  status 4 this address does not belong to this link
        renew
          of this link        keep fd77::d6:0:5; address fd77::d6:0:5 for 3600 s
          of our other link   address fd78::d6:0:5 for 0 s
          of no link of ours  address fd99::5 for 0 s
          of both links       keep fd77::d6:0:5; address fd77::d6:0:5 for 3600 s; address fd78::d6:0:5 for 0 s
          none                keep fd77::d6:e513:a3b9; address fd77::d6:e513:a3b9 for 3600 s
          ours, behind relay  address fd77::d6:0:5 for 0 s
        rebind
          of this link        keep fd77::d6:0:5; address fd77::d6:0:5 for 3600 s
          of our other link   address fd78::d6:0:5 for 0 s
          of no link of ours  address fd99::5 for 0 s
          of both links       keep fd77::d6:0:5; address fd77::d6:0:5 for 3600 s; address fd78::d6:0:5 for 0 s
          none                keep fd77::d6:e513:a3b9; address fd77::d6:e513:a3b9 for 3600 s
          ours, behind relay  address fd77::d6:0:5 for 0 s
        release
          of this link        status 0 done; status 3 this is not leased to this client
          of our other link   status 0 done; status 3 this is not leased to this client
          of no link of ours  status 0 done; status 3 this is not leased to this client
          of both links       status 0 done; status 3 this is not leased to this client
          none                status 0 done; status 3 this is not leased to this client
          ours, behind relay  status 0 done; status 3 this is not leased to this client
        decline
          of this link        status 0 done; status 3 this is not leased to this client
          of our other link   status 0 done; status 3 this is not leased to this client
          of no link of ours  status 0 done; status 3 this is not leased to this client
          of both links       status 0 done; status 3 this is not leased to this client
          none                status 0 done; status 3 this is not leased to this client
          ours, behind relay  status 0 done; status 3 this is not leased to this client
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_machine_that_was_moved_to_another_link_gets_an_address_there() {
    let mut desk = two_links();
    let old = desk.lease(1).unwrap();
    // It does not know yet: what it has ends, and it is given one of this link with the same answer.
    let told = desk.says(&behind(&asks(REBIND).ia(&[old])));
    let expected = "keep fd78::d6:e513:a3b9; address fd78::d6:e513:a3b9 for 3600 s; address fd77::d6:e513:a3b9 for 0 s";
    assert_eq!(short(&told), expected);
    assert_eq!(desk.server.of_address(old), None);
    // It begins again with the address that it had: first it hears why not, then it gets another.
    let mut desk = two_links();
    let old = desk.lease(1).unwrap();
    let told = desk.says(&behind(&asks(REQUEST).ia(&[old])));
    assert_eq!(
        short(&told),
        "status 4 this address does not belong to this link"
    );
    assert!(desk.server.of_address(old).is_some(), "nothing was taken");
    let told = desk.ask(&behind(&asks(REQUEST).ia(&[])), &BootAnswer::Nothing);
    assert_eq!(given(&told), Some(ip("fd78::d6:e513:a3b9")));
}

#[test]
fn one_association_of_another_link_does_not_cost_the_other_its_address() {
    let packet = asks(REQUEST)
        .ia(&[ip("fd78::d6:0:5")])
        .numbered(8, &[ip("fd77::d6:0:6")]);
    assert_eq!(
        short(&two_links().says(&packet)),
        "keep fd77::d6:0:6; status 4 this address does not belong to this link; address fd77::d6:0:6 for 3600 s"
    );
}

#[test]
fn why_a_machine_was_told_no_is_told_of() {
    let denied = |packet: &Packet| {
        let out = two_links().ask(packet, &BootAnswer::Nothing);
        out.into_iter().find_map(|action| match action {
            Action6::Step {
                step: BootStep::Denied { why, .. },
                ..
            } => Some(why),
            _ => None,
        })
    };
    let off = "this address does not belong to this link";
    let stray = [ip("fd99::5")];
    for message in [REQUEST, RENEW, REBIND] {
        assert_eq!(denied(&asks(message).ia(&stray)).as_deref(), Some(off));
    }
    assert_eq!(denied(&asks(REQUEST).ia(&[])), None);
    let temporary = asks(REQUEST).option(4, &[0, 0, 0, 8]);
    assert_eq!(denied(&temporary).as_deref(), Some("no address is free"));
}

/// The most that one message may name: eight associations of eight addresses.
#[test]
fn whatever_is_named_the_answer_stays_within_its_bound() {
    for (name, message) in MESSAGES {
        for address in ["fd77::d6:0:5", "fd99::5"] {
            let packet = (0..8).fold(asks(message), |packet, n| {
                packet.numbered(n, &[ip(address); 8])
            });
            let out = two_links().ask(&packet, &BootAnswer::MaintenanceOs);
            let sent: Vec<usize> = out
                .iter()
                .filter_map(|action| match action {
                    Action6::Send { bytes, .. } => Some(bytes.len()),
                    _ => None,
                })
                .collect();
            let what = || format!("{name} {address}: {}", show(&out));
            assert!(sent.len() <= 1, "{}", what());
            let kept = out.iter().any(|action| matches!(action, Action6::Keep(_)));
            assert!(!kept || sent.len() == 1, "kept and not told: {}", what());
            for length in sent {
                assert!(length <= REPLY_MAX.min(packet.0.len() + 200), "{}", what());
            }
        }
    }
}
