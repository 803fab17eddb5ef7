// SPDX-License-Identifier: Apache-2.0
//! Several pools: each fault is named with its field, and what changes is told.

use super::{TWO_RACKS, faults, site};
use expect_test::expect;
use groundstate_api::Millis;
use groundstate_api::site::Site;
use prov_core::{Fleet, site_diff};

/// Two pools in a subnet behind the relay of rack r1, and one in the provisioning network.
const POOLS: &str = r#"
[[network.pool]]
name = "row-a"
network = "10.40.1.0/24"
first = "10.40.1.100"
last = "10.40.1.149"
rack = "r1"
router = "10.40.1.1"
dns = ["10.40.0.53"]
lease_secs = 600
[[network.pool.reservation]]
mac = "52:54:00:00:01:01"
address = "10.40.1.10"
host_name = "r1-01.example.net"
[[network.pool]]
name = "row-a-more"
network = "10.40.1.0/24"
first = "10.40.1.200"
last = "10.40.1.220"
[[network.pool]]
name = "here"
first = "10.20.130.1"
last = "10.20.130.9"

[policy]
"#;

fn text() -> String {
    let text = TWO_RACKS.replacen("[policy]\n", POOLS, 1);
    text.replacen("relay = \"10.20.1.1\"", "relay = \"10.40.1.1\"", 1)
}

fn pooled() -> Site {
    toml::from_str(&text()).unwrap()
}

#[test]
fn several_pools_are_in_order_and_are_written_as_they_are_read() {
    let site = pooled();
    assert_eq!(faults(&site), Vec::<String>::new());
    assert_eq!(site.network.pools.len(), 3);
    let again: Site = toml::from_str(&toml::to_string(&site).unwrap()).unwrap();
    assert_eq!(again, site);
    // A site without any is written as it always was: no key that an older reader refuses.
    let plain = serde_json::to_string(&super::site()).unwrap();
    assert!(!plain.contains("\"pool\""));
}

