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
    let site = site(counts);
    check(&site).iter().map(ToString::to_string).collect()
}

fn site(counts: &[u16]) -> Site {
    let vhd = |(index, count): (usize, &u16)| VhdPolicy {
        name: format!("rule-{index}"),
        size: "64MiB".into(),
        count: *count,
        ..VhdPolicy::default()
    };
    let at = |last| core::net::Ipv4Addr::new(10, 0, 0, last);
    let network = Network::new(at(1), 24, (at(100), at(200)));
    let policy = Policy {
        vhds: counts.iter().enumerate().map(vhd).collect(),
        ..Policy::new("debian", HandOver::Kexec)
    };
    Site::new("lab", network, policy)
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

#[test]
fn what_is_said_of_disks_is_checked_by_its_path() {
    let text = r#"
        name = "lab"
        [network]
        address = "10.0.0.1"
        prefix = 24
        pool_first = "10.0.0.100"
        pool_last = "10.0.0.200"
        [policy]
        image = "debian"
        hand_over = "kexec"
        [policy.disks]
        root_size = "much"
        [[policy.disks.rule]]
        role = "vhd"
        size_min = "2TiB"
        size_max = "1TiB"
        [[policy.disks.rule]]
        role = "spare"
        slot = ["bay-1", ""]
        [[policy.vhd]]
        name = "a"
        fill = true
        [[policy.vhd]]
        name = "b"
        size = "3TiB"
        fill = true
        reserve = "10GiB"
        [[policy.vhd]]
        name = "c"
        sizes = ["64GiB", "65TiB"]
        count = 1
        [[policy.vhd]]
        name = "d"
        size = "1GiB"
        count = 1
        reserve = "1GB"
        [[node]]
        name = "node-1"
        mac = "52:54:00:00:00:01"
        uuid = "564d1234-5678-9abc-def0-123456789abc"
        serial = "GS1"
        [[node.disks.rule]]
        role = "data"
        size_max = "1 TB"
        [[node.vhd]]
        name = "x"
    "#;
    let site: Site = toml::from_str(text).unwrap();
    let faults: Vec<String> = check(&site).iter().map(ToString::to_string).collect();
    expect_test::expect![[r#"
        policy.disks.root_size: "much" should be a number and KiB, MiB, GiB or TiB, for example 64GiB
        policy.disks.rule[0].size_max: 1 TiB should not be below size_min, 2 TiB
        policy.disks.rule[1].slot: an empty text matches no disk: name one, or take the key out
        policy.vhd[0].fill: fill goes with size (as many as fit) or with count (as large as fit)
        policy.vhd[2].sizes[1]: 65 TiB should be 3 MiB to 64 TiB
        policy.vhd[2].sizes: sizes stands in place of size, count and fill
        policy.vhd[3].reserve: "1GB" should be a number and KiB, MiB, GiB or TiB, for example 64GiB
        policy.vhd[3].reserve: a reserve goes with fill = true
        node[0].disks.rule[0].size_max: "1 TB" should be a number and KiB, MiB, GiB or TiB, for example 64GiB
        node[0].vhd[0].size: "" should be a number and KiB, MiB, GiB or TiB, for example 64GiB
        node[0].vhd[0].count: 0 should be 1 to 256"#]].assert_eq(&faults.join("\n"));
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn what_is_said_of_booting_is_checked_by_its_path() {
    let good = r#"
        name = "lab"
        [network]
        address = "10.0.0.1"
        prefix = 24
        pool_first = "10.0.0.100"
        pool_last = "10.0.0.200"
        [policy]
        image = "debian"
        hand_over = "kexec"
        [boot]
        local_disk = "usual"
        [[boot.model]]
        model = "PowerEdge R6*"
        local_disk = "sanboot 0x80"
        boot = "rescue"
        [[boot.recipe]]
        name = "rescue"
        kernel = "rescue/vmlinuz"
        initrd = ["rescue/initrd.img"]
        command_line = "console=ttyS0,115200"
        [[boot.recipe]]
        name = "own"
        file = "own.efi"
        [[node]]
        name = "node-1"
        mac = "52:54:00:00:00:01"
        uuid = "564d1234-5678-9abc-def0-123456789abc"
        serial = "GS1"
        boot = "nothing"
        local_disk = "exit"
    "#;
    let read = |text: &str| toml::from_str::<Site>(text).map(|site| check(&site));
    assert_eq!(read(good).unwrap(), []);
    for (from, to, wants) in [
        (
            "boot = \"nothing\"",
            "boot = \"resque\"",
            "node[0].boot: there is no recipe \"resque\"; there are: rescue, own, nothing, local-disk",
        ),
        (
            "boot = \"rescue\"",
            "boot = \"x\"",
            "boot.model[0].boot: there is no recipe \"x\"",
        ),
        ("PowerEdge R6*", " ", "boot.model[0].model"),
        (
            "name = \"own\"",
            "name = \"rescue\"",
            "boot.recipe[1].name: \"rescue\" is taken by boot.recipe[0]",
        ),
        (
            "name = \"own\"",
            "name = \"nothing\"",
            "boot.recipe[1].name: \"nothing\" has a meaning of its own",
        ),
        ("name = \"own\"", "name = \"Own!\"", "boot.recipe[1].name"),
        (
            "own.efi",
            "../own.efi",
            "boot.recipe[1].file: \"../own.efi\" should be a relative name",
        ),
        ("own.efi", "/own.efi", "boot.recipe[1].file"),
        ("own.efi", "own\\n.efi", "boot.recipe[1].file"),
        (
            "file = \"own.efi\"",
            "",
            "boot.recipe[1]: a recipe has either a file or a kernel",
        ),
        (
            "file = \"own.efi\"",
            "file = \"a\"\ncommand_line = \"x\"",
            "boot.recipe[1].file: initrd and command_line go with a kernel",
        ),
        (
            "[\"rescue/initrd.img\"]",
            "[\"a/x\", \"b/x\"]",
            "boot.recipe[0].initrd[1]: \"b/x\" ends as initrd[0] does",
        ),
        (
            "console=ttyS0,115200",
            "console=${net0/mac}",
            "boot.recipe[0].command_line",
        ),
        (
            "console=ttyS0,115200",
            "a\\nb",
            "boot.recipe[0].command_line",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        let faults = read(&good.replacen(from, to, 1)).unwrap();
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(
            said.iter().any(|fault| fault.contains(wants)),
            "{from} -> {to}: {said:?}"
        );
    }
    for (from, to) in [
        ("local_disk = \"exit\"", "local_disk = \"disk\""),
        (
            "[[boot.recipe]]\n        name = \"own\"",
            "[[boot.recipe]]\n        kernal = 1",
        ),
        ("local_disk = \"usual\"", "localdisk = 1"),
    ] {
        assert!(read(&good.replacen(from, to, 1)).is_err(), "{from} -> {to}");
    }
}

#[test]
fn an_image_is_a_name_or_a_name_and_a_channel() {
    let faults = |image: &str, trust_root: Option<&str>| -> Vec<String> {
        let mut site = site(&[1]);
        site.policy.image = image.into();
        site.policy.trust_root = trust_root.map(Into::into);
        let paths = check(&site).into_iter().map(|fault| fault.path);
        paths.collect()
    };
    for image in ["debian", "debian-host@stable", "a.b_c-1@x"] {
        assert!(faults(image, None).is_empty(), "{image}");
    }
    for image in [
        "",
        "@stable",
        "debian@",
        "a@b@c",
        "Debian",
        "../x",
        "debian stable",
    ] {
        assert_eq!(faults(image, None), ["policy.image"], "{image}");
    }
    assert!(faults("debian@stable", Some("root.json")).is_empty());
    assert_eq!(faults("debian@stable", Some(" ")), ["policy.trust_root"]);
    assert_eq!(faults("debian", Some("root.json")), ["policy.trust_root"]);
}

#[test]
fn racks_name_nodes_of_the_site_once_and_networks_that_are_some() {
    use groundstate_api::fan_out::Rack;
    let rack = |name: &str, nodes: &[&str], network: Option<&str>| Rack {
        name: name.to_owned(),
        nodes: nodes.iter().map(|node| node.parse().unwrap()).collect(),
        network: network.map(str::to_owned),
    };
    let paths = |site: &Site| -> Vec<String> {
        let faults = check(site).into_iter();
        faults.map(|fault| fault.path).collect()
    };
    let mut site = site(&[1]);
    site.images.peer_rate = Some("100MiB".to_owned());
    site.images.racks = vec![rack("b", &[], Some("10.4.0.0/24"))];
    assert_eq!(paths(&site), Vec::<String>::new());
    site.images.peer_rate = Some("fast".to_owned());
    site.images.racks = vec![
        rack("a", &["nobody"], None),
        rack("a", &["nobody"], Some("10.4.0.0/40")),
        rack("", &[], None),
    ];
    assert_eq!(
        paths(&site),
        [
            "images.peer_rate",
            "images.rack[0].nodes[0]",
            "images.rack[1].name",
            "images.rack[1].network",
            "images.rack[1].nodes[0]",
            "images.rack[1].nodes[0]",
            "images.rack[2].name",
            "images.rack[2]",
        ]
    );
}
