// SPDX-License-Identifier: Apache-2.0
//! Several pools as TOML and as XML, and the lines of what is wrong with them.

use super::super::file::{of_toml, of_xml};
use super::write;

const POOLS: &str = r#"name = "lab"
[network]
address = "10.77.0.1"
prefix = 24
pool_first = "10.77.0.100"
pool_last = "10.77.0.200"
[[network.pool]]
name = "far"
network = "10.78.0.0/24"
first = "10.78.0.100"
last = "10.78.0.109"
router = "10.78.0.1"
dns = ["10.78.0.53", "10.78.0.54"]
lease_secs = 600
[[network.pool.reservation]]
mac = "52:54:00:00:00:07"
address = "10.78.0.7"
host_name = "seven"
[[network.pool]]
name = "more"
first = "10.77.0.210"
last = "10.77.0.219"
[policy]
image = "debian-host"
hand_over = "kexec"
"#;

#[test]
fn pools_are_the_same_there_and_back() {
    let site = of_toml(POOLS).unwrap();
    assert_eq!(site.network.pools.len(), 2);
    let xml = write(&site).unwrap();
    for wants in [
        "<Pool name=\"far\"",
        "leaseSecs=\"600\"",
        "<Reservation ",
        "hostName=\"seven\"",
    ] {
        assert!(xml.contains(wants), "{wants}: {xml}");
    }
    assert_eq!(of_xml(&xml).unwrap(), site);
    let again = toml::to_string_pretty(&site).unwrap();
    assert_eq!(of_toml(&again).unwrap(), site);
    // One pool stands for a list of one.
    let mut one = site;
    one.network.pools.truncate(1);
    assert_eq!(of_xml(&write(&one).unwrap()).unwrap(), one);
}

#[test]
fn what_is_wrong_with_a_pool_is_told_with_its_line() {
    for (from, to, wants) in [
        (
            "first = \"10.77.0.210\"",
            "first = \"10.77.0.150\"",
            "line 21: network.pool[1].first: 10.77.0.150 to 10.77.0.200 is in network.pool_first to pool_last, too",
        ),
        (
            "address = \"10.78.0.7\"",
            "address = \"10.79.0.7\"",
            "line 17: network.pool[0].reservation[0].address: 10.79.0.7 should be a host address inside 10.78.0.0/24",
        ),
        (
            "lease_secs = 600",
            "lease_sec = 600",
            "line 14: network.pool[0].lease_sec: there is no such key",
        ),
        (
            "first = \"10.78.0.100\"\n",
            "",
            "line 7: network.pool[0].first: should be there",
        ),
        (
            "router = \"10.78.0.1\"",
            "router = \"10.78.0\"",
            "line 12: network.pool[0].router: ",
        ),
    ] {
        assert!(POOLS.contains(from), "{from}");
        let said = of_toml(&POOLS.replacen(from, to, 1)).unwrap_err();
        assert!(
            said.len() == 1 && said[0].starts_with(wants),
            "{to}: {said:#?}"
        );
    }
}
