// SPDX-License-Identifier: Apache-2.0
//! What is written is read as the same site; what is no site is refused with its line.

use super::super::file::{of_toml, of_xml};
use super::{camel, pascal, snake, write};
use groundstate_api::site::Site;
use groundstate_api::site_parts::{BmcSite, Fixture, Rack, Slot};
use proptest::prelude::*;

const TWO_RACKS: &str = include_str!("../../../../core/tests/site/two_racks.toml");

/// Resources of a kind by name: XML keeps them by rack, and their order says nothing.
fn canonical(mut site: Site) -> Site {
    site.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    site.switches.sort_by(|a, b| a.name.cmp(&b.name));
    site.pdus.sort_by(|a, b| a.name.cmp(&b.name));
    site
}

fn there_and_back(site: &Site) -> Site {
    let toml = toml::to_string_pretty(site).unwrap();
    let from_toml = of_toml(&toml).unwrap();
    assert_eq!(&from_toml, site, "{toml}");
    let xml = write(&from_toml).unwrap();
    of_xml(&xml).unwrap_or_else(|faults| panic!("{faults:#?}\n{xml}"))
}

#[test]
fn names_turn_into_names_and_back() {
    for key in ["name", "pool_first", "data_on_os_disk", "bmc", "http_port"] {
        assert_eq!(snake(&camel(key)), key);
        assert_eq!(snake(&pascal(key)), key);
    }
    assert_eq!(
        (camel("pool_first"), pascal("pool_first")),
        ("poolFirst".into(), "PoolFirst".into())
    );
}

#[test]
fn two_racks_are_the_same_there_and_back() {
    let site = of_toml(TWO_RACKS).unwrap();
    assert_eq!(canonical(there_and_back(&site)), canonical(site.clone()));
    let xml = write(&site).unwrap();
    for wants in [
        "<Rack name=\"r1\"",
        "<Node name=\"r1-01\"",
        "<Slot ",
        "<Bmc ",
        "poolFirst=\"10.20.100.1\"",
        "<Dns>10.20.0.53</Dns>",
    ] {
        assert!(xml.contains(wants), "{wants}: {xml}");
    }
}

#[test]
fn files_of_hosts_keep_every_line_blank_and_dollar_sign() {
    let text = format!(
        "{}\n{}",
        TWO_RACKS.replacen("[healing]", CUSTOM, 1),
        "[[node]]\nname = \"own\"\nmac = \"52:54:00:00:0f:01\"\nuuid = \"564d1234-5678-9abc-def0-0000000f0001\"\nserial = \"OWN\"\n[[node.file]]\npath = \"/etc/issue\"\ntemplate = \"\\tI am ${node.name}\\r\\n\\n \"\n"
    );
    let site = of_toml(&text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(site.policy.files.len(), 2);
    assert_eq!(canonical(there_and_back(&site)), canonical(site.clone()));
}

const CUSTOM: &str = r##"
[[policy.file]]
path = "/etc/motd"
mode = "0640"
group = 4
content = """
Line one & <two>
	"three"  ${HOME} $${x}

"""
[[policy.file]]
path = "/boot/config.txt"
partition = 1
from = "files/config.txt"
sha256 = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
size = 5
[[policy.credential]]
name = "db.password"
from = "db-1"
[policy.nocloud]
user_data = { content = "#cloud-config\nusers: []\n" }
network_config = { template = "version: 2 # ${node.mac}\n" }
[policy.unattend]
content = "<unattend/>\n"
[healing]"##;

/// A text that a site may have, with what XML writes otherwise.
fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 .,;:_<>&\"'/()äß東-]{0,24}[a-z0-9>&\"']"
}