/// What is replaced, by what, and what is said then: all of it.
const ROWS: &[(&str, &str, &str)] = &[
    (
        "name = \"here\"",
        "name = \"row-a\"",
        "network.pool[2].name: row-a is taken by network.pool[0]",
    ),
    (
        "name = \"here\"",
        "name = \"Here!\"",
        "network.pool[2].name: \"Here!\" should be 1 to 63 of a-z, 0-9 and '-'",
    ),
    (
        "last = \"10.20.130.9\"",
        "last = \"10.20.130.0\"",
        "network.pool[2].last: 10.20.130.0 should not be below first, 10.20.130.1: the pool is empty",
    ),
    (
        "first = \"10.40.1.200\"",
        "first = \"10.40.2.200\"",
        "network.pool[1].first: 10.40.2.200 should be a host address inside 10.40.1.0/24|network.pool[1].last: 10.40.1.220 should not be below first, 10.40.2.200: the pool is empty",
    ),
    (
        "last = \"10.40.1.220\"",
        "last = \"10.40.1.255\"",
        "network.pool[1].last: 10.40.1.255 should be a host address inside 10.40.1.0/24",
    ),
    (
        "first = \"10.40.1.200\"",
        "first = \"10.40.1.149\"",
        "network.pool[1].first: 10.40.1.149 to 10.40.1.149 is in network.pool[0], too",
    ),
    (
        "first = \"10.20.130.1\"",
        "first = \"10.20.120.250\"",
        "network.pool[2].first: 10.20.120.250 to 10.20.120.254 is in network.pool_first to pool_last, too",
    ),
    (
        "first = \"10.40.1.100\"",
        "first = \"10.40.1.1\"",
        "network.pool[0].first: the pool should not hold the router, 10.40.1.1",
    ),
    (
        "first = \"10.20.130.1\"\nlast = \"10.20.130.9\"",
        "first = \"10.20.0.1\"\nlast = \"10.20.0.9\"",
        "network.pool[2].first: the pool should not hold our own address, 10.20.0.1",
    ),
    (
        "first = \"10.20.130.1\"\nlast = \"10.20.130.9\"",
        "first = \"10.20.0.250\"\nlast = \"10.20.0.254\"",
        "network.pool[2].first: the pool should not hold the router, 10.20.0.254",
    ),
    (
        "relay = \"10.40.1.1\"",
        "relay = \"10.40.1.120\"",
        "network.pool[0].first: the pool should not hold the relay of rack r1, 10.40.1.120",
    ),
    (
        "router = \"10.40.1.1\"\n",
        "",
        "network.pool[0].router: should be there: machines of 10.40.1.0/24 reach the provisioner through a router",
    ),
    (
        "router = \"10.40.1.1\"",
        "router = \"10.40.2.1\"",
        "network.pool[0].router: 10.40.2.1 should be a host address inside 10.40.1.0/24",
    ),
    (
        "name = \"here\"",
        "name = \"here\"\nrouter = \"10.20.0.254\"",
        "network.pool[2].router: goes with a network of the pool's own; here the provisioning network's holds",
    ),
    (
        "name = \"here\"",
        "name = \"here\"\nnetwork = \"10.20.0.0/16\"",
        "network.pool[2].network: 10.20.0.0/16 is the provisioning network: leave the key out",
    ),
    (
        "name = \"here\"",
        "name = \"here\"\nnetwork = \"10.20.130.0/24\"",
        "network.pool[2].network: 10.20.130.0/24 shares addresses with the subnet 10.20.0.0/16",
    ),
    (
        "name = \"here\"",
        "name = \"here\"\nnetwork = \"10.20.130.1/24\"",
        "network.pool[2].network: \"10.20.130.1/24\" should be a subnet with a prefix of 8 to 30, as 10.20.1.0/24",
    ),
    (
        "name = \"row-a-more\"",
        "name = \"row-a-more\"\nrouter = \"10.40.1.2\"",
        "network.pool[1].router: differs from network.pool[0]: both are of one subnet",
    ),
    (
        "name = \"row-a-more\"",
        "name = \"row-a-more\"\nlease_secs = 700",
        "network.pool[1].lease_secs: differs from network.pool[0]: both are of one subnet",
    ),
    (
        "lease_secs = 600",
        "lease_secs = 299",
        "network.pool[0].lease_secs: 299 should be 300 to 604800",
    ),
    (
        "[\"10.40.0.53\"]",
        "[\"1.1.1.1\",\"1.1.1.2\",\"1.1.1.3\",\"1.1.1.4\",\"1.1.1.5\",\"1.1.1.6\",\"1.1.1.7\",\"1.1.1.8\",\"1.1.1.9\"]",
        "network.pool[0].dns: 9; 8 is the most",
    ),
    (
        "rack = \"r1\"\nrouter",
        "rack = \"r9\"\nrouter",
        "network.pool[0].rack: there is no rack \"r9\"; there are: r1, r2",
    ),
    (
        "rack = \"r1\"\nrouter",
        "rack = \"r2\"\nrouter",
        "network.pool[0].rack: rack r2 has no relay: its machines' questions would not say that they come from 10.40.1.0/24",
    ),
    (
        "relay = \"10.40.1.1\"",
        "relay = \"10.20.1.1\"",
        "network.pool[0].rack: the relay of rack r1, 10.20.1.1, is not in 10.40.1.0/24",
    ),
    (
        "relay = \"10.40.1.1\"",
        "relay = \"fd00::1\"",
        "network.pool[0].rack: the relay of rack r1, fd00::1, is not in 10.40.1.0/24",
    ),
    (
        "address = \"10.40.1.10\"",
        "address = \"10.40.1.1\"",
        "network.pool[0].reservation[0].address: 10.40.1.1 is the router",
    ),
    (
        "address = \"10.40.1.10\"",
        "address = \"10.20.0.1\"",
        "network.pool[0].reservation[0].address: 10.20.0.1 should be a host address inside 10.40.1.0/24",
    ),
    (
        "mac = \"52:54:00:00:01:01\"\naddress",
        "mac = \"ff:ff:ff:ff:ff:ff\"\naddress",
        "network.pool[0].reservation[0].mac: ff:ff:ff:ff:ff:ff should be the address of one interface",
    ),
    (
        "host_name = \"r1-01.example.net\"",
        "host_name = \"r1 01\"",
        "network.pool[0].reservation[0].host_name: \"r1 01\" should be 1 to 253 of A-Z, a-z, 0-9 and - _ .",
    ),
    (
        "host_name = \"r1-01.example.net\"",
        "[[network.pool.reservation]]\nmac = \"52:54:00:00:01:01\"\naddress = \"10.40.1.11\"",
        "network.pool[0].reservation[1].mac: 52:54:00:00:01:01 has network.pool[0].reservation[0] in the same subnet",
    ),
    (
        "host_name = \"r1-01.example.net\"",
        "[[network.pool.reservation]]\nmac = \"52:54:00:00:01:02\"\naddress = \"10.40.1.10\"",
        "network.pool[0].reservation[1].address: 10.40.1.10 is reserved by network.pool[0].reservation[0]",
    ),
    (
        "address = \"10.21.1.2\"",
        "address = \"10.40.1.120\"",
        "node[1].bmc.address: 10.40.1.120 should not be in the pool of leases row-a",
    ),
];

