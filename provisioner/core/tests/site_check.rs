// SPDX-License-Identifier: Apache-2.0
//! What the planner would refuse is a fault of the site file.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

use groundstate_api::plan::HandOver;
use groundstate_api::site::{Network, Policy, Site, VhdPolicy};
use prov_core::site_check::check;

fn faults(counts: &[u16]) -> Vec<String> {
    let vhd = |(index, count): (usize, &u16)| VhdPolicy {
        name: format!("rule-{index}"),
        size: "64MiB".into(),
        count: *count,
    };
    let site = Site {
        name: "lab".into(),
        network: Network {
            address: "10.0.0.1".parse().unwrap(),
            prefix: 24,
            pool_first: "10.0.0.100".parse().unwrap(),
            pool_last: "10.0.0.200".parse().unwrap(),
            router: None,
            dns: vec![],
            lease_secs: 3_600,
            http_port: 80,
            https_port: 8443,
        },
        policy: Policy {
            image: "debian".into(),
            hand_over: HandOver::Kexec,
            closed: true,
            vhds: counts.iter().enumerate().map(vhd).collect(),
        },
        nodes: vec![],
    };
    check(&site).iter().map(ToString::to_string).collect()
}

#[test]
fn a_volume_has_at_most_256_vhds_over_all_rules() {
    assert_eq!(faults(&[256]), Vec::<String>::new());
    assert_eq!(faults(&[128, 128]), Vec::<String>::new());
    assert_eq!(
        faults(&[257]),
        ["policy.vhd[0].count: 257 should be 1 to 256"]
    );
    assert_eq!(
        faults(&[200, 57]),
        ["policy.vhd[1].count: 57 makes 257 VHDs on a volume with those before; 256 is the most"]
    );
}
