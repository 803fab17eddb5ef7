// SPDX-License-Identifier: Apache-2.0
//! Network interfaces.

use super::lines;
use crate::machine::*;

pub(super) fn with_nic(change: impl FnOnce(&mut NicFacts)) -> MachineFacts {
    let mut nic = NicFacts {
        name: "eno1".into(),
        driver: "igb".into(),
        up: true,
        link: true,
        speed_mbps: Some(1_000),
        duplex: Duplex::Full,
        carrier_changes: Some(2),
        ..NicFacts::default()
    };
    change(&mut nic);
    MachineFacts {
        nics: vec![nic],
        ..MachineFacts::default()
    }
}

#[test]
fn network_interfaces() {
    assert_eq!(lines(&with_nic(|_| {})), [""; 0]);
    let counter = |name: &str, value: u64, packets: u64| {
        with_nic(|n| {
            n.counters.extend([
                (name.to_string(), value),
                ("rx_packets".to_string(), packets),
            ])
        })
    };
    for (facts, wanted) in [
        (
            with_nic(|n| n.link = false),
            "ok eno1 nic-no-link: it has no link",
        ),
        (
            with_nic(|n| n.speed_mbps = Some(100)),
            "warn eno1 nic-slow-link: its link runs with 100 Mb/s only",
        ),
        (
            with_nic(|n| n.duplex = Duplex::Half),
            "warn eno1 nic-half-duplex: its link is half duplex",
        ),
        (
            counter("rx_crc_errors", 10, 1_000),
            "warn eno1 nic-crc-errors: 10 frames came in damaged since boot",
        ),
        (
            counter("tx_carrier_errors", 12, 0),
            "warn eno1 nic-carrier-errors: 12 frames could not be sent since boot because the link was lost",
        ),
        (
            with_nic(|n| n.carrier_changes = Some(51)),
            "warn eno1 nic-link-flaps: its link went up or down 51 times since boot",
        ),
    ] {
        assert_eq!(lines(&facts), [wanted]);
    }
    // Ten bad frames in a hundred million are what Ethernet promises; a virtual port says any speed.
    assert_eq!(lines(&counter("rx_crc_errors", 10, 200_000_000)), [""; 0]);
    for driver in ["virtio_net", "cdc_ether"] {
        let inside = with_nic(|n| (n.driver, n.speed_mbps) = (driver.into(), Some(10)));
        assert_eq!(lines(&inside), [""; 0]);
    }
}