#[test]
fn every_fault_of_a_pool_is_named_and_nothing_else_is() {
    for (from, to, wants) in ROWS {
        let text = text();
        assert!(text.contains(from), "{from}");
        let site = toml::from_str(&text.replacen(from, to, 1));
        let site = site.unwrap_or_else(|error| panic!("{to}: {error}"));
        let said = faults(&site);
        let wants: Vec<&str> = wants.split('|').collect();
        assert_eq!(said, wants, "{from} -> {to}");
    }
}

#[test]
fn pools_that_the_boot_service_could_not_hold_are_too_large() {
    let mut site = site();
    site.network.prefix = 8;
    site.network.address = "10.0.0.1".parse().unwrap();
    site.network.pool_first = "10.128.0.0".parse().unwrap();
    site.network.pool_last = "10.143.255.255".parse().unwrap();
    site.nodes.clear();
    site.access.clear();
    assert_eq!(
        faults(&site),
        Vec::<String>::new(),
        "1,048,576 are just as many"
    );
    site.network.pool_last = "10.144.0.0".parse().unwrap();
    let too_many = "network.pool_last: 1048577 addresses; 1048576 is the most";
    assert_eq!(faults(&site), [too_many]);
    site.network.pool_last = "10.143.255.255".parse().unwrap();
    let mut pool = pooled().network.pools.remove(2);
    pool.first = "10.200.0.1".parse().unwrap();
    pool.last = pool.first;
    site.network.pools = vec![pool];
    assert_eq!(
        faults(&site),
        ["network.pool[0].last: 1048577 addresses with the pools before; 1048576 is the most"]
    );
    site.network.pools.clear();
    site.network.dns = vec!["10.0.0.53".parse().unwrap(); 9];
    assert_eq!(faults(&site), ["network.dns: 9; 8 is the most"]);
}

#[test]
fn what_changes_of_pools_is_told_by_their_names() {
    let fleet = Fleet::new(&site(), Millis(0));
    let lines = |before: &Site, after: &Site| -> String {
        let plan = site_diff::plan(Some((1, before)), after, Some(&fleet)).unwrap();
        assert!(plan.changes.iter().all(|change| !change.restart));
        let lines = plan.changes.iter().map(|change| {
            let keys: Vec<String> = change.keys.iter().map(|key| key.words()).collect();
            format!("{} [{}]", change.line(), keys.join(" | "))
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let mut after = pooled();
    after.racks = site().racks;
    expect![[r#"
        + pool here [first (nothing) -> 10.20.130.1 | last (nothing) -> 10.20.130.9 | name (nothing) -> here]
        + pool row-a [dns (nothing) -> 10.40.0.53 | first (nothing) -> 10.40.1.100 | last (nothing) -> 10.40.1.149 | lease_secs (nothing) -> 600 | name (nothing) -> row-a | network (nothing) -> 10.40.1.0/24 | rack (nothing) -> r1 | reservation[52:54:00:00:01:01].address (nothing) -> 10.40.1.10 | reservation[52:54:00:00:01:01].host_name (nothing) -> r1-01.example.net | reservation[52:54:00:00:01:01].mac (nothing) -> 52:54:00:00:01:01 | router (nothing) -> 10.40.1.1]
        + pool row-a-more [first (nothing) -> 10.40.1.200 | last (nothing) -> 10.40.1.220 | name (nothing) -> row-a-more | network (nothing) -> 10.40.1.0/24]"#]].assert_eq(&lines(&site(), &after));
    let before = after.clone();
    after.network.pools[0].last = "10.40.1.160".parse().unwrap();
    after.network.pools[0].reservations[0].address = "10.40.1.12".parse().unwrap();
    after.network.pools.remove(2);
    expect![[r#"
        - pool here [first 10.20.130.1 -> (nothing) | last 10.20.130.9 -> (nothing) | name here -> (nothing)]
        ~ pool row-a: last 10.40.1.149 -> 10.40.1.160, reservation[52:54:00:00:01:01].address 10.40.1.10 -> 10.40.1.12 [last 10.40.1.149 -> 10.40.1.160 | reservation[52:54:00:00:01:01].address 10.40.1.10 -> 10.40.1.12]"#]]
    .assert_eq(&lines(&before, &after));
}