#[expect(clippy::too_many_lines, reason = "a site, part by part")]
fn any_site() -> impl Strategy<Value = Site> {
    let base = of_toml(TWO_RACKS).unwrap();
    let nodes = prop::collection::vec(
        (
            any::<Option<bool>>(),
            text(),
            any::<bool>(),
            0u16..3,
            text(),
        ),
        0..12,
    );
    let fixtures = prop::collection::vec((text(), any::<bool>()), 0..4);
    (
        text(),
        nodes,
        fixtures,
        any::<bool>(),
        1u16..=60,
        any::<bool>(),
    )
        .prop_map(move |(name, nodes, fixtures, closed, units, racked)| {
            let mut site = base.clone();
            site.name = name;
            site.policy.closed = closed;
            site.access.clear();
            site.racks = vec![Rack {
                name: "x".into(),
                fault_domain: None,
                units: units.max(20),
                place: "<&> \"here\"".into(),
                relay: None,
            }];
            if !racked {
                site.racks.push(Rack {
                    name: "y".into(),
                    ..site.racks[0].clone()
                });
            }
            let pattern = base.nodes[2].clone();
            site.switches = fixtures
                .iter()
                .enumerate()
                .map(|(index, (model, upright))| Fixture {
                    name: format!("s{index}"),
                    rack: site.racks[index % site.racks.len()].name.clone(),
                    unit: (!upright).then(|| 16 + u16::try_from(index).unwrap()),
                    height: 1,
                    model: model.clone(),
                    address: None,
                })
                .collect();
            site.pdus = Vec::new();
            site.nodes = nodes
                .into_iter()
                .enumerate()
                .map(|(index, (slot, serial, has_bmc, keeps, disk))| {
                    let mut node = pattern.clone();
                    let small = u8::try_from(index).unwrap();
                    node.name = format!("n{index}").parse().unwrap();
                    node.mac.0[5] = small;
                    node.uuid.0[0] = small;
                    node.serial = serial;
                    node.keep = (0..keeps).map(|number| format!("{disk}{number}")).collect();
                    node.slot = slot.map(|second| Slot {
                        rack: site.racks[usize::from(second) % site.racks.len()]
                            .name
                            .clone(),
                        unit: u16::from(small) + 1,
                        ..Slot {
                            height: 1,
                            ..Slot::default()
                        }
                    });
                    node.bmc = has_bmc.then(|| BmcSite {
                        address: format!("10.200.0.{}", small + 1),
                        protocol: None,
                        credential: "bmc".into(),
                        certificate: None,
                        system: None,
                    });
                    node
                })
                .collect();
            site
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_site_is_the_same_there_and_back(site in any_site()) {
        prop_assume!(prov_core::site_check::check(&site).is_empty());
        prop_assert_eq!(canonical(there_and_back(&site)), canonical(site));
    }

    #[test]
    fn whatever_stands_in_a_file_is_answered(text in "[<>/A-Za-z\"'=! \\[\\]&;-]{0,200}") {
        let _ = of_xml(&text);
        let _ = of_toml(&text);
    }
}

#[test]
fn what_is_no_site_is_refused_with_its_line() {
    let xml = write(&of_toml(TWO_RACKS).unwrap()).unwrap();
    for (from, to, wants) in [
        (
            "<Datacenter",
            "<!DOCTYPE d [<!ENTITY e \"x\">]>\n<Datacenter",
            "no XML as it is read here",
        ),
        ("hall 2", "&e;", "no XML as it is read here"),
        ("<Datacenter", "<House", "no XML"),
        (
            "schema=\"1\"",
            "schema=\"2\"",
            "schema \"2\" is not known here",
        ),
        (
            "units=\"42\"",
            "units=\"many\"",
            "rack[0].units: \"many\" should be a number",
        ),
        (
            "<Slot ",
            "<Slot rack=\"r2\" ",
            "does not say its rack again",
        ),
        (
            "credential=\"bmc-r1\"",
            "credential=\"bmc-r1\" colour=\"red\"",
            "node[0].bmc.colour: there is no such key",
        ),
        ("<Dns>10.20.0.53</Dns>", "<Dns>10.20.0</Dns>", "network.dns"),
        (
            "<Network ",
            "<Network xmlns=\"urn:x\" ",
            "there are no name spaces here",
        ),
        (
            "<Dns>10.20.0.53</Dns>",
            "<Dns a=\"b\">10.20.0.53</Dns>",
            "text beside elements",
        ),
    ] {
        assert!(xml.contains(from), "{from}");
        let said = of_xml(&xml.replacen(from, to, 1)).unwrap_err();
        assert!(
            said.iter().any(|fault| fault.contains(wants)),
            "{wants}: {said:#?}"
        );
    }
    let broken = xml.replacen("units=\"42\"", "units=\"many\"", 1);
    let line = broken
        .lines()
        .position(|line| line.contains("many"))
        .unwrap()
        + 1;
    let said = of_xml(&broken).unwrap_err();
    assert!(said[0].starts_with(&format!("line {line}: ")), "{said:?}");
}

#[test]
fn depth_and_number_have_an_end() {
    let deep = "<Datacenter>".to_owned() + &"<a>".repeat(2_000_000);
    let said = of_xml(&deep).unwrap_err();
    assert!(said[0].contains("16 is the most"), "{said:?}");
    let hidden = format!(
        "<Datacenter a='>'><!-- {} --></Datacenter>",
        "<a>".repeat(100)
    );
    let said = of_xml(&hidden).unwrap_err();
    assert!(!said[0].contains("is the most"), "{said:?}");
    let wide = "<Datacenter>".to_owned() + &"<a/>".repeat(2_100_000) + "</Datacenter>";
    let said = of_xml(&wide).unwrap_err();
    assert!(
        said[0].contains("no XML as it is read here"),
        "{:?}",
        said[0]
    );
}
